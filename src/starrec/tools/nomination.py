"""What retrieval adds up, compiled: scores of the whole catalogue, the best of each, and their fusion.

Sums are added in the order of the history. Kernels that call each other stand
in one file: numba's cache does not notice a change in another one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.hashing import Keys
from starrec.signals.kernels import Floats, Ints, compiled

Open = NDArray[np.bool_]
_FEW: Final = 16
"""Equal scores that are ordered by insertion: most ties are of two or three, and arrays of them cost more."""


@compiled
def by_item(near: Ints, both: Ints, base: Ints, popularity: Ints, decays: Floats) -> Floats:
    """`(n_items,)` Σ_h decay · cosine(h, c) over lists of neighbours.

    Args:
        near, both: `(a, k)` neighbours of the anchors, -1 for none, and the people who took both.
        base: `(a,)` people of the anchors.
        decays: `(a,)` weight of each anchor; the last is added first.
    """
    scores = np.zeros(len(popularity))
    for anchor in range(len(near) - 1, -1, -1):
        for place in range(near.shape[1]):
            item = near[anchor, place]
            if item >= 0:
                product = max(np.float64(base[anchor]) * np.float64(popularity[item]), 1.0)
                scores[item] += decays[anchor] * both[anchor, place] / np.sqrt(product)
    return scores


@compiled
def by_ease(weights: Floats, subjects: Ints, decays: Floats, n_items: int, unit: float) -> Floats:
    """`(n_items,)` Σ_h decay · B[h, c], as a multiple of a unit; what the model does not know adds nothing.

    Args:
        weights: `(a, s)` B of the anchors with the subjects.
    """
    scores = np.zeros(n_items)
    for anchor in range(len(weights)):
        for column in range(len(subjects)):
            weight = weights[anchor, column]
            if not np.isnan(weight):
                scores[subjects[column]] += decays[anchor] * weight
    # Without a user the model is another matrix: what is equal must not differ in its last bits.
    return np.rint(scores / unit) * unit


@compiled
def fused(
    scores: tuple[Floats, Floats, Floats], popularity: Ints, ties: Keys, allowed: Open, depth: int, rrf: float
) -> Floats:
    """`(n_items,)` the sum of 1 / (rrf + place) over the `depth` best of each score that are allowed."""
    total = np.zeros(len(popularity))
    for each in scores:
        items = _scored(each, allowed)
        first = _best(each[items], popularity, ties, items, depth)
        for place in range(len(first)):
            total[first[place]] += 1 / (rrf + place)
    return total


@compiled
def nominated(scores: Floats, popularity: Ints, ties: Keys, allowed: Open, k: int) -> NDArray[np.int64]:
    """The k items with the highest scores above 0, best first, and then the most popular that are allowed."""
    items = _scored(scores, allowed)
    found = _best(scores[items], popularity, ties, items, k)
    if len(found) == k:
        return found
    rest = allowed.copy()
    rest[found] = False
    others = np.flatnonzero(rest)
    more = _best(popularity[others].astype(np.float64), popularity, ties, others, k - len(found))
    return np.concatenate((found, more))


@compiled
def _scored(scores: Floats, allowed: Open) -> NDArray[np.int64]:
    """Allowed items with a score above 0, ascending."""
    # Most have none, so a branch is guessed right, and costs a third of a mask and its indices.
    items, n = np.empty(len(scores), np.int64), 0
    for item in range(len(scores)):
        if scores[item] > 0 and allowed[item]:
            items[n] = item
            n += 1
    return items[:n]


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
