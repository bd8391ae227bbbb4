"""Neighbour lists after some counts changed, without counting all of them anew.

Row i is ordered by n_ij² / n_j, a key of the pair's own counts, so a row changes at most in pairs that changed
and in items whose users became more or fewer. What is in the list is put where it belongs by what is known of
it; what is not can only come up where the pair's count rose or the item's users became fewer, and those few
pairs are counted. Everything else stays below the row's old last entry, its floor. One case needs the whole
row: entries of a full list fell below its floor and left it shorter than it was; what lay just behind the cut
was never kept. Every row comes out as if it had been counted anew.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from starrec.cores import cores
from starrec.signals.count_store import Neighbours, cooccurrence_row
from starrec.signals.counts import Counts, all_neighbours, item_ties, neighbour_block
from starrec.signals.kernels import compiled
from starrec.store.pairs import PairChanges

_R = TypeVar("_R")

_BLOCK: Final = 64


class Refreshed(NamedTuple):
    """Lists as they are now."""

    lists: Neighbours
    changed: NDArray[np.int32]
    """Rows that are not as they were, ascending."""
    recounted: int
    """Rows that were counted in full."""


class _Entries(NamedTuple):
    """Entries of rows: `both` users took the row's item and this one."""

    rows: NDArray[np.int32]
    items: NDArray[np.int32]
    both: NDArray[np.int32]


def refreshed(
    counts: Counts, old: Neighbours, old_popularity: NDArray[np.int32], pairs: PairChanges | None
) -> Refreshed:
    """All lists as they are now.

    Args:
        counts: as they are now.
        old: all lists as they were, `(n_items, counts.about.width)`; empty for items that are new.
        old_popularity: `(n_items,)` as it was.
        pairs: whose counts changed; None where all may have.
    """
    n_items, kept = counts.about.n_items, counts.about.kept
    if pairs is None:
        everything = all_neighbours(counts)
        return Refreshed(everything, _rows_that_differ(old, everything), n_items)
    ties, popularity = item_ties(n_items), counts.popularity

    full = np.zeros(n_items, dtype=np.bool_)
    floor_key, floor_tie = np.zeros(n_items), np.zeros(n_items, dtype=np.uint32)
    if old.items.shape[1] == kept:
        last, shared = old.items[:, -1], old.both[:, -1].astype(np.float64)
        full = last >= 0
        floor_key[full] = shared[full] * shared[full] / old_popularity[last[full]]
        floor_tie[full] = ties[last[full]]

    def above(found: _Entries) -> _Entries:
        """Those that are not below the floor of their row."""
        rows, items, both = found
        key, floor = both.astype(np.float64) * both / popularity[items], floor_key[rows]
        stays = ~full[rows] | (key > floor) | ((key == floor) & (ties[items] <= floor_tie[rows]))
        return _Entries(rows[stays], items[stays], both[stays])

    fewer = np.flatnonzero(popularity < old_popularity).astype(np.int32)
    risen = above(_joined([_risen(counts, pairs), *(above(_row_of_each(counts, item)) for item in fewer)]))
    # A pair may have come up in more than one way.
    rows, items, both = risen
    _, first = np.unique(rows.astype(np.int64) * n_items + items, return_index=True)
    ptr = np.searchsorted(rows[first], np.arange(n_items + 1))

    new = Neighbours(old.items.copy(), old.both.copy())
    short = _place(
        new.items, new.both, ptr, items[first], both[first], pairs.ptr, pairs.items, pairs.change,
        popularity.astype(np.int64), popularity != old_popularity, ties, full, floor_key, floor_tie,
    )  # fmt: skip
    recount = np.flatnonzero(short).astype(np.int32)
    recounted = _on_threads(partial(neighbour_block, counts), recount)
    new.items[recount] = np.concatenate([part.items for part in recounted])
    new.both[recount] = np.concatenate([part.both for part in recounted])
    return Refreshed(new, _rows_that_differ(old, new), len(recount))


def _rows_that_differ(old: Neighbours, new: Neighbours) -> NDArray[np.int32]:
    differ = (old.items != new.items).any(axis=1) | (old.both != new.both).any(axis=1)
    return np.flatnonzero(differ).astype(np.int32)


