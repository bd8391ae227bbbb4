"""What retrieval adds up, compiled: three scores of the catalogue, the best of each, and their fusion.

Each score is that of a few hundred items, so items are listed as they come and the catalogue is never walked.
Sums are added in the order of the history. Kernels that call each other stand in one file: numba's cache does
not notice a change in another one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.hashing import Keys
from starrec.signals.kernels import Floats, Ints, Ptr, compiled

Open = NDArray[np.bool_]
_FEW: Final = 16
"""Equal scores that are ordered by insertion: most ties are of two or three, and arrays of them cost more."""


@compiled
def nominate(
    near: Ints,
    both: Ints,
    base: Ints,
    weights: Floats,
    known: Ints,
    unit: float,
    ptr: Ptr,
    taken: Ints,
    similarity: Floats,
    decays: Floats,
    popularity: Ints,
    ties: Keys,
    allowed: Open,
    depth: int,
    rrf: float,
    k: int,
) -> NDArray[np.int64]:
    """The k items with the highest sums of 1 / (rrf + place) over the `depth` best of each score, best first,
    and then the most popular that are allowed.

    Scores of an item c: Σ_h decay · cosine(h, c) over the anchors' lists of neighbours; Σ_h decay · B[h, c] of
    EASE, as a multiple of a unit; the similarity of those of the nearest people who took c.

    Args:
        near, both: `(a, k)` neighbours of the anchors, -1 for none, and the people who took both.
        base: `(a,)` people of the anchors.
        weights: `(a, s)` B of the anchors with the items that the model knows (`known`), NaN for none.
        ptr, taken, similarity: what each of the nearest people took, and how similar she is.
        decays: `(a,)` weight of each anchor; the last is added first.
        popularity, ties, allowed: `(n_items,)` people, what orders items that are equal in all else, and which
            may be nominated.
    """
    total, listed = np.zeros(len(popularity)), np.empty(3 * depth, np.int64)
    scores, items = np.zeros(len(popularity)), np.empty(len(popularity), np.int64)
    n_listed = 0
    for which in range(3):
        if which == 0:
            n = _by_item(scores, items, near, both, base, popularity, decays)
        elif which == 1:
            n = _by_ease(scores, items, weights, known, decays, unit)
        else:
            n = _by_people(scores, items, ptr, taken, similarity)
        found, kept = np.empty(n, np.int64), 0
        for place in range(n):
            if scores[items[place]] > 0 and allowed[items[place]]:
                found[kept] = items[place]
                kept += 1
        first = _best(scores[found[:kept]], popularity, ties, found[:kept], depth)
        for place in range(len(first)):
            if total[first[place]] == 0:
                listed[n_listed] = first[place]
                n_listed += 1
            total[first[place]] += 1 / (rrf + place)
        scores[items[:n]] = 0
    best = _best(total[listed[:n_listed]], popularity, ties, listed[:n_listed], k)
    if len(best) == k:
        return best
    rest = allowed.copy()
    rest[best] = False
    others = np.flatnonzero(rest)
    more = _best(popularity[others].astype(np.float64), popularity, ties, others, k - len(best))
    return np.concatenate((best, more))


# Each adds up a score, of zeros before, and lists the items that have one; their number is returned.


@compiled
def _by_item(
    scores: Floats,
    items: NDArray[np.int64],
    near: Ints,
    both: Ints,
    base: Ints,
    popularity: Ints,
    decays: Floats,
) -> int:
    n = 0
    for anchor in range(len(near) - 1, -1, -1):
        for place in range(near.shape[1]):
            item = near[anchor, place]
            if item >= 0 and both[anchor, place] > 0:
                product = max(np.float64(base[anchor]) * np.float64(popularity[item]), 1.0)
                if scores[item] == 0:
                    items[n] = item
                    n += 1
                scores[item] += decays[anchor] * both[anchor, place] / np.sqrt(product)
    return n


@compiled
def _by_ease(
    scores: Floats, items: NDArray[np.int64], weights: Floats, known: Ints, decays: Floats, unit: float
) -> int:
    for anchor in range(len(weights)):
        for column in range(len(known)):
            weight = weights[anchor, column]
            if not np.isnan(weight):
                scores[known[column]] += decays[anchor] * weight
    for column in range(len(known)):
        # Without a user the model is another matrix: what is equal must not differ in its last bits.
        scores[known[column]] = np.rint(scores[known[column]] / unit) * unit
        items[column] = known[column]
    return len(known)


@compiled
def _by_people(scores: Floats, items: NDArray[np.int64], ptr: Ptr, taken: Ints, similarity: Floats) -> int:
    n = 0
    for person in range(len(similarity)):
        for entry in range(ptr[person], ptr[person + 1]):
            item = taken[entry]
            if scores[item] == 0:
                items[n] = item
                n += 1
            scores[item] += similarity[person]
    return n


@compiled
def _best(scores: Floats, popularity: Ints, ties: Keys, items: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The k of these items with the highest scores, best first; of equal ones the more popular, then by the
    hash.

    Args:
        scores: `(len(items),)`
        popularity, ties: of all items.
    """
    if len(items) > k:
        least = np.partition(scores, len(items) - k)[len(items) - k]
        inside = scores >= least
        scores, items = scores[inside], items[inside]
    order = np.argsort(-scores, kind="mergesort")
    low = 0
    while low < len(order):
        high = low + 1
        while high < len(order) and scores[order[high]] == scores[order[low]]:
            high += 1
        if 1 < high - low <= _FEW:
            for at in range(low + 1, high):
                place, one = at, order[at]
                while place > low and _before(items[one], items[order[place - 1]], popularity, ties):
                    order[place] = order[place - 1]
                    place -= 1
                order[place] = one
        elif high - low > 1:
            equal = order[low:high]
            equal = equal[np.argsort(ties[items[equal]], kind="mergesort")]
            order[low:high] = equal[np.argsort(-popularity[items[equal]], kind="mergesort")]
        low = high
    return items[order][:k]


@compiled
def _before(item: int, other: int, popularity: Ints, ties: Keys) -> bool:
    """Of two items that score alike, whether this one is first."""
    if popularity[item] != popularity[other]:
        return bool(popularity[item] > popularity[other])
    return bool(ties[item] < ties[other])
