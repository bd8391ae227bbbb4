"""What a Dataset holds, in a line."""

from __future__ import annotations

from typing import Final

from starrec.data.dataset import Dataset, date_of

_STAYS: Final = {"first": "the first counts", "last": "the last counts"}


def describe(dataset: Dataset) -> str:
    """Name, counts, first and last day, and what was left out, without a full stop."""
    categories = (
        dataset.items["categories"].explode().n_unique() - dataset.items["categories"].explode().has_nulls()
    )
    parts = [
        f"{dataset.name}, {_count(dataset.interactions.height, 'interaction')}, "
        f"{_count(dataset.n_users, 'user')}, {_count(dataset.n_items, 'item')}, "
        f"{_count(categories, 'category')}"
    ]
    days = dataset.days
    if days is None:
        parts.append("ordered by position, without a clock")
    else:
        parts.append(f"timestamps read as {dataset.times_written}: {date_of(days[0])} to {date_of(days[1])}")
    if dataset.repeats:
        parts.append(
            f"{_count(dataset.repeats, 'repeat')} of a user and item left out ({_STAYS[dataset.kept_repeat]})"
        )
    if dataset.below_min_rating:
        parts.append(f"{dataset.below_min_rating:,} rated below min_rating left out")
    if "part" in dataset.interactions.columns:
        counts = dict(dataset.interactions["part"].value_counts().iter_rows())
        train, validation, test = (counts.get(part, 0) for part in range(3))
        parts.append(
            f"split as given: {train:,} train, {validation:,} validation, {test:,} test (of several a user's "
            "last one is the target)"
        )
    return "; ".join(parts)


def _count(count: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"
