"""The counts of the training split, in memory.

Collaborative Signal Translation (STAR, section 3.2) walks the graph: item -> its users -> their other items,
and user -> items -> other users of those items. What is kept is linear in the data: both directions of the
edges, each with its place in the user's sequence, and for each item its nearest others. Pairs, and what
followed what, are counted exactly when a task asks, from the postings; a full matrix of pairs would grow with
the square of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from starrec.cores import cores
from starrec.data import Sequences
from starrec.hashing import combine
from starrec.signals import counting
from starrec.signals.count_store import (
    NEIGHBOURS_KEPT,
    About,
    DayCounts,
    Lists,
    Neighbours,
    Packed,
    Ragged,
)
from starrec.signals.ease import EASE_ITEMS, RIDGE, EaseModel, choose_items, count_gram, solve
from starrec.signals.factors import FACTORS, Factors, fit_factors, index_keys

HISTORY_CAP: Final = 1000
"""Latest items of a user that are counted: pairs grow with the square of a history, and without a cap one in a
hundred users would own a third of all pairs of MovieLens-25M (accuracy of smaller caps: `benchmarks/signals.py
cap`)."""
BLOCK: Final = 256
"""Items of a block of neighbours."""


def capped(train: Sequences, history_cap: int) -> Sequences:
    """The latest `history_cap` items of each user."""
    lengths = train.lengths
    if not len(lengths) or lengths.max() <= history_cap:
        return train
    place = np.arange(len(train.items)) - train.ptr[train.users]
    return train.kept(place >= (lengths - history_cap)[train.users])


_NO_PLACES: Final = np.empty(0, dtype=np.int32)


def postings_of(train: Sequences, n_items: int) -> tuple[Ragged, NDArray[np.int32]]:
    """Users of each item, ascending, and the item's place in the sequence of each."""
    places = (np.arange(len(train.items)) - np.repeat(train.ptr[:-1], train.lengths)).astype(np.int32)
    ptr, users = counting.transpose(train.ptr, train.items, n_items)
    return Ragged(ptr, users), counting.grouped(train.items, places, n_items)[1]


def item_ties(n_items: int) -> NDArray[np.uint32]:
    """`(n_items,)` what orders items with equal cosines; an item keeps its own when others are added."""
    return (combine(np.arange(n_items), 73) >> np.uint64(32)).astype(np.uint32)


