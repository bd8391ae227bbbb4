"""The counting loops, compiled.

Everything here walks posting lists: item -> its users -> their items. Done with sparse products, a task's pair
counts took three times as long and the neighbour step needed the full product in memory; as loops they need
one array of the catalogue's size. Kernels are pure functions of arrays, release the interpreter lock (blocks
run on threads), and are compiled once a machine (numba's cache).

A ragged array is `(ptr, values)`: row r is `values[ptr[r]:ptr[r + 1]]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

_P = ParamSpec("_P")
_R = TypeVar("_R")

Ptr = NDArray[np.int64]
Ints = NDArray[np.int32]
Floats = NDArray[np.float64]
Masks = NDArray[np.uint64]


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a loop."""
    made: Any = numba.njit(cache=True, nogil=True)(function)
    return made  # type: ignore[no-any-return]


BITS: Final = 64


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
def count_followed(ptr: Ptr, items: Ints, n_items: int, window: int) -> tuple[Ptr, Ints, Ints]:
    """For each later item, the earlier ones within `window` places before it and how many users had each.

    Returns:
        ptr `(n_items + 1,)`, earlier items ascending, counts.
    """
    starts = np.zeros(n_items + 1, np.int64)
    for user in range(len(ptr) - 1):
        for place in range(ptr[user], ptr[user + 1]):
            starts[items[place] + 1] += min(window, place - ptr[user])
    for item in range(n_items):
        starts[item + 1] += starts[item]
    at = starts[:-1].copy()
    earlier = np.empty(starts[n_items], np.int32)
    for user in range(len(ptr) - 1):
        for place in range(ptr[user], ptr[user + 1]):
            later = items[place]
            for before in range(max(ptr[user], place - window), place):
                earlier[at[later]] = items[before]
                at[later] += 1
    out_ptr = np.zeros(n_items + 1, np.int64)
    counts = np.empty(len(earlier), np.int32)
    n = 0
    for item in range(n_items):
        row = earlier[starts[item] : starts[item + 1]]
        row.sort()
        first = n
        for entry in range(len(row)):
            value = row[entry]
            if n > first and earlier[n - 1] == value:
                counts[n - 1] += 1
            else:
                # Written behind the place that is read: runs only shorten.
                earlier[n] = value
                counts[n] = 1
                n += 1
        out_ptr[item + 1] = n
    return out_ptr, earlier[:n].copy(), counts[:n].copy()


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
def mark(words: NDArray[np.uint64], users: Ints, bit: np.uint64) -> None:
    """Set a bit in each of these users' words."""
    for user in users:
        words[user] |= bit


