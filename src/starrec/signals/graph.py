"""The user-item interaction graph of the training split, and what one task may see of it.

Collaborative Signal Translation (STAR, section 3.2) walks this graph: item -> its users -> their other items,
and user -> items -> other users of those items. Pair counts are made once with sparse products and kept as
integers; everything a fact says later is computed from them on reading.

A task of user u sees the graph through `Graph.without(u)`: every count is the count of a graph from which u was
physically removed. That is not a formality. A co-occurrence of a history item and the target which u herself
made would hand the answer over, and it would also decide which neighbours survive a cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from starrec.data import Sequences
from starrec.data.hashing import combine

Ints = NDArray[np.int64]

FOLLOW_WINDOW: Final = 3
"""A transition counts when the second item is among the next three: adjacent pairs alone are noise where many
interactions share their second (avg_hr of the tool alone on validation: 0.62 for 1, 0.69 for 3)."""


@dataclass(frozen=True, eq=False)
class Rows:
    """A sparse integer matrix by rows: the columns of row r are `columns[ptr[r]:ptr[r + 1]]`, ascending."""

    ptr: NDArray[np.int64]
    """`(n_rows + 1,)`"""
    columns: NDArray[np.int32]
    """`(nnz,)`"""
    values: NDArray[np.int32]
    """`(nnz,)` counts, at least 1."""

    @classmethod
    def of(cls, matrix: sparse.csr_array) -> Self:
        matrix.sort_indices()
        return cls(
            matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data.astype(np.int32)
        )

    def row(self, index: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Columns and values of one row, views."""
        part = slice(self.ptr[index], self.ptr[index + 1])
        return self.columns[part], self.values[part]

    def entries(self, rows: NDArray[np.int32]) -> tuple[Ints, NDArray[np.int32], NDArray[np.int32]]:
        """All entries of these rows: `(position in rows, column, value)`, each `(m,)`."""
        start, length = self.ptr[rows], self.ptr[rows + 1] - self.ptr[rows]
        owner = np.repeat(np.arange(len(rows)), length)
        offset = np.arange(len(owner)) - np.repeat(np.cumsum(length) - length, length)
        at = np.repeat(start, length) + offset
        return owner, self.columns[at], self.values[at]


@dataclass(frozen=True, eq=False)
class Graph:
    """Counts of the training split; build with `Graph.build`."""

    train: Sequences
    n_items: int
    item_users: Rows
    """Row = item, columns = the users who took it."""
    cooccurrence: Rows
    """Row and column = items; value = users who took both. The diagonal is left out."""
    followed: Rows
    """Row = the *later* item, column = the earlier; value = users who took the later one among the next
    `FOLLOW_WINDOW` after the earlier. Stored by the later item because candidates are asked about."""
    popularity: NDArray[np.int32]
    """`(n_items,)` users who took the item."""
    n_users: int
    """Users with at least one training interaction."""

    @classmethod
    def build(cls, train: Sequences, n_items: int) -> Self:
        """Count the training split. Cost: sum over users of (items of the user) squared."""
        users, items = train.users, train.items
        ones = np.ones(len(items), dtype=np.int32)
        taken = sparse.csr_array((ones, (users, items)), shape=(train.n_users, n_items))
        both = sparse.csr_array(taken.T @ taken)
        both.setdiag(0)
        both.eliminate_zeros()
        earlier, later = [], []
        for gap in range(1, FOLLOW_WINDOW + 1):
            same_user = users[:-gap] == users[gap:]
            earlier.append(items[:-gap][same_user])
            later.append(items[gap:][same_user])
        pairs = (np.concatenate(later), np.concatenate(earlier))
        followed = sparse.csr_array((np.ones(len(pairs[0]), dtype=np.int32), pairs), shape=(n_items, n_items))
        followed.sum_duplicates()
        return cls(
            train=train,
            n_items=n_items,
            item_users=Rows.of(sparse.csr_array(taken.T)),
            cooccurrence=Rows.of(both),
            followed=Rows.of(followed),
            popularity=np.bincount(items, minlength=n_items).astype(np.int32),
            n_users=int((train.lengths > 0).sum()),
        )

    def without(self, user: int) -> View:
        """The graph as a task of this user may see it; -1 for a person who is not in it."""
        return View(self, user)

    @cached_property
    def _neighbour_ties(self) -> NDArray[np.float64]:
        # Equal overlaps must not be decided by the order of ids: a hash far below one unit of similarity.
        keys = combine(np.arange(self.train.n_users), 71)
        return (keys % np.uint64(1 << 20)).astype(np.float64) * 1e-15


