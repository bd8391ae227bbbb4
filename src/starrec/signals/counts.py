"""The counts of the training split, and the one interface through which they are read.

Collaborative Signal Translation (STAR, section 3.2) walks the graph: item -> its users -> their other items,
and user -> items -> other users of those items. What is kept is linear in the data: both directions of the
edges, each with its place in the user's sequence, and for each item its nearest others. Pairs, and what
followed what, are counted exactly when a task asks, from the postings; a full matrix of pairs would grow with
the square of the catalogue.

A `CountStore` is where counts are kept: `Counts` in memory, or LMDB and Redis (`starrec.store`). Everything
else reads a `CountStore` and cannot tell which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, NamedTuple, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.cores import cores
from starrec.data import Sequences
from starrec.hashing import combine
from starrec.signals import counting
from starrec.signals.ease import EASE_ITEMS, RIDGE, EaseModel, choose_items, count_gram, solve
from starrec.signals.factors import FACTORS, Factors, fit_factors, index_keys

HISTORY_CAP: Final = 1000
"""Latest items of a user that are counted: pairs grow with the square of a history, and without a cap one in a
hundred users would own a third of all pairs of MovieLens-25M (accuracy of smaller caps: `benchmarks/signals.py
cap`)."""
NEIGHBOURS_KEPT: Final = 100
"""Nearest items that are kept for each item."""
BLOCK: Final = 256
"""Items of a block of neighbours."""


Lists: TypeAlias = Sequence[NDArray[np.int32]]
"""A list for each item, such as its users. Lists, not one ragged array: those of a task's items are megabytes,
and are read where they lie."""


class Packed(NamedTuple):
    """Lists of m items side by side in one array: those of item i are `values[start[i]:end[i]]`."""

    start: NDArray[np.int64]
    """`(m,)`"""
    end: NDArray[np.int64]
    """`(m,)`"""
    values: NDArray[np.int32]
    places: NDArray[np.int32]
    """Of postings, aligned with `values`: the item's place in the user's sequence, from 0. Else empty."""

    @classmethod
    def of(cls, lists: Lists, places: Lists = ()) -> Self:
        """Lists that lie apart, copied side by side."""
        ends = np.cumsum([len(part) for part in lists], dtype=np.int64)
        start = np.zeros_like(ends)
        start[1:] = ends[:-1]
        empty = np.empty(0, dtype=np.int32)
        return cls(start, ends, np.concatenate([empty, *lists]), np.concatenate([empty, *places]))


class DayCounts(NamedTuple):
    """Interactions by day, of the days on which there are some: one stray time costs one entry, not a
    century."""

    days: NDArray[np.int32]
    """Days since 1970, ascending."""
    counts: NDArray[np.int64]
    """How many interactions each has, 1 or more."""

    @classmethod
    def of(cls, days: NDArray[np.int32]) -> Self:
        """Count days `(n,)` in any order."""
        found, counts = np.unique(days, return_counts=True)
        return cls(found.astype(np.int32), counts.astype(np.int64))


class Ragged(NamedTuple):
    """Rows of different lengths: row r is `values[ptr[r]:ptr[r + 1]]`."""

    ptr: NDArray[np.int64]
    """`(n_rows + 1,)`"""
    values: NDArray[np.int32]

    def take(self, rows: NDArray[np.int32]) -> Ragged:
        return Ragged(*counting.take(self.ptr, self.values, rows))

    def row(self, index: int) -> NDArray[np.int32]:
        return self.values[self.ptr[index] : self.ptr[index + 1]]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest items of some items, by cosine n_ij / sqrt(n_i n_j), best first."""

    items: NDArray[np.int32]
    """`(m, k)`, -1 where there are fewer."""
    both: NDArray[np.int32]
    """`(m, k)` users who took both."""


@dataclass(frozen=True)
class About:
    """What a source holds."""

    n_users: int
    n_items: int
    clock: bool
    """Whether interactions have days."""
    history_cap: int
    first_day: int = 0
    """The day of the earliest interaction, in days since 1970."""
    kept: int = NEIGHBOURS_KEPT
    """Neighbours of an item at most."""

    @property
    def width(self) -> int:
        """Columns of a table of neighbours."""
        return min(self.kept, max(self.n_items - 1, 1))


class CountStore(Protocol):
    """Where counts are kept: in memory (`Counts`) or in a database (`starrec.store`).

    All arrays are read-only; items and users are indices.
    """

    @property
    def about(self) -> About: ...

    @property
    def lengths(self) -> NDArray[np.int32]:
        """`(n_users,)` items of each user."""

    @property
    def popularity(self) -> NDArray[np.int32]:
        """`(n_items,)` users of each item."""

    @property
    def daily(self) -> DayCounts | None:
        """Interactions by day; None without a clock."""

    def postings(self, items: NDArray[np.int32]) -> Lists:
        """Users who took each of these items, ascending."""

    def item_days(self, items: NDArray[np.int32]) -> Lists:
        """Days on which each of these items was taken, ascending; with a clock only."""

    def packed_postings(self, items: NDArray[np.int32]) -> Packed:
        """`postings` for the kernels, with the place of each item in the user's sequence."""

    def packed_days(self, items: NDArray[np.int32]) -> Packed:
        """`item_days` for the kernels; with a clock only."""

    def sequence(self, user: int) -> tuple[NDArray[np.int32], NDArray[np.int32] | None]:
        """A user's counted items, oldest first, and their days."""

    def sequences(self, users: NDArray[np.int32]) -> Ragged:
        """These users' counted items, oldest first."""

    def neighbours(self, items: NDArray[np.int32]) -> Neighbours:
        """The nearest items of each of these."""

    def ease(self) -> EaseModel | None:
        """The EASE model; None where it was not fitted."""

    def factors(self) -> Factors | None:
        """Vectors of items; None where there are none."""

    @property
    def user_keys(self) -> NDArray[np.uint64]:
        """`(n_users,)` which part of the people each user is of (`factors.user_keys`)."""


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


def cooccurrence_row(counts: CountStore, item: int, left_out: int = -1) -> NDArray[np.int32]:
    """`(n_items,)` users who took both this item and each other one, one user left out."""
    (users,) = counts.postings(np.array([item], dtype=np.int32))
    taken = counts.sequences(users[users != left_out]).values
    both = np.bincount(taken, minlength=counts.about.n_items).astype(np.int32)
    both[item] = 0
    return both


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
