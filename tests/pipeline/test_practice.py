"""Stage 2 practises on the same tasks from any step on, in four kinds; no negative is the user's own."""

import subprocess
import sys
from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starrec.data import SHORT_HISTORY, TrainingPositions, training_positions
from starrec.engines import Workers
from starrec.pipeline import RunConfig
from starrec.pipeline.practice import FEW, Practice, epoch_order
from starrec.pipeline.tasks import Tasks
from starrec.student import GRPOConfig, StudentConfig
from starrec.tools import NOMINATED, World, retrieve

BATCH = 8
STEPS = 70


class Watched(World):
    """A world that keeps the tasks that it was asked about."""

    asked: ClassVar[list] = []

    def view(self, task):
        Watched.asked.append(task)
        return super().view(task)


@pytest.fixture(scope="module")
def positions(prepared):
    return training_positions(prepared.dataset, prepared.split, per_user=3, seed=0)


@pytest.fixture(scope="module")
def practise(prepared, positions):
    """A practice as a stage opens one, over these positions."""

    def practise(seed=0, late=2.0, at=positions, processes=1):
        world = prepared.world
        watched = Watched(world.mentions, world.graph, world.semantics, world.config)
        config = StudentConfig(seed=seed, grpo=GRPOConfig(batch=BATCH, late=late))
        return Practice(Tasks(prepared, RunConfig()), Workers(watched, processes), config, at)

    return practise


@pytest.fixture(scope="module")
def steps(practise):
    """The batches of the first steps, and the tasks of each."""
    practice, found = practise(), []
    for step in range(STEPS):
        Watched.asked = []
        found.append((practice(step), Watched.asked.copy()))
    return found


def same(one, other):
    return all(
        np.array_equal(getattr(one.tasks, name), getattr(other.tasks, name)) for name in ("numbers", "order")
    ) and (np.array_equal(one.rows, other.rows) and np.array_equal(one.weights, other.weights))


@settings(max_examples=8)
@given(st.integers(0, STEPS - 1))
def test_a_practice_that_begins_anywhere_goes_on_as_one_from_the_start(practise, steps, first):
    practice = practise()
    for step in range(first, min(first + 3, STEPS)):
        assert same(practice(step), steps[step][0])


def test_a_step_that_is_asked_again_is_the_same(practise, steps):
    practice = practise()
    assert same(practice(5), steps[5][0]) and same(practice(6), steps[6][0]) and same(practice(5), steps[5][0])


def test_the_seed_decides(practise, steps):
    assert not same(practise(seed=1)(0), steps[0][0])


def test_workers_give_what_one_process_gives(prepared, positions, steps):
    config = StudentConfig(grpo=GRPOConfig(batch=BATCH))
    with Workers(prepared.world, 2) as workers:
        practice = Practice(Tasks(prepared, RunConfig()), workers, config, positions)
        for step in range(3):
            assert same(practice(step), steps[step][0])


@pytest.mark.parametrize("module", ["pipeline.practice", "evaluation.controls.numbers", "teacher.teach"])
def test_workers_that_look_up_evidence_load_no_torch(module):
    """They import the module of the function that they are sent."""
    program = f"import sys, starrec.{module}; assert not {{'torch', 'transformers'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def kind_of(tasks):
    sizes = {len(task.candidates) for task in tasks}
    if sizes == {FEW + 1}:
        return "few"
    if sizes != {20}:
        return "retrieved"
    return "short" if all(len(task.history) <= SHORT_HISTORY for task in tasks) else "usual"


def test_steps_have_20_5_or_up_to_100_candidates_or_short_histories(steps):
    kinds = Counter(kind_of(tasks) for _, tasks in steps)
    assert set(kinds) == {"usual", "short", "few", "retrieved"}
    # 11 parts of 16, two, one and two: of 70 steps 48 expected, with a deviation of 3.9.
    assert kinds["usual"] > 48 - 4 * 3.9
    for batch, tasks in steps:
        assert len(batch) == len(tasks) == BATCH
        if kind_of(tasks) == "retrieved":
            assert 50 < max(len(task.candidates) for task in tasks) <= NOMINATED
        else:
            assert batch.tasks.present.all()


