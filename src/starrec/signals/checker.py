"""The checker: is what a text says of the graph true, for the task that it is said to?

Every claim of a text (see `claims`) is held against the counts of the graph as the task may see it, without
the task's own user. *Verified* is what is true of that graph, *contradicted* what is false there, and
*unverifiable* what cannot be read or has no basis: an item nobody knows, data without a clock, a vague
amount. Where it is open which of two things is meant, both must be true to be verified.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Final, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from starrec.data import Dataset
from starrec.errors import DataError
from starrec.signals.claims import Catalogue, Claim, Measure, Quantity, read
from starrec.signals.claims.meaning import UNKNOWN, Number
from starrec.signals.evidence import (
    CONTRARY_EXPECTED,
    NEIGHBOURS,
    RECENT,
    TASTE_WINDOW,
    WHOLE,
    Sight,
)
from starrec.signals.language import FOLLOW_WINDOW, TREND_DAYS, labels

Verdict: TypeAlias = Literal["verified", "contradicted", "unverifiable"]

_REMEMBERED: Final = 8
"""Sights whose counts are kept: a trace is checked sentence by sentence."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One claim of a text, and whether it is true."""

    span: tuple[int, int]
    """Where in the text it stands."""
    claim: Claim | None
    """What it says; None where it has no reading."""
    verdict: Verdict
    reason: str
    """Why, with the true figures."""


class Checker:
    """Checks texts over one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._counts: OrderedDict[int, Counts] = OrderedDict()

    @classmethod
    def of(cls, dataset: Dataset) -> Checker:
        """A checker for this dataset's titles and categories."""
        topics = dataset.items["categories"].explode().drop_nulls().unique(maintain_order=True).to_list()
        return cls(Catalogue(dataset.mentions, topics))

    def check(self, text: str, sight: Sight) -> list[Checked]:
        """Each claim of a text about the graph, checked against what the task may see of it."""
        counts = self._of(sight)
        return [
            Checked(
                claim.span,
                None if claim.unread else claim,
                *_judge(claim, counts, self.catalogue),
            )
            for claim in read(text, self.catalogue, counts.labels, counts.at_hand)
        ]

    def _of(self, sight: Sight) -> Counts:
        known = self._counts.get(id(sight))
        if known is not None:
            self._counts.move_to_end(id(sight))
            return known
        counts = self._counts[id(sight)] = Counts(sight)
        if len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
        return counts


class NoBasis(Exception):
    """What a claim asks cannot be answered; the message says why."""


