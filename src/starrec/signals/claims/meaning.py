"""What a claim says: a measure of the graph, and a quantity that the measure is said to have.

Every claim about the graph, whatever its wording, is one statement: *this measure (per that one) lies in this
interval*. "20% of the 64 people who took A also took B" says that n(A, B), per hundredth of n(A), lies in
[19.5, 20.5], and besides that n(A) is 64; "B is more popular than A" that n(B) per n(A) lies above 1. So
there is one semantics, and one rule for each way of saying a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "people",  # others who took all of `items` and none of `left`; all others where both are empty
    "any",  # others who took at least one of `items`
    "followed",  # others who took the second of `items` within their next `reach` after the first
    "choices",  # choices of the item (of anything, without one) in the days before the task's own
    "kin",  # of the last `items of history`, those that share a category with the item
    "unkin",  # those that share none
    "untaste",  # of these, those not of category `topic`
    "taste",  # of these, those of category `topic`
    "last",  # how many these are
    "latest",  # how many of them recency is said of
    "spread",  # distinct categories among these
    "recency",  # days within which the last ones were taken
    "rated",  # rated items of the history
    "liked",  # of these, those above their own mean
    "disliked",  # of these, those below it
    "traits",  # categories and title words that two items share
    "all_traits",  # that either of them has
    "similarity",  # of two descriptions, in percent
    "weight",  # what the first item adds to the second in the linear model
    "lift",  # people who took both (neighbours who took the last) over what popularity predicts
    "expected",  # what popularity alone predicts for the people who took both
    "trend",  # share of the recent choices over the usual share
    "contrary",  # as `lift`, where popularity predicts enough people to speak of avoiding
    "most",  # the largest n of `items`
    "least",  # the smallest
    "nothing",  # cannot be counted
]
Window: TypeAlias = Literal["", "recent", "whole", "either"]
"""Whose neighbours are asked: nobody's, those of the recent or of the whole history, of an unsaid one."""
Unit: TypeAlias = Literal["count", "share", "times", "amount"]
"""A whole number; percent; a multiple; a number that was rounded."""
Comparison: TypeAlias = Literal[
    "exact", "one in", "about", "nearly", "over", "under", "at least", "at most", "between", "vague"
]

UNKNOWN: Final = -1
"""An item that is named but not known, or not unambiguously."""
IT: Final = -2
"""The item that was spoken of last."""
BOTH: Final = -3
"""The two items that were spoken of last."""

_ONE_IN: Final = Fraction(5, 2)
"""Points that "one in five" may be off."""

Interval: TypeAlias = tuple[Fraction | None, Fraction | None, bool, bool]
"""Low and high (None: unbounded), and whether each belongs to it."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was said: `digits / 10 ** places`."""

    digits: int
    places: int = 0
    """Decimals said; negative for a number that is not rounded at all."""
    over: int = 1
    """Denominator, of a fraction in words."""
    slack: Fraction | None = None
    """What is allowed on either side of a number in words: "half" is 50%, 5 points more or less."""
    slot: int = -1
    """Where the figure stands in the text, until it is filled in."""

    @property
    def value(self) -> Fraction:
        return Fraction(self.digits, self.over * 10 ** max(self.places, 0))


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with how it is compared and what it counts."""

    unit: Unit
    comparison: Comparison
    number: Number
    upper: Number | None = None

    @property
    def interval(self) -> Interval:
        """The values of which it is true."""
        return _interval(self)


@lru_cache(maxsize=4096)
def _interval(said: Quantity) -> Interval:
    number, value = said.number, said.number.value
    match said.comparison:
        case "over":
            return value, None, False, False
        case "under":
            return None, value, False, False
        case "at least":
            return value, None, True, False
        case "at most":
            return None, value, False, True
        case "nearly":
            return value * Fraction(9, 10), value, True, False
        case "one in":
            assert said.upper is not None
            share = 100 * value / (said.upper.value or 1)
            return share - _ONE_IN, share + _ONE_IN, True, True
        case "between":
            assert said.upper is not None
            return value, said.upper.value, True, True
        case "about" if number.slack is None:
            slack = abs(value) / 10
            if said.unit == "share":
                slack = max(slack, Fraction(2))
            return value - slack, value + slack, True, True
    if number.slack is not None:
        # "Twice" is 1.5 or more and less than 2.5.
        return value - number.slack, value + number.slack, True, said.unit != "times"
    if said.unit == "count" or number.places < 0:
        return value, value, True, True
    # Rounded half to even at the last decimal that was said.
    half = Fraction(1, 2 * 10**number.places)
    even = number.digits % 2 == 0
    return value - half, value + half, even, even


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that the graph can be asked for."""

    kind: Kind
    items: tuple[int, ...] = ()
    left: tuple[int, ...] = ()
    window: Window = ""
    topic: str = ""
    reach: Number | None = None
    """What was said of how far it reaches: items of a transition, days of a trend."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: `measure` (per `base`) has this quantity."""

    measure: Measure
    quantity: Quantity
    base: Measure | None = None
    """What it is a share of, a multiple of, or counted among."""
    said_base: Quantity | None = None
    """How large the base is said to be."""
    negated: bool = False
    owner: int | None = None
    """An item other than its own whose popularity it is held against."""
    span: tuple[int, int] = (0, 0)
    """Where in the text it stands."""
    unread: str = ""
    """Why it has no reading; such a claim is unverifiable."""

    @property
    def items(self) -> tuple[int, ...]:
        """The items it is about: anchors first, the subject last."""
        return self.measure.items + self.measure.left
