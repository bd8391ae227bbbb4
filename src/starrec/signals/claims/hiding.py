"""Hiding: text with its items, labels, categories and figures replaced by placeholders.

Titles and figures are what sentences differ in; what they say is in the words between. A text is masked
once, and where names may stand in it in plain words they are looked up.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from starrec.signals.claims.meaning import UNKNOWN, Number
from starrec.signals.claims.names import Catalogue, choose
from starrec.signals.claims.sentences import BREAK, DECIMAL, HIDDEN, ITEM, LABEL, TOPIC, WHOLE


@dataclass(frozen=True, slots=True)
class Masked:
    text: str
    slots: list[int | Number | str]
    """What each placeholder stands for: an item, a figure, a category."""
    starts: list[int]
    """Where each stands in the masked text."""
    grown: list[int]
    """How many characters longer the text was, up to and with each slot."""

    def place(self, at: int) -> int:
        """A place of the masked text, in the text."""
        low, high = 0, len(self.starts)
        while low < high:
            middle = (low + high) // 2
            if self.starts[middle] < at:
                low = middle + 1
            else:
                high = middle
        return at + (self.grown[low - 1] if low else 0)


_JSON: Final = re.compile(r"<(tool_call|recommend|task)>.*?(?:</\1>|$)", re.DOTALL)


def mask(text: str, catalogue: Catalogue, labels: Mapping[str, int], at_hand: Collection[int]) -> Masked:
    if "<" in text:
        # Calls, rankings and the task itself assert nothing.
        text = _JSON.sub(lambda found: "<" + "_" * (len(found.group()) - 2) + ">", text)
    hidden = [(found.start(), found.end(), found.lastgroup) for found in HIDDEN.finditer(text)]
    names = []
    if _may_hold_names(_outline(text, hidden), catalogue):
        kept = _blanked(text, hidden)
        names = [(name.start, name.end, name) for name in catalogue.names_in(kept, at_hand)]
        covered = [(start, end) for start, end, _ in names]
        hidden = [one for one in hidden if not any(a <= one[0] < b for a, b in covered)]
    parts: list[str] = []
    slots: list[int | Number | str] = []
    starts: list[int] = []
    grown: list[int] = []
    at = length = 0
    for start, end, what in sorted([*hidden, *names], key=lambda one: one[0]):
        parts.append(text[at:start])
        length += start - at
        if what == "mention":
            mark = ITEM
            slots.append(catalogue.mentioned(text[start:end], at_hand))
        elif what == "label":
            mark = LABEL
            slots.append(labels.get(text[start:end], UNKNOWN))
        elif what == "figure":
            number = _number(text[start:end])
            mark = DECIMAL if number.places > 0 or number.digits < 0 or text[start] in "+-−" else WHOLE
            slots.append(number)
        elif isinstance(what, str) or what is None:
            mark = BREAK
        elif what.topic and not what.items:
            mark = TOPIC
            slots.append(what.topic)
        else:
            mark = ITEM
            slots.append(choose(what.items, at_hand) if what.items != (UNKNOWN,) else UNKNOWN)
        parts.append(mark)
        if mark != BREAK:
            starts.append(length)
            grown.append(end - (length + 1))
        length += 1
        at = end
        if mark == BREAK and end - start != 1:
            # Keep places right: breaks grow the text as slots do.
            starts.append(length - 1)
            grown.append(end - length)
    parts.append(text[at:])
    return Masked("".join(parts), slots, starts, grown)


def _outline(text: str, hidden: list[tuple[int, int, str | None]]) -> str:
    """The text with every figure a 0 and everything else that is hidden a space."""
    parts: list[str] = []
    at = 0
    for start, end, what in hidden:
        parts += (text[at:start], "0" if what == "figure" else " ")
        at = end
    parts.append(text[at:])
    return "".join(parts)


@lru_cache(maxsize=1 << 14)
def _may_hold_names(outline: str, catalogue: Catalogue) -> bool:
    return catalogue.may_hold_names(outline)


def _blanked(text: str, hidden: list[tuple[int, int, str | None]]) -> str:
    parts: list[str] = []
    at = 0
    for start, end, what in hidden:
        if what != "figure":
            parts += (text[at:start], ITEM, " " * (end - start - 1))
            at = end
    parts.append(text[at:])
    return "".join(parts)


@lru_cache(maxsize=1 << 14)
def _number(said: str) -> Number:
    whole, _, decimals = said.replace(",", "").replace("−", "-").partition(".")
    return Number(int(whole + decimals), len(decimals))