class Counts:
    """The answers to measures for one sight, each asked of the graph once."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        hand = np.concatenate([sight.history, sight.candidates]).tolist()
        self.at_hand = frozenset(hand)
        names = labels(len(sight.candidates))
        self.labels: Mapping[str, int] = dict(zip(names, sight.candidates.tolist(), strict=True))
        self._known: dict[Measure, Fraction] = {}
        self._n: dict[int, int] = {}
        self._both: dict[tuple[int, int], int] = {}

    def value(self, measure: Measure) -> Fraction:
        """What the graph says.

        Raises:
            NoBasis: it does not know.
        """
        found = self._known.get(measure)
        if found is None:
            if UNKNOWN in measure.items or UNKNOWN in measure.left:
                raise NoBasis("it names an item that is not known, or not unambiguously")
            found = Fraction(_ANSWERS[measure.kind](self, measure))
            self._known[measure] = found
        return found

    def over_last(self, measure: Measure, length: int) -> Fraction:
        """What is counted over the last items of the history, over the last so many of them."""
        sight = self.sight
        days = None if sight.days is None else sight.days[-length:]
        return Counts(replace(sight, history=sight.history[-length:], days=days)).value(measure)

    @property
    def n_users(self) -> int:
        return self.sight.view.n_users

    def n(self, item: int) -> int:
        found = self._n.get(item)
        if found is None:
            items = self.sight.candidates if item in self.labels.values() else _one(item)
            for at, count in zip(items.tolist(), self.sight.view.popularity(items).tolist(), strict=True):
                self._n[at] = count
            found = self._n[item]
        return found

    def both(self, a: int, b: int) -> int:
        if a == b:
            return self.n(a)
        found = self._both.get((a, b))
        if found is None:
            found = int(self.sight.view.cooccurrence(_one(a), _one(b))[0, 0])
            self._both[a, b] = self._both[b, a] = found
        return found

    # Answers by kind of measure.

    def people(self, measure: Measure) -> int:
        took, left = tuple(dict.fromkeys(measure.items)), tuple(dict.fromkeys(measure.left))
        if measure.window:
            return self._alike(measure.window, took, left)
        if set(took) & set(left):
            return 0
        match took, left:
            case (), ():
                return self.n_users
            case (a,), ():
                return self.n(a)
            case (), (a,):
                return self.n_users - self.n(a)
            case (a, b), ():
                return self.both(a, b)
            case (a,), (b,):
                return self.n(a) - self.both(a, b)
            case (), (a, b):
                return self.n_users - self.n(a) - self.n(b) + self.both(a, b)
        raise NoBasis("it speaks of more than two items at once")

    def any(self, measure: Measure) -> int:
        a, b = measure.items
        return self.n(a) + self.n(b) - self.both(a, b)

    def followed(self, measure: Measure) -> int:
        self._reaches(measure, FOLLOW_WINDOW, "items")
        a, b = measure.items
        return int(self.sight.view.followed(_one(a), _one(b))[0, 0]) if a != b else 0

    def choices(self, measure: Measure) -> int:
        self._reaches(measure, TREND_DAYS, "days")
        items = np.array(measure.items, dtype=np.int32)
        found, total = self._recent(items)
        return int(found[0]) if len(items) else total

    def trend(self, measure: Measure) -> Fraction:
        self._reaches(measure, TREND_DAYS, "days")
        (b,) = measure.items
        found, total = self._recent(_one(b))
        usual = self.n(b) * total
        if not usual:
            raise NoBasis("nobody took it, or nothing was taken in these days")
        return Fraction(int(found[0]) * self.sight.view.choices, usual)

    def kin(self, measure: Measure) -> int:
        (b,) = measure.items
        return self.sight.evidence.semantics.shared_categories(self._lately, b)

    def taste(self, measure: Measure) -> int:
        semantics = self.sight.evidence.semantics
        if measure.topic not in semantics.topics:
            raise NoBasis(f"there is no category {measure.topic!r}")
        return int(semantics.category[self._lately, semantics.topics.index(measure.topic)].sum())

    def unkin(self, measure: Measure) -> int:
        return len(self._lately) - self.kin(measure)

    def untaste(self, measure: Measure) -> int:
        return len(self._lately) - self.taste(measure)

    def last(self, measure: Measure) -> int:
        if not len(self._lately):
            raise NoBasis("the history is empty")
        return len(self._lately)

    def latest(self, measure: Measure) -> int:
        return len(self._days[-RECENT:])

    def spread(self, measure: Measure) -> int:
        return int((self.sight.evidence.semantics.category[self._lately].sum(axis=0) > 0).sum())

    def recency(self, measure: Measure) -> int:
        days = self._days[-RECENT:]
        return int(days.max() - days.min()) + 1

    def rated(self, measure: Measure) -> int:
        return len(self._ratings)

    def liked(self, measure: Measure) -> int:
        return int((self._ratings > self._ratings.mean()).sum())

    def disliked(self, measure: Measure) -> int:
        return int((self._ratings < self._ratings.mean()).sum())

    def traits(self, measure: Measure) -> int:
        return self.sight.evidence.semantics.traits(*_two(measure))[0]

    def all_traits(self, measure: Measure) -> int:
        return self.sight.evidence.semantics.traits(*_two(measure))[1]

    def similarity(self, measure: Measure) -> Fraction:
        found = self.sight.evidence.semantics.similarity(*_two(measure))
        if found is None:
            raise NoBasis("without embeddings there is no such similarity")
        return Fraction(round(100 * found))

    def weight(self, measure: Measure) -> Fraction:
        a, b = _two(measure)
        found = float(self.sight.view.conditional(_one(a), _one(b))[0, 0])
        if np.isnan(found):
            raise NoBasis("the linear model does not know one of the items")
        return Fraction(round(1000 * found), 1000)

    def expected(self, measure: Measure) -> Fraction:
        a, b = _two(measure)
        if not self.n_users:
            raise NoBasis("there is nobody else")
        return Fraction(self.n(a) * self.n(b), self.n_users)

    def lift(self, measure: Measure) -> Fraction:
        if measure.window:
            (b,) = measure.items
            size = self.people(Measure("people", window=measure.window))
            base = size * self.n(b)
            both = self._alike(measure.window, (b,), ())
        else:
            a, b = _two(measure)
            base, both = self.n(a) * self.n(b), self.both(a, b)
        if not base:
            raise NoBasis("nobody took one of them, so popularity predicts nothing")
        return Fraction(both * self.n_users, base)

    def contrary(self, measure: Measure) -> Fraction:
        """Lift in units of what counts as rare; at least 1 where popularity predicts too few to tell."""
        if measure.window:
            raise NoBasis("what is rare among neighbours is not defined")
        if self.expected(measure) < CONTRARY_EXPECTED:
            return Fraction(1)
        return self.lift(measure) * 2

    def most(self, measure: Measure) -> int:
        return max(self.n(item) for item in measure.items)

    def least(self, measure: Measure) -> int:
        return min(self.n(item) for item in measure.items)

    # What they are made of.

    @cached_property
    def _lately(self) -> NDArray[np.int32]:
        return self.sight.history[-WHOLE:][-TASTE_WINDOW:]

    @cached_property
    def _days(self) -> NDArray[np.int32]:
        if self.sight.days is None or not len(self.sight.days):
            raise NoBasis("this data has no clock")
        return self.sight.days

    @cached_property
    def _ratings(self) -> NDArray[np.float64]:
        ratings = self.sight.ratings
        if ratings is None or np.isnan(ratings).all():
            raise NoBasis("nothing in the history is rated")
        return ratings[~np.isnan(ratings)].astype(np.float64)

    def _recent(self, items: NDArray[np.int32]) -> tuple[NDArray[np.int64], int]:
        if self.sight.day is None:
            raise NoBasis("this data has no clock")
        try:
            return self.sight.view.recent_choices(items, self.sight.day)
        except DataError as error:
            raise NoBasis("this data has no clock") from error

    @cached_property
    def _neighbours(self) -> dict[str, NDArray[np.int64]]:
        history = self.sight.history[-WHOLE:]
        return {
            "recent": self.sight.view.neighbours(history[-RECENT:], NEIGHBOURS)[0],
            "whole": self.sight.view.neighbours(history, NEIGHBOURS)[0],
        }

    def _alike(self, window: str, took: tuple[int, ...], left: tuple[int, ...]) -> int:
        users = self._neighbours[window]
        if not len(users):
            raise NoBasis("nobody's history overlaps with this one")
        if not (took or left):
            return len(users)
        if len(took) + len(left) > 1:
            raise NoBasis("it speaks of more than one item among neighbours")
        count = self.sight.view.taken_by(_one(*(took or left)), users, np.ones(len(users)))[0]
        return int(count[0]) if took else len(users) - int(count[0])

    def _reaches(self, measure: Measure, window: int, unit: str) -> None:
        if measure.reach is not None and measure.reach.value != window:
            raise NoBasis(f"the graph counts {window} {unit}, not {_figure(measure.reach.value)}")


_ANSWERS: Final[Mapping[str, Callable[[Counts, Measure], int | Fraction]]] = {
    name: cast(Callable[[Counts, Measure], int | Fraction], getattr(Counts, name))
    for name in [
        "people",
        "any",
        "followed",
        "choices",
        "trend",
        "kin",
        "unkin",
        "taste",
        "untaste",
        "last",
        "latest",
        "spread",
        "recency",
        "rated",
        "liked",
        "disliked",
        "traits",
        "all_traits",
        "similarity",
        "weight",
        "expected",
        "lift",
        "contrary",
        "most",
        "least",
    ]
}


def _one(item: int) -> NDArray[np.int32]:
    return np.array([item], dtype=np.int32)


def _two(measure: Measure) -> tuple[int, int]:
    if len(measure.items) != 2:
        raise NoBasis("it speaks of other than two items")
    return measure.items[0], measure.items[1]


# ----------------------------------------------------------------------------------------------- verdicts


def _judge(claim: Claim, counts: Counts, catalogue: Catalogue) -> tuple[Verdict, str]:
    """Whether a claim is true, and why."""
    if claim.unread:
        return "unverifiable", f"{claim.unread}."
    if _unsaid_window(claim):
        verdicts = [_judge(_in_window(claim, window), counts, catalogue) for window in ("recent", "whole")]
        if verdicts[0][0] == verdicts[1][0]:
            return verdicts[0]
        return "unverifiable", "it does not say by which history, the recent or the whole one."
    if claim.quantity.comparison == "vague":
        return "unverifiable", "it does not say how many."
    try:
        return _weigh(claim, counts, catalogue)
    except NoBasis as reason:
        return "unverifiable", f"{reason}."


def _weigh(claim: Claim, counts: Counts, catalogue: Catalogue) -> tuple[Verdict, str]:
    measure, base = claim.measure, claim.base
    if base is not None and claim.said_base is not None:
        size = counts.value(base)
        if not _holds(claim.said_base, size, 1):
            if claim.negated:
                return "unverifiable", "what exactly is denied is not said."
            if measure.kind in ("kin", "unkin", "taste", "untaste", "spread", "recency"):
                return _other_window(claim, counts, size)
            return "contradicted", f"{_said(base, catalogue)}: {_figure(size)}, not {_words(claim.said_base)}."
    if measure.kind == "similarity" and claim.said_base is not None and claim.said_base.number.value != 100:
        return "unverifiable", "similarity is said of 100."
    if measure.kind == "followed" and measure.reach is not None and measure.reach.value != FOLLOW_WINDOW:
        return _other_reach(claim, counts)
    value = counts.value(measure)
    unit = claim.quantity.unit
    per: Fraction | int = 1
    if base is not None and unit in ("share", "times"):
        per = counts.value(base)
        if unit == "share":
            if not per:
                raise NoBasis(f"there is nobody to take a share of: {_said(base, catalogue)}: 0")
            per = per / 100
    elif unit == "share" and measure.kind != "similarity":
        raise NoBasis("it does not say of what that is a share")
    elif unit == "times" and measure.kind == "similarity":
        per = 100
    true = _holds(claim.quantity, value, per) != claim.negated
    return ("verified" if true else "contradicted"), _reason(claim, value, per, counts, catalogue, true)


def _other_reach(claim: Claim, counts: Counts) -> tuple[Verdict, str]:
    """A transition within other than three items: at least (at most) those within three, at most those who took
    both."""
    measure, quantity = claim.measure, claim.quantity
    assert measure.reach is not None
    within = counts.value(replace(measure, reach=None))
    further = measure.reach.value > FOLLOW_WINDOW
    least, most = (within, counts.value(Measure("people", measure.items))) if further else (Fraction(0), within)
    per = Fraction(1)
    if quantity.unit == "share":
        assert claim.base is not None
        per = counts.value(claim.base) / 100
    low, high, _, _ = quantity.interval
    window = f"it is counted within {FOLLOW_WINDOW} items, not {_figure(measure.reach.value)}"
    if not claim.negated and (
        (high is not None and least > high * per) or (low is not None and most < low * per)
    ):
        return "contradicted", f"{window}: between {_figure(least)} and {_figure(most)} people."
    return "unverifiable", f"{window}."


def _other_window(claim: Claim, counts: Counts, size: Fraction) -> tuple[Verdict, str]:
    """Said of the last so many items, where the window has another size: false, or not what is counted."""
    assert claim.said_base is not None
    said = claim.said_base.number.value
    length = len(counts.sight.history)
    if claim.said_base.comparison != "exact" or not 0 < said <= length:
        return "contradicted", f"the last {_figure(size)} items are looked at, not {_words(claim.said_base)}."
    value = counts.over_last(claim.measure, int(said))
    per = said / 100 if claim.quantity.unit == "share" else 1
    if not _holds(claim.quantity, value, per):
        return "contradicted", f"of the last {_figure(said)} items it is {_figure(value)}."
    return "unverifiable", f"the window is the last {_figure(size)} items, not the last {_figure(said)}."


def _holds(quantity: Quantity, value: Fraction, per: Fraction | int) -> bool:
    """Whether value / per lies in the quantity's interval."""
    low, high, with_low, with_high = quantity.interval
    if not per:
        # Nothing is a multiple of nothing, but anything is more than it.
        return (value > 0 and high is None and not with_low) or (value == 0 and with_low and low == high)
    # In whole numbers: this is asked hundreds of thousands of times.
    ours, unit = value.numerator * per.denominator, value.denominator * per.numerator
    if low is not None:
        above = ours * low.denominator - low.numerator * unit
        if above < 0 or (above == 0 and not with_low):
            return False
    if high is not None:
        below = high.numerator * unit - ours * high.denominator
        if below < 0 or (below == 0 and not with_high):
            return False
    return True


