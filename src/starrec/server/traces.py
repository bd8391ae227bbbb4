"""A trace as the events of a stream: each step as it was written, and what a person reads of it.

Beside the text of a step stand the paragraphs that it adds (`teacher.readable`), in parts: words, items, and
the figures and citations of facts, whose counts come with the step that states them first. So whoever shows a
trace needs to parse nothing, and titles stay data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, Final

from starrec.data import MENTION, Catalogue, plain, unescape
from starrec.recommender import Explanation
from starrec.recommender.reasons import figures
from starrec.signals import Fact
from starrec.signals.citations import numerals
from starrec.teacher import DECIDED, Entry, readable
from starrec.tools import World
from starrec.trajectories import LABEL, Element

_PIECE: Final = re.compile(
    rf"(?P<mention>{MENTION.pattern})|\s?(?P<label>{LABEL.pattern})|(?P<cite>(?<!&)#\d{{1,9}}(?!\d))"
    r"|(?P<entity>&#\d+;)|(?P<figure>\d+(?:[.,]\d+)*%?)"
)


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One event of a trace."""

    event: str
    """`task`, or the tag of a step."""
    content: dict[str, Any]


def trace_events(trace: Explanation, world: World, catalogue: Catalogue) -> Iterator[TraceEvent]:
    """The events of a trace: its task at once, then each step when it is written."""
    elements = [Element("task", trace.task)]
    shown = _until_decided(readable(elements))
    candidates = [
        {"label": plain(label), "item_id": item.item_id, "title": item.title}
        for label, item in trace.candidates.items()
    ]
    facts: dict[int, Fact] = {}
    # What cannot be thought about is an error of the request, not of the stream.
    first = list(islice(trace, 1))
    yield TraceEvent("task", {"candidates": candidates, "entries": _worded(shown, facts)})
    for step in chain(first, trace):
        elements.append(Element(step.tag, step.text))
        facts |= dict(step.facts)
        before, shown = shown, readable(elements)
        if step.tag != "recommend":
            shown = _until_decided(shown)
        if step.tag == "tool_call":
            shown = (*shown[:-1], replace(shown[-1], lines=()))  # its answer is still to come
        kept = _alike(before, shown)
        content: dict[str, Any] = {
            "text": plain(step.text),
            "written": step.written,
            "kept": kept,
            "entries": _worded(shown[kept:], facts),
            "facts": [
                {"number": number, "sentence": plain(world.sentence(fact)), "figures": counted}
                for number, fact in step.facts
                if (counted := figures(world, catalogue, fact)) is not None
            ],
        }
        if step.tag == "recommend":
            named = [trace.candidates[found.group()] for found in LABEL.finditer(step.text)]
            content["ranking"] = [item.item_id for item in named]
        yield TraceEvent(step.tag, content)


def _until_decided(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    # What decided is known when all is said.
    return tuple(entry for entry in entries if entry.who != DECIDED)


def _alike(before: Sequence[Entry], now: Sequence[Entry]) -> int:
    """How many entries stay as they are: a call stands there before its answer does."""
    same = 0
    while same < min(len(before), len(now)) and before[same] == now[same]:
        same += 1
    return same


def _worded(entries: Sequence[Entry], facts: dict[int, Fact]) -> list[dict[str, Any]]:
    return [
        {
            "who": entry.who,
            "text": list(_parts(entry.text, {})),
            "lines": [list(_parts(line, facts)) for line in entry.lines],
        }
        for entry in entries
    ]


def _parts(text: str, facts: dict[int, Fact]) -> Iterator[dict[str, Any]]:
    """A text as words, items, citations and, behind a citation, its figures.

    Args:
        facts: by number; empty where no sentence of a fact stands in the text.
    """
    at, cited = 0, 0
    for found in _PIECE.finditer(text):
        figure = found["figure"]
        if found["entity"] or (figure and (cited not in facts or figure in numerals(facts[cited].topic))):
            continue
        if words := unescape(text[at : found.start()]):
            yield {"text": words}
        at = found.end()
        if found["mention"]:
            item_id, title = map(unescape, found.group(2, 3))
            yield {"text": title, "item_id": item_id}
        elif found["cite"]:
            cited = int(found["cite"][1:])
            yield {"text": found["cite"], "fact": cited}
        elif figure:
            yield {"text": figure, "fact": cited}
    if words := unescape(text[at:]):
        yield {"text": words}