def _risen(counts: Counts, pairs: PairChanges) -> _Entries:
    """Both entries of each pair that more users took than before, counted."""
    rows, popularity = pairs.rows, counts.popularity
    # The users of the more popular one are marked once, and those of its partners looked up.
    more = popularity[rows] > popularity[pairs.items]
    more |= (popularity[rows] == popularity[pairs.items]) & (rows < pairs.items)
    chosen = np.flatnonzero((pairs.change > 0) & more)
    rows, items = rows[chosen], pairs.items[chosen]

    def count(part: NDArray[np.int32]) -> NDArray[np.int32]:
        return _both(rows[part], items[part], counts.users_of.ptr, counts.users_of.values, counts.about.n_users)

    both = np.concatenate(_on_threads(count, np.arange(len(chosen), dtype=np.int32), 1 << 14))
    return _Entries(np.append(rows, items), np.append(items, rows), np.append(both, both))


def _row_of_each(counts: Counts, item: np.int32) -> _Entries:
    """An item's entry in every other row."""
    both = cooccurrence_row(counts, int(item))
    rows = np.flatnonzero(both).astype(np.int32)
    return _Entries(rows, np.full(len(rows), item, dtype=np.int32), both[rows])


def _joined(parts: list[_Entries]) -> _Entries:
    return _Entries(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _on_threads(
    work: Callable[[NDArray[np.int32]], _R], items: NDArray[np.int32], block: int = _BLOCK
) -> list[_R]:
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(work, np.array_split(items, -(-max(len(items), 1) // block))))


@compiled
def _both(
    rows: NDArray[np.int32],
    items: NDArray[np.int32],
    item_ptr: NDArray[np.int64],
    item_users: NDArray[np.int32],
    n_users: int,
) -> NDArray[np.int32]:
    """Users who took both, of each pair; quick where equal rows stand together."""
    counts = np.zeros(len(rows), np.int32)
    took = np.zeros(n_users, np.bool_)
    marked = -1
    for pair in range(len(rows)):
        row, item = rows[pair], items[pair]
        if row != marked:
            if marked >= 0:
                for entry in range(item_ptr[marked], item_ptr[marked + 1]):
                    took[item_users[entry]] = False
            for entry in range(item_ptr[row], item_ptr[row + 1]):
                took[item_users[entry]] = True
            marked = row
        for entry in range(item_ptr[item], item_ptr[item + 1]):
            counts[pair] += took[item_users[entry]]
    return counts


@compiled
def _place(
    items: NDArray[np.int32],
    both: NDArray[np.int32],
    risen_ptr: NDArray[np.int64],
    risen_items: NDArray[np.int32],
    risen_both: NDArray[np.int32],
    pair_ptr: NDArray[np.int64],
    pair_items: NDArray[np.int32],
    pair_change: NDArray[np.int32],
    popularity: NDArray[np.int64],
    moved: NDArray[np.bool_],
    ties: NDArray[np.uint32],
    full: NDArray[np.bool_],
    floor_key: NDArray[np.float64],
    floor_tie: NDArray[np.uint32],
) -> NDArray[np.bool_]:
    """Update entries and add risen ones, in place; True for rows that must be counted in full."""
    n_rows, k = items.shape
    short = np.zeros(n_rows, np.bool_)
    change = np.zeros(n_rows, np.int32)
    listed = np.full(n_rows, -1, np.int64)
    for row in range(n_rows):
        stale = risen_ptr[row + 1] > risen_ptr[row] or pair_ptr[row + 1] > pair_ptr[row]
        length = 0
        while length < k and items[row, length] >= 0:
            stale = stale or moved[items[row, length]]
            length += 1
        if not stale:
            continue
        for entry in range(pair_ptr[row], pair_ptr[row + 1]):
            change[pair_items[entry]] = pair_change[entry]
        size = length + risen_ptr[row + 1] - risen_ptr[row]
        found, count, keys = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.float64)
        n = 0
        for place in range(length):
            item = items[row, place]
            listed[item] = row
            now = both[row, place] + change[item]
            if now == 0:
                continue
            key = np.float64(now) * now / popularity[item]
            if full[row] and (key < floor_key[row] or (key == floor_key[row] and ties[item] > floor_tie[row])):
                continue
            found[n], count[n], keys[n] = item, now, key
            n += 1
        for entry in range(risen_ptr[row], risen_ptr[row + 1]):
            item = risen_items[entry]
            if listed[item] != row:
                found[n], count[n] = item, risen_both[entry]
                keys[n] = np.float64(count[n]) * count[n] / popularity[item]
                n += 1
        for entry in range(pair_ptr[row], pair_ptr[row + 1]):
            change[pair_items[entry]] = 0
        if full[row] and n < k:
            short[row] = True
            continue
        order = np.argsort(ties[found[:n]], kind="mergesort")
        order = order[np.argsort(-keys[:n][order], kind="mergesort")]
        items[row, :], both[row, :] = -1, 0
        for place in range(min(n, k)):
            items[row, place], both[row, place] = found[order[place]], count[order[place]]
    return short