def test_a_target_among_what_is_retrieved_was_retrieved_too(prepared, steps):
    """Else it would be told from the others by not being like them."""
    of_retrieved = [tasks for _, tasks in steps if kind_of(tasks) == "retrieved"]
    graph, split = prepared.world.graph, prepared.split
    whole = 0
    for task in (task for tasks in of_retrieved for task in tasks if len(task.candidates) != FEW + 1):
        found = retrieve(graph, task.user, task.history, NOMINATED).tolist()
        _, position = place_of(task)
        own = split.train.of(task.user)
        target = int(own[position])
        assert target in found
        assert task.candidates.tolist() == [item for item in found if item == target or item not in own]
        whole += 1
    assert whole > 0


def place_of(task):
    """The user and the position in her training part that the task is about, from its id."""
    return task.user, int(task.task_id.split("/")[-2])


def test_the_row_is_that_of_what_came_next(prepared, positions, steps):
    train = prepared.split.train
    places = set(zip(positions.users.tolist(), positions.positions.tolist(), strict=True))
    for batch, tasks in steps:
        for at, task in enumerate(tasks):
            own = train.of(task.user)
            _, position = place_of(task)
            history = task.history.tolist()
            assert (task.user, position) in places and history == own[:position].tolist()[-len(history) :]
            assert task.candidates[batch.tasks.order[at, batch.rows[at]]] == own[position]


def test_no_negative_is_of_the_users_training_part(prepared, steps):
    for _, tasks in steps:
        for task in tasks:
            own = prepared.split.train.of(task.user)
            assert np.intersect1d(task.candidates, own).tolist() == [own[place_of(task)[1]]]
            assert len(np.unique(task.candidates)) == len(task.candidates)


def test_held_out_items_can_be_negatives(prepared, practise, steps):
    """If they could not, their absence would tell."""
    held = [
        task
        for _, tasks in steps
        for task in tasks
        if np.isin(
            task.candidates, [prepared.split.validation[task.user], prepared.split.test[task.user]]
        ).any()
    ]
    assert {len(task.candidates) == 20 for task in held} == {True, False}


def test_each_epoch_takes_every_position_once_with_new_negatives(positions, steps):
    usual = [task for _, tasks in steps if kind_of(tasks) == "usual" for task in tasks]
    n = len(positions)
    assert len(usual) > 2 * n
    epochs = [usual[:n], usual[n : 2 * n]]
    wanted = sorted(zip(positions.users.tolist(), positions.positions.tolist(), strict=True))
    for epoch in epochs:
        assert sorted(map(place_of, epoch)) == wanted
    one, two = (list(map(place_of, epoch)) for epoch in epochs)
    assert one != two
    first, second = ({place_of(t): set(t.candidates.tolist()) for t in epoch} for epoch in epochs)
    assert all(first[place] != second[place] for place in first)
    assert sorted(epoch_order(0, 0, n).tolist()) == list(range(n))


def test_late_positions_weigh_more(practise, positions, steps):
    """The length of the history over the longest of the user's positions, squared, over the mean of all."""
    longest = {
        user: positions.positions[positions.users == user].max() for user in set(positions.users.tolist())
    }
    squares = [
        (position / longest[user]) ** 2
        for user, position in zip(positions.users.tolist(), positions.positions.tolist(), strict=True)
    ]
    for batch, tasks in steps[:10]:
        expected = [(place_of(task)[1] / longest[task.user]) ** 2 / np.mean(squares) for task in tasks]
        assert batch.weights.tolist() == pytest.approx(expected, rel=1e-5)
    assert practise(late=0.0)(0).weights.tolist() == [1.0] * BATCH


def test_the_first_batches_of_a_kind_are_those_of_its_first_steps(practise, steps):
    for kind in ("usual", "short", "few", "retrieved"):
        of_kind = [batch for batch, tasks in steps if kind_of(tasks) == kind][:2]
        assert of_kind
        for one, other in zip(of_kind, practise().first(kind, len(of_kind)), strict=True):
            assert same(one, other)


def test_fewer_positions_than_a_step_has_tasks_are_taken_again(practise, positions):
    few = TrainingPositions(positions.users[:3], positions.positions[:3])
    Watched.asked = []
    practise(at=few)(0)
    assert Counter(task.user for task in Watched.asked).total() == BATCH
    assert len({place_of(task) for task in Watched.asked}) == 3
