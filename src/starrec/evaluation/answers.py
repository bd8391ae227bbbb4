"""A system's answers to the tasks of one evaluation, as numbers: a row for each training seed.

A system that was trained several times is the mean of its trainings: its value of a task is the mean over them,
and they are no further tasks. Means over users and seeds are only comparable where every training answered the
same tasks, so a task that one of them lacks is left out and counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starrec.errors import RunError
from starrec.ranking import avg_hr


@dataclass(frozen=True)
class Answers:
    """Ranks of true items, seeds in rising order, tasks sorted by id."""

    seeds: tuple[int, ...]
    tasks: NDArray[np.object_]
    """Ids, `(n,)`."""
    users: NDArray[np.object_]
    """The user of each task, `(n,)`."""
    ranks: NDArray[np.int64]
    """1-based, `(seeds, n)`."""
    left_out: int
    """Tasks that some training answered and not all."""

    @property
    def avg_hr(self) -> NDArray[np.float64]:
        """`(seeds, n)`."""
        return avg_hr(self.ranks)


def answers_of(ranks: pl.DataFrame) -> Answers:
    """The answers in the rows of one system in one evaluation (`RANKS_SCHEMA`).

    Raises:
        RunError: no task was answered by all training seeds.
    """
    seeds = ranks["seed"].unique().sort().to_list()
    by_task = ranks.sort("seed").group_by("task_id", "user_id").agg(pl.col("target_rank")).sort("task_id")
    complete = by_task.filter(pl.col("target_rank").list.len() == len(seeds))
    if complete.is_empty():
        raise RunError(
            f"No task was answered by all training seeds of {ranks['system'][0]} "
            f"({', '.join(map(str, seeds))}). Merge only runs that evaluate the same tasks."
        )
    return Answers(
        tuple(seeds),
        complete["task_id"].to_numpy(),
        complete["user_id"].to_numpy(),
        np.array(complete["target_rank"].to_list(), dtype=np.int64).T,
        by_task.height - complete.height,
    )
