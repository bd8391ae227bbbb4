"""The linear form: a trajectory as the one chain of text that a student reads and writes.

    <task>…</task><plan>…</plan><tool_call>{"name":"item_cf","arguments":{"window":"recent"}}</tool_call>
    <tool_response>…</tool_response><reflection>…</reflection><recommend>‹C›‹A›…</recommend>

(in one line, with nothing between the parts). Tags are structure only: no content holds a raw `<` or `>`, so
a title containing `</tool_response><recommend>` is text, and the parser can be exact. `parse` is the format
reward: what it accepts is valid. The same form comes out of `CHAT_TEMPLATE` over OpenAI-style messages, with
generation markers around what the assistant writes, so that the task and the tools' answers carry no loss.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from starrec.trajectories.schema import LABEL, Canonical, ToolCall, Trajectory

TAGS: Final = ("task", "plan", "tool_call", "tool_response", "reflection", "recommend")
"""The elements of the linear form; `<tag>` and `</tag>` are all the tags there are."""

_AGENT_TAGS: Final = {"planner": "plan", "reflector": "reflection", "ranker": "recommend"}
_ELEMENT: Final = re.compile(rf"<({'|'.join(TAGS)})>([^<>]*)</\1>")
_OPENING: Final = re.compile(rf"<({'|'.join(TAGS)})>[^<>]*")
_LABELS: Final = re.compile(rf"(?:{LABEL.pattern})+")

CHAT_TEMPLATE: Final = """\
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{{- '<task>' + message.content + '</task>' -}}
{%- elif message.role == 'tool' -%}
{{- '<tool_response>' + message.content + '</tool_response>' -}}
{%- elif message.tool_calls -%}
{%- for call in message.tool_calls -%}
{%- generation -%}
{{- '<tool_call>{"name":"' + call.function.name + '","arguments":' -}}
{%- if call.function.arguments is string -%}
{{- call.function.arguments -}}
{%- else -%}
{{- call.function.arguments | tojson(separators=(',', ':')) | replace('<', '\\\\u003c') | replace('>', '\\\\u003e') -}}
{%- endif -%}
{{- '}</tool_call>' -}}
{%- endgeneration -%}
{%- endfor -%}
{%- else -%}
{%- set tag = {'planner': 'plan', 'reflector': 'reflection', 'ranker': 'recommend'}[message.name] -%}
{%- generation -%}
{{- '<' + tag + '>' + message.content + '</' + tag + '>' -}}
{%- endgeneration -%}
{%- endif -%}
{%- endfor -%}
"""  # noqa: E501
"""A chat template for transformers that renders `Trajectory.openai_messages()` to exactly `linear(t)`. Tool
arguments may be JSON text, as OpenAI has them, or an object, as transformers and TRL have them."""


class LinearFormError(ValueError):
    """Text that is not a trajectory in linear form; the message names the character and what was expected."""


class Element(NamedTuple):
    """One element of the linear form."""

    tag: str
    text: str
    """What stands between the tags."""
    agent: str = ""
    """Who wrote it, or asked for it; empty where that is not known, as of a student's trace."""

    @property
    def linear(self) -> str:
        """As it stands in the linear form."""
        return f"<{self.tag}>{self.text}</{self.tag}>"


class Segment(NamedTuple):
    """A piece of the linear form."""

    text: str
    """One whole element, tags included."""
    written: bool
    """Whether the assistant writes it, and so learns it."""


def elements(trajectory: Trajectory) -> list[Element]:
    """The elements of the linear form in order; raises `TrajectoryError` as `Trajectory.check`."""
    trajectory.check()
    result = []
    for message in trajectory.messages:
        if message.tool_call is not None:
            result.append(Element("tool_call", message.tool_call.json(), message.agent))
        elif message.role == "assistant":
            result.append(Element(_AGENT_TAGS[message.agent], message.content, message.agent))
        else:
            tag = "task" if message.role == "user" else "tool_response"
            result.append(Element(tag, message.content, message.agent))
    return result


def segments(trajectory: Trajectory) -> list[Segment]:
    """`elements` as text, and which of them are learned; raises `TrajectoryError` as `Trajectory.check`."""
    return [Segment(part.linear, part.tag not in ("task", "tool_response")) for part in elements(trajectory)]


