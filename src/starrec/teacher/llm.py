"""Agents backed by a language model: the same seven roles, types and tools as the embedded policy, through
pydantic-ai, so that any model it knows can be the teacher.

Each role is one pydantic-ai agent with a typed answer, and an analyst has exactly its tools (`TOOLS_OF`). What
a role is told is a JSON object under instructions of its own, `prompts/{role}.md`, which anyone can read and
change. Titles stand inside it as data. Which model plays a role, and how it is asked, is `TeacherConfig`.

Labels are read forgivingly (`naming`). An answer that does not validate, one in which no label can be read,
and a call that a tool refuses go back to the model a limited number of times; a run that cannot end is an
`AgentError`. Whatever else a model writes, the workflow escapes or repairs.

Needs the extra `llm`; without it, importing this module raises a `StarrecError` that says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, get_args
from urllib.parse import quote

from pydantic import BaseModel, Field

from starrec.errors import ConfigError, StarrecError
from starrec.llm import ModelConfig
from starrec.llm.ways import Ways
from starrec.teacher.agents import (
    TOOLS_OF,
    AgentError,
    Analyst,
    Brief,
    Caller,
    Check,
    Decision,
    Finding,
    Plan,
    Request,
    Verdict,
)
from starrec.teacher.config import Role, TeacherConfig
from starrec.teacher.naming import candidates, is_exact
from starrec.tools import TOOLS, Window
from starrec.trajectories import Reason, Spent

try:
    from pydantic_ai import Agent, ModelRetry, ModelSettings, RunContext, UsageLimits
    from pydantic_ai.exceptions import (
        AgentRunError,
        ModelContextWindowExceededError,
        OutputTokenLimitExceeded,
        UnexpectedModelBehavior,
        UsageLimitExceeded,
        UserError,
    )
    from pydantic_ai.models import Model
    from pydantic_ai.usage import RunUsage

    from starrec.llm.formats import output_type
    from starrec.llm.patience import EndpointError
    from starrec.llm.players import Player, Players
    from starrec.llm.reading import repairs_of
    from starrec.llm.recording import AGENT_HEADER
    from starrec.llm.secrets import hide
    from starrec.llm.tokens import estimate
    from starrec.teacher import briefing, calling
    from starrec.teacher.calling import Asked
except ImportError as error:
    raise StarrecError(
        f"A teacher backed by a language model needs the extra `llm` ({error}): pip install 'starrec[llm]'"
    ) from error

_MEMORY: Final = 8
"""What is remembered takes at most this part of the context window."""
_TOOLS_SHARE: Final = 4
"""What tools answer is left this part of a prompt's room."""
_MARGIN: Final = 64
"""Tokens around instructions, schemas and messages."""
_LEAST_ROOM: Final = 256
"""Tokens without which no task can be told."""


class Memory(BaseModel):
    """What is remembered of old interactions."""

    text: str = Field(description="All that is to be remembered, at most 120 words, in the order of time.")


_TOOLS: Final[Mapping[Role, tuple[str, ...]]] = {
    **{name: tools for name, tools in TOOLS_OF.items()},
    "ranker": ("compare",),
}
_ANSWERS: Final[Mapping[Role, type[BaseModel]]] = {
    "planner": Plan,
    **dict.fromkeys(TOOLS_OF, Finding),
    "reflector": Verdict,
    "ranker": Decision,
    "memory": Memory,
}


@dataclass(frozen=True, slots=True)
class _Actor:
    """One role, and who plays it."""

    role: Role
    player: Player
    agent: Callable[[tuple[type[BaseModel], ...]], Agent[Asked, Any]]
    """That gives one of these answers; the same for the same."""
    tools: tuple[str, ...]
    room: int
    """Tokens for what it is told."""

    @property
    def asks_in_turns(self) -> bool:
        return bool(self.tools) and not self.player.ways.tools