def _unsaid_window(claim: Claim) -> bool:
    return claim.measure.window == "either" or (claim.base is not None and claim.base.window == "either")


def _in_window(claim: Claim, window: Literal["recent", "whole"]) -> Claim:
    base = claim.base and (replace(claim.base, window=window) if claim.base.window else claim.base)
    return replace(claim, measure=replace(claim.measure, window=window), base=base)


# ------------------------------------------------------------------------------------------------ reasons


def _reason(
    claim: Claim, value: Fraction, per: Fraction | int, counts: Counts, catalogue: Catalogue, true: bool
) -> str:
    """The true figures, and where they differ what was said."""
    measure, base, unit = claim.measure, claim.base, claim.quantity.unit
    what = _said(measure, catalogue)
    if unit == "share" and base is not None:
        share = f" ({_decimal(value / per)}%)" if per else ""
        found = f"{what}: {_figure(value)} of {_figure(counts.value(base))}{share}"
    elif base is not None and unit == "times":
        found = f"{what}: {_figure(value)}; {_said(base, catalogue)}: {_figure(Fraction(per))}"
    elif base is not None and claim.said_base is not None:
        found = f"{what}: {_figure(value)} of {_figure(counts.value(base))}"
    else:
        found = f"{what}: {_figure(value)}"
    return f"{found}." if true else f"{found}, not {'that' if claim.negated else _words(claim.quantity)}."


