"""Tool calls that a model wrote as text, because its server does not read them.

Every family has a form of its own: Hermes and Qwen `<tool_call>{"name": …, "arguments": …}</tool_call>`, Qwen
Coder `<function=name><parameter=key>value</parameter></function>`, Llama `<|python_tag|>{"name": …,
"parameters": …}`, `<function=name>{…}</function>` or `[name(key="value")]`, Mistral
`[TOOL_CALLS]name[ARGS]{…}`, Kimi and DeepSeek a name and an object between tokens; others bare or fenced
JSON. `calls` reads them all by one rule: the name of a tool that was offered, and an object of arguments.
Pure functions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starrec.llm.mending import parsed, values

_NAMES: Final = ("name", "tool", "tool_name", "function", "function_name", "action")
_ARGUMENTS: Final = ("arguments", "parameters", "args", "input", "tool_input", "action_input", "kwargs")
_LISTS: Final = ("tool_calls", "calls", "function_call", "tool_call", "function_calls")
_PARAMETER: Final = re.compile(
    r"<parameter=([\w-]+)>(.*?)(?:</parameter>|(?=<parameter=)|(?=</function>)|$)", re.DOTALL
)
_THOUGHT: Final = re.compile(
    r".*(?:</think(?:ing)?>|</thought>|</reasoning>|\[/THINK\]|<\|channel\|>final<\|message\|>)", re.DOTALL
)
"""All before the answer, also where the tag that opens it was left out."""


_MARKUP: Final = r"(?:[^\w{}]|ARGS|CALL_ID|json|tool_call_argument_begin|tool|sep|\d){0,80}"
"""Between the name of a tool and its arguments."""


@dataclass(frozen=True, slots=True)
class TextCall:
    """A call that stood in a text."""

    name: str
    arguments: dict[str, Any]


def without_thought(text: str) -> str:
    """The text after the model's thinking, whether or not that began with a tag."""
    return _THOUGHT.sub("", text, count=1)


def calls(text: str, tools: Collection[str]) -> list[TextCall]:
    """The calls of these tools in a text, in its order."""
    if not tools or not text.strip():
        return []
    named = "|".join(map(re.escape, sorted(tools, key=len, reverse=True)))
    return (
        _as_objects(text, tools)
        or _as_elements(text, named)
        or _as_name_and_object(text, named)
        or _as_python(text, named)
    )


def tool_name(written: str, tools: Collection[str]) -> str:
    """The offered tool that a written name means: `functions.item_cf:0` is item_cf. Other names stay."""
    if written in tools:
        return written
    plain = re.sub(r"^(?:functions?|tools?|default_api)[./:]|:\d+$", "", written.strip())
    return plain if plain in tools else written


def _as_objects(text: str, tools: Collection[str]) -> list[TextCall]:
    """Objects with a name and arguments, alone or in a list."""
    found: list[TextCall] = []
    for value, _, _ in values(text):
        found += _in_value(value, tools)
    return found


def _in_value(value: Any, tools: Collection[str], depth: int = 5) -> Iterator[TextCall]:
    if isinstance(value, list) and depth:
        for entry in value:
            yield from _in_value(entry, tools, depth - 1)
    if not isinstance(value, Mapping) or not depth:
        return
    for key in _LISTS:
        if isinstance(value.get(key), dict | list):
            yield from _in_value(value[key], tools, depth - 1)
            return
    inner = value.get("function")
    if isinstance(inner, Mapping):
        yield from _in_value(inner, tools, depth - 1)
        return
    written = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), "")
    name = tool_name(written, tools)
    if name not in tools:
        return
    arguments = next((value[key] for key in _ARGUMENTS if key in value), None)
    if isinstance(arguments, str):
        arguments = parsed(arguments)[0]
    if arguments is None and not value.keys() <= {*_NAMES, *_ARGUMENTS, "id", "type"}:
        # Arguments beside the name.
        arguments = {key: entry for key, entry in value.items() if key not in (*_NAMES, "id", "type")}
    yield TextCall(name, dict(arguments) if isinstance(arguments, Mapping) else {})


def _as_elements(text: str, named: str) -> list[TextCall]:
    """`<function=name><parameter=key>value</parameter></function>`."""
    found = []
    for match in re.finditer(rf"<function=({named})>(.*?)(?:</function>|$)", text, re.DOTALL):
        if "<parameter=" in match[2] or not match[2].strip():
            arguments = {key: _argument(value.strip()) for key, value in _PARAMETER.findall(match[2])}
            found.append(TextCall(match[1], arguments))
    return found


def _argument(text: str) -> Any:
    value, _ = parsed(text) if text[:1] in ("[", "{", '"') else (None, False)
    return text if value is None else value


def _as_name_and_object(text: str, named: str) -> list[TextCall]:
    """A name, markup, and an object of arguments."""
    found = []
    for match in re.finditer(rf"(?<!\w)({named})(?!\w){_MARKUP}(?={{)", text):
        value = next(values(text[match.end() :]), None)
        if value is not None and value[1] == 0 and isinstance(value[0], dict):
            found.append(TextCall(match[1], value[0]))
    return found


def _as_python(text: str, named: str) -> list[TextCall]:
    """`[name(key="value"), …]`, with constants only."""
    found = []
    for match in re.finditer(rf"(?<![\w.])({named})\(", text):
        end = text.find(")", match.end())
        while end >= 0:
            try:
                call = ast.parse(text[match.start() : end + 1].strip(), mode="eval").body
            except (SyntaxError, ValueError, MemoryError, RecursionError):
                end = text.find(")", end + 1)
                continue
            if isinstance(call, ast.Call) and not call.args:
                try:
                    arguments = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords if k.arg}
                except ValueError:
                    break
                found.append(TextCall(match[1], arguments))
            break
    return found
