"""One walk over the postings of a task's history and candidates, compiled: every pair count that a task needs.

A posting is a user and the place of the item in her training sequence, so that two postings of one user say
that she took both items and how many places lie between them. The history's postings are laid out by user,
which says how much each user shares with the history and how likely a random walk from it comes to her. Then
the candidates' postings are walked once, and each meets what its user took of the history. That counts who
took both and what followed what within any reach, and adds up neighbourhoods and walks.

Sums are added in the order of the history and of the users, never in that of the candidates, and the user left
out is skipped: a graph without her gives the same bits.

Kernels that call each other stand in one file: numba's cache does not notice a change in another one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starrec.signals.kernels import Floats, Ints, Ptr, compiled

FAR: Final = 30
"""Reach of the widest window, in places."""
BUCKETS: Final = 7
"""Kinds of a pair's distance d = place of the candidate - place of the history's item:
0: d = 1; 1: d in 2..3; 2: d in 4..20; 3: d in 21..30; 4: d in -20..-1; 5: any other; 6: d = 0 (one item twice,
which is no pair)."""
FOLLOWING: Final = {1: (0,), 3: (0, 1), 30: (0, 1, 2, 3)}
"""Buckets of "within the next ... places"."""
ANY: Final = (0, 1, 2, 3, 4, 5)
"""Buckets of "took both"."""
AROUND: Final = (0, 1, 2, 4)
"""Buckets of "within 20 places on either side"."""
ROWS: Final = 256
"""Items of the history that are laid out at once: a posting's row and place share 32 bits."""


def _buckets() -> NDArray[np.int8]:
    """Bucket of each distance from -FAR - 1 (and all below) to FAR + 1 (and all above)."""
    found = np.full(2 * FAR + 3, 5, np.int8)
    middle = FAR + 1
    found[middle - 20 : middle] = 4
    found[middle] = 6
    found[middle + 1] = 0
    found[middle + 2 : middle + 4] = 1
    found[middle + 4 : middle + 21] = 2
    found[middle + 21 : middle + 31] = 3
    return found


BUCKET_OF: Final = _buckets()
"""`(2 FAR + 3,)` bucket of each distance from -FAR - 1 to FAR + 1; what is farther counts as these."""


@compiled
def pair_counts(
    start: Ptr, end: Ptr, users: Ints, places: Ints, n_anchors: int, n_users: int, left_out: int
) -> Ints:
    """`(n_subjects, BUCKETS, n_anchors)` users who took both, by the distance from anchor to subject.

    Args:
        start, end, users, places: postings of the anchors, then of the subjects.
    """
    counts = np.zeros((len(start) - n_anchors, BUCKETS, n_anchors), np.int32)
    everyone = np.arange(n_users).astype(np.int32)
    for low in range(0, n_anchors, ROWS):
        high = min(low + ROWS, n_anchors)
        size = np.zeros(n_users, np.int32)
        for row in range(low, high):
            for entry in range(start[row], end[row]):
                size[users[entry]] += 1
        if left_out >= 0:
            size[left_out] = 0
        laid_out = np.ones(high - low, np.bool_)
        begin, taken = _by_user(start[low:], end[low:], users, places, everyone, laid_out, size)
        first = _first_cells(n_anchors)
        for column in range(len(counts)):
            of = counts[column].reshape(-1)[low:]
            for entry in range(start[n_anchors + column], end[n_anchors + column]):
                user = users[entry]
                _meet(of, first, places[entry], begin[user], size[user], taken)
    return counts


# Indices of the innermost loops are unsigned: of others numba looks whether they are negative and counts from
# the end, which doubles the time of `_meet`.


@compiled
def _by_user(
    start: Ptr, end: Ptr, users: Ints, places: Ints, numbers: Ints, laid_out: NDArray[np.bool_], size: Ints
) -> tuple[Ints, NDArray[np.uint32]]:
    """The first postings by user: where those of each user begin `(m,)`; place · ROWS + row of each, rows of a
    user ascending.

    Args:
        numbers: `(n_users,)` the cell of each user.
        laid_out: which of the first rows are, at most ROWS.
        size: `(m,)` postings in these rows of the user of each cell; 0 for those who are not wanted.
    """
    begin = np.empty(len(size), np.int32)
    free = 0
    for user in range(len(size)):
        begin[user] = free
        free += size[user]
    # What is not wanted goes into one cell behind the others: a branch would be guessed wrong too often.
    wanted = np.empty(len(size), np.int32)
    for user in range(len(size)):
        wanted[user] = size[user] > 0
        if not size[user]:
            begin[user] = free
    taken = np.empty(free + 1, np.uint32)
    for row in range(len(laid_out)):
        if not laid_out[row]:
            continue
        for entry in range(start[row], end[row]):
            of = np.uint64(numbers[np.uint64(users[entry])])
            taken[np.uint64(begin[of])] = places[entry] * ROWS + row
            begin[of] += wanted[of]
    for user in range(len(size)):
        begin[user] -= size[user]
    return begin, taken