def _said(measure: Measure, catalogue: Catalogue) -> str:
    """A measure in words."""
    names = [catalogue.titles[item] for item in measure.items]
    left = [catalogue.titles[item] for item in measure.left]
    whom = f"neighbours by {measure.window} history" if measure.window else "people"
    match measure.kind:
        case "people":
            did = f" who took {' and '.join(names)}" if names else ""
            if left:
                did += f"{' but' if names else ' who took'} not {' nor '.join(left)}"
            return f"{whom}{did}"
        case "any":
            return f"people who took {' or '.join(names)}"
        case "followed":
            return f"people who took {names[1]} within their next {FOLLOW_WINDOW} after {names[0]}"
        case "choices":
            return f"choices{''.join(f' of {name}' for name in names)} in the {TREND_DAYS} days before"
        case "trend":
            return f"share of {names[0]} in the {TREND_DAYS} days before, over its usual share"
        case "lift" | "contrary":
            return f"lift of {names[-1]} among {whom}{f' who took {names[0]}' if len(names) > 1 else ''}"
        case "expected":
            return f"what popularity predicts for {' and '.join(names)}"
        case "weight":
            return f"weight of {names[0]} for {names[1]}"
        case "most" | "least":
            return f"the {measure.kind} people of {', '.join(names)}"
        case "untaste":
            return f"of the last items, those not of category {measure.topic}"
        case "taste":
            return f"of the last items, those of category {measure.topic}"
        case _:
            return f"{_MEASURES[measure.kind]}{f' {chr(38)} '.join(['', *names]) if names else ''}".replace(
                " & ", " "
            )


