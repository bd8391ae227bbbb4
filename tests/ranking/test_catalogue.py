"""Full-catalogue metrics against hand calculations."""

import math

import numpy as np
import pytest

from starrec.ranking import catalogue

LISTS = [[3, 1, 4], [1, 5]]
RELEVANT = [[1, 4, 9], [5]]


def test_recall_by_hand():
    # Of {1, 4, 9} the first two hold 1 and the first three 1 and 4; of {5} the first one nothing.
    assert catalogue.recall(LISTS, RELEVANT, 2) == pytest.approx([1 / 3, 1])
    assert catalogue.recall(LISTS, RELEVANT, 3) == pytest.approx([2 / 3, 1])
    # Also where k is less than the number of relevant items: 1 of 3.
    assert catalogue.recall([[1, 2, 3]], [[1, 4, 9]], 1) == pytest.approx([1 / 3])


def test_ndcg_by_hand():
    # At ranks 2 and 3 of three relevant: (1/log2(3) + 1/2) / (1 + 1/log2(3) + 1/2); rank 2 of one: 1/log2(3).
    second = 1 / math.log2(3)
    assert catalogue.ndcg(LISTS, RELEVANT, 3) == pytest.approx([(second + 0.5) / (1 + second + 0.5), second])
    # At 2: only rank 2, and the best list holds two: 1/log2(3) / (1 + 1/log2(3)).
    assert catalogue.ndcg(LISTS, RELEVANT, 2) == pytest.approx([second / (1 + second), second])
    assert catalogue.ndcg([[1, 9, 4, 2]], [[1, 4, 9]], 3) == pytest.approx([1])
    assert catalogue.ndcg([[]], [[1]], 10).tolist() == [0]


def test_coverage_by_hand():
    # The first one: {3, 1}; the first three: {3, 1, 4, 5}; of eight items.
    assert (catalogue.coverage(LISTS, 8, 1), catalogue.coverage(LISTS, 8, 3)) == (2 / 8, 4 / 8)


def test_novelty_by_hand():
    # Of 8 users 4 took item 1, one item 3, two item 4, nobody item 5: 1, 3, 2 and, as if one had, 3 bits.
    users_of_item = np.array([0, 4, 0, 1, 2, 0], dtype=np.int32)
    assert catalogue.novelty(LISTS, users_of_item, 8, 3) == pytest.approx((3 + 1 + 2 + 1 + 3) / 5)
    assert catalogue.novelty(LISTS, users_of_item, 8, 1) == pytest.approx((3 + 1) / 2)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="twice"):
        catalogue.recall([[1, 1]], [[1]], 2)
    with pytest.raises(ValueError, match="no relevant"):
        catalogue.ndcg([[1]], [[]], 2)
    with pytest.raises(ValueError):
        catalogue.recall([[1]], [[1], [2]], 2)
    with pytest.raises(ValueError, match="nothing is recommended"):
        catalogue.novelty([[]], np.ones(3, np.int32), 2, 5)
