"""How a model is asked: the form of its answers, and which parts of OpenAI's protocol its server accepts.

Servers refuse different parts: a temperature, the name of the token limit, a forced tool call, a system
message, a response format, tools at all. `Ways` says what one model is sent. Where a request is refused, or
is answered in no readable form, `alternatives` lists the ways to try next, what the error's text points at
first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, TypeAlias

from starrec.llm.config import ModelConfig, TokenLimit

Form: TypeAlias = Literal["tool", "json_schema", "json_object", "prompted"]


@dataclass(frozen=True, slots=True)
class Ways:
    """How one model is asked."""

    output: Form
    tools: bool
    temperature: bool = True
    """Whether a temperature is sent; so for each parameter below."""
    token_limit: TokenLimit | None = "max_tokens"
    """Name of the token limit; None where none is sent."""
    tool_choice: Literal["required", "auto"] | None = "required"
    """The strongest that is sent; None where the parameter is left out."""
    response_format: bool = True
    """Whether `prompted` answers are also asked for as a JSON object."""
    system_role: bool = True

    @classmethod
    def of(cls, config: ModelConfig, output: Form, tools: bool) -> Ways:
        """As the configuration says, with the form of answers already decided."""
        left_out = config.leave_out
        return cls(
            output,
            tools,
            temperature="temperature" not in left_out,
            token_limit=None if "max_tokens" in left_out else config.token_limit,
            tool_choice=None if "tool_choice" in left_out else "required" if config.force_tools else "auto",
            response_format="response_format" not in left_out,
            system_role=config.system_role,
        )

    @classmethod
    def from_record(cls, record: Any) -> Ways:
        """The inverse of `dataclasses.asdict`.

        Raises:
            TypeError: it is something else.
        """
        if not isinstance(record, dict) or not record.keys() <= {field.name for field in fields(cls)}:
            raise TypeError(f"{record!r} does not say how a model is asked")
        return cls(**record)

    def settings(self, before: Ways) -> str:
        """The settings of `[teacher.model]` that make these ways of those before, as TOML on one line."""
        changes = []
        if self.output != before.output:
            changes.append(f'output = "{self.output}"')
        if self.tools != before.tools:
            changes.append(f"tools = {str(self.tools).lower()}")
        left_out = [
            name
            for name, sent in (
                ("temperature", self.temperature),
                ("max_tokens", self.token_limit),
                ("tool_choice", self.tool_choice),
                ("response_format", self.response_format),
            )
            if not sent
        ]
        if self._left_out != before._left_out:
            changes.append(f"leave_out = [{', '.join(f'{chr(34)}{name}{chr(34)}' for name in left_out)}]")
        if self.token_limit and self.token_limit != before.token_limit:
            changes.append(f'token_limit = "{self.token_limit}"')
        if self.tool_choice == "auto" and before.tool_choice != "auto":
            changes.append("force_tools = false")
        if self.system_role != before.system_role:
            changes.append(f"system_role = {str(self.system_role).lower()}")
        return ", ".join(changes)

    @property
    def _left_out(self) -> tuple[bool, bool, bool, bool]:
        return self.temperature, self.token_limit is None, self.tool_choice is None, self.response_format


_POINTERS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), part)
    for pattern, part in (
        (r"temperature|sampling", "temperature"),
        (r"max_(completion_)?tokens|token limit", "token_limit"),
        (r"tool_?\s?choice|required tool", "tool_choice"),
        (r"response_?\s?format|json_(object|schema)|structured|grammar|guided", "form"),
        (r"\btools?\b|function.?call", "tools"),
        (r"\bsystem\b|roles? must|alternate|developer", "system_role"),
    )
)
"""What the text of a refusal points at."""
_PARTS: Final = ("form", "tool_choice", "tools", "temperature", "token_limit", "system_role")


def alternatives(ways: Ways, message: str, *, refused: bool, same_form: bool) -> Iterator[Ways]:
    """Ways that differ from these in one part, or in all that the error points at; the likeliest first.

    Args:
        message: the text of the error.
        refused: the server refused the request. Otherwise it answered, in no readable form: then only another
            form of answers can help.
        same_form: whether `output` and `tools` have to stay as they are.
    """
    pointed = [part for pattern, part in _POINTERS if pattern.search(message)] if refused else []
    parts = [*pointed, *(part for part in _PARTS if part not in pointed)] if refused else ["form", "tools"]
    if len(pointed) > 1:
        together = ways
        for part in pointed:
            together = next(_changes(together, part), together)
        if not same_form or (together.output, together.tools) == (ways.output, ways.tools):
            yield together
    for part in parts:
        for changed in _changes(ways, part):
            if not same_form or (changed.output, changed.tools) == (ways.output, ways.tools):
                yield changed


def _changes(ways: Ways, part: str) -> Iterator[Ways]:
    match part:
        case "temperature" if ways.temperature:
            yield replace(ways, temperature=False)
        case "token_limit" if ways.token_limit:
            names: tuple[TokenLimit, ...] = ("max_tokens", "max_completion_tokens")
            yield from (replace(ways, token_limit=name) for name in names if name != ways.token_limit)
            yield replace(ways, token_limit=None)
        case "tool_choice" if ways.tool_choice == "required":
            yield replace(ways, tool_choice="auto")
            yield replace(ways, tool_choice=None)
        case "tool_choice" if ways.tool_choice:
            yield replace(ways, tool_choice=None)
        case "form":
            if ways.output == "prompted" and ways.response_format:
                yield replace(ways, response_format=False)
            forms: tuple[Form, ...] = ("tool", "json_schema", "json_object", "prompted")
            for form in forms:
                if form != ways.output and (form != "tool" or ways.tools):
                    yield replace(ways, output=form)
        case "tools" if ways.tools:
            output: Form = "prompted" if ways.output == "tool" else ways.output
            yield replace(ways, tools=False, output=output)
        case "system_role" if ways.system_role:
            yield replace(ways, system_role=False)
