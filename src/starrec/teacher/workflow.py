"""MARS: plan, execute, reflect, rank; one workflow for whichever agents answer.

    [memory of a long history ->] Planner -> analysts (tool calls) -> check of what they cite
        -> Reflector -> [analysts on what it sent back -> check -> Reflector]* -> Ranker

Every call and answer becomes a message of the trajectory in the order in which it happened. What agents write
is text from outside: escaped before it enters a message, and a ranking is repaired to a permutation whatever
was said.
"""

from __future__ import annotations

import re
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from starrec.data import escape
from starrec.ranking import Ranking, repair
from starrec.signals import FactNumbers
from starrec.teacher.agents import ANALYSTS, TOOLS_OF, Agents, Analyst, Answer, Brief, Finding, Meter, Request
from starrec.teacher.checking import unverified
from starrec.teacher.replay import trust_text
from starrec.tools import REFUSED, Toolbox, ToolError, think_task
from starrec.trajectories import Agent, Message, Spent, ToolCall, Trajectory, TrajectoryError

_SPECIAL: Final = "<>⟦⟧‹›\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_UNSAFE: Final = re.compile(f"[{_SPECIAL}]")
# A mention that an agent writes stands only if nothing in it needs escaping.
_STRUCTURE: Final = re.compile(f"⟦[^|{_SPECIAL}]*\\|[^|{_SPECIAL}]*⟧|‹[A-Z]+›")