class LLMAgents:
    """The agents, by language models. They keep no state of a task: any number may wait for them at once."""

    kind: str

    def __init__(self, config: TeacherConfig, *, model: Model | None = None) -> None:
        """
        Args:
            model: asked in place of the models that the configuration names, in its way and within its limits.

        Raises:
            ConfigError: a model cannot be there (no such name, no key, no package), its context window leaves
                no room for a task, or it is "embedded".
            StarrecError: a recording cannot be written or replayed.
        """
        self._config, self._limits = config, config.limits
        self._players = Players(config.limits, config.record, config.replay, config.telemetry, model)
        self._actors: dict[Role, _Actor] = {role: self._actor(role) for role in get_args(Role)}
        names = dict.fromkeys(actor.player.model.model_name for actor in self._actors.values())
        self.kind = f"language model agents ({', '.join(names)})"

    def player(self, agent: str) -> Player:
        """Who plays this agent."""
        return next(actor.player for role, actor in self._actors.items() if role == agent)

    def adopt(self, config: ModelConfig, ways: Ways) -> None:
        """From now on, ask the model of this setting in these ways."""
        self._players.adopt(config, ways)
        self._actors = {role: self._actor(role) for role in self._actors}

    @property
    def players(self) -> list[Player]:
        """Every model of the team, once."""
        return list({actor.player.config: actor.player for actor in self._actors.values()}.values())

    def trying_out(self) -> AbstractContextManager[None]:
        """As `Players.trying_out`."""
        return self._players.trying_out()

    async def close(self) -> None:
        """Close the connections that were made in this event loop."""
        await self._players.close()

    def fits(self, window: Window, memory: str = "") -> None:
        """Whether this window of a long history can be summed up.

        Raises:
            ConfigError: the context window is too small for it; nothing is sent.
        """
        actor = self._actors["memory"]
        needed = estimate(briefing.written(_window_told(window, memory)))
        if needed > actor.room:
            raise ConfigError(
                f"A window of {len(window.mentions)} items of a long history takes about {needed} tokens, and "
                f"the context window leaves {actor.room}. Set `limits.context` of the teacher to what the "
                f"model has (it is {self._limits.context}), serve the model with a larger one, or lower "
                f"`limits.output_tokens` ({self._limits.output_tokens})."
            )

    async def remember(self, brief: Brief, window: Window) -> str:
        self.fits(window, brief.memory)
        remembered: Memory = await self._ask("memory", brief, _window_told(window, brief.memory), None)
        return briefing.shortened(remembered.text, self._limits.context // _MEMORY)

    async def plan(self, brief: Brief) -> Plan:
        plan: Plan = await self._ask("planner", brief, briefing.told("planner", brief, {}), None)
        return plan

    async def study(
        self, analyst: Analyst, brief: Brief, plan: Plan, requests: Sequence[Request], call: Caller
    ) -> Finding:
        told = briefing.told(analyst, brief, {"plan": plan, "requests": requests})
        finding: Finding = await self._ask(analyst, brief, told, call)
        known = candidates(brief.labels, brief.text)
        cites = {known.label(name) or name: cite for name, cite in finding.cites.items()}
        # A model may sign as another analyst; trust is given to the one who was asked.
        return Finding(analyst=analyst, order=self._labels(finding.order, brief), cites=cites)

    async def reflect(
        self,
        brief: Brief,
        plan: Plan,
        findings: Sequence[Finding],
        checks: Sequence[Check],
        round: int,
        final: bool,
    ) -> Verdict:
        inputs = {"plan": plan, "findings": findings, "checks": checks, "round": round, "final": final}
        verdict: Verdict = await self._ask("reflector", brief, briefing.told("reflector", brief, inputs), None)
        requests = [
            request.model_copy(update={"candidates": self._labels(request.candidates, brief)})
            for request in verdict.requests
        ]
        return Verdict(text=verdict.text, requests=requests, lead=self._labels(verdict.lead, brief))

    async def rank(
        self, brief: Brief, plan: Plan, findings: Sequence[Finding], verdict: Verdict, call: Caller
    ) -> Decision:
        inputs = {"plan": plan, "findings": findings, "verdict": verdict}
        decision: Decision = await self._ask("ranker", brief, briefing.told("ranker", brief, inputs), call)
        order = self._labels(decision.order, brief)
        if sorted(order) != sorted(brief.labels):
            brief.meter.repaired({"ranking": 1})
        return Decision(order=order)

    def _labels(self, names: Sequence[str], brief: Brief) -> list[str]:
        if not all(is_exact(name, brief.labels) for name in names):
            brief.meter.repaired({"labels": 1})
        return candidates(brief.labels, brief.text).read(names)

    async def _ask(self, role: Role, brief: Brief, told: Mapping[str, Any], call: Caller | None) -> Any:
        """The role's answer; what it took goes to the brief's meter, also where there is none."""
        actor = self._actors[role]
        usage = RunUsage()
        with self._metered(actor, brief, usage), self._explained(actor, brief):
            if actor.asks_in_turns and call is not None:
                answer = await self._in_turns(actor, brief, told, call, usage)
            else:
                result = await self._one(actor, brief, briefing.fitted(told, actor.room), usage, call)
                answer = result.output
        return type(answer).model_validate(_holdable(answer.model_dump()))

    async def _in_turns(
        self, actor: _Actor, brief: Brief, told: Mapping[str, Any], call: Caller, usage: RunUsage
    ) -> Any:
        final, calls = _ANSWERS[actor.role], calling.calls(actor.tools)
        text = briefing.fitted({**told, "tools": briefing.told_tools(actor.tools)}, actor.room)
        history, made, answered = None, list[dict[str, Any]](), list[dict[str, Any]]()
        for turn in range(calling.TURNS + 1):
            # Who asks for nothing new has heard all that there is to hear.
            last = turn == calling.TURNS or len(made) >= self._limits.calls or (turn > 0 and not answered)
            answers = [calls] if turn == 0 else [final] if last else [calls, final]
            result = await self._one(
                actor,
                brief,
                text,
                usage,
                answers=tuple(answers),
                message_history=history,
            )
            if isinstance(result.output, final):
                return result.output
            known = candidates(brief.labels, brief.text)
            answered = calling.make(result.output, self._limits.calls - len(made), call, made, known)
            made += answered
            history, text = result.all_messages(), {"agent": actor.role, "answered": answered}
        raise AssertionError("the last turn's only answer is final")

    async def _one(
        self,
        actor: _Actor,
        brief: Brief,
        told: Mapping[str, Any],
        usage: RunUsage,
        call: Caller | None = None,
        *,
        answers: tuple[type[BaseModel], ...] = (),
        **how: Any,
    ) -> Any:
        config = actor.player.config
        result = await actor.agent(answers or (_ANSWERS[actor.role],)).run(
            briefing.written(told),
            deps=Asked(candidates(brief.labels, brief.text), call),
            usage=usage,
            usage_limits=UsageLimits(request_limit=self._limits.requests, tool_calls_limit=self._limits.calls),
            model_settings=ModelSettings(
                temperature=config.temperature if brief.explore else 0.0,
                max_tokens=self._limits.output_tokens,
                extra_headers=_headers(brief, actor.role, config.told_task),
            ),
            **how,
        )
        brief.meter.repaired(repairs_of(result.new_messages()))
        return result

    def _actor(self, role: Role) -> _Actor:
        player = self._players.of(self._config.model_of(role))
        tools = _TOOLS.get(role, ())
        instructions = [_prompt("team"), _prompt(role)]
        given: list[Any] = [calling.tool(name) for name in tools] if player.ways.tools else []

        @cache
        def agent(answers: tuple[type[BaseModel], ...]) -> Agent[Asked, Any]:
            made = Agent[Asked, Any](
                player.model,
                output_type=output_type(player.ways, answers),
                deps_type=Asked,
                tools=given,
                instructions=instructions,
                name=role,
                retries=self._limits.corrections,
            )
            made.output_validator(_readable)
            made.instrument = self._players.instrumentation
            return made

        schemas = [_ANSWERS[role].model_json_schema(), *(TOOLS[name].parameters for name in tools)]
        fixed = sum(map(estimate, [*instructions, *map(json.dumps, schemas)])) + _MARGIN
        room = self._limits.context - self._limits.output_tokens - fixed
        if room < _LEAST_ROOM:
            raise ConfigError(
                f"The context window leaves the agent `{role}` {room} tokens for a task: of `limits.context` "
                f"({self._limits.context}), {fixed} are its instructions and schemas, and "
                f"`limits.output_tokens` ({self._limits.output_tokens}) its answer. Serve the model with a "
                "larger window and raise `limits.context`, or lower `limits.output_tokens`."
            )
        return _Actor(role, player, agent, tools, room - (room // _TOOLS_SHARE if tools else 0))

    @contextmanager
    def _metered(self, actor: _Actor, brief: Brief, usage: RunUsage) -> Iterator[None]:
        try:
            yield
        finally:
            price = actor.player.config.price
            usd = float(usage.cost or 0.0)
            if price is not None:
                usd = usage.input_tokens * price[0] + usage.output_tokens * price[1]
            spent = Spent(
                requests=usage.requests,
                prompt_tokens=usage.input_tokens,
                completion_tokens=usage.output_tokens,
                cached_tokens=usage.cache_read_tokens,
                usd=usd,
            )
            # What sums up a history works for the planner, who is the first to need it.
            brief.meter.add("planner" if actor.role == "memory" else actor.role, spent)

    @contextmanager
    def _explained(self, actor: _Actor, brief: Brief) -> Iterator[None]:
        failed: AgentError
        try:
            yield
            return
        except UserError as error:
            raise ConfigError(
                f"The model {actor.player.model.model_name!r} cannot be asked in this way: {error} Change its "
                "`output` or `tools`."
            ) from error
        except AgentRunError as error:
            failed = AgentError(
                f"Task {brief.task.task_id}, run {brief.run}: the agent `{actor.role}` gave no answer "
                f"({self.kind}). {self._explain(error)}",
                actor.role,
                _reason(error),
                error.problem if isinstance(error, EndpointError) else "",
            )
        # Without its cause: a traceback shows what a model or a server wrote.
        raise failed

    def _explain(self, error: AgentRunError) -> str:
        match error:
            case UsageLimitExceeded():
                return (
                    f"It reached its limit of {self._limits.requests} requests and {self._limits.calls} tool "
                    "calls; raise `requests` or `calls`, or choose a model that follows its instructions."
                )
            case OutputTokenLimitExceeded():
                return (
                    f"Its answer did not end within {self._limits.output_tokens} tokens; raise `output_tokens`."
                )
            case ModelContextWindowExceededError():
                return f"{hide(str(error))}."
            case UnexpectedModelBehavior():
                return (
                    f"It was corrected {self._limits.corrections} times in vain ({hide(str(error))}); raise "
                    "`corrections`, or choose a model that can call tools."
                )
        return f"The model cannot be asked: {hide(str(error))}. Once it can, the run goes on where it was."


def _window_told(window: Window, memory: str) -> dict[str, Any]:
    told: dict[str, Any] = {"agent": "memory"}
    if memory:
        told["memory"] = memory
    return told | {"window": {"items": list(window.mentions), "tastes": dict(window.tastes)}}


def _headers(brief: Brief, agent: str, told_task: bool) -> dict[str, str]:
    """What a server may know of a request without reading it; values are ASCII."""
    headers = {AGENT_HEADER: agent}
    if told_task:
        headers |= {
            "X-Starrec-Task": quote(brief.task.task_id),
            "X-Starrec-Run": str(brief.run),
            "X-Starrec-Explore": str(int(brief.explore)),
        }
    return headers


def _reason(error: AgentRunError) -> Reason:
    match error:
        case UsageLimitExceeded() | OutputTokenLimitExceeded() | ModelContextWindowExceededError():
            return "limit"
        case UnexpectedModelBehavior():
            return "invalid"
    return "endpoint"


def _prompt(name: str) -> str:
    return files("starrec.teacher").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")


def _readable(context: RunContext[Asked], answer: Any) -> Any:
    """The answer, sent back where it orders candidates by names that are none of theirs."""
    match answer:
        case Decision():
            names = answer.order
        case Finding():
            names = answer.order
        case Verdict():
            names = answer.lead
        case _:
            return answer
    known = context.deps.candidates
    read = [name for name in known.read(names) if name in known.labels]
    # Who has found nothing may say so; the Ranker may not.
    if read or (not names and not isinstance(answer, Decision)):
        return answer
    raise ModelRetry(
        f"None of {', '.join(map(repr, names[:5])) or 'it'} is the label of a candidate. Name candidates by "
        f"their labels alone, {known.labels[0][1:-1]} to {known.labels[-1][1:-1]}, as the task lists them."
    )


def _holdable(value: Any) -> Any:
    """The value with lone surrogates, which no later prompt could hold as UTF-8, as question marks."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case list():
            return [_holdable(entry) for entry in value]
        case dict():
            return {_holdable(key): _holdable(entry) for key, entry in value.items()}
    return value
