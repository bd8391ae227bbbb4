"""A scorer's numbers become rankings by the project's own tie rule, and nothing is dropped in silence."""

import numpy as np
import pytest

from starrec.data import RankingTask
from starrec.errors import StarrecError
from starrec.evaluation import rank_by_scores
from starrec.ranking import avg_hr


class Given:
    def __init__(self, scores):
        self.given = scores

    def scores(self, tasks):
        return [np.array(scores, dtype=float) for scores in self.given]


def task(name, candidates):
    return RankingTask(name, 0, "u", np.array([1], np.int32), np.array(candidates, np.int32))


def test_higher_scores_come_first_and_what_has_none_comes_last():
    ranked, unscored = rank_by_scores(
        Given([[0.1, np.nan, 0.9], [3, 1, 2]]), [task("a", [4, 5, 6]), task("b", [7, 8, 9])]
    )
    assert [ranking.items for ranking in ranked] == [(6, 4, 5), (7, 9, 8)]
    assert unscored == 1


def test_ties_do_not_depend_on_the_order_of_the_candidates():
    forwards, _ = rank_by_scores(Given([[1] * 20]), [task("a", range(20))])
    backwards, _ = rank_by_scores(Given([[1] * 20]), [task("a", range(19, -1, -1))])
    assert forwards == backwards and forwards[0].items != tuple(range(20))
    none, unscored = rank_by_scores(Given([[np.nan] * 20]), [task("a", range(20))])
    assert none == forwards and unscored == 20


@pytest.mark.parametrize("score", [0.0, np.nan])
def test_a_scorer_that_says_nothing_is_at_chance_also_where_all_have_one_target(score):
    """With one order of all items for everybody, item 0 would stand where its hash puts it, in every task."""
    generator = np.random.default_rng(0)
    tasks = [
        task(f"test/{user}/0", [0, *generator.choice(np.arange(1, 500), 19, replace=False)])
        for user in range(1000)
    ]
    rankings, _ = rank_by_scores(Given([[score] * 20] * 1000), tasks)
    # Chance .15; one task's standard deviation is .29, so 3 standard errors are .028.
    assert avg_hr([ranking.rank_of(0) for ranking in rankings]).mean() == pytest.approx(0.15, abs=0.028)


def test_a_score_too_few_is_an_error_that_names_the_task():
    with pytest.raises(StarrecError, match=r"task a .*one score a candidate"):
        rank_by_scores(Given([[1, 2]]), [task("a", [1, 2, 3])])
