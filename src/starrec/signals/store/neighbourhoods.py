"""Neighbour lists after some counts changed, without counting all of them anew.

Row i is ordered by n_ij² / n_j, a key of the pair's own counts. So when the users of some items moved, a row
changes at most in pairs of which one is a moved item: those pairs are counted (one row of pair counts for each
moved item), and each is put where it belongs, in both rows. What was not kept and did not move stays below the
row's old last entry, its floor. One case needs the whole row: entries of a full list fell below its floor and
left it shorter than it was; what lay just behind the cut was never kept. Every row comes out as if it had been
counted anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from starrec.signals.counts import Counts, Neighbours, item_ties, neighbour_block

_P = ParamSpec("_P")
_R = TypeVar("_R")

_BLOCK: Final = 64
_MOSTLY: Final = 0.5
"""Share of moved items from which all rows are counted anew."""


def _compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    compiled: Any = numba.njit(cache=True, nogil=True)(function)
    return compiled  # type: ignore[no-any-return]


def refreshed(
    counts: Counts, old: Neighbours, old_popularity: NDArray[np.int32], moved: NDArray[np.int32]
) -> tuple[Neighbours, NDArray[np.int32], int]:
    """All lists as they are now.

    Args:
        counts: as they are now.
        old: all lists as they were, `(n_items, counts.about.width)`; empty for items that are new.
        old_popularity: `(n_items,)` as it was.
        moved: items whose users are others now, ascending.

    Returns:
        The lists, the rows that are not as they were (ascending), and how many rows were counted in full.
    """
    n_items, kept = counts.about.n_items, counts.about.kept
    if len(moved) > _MOSTLY * n_items:
        everything = np.arange(n_items, dtype=np.int32)
        found = _counted(counts, everything)
        return found, _rows_that_differ(old, found), n_items
    ties, popularity = item_ties(n_items), counts.popularity.astype(np.int64)
    is_moved = np.zeros(n_items, dtype=np.bool_)
    is_moved[moved] = True

    full = np.zeros(n_items, dtype=np.bool_)
    floor_key, floor_tie = np.zeros(n_items), np.zeros(n_items, dtype=np.uint32)
    if old.items.shape[1] == kept:
        last, shared = old.items[:, -1], old.both[:, -1].astype(np.float64)
        full = last >= 0
        floor_key[full] = shared[full] * shared[full] / old_popularity[last[full]]
        floor_tie[full] = ties[last[full]]

    def challenge(block: NDArray[np.int32]) -> tuple[NDArray[np.int32], ...]:
        return _challengers(
            block, counts.users_of.ptr, counts.users_of.values, counts.train.ptr, counts.train.items,
            is_moved, popularity, ties, full, floor_key, floor_tie,
        )  # fmt: skip

    parts = _on_threads(challenge, moved)
    row, item, both = (np.concatenate([part[at] for part in parts]) for at in range(3))
    by_row = np.argsort(row, kind="stable")
    ptr = np.zeros(n_items + 1, dtype=np.int64)
    np.cumsum(np.bincount(row, minlength=n_items), out=ptr[1:])
    new = Neighbours(old.items.copy(), old.both.copy())
    short = _merge(
        new.items, new.both, ptr, item[by_row], both[by_row], is_moved, popularity, ties, full
    )  # fmt: skip
    recount = np.flatnonzero(short).astype(np.int32)
    recounted = _counted(counts, recount)
    new.items[recount], new.both[recount] = recounted.items, recounted.both
    return new, _rows_that_differ(old, new), len(recount)


def _rows_that_differ(old: Neighbours, new: Neighbours) -> NDArray[np.int32]:
    differ = (old.items != new.items).any(axis=1) | (old.both != new.both).any(axis=1)
    return np.flatnonzero(differ).astype(np.int32)


def _counted(counts: Counts, rows: NDArray[np.int32]) -> Neighbours:
    parts = _on_threads(partial(neighbour_block, counts), rows)
    return Neighbours(
        np.concatenate([part.items for part in parts]), np.concatenate([part.both for part in parts])
    )


def _on_threads(work: Callable[[NDArray[np.int32]], _R], items: NDArray[np.int32]) -> list[_R]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, np.array_split(items, -(-max(len(items), 1) // _BLOCK))))


@_compiled
def _challengers(
    moved: NDArray[np.int32],
    item_ptr: NDArray[np.int64],
    item_users: NDArray[np.int32],
    user_ptr: NDArray[np.int64],
    user_items: NDArray[np.int32],
    is_moved: NDArray[np.bool_],
    popularity: NDArray[np.int64],
    ties: NDArray[np.uint32],
    full: NDArray[np.bool_],
    floor_key: NDArray[np.float64],
    floor_tie: NDArray[np.uint32],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Pairs of moved items that are not below the floor of a row: row, item and both. All of a moved item's own
    row, and of the rows of others the moved items in them."""
    counts = np.zeros(len(item_ptr) - 1, np.int32)
    rows, items, both = np.empty(64, np.int32), np.empty(64, np.int32), np.empty(64, np.int32)
    n = 0
    for item in moved:
        for entry in range(item_ptr[item], item_ptr[item + 1]):
            user = item_users[entry]
            for other in range(user_ptr[user], user_ptr[user + 1]):
                counts[user_items[other]] += 1
        counts[item] = 0
        for other in range(len(counts)):
            count = counts[other]
            if count == 0:
                continue
            square = np.float64(count) * count
            # A pair of two moved items comes up once from each, and each time stands in that one's own row.
            for own in range(2):
                if own == 0 and is_moved[other]:
                    continue
                row, neighbour = (item, other) if own else (other, item)
                if full[row]:
                    key = square / popularity[neighbour]
                    if key < floor_key[row] or (key == floor_key[row] and ties[neighbour] > floor_tie[row]):
                        continue
                if n == len(rows):
                    grown = np.empty((3, 2 * n), np.int32)
                    grown[0, :n], grown[1, :n], grown[2, :n] = rows, items, both
                    rows, items, both = grown[0], grown[1], grown[2]
                rows[n], items[n], both[n] = row, neighbour, count
                n += 1
        counts[:] = 0
    return rows[:n], items[:n], both[:n]


