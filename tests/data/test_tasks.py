"""Ranking tasks: what is drawn, what it may depend on, and what it must not know."""

import time

import numpy as np
import polars as pl
import pytest

from starrec.data import (
    Sequences,
    Split,
    build,
    evaluation_tasks,
    leave_one_out,
    sample_negatives,
    training_arrays,
    training_positions,
    training_tasks,
    validation_half,
)
from starrec.data.hashing import text_keys
from starrec.errors import DataError


@pytest.fixture(scope="module")
def sequences(dataset):
    return dataset.sequences(0)


@pytest.fixture(scope="module")
def split(sequences):
    return leave_one_out(sequences)


def as_bytes(tasks, targets):
    """Everything a task says, as bytes."""
    return [
        (
            task.task_id,
            task.user_id,
            task.history.tobytes(),
            task.candidates.tobytes(),
            targets[task.task_id],
            task.days.tobytes(),
            task.ratings.tobytes(),
        )
        for task in tasks
    ]


@pytest.mark.parametrize("which", ["validation", "test"])
def test_evaluation_tasks(dataset, sequences, split, which):
    tasks, targets = evaluation_tasks(dataset, sequences, split, which, seed=1)
    eligible = [user for user in range(dataset.n_users) if len(sequences.of(user)) >= 3]
    assert [task.task_id for task in tasks] == [
        f"{which}/{dataset.user_ids[user]}/{draw}" for user in eligible for draw in range(3)
    ]
    for task in tasks:
        target = targets[task.task_id]
        assert target == split.targets(which)[task.user]
        assert len(set(task.candidates.tolist())) == 20 and task.candidates.dtype == np.int32
        # The target is there once, and nothing else that the user ever took.
        assert set(task.candidates.tolist()) & set(sequences.of(task.user).tolist()) == {target}
        history = split.history(task.user, which)
        assert np.array_equal(task.history, history.items) and target not in task.history
        assert np.array_equal(task.days, history.days) and len(task.days) == len(task.history)
        assert np.array_equal(task.ratings, history.ratings, equal_nan=True)
        assert task.split == which and task.scenario == "classic"
    assert set(targets) == {task.task_id for task in tasks}


def test_the_task_does_not_hold_its_target(dataset, sequences, split):
    tasks, _ = evaluation_tasks(dataset, sequences, split, "test", seed=1, draws=1)
    fields = set(type(tasks[0]).__dataclass_fields__)
    assert fields == {
        "task_id", "user", "user_id", "history", "candidates", "scenario", "split", "draw", "days", "ratings"
    }  # fmt: skip
    for task in tasks:
        assert len(task.history) == len(task.days) == len(task.ratings) == len(sequences.of(task.user)) - 1


def test_draws_and_seeds_differ_and_repeat(dataset, sequences, split):
    first = as_bytes(*evaluation_tasks(dataset, sequences, split, "test", seed=1))
    assert first == as_bytes(*evaluation_tasks(dataset, sequences, split, "test", seed=1))
    other = as_bytes(*evaluation_tasks(dataset, sequences, split, "test", seed=2))
    assert all(a[3] != b[3] for a, b in zip(first, other, strict=True))
    assert len({task[3] for task in first}) == len(first)


def test_a_users_tasks_do_not_depend_on_other_users(tables, dataset, sequences, split):
    interactions, items = tables
    few = build("few", "clock", interactions.filter(pl.col("user_id").is_in(["u7", "u20"])), items)
    sequences_of_few = few.sequences(0)
    split_of_few = leave_one_out(sequences_of_few)
    alone = as_bytes(*evaluation_tasks(few, sequences_of_few, split_of_few, "test", seed=1))
    among_all = as_bytes(*evaluation_tasks(dataset, sequences, split, "test", seed=1))
    assert alone == [task for task in among_all if task[1] in ("u7", "u20")]

    def training(dataset, split):
        positions = training_positions(dataset, split, per_user=4, seed=1)
        return as_bytes(*training_tasks(dataset, split, positions, seed=1, epoch=0))

    assert training(few, split_of_few) == [
        task for task in training(dataset, split) if task[1] in ("u7", "u20")
    ]


