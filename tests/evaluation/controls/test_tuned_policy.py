"""The policy's rules over arrays are the policy's, for any constants, and the search finds what is planted."""

from dataclasses import replace

import numpy as np
import pytest

from starrec.data import evaluation_tasks
from starrec.engines import Workers
from starrec.evaluation.controls import Lessons, PolicyArrays, gather_numbers, search, tune
from starrec.evaluation.controls.tuned_policy import LATE
from starrec.ranking import avg_hr
from starrec.teacher import Constants, Fusion, rank_with_teacher

OTHERS = [
    Constants(),
    Constants(
        trust={
            "historical_interest": 1,
            "interest_divergence": 9,
            "recent_interest": 4,
            "user_profile": 2,
        },
        trust_short={"recent_interest": 1, "user_profile": 7, "interest_divergence": 9},
        trust_again={"user_profile": 9, "historical_interest": 5},
        contenders=3,
        fusion=Fusion(rrf=0.5, level_weights={"popularity": 2, "semantic": 1}, level_unit=0.1),
    ),
    Constants(trust_again={"user_profile": 1}, contenders=2, fusion=Fusion(rrf=8.0, level_weights={})),
]


@pytest.fixture(scope="module")
def asked(small, split):
    """Test tasks, histories of 1 to 20 items among them, and their targets."""
    tasks, targets = evaluation_tasks(small, small.sequences(0), split, "test", seed=0, draws=1)
    return tasks[::3], targets


@pytest.mark.parametrize("constants", OTHERS)
def test_the_arrays_rank_as_the_policy_does(world, asked, constants, tmp_path):
    tasks, targets = asked
    with Workers(world, 1) as workers:
        numbers = gather_numbers(workers, tasks, tmp_path / "numbers")
        ranked = rank_with_teacher(workers, tasks, 0, constants=constants)
    rows = numbers.rows_of(tasks, targets)
    arrays = PolicyArrays(numbers, rows)
    scores = arrays.scores(constants)
    order = np.take_along_axis(numbers.order, np.lexsort((numbers.ties, -scores), axis=1), axis=1)
    by_arrays = [tuple(task.candidates[own].tolist()) for task, own in zip(tasks, order, strict=True)]
    assert by_arrays == [ranking.items for ranking in ranked]
    ranks = [ranking.rank_of(targets[task.task_id]) for task, ranking in zip(tasks, ranked, strict=True)]
    assert arrays.avg_hr(constants) == pytest.approx(avg_hr(np.array(ranks)).mean())
    assert (numbers.lengths <= 5).any() and (numbers.lengths > 5).any()


def test_the_policys_own_constants_give_its_own_rankings(world, asked):
    with Workers(world, 1) as workers:
        assert rank_with_teacher(workers, asked[0], 0, constants=Constants()) == rank_with_teacher(
            workers, asked[0], 0
        )
        other = rank_with_teacher(workers, asked[0], 0, constants=OTHERS[1])
    assert other != rank_with_teacher(workers, asked[0], 0)


def test_the_search_finds_what_is_planted(world, asked, tmp_path):
    tasks, _ = asked
    with Workers(world, 1) as workers:
        numbers = gather_numbers(workers, tasks, tmp_path / "numbers")
    # The target is what other constants put first: they reach 1, the policy's own do not.
    planted = PolicyArrays(numbers, np.zeros(len(tasks), dtype=np.int64)).scores(OTHERS[1])
    first = np.lexsort((numbers.ties, -planted), axis=1)[:, 0]
    training = PolicyArrays(numbers, first)
    found = search(training, 0, proposals=60)
    assert training.avg_hr(found) > training.avg_hr(Constants())
    assert search(training, 0, proposals=60) == found != search(training, 1, proposals=60)
    late = search(training, 0, 4.0, proposals=60)
    assert training.avg_hr(late, 4.0) > training.avg_hr(Constants(), 4.0)


def test_late_tasks_weigh_more(world, asked, tmp_path):
    with Workers(world, 1) as workers:
        numbers = gather_numbers(workers, asked[0][:2], tmp_path / "numbers")
    # Of one user, with 3 and with 6 items: half of the longest, and all of it.
    pair = replace(numbers, users=np.array([7, 7]), lengths=np.array([3, 6]))
    assert pair.lateness.tolist() == [0.5, 1]
    first = PolicyArrays(pair, np.zeros(2, dtype=np.int64)).scores(Constants())
    best, worst = (np.lexsort((pair.ties, -first), axis=1)[:, at] for at in (0, -1))
    # The early target stands last, the late one first: 1 of 2; with weights 1/4 and 1, 4 of 5.
    arrays = PolicyArrays(pair, np.array([worst[0], best[1]]))
    assert arrays.avg_hr(Constants()) == pytest.approx(0.5)
    assert arrays.avg_hr(Constants(), 2.0) == pytest.approx(0.8)


def test_half_b_chooses_the_try(world, asked, tmp_path):
    tasks, targets = asked
    lessons = Lessons(tmp_path)
    with Workers(world, 1) as workers:
        for part, some in (("training", tasks), ("B", tasks[:9])):
            lessons.write(part, workers, some, targets)
    half_b = PolicyArrays(lessons.numbers("B"), lessons.rows("B"))
    # Searched on the first tasks alone, which are those that choose.
    fitted, tried = tune(lessons, half_b, (0, 1), 9, processes=1)
    assert [late for late, _ in tried] == list(LATE) and len(fitted) == 2
    assert half_b.avg_hr(fitted[0]) == max(reached for _, reached in tried)
    late = max(tried, key=lambda entry: entry[1])[0]
    assert fitted == [search(half_b, seed, late) for seed in (0, 1)]