@_compiled
def _merge(
    items: NDArray[np.int32],
    both: NDArray[np.int32],
    ptr: NDArray[np.int64],
    new_items: NDArray[np.int32],
    new_both: NDArray[np.int32],
    is_moved: NDArray[np.bool_],
    popularity: NDArray[np.int64],
    ties: NDArray[np.uint32],
    full: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Put challengers in their places, in place; True for rows that must be counted in full."""
    n_rows, k = items.shape
    short = np.zeros(n_rows, np.bool_)
    for row in range(n_rows):
        length = 0
        stale = is_moved[row] or ptr[row + 1] > ptr[row]
        while length < k and items[row, length] >= 0:
            stale = stale or is_moved[items[row, length]]
            length += 1
        if not stale:
            continue
        found = np.empty(length + ptr[row + 1] - ptr[row], np.int32)
        count = np.empty(len(found), np.int32)
        n = 0
        for place in range(length):
            if not (is_moved[row] or is_moved[items[row, place]]):
                found[n], count[n] = items[row, place], both[row, place]
                n += 1
        for entry in range(ptr[row], ptr[row + 1]):
            found[n], count[n] = new_items[entry], new_both[entry]
            n += 1
        found, count = found[:n], count[:n]
        if full[row] and n < k:
            short[row] = True
            continue
        squares = count.astype(np.float64) * count
        keys = squares / popularity[found]
        order = np.argsort(ties[found], kind="mergesort")
        order = order[np.argsort(-keys[order], kind="mergesort")]
        items[row, :], both[row, :] = -1, 0
        for place in range(min(n, k)):
            items[row, place], both[row, place] = found[order[place]], count[order[place]]
    return short
