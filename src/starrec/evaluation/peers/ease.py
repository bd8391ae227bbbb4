"""EASE asked with the recent history, its items decayed by age: the strongest simple peer that we know.

EASE (Steck, WWW 2019) solves B = I - P · diag(1 / diag P) with P = (XᵀX + λI)⁻¹, X the users' training items.
As published it sums the rows of B over the whole history; here the item of age a (0 is the latest) counts
decay^a, and only the last `window` items count. Memory is the square of the number of items, so the model has
the `MOST_ITEMS` most taken ones at most (signals' own EASE: 3,000).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import Dataset, RankingTask, Split
from starrec.errors import StarrecError
from starrec.evaluation.peers.peer import Drawn, Peer, Settings, recent
from starrec.signals.ease import count_gram
from starrec.version import __version__

MOST_ITEMS: Final = 20_000
"""Items of the model at most, those that most users took; others have no score. B takes 1.6 GB of float32, and
counting one such matrix for each core and two more."""

_BLOCK: Final = 1024


@dataclass(frozen=True, eq=False)
class EaseDecayed:
    """A solved model."""

    weights: NDArray[np.float32]
    """`(k, k)` B over the items of the training part: row = item of the history, column = candidate."""
    place: NDArray[np.int32]
    """`(n_items,)` row of each item; -1 where the model has it not."""
    window: int
    """Latest items that count; 0 for all."""
    decay: float
    converged: bool = True

    def scores(self, tasks: Sequence[RankingTask]) -> list[NDArray[np.float64]]:
        return [self._score(task) for task in tasks]

    def _score(self, task: RankingTask) -> NDArray[np.float64]:
        known = self.place >= 0
        history = recent(task.history, known, self.window)
        found = np.full(len(task.candidates), np.nan)
        if len(history):
            columns = known[task.candidates]
            ages = np.arange(len(history) - 1, -1, -1)
            rows = self.weights[np.ix_(self.place[history], self.place[task.candidates[columns]])]
            # Summed row by row, so that no candidate's sum depends on where it stands.
            found[columns] = (self.decay ** ages[:, None] * rows).sum(axis=0)
        return found


def solve(gram: NDArray[np.int32], ridge: float) -> NDArray[np.float32]:
    """B of a Gram matrix `(k, k)`, its diagonal 0; one float32 matrix beside the given one.

    Raises:
        StarrecError: the matrix cannot be inverted in float32: the ridge is too small.
    """
    from scipy.linalg import lapack

    # In place, and symmetric: LAPACK's lower triangle of the transpose is the upper one here.
    matrix = np.asfortranarray(gram, dtype=np.float32)
    matrix[np.diag_indices(len(matrix))] += np.float32(ridge)
    matrix, failed = lapack.spotrf(matrix, lower=1, overwrite_a=1)
    if not failed:
        matrix, failed = lapack.spotri(matrix, lower=1, overwrite_c=1)
    if failed:
        raise StarrecError(f"EASE with a ridge of {ridge:g} has no inverse in float32. Raise the ridge.")
    for first in range(0, len(matrix), _BLOCK):
        block = slice(first, first + _BLOCK)
        matrix[block, first + _BLOCK :] = matrix[first + _BLOCK :, block].T
        lower = np.tril(matrix[block, block])
        matrix[block, block] = lower + np.tril(lower, -1).T
    matrix /= -np.diag(matrix)[None, :].copy()
    matrix[np.diag_indices(len(matrix))] = 0
    weights: NDArray[np.float32] = matrix
    return weights


def fit(
    split: Split, dataset: Dataset, settings: Settings, seed: int, *, half_a: Drawn, folder: Path, final: bool
) -> EaseDecayed:
    """Count and solve, with `ridge`, `window` and `decay` of the settings.

    Raises:
        StarrecError: the ridge is too small.
    """
    taken = np.bincount(split.train.items, minlength=dataset.n_items)
    most = np.argsort(-taken, kind="stable")[:MOST_ITEMS]
    items = np.sort(most[taken[most] > 0]).astype(np.int32)
    weights = solve(count_gram(split.train, items), float(settings["ridge"]))
    place = np.full(dataset.n_items, -1, dtype=np.int32)
    place[items] = np.arange(len(items))
    return EaseDecayed(weights, place, int(settings["window"]), float(settings["decay"]))


EASE_DECAYED: Final = Peer(
    name="ease_decayed",
    about="EASE, the history decayed by age",
    grid=tuple(
        {"ridge": ridge, "window": window, "decay": decay}
        for ridge in (500.0, 1000.0, 2000.0, 4000.0)
        for window, decay in ((10, 0.8), (0, 0.95))
    ),
    fit=fit,
    version=lambda: __version__,
)
