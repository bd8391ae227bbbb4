"""Evidence: structured facts with integer counts, and what they add up to for each candidate of a task.

A `Fact` is the truth; its sentence (`language`) and its compact level (`LEVELS`) are two views of it. For one
task, `Evidence.gather` answers, candidate-aware and exactly counted, what seven signals say of each candidate.
Each signal is a score (what a policy ranks by), a level (one token for the student) and the strongest single
fact behind it (one sentence for anybody).

What the graph does not hold is unknown, not zero: a signal without any basis (an empty history, a user nobody
overlaps with) has level -1, "none".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.signals.graph import FOLLOW_WINDOW, View

Kind: TypeAlias = Literal["item_cf", "user_cf", "transition", "popularity", "category", "taste"]
Window: TypeAlias = Literal["whole", "recent", ""]

RECENT: Final = 10
"""Items in the recent window (User-CF on validation: 0.69 for 10, 0.68 for 20, 0.65 for the whole history)."""
WHOLE: Final = 200
"""Items in the whole window: older ones are left out so that cost stays bounded for the longest histories."""
NEIGHBOURS: Final = 50
"""Users in a User-CF neighbourhood (0.69 for 50, 0.68 for 100, recent window, validation)."""
DECAY: Final = 0.8
"""Weight of the item before, relative to its successor, where order matters."""
TASTE_WINDOW: Final = 30
"""Items over which tastes are counted."""

SIGNALS: Final = (
    "item_cf.recent",
    "item_cf.whole",
    "user_cf.recent",
    "user_cf.whole",
    "transitions",
    "popularity",
    "category",
)
"""The signals, in the order of their rows in `TaskEvidence` and of their tokens in a compact row."""

N_LEVELS: Final = 16
"""Levels of a signal: 0 (nothing) to 15."""


def _geometric(low: float, high: float) -> NDArray[np.float64]:
    return np.geomspace(low, high, N_LEVELS - 1)


# Fixed cuts, never fitted: a quantile over training tasks would contain edges of the very user asked about.
# All scores are shares, rates or cosines, so one set of cuts serves catalogues of any size.
LEVELS: Final[dict[str, NDArray[np.float64]]] = {
    "item_cf.recent": _geometric(0.1, 2.6),
    "item_cf.whole": _geometric(0.03, 0.45),
    "user_cf.recent": _geometric(0.015, 0.7),
    "user_cf.whole": _geometric(0.015, 0.7),
    "transitions": _geometric(0.05, 3.0),
    "popularity": _geometric(0.002, 0.4),
    "category": _geometric(0.04, 0.9),
}
"""Cuts of each signal: the level of a score is the number of cuts at or below it."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One checkable statement about the graph a task may see."""

    kind: Kind
    window: Window
    anchor: int
    """The item that the statement starts from (-1 where it starts from a neighbourhood or everybody)."""
    subject: int
    """The item that the statement is about (-1 for a taste)."""
    both: int
    """People (for `category` and `taste`: history items) for whom the statement holds."""
    base: int
    """People (history items) asked about; `both <= base`."""
    total: int = 0
    """People in the whole graph who took the subject."""
    population: int = 0
    """People in the whole graph."""
    topic: str = ""
    """The category, for a taste."""

    @property
    def rate(self) -> float:
        """both / base."""
        return self.both / self.base if self.base else 0.0

    @property
    def lift(self) -> float:
        """rate over the rate that the subject's popularity alone predicts (total / population)."""
        return self.rate * self.population / self.total if self.total else 0.0


@dataclass(frozen=True, eq=False)
class TaskEvidence:
    """What the signals say of each candidate of one task."""

    candidates: NDArray[np.int32]
    """`(c,)`"""
    scores: NDArray[np.float64]
    """`(7, c)`, rows as in `SIGNALS`; NaN where the signal has no basis."""
    levels: NDArray[np.int8]
    """`(7, c)` in 0..15, or -1 for none."""
    tastes: tuple[Fact, ...]
    """The history's strongest categories, at most three."""
    _explain: dict[str, Callable[[int], Fact | None]]

    def fact(self, signal: str, column: int) -> Fact | None:
        """The strongest single fact behind a signal for the candidate in this column; None when there is
        none."""
        if np.isnan(self.scores[SIGNALS.index(signal), column]):
            return None
        return self._explain[signal](column)


