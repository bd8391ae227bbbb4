"""The users most like a history (User-CF), compiled: how much of it each user took, and the nearest ones.

Kernels that call each other stand in one file: numba's cache does not notice a change in another one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from starrec.signals.kernels import Floats, Ints, Ptr, compiled

Counts16 = NDArray[np.uint16]


@compiled
def neighbourhoods(
    start: Ptr, end: Ptr, users: Ints, n_recent: int, lengths: Ints, ties: Floats, left_out: int, k: int
) -> tuple[Ints, Ints, Counts16, Floats, Floats, NDArray[np.int64]]:
    """The k users nearest to the recent items of a history, and to all of it (see `nearest`).

    Args:
        start, end, users: postings of the history, oldest first, of which `n_recent` are recent.

    Returns:
        `numbers` and `people` as of `meet`; items of the history that each of them took `(m + 1,)`; similarity
        of the members of the recent and of the whole neighbourhood, 0 of others `(m + 1, 2)`, its sum `(2,)`,
        and how many they are `(2,)`.
    """
    numbers, people, recent, whole = meet(start, end, users, n_recent, len(lengths))
    weights, totals, sizes = np.zeros((len(whole), 2)), np.zeros(2), np.zeros(2, np.int64)
    for which in range(2):
        overlap, size = (recent, n_recent) if which == 0 else (whole, len(start))
        near, similarity = nearest(numbers, people, overlap, size, lengths, ties, left_out, k)
        sizes[which], totals[which] = len(near), _sum(similarity)
        for place in range(len(near)):
            weights[numbers[near[place]], which] = similarity[place]
    return numbers, people, whole, weights, totals, sizes


@compiled
def meet(
    start: Ptr, end: Ptr, users: Ints, n_recent: int, n_users: int
) -> tuple[Ints, Ints, Counts16, Counts16]:
    """Those who took anything of a history. In a large catalogue they are few: what is counted by person has
    one cell for each of them, and cell 0 for all others.

    Returns:
        `numbers`: the cell of each user `(n_users,)`; `people`: the user of each cell from 1 `(m,)`; how many
        of the recent items, and of all, each took `(m + 1,)`.
    """
    numbers, postings = np.zeros(n_users, np.int32), 0
    for row in range(len(start)):
        postings += end[row] - start[row]
    people, met = np.empty(min(postings, n_users), np.int32), 0
    older = len(start) - n_recent
    for row in range(len(start)):
        for entry in range(start[row], end[row]):
            user = np.uint64(users[entry])
            if numbers[user] == 0:
                people[met] = user
                met += 1
                numbers[user] = met
    recent, whole = np.zeros(met + 1, np.uint16), np.zeros(met + 1, np.uint16)
    for row in range(len(start)):
        for entry in range(start[row], end[row]):
            cell = np.uint64(numbers[np.uint64(users[entry])])
            whole[cell] += np.uint16(1)
            recent[cell] += np.uint16(row >= older)
    return numbers, people[:met], recent, whole


@compiled
def nearest(
    numbers: Ints,
    people: Ints,
    overlap: Counts16,
    size: int,
    lengths: Ints,
    ties: Floats,
    left_out: int,
    k: int,
) -> tuple[NDArray[np.int64], Floats]:
    """The k users with the highest overlap / sqrt(size · length), one left out, by ascending index.

    Args:
        numbers, people: as of `meet`.
        overlap: `(m + 1,)` items of the window that each took, of `size`.
        ties: `(n_users,)` far below one unit of similarity; orders equal ones.
    """
    # A heap with the farthest of the nearest at its root.
    keys, users = np.empty(k, np.float64), np.empty(k, np.int64)
    # Squares sort out who cannot be near; a root for every user would double the time.
    squares = np.empty(len(people), np.float64)
    for at in range(len(people)):
        shared = np.float64(overlap[at + 1])
        squares[at] = shared * shared / np.float64(max(lengths[people[at]], 1))
    if left_out >= 0 and numbers[left_out]:
        squares[numbers[left_out] - 1] = 0
    enough = _enough(squares, size, k)
    n = 0
    for at in range(len(people)):
        if squares[at] == 0 or squares[at] < enough:
            continue
        user = people[at]
        key = np.int64(overlap[at + 1]) / np.sqrt(np.float64(size * lengths[user])) + ties[user]
        if n < k:
            place = n
            n += 1
            while place > 0 and keys[(place - 1) >> 1] > key:
                parent = (place - 1) >> 1
                keys[place], users[place] = keys[parent], users[parent]
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
                keys[place], users[place] = keys[child], users[child]
                place = child
        else:
            continue
        keys[place], users[place] = key, user
        if n == k:
            enough = max(keys[0] - 1e-8, 0.0) ** 2 * size
    found = np.sort(users[:n])
    similarities = np.empty(n, np.float64)
    for place in range(n):
        user = found[place]
        similarities[place] = np.int64(overlap[numbers[user]]) / np.sqrt(np.float64(size * lengths[user]))
    return found, similarities


@compiled
def _enough(squares: Floats, size: int, k: int) -> float:
    """A bound that overlap² / length of the k nearest does not fall below, from a histogram of up to 1,024
    people: most others need not enter the heap."""
    if not len(squares):
        return 0.0
    step = len(squares) // 1024 + 1
    highest = 0.0
    for user in range(0, len(squares), step):
        highest = max(highest, squares[user])
    if highest == 0:
        return 0.0
    counts = np.zeros(256, np.int32)
    scale = 255 / highest
    for user in range(0, len(squares), step):
        counts[np.uint64(squares[user] * scale)] += 1
    found, bin_ = 0, 255
    while bin_ > 0 and found + counts[bin_] < k:
        found += counts[bin_]
        bin_ -= 1
    # Below it by more than rounding and ties make up for.
    return max(float(np.sqrt(bin_ * highest / (255 * size))) - 1e-8, 0.0) ** 2 * size


@compiled
def _sum(values: Floats) -> float:
    """The sum as numpy adds up to 128 values: eight sums side by side, then in pairs."""
    n = len(values)
    if n < 8:
        few = 0.0
        for value in values:
            few += value
        return few
    sums = values[:8].copy()
    whole = n - n % 8
    for at in range(8, whole, 8):
        for lane in range(8):
            sums[lane] += values[at + lane]
    total: float = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
    for at in range(whole, n):
        total += values[at]
    return float(total)
