"""One role of the team, asked of a language model: instructions, tools, a typed answer, and what it took.

A role is one pydantic-ai agent. Its input is a JSON object (`briefing`) under instructions of its own,
`prompts/{role}.md`. A model that can call tools is given those of its role; one that cannot asks for them in
structured answers, over several turns (`calling`). An answer that does not validate, or in which no label can
be read, goes back to the model `limits.corrections` times.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

from pydantic import BaseModel, Field
from pydantic_ai import Agent, ModelRetry, ModelSettings, RunContext, UsageLimits
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.usage import RunUsage

from starrec.errors import ConfigError
from starrec.llm import LimitsConfig
from starrec.llm.formats import output_type
from starrec.llm.models import ConnectedModel
from starrec.llm.reading import repairs_of
from starrec.llm.tokens import estimate
from starrec.teacher import briefing, calling
from starrec.teacher.agents import TOOLS_OF, Brief, Caller, Decision, Finding, Plan, Verdict
from starrec.teacher.calling import AgentContext
from starrec.teacher.config import Role
from starrec.teacher.failures import explained
from starrec.teacher.naming import candidates
from starrec.tools import TOOLS
from starrec.trajectories import Spent

_TOOLS_SHARE: Final = 4
"""What tools answer is left this part of a prompt's room."""
_MARGIN: Final = 64
"""Tokens around instructions, schemas and messages."""
_LEAST_ROOM: Final = 256
"""Tokens without which no task fits."""


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


