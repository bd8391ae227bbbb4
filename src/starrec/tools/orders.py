"""The order in which a signal puts candidates, as a tool writes it, and how agents read a tool's answer.

`item_cf.recent ‹C›‹A›=‹B›‹F›.` says that C scores highest, that A and B score alike behind it, and that F
comes last of those for which the signal has any evidence; the others do not stand in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_LABEL: Final = "‹[A-Z]+›"
_ORDER: Final = re.compile(rf"(?<![a-z_])([a-z_]++(?:\.[a-z]++)?) ({_LABEL}(?:=?{_LABEL})*)\.(?= |$)")
_PLACES: Final = re.compile(rf"(=?)({_LABEL})")
_LEVELS: Final = re.compile(r"‹([a-z_.]+)=(\d+)›")
_OF_LABEL: Final = re.compile(rf"({_LABEL}) ((?:⟦[^⟦⟧]*⟧|[^‹⟦]++)+)")
_NUMBERED: Final = re.compile(r"(?<!&)(#\d+) ((?:⟦[^⟦⟧]*⟧|&#\d+;|&|[^#⟦&]++)+)")
# A full stop ends a sentence only before a space or the end: categories hold none there, mentions may.
_SENTENCE: Final = re.compile(r"(?:^|(?<= ))(#\d+) ((?:⟦[^⟦⟧]*⟧|[^⟦.]|\.(?! |$))*\.)")
_ROW: Final = re.compile(rf"⟦[^⟦⟧]*⟧((?:‹[a-z_.]+=(?:\d+|none)›)+)({_LABEL})")

REFUSED: Final = "error: "
"""How the answer to a refused call begins; it states no facts."""
CUT: Final = " (cut)"
"""Ends an answer of which not all is shown."""
_KEPT: Final = 64
"""Answers of which what was read is kept: each agent of a run reads what those before it read."""


class Order(NamedTuple):
    """Candidates by one signal's evidence."""

    signal: str
    groups: tuple[tuple[str, ...], ...]
    """Labels, most promising first; those that score alike stand in one group."""


def order_text(
    signal: str,
    scores: NDArray[np.float64],
    labels: Sequence[str],
    ties: NDArray[np.uint64],
    columns: Sequence[int] | None = None,
) -> str:
    """A signal's order as text; empty where it has evidence for none.

    Args:
        scores: `(c,)`, higher is more promising; what is not above 0 (or is NaN) has no evidence.
        ties: `(c,)` hash of each candidate, by which those that score alike are written.
        columns: of the candidates that were asked about; None for all.
    """
    known = np.where(scores > 0, scores, 0.0)
    asked = range(len(labels)) if columns is None else set(columns)
    order = [at for at in np.lexsort((ties, -known)).tolist() if known[at] > 0 and at in asked]
    if not order:
        return ""
    text = labels[order[0]]
    for before, at in pairwise(order):
        text += ("=" if known[before] == known[at] else "") + labels[at]
    return f"{signal} {text}."


@lru_cache(maxsize=_KEPT)
def read_orders(text: str) -> tuple[Order, ...]:
    """The orders that a tool's answer holds."""
    orders = []
    for signal, places in _ORDER.findall(text):
        groups: list[list[str]] = []
        for equal, label in _PLACES.findall(places):
            if equal:
                groups[-1].append(label)
            else:
                groups.append([label])
        orders.append(Order(signal, tuple(map(tuple, groups))))
    return tuple(orders)


def read_levels(text: str) -> dict[str, dict[str, int]]:
    """The levels of each candidate in an answer of `compare`, by label and signal; `none` is left out."""
    return {
        label: {signal: int(level) for signal, level in _LEVELS.findall(levels)}
        for levels, label in _ROW.findall(text)
    }


@lru_cache(maxsize=_KEPT)
def read_facts(text: str) -> tuple[tuple[str, str, str], ...]:
    """The facts that an answer states of candidates: label, number (`#12`) and sentence of each."""
    return tuple(
        (label, cite, words.strip())
        for label, part in _OF_LABEL.findall(text)
        for cite, words in _NUMBERED.findall(part)
    )


@lru_cache(maxsize=_KEPT)
def read_sentences(text: str) -> tuple[tuple[str, str], ...]:
    """All facts that an answer states, those of the history too: number (`#12`) and sentence of each. None in
    what is no answer: a refusal, or the rows of `compare`."""
    if text.startswith((REFUSED, "⟦")):
        return ()
    return tuple(_SENTENCE.findall(text))
