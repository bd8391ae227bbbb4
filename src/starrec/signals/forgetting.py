"""EASE without one user: the model of all users forgets her exactly, at the cost of a few thousand additions.

With x her items, (XᵀX - xxᵀ + λI)⁻¹ = P + vvᵀ / (1 - xᵀv), v = Px (Sherman and Morrison, 1950); items that
without her would have too few users for the model are taken out of P by their Schur complement.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from starrec.signals import kernels
from starrec.signals.ease import EaseModel
from starrec.signals.kernels import Floats, compiled

Rows = NDArray[np.int64]


def weights(
    model: EaseModel, anchors: Rows, subjects: Rows, own: Rows, popularity: NDArray[np.int32], edge: int
) -> Floats:
    """`(a, s)` what each anchor adds to each subject; NaN where the model does not know one of them, and 0 for
    an item with itself.

    Args:
        anchors, subjects: rows of the model, -1 for what it does not know.
        own: her rows of the model, ascending: sums are added in the order of the matrix.
        popularity: `(n_items,)` with her.
        edge: how many of her items, also outside the model, have half the threshold's users.
    """
    p = model.precision
    gone = own[:0]
    if model.threshold:
        if edge >= model.spare:
            # Without her another threshold would hold: there is no such model to ask.
            return np.full((len(anchors), len(subjects)), np.nan)
        gone = own[popularity[model.items[own]] == model.threshold]
    if len(gone):
        anchors = np.where(np.isin(anchors, gone), -1, anchors)
        subjects = np.where(np.isin(subjects, gone), -1, subjects)
    pairs, diagonal = _without(p, anchors, subjects, own)
    if len(gone):
        inner = np.linalg.inv(_without(p, gone, gone, own)[0]).astype(np.float64)
        gone_s = _without(p, gone, subjects, own)[0]
        to_s = kernels.product(inner, gone_s)
        pairs -= kernels.product(_without(p, anchors, gone, own)[0], to_s)
        diagonal -= np.add.accumulate(gone_s * to_s, axis=0)[-1]
    return _regression(pairs, diagonal, anchors, subjects)


@compiled
def _without(p: Floats, anchors: Rows, subjects: Rows, own: Rows) -> tuple[Floats, Floats]:
    """P without her: `(a, s)` of anchors with subjects, and `(s,)` of subjects with themselves; what stands for
    an unknown one means nothing.

    P is symmetric to the last bit, so of her items' pairs only half are read, and of the rest the rows of `own`
    and of `subjects`. Each sum over `own` is added in its order.
    """
    n_anchors, n_subjects, n_own = len(anchors), len(subjects), len(own)
    left, right = np.maximum(anchors, 0), np.maximum(subjects, 0)
    place = np.full(len(p), -1, np.int64)
    for at in range(n_own):
        place[own[at]] = at
    others = np.empty(n_anchors, np.int64)
    n_others = 0
    for at in range(n_anchors):
        if place[left[at]] < 0:
            others[n_others] = at
            n_others += 1
    of_own, of_anchors = np.zeros(n_own), np.zeros(n_anchors)
    on, above = 0.0, 0.0
    for at in range(n_own):
        row = p[own[at]]
        on += row[own[at]]
        total = of_own[at] + row[own[at]]
        for other in range(at + 1, n_own):
            weight = row[own[other]]
            above += weight
            total += weight
            of_own[other] += weight
        of_own[at] = total
        for other in others[:n_others]:
            of_anchors[other] += row[left[other]]
    for at in range(n_anchors):
        if place[left[at]] >= 0:
            of_anchors[at] = of_own[place[left[at]]]
    rest = 1 - (on + 2 * above)
    pairs, diagonal = np.empty((n_anchors, n_subjects), np.float64), np.empty(n_subjects, np.float64)
    if 2 * n_subjects > len(p):
        # For most of the catalogue rows of P are read as they lie.
        of_subjects = np.zeros(n_subjects)
        for at in range(n_own):
            row = p[own[at]]
            for column in range(n_subjects):
                of_subjects[column] += row[right[column]]
        for column in range(n_subjects):
            diagonal[column] = (
                p[right[column], right[column]] + of_subjects[column] * of_subjects[column] / rest
            )
        for at in range(n_anchors):
            row, weight = p[left[at]], of_anchors[at]
            for column in range(n_subjects):
                pairs[at, column] = row[right[column]] + weight * of_subjects[column] / rest
        return pairs, diagonal
    for column in range(n_subjects):
        # One row of P, read twice, stays in the cache.
        row, of = p[right[column]], 0.0
        for at in range(n_own):
            of += row[own[at]]
        diagonal[column] = row[right[column]] + of * of / rest
        for at in range(n_anchors):
            pairs[at, column] = row[left[at]] + of_anchors[at] * of / rest
    return pairs, diagonal


@compiled
def _regression(pairs: Floats, diagonal: Floats, anchors: Rows, subjects: Rows) -> Floats:
    """B = -P / diag(P) without its diagonal."""
    found = np.full(pairs.shape, np.nan)
    for row in range(len(anchors)):
        for column in range(len(subjects)):
            if anchors[row] >= 0 and subjects[column] >= 0:
                same = anchors[row] == subjects[column]
                found[row, column] = 0.0 if same else -pairs[row, column] / diagonal[column]
    return found
