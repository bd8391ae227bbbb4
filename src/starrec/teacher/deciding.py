"""What decided a trace's first place, computed: answers are taken away from its text, and `replay` ranks again.

Nothing here is what a trace says of itself. The score of a candidate is a sum over answers (`replay`), so each
answer has its part of the lead. Whether it decided is another question: who leads without it?
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile, zip_longest
from typing import Final, NamedTuple

from starrec.data import escape
from starrec.teacher.agents import TOOLS_OF
from starrec.teacher.phrases import Names, all_of, words
from starrec.teacher.replay import OWNERS, read_trust, standing_of
from starrec.tools import TOOLS, read_orders
from starrec.trajectories import LABEL, Element, LinearFormError, ToolCall, parse_call

RANKER: Final = "ranker"
_FAST: Final = "star"
"""What the student's `fast_order` calls its order."""
_ALIKE: Final = 1e-9
"""Scores that differ by less are equal: they are sums of floats."""


class Asked(NamedTuple):
    """A tool call of a trace."""

    call: ToolCall
    name: str
    """The tool, with its window where it takes one: `item_cf.recent`."""
    asker: str
    """The agent that asked; where that is not known, the analyst whose trust the answer carries."""


@dataclass(frozen=True, slots=True)
class Source:
    """What one tool, or one analyst's tools, answered in a trace."""

    name: str
    """As `Asked.name`, or the analyst's."""
    part: float
    """Of the first candidate's lead, in the unit of scores; negative where it speaks for the second."""
    leader: str
    """Who leads without it."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What the first place of a trace rests on. Candidates are labels."""

    ranking: tuple[str, ...]
    """As the trace recommends; empty where it does not."""
    order: tuple[str, ...]
    """As its text gives it (`replay`)."""
    second: str
    """Whom `order[0]` leads: the second of the ranking where that begins alike, else of the order."""
    alike: bool
    """Whether the text gives these two the same score."""
    tools: tuple[Source, ...]
    """Those that make a difference, the largest part of the lead first."""
    analysts: tuple[Source, ...]
    """The same by analyst, of those that asked more than one tool."""
    unreflected: str | None
    """Who leads without what reflection added: the trust that it wrote, and what analysts asked after it. None
    where nobody reflected."""
    fast: str | None
    """The first of the student's own fast order, which `replay` leaves out of account; None where nobody asked
    for it."""


def decided(trace: Sequence[Element]) -> Decided | None:
    """What decided a trace, finished or not; None where fewer than two candidates are to be ranked."""
    standing = standing_of(trace)
    order = tuple(standing.order())
    if len(order) < 2:
        return None
    ranking = tuple(
        found.group() for tag, text, _ in trace if tag == "recommend" for found in LABEL.finditer(text)
    )
    scores = standing.scores()
    first, second = order[:2]
    if ranking[:1] == order[:1] and ranking[1:2] and ranking[1] in scores:
        second = ranking[1]
    lead = scores[first] - scores[second]

    def source(name: str, answers: Collection[int]) -> Source:
        rest = standing_of(_without(trace, answers))
        left = rest.scores()
        return Source(name, lead - (left[first] - left[second]), rest.order()[0])

    def telling(groups: dict[str, list[int]]) -> tuple[Source, ...]:
        found = [source(name, answers) for name, answers in groups.items()]
        found = [each for each in found if abs(each.part) > _ALIKE or each.leader != first]
        return tuple(sorted(found, key=lambda each: -each.part))

    by_tool: dict[str, list[int]] = {}
    by_analyst: dict[str, list[int]] = {}
    tools_of: dict[str, set[str]] = {}
    for at, asked in answers_of(trace):
        by_tool.setdefault(asked.name, []).append(at)
        by_analyst.setdefault(asked.asker, []).append(at)
        tools_of.setdefault(asked.asker, set()).add(asked.name)
    several = {name: by_analyst[name] for name, tools in tools_of.items() if len(tools) > 1 and name != RANKER}
    reflected = any(part.tag == "reflection" for part in trace)
    orders = (order for at, _ in answers_of(trace) for order in read_orders(trace[at].text))
    return Decided(
        ranking,
        order,
        second,
        abs(lead) < _ALIKE,
        telling(by_tool),
        telling(several),
        standing_of(_without(trace, _added_by_reflection(trace))).order()[0] if reflected else None,
        next((order.groups[0][0] for order in orders if order.signal == _FAST), None),
    )


