"""EASE: a linear model of what one item of a history adds to another beyond all others.

EASE (Steck, WWW 2019) regresses every item on all others at once. All it needs is how many users took both, of
each pair of items of the model (the Gram matrix), and one inverse.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from starrec.cores import cores
from starrec.data import Sequences
from starrec.signals import counting

EASE_ITEMS: Final = 3000
"""Items of the EASE model at most: its inverse costs the cube, and the store holds its square."""
RIDGE: Final = 500.0
"""λ of the EASE model."""


@dataclass(frozen=True, eq=False)
class EaseModel:
    """A linear model that predicts each of its items from all others: EASE (Steck, WWW 2019).

    Its weights B = -P / diag(P) with P = (XᵀX + λI)⁻¹ say what one item adds beyond all others. P is kept, not
    B, because P can forget a user (`graph.View.ease`).
    """

    items: NDArray[np.int32]
    """`(k,)` items, ascending."""
    precision: NDArray[np.float64]
    """`(k, k)` P."""
    threshold: int
    """Items with at least so many users are in the model; 0 where all are."""
    spare: int
    """Of the items with at least half as many users (rounded down), how many more there are than the
    model may have (0 with a threshold of 0): a user who owns so many at that edge could have moved the
    threshold."""


class EaseItems(NamedTuple):
    """Which items the model has."""

    items: NDArray[np.int32]
    """`(k,)` ascending."""
    threshold: int
    spare: int
    """Both as in `EaseModel`."""


def choose_items(popularity: NDArray[np.int32], most: int) -> EaseItems | None:
    """The items of the model; None where nothing was taken.

    Of a catalogue of more than `most` items, the model has those with at least t users, t the smallest power
    of two that leaves no more than `most`. A power of two, so that one user's edges decide it as seldom as can
    be, and where they could, it is known (`EaseModel.spare`).
    """
    if not popularity.any():
        return None
    threshold, spare = 0, 0
    if len(popularity) > most:
        threshold, spare = 1, len(popularity) - most
        while (popularity >= threshold).sum() > most:
            spare = int((popularity >= threshold).sum()) - most
            threshold *= 2
    items = np.flatnonzero(popularity >= threshold).astype(np.int32)
    return EaseItems(items, threshold, spare) if len(items) else None


def count_gram(train: Sequences, items: NDArray[np.int32]) -> NDArray[np.int32]:
    """Users who took both, of each pair of these items, `(k, k)`; an item with itself: its users."""
    place = np.full(int(max(train.items.max(initial=0), items.max(initial=0))) + 1, -1, dtype=np.int32)
    place[items] = np.arange(len(items))
    within = train.kept(place[train.items] >= 0)
    users = counting.transpose(within.ptr, place[within.items], len(items))
    ptr, ascending = counting.transpose(*users, within.n_users)
    # A part of the users for each core: a part costs a matrix.
    edges = np.linspace(0, within.n_users, cores() + 1).astype(np.int64)
    with ThreadPoolExecutor(len(edges) - 1) as pool:
        parts = pool.map(
            lambda first, last: counting.gram(ptr[first : last + 1], ascending, len(items)),
            edges[:-1],
            edges[1:],
        )
        upper = sum(parts, start=np.zeros((len(items), len(items)), dtype=np.int32))
    gram: NDArray[np.int32] = upper + np.triu(upper, 1).T
    return gram


def solve(chosen: EaseItems, gram: NDArray[np.int32], ridge: float) -> EaseModel:
    """The model of a Gram matrix."""
    regular = gram.astype(np.float64)
    regular[np.diag_indices(len(gram))] += ridge
    return EaseModel(chosen.items, _inverse(regular), chosen.threshold, chosen.spare)


def _inverse(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of a positive definite matrix, symmetric to the last bit."""
    # Here: whoever only asks a run would wait for SciPy at every start.
    from scipy.linalg import lapack

    factor, failed = lapack.dpotrf(gram, lower=1, overwrite_a=0)
    inverse, failed_too = lapack.dpotri(factor, lower=1, overwrite_c=1)
    assert not failed and not failed_too, "a Gram matrix with a positive ridge has an inverse"
    lower: NDArray[np.float64] = np.tril(inverse)
    full: NDArray[np.float64] = np.ascontiguousarray(lower + np.tril(lower, -1).T)
    return full
