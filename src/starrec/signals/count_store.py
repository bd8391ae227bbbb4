"""The one interface through which counts are read, and what it answers with.

A `CountStore` is where counts are kept: `Counts` in memory (`counts`), or LMDB and Redis (`starrec.store`).
Everything else reads a `CountStore` and cannot tell which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.signals import counting
from starrec.signals.ease import EaseModel
from starrec.signals.factors import Factors

NEIGHBOURS_KEPT: Final = 100
"""Nearest items that are kept for each item."""
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


def cooccurrence_row(counts: CountStore, item: int, left_out: int = -1) -> NDArray[np.int32]:
    """`(n_items,)` users who took both this item and each other one, one user left out."""
    (users,) = counts.postings(np.array([item], dtype=np.int32))
    taken = counts.sequences(users[users != left_out]).values
    both = np.bincount(taken, minlength=counts.about.n_items).astype(np.int32)
    both[item] = 0
    return both