def in_words(found: Decided, names: Names) -> str:
    """What decided, in a few sentences."""
    first = found.order[0]
    if not found.ranking:
        leads = "" if found.alike else f" By what stands here, {names.name(first)} leads."
        return f"Unfinished: no ranking.{leads}"
    if found.ranking[0] != first:
        parts = [
            f"First place: {names.name(found.ranking[0])}.",
            f"The ranking differs from what its text gives: there, {names.name(first)} leads.",
        ]
        if found.fast == found.ranking[0]:
            parts.append("The student's fast order has the same first.")
        return " ".join(parts)
    agreeing = len(list(takewhile(lambda both: both[0] == both[1], zip_longest(found.order, found.ranking))))
    follows = (
        "The ranking follows"
        if agreeing == len(found.order)
        else "The first place follows"
        if agreeing == 1
        else f"The first {agreeing} places follow"
    )
    parts = [f"First place: {names.name(first)}, ahead of {names.name(found.second)}."]
    because, *more = _because(found, names)
    parts += [f"{follows} from the text: {because}", *more]
    if found.unreflected == first:
        parts.append("The reflection did not change the first place.")
    elif found.unreflected is not None:
        parts.append(f"Without the reflection, {names.name(found.unreflected)} would lead.")
    return " ".join(parts)


def _because(found: Decided, names: Names) -> list[str]:
    """Without which tool somebody else would lead, and from which the lead comes: sentences, of which the first
    goes on after a colon."""
    if found.alike:
        return ["both score alike, and a hash of the item orders them."]
    first = found.order[0]
    leaders: dict[str, list[str]] = {}
    for source in found.tools:
        if source.leader != first:
            leaders.setdefault(source.leader, []).append(source.name)
    parts: list[str] = []
    for leader, (tool, *others) in leaders.items():
        alike = f" (or {all_of(others, 'or')})" if others else ""
        without = "Without" if parts else "without"
        parts.append(f"{without} what {tool} said{alike}, {names.name(leader)} would lead.")
    if not leaders:
        parts.append("it would lead without any one tool.")
        parts += [
            f"Without all that {words(source.name)} asked, {names.name(source.leader)} would lead."
            for source in found.analysts
            if source.leader != first
        ]
    if found.tools and found.tools[0].leader == first:
        parts.append(f"The largest part of its lead comes from {found.tools[0].name}.")
    return parts


def read_asked(call: Element) -> Asked:
    """What a call asks; a call that is cut off or malformed asks the tool `unreadable`."""
    try:
        read = parse_call(call.text)
    except LinearFormError:
        read = ToolCall("unreadable")
    spec = TOOLS.get(read.name)
    window = escape(str(read.arguments.get("window", "recent"))) if spec is not None and spec.windows else ""
    analysts = (analyst for analyst, tools in TOOLS_OF.items() if read.name in tools)
    name = f"{read.name}.{window}" if window else read.name
    return Asked(read, name, call.agent or OWNERS.get(name) or next(analysts, RANKER))


def answers_of(trace: Sequence[Element]) -> Iterator[tuple[int, Asked]]:
    """The place of each answer in a trace, with the call that it answers."""
    for at in range(1, len(trace)):
        if (trace[at - 1].tag, trace[at].tag) == ("tool_call", "tool_response"):
            yield at, read_asked(trace[at - 1])


def _added_by_reflection(trace: Sequence[Element]) -> set[int]:
    """Places of the reflections that write trust, and of the answers to analysts after the first reflection."""
    reflections = [at for at, part in enumerate(trace) if part.tag == "reflection"]
    if not reflections:
        return set()
    trusting = {at for at in reflections if read_trust(trace[at].text)}
    return trusting | {at for at, asked in answers_of(trace) if at > reflections[0] and asked.asker != RANKER}


def _without(trace: Sequence[Element], places: Collection[int]) -> list[Element]:
    return [part for at, part in enumerate(trace) if at not in places]
