"""Which pairs of items are taken together by more users than before, or by fewer.

A pair's count changes only where a user gained or lost one of the two, so the changed users' sequences say it
all; nobody else's is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import Sequences
from starrec.signals.kernels import compiled

_MANY: Final = 20_000_000
"""Pairs that changed for some user, from which counting everything is cheaper than looking at each."""


@dataclass(frozen=True, eq=False)
class PairChanges:
    """By row: the items of changed pairs, ascending, and by how many users. Each pair stands in both rows."""

    ptr: NDArray[np.int64]
    """`(n_items + 1,)`"""
    items: NDArray[np.int32]
    change: NDArray[np.int32]
    """Never 0."""

    @property
    def rows(self) -> NDArray[np.int32]:
        """The row of each entry."""
        return np.repeat(np.arange(len(self.ptr) - 1, dtype=np.int32), np.diff(self.ptr))

    @classmethod
    def between(cls, before: Sequences, after: Sequences, n_items: int) -> PairChanges | None:
        """What changed from one to the other, for the same users; None where that is too much to list."""
        size = _pairs_of_users(before.ptr, before.items, after.ptr, after.items, n_items)
        if size > _MANY:
            return None
        keys, signs = _changed_pairs(before.ptr, before.items, after.ptr, after.items, n_items, size)
        found, place = np.unique(keys, return_inverse=True)
        change = np.bincount(place, weights=signs, minlength=len(found)).astype(np.int32)
        found, change = found[change != 0], change[change != 0]
        ptr = np.searchsorted(found, np.arange(n_items + 1, dtype=np.int64) * n_items)
        return cls(ptr.astype(np.int64), (found % n_items).astype(np.int32), change)


@compiled
def _pairs_of_users(
    before_ptr: NDArray[np.int64],
    before: NDArray[np.int32],
    after_ptr: NDArray[np.int64],
    after: NDArray[np.int32],
    n_items: int,
) -> int:
    """An upper bound of what `_changed_pairs` finds."""
    had = np.full(n_items, -1, np.int64)
    size = 0
    for user in range(len(before_ptr) - 1):
        for entry in range(before_ptr[user], before_ptr[user + 1]):
            had[before[entry]] = user
        same = 0
        for entry in range(after_ptr[user], after_ptr[user + 1]):
            same += had[after[entry]] == user
        old, new = before_ptr[user + 1] - before_ptr[user], after_ptr[user + 1] - after_ptr[user]
        size += 2 * (old + new - 2 * same) * (old + new - same)
    return size


@compiled
def _changed_pairs(
    before_ptr: NDArray[np.int64],
    before: NDArray[np.int32],
    after_ptr: NDArray[np.int64],
    after: NDArray[np.int32],
    n_items: int,
    size: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Row and item as one number, and 1 or -1, for each pair that a user began or ceased to have."""
    keys, signs = np.empty(size, np.int64), np.empty(size, np.int32)
    had, has = np.full(n_items, -1, np.int64), np.full(n_items, -1, np.int64)
    n = 0
    for user in range(len(before_ptr) - 1):
        for entry in range(before_ptr[user], before_ptr[user + 1]):
            had[before[entry]] = user
        for entry in range(after_ptr[user], after_ptr[user + 1]):
            has[after[entry]] = user
        for gained in range(2):
            # Of items gained, the pairs with all that she has now; of items lost, with all that she had.
            own, own_ptr = (after, after_ptr) if gained else (before, before_ptr)
            there = had if gained else has
            for entry in range(own_ptr[user], own_ptr[user + 1]):
                item = own[entry]
                if there[item] == user:
                    continue
                for other_entry in range(own_ptr[user], own_ptr[user + 1]):
                    other = own[other_entry]
                    if other == item:
                        continue
                    keys[n], signs[n] = np.int64(item) * n_items + other, 2 * gained - 1
                    n += 1
                    if there[other] == user:
                        # The other one did not change: its own row is not written from its side.
                        keys[n], signs[n] = np.int64(other) * n_items + item, 2 * gained - 1
                        n += 1
    return keys[:n], signs[:n]


__all__ = ["PairChanges"]