@compiled
def _ones(mask: np.uint64) -> int:
    """Set bits of a word: pairs, nibbles and bytes are added side by side (the compiler knows this form and
    makes one instruction of it)."""
    mask -= (mask >> np.uint64(1)) & np.uint64(0x5555555555555555)
    mask = (mask & np.uint64(0x3333333333333333)) + ((mask >> np.uint64(2)) & np.uint64(0x3333333333333333))
    mask = (mask + (mask >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((mask * np.uint64(0x0101010101010101)) >> np.uint64(56))


_DE_BRUIJN: Final = np.uint64(0x03F79D71B4CB0A89)
_PLACES: Final = np.zeros(BITS, np.uint8)
for _place in range(BITS):
    _PLACES[(int(_DE_BRUIJN) << _place & 0xFFFFFFFFFFFFFFFF) >> 58] = _place


@compiled
def _lowest(bit: np.uint64) -> int:
    """Number of the one set bit: six bits of a de Bruijn sequence shifted by it are its own name (Leiserson,
    Prokop and Randall, 1998)."""
    return _PLACES[(bit * _DE_BRUIJN) >> np.uint64(58)]  # type: ignore[no-any-return]


@compiled
def count_marked(masks: Masks, users: Ints, left_out: int, counts: NDArray[np.int32]) -> None:
    """Count, for each bit of the masks `(planes, n_users)`, those of these users who have it; one is left out.

    Args:
        counts: `(>= bits,)` added to.
    """
    for plane in range(len(masks)):
        words = masks[plane]
        base = plane * BITS
        for user in users:
            mask = words[user]
            if mask and user != left_out:
                while mask:
                    rest = mask & (mask - np.uint64(1))
                    counts[base + _lowest(mask ^ rest)] += 1
                    mask = rest


@compiled
def nearest(
    masks: Masks, window: Masks, size: int, lengths: Ints, ties: Floats, left_out: int, k: int
) -> tuple[NDArray[np.int64], Floats]:
    """The k users with the highest overlap / sqrt(size · length), one left out, by ascending index.

    Args:
        window: `(planes,)` bits of the rows that count.
        ties: `(n_users,)` far below one unit of similarity; orders equal ones.
    """
    keys = np.empty(k, np.float64)
    similarities = np.empty(k, np.float64)
    users = np.empty(k, np.int64)
    # In a loop of its own this becomes vector instructions.
    overlaps = np.zeros(masks.shape[1], np.uint16)
    for plane in range(len(window)):
        words, bits = masks[plane], window[plane]
        for user in range(len(words)):
            overlaps[user] += _ones(words[user] & bits)
    enough = 0.0
    n = 0
    for user in range(masks.shape[1]):
        overlap = np.int64(overlaps[user])
        # Squares sort out who cannot be near; a root for every user would double the time.
        if overlap == 0 or user == left_out or overlap * overlap < enough * lengths[user]:
            continue
        similarity = overlap / np.sqrt(np.float64(size * lengths[user]))
        key = similarity + ties[user]
        if n < k:
            place = n
            n += 1
            while place > 0 and keys[(place - 1) >> 1] > key:
                parent = (place - 1) >> 1
                keys[place], users[place], similarities[place] = (
                    keys[parent],
                    users[parent],
                    similarities[parent],
                )
                place = parent
        elif key > keys[0]:
            place = 0
            while True:
                child = 2 * place + 1
                if child >= k:
                    break
                if child + 1 < k and keys[child + 1] < keys[child]:
                    child += 1
                if keys[child] >= key:
                    break
                keys[place], users[place], similarities[place] = (
                    keys[child],
                    users[child],
                    similarities[child],
                )
                place = child
        else:
            continue
        keys[place], users[place], similarities[place] = key, user, similarity
        if n == k:
            enough = max(keys[0] - 1e-8, 0.0) ** 2 * size
    order = np.argsort(users[:n])
    return users[:n][order], similarities[:n][order]


@compiled
def count_members(users: Ints, members: NDArray[np.int64], weights: Floats) -> tuple[int, float]:
    """How many of these members are among the users, and the sum of their weights; both ascend."""
    count, mass, low = 0, 0.0, 0
    for at in range(len(members)):
        high = len(users)
        while low < high:
            middle = (low + high) >> 1
            if users[middle] < members[at]:
                low = middle + 1
            else:
                high = middle
        if low < len(users) and users[low] == members[at]:
            count += 1
            mass += weights[at]
    return count, mass


@compiled
def contains(ascending: Ints, wanted: Ints) -> Ints:
    """1 where a wanted value is among the ascending ones, `(len(wanted),)`."""
    found = np.zeros(len(wanted), np.int32)
    for at in range(len(wanted)):
        low, high = 0, len(ascending)
        while low < high:
            middle = (low + high) >> 1
            if ascending[middle] < wanted[at]:
                low = middle + 1
            else:
                high = middle
        if low < len(ascending) and ascending[low] == wanted[at]:
            found[at] = 1
    return found


@compiled
def count_between(ascending: Ints, first: int, last: int) -> int:
    """Values v with first <= v < last."""
    return int(np.searchsorted(ascending, last) - np.searchsorted(ascending, first))


@compiled
def sums_over(matrix: Floats, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
    """Of each of these rows the sum over these columns, `(len(rows),)`, columns added in order."""
    sums = np.zeros(len(rows), np.float64)
    for at in range(len(rows)):
        row = matrix[rows[at]]
        for column in columns:
            sums[at] += row[column]
    return sums


@compiled
def sum_within(matrix: Floats, rows: NDArray[np.int64]) -> float:
    """The sum over these rows and the same columns of a symmetric matrix: half of it is read."""
    diagonal, above = 0.0, 0.0
    for at in range(len(rows)):
        row = matrix[rows[at]]
        diagonal += row[rows[at]]
        for column in rows[at + 1 :]:
            above += row[column]
    return diagonal + 2 * above


@compiled
def product(left: Floats, right: Floats) -> Floats:
    """`left @ right`, each sum added in order: BLAS rounds a column by its place."""
    found = np.zeros((left.shape[0], right.shape[1]), np.float64)
    for row in range(left.shape[0]):
        for inner in range(left.shape[1]):
            weight = left[row, inner]
            for column in range(right.shape[1]):
                found[row, column] += weight * right[inner, column]
    return found


@compiled
def look_up(ascending: Ints, values: Ints, wanted: Ints, found: NDArray[np.int32]) -> None:
    """The value at each wanted place of the ascending ones, 0 where it is not among them.

    Args:
        found: `(len(wanted),)` is filled.
    """
    for at in range(len(wanted)):
        low, high = 0, len(ascending)
        while low < high:
            middle = (low + high) >> 1
            if ascending[middle] < wanted[at]:
                low = middle + 1
            else:
                high = middle
        found[at] = values[low] if low < len(ascending) and ascending[low] == wanted[at] else 0


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


@compiled
def shared_columns(ptr: Ptr, columns: Ints, weights: Floats, a: Ints, b: Ints) -> tuple[Floats, Ints]:
    """Dot products, and numbers of shared columns, of rows a with rows b; both `(len(a), len(b))`."""
    dot = np.zeros((len(a), len(b)), np.float64)
    shared = np.zeros((len(a), len(b)), np.int32)
    for i in range(len(a)):
        for j in range(len(b)):
            left, right = ptr[a[i]], ptr[b[j]]
            left_end, right_end = ptr[a[i] + 1], ptr[b[j] + 1]
            while left < left_end and right < right_end:
                if columns[left] == columns[right]:
                    dot[i, j] += weights[left] * weights[right]
                    shared[i, j] += 1
                    left += 1
                    right += 1
                elif columns[left] < columns[right]:
                    left += 1
                else:
                    right += 1
    return dot, shared