class Evidence:
    """Gathers the evidence of tasks from views of one graph."""

    def __init__(self, categories: list[list[str]]) -> None:
        """Args:
        categories: of each item, in index order.
        """
        self.topics = sorted({topic for item in categories for topic in item})
        place = {topic: index for index, topic in enumerate(self.topics)}
        self._category = np.zeros((len(categories), len(self.topics)), dtype=np.int32)
        for item, names in enumerate(categories):
            for name in names:
                self._category[item, place[name]] = 1

    def gather(self, view: View, history: NDArray[np.int32], candidates: NDArray[np.int32]) -> TaskEvidence:
        """Everything the signals say about these candidates after this history.

        Scores: Item-CF recent sum_h 0.8^age · cosine(h, c), whole mean_h cosine(h, c), with cosine =
        n(h, c) / sqrt(n(h) n(c)); User-CF the share of the neighbours' similarity held by those who took c;
        transitions sum_h 0.8^age · n(h then c) / sqrt(n(h)) over the recent window; popularity n(c) / n;
        category the mean share of recent items per category of c.
        """
        history = distinct_latest(history)[-WHOLE:]
        recent = history[-RECENT:]
        popular = view.popularity(candidates)
        scores = np.full((len(SIGNALS), len(candidates)), np.nan)
        explain: dict[str, Callable[[int], Fact | None]] = {}

        base = view.popularity(history)
        both = view.cooccurrence(history, candidates)
        cosine = both / np.sqrt(np.maximum(base[:, None] * popular.astype(np.float64), 1))
        age = np.arange(len(history))[::-1]
        decay = np.power(DECAY, age, dtype=np.float64)
        if len(history) and base.max() > 0:
            # Not a matrix product: BLAS rounds a column by its place, and equal evidence must stay equal.
            scores[0] = (decay[-RECENT:, None] * cosine[-RECENT:]).sum(axis=0)
            scores[1] = cosine.mean(axis=0)

        def item_cf(window: Window, first: int, weight: NDArray[np.float64]) -> Callable[[int], Fact | None]:
            def best(column: int) -> Fact | None:
                row = first + int(np.argmax(weight[first:] * cosine[first:, column]))
                if both[row, column] == 0:
                    return None
                return Fact(
                    "item_cf", window, int(history[row]), int(candidates[column]), int(both[row, column]),
                    int(base[row]), int(popular[column]), view.n_users,
                )  # fmt: skip

            return best

        explain["item_cf.recent"] = item_cf("recent", len(history) - len(recent), decay)
        explain["item_cf.whole"] = item_cf("whole", 0, np.ones(len(history)))

        def user_cf(row: int, window: Window, items: NDArray[np.int32]) -> Callable[[int], Fact | None]:
            users, similarity = view.neighbours(items, NEIGHBOURS)
            took, mass = view.taken_by(candidates, users, similarity)
            if len(users):
                scores[row] = mass / similarity.sum()

            def count(column: int) -> Fact | None:
                return Fact(
                    "user_cf", window, -1, int(candidates[column]), int(took[column]), len(users),
                    int(popular[column]), view.n_users,
                )  # fmt: skip

            return count

        explain["user_cf.recent"] = user_cf(2, "recent", recent)
        explain["user_cf.whole"] = user_cf(3, "whole", history)

        follow = view.followed(recent, candidates)
        recent_base = base[len(history) - len(recent) :]
        flow = decay[-RECENT:, None] * follow / np.sqrt(np.maximum(recent_base, 1))[:, None]
        if len(recent) and recent_base.max() > 0:
            scores[4] = flow.sum(axis=0)

        def transition(column: int) -> Fact | None:
            row = int(np.argmax(flow[:, column]))
            if follow[row, column] == 0:
                return None
            return Fact(
                "transition", "recent", int(recent[row]), int(candidates[column]), int(follow[row, column]),
                int(recent_base[row]), int(popular[column]), view.n_users,
            )  # fmt: skip

        explain["transitions"] = transition

        if view.n_users:
            scores[5] = popular / view.n_users
        explain["popularity"] = lambda column: Fact(
            "popularity", "", -1, int(candidates[column]), int(popular[column]), view.n_users,
            int(popular[column]), view.n_users,
        )  # fmt: skip

        lately = history[-TASTE_WINDOW:]
        of_candidates = self._category[candidates]
        of_history = self._category[lately]
        breadth = of_candidates.sum(axis=1)
        counts = of_history.sum(axis=0)
        if len(lately) and breadth.any():
            share = (of_candidates @ counts) / (np.maximum(breadth, 1) * len(lately))
            scores[6] = np.where(breadth > 0, share, np.nan)

        def category(column: int) -> Fact | None:
            shared = int((of_history @ of_candidates[column] > 0).sum())
            return Fact("category", "recent", -1, int(candidates[column]), shared, len(lately))

        explain["category"] = category
        tastes = tuple(
            Fact("taste", "recent", -1, -1, int(counts[topic]), len(lately), topic=self.topics[topic])
            for topic in np.lexsort((np.arange(len(counts)), -counts))[:3].tolist()
            if counts[topic] > 0
        )
        return TaskEvidence(candidates, scores, levels(scores), tastes, explain)


def levels(scores: NDArray[np.float64]) -> NDArray[np.int8]:
    """Levels of scores `(7, ...)`, rows as in `SIGNALS`: the number of cuts at or below; -1 for NaN."""
    found = np.empty(scores.shape, dtype=np.int8)
    for row, signal in enumerate(SIGNALS):
        found[row] = np.searchsorted(LEVELS[signal], scores[row], side="right")
    found[np.isnan(scores)] = -1
    return found


def distinct_latest(history: NDArray[np.int32]) -> NDArray[np.int32]:
    """Each item once, at its latest place, as a history typed in by hand may repeat items."""
    _, last = np.unique(history[::-1], return_index=True)
    return history[np.sort(len(history) - 1 - last)]


__all__ = [
    "FOLLOW_WINDOW",
    "LEVELS",
    "N_LEVELS",
    "RECENT",
    "SIGNALS",
    "Evidence",
    "Fact",
    "Kind",
    "TaskEvidence",
    "Window",
    "distinct_latest",
    "levels",
]
