"""Candidate retrieval: from the whole catalogue to the items worth ranking.

Item-CF over the nearest neighbours of the recent items, EASE over the same items, and User-CF over the nearest
people each nominate items; ranks are fused by reciprocal rank (Cormack, Clarke and Büttcher, SIGIR 2009). Lists
of neighbours are kept with the counts of each pair, from which the asking user is taken out like everywhere
else; only which items a list ends with may owe something to her.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask, check_known
from starrec.hashing import combine
from starrec.signals import RECENT, Graph, distinct_latest
from starrec.signals.evidence import DECAY, NEIGHBOURS

NOMINATED: Final = 100
"""Items that are retrieved to be ranked."""
_RRF: Final = 20.0
_DECIMALS: Final = 9
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
    popularity = graph.popularity(np.arange(graph.n_items, dtype=np.int32)).astype(np.float64)
    fused = np.zeros(graph.n_items)
    if len(recent):
        for scores in (_by_item(graph, recent), _by_ease(graph, recent), _by_user(graph, recent)):
            nominated = _best(scores, popularity, np.flatnonzero((scores > 0) & open_), _DEPTH)
            fused[nominated] += 1 / (_RRF + np.arange(len(nominated)))
    found = _best(fused, popularity, np.flatnonzero(fused), k)
    if len(found) < k:
        open_[found] = False
        rest = np.flatnonzero(open_)
        found = np.concatenate([found, _best(popularity, popularity, rest, k - len(found))])
    return found.astype(np.int32)


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


def _by_item(graph: Graph, recent: NDArray[np.int32]) -> NDArray[np.float64]:
    scores = np.zeros(graph.n_items)
    near, both = graph.item_neighbours(recent)
    for age, anchor in enumerate(range(len(recent) - 1, -1, -1)):
        listed = near[anchor] >= 0
        items, shared = near[anchor][listed], both[anchor][listed]
        base = graph.popularity(recent[anchor : anchor + 1]).astype(np.float64)
        scores[items] += DECAY**age * shared / np.sqrt(np.maximum(base * graph.popularity(items), 1))
    return scores


def _by_ease(graph: Graph, recent: NDArray[np.int32]) -> NDArray[np.float64]:
    scores = np.zeros(graph.n_items)
    subjects = graph.ease_items
    decays = np.power(DECAY, np.arange(len(recent) - 1, -1, -1), dtype=np.float64)
    # Added row by row: BLAS rounds a sum by where it stands.
    for weight, row in zip(decays, np.nan_to_num(graph.ease(recent, subjects)), strict=True):
        scores[subjects] += weight * row
    # Without a user the model is another matrix: what is equal must not differ in its last bits.
    return scores.round(_DECIMALS)


def _by_user(graph: Graph, recent: NDArray[np.int32]) -> NDArray[np.float64]:
    return graph.all_taken_by(*graph.neighbours(recent, NEIGHBOURS))


def _best(
    scores: NDArray[np.float64], popularity: NDArray[np.float64], items: NDArray[np.int64], k: int
) -> NDArray[np.int64]:
    """The k of these items with the highest scores, best first; of equal ones the more popular."""
    if len(items) > k:
        least = np.partition(scores[items], len(items) - k)[len(items) - k]
        items = items[scores[items] >= least]
    best: NDArray[np.int64] = items[np.lexsort((combine(79, items), -popularity[items], -scores[items]))][:k]
    return best