def test_training_tasks(dataset, split):
    positions = training_positions(dataset, split, per_user=4, seed=1, min_history=3)
    tasks, targets = training_tasks(dataset, split, positions, seed=1, epoch=2)
    assert len(tasks) == len(positions)
    for task, position in zip(tasks, positions.positions.tolist(), strict=True):
        train = split.train.of(task.user)
        assert task.task_id == f"train/{task.user_id}/{position}/2"
        assert np.array_equal(task.history, train[:position]) and position >= 3
        start = split.train.ptr[task.user]
        assert np.array_equal(task.days, split.train.days[start : start + position])
        assert np.array_equal(task.ratings, split.train.ratings[start : start + position], equal_nan=True)
        assert targets[task.task_id] == train[position]
        assert len(set(task.candidates.tolist())) == 20
        assert set(task.candidates.tolist()) & set(train.tolist()) == {train[position]}
    per_user = np.bincount(positions.users, minlength=dataset.n_users)
    assert per_user.tolist() == np.clip(split.train.lengths - 3, 0, 4).tolist()


def test_training_positions_are_a_uniform_sample(dataset, split):
    # u24 has 25 items, 23 of them training, so positions 3 to 22: each is among 5 of 20 a quarter of the
    # time, 250 of 1,000 seeds, -+ 5 * sqrt(1000 * 3 / 16) = 69.
    user = dataset.user_ids.index("u24")
    counts = np.zeros(23, dtype=int)
    for seed in range(1000):
        positions = training_positions(dataset, split, per_user=5, seed=seed)
        counts[positions.positions[positions.users == user]] += 1
    assert counts[:3].sum() == 0 and counts.sum() == 5000
    assert np.abs(counts[3:] - 250).max() < 69


def test_training_is_byte_equal_without_the_held_out_interactions(tables, dataset, split):
    """The leak that makes the easiest wonderful number: held-out items seen in how training was drawn."""
    interactions, items = tables
    held = {
        (dataset.user_ids[user], dataset.item_ids[item])
        for targets in (split.validation, split.test)
        for user, item in enumerate(targets.tolist())
        if item >= 0
    }
    kept = interactions.filter(
        [row not in held for row in interactions.select("user_id", "item_id").iter_rows()]
    )
    assert interactions.height - kept.height == len(held) > 0
    deleted = build("small", "clock", kept, items)
    nobody = np.full(deleted.n_users, -1, dtype=np.int32)
    sequences_of_deleted = deleted.sequences(0)
    split_of_deleted = Split(sequences_of_deleted, sequences_of_deleted, nobody, nobody)

    def training(dataset, split):
        positions = training_positions(dataset, split, per_user=6, seed=3)
        return as_bytes(*training_tasks(dataset, split, positions, seed=3, epoch=1))

    assert training(deleted, split_of_deleted) == training(dataset, split)
    for name in ("ptr", "items", "days", "ratings"):
        here, there = getattr(split_of_deleted.train, name), getattr(split.train, name)
        assert here.tobytes() == there.tobytes()


def test_held_out_items_do_occur_as_training_negatives(dataset, split):
    positions = training_positions(dataset, split, per_user=6, seed=0)
    arrays = training_arrays(dataset, split, positions, seed=0, epoch=0)
    seen = (arrays.candidates == split.test[arrays.users][:, None]).any(axis=1)
    # Uniform negatives show the test item in about 19 of (60 - training items) tasks.
    expected = (19 / (dataset.n_items - split.train.lengths[arrays.users])).mean()
    assert abs(seen.mean() - expected) < 5 * np.sqrt(expected / len(seen))


