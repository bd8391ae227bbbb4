"""Agents backed by a language model: the same seven roles, types and tools as the embedded policy, through
pydantic-ai, so that any model it knows can be the teacher.

Each role is one pydantic-ai agent with a typed answer, and an analyst has exactly its tools (`TOOLS_OF`). What
a role is told is a JSON object under instructions of its own, `prompts/{role}.md`, which anyone can read and
change. Titles stand inside it as data.

Labels are read forgivingly (`C` is `‹C›`). An answer that does not validate, or a call that a tool refuses,
goes back to the model a limited number of times; a run that cannot end is an `AgentError`. Whatever else a
model writes, the workflow escapes or repairs.

Needs the extra `llm`; without it, importing this module raises a `StarrecError` that says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, TypeVar
from urllib.parse import quote

from pydantic import BaseModel
from pydantic_core import to_json

from starrec.errors import StarrecError
from starrec.teacher.agents import (
    ANALYSTS,
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
from starrec.tools import TOOLS, ToolError, Window, fold
from starrec.trajectories import Reason

try:
    from pydantic_ai import Agent, ModelRetry, ModelSettings, RunContext, Tool, UsageLimits
    from pydantic_ai.exceptions import (
        AgentRunError,
        UnexpectedModelBehavior,
        UsageLimitExceeded,
        UserError,
    )
    from pydantic_ai.models import Model, infer_model
except ImportError as error:
    raise StarrecError(
        f"A teacher backed by a language model needs the extra `llm` ({error}): pip install 'starrec[llm]'"
    ) from error

_LABEL: Final = re.compile(r"\s*‹?([A-Z]+)›?\s*")

_Deps = TypeVar("_Deps")
_Typed = TypeVar("_Typed", bound=BaseModel)


class LLMAgents:
    """The agents, by a language model. They keep no state: any number of tasks may wait for them at once."""

    kind: str

    def __init__(
        self,
        model: Model | str,
        *,
        requests: int = 8,
        calls: int = 16,
        retries: int = 2,
        temperature: float = 0.8,
    ) -> None:
        """
        Args:
            model: any pydantic-ai model, or the name of one, such as "openai:gpt-5".
            requests: requests at most to the model for one answer of one agent, tool turns included.
            calls: tool calls at most for one answer.
            retries: how often in a row an answer, or a call of one tool, may be sent back to be corrected.
            temperature: of exploring runs; greedy runs have 0.

        Raises:
            StarrecError: there is no such model, or its key or package is missing.
        """
        try:
            model = infer_model(model)
        except (UserError, ImportError) as error:
            raise StarrecError(f"The model {model!r} cannot be the teacher: {error}") from error
        self.kind = f"language model agents ({model.model_name})"
        self._requests, self._calls, self._retries = requests, calls, retries
        self._temperature = temperature

        self._planner: Agent[None, Plan] = _agent("planner", model, Plan, (), retries)
        self._analysts: dict[Analyst, Agent[Caller, Finding]] = {
            name: _agent(name, model, Finding, [_tool(tool) for tool in TOOLS_OF[name]], retries)
            for name in ANALYSTS
        }
        self._reflector: Agent[None, Verdict] = _agent("reflector", model, Verdict, (), retries)
        self._ranker: Agent[Caller, Decision] = _agent("ranker", model, Decision, [_tool("compare")], retries)

    async def remember(self, brief: Brief, window: Window) -> str:
        return fold(brief.memory, window)

    async def plan(self, brief: Brief) -> Plan:
        return await self._ask(self._planner, brief, {}, None)

    async def study(
        self, analyst: Analyst, brief: Brief, plan: Plan, requests: Sequence[Request], call: Caller
    ) -> Finding:
        inputs = {"plan": plan, "requests": requests}
        finding = await self._ask(self._analysts[analyst], brief, inputs, call)
        cites = {_label(name): cite for name, cite in finding.cites.items()}
        # A model may sign as another analyst; trust is given to the one who was asked.
        return Finding(analyst=analyst, order=_labels(finding.order), cites=cites)

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
        verdict = await self._ask(self._reflector, brief, inputs, None)
        requests = [
            request.model_copy(update={"candidates": _labels(request.candidates)})
            for request in verdict.requests
        ]
        return Verdict(text=verdict.text, requests=requests, lead=_labels(verdict.lead))

    async def rank(
        self, brief: Brief, plan: Plan, findings: Sequence[Finding], verdict: Verdict, call: Caller
    ) -> Decision:
        inputs = {"plan": plan, "findings": findings, "verdict": verdict}
        decision = await self._ask(self._ranker, brief, inputs, call)
        return Decision(order=_labels(decision.order))

    async def _ask(
        self, agent: Agent[_Deps, _Typed], brief: Brief, inputs: Mapping[str, object], deps: _Deps
    ) -> _Typed:
        told = {"agent": agent.name, "task": brief.text, **inputs}
        if brief.explore:
            told["run"] = brief.run
        try:
            result = await agent.run(
                to_json(told).decode(),
                deps=deps,
                model_settings=ModelSettings(
                    temperature=self._temperature if brief.explore else 0.0,
                    extra_headers=_headers(brief, str(agent.name)),
                ),
                usage_limits=UsageLimits(request_limit=self._requests, tool_calls_limit=self._calls),
            )
        except AgentRunError as error:
            raise AgentError(
                f"Task {brief.task.task_id}, run {brief.run}: the agent `{agent.name}` gave no answer "
                f"({self.kind}). {self._explain(error)}",
                str(agent.name),
                _reason(error),
            ) from error
        return type(result.output).model_validate(_holdable(result.output.model_dump()))

    def _explain(self, error: AgentRunError) -> str:
        if isinstance(error, UsageLimitExceeded):
            return (
                f"It reached its limit of {self._requests} requests and {self._calls} tool calls; "
                "raise `requests` or `calls`, or choose a model that follows its instructions."
            )
        if isinstance(error, UnexpectedModelBehavior):
            return (
                f"It was corrected {self._retries} times in vain ({error}); raise `retries`, or choose a "
                "model that can call tools."
            )
        return f"The model cannot be asked: {error}"


def _headers(brief: Brief, agent: str) -> dict[str, str]:
    """What a server may know of a request without reading it; values are ASCII."""
    return {
        "X-Starrec-Task": quote(brief.task.task_id),
        "X-Starrec-Run": str(brief.run),
        "X-Starrec-Explore": str(int(brief.explore)),
        "X-Starrec-Agent": agent,
    }


def _reason(error: AgentRunError) -> Reason:
    match error:
        case UsageLimitExceeded():
            return "limit"
        case UnexpectedModelBehavior():
            return "invalid"
    return "endpoint"


def _agent(
    role: str, model: Model, answer: type[_Typed], tools: Sequence[Tool[_Deps]], retries: int
) -> Agent[_Deps, _Typed]:
    instructions = [_prompt("team"), _prompt(role)]
    return Agent[_Deps, _Typed](
        model, output_type=answer, tools=tools, instructions=instructions, name=role, retries=retries
    )


def _prompt(name: str) -> str:
    return files("starrec.teacher").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")


def _tool(name: str) -> Tool[Caller]:
    """The tool, with the schema that teacher and student share; what it refuses goes back to the model."""

    async def ask(context: RunContext[Caller], /, **arguments: Any) -> str:
        # Many models write out as null what they leave out.
        given = {key: value for key, value in arguments.items() if value is not None}
        try:
            return context.deps(name, given).response.text
        except ToolError as error:
            raise ModelRetry(str(error)) from error

    # One at a time and in the order in which the model made them, as the trajectory tells it.
    spec = TOOLS[name]
    return Tool.from_schema(
        ask, name, spec.description, json_schema=spec.parameters, takes_ctx=True, sequential=True
    )


def _labels(names: Sequence[str]) -> list[str]:
    return [_label(name) for name in names]


def _label(name: str) -> str:
    found = _LABEL.fullmatch(name)
    return f"‹{found.group(1)}›" if found else name


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
