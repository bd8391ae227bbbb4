"""Evidence: what the signals say of each candidate of a task.

For one task, `gather` answers, candidate-aware and exactly counted, what seventeen signals say of each
candidate. Each signal is a score (what is ranked by), the ten that the teacher reads also a level,
and the strongest single fact behind it (one sentence for anybody; a random walk has none). Beside them stand
contrary facts and facts of the history itself. Facts are looked up when they are asked for.

What the graph does not hold is unknown, not zero: a signal without any basis (an empty history, a user nobody
overlaps with, data without a clock) has level -1, "none".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from starrec.signals import sweep
from starrec.signals.facts import Fact, Window
from starrec.signals.graph import within
from starrec.signals.language import AROUND_WINDOW, FOLLOW_WINDOW
from starrec.signals.levels import SCORED, SIGNALS, levels
from starrec.signals.task_view import TaskView

RECENT: Final = 10
"""Items in the recent window (User-CF on validation: 0.69 for 10, 0.68 for 20, 0.65 for the whole history)."""
WHOLE: Final = 200
"""Items in the whole window: older ones are left out so that cost stays bounded for the longest histories."""
NEIGHBOURS: Final = 50
"""Users in a User-CF neighbourhood (0.69 for 50, 0.68 for 100, recent window, validation)."""
DECAY: Final = 0.8
"""Weight of the item before, relative to its successor, where order matters."""
SLOW_DECAY: Final = 0.95
"""The same for EASE, whose weights already know what repeats what."""
TASTE_WINDOW: Final = 30
"""Items over which tastes are counted."""
CONTRARY_LIFT: Final = 0.5
"""Contrary evidence: the lift is below this ..."""
CONTRARY_EXPECTED: Final = 5
"""... where popularity alone predicts at least so many people."""

_ROW: Final = {name: row for row, name in enumerate(SCORED)}
_AGES: Final = np.arange(WHOLE)[::-1]
"""Ages of the items of a whole window, oldest first."""


class _Counted(NamedTuple):
    counts: NDArray[np.int32]
    """`(h, c)`"""
    rows: list[int]
    """`(c,)` the row of the strongest anchor."""


_WITHOUT_FACTS: Final = frozenset(
    {"walk.recent", "factors.product", "factors.cosine", "people.recent", "people.whole", "history"}
)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the signals say of each candidate of one task."""

    view: TaskView
    scores: NDArray[np.float64]
    """`(19, c)`, rows as in `SCORED`; NaN where the signal has no basis."""
    _history: NDArray[np.int32]
    _base: NDArray[np.int32]
    """`(h,)` popularity."""
    _popular: NDArray[np.int32]
    """`(c,)` popularity."""
    _pairs: NDArray[np.int32]
    """`(c, sweep.BUCKETS, h)`"""
    _took: NDArray[np.int64]
    """`(2, c)` members of the recent and the whole neighbourhood who took each candidate."""
    _sizes: NDArray[np.int64]
    """`(2,)` their members."""
    _weights: NDArray[np.float64]
    """`(h, c)` of EASE."""
    _choices: NDArray[np.int64]
    _all_choices: int
    _alike: NDArray[np.float64]
    """`(recent, c)`"""

    @cached_property
    def levels(self) -> NDArray[np.int8]:
        """`(10, c)` in 0..15, or -1 for none; rows as in `SIGNALS`."""
        return levels(self.scores[: len(SIGNALS)])

    @property
    def candidates(self) -> NDArray[np.int32]:
        return self.view.candidates

    def fact(self, signal: str, column: int) -> Fact | None:
        """The strongest single fact behind a signal for the candidate in this column; None when there is
        none."""
        if np.isnan(self.scores[_ROW[signal], column]):
            return None
        match signal:
            case "item_cf.recent":
                return self._item_cf("recent", self._recent_rows[column], column)
            case "item_cf.whole":
                return self._item_cf("whole", self._whole_rows[column], column)
            case "user_cf.recent":
                return self._user_cf("recent", 0, column)
            case "user_cf.whole":
                return self._user_cf("whole", 1, column)
            case "transitions":
                return self._transition(column)
            case "ease":
                return self._ease(column)
            case "popularity":
                people = self.view.graph.n_users
                n = int(self._popular[column])
                return Fact("popularity", "", -1, self._subject(column), n, people, n, people)
            case "trend":
                return Fact(
                    "trend", "recent", -1, self._subject(column), int(self._choices[column]),
                    self._all_choices, int(self._popular[column]), self.view.graph.n_interactions,
                )  # fmt: skip
            case "following.1":
                return self._within("following", 1, self._following_1, column)
            case "following.30":
                return self._within("following", 30, self._following_30, column)
            case "around.20":
                return self._within("around", AROUND_WINDOW, self._around, column)
            case name if name in _WITHOUT_FACTS:
                return None
            case "category":
                lately = self._history[-TASTE_WINDOW:]
                shared = self.view.semantics.shared_categories(lately, self._subject(column))
                return Fact("category", "recent", -1, self._subject(column), shared, len(lately))
            case _:
                return self._semantic(column)

    def contrary(self, column: int) -> Fact | None:
        """What speaks most surely against a candidate: those who took an item of the history hardly take it."""
        people = self.view.graph.n_users
        facts = [
            Fact(
                "contrary", "whole", int(self._history[row]), self._subject(column),
                int(self._both[row, column]), int(self._base[row]), int(self._popular[column]), people,
            )
            for row in np.flatnonzero(self._against[:, column]).tolist()
        ]  # fmt: skip
        # Of equals the latest item of the history speaks.
        return min(reversed(facts), key=lambda fact: fact.significance, default=None)

    @cached_property
    def tastes(self) -> tuple[Fact, ...]:
        """The history's strongest categories, at most three."""
        lately = self._history[-TASTE_WINDOW:]
        semantics = self.view.semantics
        counts = semantics.category[lately].sum(axis=0)
        return tuple(
            Fact("taste", "recent", -1, -1, int(counts[topic]), len(lately), topic=semantics.topics[topic])
            for topic in np.lexsort((np.arange(len(counts)), -counts))[:3].tolist()
            if counts[topic] > 0
        )

    @cached_property
    def profile(self) -> tuple[Fact, ...]:
        """Tastes, breadth, recency and rating habits of the history, as far as the data has them."""
        facts = list(self.tastes)
        lately = self._history[-TASTE_WINDOW:]
        spread = int((self.view.semantics.category[lately].sum(axis=0) > 0).sum())
        if spread:
            facts.append(Fact("breadth", "recent", -1, -1, spread, len(lately)))
        days = self.view.days
        if days is not None and len(days):
            recent = days[-RECENT:]
            facts.append(Fact("recency", "recent", -1, -1, int(recent.max() - recent.min()) + 1, len(recent)))
        ratings = self.view.ratings
        if ratings is not None and not np.isnan(ratings).all():
            given = ratings[~np.isnan(ratings)].astype(np.float64)
            facts.append(Fact("rating", "whole", -1, -1, int((given > given.mean()).sum()), len(given)))
        return tuple(facts)

    # Counts and the row of each candidate's strongest anchor, `(c,)`, for all candidates at once: tools ask
    # about several and controls about each.

    @cached_property
    def _both(self) -> NDArray[np.int32]:
        """`(h, c)`"""
        return within(self._pairs, sweep.ANY)

    @cached_property
    def _cosine(self) -> NDArray[np.float64]:
        """`(h, c)`"""
        cosine: NDArray[np.float64] = self._both / np.sqrt(
            np.maximum(self._base[:, None] * self._popular.astype(np.float64), 1)
        )
        return cosine

    @cached_property
    def _decay(self) -> NDArray[np.float64]:
        """`(h,)`"""
        return np.power(DECAY, _AGES[WHOLE - len(self._history) :], dtype=np.float64)

    @cached_property
    def _recent_rows(self) -> list[int]:
        first = max(0, len(self._history) - RECENT)
        rows: list[int] = np.argmax(self._decay[first:, None] * self._cosine[first:], axis=0).tolist()
        return [first + row for row in rows]

    @cached_property
    def _whole_rows(self) -> list[int]:
        rows: list[int] = np.argmax(self._cosine, axis=0).tolist()
        return rows

    @cached_property
    def _transitions(self) -> _Counted:
        """Of the recent window."""
        recent = slice(max(0, len(self._history) - RECENT), None)
        counts = within(self._pairs[:, :, recent], sweep.FOLLOWING[FOLLOW_WINDOW])
        flow = self._decay[recent, None] * counts / np.sqrt(np.maximum(self._base[recent], 1))[:, None]
        return _Counted(counts, np.argmax(flow, axis=0).tolist())

    @cached_property
    def _following_1(self) -> _Counted:
        return self._strongest(sweep.FOLLOWING[1])

    @cached_property
    def _following_30(self) -> _Counted:
        return self._strongest(sweep.FOLLOWING[30])

    @cached_property
    def _around(self) -> _Counted:
        return self._strongest(sweep.AROUND)

    def _strongest(self, buckets: tuple[int, ...]) -> _Counted:
        counts = within(self._pairs, buckets)
        adds = self._decay[:, None] * counts / np.sqrt(np.maximum(self._base, 1))[:, None]
        return _Counted(counts, np.argmax(adds, axis=0).tolist())

    @cached_property
    def _ease_rows(self) -> list[int]:
        decay = np.power(SLOW_DECAY, _AGES[WHOLE - len(self._history) :], dtype=np.float64)
        adds = decay[:, None] * self._weights
        rows: list[int] = np.argmax(np.nan_to_num(adds, nan=-np.inf), axis=0).tolist()
        return rows

    @cached_property
    def _alike_weights(self) -> NDArray[np.float64]:
        """`(recent, c)`"""
        return self._decay[-RECENT:, None] * np.nan_to_num(self._alike)

    @cached_property
    def _against(self) -> NDArray[np.bool_]:
        """`(h, c)` whether those who took an item of the history hardly take a candidate."""
        expected = self._base[:, None] * self._popular.astype(np.float64) / max(self.view.graph.n_users, 1)
        against = (expected >= CONTRARY_EXPECTED) & (self._both < CONTRARY_LIFT * expected)
        other: NDArray[np.bool_] = self._history[:, None] != self.candidates
        return against & other

    def _subject(self, column: int) -> int:
        return int(self.candidates[column])

    def _item_cf(self, window: Window, row: int, column: int) -> Fact | None:
        if self._both[row, column] == 0:
            return None
        return Fact(
            "item_cf", window, int(self._history[row]), self._subject(column), int(self._both[row, column]),
            int(self._base[row]), int(self._popular[column]), self.view.graph.n_users,
        )  # fmt: skip

    def _user_cf(self, window: Window, which: int, column: int) -> Fact | None:
        return Fact(
            "user_cf", window, -1, self._subject(column), int(self._took[which, column]),
            int(self._sizes[which]), int(self._popular[column]), self.view.graph.n_users,
        )  # fmt: skip

    def _transition(self, column: int) -> Fact | None:
        counts, rows = self._transitions
        row = rows[column]
        if counts[row, column] == 0:
            return None
        at = len(self._history) - len(counts) + row
        return Fact(
            "transition", "recent", int(self._history[at]), self._subject(column), int(counts[row, column]),
            int(self._base[at]), int(self._popular[column]), self.view.graph.n_users,
        )  # fmt: skip

    def _within(
        self, kind: Literal["following", "around"], reach: int, counted: _Counted, column: int
    ) -> Fact | None:
        row = counted.rows[column]
        if counted.counts[row, column] == 0:
            return None
        return Fact(
            kind, "whole", int(self._history[row]), self._subject(column), int(counted.counts[row, column]),
            int(self._base[row]), int(self._popular[column]), self.view.graph.n_users, reach=reach,
        )  # fmt: skip

    def _ease(self, column: int) -> Fact | None:
        row = self._ease_rows[column]
        weight = round(1000 * float(self._weights[row, column]))
        if weight <= 0:
            return None
        return Fact(
            "ease", "whole", int(self._history[row]), self._subject(column),
            int(self._both[row, column]), int(self._base[row]), int(self._popular[column]),
            self.view.graph.n_users, weight=weight,
        )  # fmt: skip

    def _semantic(self, column: int) -> Fact | None:
        weight = self._alike_weights[:, column]
        row = int(np.argmax(weight))
        if weight[row] <= 0:
            return None
        anchor = int(self._history[len(self._history) - len(weight) + row])
        semantics = self.view.semantics
        if semantics.embeddings is not None:
            hundredths = round(100 * float(self._alike[row, column]))
            alike = Fact("semantic", "recent", anchor, self._subject(column), 0, 0, weight=hundredths)
            return alike if hundredths > 0 else None
        shared, union = semantics.traits(anchor, self._subject(column))
        return Fact("semantic", "recent", anchor, self._subject(column), shared, union) if shared else None