_MEASURES: Final[Mapping[str, str]] = {
    "kin": "of the last items, those that share a category with",
    "unkin": "of the last items, those that share no category with",
    "last": "last items",
    "latest": "last items",
    "spread": "categories of the last items",
    "recency": "days of the last items",
    "rated": "rated items",
    "liked": "ratings above their mean",
    "disliked": "ratings below their mean",
    "traits": "shared categories and title words of",
    "all_traits": "categories and title words of",
    "similarity": "similarity in percent of",
}


def _words(quantity: Quantity) -> str:
    """A quantity as it was said."""
    unit = {"count": "", "share": "%", "times": " times", "amount": ""}[quantity.unit]
    amount = _amount(quantity.number)
    match quantity.comparison:
        case "exact":
            return f"{amount}{unit}"
        case "between":
            return f"between {amount} and {_amount(cast(Number, quantity.upper))}{unit}"
        case "one in":
            return f"{amount} in {_amount(cast(Number, quantity.upper))}"
        case comparison:
            return f"{comparison} {amount}{unit}"


def _amount(number: Number) -> str:
    return f"{float(number.value):.{max(number.places, 0)}f}" if number.places > 0 else _figure(number.value)


def _figure(value: Fraction) -> str:
    return f"{value.numerator:,}" if value.denominator == 1 else _decimal(value)


def _decimal(value: Fraction) -> str:
    return f"{float(value):.3f}".rstrip("0").rstrip(".")
