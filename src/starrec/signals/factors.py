"""Factors: a vector for each item; items near each other stand near each other in people's sequences.

Of two items that a person took d <= 5 places apart, her sequence weighs their pair 6 - d; w(i, j) is the sum
over all people, w(i) and W are sums of it. The vectors are the leading eigenvectors of

    PPMI(i, j) = max(0, log(w(i, j) W / (w(i) w(j))))

each times the root of its eigenvalue: in seconds, what skip-gram with negative sampling approaches by steps
(Levy, Goldberg, NeurIPS 2014; windows weighted so by Levy, Goldberg, Dagan, TACL 2015; items as words:
item2vec, Barkan, Koenigstein, MLSP 2016). Two items that nobody took together are alike if people take them
with the same others, which no count of pairs says.

A vector cannot forget a user. So people are in `FOLDS` parts, by a hash of their id, and there is a table
without each part. Who is asked about is read from the table without hers: none of her own interactions is in
it, and it equals that of data in which she never was; but in data so large that not all items have vectors or
not all people are counted, if it is she who moves that threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import Sequences
from starrec.hashing import combine, text_keys
from starrec.signals.ease import choose_items
from starrec.signals.kernels import Floats, compiled

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FOLDS: Final = 8
FACTORS: Final = 48
"""Components of a vector, unless told."""
WINDOW: Final = 5
"""Places that two items may be apart."""
FACTOR_ITEMS: Final = 50_000
"""Items that have vectors at most (`ease.choose_items`)."""
_COUNTED: Final = 1_000_000
"""Interactions whose pairs are counted at most: of more, those of a half of the people, a quarter, ..."""
_RESTARTS: Final = 30
"""Of the iterations at most: data without structure would take hundreds, and keep what was found by then."""
_DENSE: Final = 512
"""Items up to which all eigenvectors are computed; beyond, the leading ones by Lanczos iterations."""


@dataclass(frozen=True, eq=False)
class Factors:
    """Vectors of items, once without each part of the people."""

    rows: NDArray[np.int64]
    """`(n_items,)` row of each item; -1 where it has no vector."""
    vectors: NDArray[np.float32]
    """`(FOLDS, rows, components)`; zeros where nobody of the other parts took the item with another."""

    def scores(
        self,
        history: NDArray[np.int32],
        candidates: NDArray[np.int32],
        weights: Floats,
        fold: int,
    ) -> tuple[Floats, Floats]:
        """Σ_h weight · <v_h, v_c> and Σ_h weight · cosine(v_h, v_c), `(c,)` each; NaN where an item has no
        vector, or the history has none.

        Args:
            history: `(h,)`.
            weights: `(h,)` of its items.
            fold: the part of the people whose interactions must not show.
        """
        return _scores(self.vectors[fold], self.rows[history], self.rows[candidates], weights)


@compiled
def _scores(
    vectors: NDArray[np.float32], own: NDArray[np.int64], asked: NDArray[np.int64], weights: Floats
) -> tuple[Floats, Floats]:
    """`Factors.scores` of these rows; sums of each candidate are added in order, wherever it stands."""
    components = vectors.shape[1]
    together, units, known = np.zeros(components), np.zeros(components), False
    for place in range(len(own)):
        row, weight, length = own[place], weights[place], 0.0
        if row >= 0:
            for value in vectors[row]:
                length += float(value) * float(value)
        if length > 0:
            known = True
            length = math.sqrt(length)
            for at in range(components):
                together[at] += weight * vectors[row, at]
                units[at] += weight * vectors[row, at] / length
    product, cosine = np.full(len(asked), np.nan), np.full(len(asked), np.nan)
    for column, row in enumerate(asked):
        length, first, second = 0.0, 0.0, 0.0
        if row >= 0:
            for at in range(components):
                value = float(vectors[row, at])
                length += value * value
                first += value * together[at]
                second += value * units[at]
        if known and length > 0:
            product[column], cosine[column] = first, second / math.sqrt(length)
    return product, cosine


def user_keys(user_ids: Sequence[str]) -> NDArray[np.uint64]:
    """What decides the part of each of these people, and who is counted where not all are."""
    return text_keys(user_ids, 0, "factors")


def index_keys(n_users: int) -> NDArray[np.uint64]:
    """The same of people who have no ids."""
    return combine(np.arange(n_users), 79)


def fold_of(user_id: str) -> int:
    """A person's part, whether or not she is among those who are counted."""
    return int(user_keys([user_id])[0] % FOLDS)