_Answered = TypeVar("_Answered")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave."""

    trajectory: Trajectory
    ranking: Ranking
    facts: FactNumbers = field(compare=False)
    """That tools stated, by the numbers under which it cites them."""


@dataclass(slots=True)
class _Record:
    """The trajectory under way."""

    toolbox: Toolbox
    messages: list[Message] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    """Of the tools."""
    facts: FactNumbers = field(default_factory=FactNumbers)
    """That the tools said."""

    def add(self, agent: Agent, round: int, text: str) -> None:
        self.messages.append(Message("assistant", agent, round, safe(text)))

    def caller(self, agent: Agent, round: int, allowed: tuple[str, ...]) -> _Caller:
        return _Caller(self, agent, round, allowed)


@dataclass(frozen=True, slots=True)
class _Caller:
    record: _Record
    agent: Agent
    round: int
    allowed: tuple[str, ...]

    def __call__(self, tool: str, arguments: Mapping[str, str | list[str]]) -> Answer:
        call = ToolCall(tool, dict(arguments))
        try:
            if tool not in self.allowed:
                raise ToolError(f"{self.agent} has no tool {tool!r}; it has {', '.join(self.allowed)}.")
            text = self.record.toolbox.call(tool, arguments, self.record.facts)
        except ToolError as error:
            if _has_linear_form(call):
                self._record(call, safe(f"{REFUSED}{error}"))
            raise
        self._record(call, text)
        answer = Answer(tool, arguments, text)
        self.record.answers.append(answer)
        return answer

    def _record(self, call: ToolCall, answer: str) -> None:
        messages = self.record.messages
        messages.append(Message("assistant", self.agent, self.round, tool_call=call))
        messages.append(Message("tool", self.agent, self.round, answer))


async def run(
    agents: Agents,
    toolbox: Toolbox,
    *,
    number: int = 0,
    explore: bool = False,
    reflections: int | None = None,
    meter: Meter | None = None,
) -> Outcome:
    """One run of the team over one task.

    Args:
        number: which run over this task, recorded in the trajectory.
        explore: vary plan and trust, for teaching; greedy otherwise.
        reflections: at most, whatever is planned; with 1, no work is sent back.
        meter: also has what was spent where the run fails.

    Raises:
        AgentError: an agent gave no answer.
    """
    task = toolbox.task
    text = think_task(toolbox)
    brief = Brief(task, text, toolbox.labels, number, explore, toolbox.ties, meter or Meter())
    record = _Record(toolbox, [Message("user", "", 0, text)])

    async def timed(agent: Agent, answer: Coroutine[Any, Any, _Answered]) -> _Answered:
        started = time.perf_counter()
        try:
            return await answer
        finally:
            brief.meter.add(agent, Spent(seconds=time.perf_counter() - started))

    for window in toolbox.old_windows:
        brief = replace(brief, memory=safe(await timed("planner", agents.remember(brief, window))))
    plan = await timed("planner", agents.plan(brief))
    plan = plan.model_copy(update={"trust": _in_bounds(plan.trust)})
    record.add("planner", 0, _with_trust(plan.text, plan.trust))
    findings: list[Finding] = []
    requests: list[Request] = []
    consulted: list[Analyst] = [name for name in plan.trust if name in ANALYSTS]
    round = checked = 0
    while True:
        for analyst in consulted:
            asked = [request for request in requests if request.analyst == analyst]
            call = record.caller(analyst, round, TOOLS_OF[analyst])
            findings.append(await timed(analyst, agents.study(analyst, brief, plan, asked, call)))
        final = round + 1 >= (plan.rounds if reflections is None else min(plan.rounds, reflections))
        checks = unverified(findings[checked:], record.facts, toolbox)
        checked = len(findings)
        verdict = await timed(
            "reflector", agents.reflect(brief, plan, findings, record.answers, checks, round, final)
        )
        changed = _in_bounds(verdict.trust)
        record.add("reflector", round, _with_trust(verdict.text, changed))
        plan = plan.model_copy(update={"trust": {**plan.trust, **changed}})
        round += 1
        requests = _answerable(verdict.requests, toolbox.labels)
        if final or not requests:
            break
        consulted = list(dict.fromkeys(request.analyst for request in requests))

    call = record.caller("ranker", round, ("compare",))
    decision = await timed("ranker", agents.rank(brief, plan, findings, record.answers, verdict, call))
    place = {name: index for index, name in enumerate(toolbox.labels)}
    ranking = repair(
        [int(task.candidates[place[name]]) if name in place else -1 for name in decision.order],
        task.candidates,
    )
    column = {item: index for index, item in enumerate(task.candidates.tolist())}
    labels = tuple(toolbox.labels[column[item]] for item in ranking.items)
    record.messages.append(Message("assistant", "ranker", round, "".join(labels)))
    trajectory = Trajectory(
        task.task_id,
        number,
        agents.kind,
        tuple(record.messages),
        toolbox.labels,
        labels,
        cost=brief.meter.cost(),
    )
    return Outcome(trajectory, ranking, record.facts)


def _in_bounds(trust: Mapping[Analyst, int]) -> dict[Analyst, int]:
    return {name: min(max(value, 1), 9) for name, value in trust.items()}


def _with_trust(text: str, trust: Mapping[Analyst, int]) -> str:
    """Text of an agent, and behind it the trust that it gives, a typed field of its answer."""
    return f"{text} {trust_text(trust)}".lstrip() if trust else text


def _answerable(requests: Sequence[Request], labels: Sequence[str]) -> list[Request]:
    """What of a Reflector's requests names a tool of its analyst, and known labels."""
    kept = []
    for request in requests:
        known = [name for name in request.candidates if name in labels]
        if (known or not request.candidates) and request.tool in TOOLS_OF[request.analyst]:
            kept.append(request.model_copy(update={"candidates": known}))
    return kept


def _has_linear_form(call: ToolCall) -> bool:
    # Only a refused call can lack one: a name or an argument that no tool has, such as a nested object.
    try:
        call.json()
    except TrajectoryError:
        return False
    return True


def safe(text: str) -> str:
    """Text of an agent for a message: well-formed mentions and labels stand, other structure is escaped and
    control characters are spaces."""
    if not _UNSAFE.search(text):
        return text
    parts: list[str] = []
    end = 0
    for found in _STRUCTURE.finditer(text):
        parts += [_escape_prose(text[end : found.start()]), found.group()]
        end = found.end()
    parts.append(_escape_prose(text[end:]))
    return "".join(parts)


def _escape_prose(text: str) -> str:
    # `&` stands: what an agent quotes from a tool is escaped already.
    return _UNSAFE.sub(lambda found: escape(found.group()), text)