@dataclass(frozen=True, eq=False)
class Counts:
    """All counts in memory; make with `build`. A store adds `nearest`, `fitted` and `factored`, else made on
    demand."""

    about: About
    train: Sequences
    """What is counted: capped."""
    users_of: Ragged
    """Row = item."""
    days_of: Ragged | None
    """Row = item; aligned in number with `users_of`, ordered by day."""
    places_of: NDArray[np.int32]
    """Aligned with `users_of.values`: the item's place in the user's sequence."""
    daily: DayCounts | None
    nearest: Neighbours | None = None
    ease_items: int = EASE_ITEMS
    """Items of the EASE model at most."""
    ridge: float = RIDGE
    """Its λ."""
    fitted: EaseModel | None = None
    """That model."""
    components: int = FACTORS
    """Of an item's vectors; 0 for none."""
    keys: NDArray[np.uint64] | None = None
    """`user_keys`; None for those of indices."""
    factored: Factors | None = None
    """The vectors."""

    @classmethod
    def build(
        cls,
        train: Sequences,
        n_items: int,
        *,
        history_cap: int = HISTORY_CAP,
        kept: int = NEIGHBOURS_KEPT,
        ease_items: int = EASE_ITEMS,
        ridge: float = RIDGE,
        components: int = FACTORS,
        keys: NDArray[np.uint64] | None = None,
    ) -> Self:
        """Count training sequences: O(interactions); arguments as the fields of these names."""
        train = capped(train, history_cap)
        users_of, places_of = postings_of(train, n_items)
        days_of, daily, first_day = None, None, 0
        if train.days is not None:
            days_of = Ragged(*counting.grouped_sorted(train.items, train.days, n_items))
            daily = DayCounts.of(train.days)
            first_day = int(daily.days[0]) if len(daily.days) else 0
        about = About(train.n_users, n_items, train.days is not None, history_cap, first_day, kept)
        return cls(
            about,
            train,
            users_of,
            days_of,
            places_of,
            daily,
            ease_items=ease_items,
            ridge=ridge,
            components=components,
            keys=keys,
        )

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        return self.train.lengths.astype(np.int32)

    @cached_property
    def popularity(self) -> NDArray[np.int32]:
        return np.diff(self.users_of.ptr).astype(np.int32)

    def postings(self, items: NDArray[np.int32]) -> Lists:
        return [self.users_of.row(item) for item in items.tolist()]

    def item_days(self, items: NDArray[np.int32]) -> Lists:
        assert self.days_of is not None, "without a clock there are no days"
        return [self.days_of.row(item) for item in items.tolist()]

    def packed_postings(self, items: NDArray[np.int32]) -> Packed:
        ptr = self.users_of.ptr
        return Packed(ptr[items], ptr[items + 1], self.users_of.values, self.places_of)

    def packed_days(self, items: NDArray[np.int32]) -> Packed:
        assert self.days_of is not None, "without a clock there are no days"
        ptr = self.days_of.ptr
        return Packed(ptr[items], ptr[items + 1], self.days_of.values, _NO_PLACES)

    def sequence(self, user: int) -> tuple[NDArray[np.int32], NDArray[np.int32] | None]:
        part = slice(self.train.ptr[user], self.train.ptr[user + 1])
        return self.train.items[part], None if self.train.days is None else self.train.days[part]

    def sequences(self, users: NDArray[np.int32]) -> Ragged:
        return Ragged(self.train.ptr, self.train.items).take(users)

    def neighbours(self, items: NDArray[np.int32]) -> Neighbours:
        if self.nearest is None:
            return neighbour_block(self, items)
        return Neighbours(self.nearest.items[items], self.nearest.both[items])

    def ease(self) -> EaseModel | None:
        return self._ease

    @cached_property
    def _ease(self) -> EaseModel | None:
        return self.fitted or fit_ease(self, ease_items=self.ease_items, ridge=self.ridge)

    def factors(self) -> Factors | None:
        return self._factors

    @cached_property
    def _factors(self) -> Factors | None:
        return self.factored or fit_factors(self.train, self.popularity, self.user_keys, self.components)

    @cached_property
    def user_keys(self) -> NDArray[np.uint64]:
        return index_keys(self.about.n_users) if self.keys is None else self.keys


def neighbour_block(counts: Counts, items: NDArray[np.int32]) -> Neighbours:
    """The nearest items of these, counted from the posting lists; the unit of work of a build."""
    return Neighbours(
        *counting.neighbour_rows(
            items,
            counts.users_of.ptr,
            counts.users_of.values,
            counts.train.ptr,
            counts.train.items,
            item_ties(counts.about.n_items),
            counts.about.width,
        )
    )


def item_blocks(n_items: int, size: int = BLOCK) -> list[NDArray[np.int32]]:
    """The catalogue in blocks. Strided: popular items lie together in some catalogues, and blocks should take
    equally long."""
    n_blocks = max(1, -(-n_items // size))
    return [np.arange(first, n_items, n_blocks, dtype=np.int32) for first in range(n_blocks)]


def all_neighbours(
    counts: Counts,
    advance: Callable[[int], None] = lambda items: None,
    blocks: Callable[[Counts, list[NDArray[np.int32]]], Iterator[Neighbours]] | None = None,
) -> Neighbours:
    """The nearest items of every item, in blocks.

    Args:
        advance: called with the number of items that were done.
        blocks: how blocks are run, in order; None for threads of this process.
    """
    parts = item_blocks(counts.about.n_items)
    items = np.full((counts.about.n_items, counts.about.width), -1, dtype=np.int32)
    both = np.zeros_like(items)
    for rows, found in zip(parts, (blocks or _on_threads)(counts, parts), strict=True):
        items[rows], both[rows] = found.items, found.both
        advance(len(rows))
    return Neighbours(items, both)


def _on_threads(counts: Counts, parts: list[NDArray[np.int32]]) -> Iterator[Neighbours]:
    with ThreadPoolExecutor(cores()) as pool:
        yield from pool.map(partial(neighbour_block, counts), parts)


def fit_ease(counts: Counts, *, ease_items: int = EASE_ITEMS, ridge: float = RIDGE) -> EaseModel | None:
    """Fit the EASE model to all users; None where nothing was taken."""
    chosen = choose_items(counts.popularity, ease_items)
    return None if chosen is None else solve(chosen, count_gram(counts.train, chosen.items), ridge)
