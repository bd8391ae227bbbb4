"""Recommendations for many users at once, to a table: for a nightly job that fills a cache or a mail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starrec.cores import cores
from starrec.pipeline.serving import Serving
from starrec.recommender.filters import FilterLeavesNothing
from starrec.recommender.requests import Requests, require_count
from starrec.runs import write_atomic
from starrec.tools import NOMINATED

_PART: Final = 32
"""Users that a thread answers at once."""
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
    n: int,
    *,
    users: Sequence[str] | None,
    allowed: NDArray[np.bool_],
    out: Path | None,
    advance: Callable[[int], object],
) -> pl.DataFrame:
    """As `Recommender.recommend_all`.

    Args:
        allowed: `(n_items,)` items that may be an answer.
    """
    require_count(n)
    wanted = list(serving.user_ids if users is None else users)
    fast, catalogue, requests = serving.fast, serving.catalogue, Requests(serving)
    columns: list[tuple[NDArray[Any], ...]] = []

    def answered(part: Sequence[str]) -> list[tuple[NDArray[Any], ...]]:
        tasks = []
        for user in part:
            with suppress(FilterLeavesNothing):
                tasks.append(requests.nominated(requests.asked(user, None), max(NOMINATED, n), allowed))
        ranked = fast.answer_many([task for task in tasks if len(task.candidates) > 1], threads=1)
        found: list[tuple[NDArray[Any], ...]] = []
        for task in tasks:
            items, scores = task.candidates, np.zeros(len(task.candidates), dtype=np.float32)
            if len(items) > 1:
                answer = next(ranked)
                first = answer.best[:n]
                items, scores = items[first], answer.scores[first]
            found.append((np.full(len(items), task.user), np.arange(1, len(items) + 1), items, scores))
        return found

    parts = [wanted[start : start + _PART] for start in range(0, len(wanted), _PART)]
    # A part a thread: the kernels and the network release the interpreter lock.
    with ThreadPoolExecutor(cores()) as pool:
        for part, found in zip(parts, pool.map(answered, parts), strict=True):
            columns += found
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
