"""The loops that a task asks, compiled (those that count a whole log: `counting`).

Kernels are pure functions of arrays, release the interpreter lock (blocks run on threads), and are compiled
once a machine (numba's cache). Done with sparse products, a task's pair counts took three times as long.

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
