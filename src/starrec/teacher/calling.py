"""Tools for a model, in either of two ways.

A model that can call tools is given them, with the schemas that teacher and student share, and what a tool
refuses goes back to it. One that cannot is asked in turns: its first answer says which tools to ask and with
what, a later one may do so again or be the finding, and the last one is the finding. So every role calls its
tools, whatever the model can do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel, Field, create_model
from pydantic_ai import ModelRetry, RunContext, Tool

from starrec.teacher.agents import Caller, Labels
from starrec.teacher.naming import Candidates, is_exact
from starrec.tools import TOOLS, ToolError, read_facts

TURNS: Final = 3
"""Answers in which calls may be asked for, before the one that must be final."""

Values: TypeAlias = dict[str, Any]
"""A call as a JSON object: `tool`, its arguments, and `answer` or `refused` once it was made."""


@dataclass(frozen=True, slots=True)
class AgentContext:
    """What an agent's tools and validators need beside its input (pydantic-ai's `deps`)."""

    candidates: Candidates
    call: Caller | None = None
    """Its tools, where it has any."""
    stated: dict[str, set[str]] = field(default_factory=dict)
    """Numbers of the facts that its tools stated, by label."""

    def ask(self, tool: str, arguments: Mapping[str, str | list[str]]) -> str:
        """The tool's answer; the facts in it may be cited from now on."""
        assert self.call is not None, "an agent with tools is asked with a caller"
        text = self.call(tool, arguments).text
        for label, cite, _ in read_facts(text):
            self.stated.setdefault(label, set()).add(cite)
        return text


def tool(name: str) -> Tool[AgentContext]:
    """The tool, for a model that can call it."""

    async def ask(context: RunContext[AgentContext], /, **arguments: Any) -> str:
        # Many models write out as null what they leave out.
        given = {key: value for key, value in arguments.items() if value is not None}
        try:
            return context.deps.ask(name, named(given, context.deps.candidates))
        except ToolError as error:
            raise ModelRetry(str(error)) from error

    # One at a time and in the order in which the model made them, which is the order of the trajectory.
    spec = TOOLS[name]
    return Tool.from_schema(
        ask, name, spec.description, json_schema=spec.parameters, takes_ctx=True, sequential=True
    )


@cache
def calls(names: tuple[str, ...]) -> type[BaseModel]:
    """An answer that asks for calls of these tools: `calls`, each with `tool` and its arguments beside it."""
    fields: dict[str, Any] = {"tool": (Literal[names], Field(description="The tool to ask."))}
    if any(TOOLS[name].windows for name in names):
        window = Field(default="recent", description="Which part of the history.")
        fields["window"] = (Literal["recent", "whole"], window)
    if any(TOOLS[name].candidates for name in names):
        asked: Any = Field(
            default_factory=list, description="Labels to ask about; empty for the strongest ones."
        )
        fields["candidates"] = (Labels, asked)
    call: Any = create_model("Call", **fields)
    return create_model(
        "Calls",
        __doc__="Tools to ask before answering.",
        calls=(list[call], Field(min_length=1, json_schema_extra={"maxItems": 3})),
    )


def named(arguments: Values, candidates: Candidates) -> Values:
    """The arguments with every candidate by its label, where it is written in another way."""
    asked = arguments.get("candidates")
    if isinstance(asked, str):
        asked = [asked]
    if not isinstance(asked, list) or not all(isinstance(name, str) for name in asked):
        return arguments
    if all(is_exact(name, candidates.labels) for name in asked):
        return arguments
    return {**arguments, "candidates": candidates.read(asked)}


def make(asked: BaseModel, limit: int, context: AgentContext, before: Sequence[Values]) -> list[Values]:
    """Make the first `limit` new calls of such an answer, and say what came of each. One that was made before
    is not made again: what it gave is known already.

    Args:
        before: what this gave in earlier turns.
    """
    known = [_called(earlier) for earlier in before]
    made: list[Values] = []
    for one in asked.model_dump()["calls"]:
        wanted = {"tool": one["tool"], **named(_arguments(one), context.candidates)}
        if wanted not in known and len(made) < limit:
            known.append(wanted)
            made.append(_made(wanted, context))
    return made


def _called(made: Values) -> Values:
    return {key: value for key, value in made.items() if key not in ("answer", "refused")}


def _arguments(asked: Values) -> dict[str, str | list[str]]:
    spec = TOOLS[asked["tool"]]
    # The tools of a role share one schema, so an argument that this one does not take is left out.
    arguments: dict[str, str | list[str]] = {}
    if spec.windows:
        arguments["window"] = asked["window"]
    if spec.candidates and asked["candidates"]:
        arguments["candidates"] = asked["candidates"]
    return arguments


def _made(wanted: Values, context: AgentContext) -> Values:
    arguments = {key: value for key, value in wanted.items() if key != "tool"}
    try:
        return {**wanted, "answer": context.ask(wanted["tool"], arguments)}
    except ToolError as error:
        return {**wanted, "refused": str(error)}
