"""The network finds what is planted in the evidence; its scores follow from a candidate's evidence alone."""

from dataclasses import replace

import numpy as np
import pytest

from starrec.data import evaluation_tasks, training_positions, training_tasks
from starrec.engines import Workers
from starrec.evaluation import mean_avg_hr, rank_by_scores
from starrec.evaluation.controls import Lessons, MlpSettings, fit_mlp, gather_numbers, rank_with_networks

GRID = [MlpSettings(hidden=(16,), passes=1), MlpSettings(hidden=(16, 8), passes=12, learning_rate=2e-2)]


class Given:
    """Scores that are there already."""

    def __init__(self, scores):
        self._scores = scores

    def scores(self, tasks):
        return self._scores


@pytest.fixture(scope="module")
def test_tasks(small, split):
    return evaluation_tasks(small, small.sequences(0), split, "test", seed=0, draws=1)[0]


@pytest.fixture(scope="module")
def planted(small, split, world, test_tasks, tmp_path_factory):
    """Lessons whose target is the candidate that most people took, and test tasks with such targets."""
    positions = training_positions(small, split, per_user=5, min_history=2, seed=0)
    tasks, _ = training_tasks(small, split, positions, seed=0, epoch=0)
    popularity = world.graph.counts.popularity

    def most_taken(asked):
        return {task.task_id: int(max(task.candidates, key=lambda item: popularity[item])) for task in asked}

    lessons = Lessons(tmp_path_factory.mktemp("lessons"))
    with Workers(world, 1) as workers:
        for part in ("training", "A", "B"):
            lessons.write(part, workers, tasks, most_taken(tasks))
    return lessons, most_taken(test_tasks)


@pytest.fixture(scope="module", params=["numbers", "read"])
def fitted(request, planted):
    return request.param, *fit_mlp(planted[0], request.param, (0, 1), processes=1, grid=GRID)


@pytest.fixture(scope="module")
def rank(fitted, world):
    """Rankings of tasks by both networks."""
    reads, networks, _ = fitted

    def ranked(tasks):
        with Workers(world, 1) as workers:
            return rank_with_networks(
                workers, {("mlp", of.seed): (reads, of.network) for of in networks}, tasks
            )

    return ranked


def test_what_is_planted_is_found(planted, test_tasks, rank):
    ranked = rank(test_tasks)
    assert list(ranked) == [("mlp", 0), ("mlp", 1)]
    # Chance is 0.15.
    for rankings in ranked.values():
        assert mean_avg_hr(test_tasks, rankings, planted[1]) > 0.8


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


def test_scores_are_standardised_by_training_tasks(fitted, planted):
    reads, networks, _ = fitted
    rows = getattr(planted[0].numbers("training"), reads)
    rows = rows.reshape(-1, rows.shape[2]).astype(np.float64)
    assert networks[0].weights["mean"] == pytest.approx(rows.mean(axis=0), rel=1e-6)
    assert networks[0].weights["scale"] == pytest.approx(rows.std(axis=0) + 1e-6, rel=1e-6)


def test_permuted_candidates_are_ranked_alike(test_tasks, rank):
    order = np.random.default_rng(0).permutation(20)
    turned = [replace(task, candidates=task.candidates[order]) for task in test_tasks[:20]]
    assert rank(test_tasks[:20]) == rank(turned)


def test_rankings_are_those_of_the_scores_however_tasks_are_batched(fitted, world, test_tasks, rank, tmp_path):
    """The other way round: all tasks' numbers at once, scores handed to the evaluation as any system's."""
    reads, networks, _ = fitted
    tasks = [*test_tasks, *(replace(task, task_id=f"{task.task_id}/again") for task in test_tasks)]
    tasks += [replace(task, task_id=f"{task.task_id}/more") for task in test_tasks]
    with Workers(world, 1) as workers:
        numbers = gather_numbers(workers, tasks, tmp_path / "numbers")
    for found, of in zip(rank(tasks).values(), networks, strict=True):
        scores = numbers.as_given(of.network.scores(getattr(numbers, reads)))
        assert found == rank_by_scores(Given(scores), tasks)[0]
