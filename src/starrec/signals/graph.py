"""What one task may see of the user-item graph of the training split.

A task of user u sees the graph through `Graph.without(u)`: every count is the count of a graph from which u was
physically removed. That is not a formality. A co-occurrence of a history item and the target which u herself
made would hand the answer over, and it would also decide which neighbours survive a cut.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from starrec.data import Sequences
from starrec.errors import DataError
from starrec.hashing import combine
from starrec.signals import kernels
from starrec.signals.counts import Counts, CountStore, DayCounts, Lists, cooccurrence_row
from starrec.signals.language import FOLLOW_WINDOW, TREND_DAYS

Ints = NDArray[np.int64]
NOBODY: Final = -1
"""The user that is left out where nobody is."""
_BIT: Final = [np.uint64(1 << place) for place in range(kernels.BITS)]


@dataclass(frozen=True, eq=False)
class Marked:
    """Who took which of some items: made once a task, asked many times."""

    graph: Graph
    items: NDArray[np.int32]
    _masks: NDArray[np.uint64]

    def with_(self, subjects: Lists) -> NDArray[np.int32]:
        """`(len(items), len(subjects))` others who took both, from the subjects' postings."""
        counts = np.zeros((len(subjects), len(self.items)), dtype=np.int32)
        for row, users in enumerate(subjects):
            kernels.count_marked(self._masks, users, self.graph.user, counts[row])
        return np.ascontiguousarray(counts.T)

    def nearest(self, k: int, latest: int | None = None) -> tuple[Ints, NDArray[np.float64]]:
        """The k users whose training items are closest to the latest of these (all), and their cosine
        similarities |window ∩ items(v)| / sqrt(|window| · |items(v)|), users ascending. Users without overlap
        are no neighbours, so there may be fewer than k; ties are ordered by a hash of the user."""
        size = len(self.items) if latest is None else min(latest, len(self.items))
        bits = np.zeros(len(self._masks) * kernels.BITS, dtype=np.uint8)
        bits[len(self.items) - size : len(self.items)] = 1
        window = np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64)
        graph = self.graph
        return kernels.nearest(
            self._masks, window, size, graph.counts.lengths, graph._shared.user_ties, graph.user, k
        )


class _Shared:
    """What a graph and the same graph without a user have in common, each computed once."""

    def __init__(self, counts: CountStore) -> None:
        self.counts = counts

    @cached_property
    def n_users(self) -> int:
        return int((self.counts.lengths > 0).sum())

    @cached_property
    def n_interactions(self) -> int:
        return int(self.counts.lengths.sum(dtype=np.int64))

    @cached_property
    def user_ties(self) -> NDArray[np.float64]:
        # Equal overlaps must not be decided by the order of ids: a hash far below one unit of similarity.
        keys = combine(np.arange(self.counts.about.n_users), 71)
        return (keys % np.uint64(1 << 20)).astype(np.float64) * 1e-15

    @cached_property
    def daily(self) -> DayCounts:
        """There is a clock."""
        daily = self.counts.daily
        assert daily is not None, "without a clock there are no days"
        return daily


