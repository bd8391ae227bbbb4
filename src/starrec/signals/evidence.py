"""Evidence: what the signals say of each candidate of a task.

For one task, `gather` answers, candidate-aware and exactly counted, what ten signals say of each
candidate. Each signal is a score (what a policy ranks by), a level (one token for the student) and the
strongest single fact behind it (one sentence for anybody). Beside them stand contrary facts and facts of the
history itself.

What the graph does not hold is unknown, not zero: a signal without any basis (an empty history, a user nobody
overlaps with, data without a clock) has level -1, "none".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.signals.facts import Fact, Window
from starrec.signals.levels import SIGNALS, levels
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

_ROW: Final = {name: row for row, name in enumerate(SIGNALS)}


def gather(view: TaskView) -> Evidence:
    """Everything the signals say about the candidates after the history.

    Scores, with age 0 for the latest item: Item-CF recent Σ_h 0.8^age · cosine(h, c), whole mean_h
    cosine(h, c), cosine = n(h, c) / sqrt(n(h) n(c)); User-CF the share of the neighbours' similarity held
    by those who took c; transitions Σ_h 0.8^age · n(h then c) / sqrt(n(h)) over the recent window;
    ease Σ_h 0.95^age · B[h, c] of EASE; popularity n(c) / n; trend the choices of c in
    the 14 days before, in multiples of an average item's; category the mean share of recent items per
    category of c; semantic the 0.8^age-weighted mean similarity to the recent items.
    """
    graph, candidates = view.graph, view.candidates
    history = view.history[-WHOLE:]
    recent = history[-RECENT:]
    scores = np.full((len(SIGNALS), len(candidates)), np.nan)
    popular = graph.popularity(candidates)
    base = graph.popularity(history)
    marked = graph.mark(history)
    postings = graph.postings(candidates)
    both = marked.with_(postings)
    both[history[:, None] == candidates] = 0
    cosine = both / np.sqrt(np.maximum(base[:, None] * popular.astype(np.float64), 1))
    age = np.arange(len(history))[::-1]
    decay = np.power(DECAY, age, dtype=np.float64)
    shared = len(history) > 0 and base.max() > 0
    if shared:
        # Not a matrix product: BLAS rounds a column by its place, and equal evidence must stay equal.
        scores[_ROW["item_cf.recent"]] = (decay[-RECENT:, None] * cosine[-RECENT:]).sum(axis=0)
        scores[_ROW["item_cf.whole"]] = cosine.mean(axis=0)
    neighbourhoods = []
    for name, latest in (("user_cf.recent", RECENT), ("user_cf.whole", WHOLE)):
        users, similarity = marked.nearest(NEIGHBOURS, latest)
        took, mass = graph.members(postings, users, similarity)
        neighbourhoods.append((took, len(users)))
        if len(users):
            scores[_ROW[name]] = mass / similarity.sum()
    follow = graph.followed(recent, candidates)
    recent_base = base[len(history) - len(recent) :]
    flow = decay[-RECENT:, None] * follow / np.sqrt(np.maximum(recent_base, 1))[:, None]
    if len(recent) and recent_base.max() > 0:
        scores[_ROW["transitions"]] = flow.sum(axis=0)
    weights = graph.ease(history, candidates)
    adds = np.power(SLOW_DECAY, age, dtype=np.float64)[:, None] * weights
    known = ~np.isnan(weights)
    if known.any():
        total = np.where(known, adds, 0).sum(axis=0)
        scores[_ROW["ease"]] = np.where(known.any(axis=0), total, np.nan)
    if graph.n_users:
        scores[_ROW["popularity"]] = popular / graph.n_users
    choices, all_choices = np.zeros(len(candidates), dtype=np.int64), 0
    if view.day is not None and graph.counts.about.clock:
        choices, all_choices = graph.recent_choices(candidates, view.day)
    if all_choices:
        scores[_ROW["trend"]] = choices * graph.n_items / all_choices
    lately = history[-TASTE_WINDOW:]
    of_candidates = view.semantics.category[candidates]
    counts = view.semantics.category[lately].sum(axis=0)
    breadth = of_candidates.sum(axis=1)
    if len(lately) and breadth.any():
        share = (of_candidates @ counts) / (np.maximum(breadth, 1) * len(lately))
        scores[_ROW["category"]] = np.where(breadth > 0, share, np.nan)
    alike = view.semantics.similarities(recent, candidates)
    if len(recent):
        described = ~np.isnan(alike)
        weight = decay[-RECENT:, None] * described
        total = weight.sum(axis=0)
        mean = (weight * np.nan_to_num(alike)).sum(axis=0) / np.maximum(total, 1e-9)
        scores[_ROW["semantic"]] = np.where(total > 0, mean, np.nan)
    return Evidence(
        view, scores, levels(scores), history, base, popular, both, cosine, decay, neighbourhoods, follow,
        flow, weights, adds, choices, all_choices, alike,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the signals say of each candidate of one task."""

    view: TaskView
    scores: NDArray[np.float64]
    """`(10, c)`, rows as in `SIGNALS`; NaN where the signal has no basis."""
    levels: NDArray[np.int8]
    """`(10, c)` in 0..15, or -1 for none."""
    _history: NDArray[np.int32]
    _base: NDArray[np.int32]
    _popular: NDArray[np.int32]
    _both: NDArray[np.int32]
    _cosine: NDArray[np.float64]
    _decay: NDArray[np.float64]
    _neighbourhoods: list[tuple[NDArray[np.int64], int]]
    _follow: NDArray[np.int32]
    _flow: NDArray[np.float64]
    _weights: NDArray[np.float64]
    _adds: NDArray[np.float64]
    _choices: NDArray[np.int64]
    _all_choices: int
    _alike: NDArray[np.float64]

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

    # The row of each candidate's strongest anchor, `(c,)`, for all at once: tools ask about several candidates
    # and controls about each.

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
    def _flow_rows(self) -> list[int]:
        rows: list[int] = np.argmax(self._flow, axis=0).tolist()
        return rows

    @cached_property
    def _ease_rows(self) -> list[int]:
        rows: list[int] = np.argmax(np.nan_to_num(self._adds, nan=-np.inf), axis=0).tolist()
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
        took, size = self._neighbourhoods[which]
        return Fact(
            "user_cf", window, -1, self._subject(column), int(took[column]), size, int(self._popular[column]),
            self.view.graph.n_users,
        )  # fmt: skip

    def _transition(self, column: int) -> Fact | None:
        row = self._flow_rows[column]
        if self._follow[row, column] == 0:
            return None
        at = len(self._history) - len(self._follow) + row
        return Fact(
            "transition", "recent", int(self._history[at]), self._subject(column),
            int(self._follow[row, column]), int(self._base[at]), int(self._popular[column]),
            self.view.graph.n_users,
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
