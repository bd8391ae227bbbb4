"""Recommending from the whole catalogue: how good the first ten are, and what the retriever lets through.

The other evaluations rank the true item among a few; here nothing is said of where it is. A system gives a list
of items outside the history for each test user, by scoring all items or by ranking what a retriever nominated.
Of the second kind nothing can be found that was not nominated: the recall of the first 100 is its ceiling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask, Targets
from starrec.engines import Workers
from starrec.errors import StarrecError
from starrec.evaluation.scorer import tie_seeds
from starrec.ranking import Ranking, catalogue, order_by_scores
from starrec.signals import Graph
from starrec.tools import NOMINATED, World, retrieve

RECOMMENDED: Final = 10
_BATCH: Final = 128

ItemScorer: TypeAlias = Callable[[RankingTask], NDArray[np.float64]]
"""Scores of all items, `(n_items,)`, for a task's user and history, whatever its candidates."""


@dataclass(frozen=True)
class CatalogueLists:
    """What a system recommends, one array of item indices a user, best first."""

    ranked: Sequence[NDArray[np.int32]]
    nominated: Sequence[NDArray[np.int32]]
    """What ranked was chosen from; of a system that scores all items its own first `NOMINATED`."""


def full_catalogue(
    systems: Mapping[str, CatalogueLists], tasks: Sequence[RankingTask], targets: Targets, graph: Graph
) -> dict[str, dict[str, float]]:
    """`full_catalogue` of results.json: `recall@10`, `ndcg@10`, `coverage@10`, `novelty@10` (bits),
    `ceiling@100` and `n_users` of each system (`ranking.catalogue`); popularity as in the training part, which
    graph holds.

    Args:
        tasks: one a user, in the order of the lists.
    """
    relevant = [[targets[task.task_id]] for task in tasks]
    popularity, k = graph.counts.popularity, RECOMMENDED
    return {
        name: {
            f"recall@{k}": float(catalogue.recall(lists.ranked, relevant, k).mean()),
            f"ndcg@{k}": float(catalogue.ndcg(lists.ranked, relevant, k).mean()),
            f"coverage@{k}": catalogue.coverage(lists.ranked, graph.n_items, k),
            f"novelty@{k}": catalogue.novelty(lists.ranked, popularity, graph.n_users, k),
            f"ceiling@{NOMINATED}": float(catalogue.recall(lists.nominated, relevant, NOMINATED).mean()),
            "n_users": len(tasks),
        }
        for name, lists in systems.items()
    }


def rank_catalogue(scorer: ItemScorer, tasks: Sequence[RankingTask]) -> CatalogueLists:
    """The `NOMINATED` items outside each history with the highest scores; ties, and items without a score
    (NaN), which come last, are ordered by hash.

    Raises:
        StarrecError: the scores of a task are fewer than its history shows items to be, or differ in number
            from those of the task before.
    """
    lists: list[NDArray[np.int32]] = []
    n_items = None
    for task, ties in zip(tasks, tie_seeds(tasks), strict=True):
        scores = scorer(task)
        n_items = len(scores) if n_items is None else n_items
        if scores.shape != (n_items,) or task.history.max(initial=-1) >= n_items:
            raise StarrecError(
                f"Scores of task {task.task_id} have shape {scores.shape}. Give one score for each item of the "
                "catalogue."
            )
        unseen = np.setdiff1d(np.arange(n_items, dtype=np.int32), task.history)
        lists.append(unseen[order_by_scores(unseen, scores[unseen], ties)[:NOMINATED]])
    return CatalogueLists(lists, lists)


def retrieve_all(workers: Workers[World], tasks: Sequence[RankingTask]) -> CatalogueLists:
    """What the retriever nominates (`tools.retrieve`), in its own order."""
    batches = (list(tasks[at : at + _BATCH]) for at in range(0, len(tasks), _BATCH))
    lists = [found for batch in workers.map(_retrieve, batches) for found in batch]
    return CatalogueLists(lists, lists)


def rank_retrieved(
    rank_many: Callable[[list[RankingTask]], list[Ranking]],
    tasks: Sequence[RankingTask],
    retrieved: CatalogueLists,
) -> CatalogueLists:
    """All that was retrieved, ranked."""
    asked = [replace(task, candidates=found) for task, found in zip(tasks, retrieved.nominated, strict=True)]
    ranked = [np.array(ranking.items, dtype=np.int32) for ranking in rank_many(asked)]
    return CatalogueLists(ranked, retrieved.nominated)


def _retrieve(world: World, tasks: list[RankingTask]) -> list[NDArray[np.int32]]:
    return [retrieve(world.graph, task.user, task.history, NOMINATED) for task in tasks]