def test_every_epoch_has_fresh_candidates(dataset, split):
    positions = training_positions(dataset, split, per_user=6, seed=0)
    first, second = (training_arrays(dataset, split, positions, seed=0, epoch=epoch) for epoch in (0, 1))
    assert not (first.candidates == second.candidates).all(axis=1).any()
    assert np.array_equal(first.users, second.users)


def test_the_target_stands_anywhere(dataset, split):
    positions = training_positions(dataset, split, per_user=20, seed=0)
    columns = np.concatenate(
        [training_arrays(dataset, split, positions, seed=0, epoch=epoch).target_column for epoch in range(30)]
    )
    expected = len(columns) / 20
    assert np.abs(np.bincount(columns, minlength=20) - expected).max() < 5 * np.sqrt(expected)


def test_negatives_are_uniform_over_what_is_allowed():
    # One user who took items 0, 5 and 9 of 12: each of the other 9 is drawn with probability 4 / 9.
    forbidden = Sequences(np.array([0, 3]), np.array([9, 0, 5], dtype=np.int32))
    keys = text_keys(map(str, range(9000)), 0, "test")
    drawn = sample_negatives(forbidden, np.zeros(9000, dtype=np.int32), keys, n_items=12, negatives=4)
    counts = np.bincount(drawn.ravel(), minlength=12)
    assert counts[[0, 5, 9]].tolist() == [0, 0, 0]
    assert np.abs(np.delete(counts, [0, 5, 9]) - 4000).max() < 5 * np.sqrt(9000 * 4 / 9 * 5 / 9)
    assert all(len(set(row)) == 4 for row in drawn.tolist())


def test_negatives_may_be_all_that_is_left():
    forbidden = Sequences(np.array([0, 2, 2]), np.array([1, 3], dtype=np.int32))
    drawn = sample_negatives(forbidden, np.array([0], dtype=np.int32), text_keys(["k"], 0, "t"), 22, 20)
    assert sorted(drawn[0].tolist()) == [0, 2, *range(4, 22)]


def test_too_small_a_catalogue_says_what_to_do(dataset, sequences, split):
    # The longest history has 25 of 60 items, so 35 negatives can be had for everyone.
    with pytest.raises(DataError, match="at most 35"):
        evaluation_tasks(dataset, sequences, split, "test", seed=0, negatives=36)
    evaluation_tasks(dataset, sequences, split, "test", seed=0, negatives=35)


def test_halves_go_by_user_and_seed():
    users = [f"u{user}" for user in range(2000)]
    halves = validation_half(users, seed=0)
    assert abs(halves.count("A") - 1000) < 90 and set(halves) == {"A", "B"}
    assert validation_half(users[::-1], seed=0) == halves[::-1]
    assert validation_half(users, seed=1) != halves


def test_22000_tasks_in_a_second():
    generator = np.random.default_rng(0)
    rows = [(str(u), str(i), t) for u in range(943) for t, i in enumerate(generator.permutation(1682)[:106])]
    interactions = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")
    items = pl.DataFrame({"item_id": [str(i) for i in range(1682)], "title": ["T"] * 1682})
    dataset = build("large", "clock", interactions, items)
    split = leave_one_out(dataset.sequences(0))
    positions = training_positions(dataset, split, per_user=24, seed=0)
    started = time.perf_counter()
    assert len(training_arrays(dataset, split, positions, seed=0, epoch=0)) > 22_000
    assert time.perf_counter() - started < 1.0


def test_tasks_over_positions_have_no_days_and_over_unrated_items_no_ratings(tables):
    interactions, items = tables
    dataset = build("small", "position", interactions.drop("rating"), items)
    sequences = dataset.sequences(0)
    split = leave_one_out(sequences)
    tasks, _ = evaluation_tasks(dataset, sequences, split, "test", seed=1, draws=1)
    tasks += training_tasks(
        dataset, split, training_positions(dataset, split, per_user=2, seed=1), seed=1, epoch=0
    )[0]
    assert all(task.days is None and task.ratings is None for task in tasks)
