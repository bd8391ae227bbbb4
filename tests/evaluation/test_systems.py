"""Systems without training rank as their signal says, and chance is chance."""

import numpy as np
import pytest

from starrec.engines import Workers
from starrec.evaluation import SYSTEMS, best_tool, mean_avg_hr, rank_at_random, rank_by_signals
from starrec.ranking import avg_hr
from starrec.signals import SIGNALS


@pytest.fixture(scope="module")
def ranked(world, lessons):
    with Workers(world, 1) as workers:
        return rank_by_signals(workers, lessons[0])


def test_each_system_ranks_by_its_signal(world, lessons, ranked):
    assert set(ranked) == set(SYSTEMS) == {"item_cf", "user_cf", "transitions", "ease", "popularity"}
    for name, rankings in ranked.items():
        assert len(rankings) == len(lessons[0])
        for task, ranking in zip(lessons[0], rankings, strict=True):
            scores = world.toolbox(task).evidence.scores[SIGNALS.index(SYSTEMS[name])]
            by_item = dict(zip(task.candidates.tolist(), scores.tolist(), strict=True))
            ordered = [by_item[item] for item in ranking.items]
            assert len(ordered) == 6 and ordered == sorted(ordered, reverse=True)


def test_the_best_tool_is_the_one_with_the_highest_avg_hr(world, lessons, ranked):
    tasks, targets, _ = lessons
    with Workers(world, 1) as workers:
        name, scores = best_tool(workers, tasks, targets)
    assert scores == {system: mean_avg_hr(tasks, rankings, targets) for system, rankings in ranked.items()}
    assert all(scores[name] >= score for score in scores.values()) and len(set(scores.values())) > 1


def test_popularity_by_hand(world, task, split):
    taken = np.bincount(split.train.items, minlength=48)
    candidates = [11, 0, 23, 12, 5]
    with Workers(world, 1) as workers:
        found = rank_by_signals(workers, [task(-1, [], candidates)])["popularity"][0]
    counts = [taken[item] for item in found.items]
    assert sorted(found.items) == sorted(candidates) and counts == sorted(counts, reverse=True)


def test_where_a_candidate_stands_decides_nothing(world, task):
    """Also not where a system has no basis, as all but popularity for an empty history."""
    for history in ([], [3, 17]):
        candidates = np.random.default_rng(0).permutation(48)[:20]
        tasks = [task(-1, history, order) for order in (candidates, candidates[::-1], np.sort(candidates))]
        with Workers(world, 1) as workers:
            for rankings in rank_by_signals(workers, tasks).values():
                assert rankings[0] == rankings[1] == rankings[2]
                assert list(rankings[0].items) != sorted(candidates.tolist())


def test_chance_is_chance(task):
    tasks = [task(-1, [], range(20), task_id=f"test/{at}/0") for at in range(3000)]
    rankings = rank_at_random(tasks, seed=0)
    # 1/20, 3/20 and 5/20: 0.15 in the mean. One task's standard deviation is 0.29, so 3 errors are 0.016.
    for target in (0, 19):
        ranks = np.array([ranking.rank_of(target) for ranking in rankings])
        assert avg_hr(ranks).mean() == pytest.approx(0.15, abs=0.016)
    # Every item is first about as often: 150 ± 12 each.
    firsts = np.bincount([ranking.items[0] for ranking in rankings], minlength=20)
    assert firsts.min() > 90 and firsts.max() < 210


def test_a_tasks_chance_depends_on_the_seed_and_itself_alone(task):
    tasks = [task(-1, [], range(20), task_id=f"test/{at}/0") for at in range(30)]
    all_, some = rank_at_random(tasks, seed=0), rank_at_random(tasks[::3], seed=0)
    assert some == all_[::3]
    assert rank_at_random(tasks, seed=1) != all_
    assert len(set(all_)) == 30
