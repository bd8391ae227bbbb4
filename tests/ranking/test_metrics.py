"""Metrics against hand calculations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.ranking import avg_hr, hr, mrr, ndcg, summary

RANKS = [1, 2, 4, 11]


def test_each_metric_by_hand():
    assert hr(RANKS, 1).tolist() == [1, 0, 0, 0]
    assert hr(RANKS, 3).tolist() == [1, 1, 0, 0]
    assert avg_hr(RANKS) == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert mrr(RANKS) == pytest.approx([1, 1 / 2, 1 / 4, 1 / 11])
    # 1 / log2(1 + 1) = 1; 1 / log2(3); 1 / log2(5); rank 11 is beyond the first ten.
    assert ndcg(RANKS, 10) == pytest.approx([1, 1 / math.log2(3), 1 / math.log2(5), 0])


def test_summary_is_the_means():
    result = summary(RANKS)
    assert result["hr@1"] == 0.25 and result["hr@3"] == 0.5 and result["hr@5"] == 0.75
    assert result["avg_hr"] == pytest.approx(0.5)
    assert result["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 11) / 4)
    assert result["ndcg@10"] == pytest.approx((1 + 0.6309297536 + 0.4306765581) / 4)


@given(st.lists(st.integers(1, 20), min_size=1))
def test_avg_hr_is_the_mean_of_the_three_hit_rates(ranks):
    result = summary(ranks)
    assert result["avg_hr"] == pytest.approx((result["hr@1"] + result["hr@3"] + result["hr@5"]) / 3)
    # A rank past the first adds at most 1/2; ranks 1, 1, 2 meet the bound but for the last bit.
    low, high = result["hr@1"], result["hr@1"] + (1 - result["hr@1"]) / 2
    assert low - 1e-12 <= result["mrr"] <= high + 1e-12


def test_chance_with_twenty_candidates():
    # Each rank once: (1 + 3 + 5) / 3 / 20 = 0.15.
    assert summary(np.arange(1, 21))["avg_hr"] == pytest.approx(0.15)


def test_impossible_ranks_are_refused():
    with pytest.raises(ValueError, match="from 1"):
        hr([0], 1)
    with pytest.raises(ValueError, match="no ranks"):
        summary([])
