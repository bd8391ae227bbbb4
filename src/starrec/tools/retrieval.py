"""Candidate retrieval: from the whole catalogue to the items worth ranking.

Item-CF over the recent window and User-CF over the nearest neighbours each nominate items; ranks are fused by
reciprocal rank (Cormack, Clarke and Büttcher, SIGIR 2009). Like everything else it sees the graph without the
asking user.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask, check_known
from starrec.signals import RECENT, Graph, distinct_latest
from starrec.signals.evidence import DECAY, NEIGHBOURS

NOMINATED: Final = 100
"""Items that are retrieved to be ranked."""
_RRF: Final = 20.0


def retrieve(graph: Graph, user: int, history: NDArray[np.int32], k: int) -> NDArray[np.int32]:
    """Up to k items, best first, none of them in the history; `(<= k,) int32`.

    With an empty history, or one that nobody shares, the most popular items fill up.
    """
    graph = graph.without(user)
    popularity = graph.popularity(np.arange(graph.n_items, dtype=np.int32)).astype(np.float64)
    recent = distinct_latest(history)[-RECENT:]
    by_item = np.zeros(graph.n_items)
    for age, anchor in enumerate(reversed(recent.tolist())):
        norm = np.sqrt(np.maximum(popularity * popularity[anchor], 1))
        by_item += DECAY**age * graph.cooccurrence_row(anchor) / norm
    users, similarity = graph.neighbours(recent, NEIGHBOURS)
    by_user = graph.all_taken_by(users, similarity)
    fused = np.zeros(graph.n_items)
    for scores in (by_item, by_user):
        order = np.lexsort((-popularity, -scores))
        order = order[scores[order] > 0]
        fused[order] += 1 / (_RRF + np.arange(len(order)))
    # Popularity only orders what no signal reaches: its share stays below any fused score.
    fused += popularity / (popularity.max() + 1) * 1e-6
    fused[history] = -1
    best = np.argsort(-fused, kind="stable")[:k]
    return best[fused[best] >= 0].astype(np.int32)


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
