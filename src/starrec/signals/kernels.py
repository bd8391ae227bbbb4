"""Small loops that a task asks, compiled (its walk over postings: `sweep`; counting a whole log: `counting`).

Kernels are pure functions of arrays, release the interpreter lock (blocks run on threads), and are compiled
once a machine (numba's cache).

A ragged array is `(ptr, values)`: row r is `values[ptr[r]:ptr[r + 1]]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

_P = ParamSpec("_P")
_R = TypeVar("_R")

Ptr = NDArray[np.int64]
Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a loop."""
    made: Any = numba.njit(cache=True, nogil=True)(function)
    return made  # type: ignore[no-any-return]


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
def counts_between(
    start: Ptr, end: Ptr, ascending: Ints, items: Ints, own: Ints, own_days: Ints, first: int, last: int
) -> tuple[NDArray[np.int64], int]:
    """How often others took each of these items on days d with first <= d < last, `(len(items),)`, and how
    often the one left out took anything then.

    Args:
        start, end, ascending: days of each item, which ascend.
        own, own_days: what the one left out took, and when.
    """
    found = np.empty(len(start), np.int64)
    for row in range(len(start)):
        days = ascending[start[row] : end[row]]
        found[row] = np.searchsorted(days, last) - np.searchsorted(days, first)
    lately = 0
    for at in range(len(own_days)):
        if first <= own_days[at] < last:
            lately += 1
            for row in range(len(items)):
                found[row] -= items[row] == own[at]
    return found, lately


@compiled
def total_between(days: Ints, before: NDArray[np.int64], first: int, last: int) -> int:
    """Interactions on days d with first <= d < last.

    Args:
        days: those that have some, ascending.
        before: `(len(days) + 1,)` interactions before each, and all.
    """
    return int(before[np.searchsorted(days, last)] - before[np.searchsorted(days, first)])


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
def category_shares(category: NDArray[np.int32], history: Ints, candidates: Ints) -> Floats:
    """`(len(candidates),)` the mean share of history items over the categories of each; NaN without any.

    Args:
        category: `(n_items, n_topics)` 1 where an item has a topic.
    """
    counts = np.zeros(category.shape[1], np.int64)
    for item in history:
        counts += category[item]
    found = np.full(len(candidates), np.nan)
    for at in range(len(candidates)):
        total, breadth = 0, 0
        for topic in range(category.shape[1]):
            if category[candidates[at], topic]:
                total += counts[topic]
                breadth += 1
        if breadth and len(history):
            found[at] = total / (breadth * len(history))
    return found


@compiled
def decayed_means(values: Floats, decay: Floats) -> Floats:
    """Mean of each column of `values` `(h, c)` over what is no NaN, row weighted by its age; NaN without any.

    Args:
        decay: weight of a row by its age; the last row has age 0.
    """
    rows, columns = values.shape
    total, mean = np.zeros(columns), np.zeros(columns)
    for row in range(rows):
        weight = decay[rows - 1 - row]
        for column in range(columns):
            if not np.isnan(values[row, column]):
                total[column] += weight
                mean[column] += weight * values[row, column]
    for column in range(columns):
        mean[column] = mean[column] / max(total[column], 1e-9) if total[column] > 0 else np.nan
    return mean


@compiled
def decayed_sums(values: Floats, decay: Floats) -> Floats:
    """The same, not divided by the weights."""
    rows, columns = values.shape
    known, total = np.zeros(columns, np.bool_), np.zeros(columns)
    for row in range(rows):
        weight = decay[rows - 1 - row]
        for column in range(columns):
            if not np.isnan(values[row, column]):
                known[column] = True
                total[column] += weight * values[row, column]
    total[~known] = np.nan
    return total


@compiled
def strongest_pairs(
    pairs: NDArray[np.int32],
    base: NDArray[np.int32],
    popular: NDArray[np.int32],
    decays: Floats,
    n_recent: int,
) -> Floats:
    """`(2, c)` people who took both a candidate and the item of the history with the greatest cosine: among the
    latest `n_recent` items, each weighed by `decays` of its age, and among all; the older of equals.

    Args:
        pairs: `(c, BUCKETS, h)` as a sweep counts them, the last bucket of none.
        base: `(h,)` people of each item of the history.
        popular: `(c,)` people of each candidate.
    """
    candidates, buckets, length = pairs.shape
    found = np.zeros((2, candidates), np.float64)
    both, cosine = np.empty(length, np.int32), np.empty(length, np.float64)
    for candidate in range(candidates):
        # Loops without a branch, which run several items at once.
        both[:] = pairs[candidate, 0]
        for bucket in range(1, buckets - 1):
            for at in range(length):
                both[at] += pairs[candidate, bucket, at]
        taken = float(popular[candidate])
        for at in range(length):
            cosine[at] = both[at] / np.sqrt(max(base[at] * taken, 1.0))
        best, best_recent = 0.0, 0.0
        for at in range(length):
            if cosine[at] > best:
                best, found[1, candidate] = cosine[at], both[at]
        for at in range(max(0, length - n_recent), length):
            weighed = decays[length - 1 - at] * cosine[at]
            if weighed > best_recent:
                best_recent, found[0, candidate] = weighed, both[at]
    return found


@compiled
def cosines(ptr: Ptr, columns: Ints, weights: Floats, a: Ints, b: Ints) -> Floats:
    """`(len(a), len(b))` dot products of sparse rows, whose columns ascend; NaN where a row is empty."""
    found = np.empty((len(a), len(b)), np.float64)
    for i in range(len(a)):
        left_start, left_end = ptr[a[i]], ptr[a[i] + 1]
        for j in range(len(b)):
            left, right, right_end = left_start, ptr[b[j]], ptr[b[j] + 1]
            dot = np.nan if left == left_end or right == right_end else 0.0
            while left < left_end and right < right_end:
                one, other = columns[left], columns[right]
                if one == other:
                    dot += weights[left] * weights[right]
                left += one <= other
                right += other <= one
            found[i, j] = dot
    return found


@compiled
def shared(ptr: Ptr, columns: Ints, a: int, b: int) -> int:
    """Columns that two sparse rows share; they ascend."""
    count = 0
    left, right = ptr[a], ptr[b]
    while left < ptr[a + 1] and right < ptr[b + 1]:
        one, other = columns[left], columns[right]
        count += one == other
        left += one <= other
        right += other <= one
    return count


@compiled
def numbers_of_cuts(cuts: Floats, scores: Floats) -> NDArray[np.int8]:
    """For each row of scores, how many of the row's cuts are at or below; -1 for NaN. `(rows, n)`"""
    found = np.full(scores.shape, -1, np.int8)
    for row in range(len(scores)):
        for column in range(scores.shape[1]):
            if not np.isnan(scores[row, column]):
                count = 0
                for cut in cuts[row]:
                    count += cut <= scores[row, column]
                found[row, column] = count
    return found
