"""Where one system ranks better than another and where worse, by what is known of a task.

Tasks are put into four groups of about the same size by a number (the length of the history, how many users
took the true item). Within each group the difference of mean avg_hr has an interval over users. It describes
one run: with several groups some intervals leave out zero by chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from starrec.ranking import avg_hr, mean_ci

_GROUPS: Final = 4


def breakdown(
    ranks: pl.DataFrame,
    a: str,
    b: str,
    numbers: Mapping[str, Mapping[str, float]],
    *,
    seed: int,
    n_resamples: int = 2000,
) -> dict[str, Any]:
    """Difference of avg_hr of a less b on the classic test tasks that both answered, by groups of tasks.

    Args:
        ranks: `RANKS_SCHEMA`; a system's seeds are averaged for each task.
        numbers: by title, a number for each task id; tasks without one are left out.

    Returns:
        {"a", "b", "groups": {title: [group, …]}}, a group {"group": "3–20", "n_tasks", "n_users", "a", "b",
        "difference", "ci95"}; empty where no task has both answers.
    """
    chosen = ranks.filter(pl.col("split") == "test", pl.col("scenario") == "classic")
    scored = chosen.with_columns(value=avg_hr(chosen["target_rank"]))
    of_a, of_b = (
        scored.filter(pl.col("system") == name).group_by("task_id", "user_id").agg(pl.col("value").mean())
        for name in (a, b)
    )
    both = of_a.join(of_b, on=["task_id", "user_id"], suffix="_b").sort("task_id")
    if both.is_empty():
        return {}
    groups = {}
    for title, of_task in numbers.items():
        known = both.filter(pl.col("task_id").is_in(list(of_task)))
        values = np.array([of_task[task] for task in known["task_id"]])
        groups[title] = [
            _group(known.filter(within), values[within], seed=seed, n_resamples=n_resamples)
            for within in _quantiles(values)
        ]
    return {"a": a, "b": b, "groups": groups}


def _quantiles(values: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Masks of values by quartile; equal values stand in one group, so there can be fewer than four."""
    if not len(values):
        return []
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _GROUPS + 1)[1:], method="inverted_cdf"))
    place = np.searchsorted(edges, values)
    return [place == at for at in range(len(edges)) if (place == at).any()]


def _group(tasks: pl.DataFrame, values: np.ndarray[Any, Any], *, seed: int, n_resamples: int) -> dict[str, Any]:
    difference = (tasks["value"] - tasks["value_b"]).to_numpy()
    lo, hi = mean_ci(difference, tasks["user_id"], seed=seed, n_resamples=n_resamples)
    least, most = values.min(), values.max()
    return {
        "group": f"{least:g}" if least == most else f"{least:g}–{most:g}",
        "n_tasks": tasks.height,
        "n_users": tasks["user_id"].n_unique(),
        "a": tasks["value"].mean(),
        "b": tasks["value_b"].mean(),
        "difference": float(difference.mean()),
        "ci95": [lo, hi],
    }
