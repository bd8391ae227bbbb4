"""Systems that score candidates: the one way in which a peer or a control enters the evaluation.

A scorer gives a number for each candidate that it is shown and nothing else. Splits, candidates, ranks and ties
are the project's: no peer's own evaluation, negatives or tie rule is used.

Equal scores are ordered by a hash of task and item. A hash of the item alone would be one order of the whole
catalogue, and a scorer that says nothing would rank every task by it: users with the same true item would share
their luck, and its distance from chance would be more than the standard error over users says
(`benchmarks/evaluation.py constant`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask
from starrec.errors import StarrecError
from starrec.hashing import Keys, text_keys
from starrec.ranking import Ranking, from_scores

TIE_SEED: Final = 5


class Scorer(Protocol):
    """A fitted system."""

    def scores(self, tasks: Sequence[RankingTask]) -> list[NDArray[np.float64]]:
        """One `(c,)` array a task, in the order of its candidates, higher is better; NaN where the system has
        no score."""
        ...


def rank_by_scores(scorer: Scorer, tasks: Sequence[RankingTask]) -> tuple[list[Ranking], int]:
    """Rankings of the tasks, and how many candidates had no score. Ties, and candidates without a score, which
    come last, are ordered by hash.

    Raises:
        StarrecError: the scores of a task have another shape than its candidates.
    """
    rankings, unscored = [], 0
    for task, scores, ties in zip(tasks, scorer.scores(tasks), tie_seeds(tasks), strict=True):
        if scores.shape != task.candidates.shape:
            raise StarrecError(
                f"Scores of task {task.task_id} have shape {scores.shape}; it has "
                f"{len(task.candidates)} candidates. Give one score a candidate."
            )
        missing = np.isnan(scores)
        unscored += int(missing.sum())
        rankings.append(from_scores(task.candidates, scores, ties))
    return rankings, unscored


def tie_seeds(tasks: Sequence[RankingTask]) -> Keys:
    """The seed that orders equal scores of each task (`from_scores`), `(n,)`."""
    return text_keys((task.task_id for task in tasks), TIE_SEED, "ties")
