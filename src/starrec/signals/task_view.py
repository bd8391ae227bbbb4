"""What one task may see: the graph without its user, its history and its candidates.

Whatever is counted, said or checked for a task is read through its `TaskView`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask
from starrec.signals.factors import fold_of
from starrec.signals.graph import NOBODY, Graph
from starrec.signals.semantics import Semantics


@dataclass(frozen=True, eq=False)
class TaskView:
    """All that one task may see."""

    graph: Graph
    """The training split without the task's user."""
    semantics: Semantics
    history: NDArray[np.int32]
    """`(h,)` distinct items at their latest places, oldest first."""
    candidates: NDArray[np.int32]
    days: NDArray[np.int32] | None = None
    """`(h,)` aligned with the history; None without a clock."""
    ratings: NDArray[np.float32] | None = None
    """`(h,)` NaN where unrated."""
    asked_on: int | None = None
    """The task's own day where it gives one."""

    @classmethod
    def of(cls, graph: Graph, semantics: Semantics, task: RankingTask) -> Self:
        """The view of a task on the graph of the training split, whose user is left out here."""
        at = _latest_places(task.history)
        return cls(
            graph.without(task.user, fold_of(task.user_id) if task.user == NOBODY else 0),
            semantics,
            task.history[at],
            task.candidates,
            None if task.days is None else task.days[at],
            None if task.ratings is None else task.ratings[at],
            task.day,
        )

    @property
    def day(self) -> int | None:
        """The task's own day: the one that it gives, as a request that is asked now does; else that of the
        latest item, because later ones would not be known when it is asked."""
        if self.asked_on is not None:
            return self.asked_on
        return int(self.days[-1]) if self.days is not None and len(self.days) else None


def distinct_latest(history: NDArray[np.int32]) -> NDArray[np.int32]:
    """Each item once, at its latest place, as a history typed in by hand may repeat items."""
    return history[_latest_places(history)]


def _latest_places(history: NDArray[np.int32]) -> NDArray[np.int64] | slice:
    ordered = np.sort(history)
    if (ordered[1:] != ordered[:-1]).all():
        return slice(
            None
        )  # As in nearly every task: the rest takes longer than a gathering's other small steps.
    _, last = np.unique(history[::-1], return_index=True)
    return np.sort(len(history) - 1 - last)
