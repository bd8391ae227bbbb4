"""What one task may see of the user-item graph of the training split.

A task of user u sees the graph through `Graph.without(u)`: every count is the count of a graph from which u was
physically removed. That is not a formality. A co-occurrence of a history item and the target which u herself
made would hand the answer over, and it would also decide which neighbours survive a cut.
"""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from starrec.data import Sequences
from starrec.errors import DataError
from starrec.hashing import combine
from starrec.signals import forgetting, kernels, similar_users, sweep
from starrec.signals.count_store import CountStore, Packed, cooccurrence_row
from starrec.signals.counts import Counts
from starrec.signals.factors import FOLDS
from starrec.signals.language import FOLLOW_WINDOW, TREND_DAYS
from starrec.signals.pair_table import PairTable

Ints = NDArray[np.int64]
NOBODY: Final = -1
"""The user that is left out where nobody is."""


class _Shared:
    """What a graph and the same graph without a user have in common, each computed once."""

    def __init__(self, counts: CountStore, pair_table: PairTable | None) -> None:
        self.counts = counts
        self.pair_table = pair_table or PairTable.none(counts.about.n_items)

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
    def ease_rows(self) -> Ints:
        """`(n_items,)` row of each item in the EASE model, -1 where it has none."""
        rows = np.full(self.counts.about.n_items, -1, dtype=np.int64)
        if (model := self.counts.ease()) is not None:
            rows[model.items] = np.arange(len(model.items))
        return rows

    @cached_property
    def days_before(self) -> tuple[NDArray[np.int32], Ints]:
        """Days with interactions, ascending `(d,)`, and how many interactions come before each and in all
        `(d + 1,)`; there is a clock."""
        daily = self.counts.daily
        assert daily is not None, "without a clock there are no days"
        return daily.days, np.concatenate([[0], np.cumsum(daily.counts)])