def linear(trajectory: Trajectory) -> str:
    """The trajectory as one chain of text; raises `TrajectoryError` as `Trajectory.check`."""
    return "".join([text for text, _ in segments(trajectory)])


def parse(text: str, labels: Sequence[str] | None = None) -> Canonical:
    """What a linear form says: `parse(linear(t)) == t.canonical()`.

    Args:
        labels: the labels of the task's candidates; when given, the ranking must be a permutation of them.

    Raises:
        LinearFormError: the text is not exactly a task, a plan, calls with their responses and reflections,
            and a ranking of distinct labels, with nothing between, before or after them.
    """
    position = 0
    found: dict[str, list[str]] = {tag: [] for tag in TAGS}
    calls: list[ToolCall] = []
    expected: tuple[str, ...] = ("task",)
    for start, tag, content in _split(text):
        if tag not in expected:
            raise LinearFormError(f"character {start}: <{tag}> where {_names(expected)} was expected")
        if tag == "tool_call":
            calls.append(_call(content, start + len("<tool_call>")))
        found[tag].append(content)
        expected = _FOLLOWING[tag]
        position = start
    if expected:
        raise LinearFormError(f"character {len(text)}: the text ends where {_names(expected)} was expected")
    return Canonical(
        plan=found["plan"][0],
        calls=tuple(calls),
        responses=tuple(found["tool_response"]),
        reflections=tuple(found["reflection"]),
        ranking=_ranking(found["recommend"][0], position + len("<recommend>"), labels),
    )


def parse_call(text: str) -> ToolCall:
    """A tool call from what stands between `<tool_call>` and `</tool_call>`; spacing of the JSON is free.

    Raises:
        LinearFormError: not one JSON object with exactly a `name` and its `arguments` (an object of scalars
            and lists of strings).
    """
    return _call(text, 0)


_STEPS: Final = ("tool_call", "reflection", "recommend")
_FOLLOWING: Final[dict[str, tuple[str, ...]]] = {
    "task": ("plan",),
    "plan": _STEPS,
    "tool_call": ("tool_response",),
    "tool_response": _STEPS,
    "reflection": _STEPS,
    "recommend": (),
}


def _split(text: str) -> list[tuple[int, str, str]]:
    found = []
    position = 0
    while position < len(text):
        element = _ELEMENT.match(text, position)
        if element is None:
            opening = _OPENING.match(text, position)
            if opening is None:
                raise LinearFormError(f"character {position}: {text[position : position + 20]!r} is not a tag")
            raise LinearFormError(
                f"character {opening.end()}: {text[opening.end() : opening.end() + 20]!r} "
                f"where </{opening.group(1)}> was expected"
            )
        found.append((position, element.group(1), element.group(2)))
        position = element.end()
    return found


def _call(text: str, position: int) -> ToolCall:
    try:
        value = json.loads(text, object_pairs_hook=_object)
        if not isinstance(value, dict) or value.keys() != {"name", "arguments"}:
            raise ValueError("give an object with exactly `name` and `arguments`")
        if not isinstance(value["name"], str) or not isinstance(value["arguments"], dict):
            raise ValueError("`name` is a string and `arguments` an object")
        call = ToolCall(value["name"], value["arguments"])
        call.json()
    # A thousand opening brackets are text that a model can write.
    except (ValueError, RecursionError) as error:
        raise LinearFormError(f"character {position}: not a tool call: {error}") from error
    return call


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key stands twice")
    return result


def _ranking(text: str, position: int, labels: Sequence[str] | None) -> tuple[str, ...]:
    if not _LABELS.fullmatch(text):
        raise LinearFormError(f"character {position}: {text[:20]!r} is not a row of labels `‹A›‹B›…`")
    ranking = tuple(label.group() for label in LABEL.finditer(text))
    if len(set(ranking)) < len(ranking):
        raise LinearFormError(f"character {position}: a label stands twice in the ranking")
    if labels is not None and set(ranking) != set(labels):
        raise LinearFormError(f"character {position}: the ranking is not a permutation of the candidates")
    return ranking


def _names(tags: Sequence[str]) -> str:
    return " or ".join(f"<{tag}>" for tag in tags)
