"""Facts as language: a sentence for people and agents, a compact form for fast mode, and the way back.

The sentence is a view of the fact, and every figure in it can be read back (`read`) and compared. That is how
a reflection which a model wrote is checked: each of its sentences that holds a figure is a claim, and a claim
counts only if it reads as one of these sentences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starrec.data import escape, unescape
from starrec.signals.evidence import FOLLOW_WINDOW, SIGNALS, Fact, Kind, Window

SMALL: Final = 10
"""Bases up to this are said as counts ("3 of the 7 people"), larger ones as rates."""


def sentence(fact: Fact, mentions: Sequence[str]) -> str:
    """The fact as one English sentence; items are mentions (`⟦id|title⟧`).

    Figures are rounded half to even from the exact fraction, so that a program gets the same ones.

    Args:
        mentions: of each item, in index order.
    """
    subject = mentions[fact.subject] if fact.subject >= 0 else ""
    anchor = mentions[fact.anchor] if fact.anchor >= 0 else ""
    tenths = _rounded(10 * fact.both * fact.population, fact.base * fact.total)
    lift = f", {tenths // 10}.{tenths % 10} times what its popularity predicts."
    match fact.kind:
        case "item_cf":
            return f"{_of_people(fact)} who took {anchor} also took {subject}{lift}"
        case "transition":
            return f"{_of_people(fact)} who took {anchor} took {subject} within their next {FOLLOW_WINDOW}."
        case "user_cf":
            return (
                f"{fact.both} of the {fact.base} people with the most similar {fact.window} history took "
                f"{subject}{lift}"
            )
        case "popularity":
            return f"{fact.both} of {fact.base} people took {subject}."
        case "category":
            return f"{fact.both} of the last {fact.base} items share a category with {subject}."
        case "taste":
            return f"{fact.both} of the last {fact.base} items are {_escape_topic(fact.topic)}."


def compact(signal: str, level: int) -> str:
    """A signal's level as one compact token, such as `‹item_cf.recent=9›`; level -1 is `none`.

    Raises:
        ValueError: there is no such signal.
    """
    if signal not in SIGNALS:
        raise ValueError(f"no signal {signal!r}; there are {', '.join(SIGNALS)}")
    return f"‹{signal}={level if level >= 0 else 'none'}›"


def labels(n: int) -> tuple[str, ...]:
    """How n candidates are called, in task order: `‹A›` to `‹Z›`, then `‹AA›`, `‹AB›`, …"""
    named = []
    for index in range(n):
        name = ""
        while index >= 0:
            name = chr(ord("A") + index % 26) + name
            index = index // 26 - 1
        named.append(f"‹{name}›")
    return tuple(named)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a sentence asserts, with the figures as they were said."""

    kind: Kind
    window: Window
    anchor: str
    """Item id, empty where there is none."""
    subject: str
    """Item id; for a taste the category."""
    figures: tuple[str, ...]


_ITEM: Final = r"⟦([^⟦⟧|]*)\|[^⟦⟧|]*⟧"
_PEOPLE: Final = r"(?:(\d+) of the (\d+) people|(\d+)% of the (\d+) people)"
_LIFT: Final = r", (\d+\.\d) times what its popularity predicts"
_FORMS: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    ("item_cf", re.compile(f"{_PEOPLE} who took {_ITEM} also took {_ITEM}{_LIFT}")),
    ("transition", re.compile(f"{_PEOPLE} who took {_ITEM} took {_ITEM} within their next (\\d+)")),
    (
        "user_cf",
        re.compile(
            rf"(\d+) of the (\d+) people with the most similar (whole|recent) history took {_ITEM}{_LIFT}"
        ),
    ),
    ("popularity", re.compile(rf"(\d+) of (\d+) people took {_ITEM}")),
    ("category", re.compile(rf"(\d+) of the last (\d+) items share a category with {_ITEM}")),
    ("taste", re.compile(r"(\d+) of the last (\d+) items are (.*)")),
)


def read(text: str) -> Claim | None:
    """The claim that one sentence (without its full stop) makes, or None if it is none of `sentence`'s."""
    for kind, form in _FORMS:
        found = form.fullmatch(text)
        if found is None:
            continue
        said = [group for group in found.groups() if group is not None]
        match kind:
            case "item_cf" | "transition":
                percent = "%" if found.group(3) is not None else ""
                figures = (said[0] + percent, said[1], *said[4:])
                return Claim(kind, "", unescape(said[2]), unescape(said[3]), figures)
            case "user_cf":
                window: Window = "whole" if said[2] == "whole" else "recent"
                return Claim(kind, window, "", unescape(said[3]), (said[0], said[1], said[4]))
            case _:
                return Claim(kind, "", "", unescape(said[2]), (said[0], said[1]))
    return None


_SENTENCE_END: Final = re.compile(r"\.(?:\s|$)")
_LEAD: Final = re.compile(r"^(?:‹[A-Z]+›|[:\s])+")


def claims(text: str) -> list[Claim | None]:
    """Each claim in a text: every sentence with a figure outside mentions, None where it reads as no fact.

    A label in front of a sentence (`‹C›: …`) belongs to the text, not to the claim.
    """
    masked: list[str] = []

    def hide(found: re.Match[str]) -> str:
        masked.append(found.group())
        return f"⟦{len(masked) - 1}⟧"

    hidden = re.sub("⟦[^⟦⟧]*⟧", hide, text)
    found: list[Claim | None] = []
    for part in _SENTENCE_END.split(hidden):
        body = _LEAD.sub("", part)
        if re.search(r"\d", re.sub(r"⟦\d+⟧|‹[^›]*›", "", body)):
            found.append(read(re.sub(r"⟦(\d+)⟧", lambda at: masked[int(at.group(1))], body)))
    return found


def _of_people(fact: Fact) -> str:
    if fact.base <= SMALL:
        return f"{fact.both} of the {fact.base} people"
    return f"{_rounded(100 * fact.both, fact.base)}% of the {fact.base} people"


def _rounded(numerator: int, denominator: int) -> int:
    """The quotient as the nearest integer, halves to even; 0 for a denominator of 0."""
    if denominator == 0:
        return 0
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2))


def _escape_topic(topic: str) -> str:
    # Categories stand outside mentions, where a full stop before a space would end the sentence.
    return re.sub(r"\.(?=\s)", "&#46;", escape(topic))
