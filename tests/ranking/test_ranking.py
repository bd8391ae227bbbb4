"""A Ranking is a permutation of its candidates, and ties favour no position."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.ranking import Ranking, from_scores, order_by_scores, ranks_of_targets, repair

candidate_lists = st.lists(st.integers(0, 50), min_size=1, max_size=20, unique=True)


@given(st.lists(st.integers(-5, 60), max_size=40), candidate_lists)
def test_repair_always_gives_a_permutation_and_keeps_the_proposed_order(proposed, candidates):
    ranking = repair(proposed, candidates)
    assert sorted(ranking.items) == sorted(candidates)
    first_mentions = [item for item in dict.fromkeys(proposed) if item in candidates]
    assert list(ranking.items[: len(first_mentions)]) == first_mentions
    assert (ranking.repairs == ()) == (sorted(proposed) == sorted(candidates))


def test_repair_says_what_it_mended():
    # 9 is unknown, the second 3 repeats, 1 and 2 are missing and follow in candidate order.
    ranking = repair([3, 9, 3], np.array([2, 1, 3], dtype=np.int32))
    assert ranking.items == (3, 2, 1)
    assert ranking.repairs == (
        "dropped 9, which is not a candidate",
        "dropped a repeat of 3",
        "appended 2 of 3 candidates that were not ranked",
    )


def test_repair_refuses_repeated_candidates():
    with pytest.raises(ValueError, match="distinct"):
        repair([1], [1, 1])


def test_rank_counts_from_one():
    assert Ranking((7, 5, 6)).rank_of(5) == 2
    with pytest.raises(ValueError):
        Ranking((7,)).rank_of(8)


@given(candidate_lists, st.data())
def test_scores_order_candidates_whatever_their_position(candidates, data):
    # Few distinct scores, so that ties are common.
    score = {item: data.draw(st.sampled_from([0.0, 1.0, float("nan")])) for item in candidates}
    shuffled = data.draw(st.permutations(candidates))
    ranking = from_scores(candidates, [score[item] for item in candidates], tie_seed=3)
    assert ranking == from_scores(shuffled, [score[item] for item in shuffled], tie_seed=3)
    ordered = [-1.0 if np.isnan(score[item]) else score[item] for item in ranking.items]
    assert ordered == sorted(ordered, reverse=True)


def test_ties_do_not_favour_the_first_candidate():
    # All scores equal and the target always first: its mean rank must be that of chance, (1 + 20) / 2 = 10.5.
    # The standard error is sqrt((20**2 - 1) / 12) / sqrt(4000) = 0.09.
    generator = np.random.default_rng(0)
    candidates = np.stack([generator.permutation(500)[:20] for _ in range(4000)])
    ranks = ranks_of_targets(candidates, np.zeros_like(candidates), np.zeros(4000, dtype=int), np.arange(4000))
    assert abs(ranks.mean() - 10.5) < 4 * 0.092
    assert (ranks == 1).mean() < 0.07


def test_rows_of_a_batch_rank_as_they_do_alone():
    candidates = np.array([[4, 8, 6], [1, 2, 3]])
    scores = np.array([[0.1, 0.1, 0.7], [2.0, np.nan, 2.0]])
    order = order_by_scores(candidates, scores, np.array([11, 12]))
    for row, seed in enumerate([11, 12]):
        alone = from_scores(candidates[row], scores[row], seed)
        assert alone.items == tuple(candidates[row][order[row]].tolist())
    assert order[0, 0] == 2 and order[1, 2] == 1
    assert ranks_of_targets(candidates, scores, [2, 1], 0).tolist() == [1, 3]


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shape"):
        from_scores([1, 2], [1.0], 0)