class View:
    """A graph without one user. All counts equal those of a graph rebuilt without that user's edges."""

    def __init__(self, graph: Graph, user: int) -> None:
        self.graph = graph
        self.user = user
        self._own = graph.train.of(user) if user >= 0 else np.empty(0, dtype=np.int32)
        self.n_users = graph.n_users - (len(self._own) > 0)

    def owns(self, items: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(len(items),)` 1 where the left-out user took the item in training."""
        return np.isin(items, self._own).astype(np.int32)

    def popularity(self, items: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(len(items),)` how many others took each item."""
        return self.graph.popularity[items] - self.owns(items)

    def cooccurrence(self, anchors: NDArray[np.int32], subjects: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(len(anchors), len(subjects))` others who took both; anchors are distinct."""
        counts = self._gather(self.graph.cooccurrence, anchors, subjects)
        if len(self._own):
            counts -= np.outer(self.owns(anchors), self.owns(subjects)) * (anchors[:, None] != subjects)
        return counts

    def followed(self, anchors: NDArray[np.int32], subjects: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(len(anchors), len(subjects))` others who took the subject soon after the anchor."""
        counts = self._gather(self.graph.followed, anchors, subjects)
        own = self._own.tolist()
        for column in np.flatnonzero(self.owns(subjects)).tolist():
            at = own.index(int(subjects[column]))
            counts[np.isin(anchors, own[max(0, at - FOLLOW_WINDOW) : at]), column] -= 1
        return counts

    def cooccurrence_row(self, anchor: int) -> NDArray[np.int32]:
        """`(n_items,)` others who took both the anchor and each item."""
        counts = np.zeros(self.graph.n_items, dtype=np.int32)
        columns, values = self.graph.cooccurrence.row(anchor)
        counts[columns] = values
        if anchor in self._own:
            counts[self._own] -= 1
            counts[anchor] = 0
        return counts

    def neighbours(self, window: NDArray[np.int32], k: int) -> tuple[Ints, NDArray[np.float64]]:
        """The k users whose training items are closest to the window, and their cosine similarities.

        similarity(v) = |window ∩ items(v)| / sqrt(|window| · |items(v)|); users without overlap are no
        neighbours, so there may be fewer than k. Ties are ordered by a hash of the user.
        """
        graph = self.graph
        _, users, _ = graph.item_users.entries(window)
        overlap = np.bincount(users, minlength=graph.train.n_users).astype(np.float64)
        if self.user >= 0:
            overlap[self.user] = 0
        candidates = np.flatnonzero(overlap)
        size = graph.train.lengths[candidates] * len(window)
        similarity = overlap[candidates] / np.sqrt(size)
        keys = similarity + graph._neighbour_ties[candidates]
        if len(candidates) > k:
            nearest = np.argpartition(-keys, k - 1)[:k]
            candidates, similarity = candidates[nearest], similarity[nearest]
        return candidates, similarity

    def taken_by(
        self, subjects: NDArray[np.int32], users: Ints, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """How many of these users took each subject, and the sum of their weights, both `(len(subjects),)`."""
        owner, who, _ = self.graph.item_users.entries(subjects)
        weight = np.zeros(self.graph.train.n_users)
        member = np.zeros(self.graph.train.n_users, dtype=np.bool_)
        weight[users], member[users] = weights, True
        count = np.bincount(owner, weights=member[who], minlength=len(subjects))
        mass = np.bincount(owner, weights=weight[who], minlength=len(subjects))
        return count.astype(np.int64), mass.astype(np.float64)

    def _gather(
        self, matrix: Rows, anchors: NDArray[np.int32], subjects: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """`matrix[subject, anchor]` as `(len(anchors), len(subjects))`; reads each subject's row once."""
        place = np.full(self.graph.n_items, -1, dtype=np.int64)
        place[anchors] = np.arange(len(anchors))
        owner, columns, values = matrix.entries(subjects)
        at = place[columns]
        found = at >= 0
        counts = np.zeros((len(anchors), len(subjects)), dtype=np.int32)
        counts[at[found], owner[found]] = values[found]
        return counts
