"""The network finds what is planted in the evidence; its scores follow from a candidate's evidence alone."""

from dataclasses import replace

import numpy as np
import pytest

from starrec.data import evaluation_tasks, training_positions, training_tasks
from starrec.engines import Workers
from starrec.evaluation import mean_avg_hr, rank_by_scores
from starrec.evaluation.controls import Lessons, MlpScorer, MlpSettings, fit_mlp, gather_numbers
from starrec.signals import SIGNALS

GRID = [MlpSettings(hidden=(16,), passes=1), MlpSettings(hidden=(16, 8), passes=12, learning_rate=2e-2)]


@pytest.fixture(scope="module")
def test_tasks(small, split):
    return evaluation_tasks(small, small.sequences(0), split, "test", seed=0, draws=1)[0]


@pytest.fixture(scope="module")
def planted(small, split, world, test_tasks, tmp_path_factory):
    """Lessons whose target is the candidate that most people took, and test tasks with such targets."""
    positions = training_positions(small, split, per_user=5, min_history=2, seed=0)
    tasks, _ = training_tasks(small, split, positions, seed=0, epoch=0)
    popularity = SIGNALS.index("popularity")
    with Workers(world, 1) as workers:
        numbers, on_test = gather_numbers(workers, tasks), gather_numbers(workers, test_tasks)
    lessons = Lessons(tmp_path_factory.mktemp("lessons"))
    for part in ("training", "A", "B"):
        lessons.write(part, numbers, np.argmax(numbers.scores[:, popularity], axis=1))
    rows = np.argmax(on_test.scores[:, popularity], axis=1)
    columns = np.take_along_axis(on_test.order, rows[:, None], axis=1)[:, 0]
    return lessons, {
        task.task_id: int(task.candidates[at]) for task, at in zip(test_tasks, columns, strict=True)
    }


@pytest.fixture(scope="module", params=["numbers", "read"])
def fitted(request, planted):
    return request.param, *fit_mlp(planted[0], request.param, (0, 1), processes=1, grid=GRID)


@pytest.fixture(scope="module")
def scorer(fitted, world):
    def look_up(tasks):
        with Workers(world, 1) as workers:
            return gather_numbers(workers, tasks)

    reads, networks, _ = fitted
    return MlpScorer(networks[0].network, reads, look_up)


def test_what_is_planted_is_found(planted, test_tasks, scorer):
    ranked, unscored = rank_by_scores(scorer, test_tasks)
    # Chance is 0.15.
    assert mean_avg_hr(test_tasks, ranked, planted[1]) > 0.8 and unscored == 0


def test_half_b_chooses_among_all_tries_and_every_seed_takes_the_choice(fitted):
    _, networks, tried = fitted
    assert [settings for settings, _ in tried] == GRID
    best = max(tried, key=lambda entry: entry[1])
    assert [of.settings for of in networks] == [best[0]] * 2 and [of.seed for of in networks] == [0, 1]
    assert networks[0].validation_b == best[1]
    assert any(not np.array_equal(networks[0].weights[name], of) for name, of in networks[1].weights.items())


def test_a_fit_repeats_and_its_seed_decides_it(fitted, planted):
    reads, networks, _ = fitted
    (again,), _ = fit_mlp(planted[0], reads, (1,), processes=1, grid=[networks[0].settings])
    for name, weights in networks[1].weights.items():
        assert np.array_equal(weights, again.weights[name])


def test_permuted_candidates_are_scored_alike(test_tasks, scorer):
    order = np.random.default_rng(0).permutation(20)
    turned = [replace(task, candidates=task.candidates[order]) for task in test_tasks[:20]]
    for one, other in zip(scorer.scores(test_tasks[:20]), scorer.scores(turned), strict=True):
        assert one[order].tolist() == other.tolist()
    assert rank_by_scores(scorer, test_tasks[:20]) == rank_by_scores(scorer, turned)