class Graph:
    """Counts of the training split, whoever keeps them, of everybody or without one user (`without`).

    All counts without a user equal those of a graph rebuilt without that user's edges.
    """

    def __init__(self, counts: CountStore) -> None:
        self._shared = _Shared(counts)
        self._leave_out(NOBODY)

    @classmethod
    def build(cls, train: Sequences, n_items: int) -> Self:
        """Count training sequences in memory."""
        return cls(Counts.build(train, n_items))

    def without(self, user: int) -> Self:
        """The graph as a task of this user may see it; `NOBODY` for a person who is not in it."""
        graph = copy.copy(self)
        graph._leave_out(user)
        return graph

    def _leave_out(self, user: int) -> None:
        self.user = user
        """The user left out, or `NOBODY`."""
        self._own, self._own_days = np.empty(0, dtype=np.int32), None
        if user != NOBODY:
            self._own, self._own_days = self.counts.sequence(user)
        self._owned = np.sort(self._own)

    @property
    def counts(self) -> CountStore:
        """The counts as they are kept, of all users."""
        return self._shared.counts

    @property
    def n_items(self) -> int:
        """Items of the catalogue."""
        return self.counts.about.n_items

    @property
    def n_users(self) -> int:
        """Users with at least one training interaction, the one left out not among them."""
        return self._shared.n_users - (len(self._own) > 0)

    @property
    def n_interactions(self) -> int:
        """Training interactions, those of the user left out not among them."""
        return self._shared.n_interactions - len(self._own)

    def owns(self, items: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(len(items),)` 1 where the left-out user took the item in training."""
        return kernels.contains(self._owned, items)

    def popularity(self, items: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(len(items),)` how many others took each item."""
        return self.counts.popularity[items] - self.owns(items)

    def postings(self, items: NDArray[np.int32]) -> Lists:
        """The users of each item; the left-out one still stands there, and whoever counts leaves her out."""
        return self.counts.postings(items)

    def mark(self, items: NDArray[np.int32]) -> Marked:
        """Ready to count who took which of these (distinct) items."""
        planes = -(-len(items) // kernels.BITS)
        masks = np.zeros((planes, self.counts.about.n_users), dtype=np.uint64)
        for row, users in enumerate(self.counts.postings(items)):
            kernels.mark(masks[row // kernels.BITS], users, _BIT[row % kernels.BITS])
        return Marked(self, items, masks)

    def cooccurrence(self, anchors: NDArray[np.int32], subjects: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(len(anchors), len(subjects))` others who took both; an item with itself counts nothing."""
        counts = self.mark(anchors).with_(self.postings(subjects))
        counts[anchors[:, None] == subjects] = 0
        return counts

    def cooccurrence_row(self, anchor: int) -> NDArray[np.int32]:
        """`(n_items,)` others who took both the anchor and each item."""
        return cooccurrence_row(self.counts, anchor, self.user)

    def followed(self, anchors: NDArray[np.int32], subjects: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(len(anchors), len(subjects))` others who took the subject soon after the anchor."""
        found = np.empty((len(subjects), len(anchors)), dtype=np.int32)
        for row, (earlier, counted) in enumerate(self.counts.followed(subjects)):
            kernels.look_up(earlier, counted, anchors, found[row])
        counts = np.ascontiguousarray(found.T)
        own = self._own.tolist()
        for column in np.flatnonzero(self.owns(subjects)).tolist():
            at = own.index(int(subjects[column]))
            counts[np.isin(anchors, own[max(0, at - FOLLOW_WINDOW) : at]), column] -= 1
        return counts

    def neighbours(self, window: NDArray[np.int32], k: int) -> tuple[Ints, NDArray[np.float64]]:
        """The k users closest to these items (see `Marked.nearest`)."""
        return self.mark(window).nearest(k)

    def taken_by(
        self, subjects: NDArray[np.int32], users: Ints, weights: NDArray[np.float64]
    ) -> tuple[Ints, NDArray[np.float64]]:
        """How many of these users (ascending) took each subject, and the sum of their weights, both
        `(len(subjects),)`."""
        return self.members(self.postings(subjects), users, weights)

    def members(
        self, subjects: Lists, users: Ints, weights: NDArray[np.float64]
    ) -> tuple[Ints, NDArray[np.float64]]:
        """`taken_by` from the subjects' postings."""
        found = [kernels.count_members(takers, users, weights) for takers in subjects]
        return np.array([count for count, _ in found], dtype=np.int64), np.array([mass for _, mass in found])

    def all_taken_by(self, users: Ints, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """`(n_items,)` the sum of the weights of those users who took each item, from their sequences."""
        taken = self.counts.sequences(users.astype(np.int32))
        repeated = np.repeat(weights, np.diff(taken.ptr))
        mass = np.bincount(taken.values, weights=repeated, minlength=self.n_items)
        return mass.astype(np.float64)

    def recent_choices(self, items: NDArray[np.int32], day: int) -> tuple[Ints, int]:
        """How often others took each item in the `TREND_DAYS` whole days before this one `(len(items),)`, and
        how often they took anything.

        Raises:
            DataError: the data has no clock.
        """
        about = self.counts.about
        if not about.clock:
            raise DataError(
                "A trend needs to know when things happened, but this data only has positions. Give the "
                "interactions a column of Unix times (`--column timestamp=YOUR_COLUMN`)."
            )
        total = self._shared.daily.between(day - TREND_DAYS, day)
        days = self.counts.item_days(items)
        counts = np.array(
            [kernels.count_between(taken, day - TREND_DAYS, day) for taken in days], dtype=np.int64
        )
        if self._own_days is not None:
            lately = (self._own_days >= day - TREND_DAYS) & (self._own_days < day)
            counts -= kernels.contains(np.sort(self._own[lately]), items)
            total -= int(lately.sum())
        return counts, total

    def ease(self, anchors: NDArray[np.int32], subjects: NDArray[np.int32]) -> NDArray[np.float64]:
        """`(len(anchors), len(subjects))` what each anchor adds to each subject beyond all other items; NaN
        where the EASE model does not know one of them (0 for an item with itself).

        The model forgets the left-out user exactly. With x her items, (XᵀX - xxᵀ + λI)⁻¹ = P + vvᵀ / (1 - xᵀv),
        v = Px (Sherman and Morrison, 1950); items that without her would have too few users for the model are
        taken out of P by their Schur complement.
        """
        model = self.counts.ease()
        weights = np.full((len(anchors), len(subjects)), np.nan)
        if model is None or not self.n_users:
            return weights
        # In the order of the matrix: its rows are read forwards.
        own = model_rows(model.items, self._owned)
        own = own[own >= 0]
        gone = np.empty(0, dtype=np.int64)
        if model.threshold:
            users = self.counts.popularity
            if (users[self._own] == model.threshold // 2).sum() >= model.spare:
                # Without her another threshold would hold: there is no such model to ask.
                return weights
            gone = own[users[model.items[own]] == model.threshold]
        rows, columns = model_rows(model.items, anchors), model_rows(model.items, subjects)
        known, known_too = rows >= 0, columns >= 0
        if len(gone):
            known &= ~np.isin(rows, gone)
            known_too &= ~np.isin(columns, gone)
        a, b = rows[known], columns[known_too]
        p = model.precision
        of_a, of_b, of_gone = (kernels.sums_over(p, part, own) for part in (a, b, gone))
        left = 1 - kernels.sum_within(p, own)

        def without(x: Ints, y: Ints, v: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
            found: NDArray[np.float64] = p[np.ix_(x, y)] + np.outer(v, w) / left
            return found

        pairs = without(a, b, of_a, of_b)
        diagonal = p[b, b] + of_b * of_b / left
        if len(gone):
            inner = np.linalg.inv(without(gone, gone, of_gone, of_gone)).astype(np.float64)
            gone_b = without(gone, b, of_gone, of_b)
            to_b = kernels.product(inner, gone_b)
            pairs -= kernels.product(without(a, gone, of_a, of_gone), to_b)
            diagonal -= np.add.accumulate(gone_b * to_b, axis=0)[-1]
        found = -pairs / diagonal
        found[a[:, None] == b] = 0
        weights[np.ix_(known, known_too)] = found
        return weights


def model_rows(ease_items: NDArray[np.int32], items: NDArray[np.int32]) -> Ints:
    """Row of each item in the EASE model, -1 where it has none."""
    at = np.searchsorted(ease_items, items)
    at[at == len(ease_items)] = 0
    return np.where(ease_items[at] == items, at, -1)
