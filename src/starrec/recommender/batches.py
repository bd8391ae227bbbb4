"""Recommendations for many users at once, to a table: for a nightly job that fills a cache or a mail."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starrec.data import RankingTask
from starrec.pipeline.serving import Serving
from starrec.recommender.filters import FilterLeavesNothing, Where
from starrec.recommender.ranked import columns_of
from starrec.recommender.requests import Requests, require_count
from starrec.runs import write_atomic
from starrec.tools import NOMINATED

_BATCH: Final = 512
"""Users whose candidates are in memory at once."""
SCHEMA: Final = pl.Schema(
    {
        "user_id": pl.String(),
        "rank": pl.Int32(),
        "item_id": pl.String(),
        "title": pl.String(),
        "score": pl.Float32(),
    }
)


def recommend_all(
    serving: Serving,
    requests: Requests,
    n: int,
    *,
    users: Sequence[str] | None,
    where: Where | None,
    exclude: Sequence[str],
    out: Path | None,
    advance: Callable[[int], object],
) -> pl.DataFrame:
    """As `Recommender.recommend_all`."""
    require_count(n)
    wanted = list(serving.user_ids if users is None else users)
    allowed = requests.allowed(where, exclude)
    fast, catalogue = serving.fast, serving.catalogue
    columns: list[tuple[NDArray[Any], ...]] = []

    def nominated(user: str) -> RankingTask | None:
        try:
            return requests.nominated(requests.asked(user, None), max(NOMINATED, n), allowed)
        except FilterLeavesNothing:
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(wanted), _BATCH):
            part = wanted[start : start + _BATCH]
            tasks = [task for task in pool.map(nominated, part) if task is not None]
            asked = [task for task in tasks if len(task.candidates) > 1]
            answers = dict(zip(map(id, asked), fast.answer_many(asked), strict=True))
            for task in tasks:
                if id(task) in answers:
                    answer = answers[id(task)]
                    first = columns_of(answer.ranking, task.candidates)[:n]
                    items, scores = task.candidates[first], answer.scores[first]
                else:
                    items, scores = task.candidates, np.zeros(len(task.candidates), dtype=np.float32)
                columns.append((np.full(len(items), task.user), np.arange(1, len(items) + 1), items, scores))
            advance(len(part))
    if not columns:
        columns.append((np.empty(0, dtype=np.int64),) * 4)
    user, rank, item, score = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    table = pl.DataFrame(
        {
            "user_id": pl.Series(serving.user_ids).gather(user),
            "rank": rank,
            "item_id": pl.Series(catalogue.item_ids).gather(item),
            "title": pl.Series(catalogue.titles).gather(item),
            "score": score,
        }
    ).cast(SCHEMA)
    if out is not None:
        write_atomic(out, table.write_parquet)
    return table
