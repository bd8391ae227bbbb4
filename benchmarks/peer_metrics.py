"""Metrics of lenskit and trec_eval (pytrec_eval) for the same strict orders as ours.

Only strict orders: equal scores are ordered by each library in its own way. lenskit's NDCG is asked with the
discount of ours (docs/evaluation.md, "Metrics").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import pytrec_eval
from lenskit.data import ItemList
from lenskit.metrics import NDCG, Hit, LogRankWeight, Recall, RecipRank

from starrec.ranking import catalogue, hr, mrr, ndcg

List = Sequence[int]
"""Items, best first."""

_LENSKIT: Final = {
    "hr@1": Hit(1),
    "hr@3": Hit(3),
    "hr@5": Hit(5),
    "ndcg@10": NDCG(10, weight=LogRankWeight(offset=1)),
    "mrr": RecipRank(),
    "recall@10": Recall(10),
}
_TREC_EVAL: Final = {
    "hr@1": "success_1",
    "hr@3": "success_3",
    "hr@5": "success_5",
    "ndcg@10": "ndcg_cut_10",
    "mrr": "recip_rank",
    "recall@10": "recall_10",
}


def by_lenskit(lists: Sequence[List], relevant: Sequence[List]) -> dict[str, list[float]]:
    """Each metric's value for each list. Recall is comparable where at most 10 items are relevant."""
    ranked = [ItemList(item_ids=np.array(listed), ordered=True) for listed in lists]
    wanted = [ItemList(item_ids=np.array(items)) for items in relevant]
    return {
        name: [float(metric.measure_list(own, true)) for own, true in zip(ranked, wanted, strict=True)]
        for name, metric in _LENSKIT.items()
    }


def by_trec_eval(lists: Sequence[List], relevant: Sequence[List]) -> dict[str, list[float]]:
    """Each metric's value for each list, which is handed over as falling scores."""
    truth = {str(at): {str(item): 1 for item in items} for at, items in enumerate(relevant)}
    run = {
        str(at): {str(item): float(len(listed) - place) for place, item in enumerate(listed)}
        for at, listed in enumerate(lists)
    }
    found = pytrec_eval.RelevanceEvaluator(truth, set(_TREC_EVAL.values())).evaluate(run)
    return {name: [found[str(at)][theirs] for at in range(len(lists))] for name, theirs in _TREC_EVAL.items()}


def by_hand(lists: Sequence[List], relevant: Sequence[List]) -> dict[str, list[float]]:
    """The definitions, list by list in plain arithmetic."""
    found: dict[str, list[float]] = {name: [] for name in _LENSKIT}
    for listed, items in zip(lists, relevant, strict=True):
        places = [place for place, item in enumerate(listed, start=1) if item in set(items)]
        for k in (1, 3, 5):
            found[f"hr@{k}"].append(1.0 if any(place <= k for place in places) else 0.0)
        gained = math.fsum(1 / math.log2(place + 1) for place in places if place <= 10)
        best = math.fsum(1 / math.log2(place + 1) for place in range(1, min(10, len(set(items))) + 1))
        found["ndcg@10"].append(gained / best)
        found["mrr"].append(1 / places[0] if places else 0.0)
        found["recall@10"].append(sum(place <= 10 for place in places) / len(set(items)))
    return found


def ours(lists: Sequence[List], relevant: Sequence[List]) -> dict[str, list[float]]:
    """Ours: of the rank where one item is relevant, of the list where several are."""
    found = {
        "ndcg@10": catalogue.ndcg(lists, relevant, 10).tolist(),
        "recall@10": catalogue.recall(lists, relevant, 10).tolist(),
    }
    if all(len(items) == 1 for items in relevant):
        ranks = [listed.index(items[0]) + 1 for listed, items in zip(lists, relevant, strict=True)]
        found |= {f"hr@{k}": hr(ranks, k).tolist() for k in (1, 3, 5)}
        found |= {"mrr": mrr(ranks).tolist(), "ndcg@10 of the rank": ndcg(ranks, 10).tolist()}
    return found


OTHERS: Final[Mapping[str, Callable[[Sequence[List], Sequence[List]], dict[str, list[float]]]]] = {
    "by hand": by_hand,
    "lenskit": by_lenskit,
    "trec_eval": by_trec_eval,
}


def worst_differences(lists: int, seed: int) -> dict[str, dict[str, float]]:
    """The greatest difference of a value from ours, {other: {metric: difference}}, for random orders of 20
    items of which one is relevant, and as many of which 2 to 10 are."""
    generator = np.random.default_rng(seed)
    worst: dict[str, dict[str, float]] = {name: {} for name in OTHERS}
    for several in (False, True):
        orders = [generator.permutation(20).tolist() for _ in range(lists)]
        relevant = [
            generator.choice(20, generator.integers(2, 11) if several else 1, replace=False).tolist()
            for _ in range(lists)
        ]
        own = ours(orders, relevant)
        for name, other in OTHERS.items():
            theirs = other(orders, relevant)
            for metric, values in own.items():
                apart = np.abs(np.array(values) - theirs[metric.removesuffix(" of the rank")]).max()
                worst[name][metric] = max(worst[name].get(metric, 0.0), float(apart))
    return worst