@compiled
def _first_cells(n_anchors: int) -> NDArray[np.uint32]:
    """`(2 FAR + 3,)` the first cell of each distance in a flat `(BUCKETS, n_anchors)`."""
    cells = np.empty(len(BUCKET_OF), np.uint32)
    for distance in range(len(BUCKET_OF)):
        cells[distance] = BUCKET_OF[distance] * n_anchors
    return cells


@compiled
def _meet(
    counts: Ints, first: NDArray[np.uint32], place: int, begin: int, size: int, taken: NDArray[np.uint32]
) -> None:
    """Count one posting of a candidate against all that its user took of the history.

    Args:
        counts: `(BUCKETS * n_anchors,)`
        first: as of `_first_cells`.
        taken: as of `_by_user`.
    """
    for other in range(begin, begin + size):
        one = taken[np.uint64(other)]
        distance = min(max(place - int(one // ROWS) + FAR + 1, 0), 2 * FAR + 2)
        counts[np.uint64(first[np.uint64(distance)] + one % ROWS)] += 1


@compiled
def _place_of(users: Ints, places: Ints, user: int) -> int:
    """The place that an item has with this user; -1 where she did not take it."""
    low, high = 0, len(users)
    while low < high:
        middle = (low + high) >> 1
        if users[middle] < user:
            low = middle + 1
        else:
            high = middle
    return places[low] if low < len(users) and users[low] == user else -1


@compiled
def _look_up(counts: Ints, table: NDArray[Any], rows: Ints, own: Ints, own_place: int) -> None:
    """Pair counts of one candidate from the table, what the left-out user did taken off.

    Args:
        counts: `(BUCKETS, n_anchors)`
        table: `(k, BUCKETS)` the candidate's.
        rows: of the anchors first, -1 for those that are not in the table.
        own: her places of the anchors, -1 for those that she did not take.
        own_place: hers of the candidate.
    """
    for anchor in range(counts.shape[1]):
        row = rows[anchor]
        if row < 0:
            continue
        for bucket in range(BUCKETS):
            counts[bucket, anchor] = table[np.uint64(row), bucket]
        if own_place >= 0 and own[anchor] >= 0:
            distance = min(max(own_place - own[anchor] + FAR + 1, 0), 2 * FAR + 2)
            counts[BUCKET_OF[distance], anchor] -= 1


@compiled
def sweep(
    start: Ptr,
    end: Ptr,
    users: Ints,
    places: Ints,
    n_history: int,
    numbers: Ints,
    people: Ints,
    whole: NDArray[np.uint16],
    weights: Floats,
    totals: Floats,
    n_recent: int,
    decay: Floats,
    lengths: Ints,
    left_out: int,
    beta: float,
    table: NDArray[Any],
    rows: Ints,
) -> tuple[Ints, NDArray[np.int32], NDArray[np.int64], Floats]:
    """All that the collaborative signals say of the candidates of one task.

    Args:
        start, end, users, places: postings of the `n_history` items of the history (at most ROWS, oldest
            first), then of the candidates.
        numbers, people, whole, weights, totals: as of `similar_users.neighbourhoods`.
        n_recent: latest items of the history that are recent ones.
        decay: weight of an item by its age, 1 for age 0.
        lengths: `(n_users,)` counted items.
        beta: power of a candidate's popularity by which a walk is divided.
        table, rows: pairs that are counted already, with the left-out user (`pair_table`), and the row of each
            item of the history and of each candidate, -1 where it has none.

    Returns:
        Popularity of history and candidates without the left-out user `(h + c,)`; pair counts
        `(c, BUCKETS, h)`; how many of the recent and of the whole neighbourhood took each candidate `(2, c)`;
        scores `(9, c)`: item_cf recent and whole, user_cf recent and whole, transitions, following 1 and 30,
        around 20, walk; NaN where there is no basis.
    """
    n, first = len(start) - n_history, n_history - n_recent
    taken, own = np.empty(len(start), np.int32), np.empty(len(start), np.int32)
    for row in range(len(start)):
        own[row] = _place_of(users[start[row] : end[row]], places[start[row] : end[row]], left_out)
        taken[row] = end[row] - start[row] - (own[row] >= 0)
    counts = np.zeros((n, BUCKETS, n_history), np.int32)
    took = np.zeros((2, n), np.int64)
    scores = np.full((9, n), np.nan)
    if not taken[:n_history].any():
        return taken, counts, took, scores

    steps, shares = np.empty(n_history, np.float64), np.empty(n_history, np.float64)
    for row in range(n_history):
        base = max(np.float64(taken[row]), 1.0)
        steps[row] = decay[n_history - 1 - row] / base
        shares[row] = decay[n_history - 1 - row] / np.sqrt(base)
    # By cells: what belongs to nobody of `people`, the one left out among them, is 0.
    none = numbers[left_out] if left_out >= 0 else 0
    walked = np.zeros(len(whole), np.float64)
    for row in range(n_history):
        step = steps[row]
        for entry in range(start[row], end[row]):
            walked[np.uint64(numbers[np.uint64(users[entry])])] += step
    walked[none] = 0
    for at in range(len(people)):
        walked[at + 1] /= np.float64(max(lengths[people[at]], 1))

    # A candidate of the table is walked against what the table lacks of the history, others against all of it.
    lacking, tabled = rows[:n_history] < 0, rows[n_history:] >= 0
    size, size_all = np.zeros(len(whole), np.int32), np.zeros(len(whole), np.int32)
    for row in range(n_history):
        if lacking[row]:
            for entry in range(start[row], end[row]):
                size[np.uint64(numbers[np.uint64(users[entry])])] += 1
    for column in range(n):
        if not tabled[column]:
            for entry in range(start[n_history + column], end[n_history + column]):
                taker = np.uint64(numbers[np.uint64(users[entry])])
                size_all[taker] = whole[taker]
    size[none], size_all[none] = 0, 0
    begin, taken_by = _by_user(start, end, users, places, numbers, lacking, size)
    begin_all, taken_by_all = begin, taken_by
    if not tabled.all():
        every = np.ones(n_history, np.bool_)
        begin_all, taken_by_all = _by_user(start, end, users, places, numbers, every, size_all)
    first_cells, walks = _first_cells(n_history), lacking.any()
    for column in range(n):
        of = counts[column].reshape(-1)
        mass_recent, mass_whole, reached, took_recent, took_whole = 0.0, 0.0, 0.0, 0, 0
        if tabled[column]:
            _look_up(counts[column], table[rows[n_history + column]], rows, own, own[n_history + column])
        for entry in range(start[n_history + column], end[n_history + column]):
            taker = np.uint64(numbers[np.uint64(users[entry])])
            if not tabled[column]:
                _meet(of, first_cells, places[entry], begin_all[taker], size_all[taker], taken_by_all)
            elif walks:
                _meet(of, first_cells, places[entry], begin[taker], size[taker], taken_by)
            mass_recent += weights[taker, 0]
            mass_whole += weights[taker, 1]
            reached += walked[taker]
            took_recent += weights[taker, 0] > 0
            took_whole += weights[taker, 1] > 0
        took[0, column], took[1, column] = took_recent, took_whole
        if totals[0]:
            scores[2, column] = mass_recent / totals[0]
        scores[3, column] = mass_whole / totals[1]
        popular = taken[n_history + column]
        scores[8, column] = reached / max(popular, 1) ** beta
        _add_up(scores[:, column], counts[column], taken[:n_history], popular, first, decay, shares)
    if not taken[first:n_history].any():
        scores[4] = np.nan
    return taken, counts, took, scores


@compiled
def _add_up(
    scores: Floats, of: Ints, base: Ints, taken: int, first: int, decay: Floats, shares: Floats
) -> None:
    """The scores of one candidate that are sums over the history.

    Args:
        shares: `(h,)` weight of each item over the root of its popularity.
    """
    near, near_recent, flow, after_1, after_30, around_20 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    n, popular = len(base), np.float64(taken)
    for row in range(n):
        next_three = of[0, row] + of[1, row]
        next_twenty = next_three + of[2, row]
        next_thirty = next_twenty + of[3, row]
        cosine = (next_thirty + of[4, row] + of[5, row]) / np.sqrt(max(base[row] * popular, 1.0))
        near += cosine
        after_1 += shares[row] * of[0, row]
        after_30 += shares[row] * next_thirty
        around_20 += shares[row] * (next_twenty + of[4, row])
        if row >= first:
            weight = decay[n - 1 - row]
            near_recent += weight * cosine
            flow += weight * next_three / np.sqrt(max(np.float64(base[row]), 1.0))
    root = np.sqrt(max(popular, 1.0))
    scores[0], scores[1], scores[4] = near_recent, near / n, flow
    scores[5], scores[6], scores[7] = after_1 / root, after_30 / root, around_20 / root