class Graph:
    """Counts of the training split, whoever keeps them, of everybody or without one user (`without`).

    All counts without a user equal those of a graph rebuilt without that user's edges.
    """

    def __init__(self, counts: CountStore, pair_table: PairTable | None = None) -> None:
        """Args:
        pair_table: of these counts (`count_pairs`), where thousands of tasks will ask: the more of
            their items are popular, the more it saves them.
        """
        self._shared = _Shared(counts, pair_table)
        self._leave_out(NOBODY)

    @classmethod
    def build(cls, train: Sequences, n_items: int) -> Self:
        """Count training sequences in memory."""
        return cls(Counts.build(train, n_items))

    def without(self, user: int, fold: int = 0) -> Self:
        """The graph as a task of this user may see it; `NOBODY` for a person who is not in it.

        Args:
            fold: the part of the people that such a person is of (`factors.fold_of`).
        """
        graph = copy.copy(self)
        graph._leave_out(user, fold)
        return graph

    def _leave_out(self, user: int, fold: int = 0) -> None:
        self.user = user
        """The user left out, or `NOBODY`."""
        self.fold = fold if user == NOBODY else int(self.counts.user_keys[user] % FOLDS)
        """The part of the people whose interactions no vector of `factors` may hold."""
        self._own, self._own_days = np.empty(0, dtype=np.int32), None
        if user != NOBODY:
            self._own, self._own_days = self.counts.sequence(user)
        self._owned = np.sort(self._own)

    @property
    def last_day(self) -> int | None:
        """The last day with an interaction, in whole days since 1970; None without a clock."""
        daily = self.counts.daily
        return int(daily.days[-1]) if daily is not None and len(daily.days) else None

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

    @property
    def all_popularity(self) -> NDArray[np.int32]:
        """`(n_items,)` of every item."""
        popularity = self.counts.popularity.copy()
        popularity[self._own] -= 1
        return popularity

    def postings(self, items: NDArray[np.int32]) -> Packed:
        """The users of each item; the left-out one still stands there, and whoever counts leaves her out."""
        return self.counts.packed_postings(items)

    def pairs(self, anchors: NDArray[np.int32], subjects: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(len(subjects), sweep.BUCKETS, len(anchors))` others who took both, by the distance between them."""
        packed = self.postings(np.concatenate([anchors, subjects]))
        return sweep.pair_counts(*packed, len(anchors), self.counts.about.n_users, self.user)

    @property
    def pair_table(self) -> PairTable:
        """Pairs that are counted already, with the left-out user."""
        return self._shared.pair_table

    def cooccurrence(self, anchors: NDArray[np.int32], subjects: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(len(anchors), len(subjects))` others who took both; an item with itself counts nothing."""
        return within(self.pairs(anchors, subjects), sweep.ANY)

    def cooccurrence_row(self, anchor: int) -> NDArray[np.int32]:
        """`(n_items,)` others who took both the anchor and each item."""
        return cooccurrence_row(self.counts, anchor, self.user)

    def item_neighbours(self, anchors: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The nearest items of each anchor, -1 where there are fewer, and the others who took both, `(a, k)`
        each. The counts are without the left-out user; where a list ends, and its order, is as it is kept."""
        found = self.counts.neighbours(anchors)
        if not len(self._own):
            return found.items, found.both
        own = kernels.contains(self._owned, np.maximum(found.items, 0).ravel()).reshape(found.items.shape)
        return found.items, found.both - own * self.owns(anchors)[:, None]

    def followed(
        self, anchors: NDArray[np.int32], subjects: NDArray[np.int32], reach: int = FOLLOW_WINDOW
    ) -> NDArray[np.int32]:
        """`(len(anchors), len(subjects))` others who took the subject within the next places after the anchor.

        Args:
            reach: how many places, a key of `sweep.FOLLOWING`.
        """
        return within(self.pairs(anchors, subjects), sweep.FOLLOWING[reach])

    def around(self, anchors: NDArray[np.int32], subjects: NDArray[np.int32]) -> NDArray[np.int32]:
        """`(len(anchors), len(subjects))` others who took the two at most `AROUND_WINDOW` places apart."""
        return within(self.pairs(anchors, subjects), sweep.AROUND)

    def neighbours(self, window: NDArray[np.int32], k: int) -> tuple[Ints, NDArray[np.float64]]:
        """The k users whose training items are closest to these (distinct) items, and their cosine similarities
        |window ∩ items(v)| / sqrt(|window| · |items(v)|), users ascending. Users without overlap are no
        neighbours, so there may be fewer than k; ties are ordered by a hash of the user."""
        start, end, users, _ = self.postings(window)
        numbers, people, _, overlap = similar_users.meet(start, end, users, 0, self.counts.about.n_users)
        return similar_users.nearest(
            numbers, people, overlap, len(window), self.counts.lengths, self.user_ties, self.user, k
        )

    @property
    def user_ties(self) -> NDArray[np.float64]:
        """`(n_users,)` what orders users of equal similarity, far below one unit of it."""
        return self._shared.user_ties

    def taken_by(
        self, subjects: NDArray[np.int32], users: Ints, weights: NDArray[np.float64]
    ) -> tuple[Ints, NDArray[np.float64]]:
        """How many of these users (ascending) took each subject, and the sum of their weights, both
        `(len(subjects),)`."""
        found = [kernels.count_members(takers, users, weights) for takers in self.counts.postings(subjects)]
        return np.array([count for count, _ in found], dtype=np.int64), np.array([mass for _, mass in found])

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
        start, end, days, _ = self.counts.packed_days(items)
        own_days = self._own[:0] if self._own_days is None else self._own_days
        counts, lately = kernels.counts_between(
            start, end, days, items, self._own, own_days, day - TREND_DAYS, day
        )
        total = kernels.total_between(*self._shared.days_before, day - TREND_DAYS, day)
        return counts, total - lately

    @property
    def ease_items(self) -> NDArray[np.int32]:
        """Items that the EASE model knows, ascending."""
        model = self.counts.ease()
        return np.empty(0, dtype=np.int32) if model is None else model.items

    def ease(self, anchors: NDArray[np.int32], subjects: NDArray[np.int32]) -> NDArray[np.float64]:
        """`(len(anchors), len(subjects))` what each anchor adds to each subject beyond all other items; NaN
        where the EASE model does not know one of them (0 for an item with itself).

        The model forgets the left-out user exactly (`forgetting`).
        """
        model = self.counts.ease()
        if model is None or not self.n_users:
            return np.full((len(anchors), len(subjects)), np.nan)
        rows = self._shared.ease_rows
        # In the order of the matrix: its rows are read forwards.
        own = rows[self._owned]
        popularity, edge = self.counts.popularity, 0
        if model.threshold:
            edge = int((popularity[self._own] == model.threshold // 2).sum())
        return forgetting.weights(model, rows[anchors], rows[subjects], own[own >= 0], popularity, edge)

    def factors(
        self, anchors: NDArray[np.int32], subjects: NDArray[np.int32], weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`(len(subjects),)` twice, as `Factors.scores` of a history of these anchors, without the left-out
        user; NaN where there are no vectors."""
        model = self.counts.factors()
        if model is None:
            nothing = np.full(len(subjects), np.nan)
            return nothing, nothing
        return model.scores(anchors, subjects, weights, self.fold)


def within(pairs: NDArray[np.int32], buckets: tuple[int, ...]) -> NDArray[np.int32]:
    """`(a, s)` the pair counts `(s, sweep.BUCKETS, a)` of some kinds of distance."""
    counts: NDArray[np.int32] = pairs[:, buckets].sum(axis=1, dtype=np.int32)
    return np.ascontiguousarray(counts.T)
