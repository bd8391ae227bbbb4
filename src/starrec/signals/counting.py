"""The loops that count a whole log, compiled: who took an item, and which items lie near.

They run where counts are built or updated, and walk posting lists: item -> its users -> their items. With
sparse products the neighbour step needed the full product in memory; as a loop it needs one array of the
catalogue's size. `kernels` holds the loops that a task asks, and says what all of them are. Loops that call
each other stand in one file: numba's cache does not notice a change in another one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from starrec.signals.kernels import Ints, Ptr, compiled


@compiled
def grouped(groups: Ints, values: Ints, n_groups: int) -> tuple[Ptr, Ints]:
    """The values of each group, in their order, as a ragged array: a counting sort, O(values)."""
    ptr = np.zeros(n_groups + 1, np.int64)
    for group in groups:
        ptr[group + 1] += 1
    for group in range(n_groups):
        ptr[group + 1] += ptr[group]
    at = ptr[:-1].copy()
    out = np.empty(len(values), np.int32)
    for entry in range(len(values)):
        group = groups[entry]
        out[at[group]] = values[entry]
        at[group] += 1
    return ptr, out


@compiled
def transpose(ptr: Ptr, values: Ints, n_columns: int) -> tuple[Ptr, Ints]:
    """Rows that hold each column, ascending."""
    rows = np.empty(len(values), np.int32)
    for row in range(len(ptr) - 1):
        rows[ptr[row] : ptr[row + 1]] = row
    return grouped(values, rows, n_columns)


@compiled
def grouped_sorted(groups: Ints, values: Ints, n_groups: int) -> tuple[Ptr, Ints]:
    """The values of each group, ascending, as a ragged array."""
    ptr, out = grouped(groups, values, n_groups)
    for group in range(n_groups):
        out[ptr[group] : ptr[group + 1]].sort()
    return ptr, out


@compiled
def take(ptr: Ptr, values: Ints, rows: Ints) -> tuple[Ptr, Ints]:
    """Some rows of a ragged array, as one."""
    out_ptr = np.zeros(len(rows) + 1, np.int64)
    for at in range(len(rows)):
        out_ptr[at + 1] = out_ptr[at] + ptr[rows[at] + 1] - ptr[rows[at]]
    out = np.empty(out_ptr[len(rows)], np.int32)
    for at in range(len(rows)):
        out[out_ptr[at] : out_ptr[at + 1]] = values[ptr[rows[at]] : ptr[rows[at] + 1]]
    return out_ptr, out


@compiled
def neighbour_rows(
    rows: Ints,
    item_ptr: Ptr,
    item_users: Ints,
    user_ptr: Ptr,
    user_items: Ints,
    ties: NDArray[np.uint32],
    k: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The k items nearest to each of these by cosine, with the users who took both.

    For a fixed row i the order by n_ij / sqrt(n_i n_j) is that by n_ij² / n_j, a correctly rounded quotient of
    integers, so equal cosines are equal here and `ties` decides (the smaller first). Keys use a pair's own
    counts only.

    Returns:
        items and counts, both `(len(rows), k)`, best first; -1 and 0 where there are fewer.
    """
    n_items = len(item_ptr) - 1
    found = np.full((len(rows), k), -1, np.int32)
    both = np.zeros((len(rows), k), np.int32)
    counts = np.zeros(n_items, np.int32)
    # A heap with the worst of the best at its root.
    keys = np.empty(k, np.float64)
    items = np.empty(k, np.int32)
    for at in range(len(rows)):
        row = rows[at]
        for entry in range(item_ptr[row], item_ptr[row + 1]):
            user = item_users[entry]
            for other in range(user_ptr[user], user_ptr[user + 1]):
                counts[user_items[other]] += 1
        counts[row] = 0
        n = 0
        for item in range(n_items):
            count = counts[item]
            if count == 0:
                continue
            key = np.float64(count) * count / (item_ptr[item + 1] - item_ptr[item])
            if n < k:
                place = n
                n += 1
                while place > 0:
                    parent = (place - 1) >> 1
                    worse = keys[parent] < key or (keys[parent] == key and ties[items[parent]] > ties[item])
                    if worse:
                        break
                    keys[place], items[place] = keys[parent], items[parent]
                    place = parent
            elif key > keys[0] or (key == keys[0] and ties[item] < ties[items[0]]):
                place = 0
                while True:
                    child = 2 * place + 1
                    if child >= k:
                        break
                    if child + 1 < k and (
                        keys[child + 1] < keys[child]
                        or (keys[child + 1] == keys[child] and ties[items[child + 1]] > ties[items[child]])
                    ):
                        child += 1
                    if keys[child] > key or (keys[child] == key and ties[items[child]] < ties[item]):
                        break
                    keys[place], items[place] = keys[child], items[child]
                    place = child
            else:
                continue
            keys[place], items[place] = key, item
        # Best first: equal keys by ties.
        order = np.argsort(ties[items[:n]], kind="mergesort")
        order = order[np.argsort(-keys[:n][order], kind="mergesort")]
        for place in range(n):
            found[at, place] = items[order[place]]
            both[at, place] = counts[items[order[place]]]
        counts[:] = 0
    return found, both


@compiled
def gram(ptr: Ptr, items: Ints, n_items: int) -> NDArray[np.int32]:
    """Users who took both, of each pair of items, `(n_items, n_items)`: the upper triangle, diagonal included.

    Items of a user ascend. By user, not by item: her items' rows stay in the cache, which halves the time.
    """
    counts = np.zeros((n_items, n_items), np.int32)
    for user in range(len(ptr) - 1):
        for first in range(ptr[user], ptr[user + 1]):
            row = counts[items[first]]
            for second in range(first, ptr[user + 1]):
                row[items[second]] += 1
    return counts