def fit_factors(
    train: Sequences,
    popularity: NDArray[np.int32],
    keys: NDArray[np.uint64],
    components: int,
    *,
    most: int = FACTOR_ITEMS,
) -> Factors | None:
    """The vectors of these sequences; None where nothing was taken, or vectors are to have no components.

    Args:
        popularity: `(n_items,)` users of each item.
        keys: `user_keys` of the users.
        most: items that have vectors at most.
    """
    rows = rows_of(popularity, most)
    n = int(rows.max(initial=-1)) + 1
    if not n or not components:
        return None
    halvings = 0
    while len(train.items) >> halvings > _COUNTED:
        halvings += 1
    counted = (keys >> np.uint64(8)) % np.uint64(1 << halvings) == 0
    owner, place = train.users, rows[train.items]
    kept = counted[owner] & (place >= 0)
    owner, place = owner[kept], place[kept]
    fold = (keys % np.uint64(FOLDS)).astype(np.int64)[owner]
    parts = [_pair_weights(owner[fold == part], place[fold == part], n) for part in range(FOLDS)]
    every = sum(parts[1:], start=parts[0])
    vectors = np.zeros((FOLDS, n, components), dtype=np.float32)
    for part, own in enumerate(parts):
        found = _leading(_ppmi(every - own), components)
        vectors[part, :, : found.shape[1]] = found
    return Factors(rows, vectors)


def rows_of(popularity: NDArray[np.int32], most: int = FACTOR_ITEMS) -> NDArray[np.int64]:
    """`(n_items,)` the row of each item's vectors; -1 where it has none."""
    rows = np.full(len(popularity), -1, dtype=np.int64)
    if (chosen := choose_items(popularity, most)) is not None:
        rows[chosen.items] = np.arange(len(chosen.items))
    return rows


def _pair_weights(owner: NDArray[Any], place: NDArray[np.int64], n: int) -> csr_matrix:
    """w of the sequences whose items `place` and users `owner` are, `(n, n)` and symmetric; whole numbers, so
    that taking some away gives what counting without them gives."""
    # Here: whoever only asks a run would wait for SciPy at every start.
    from scipy.sparse import csr_matrix

    first, second, weights = [], [], []
    for distance in range(1, min(WINDOW, max(0, len(place) - 1)) + 1):
        same = owner[distance:] == owner[:-distance]
        first.append(place[:-distance][same])
        second.append(place[distance:][same])
        weights.append(np.full(int(same.sum()), WINDOW + 1 - distance, dtype=np.int64))
    none = np.empty(0, dtype=np.int64)
    found = csr_matrix(
        (np.concatenate([none, *weights]), (np.concatenate([none, *first]), np.concatenate([none, *second]))),
        shape=(n, n),
    )
    return found + found.T


def _ppmi(weights: csr_matrix) -> csr_matrix:
    from scipy.sparse import csr_matrix

    pairs = weights.tocoo()
    of_item = np.asarray(weights.sum(axis=1), dtype=np.float64).ravel()
    there = pairs.data > 0
    row, column, weight = pairs.row[there], pairs.col[there], pairs.data[there]
    found = np.log(weight * of_item.sum() / (of_item[row] * of_item[column]))
    positive = found > 0
    return csr_matrix((found[positive], (row[positive], column[positive])), shape=weights.shape)


def _leading(matrix: csr_matrix, components: int) -> NDArray[np.float64]:
    """`(n, up to components)` eigenvectors of the greatest positive eigenvalues, times their roots."""
    from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    n = matrix.shape[0]
    if not matrix.nnz:
        return np.zeros((n, 0))
    if n <= max(_DENSE, components + 1):
        values, vectors = np.linalg.eigh(matrix.toarray())
    else:
        try:
            # Always begun alike: the same counts give the same vectors.
            values, vectors = eigsh(matrix, k=components, which="LA", v0=np.ones(n), maxiter=_RESTARTS)
        except ArpackNoConvergence as error:
            values, vectors = error.eigenvalues, error.eigenvectors
    order = np.argsort(-values)[:components]
    order = order[values[order] > 0]
    found: NDArray[np.float64] = vectors[:, order] * np.sqrt(values[order])
    return found
