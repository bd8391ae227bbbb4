"""Our metrics are lenskit's and trec_eval's on strict orders, with the discount that the docs state."""

import math

import numpy as np
import pytest
import pytrec_eval
from lenskit.data import ItemList
from lenskit.metrics import NDCG

from peer_metrics import OTHERS, worst_differences
from starrec.ranking import catalogue


def test_all_agree_with_ours_to_1e9():
    worst = worst_differences(200, seed=1)
    metrics = {"hr@1", "hr@3", "hr@5", "ndcg@10", "ndcg@10 of the rank", "mrr", "recall@10"}
    assert set(worst) == {"by hand", "lenskit", "trec_eval"}
    for name, differences in worst.items():
        assert set(differences) == metrics, name
        assert max(differences.values()) < 1e-9, name


@pytest.mark.parametrize("other", OTHERS)
def test_the_values_by_hand(other):
    # One list of eleven, relevant at 2, 4 and 11.
    found = OTHERS[other]([list(range(1, 12))], [[2, 4, 11]])
    best = 1 + 1 / math.log2(3) + 1 / 2
    assert found["ndcg@10"] == pytest.approx([(1 / math.log2(3) + 1 / math.log2(5)) / best], abs=1e-9)
    assert found["mrr"] == pytest.approx([1 / 2]) and found["recall@10"] == pytest.approx([2 / 3])
    assert (found["hr@1"], found["hr@3"]) == ([0], [1])


def test_where_lenskit_defines_otherwise():
    """What docs/evaluation.md says of the defaults."""
    listed, true = ItemList(item_ids=np.arange(1, 12), ordered=True), ItemList(item_ids=np.array([2]))
    # The first two places are not discounted, the third is by log2(3).
    assert NDCG(10).measure_list(listed, true) == pytest.approx(1)
    third = ItemList(item_ids=np.array([3]))
    assert NDCG(10).measure_list(listed, third) == pytest.approx(1 / math.log2(3))
    assert catalogue.ndcg([np.arange(1, 12)], [[3]], 10) == pytest.approx([1 / 2])


def test_trec_eval_cuts_the_best_list_too():
    # Three relevant, two of them in the first two places: the best list for NDCG@2 holds two of them.
    truth, run = {"q": {"1": 1, "2": 1, "3": 1}}, {"q": {"1": 3.0, "2": 2.0, "9": 1.0}}
    found = pytrec_eval.RelevanceEvaluator(truth, {"ndcg_cut_2"}).evaluate(run)["q"]["ndcg_cut_2"]
    assert found == pytest.approx(1) == catalogue.ndcg([[1, 2, 9]], [[1, 2, 3]], 2)[0]