class RoleAgent:
    """A role and the model that answers for it. Keeps no state of a task."""

    def __init__(
        self,
        role: Role,
        connected: ConnectedModel,
        limits: LimitsConfig,
        instrumentation: InstrumentationSettings | None,
    ) -> None:
        """
        Raises:
            ConfigError: the context window leaves no room for a task.
        """
        self.role, self.connected, self._limits = role, connected, limits
        self._tools = _TOOLS.get(role, ())
        instructions = [_prompt("team"), _prompt(role)]
        tools: list[Any] = [calling.tool(name) for name in self._tools] if connected.ways.tools else []

        @cache
        def agent(answers: tuple[type[BaseModel], ...]) -> Agent[AgentContext, Any]:
            made = Agent[AgentContext, Any](
                connected.model,
                output_type=output_type(connected.ways, answers),
                deps_type=AgentContext,
                tools=tools,
                instructions=instructions,
                name=role,
                retries=limits.corrections,
            )
            made.output_validator(_readable)
            made.output_validator(_cited)
            made.instrument = instrumentation
            return made

        self._agent = agent
        self.room = self._room(instructions)
        """Tokens for the input of a task."""

    def _room(self, instructions: list[str]) -> int:
        limits = self._limits
        schemas = [
            _ANSWERS[self.role].model_json_schema(),
            *(TOOLS[name].parameters for name in self._tools),
        ]
        fixed = sum(map(estimate, [*instructions, *map(json.dumps, schemas)])) + _MARGIN
        room = limits.context - limits.output_tokens - fixed
        if room < _LEAST_ROOM:
            raise ConfigError(
                f"The context window leaves the agent `{self.role}` {room} tokens for a task: of "
                f"`limits.context` ({limits.context}), {fixed} are its instructions and schemas, and "
                f"`limits.output_tokens` ({limits.output_tokens}) its answer. Serve the model with a larger "
                "window and raise `limits.context`, or lower `limits.output_tokens`."
            )
        return room - (room // _TOOLS_SHARE if self._tools else 0)

    async def answer(self, brief: Brief, inputs: Mapping[str, Any], call: Caller | None = None) -> Any:
        """The role's answer, of its own type. What it took is added to the brief's meter, also where there is
        none.

        Raises:
            AgentError: there is none.
        """
        usage = RunUsage()
        context = AgentContext(candidates(brief.labels, brief.text), call)
        name = self.connected.model.model_name
        with self._metered(brief, usage), explained(self.role, brief, name, self._limits):
            if call is not None and self._tools and not self.connected.ways.tools:
                answer = await self._in_turns(brief, inputs, context, usage)
            else:
                result = await self._run(brief, briefing.fitted(inputs, self.room), usage, context)
                answer = result.output
        return type(answer).model_validate(_encodable(answer.model_dump()))

    async def _in_turns(
        self, brief: Brief, inputs: Mapping[str, Any], context: AgentContext, usage: RunUsage
    ) -> Any:
        final, calls = _ANSWERS[self.role], calling.calls(self._tools)
        described = {**inputs, "tools": briefing.tool_descriptions(self._tools)}
        text = briefing.fitted(described, self.room)
        history, made, answered = None, list[dict[str, Any]](), list[dict[str, Any]]()
        for turn in range(calling.TURNS + 1):
            # A model that asks for nothing new has all the answers that there are.
            last = turn == calling.TURNS or len(made) >= self._limits.calls or (turn > 0 and not answered)
            answers = [calls] if turn == 0 else [final] if last else [calls, final]
            result = await self._run(
                brief, text, usage, context, answers=tuple(answers), message_history=history
            )
            if isinstance(result.output, final):
                return result.output
            answered = calling.make(result.output, self._limits.calls - len(made), context, made)
            made += answered
            history, text = result.all_messages(), {"agent": self.role, "answered": answered}
        raise AssertionError("the last turn's only answer is final")

    async def _run(
        self,
        brief: Brief,
        inputs: Mapping[str, Any],
        usage: RunUsage,
        context: AgentContext,
        *,
        answers: tuple[type[BaseModel], ...] = (),
        **how: Any,
    ) -> Any:
        config = self.connected.config
        result = await self._agent(answers or (_ANSWERS[self.role],)).run(
            briefing.as_json(inputs),
            deps=context,
            usage=usage,
            usage_limits=UsageLimits(request_limit=self._limits.requests, tool_calls_limit=self._limits.calls),
            model_settings=ModelSettings(
                temperature=config.temperature if brief.explore else 0.0,
                max_tokens=self._limits.output_tokens,
                extra_headers=_headers(brief, self.role, config.sends_task),
            ),
            **how,
        )
        brief.meter.repaired(repairs_of(result.new_messages()))
        return result

    @contextmanager
    def _metered(self, brief: Brief, usage: RunUsage) -> Iterator[None]:
        try:
            yield
        finally:
            price = self.connected.config.price
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
            brief.meter.add("planner" if self.role == "memory" else self.role, spent)


def _headers(brief: Brief, role: Role, sends_task: bool) -> dict[str, str]:
    """What a server may know of a request without reading it; values are ASCII."""
    headers: dict[str, str] = {"X-Starrec-Agent": role}
    if sends_task:
        headers |= {
            "X-Starrec-Task": quote(brief.task.task_id),
            "X-Starrec-Run": str(brief.run),
            "X-Starrec-Explore": str(int(brief.explore)),
        }
    return headers


def _prompt(name: str) -> str:
    return files("starrec.teacher").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")


def _readable(context: RunContext[AgentContext], answer: Any) -> Any:
    """The answer, sent back where it orders candidates by names that are none of theirs."""
    match answer:
        case Decision() | Finding():
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


def _cited(context: RunContext[AgentContext], answer: Any) -> Any:
    """A finding, sent back where it cites what no tool stated of that candidate, or nothing for its first
    choice although a tool stated something. The last attempt is taken as it is, for the Reflector to check."""
    if not isinstance(answer, Finding) or context.last_attempt:
        return answer
    known, stated = context.deps.candidates, context.deps.stated
    for name, cites in answer.cites.items():
        label = known.label(name) or name
        for cite in cites:
            if cite.strip() not in stated.get(label, ()):
                may = ", ".join(sorted(stated.get(label, ()))) or "none"
                raise ModelRetry(
                    f"No tool stated {cite!r} of {name}. Facts that were stated of it: {may}. Cite facts by "
                    "their number, each for the candidate that it stands behind."
                )
    first = next(iter(known.read(answer.order)), None)
    if first in stated and not any((known.label(name) or name) == first for name in answer.cites):
        raise ModelRetry(
            f"Nothing is cited for {first}, your first choice. Cite a fact that a tool stated of it: "
            f"{', '.join(sorted(stated[first]))}."
        )
    return answer


def _encodable(value: Any) -> Any:
    """The value with lone surrogates, which no later prompt could hold as UTF-8, as question marks."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case list():
            return [_encodable(entry) for entry in value]
        case dict():
            return {_encodable(key): _encodable(entry) for key, entry in value.items()}
    return value
