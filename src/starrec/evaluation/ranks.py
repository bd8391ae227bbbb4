"""ranks.parquet: where every system put every true item, the one file from which all numbers follow.

A row is one system's answer to one task: its candidates in the order it gave them and where the true item
stood. The order is kept, not only the rank, so that a reader can check one against the other, and so that a
metric nobody thought of today can be computed tomorrow. `check_ranks` refuses rows that contradict
themselves, or two systems that were asked different questions under one task id: then no comparison would
mean anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from starrec.data import RankingTask, Targets
from starrec.errors import RunError
from starrec.ranking import Ranking, avg_hr
from starrec.runs import write_atomic

RANKS_SCHEMA: Final = pl.Schema(
    [
        ("system", pl.String()),
        ("task_id", pl.String()),
        ("user_id", pl.String()),
        ("draw", pl.Int32()),
        ("seed", pl.Int32()),  # of the system's own randomness, not of the task's candidates
        ("split", pl.String()),
        ("scenario", pl.String()),
        ("candidates", pl.List(pl.Int32())),  # item indices, best first
        ("target", pl.Int32()),
        ("target_rank", pl.Int32()),  # 1-based place of target in candidates
    ]
)

_EVALUATION: Final = ["split", "scenario"]
_ANSWER: Final = ["system", *_EVALUATION, "seed", "task_id"]


def ranks_frame(
    system: str, tasks: Sequence[RankingTask], rankings: Sequence[Ranking], targets: Targets, *, seed: int
) -> pl.DataFrame:
    """One system's rows, in the order of tasks; rankings[i] answers tasks[i].

    Args:
        seed: of the system's own randomness; several seeds of one system are rows beside each other.

    Raises:
        ValueError: a ranking is not a permutation of its task's candidates, or lengths differ.
        KeyError: a task has no target.
    """
    rows = []
    for task, ranking in zip(tasks, rankings, strict=True):
        if sorted(ranking.items) != sorted(task.candidates.tolist()):
            raise ValueError(f"{system}: ranking of {task.task_id} is no permutation of its candidates")
        target = targets[task.task_id]
        rows.append(
            (
                system,
                task.task_id,
                task.user_id,
                task.draw,
                seed,
                task.split,
                task.scenario,
                list(ranking.items),
                target,
                ranking.rank_of(target),
            )
        )
    return pl.DataFrame(rows, schema=RANKS_SCHEMA, orient="row")


def mean_avg_hr(tasks: Sequence[RankingTask], rankings: Sequence[Ranking], targets: Targets) -> float:
    """The mean avg_hr of rankings; rankings[i] answers tasks[i]."""
    ranks = [ranking.rank_of(targets[task.task_id]) for task, ranking in zip(tasks, rankings, strict=True)]
    return float(avg_hr(np.array(ranks)).mean())


def ranking_changes(
    tasks: Sequence[RankingTask], before: Sequence[Ranking], after: Sequence[Ranking], targets: Targets
) -> dict[str, float]:
    """How a second ranking of each task differs from the first: shares of the tasks in which it
    `changed_first` (another item in the first place), `raised_target` and `lowered_target`; and `n_tasks`."""
    items = [targets[task.task_id] for task in tasks]
    pairs = list(zip(before, after, strict=True))
    moved = np.array([b.rank_of(item) - a.rank_of(item) for (a, b), item in zip(pairs, items, strict=True)])
    changed = [a.items[0] != b.items[0] for a, b in pairs]
    return {
        "changed_first": float(np.mean(changed)),
        "raised_target": float((moved < 0).mean()),
        "lowered_target": float((moved > 0).mean()),
        "n_tasks": len(tasks),
    }


def save_ranks(path: Path, ranks: pl.DataFrame) -> Path:
    """Write ranks whole or not at all, after `check_ranks`; return path."""
    check_ranks(ranks, source=str(path))
    return write_atomic(path, lambda temporary: ranks.write_parquet(temporary))


def load_ranks(path: Path) -> pl.DataFrame:
    """Read ranks and check them.

    Raises:
        RunError: the file is missing or unreadable, or `check_ranks` refuses what it holds.
    """
    try:
        ranks = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(
            f"Cannot read ranks {path}: {error}. Run `starrec evaluate` without --recompute to make them."
        ) from error
    check_ranks(ranks, source=str(path))
    return ranks


def check_ranks(ranks: pl.DataFrame, *, source: str) -> None:
    """Refuse ranks from which no honest number could be computed; source names them in errors.

    Raises:
        RunError: other columns than RANKS_SCHEMA; a system answered a task twice; a target_rank is not the
            target's place in candidates; systems had different targets or candidates for one task.
    """
    fix = "Run `starrec evaluate` without --recompute to make them anew."
    if ranks.schema != RANKS_SCHEMA:
        raise RunError(
            f"{source} does not hold ranks: its columns are {dict(ranks.schema)}, expected "
            f"{dict(RANKS_SCHEMA)}. {fix}"
        )
    if (null := [name for name, count in ranks.null_count().row(0, named=True).items() if count]) != []:
        raise RunError(f"{source}: empty values in {', '.join(null)}. {fix}")
    if (twice := ranks.filter(ranks.select(_ANSWER).is_duplicated())).height:
        row = twice.row(0, named=True)
        raise RunError(f"{source}: {row['system']} answers task {row['task_id']} more than once. {fix}")
    # A rank outside the list reads as null there, and null differs from every target.
    stated = pl.col("candidates").list.get(pl.col("target_rank") - 1, null_on_oob=True)
    wrong = (pl.col("target_rank") < 1) | stated.ne_missing(pl.col("target"))
    if (contradicting := ranks.filter(wrong)).height:
        row = contradicting.row(0, named=True)
        raise RunError(
            f"{source}: {row['system']} states rank {row['target_rank']} for the target of {row['task_id']}, "
            f"but its own list says otherwise ({contradicting.height} such rows). {fix}"
        )
    question = pl.struct("target", pl.col("candidates").list.sort().cast(pl.List(pl.String)).list.join(","))
    questions = ranks.group_by([*_EVALUATION, "task_id"], maintain_order=True).agg(question.n_unique())
    if (differing := questions.filter(pl.col("target") > 1)).height:
        raise RunError(
            f"{source}: systems were given different targets or candidates for task "
            f"{differing['task_id'][0]} ({differing.height} such tasks), so they cannot be compared. {fix}"
        )
