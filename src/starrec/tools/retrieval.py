"""Candidate retrieval: from the whole catalogue to the items worth ranking.

Item-CF over the nearest neighbours of the recent items, EASE over the same items, and User-CF over the nearest
people each nominate items; ranks are fused by reciprocal rank (Cormack, Clarke and Büttcher, SIGIR 2009). Lists
of neighbours are kept with the counts of each pair, from which the asking user is taken out like everywhere
else; only which items a list ends with may owe something to her.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask, check_known
from starrec.hashing import Keys, combine
from starrec.signals import RECENT, Graph, distinct_latest
from starrec.signals.evidence import DECAY, NEIGHBOURS
from starrec.tools import nomination

NOMINATED: Final = 100
"""Items that are retrieved to be ranked."""
_RRF: Final = 20.0
_UNIT: Final = 1e-9
"""Differences of EASE below it are none."""
_DECAYS: Final = np.array([DECAY**age for age in range(RECENT - 1, -1, -1)])
"""`(RECENT,)` weights of recent items, the latest last."""
_DEPTH: Final = 500
"""Items that each of the three nominates, at most."""


def retrieve(
    graph: Graph, user: int, history: NDArray[np.int32], k: int, allowed: NDArray[np.bool_] | None = None
) -> NDArray[np.int32]:
    """Up to k items, best first, none of them in the history; `(<= k,) int32`.

    Scores of item c after the recent items h, ages from 0 for the latest: Item-CF Σ_h 0.8^age · cosine(h, c)
    over the lists of neighbours; EASE Σ_h 0.8^age · B[h, c]; User-CF the similarity of those of the nearest
    people who took c. Each gives 1 / (20 + place). With an empty history, or one that nobody shares, the most
    popular items fill up. Of equal ones the more popular is first, then a hash of the item decides.

    Args:
        allowed: `(n_items,)` items that may be nominated; None for all. Looked at before anything is cut.
    """
    graph = graph.without(user)
    open_ = np.ones(graph.n_items, dtype=np.bool_) if allowed is None else allowed.copy()
    open_[history] = False
    recent = distinct_latest(history)[-RECENT:]
    popularity = graph.all_popularity
    near, both = graph.item_neighbours(recent)
    known = graph.ease_items
    people, similarity = graph.neighbours(recent, NEIGHBOURS)
    taken = graph.counts.sequences(people.astype(np.int32))
    return nomination.nominate(
        near, both, popularity[recent], graph.ease(recent, known), known, _UNIT, taken.ptr, taken.values,
        similarity, _DECAYS[RECENT - len(recent) :], popularity, _ties(graph.n_items), open_, _DEPTH, _RRF, k,
    ).astype(np.int32)  # fmt: skip


@lru_cache(maxsize=4)
def _ties(n_items: int) -> Keys:
    """`(n_items,)` what orders items that are equal in all else."""
    return combine(79, np.arange(n_items))


def live_task(graph: Graph, history: NDArray[np.int32], k: int, user: int = -1) -> RankingTask:
    """What a request for recommendations asks: rank the up to k items that are retrieved for a history, which
    has no days of its own, as of the last day that the graph knows.

    Args:
        user: whom the graph leaves out; -1 for a person who is not in the data.

    Raises:
        StarrecError: the history names an item that is not in the catalogue, or the user is unknown.
    """
    task = RankingTask("live", user, "", history, np.empty(0, dtype=np.int32), day=graph.last_day)
    check_known(task, graph.n_items, len(graph.counts.lengths))
    return replace(task, candidates=retrieve(graph, user, history, k))
