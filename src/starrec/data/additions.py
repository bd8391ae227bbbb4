"""New interactions for data that are there already, measured against what those hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from starrec.data.config import TableOptions
from starrec.data.dataset import SECONDS_A_DAY, Order, date_of
from starrec.data.report import Report
from starrec.data.tables import read_interactions, read_items, refuse_bad_rows
from starrec.data.times import Times, TimeSpan


class Additions(NamedTuple):
    """New interactions, and items that come with them."""

    interactions: pl.DataFrame
    """`user_id, item_id, time[, rating]`"""
    order: Order
    times: Times | None
    """How the times were read; None with positions."""
    items: pl.DataFrame | None
    """As in `build`; None where no file was given."""
    report: Report


def load_additions(
    interactions: Path,
    items: Path | None,
    known: Sequence[str],
    *,
    options: TableOptions | None = None,
    span: TimeSpan | None = None,
) -> Additions:
    """Interactions to add to data that are there already; the files are as in `load_tables`.

    Args:
        items: new items, if there are any.
        known: ids of the items that are there.
        span: the days that are there. Rows far outside of them are refused.

    Raises:
        DataError: as `load_tables`; an interaction's item must be known or among the new ones.
    """
    options = (options or TableOptions()).model_copy(update={"split_column": None})
    report = Report()
    item_ids, fresh = pl.Series(known, dtype=pl.String), None
    if items is not None:
        fresh = read_items(items, options, report)
        item_ids = pl.concat([item_ids, fresh["item_id"].rename(item_ids.name)])
    edges = read_interactions(interactions, options, item_ids, report, span)
    refuse_bad_rows(report, options)
    return Additions(edges.frame, edges.order, edges.times, fresh, report)


def described(additions: Additions) -> str:
    """How many interactions were read, their times, and what was left out."""
    frame = additions.interactions
    parts = [f"{frame.height:,} interaction{'s' if frame.height != 1 else ''} read"]
    if additions.times is not None and frame.height:
        ticks = SECONDS_A_DAY * additions.times.resolution
        low, high = (
            int(end) // ticks for end in frame.select(pl.col("time").min(), last=pl.col("time").max()).row(0)
        )
        parts.append(f"timestamps read as {additions.times.written}: {date_of(low)} to {date_of(high)}")
    if additions.report.below_min_rating:
        parts.append(f"{additions.report.below_min_rating:,} rated below min_rating left out")
    return "; ".join(parts)
