"""What the graph answers to a measure of a claim, as one task may see it.

A claim says that a measure ("people who took A and B") lies in an interval. Here is the measure's true value,
counted from the task view; each is asked of the graph once. What cannot be answered has no basis, and the
reason why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from starrec.errors import DataError
from starrec.signals.claims import Measure
from starrec.signals.claims.meaning import UNKNOWN
from starrec.signals.evidence import (
    CONTRARY_EXPECTED,
    NEIGHBOURS,
    RECENT,
    TASTE_WINDOW,
    WHOLE,
)
from starrec.signals.language import FOLLOW_WINDOW, TREND_DAYS, labels
from starrec.signals.task_view import TaskView


class NoBasis(Exception):
    """What a claim asks cannot be answered; the message says why."""


class Answers:
    """The answers to measures for one view, each asked of the graph once."""

    def __init__(self, view: TaskView) -> None:
        self.view = view
        hand = np.concatenate([view.history, view.candidates]).tolist()
        self.at_hand = frozenset(hand)
        names = labels(len(view.candidates))
        self.labels: Mapping[str, int] = dict(zip(names, view.candidates.tolist(), strict=True))
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
        view = self.view
        days = None if view.days is None else view.days[-length:]
        return Answers(replace(view, history=view.history[-length:], days=days)).value(measure)

    @property
    def n_users(self) -> int:
        return self.view.graph.n_users

    def n(self, item: int) -> int:
        found = self._n.get(item)
        if found is None:
            items = self.view.candidates if item in self.labels.values() else _one(item)
            for at, count in zip(items.tolist(), self.view.graph.popularity(items).tolist(), strict=True):
                self._n[at] = count
            found = self._n[item]
        return found

    def both(self, a: int, b: int) -> int:
        if a == b:
            return self.n(a)
        found = self._both.get((a, b))
        if found is None:
            found = int(self.view.graph.cooccurrence(_one(a), _one(b))[0, 0])
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
        return int(self.view.graph.followed(_one(a), _one(b))[0, 0]) if a != b else 0

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
        return Fraction(int(found[0]) * self.view.graph.n_interactions, usual)

    def kin(self, measure: Measure) -> int:
        (b,) = measure.items
        return self.view.semantics.shared_categories(self._lately, b)

    def taste(self, measure: Measure) -> int:
        semantics = self.view.semantics
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
        return int((self.view.semantics.category[self._lately].sum(axis=0) > 0).sum())

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
        return self.view.semantics.traits(*_two(measure))[0]

    def all_traits(self, measure: Measure) -> int:
        return self.view.semantics.traits(*_two(measure))[1]

    def similarity(self, measure: Measure) -> Fraction:
        found = self.view.semantics.similarity(*_two(measure))
        if found is None:
            raise NoBasis("without embeddings there is no such similarity")
        return Fraction(round(100 * found))

    def weight(self, measure: Measure) -> Fraction:
        a, b = _two(measure)
        found = float(self.view.graph.ease(_one(a), _one(b))[0, 0])
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
        return self.view.history[-WHOLE:][-TASTE_WINDOW:]

    @cached_property
    def _days(self) -> NDArray[np.int32]:
        if self.view.days is None or not len(self.view.days):
            raise NoBasis("this data has no clock")
        return self.view.days

    @cached_property
    def _ratings(self) -> NDArray[np.float64]:
        ratings = self.view.ratings
        if ratings is None or np.isnan(ratings).all():
            raise NoBasis("nothing in the history is rated")
        return ratings[~np.isnan(ratings)].astype(np.float64)

    def _recent(self, items: NDArray[np.int32]) -> tuple[NDArray[np.int64], int]:
        if self.view.day is None:
            raise NoBasis("this data has no clock")
        try:
            return self.view.graph.recent_choices(items, self.view.day)
        except DataError as error:
            raise NoBasis("this data has no clock") from error

    @cached_property
    def _neighbours(self) -> dict[str, NDArray[np.int64]]:
        history = self.view.history[-WHOLE:]
        return {
            "recent": self.view.graph.neighbours(history[-RECENT:], NEIGHBOURS)[0],
            "whole": self.view.graph.neighbours(history, NEIGHBOURS)[0],
        }

    def _alike(self, window: str, took: tuple[int, ...], left: tuple[int, ...]) -> int:
        users = self._neighbours[window]
        if not len(users):
            raise NoBasis("nobody's history overlaps with this one")
        if not (took or left):
            return len(users)
        if len(took) + len(left) > 1:
            raise NoBasis("it speaks of more than one item among neighbours")
        count = self.view.graph.taken_by(_one(*(took or left)), users, np.ones(len(users)))[0]
        return int(count[0]) if took else len(users) - int(count[0])

    def _reaches(self, measure: Measure, window: int, unit: str) -> None:
        if measure.reach is not None and measure.reach.value != window:
            raise NoBasis(f"the graph counts {window} {unit}, not {figure(measure.reach.value)}")


_ANSWERS: Final[Mapping[str, Callable[[Answers, Measure], int | Fraction]]] = {
    name: cast(Callable[[Answers, Measure], int | Fraction], getattr(Answers, name))
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


def figure(value: Fraction) -> str:
    """A value as people write it: 1,234 or 0.031."""
    return f"{value.numerator:,}" if value.denominator == 1 else decimal(value)


def decimal(value: Fraction) -> str:
    """A value with three decimals at most."""
    return f"{float(value):.3f}".rstrip("0").rstrip(".")
