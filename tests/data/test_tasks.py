"""Ranking tasks: what is drawn, what it may depend on, and what it must not know."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from starrec.data import (
    SHORT_HISTORY,
    Sequences,
    Split,
    build,
    evaluation_tasks,
    leave_one_out,
    sample_negatives,
    task_key,
    took_too_much,
    training_arrays,
    training_positions,
    training_tasks,
    validation_half,
)
from starrec.hashing import text_keys
from starrec.trajectories import Asked, write_asked


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
        "task_id", "user", "user_id", "history", "candidates", "scenario", "split", "draw", "days", "ratings",
        "day",
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


def test_the_users_that_are_evaluated_are_drawn_by_hash_and_keep_their_tasks(dataset, sequences, split):
    everybody = as_bytes(*evaluation_tasks(dataset, sequences, split, "test", seed=1))
    some = as_bytes(*evaluation_tasks(dataset, sequences, split, "test", seed=1, eval_users=9))
    # The nine smallest hashes of all users; who of them has no test item is no task.
    keys = text_keys(dataset.user_ids, 1, "benchmark users")
    drawn = {user_id for user_id, key in zip(dataset.user_ids, keys, strict=True) if (keys < key).sum() < 9}
    assert len(drawn) == 9
    assert some == [task for task in everybody if task[1] in drawn] and some
    assert as_bytes(*evaluation_tasks(dataset, sequences, split, "test", seed=1, eval_users=999)) == everybody
    other = as_bytes(*evaluation_tasks(dataset, sequences, split, "test", seed=2, eval_users=9))
    assert {task[1] for task in other} != {task[1] for task in some}


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


def test_a_share_of_the_positions_has_a_short_history(dataset, split):
    # u24 has 23 training items, so with one before the target positions 1 to 22. Of five places with a share of
    # .3 one is short (at most 5 items before it), and a second one with probability .5.
    counts = []
    for seed in range(200):
        positions = training_positions(dataset, split, per_user=5, seed=seed, min_history=1, short_share=0.3)
        of_user = positions.users == dataset.user_ids.index("u24")
        chosen = positions.positions[of_user].tolist()
        assert len(set(chosen)) == 5 and min(chosen) >= 1
        counts.append(sum(position <= SHORT_HISTORY for position in chosen))
    assert set(counts) == {1, 2}
    assert abs(np.mean(counts) - 1.5) < 5 * 0.5 / np.sqrt(200)


def test_positions_of_so_many_users_by_hash_and_more_users_change_none(dataset, split):
    everybody = training_positions(dataset, split, per_user=4, seed=1)
    of_user = {
        user: everybody.positions[everybody.users == user].tolist() for user in set(everybody.users.tolist())
    }
    keys = text_keys(dataset.user_ids, 1, "benchmark users")
    for most in (1, 5, 12, 999):
        some = training_positions(dataset, split, per_user=4, seed=1, most_users=most)
        # Those with the smallest hashes; who of them has no position is none of these users.
        drawn = {user for user, key in enumerate(keys) if (keys < key).sum() < most} & set(of_user)
        assert set(some.users.tolist()) == drawn
        for user in drawn:
            assert some.positions[some.users == user].tolist() == of_user[user]


def test_who_lacks_one_kind_of_position_gets_more_of_the_other(dataset, split):
    lengths = split.train.lengths
    for share in (0.0, 0.5, 1.0):
        positions = training_positions(dataset, split, per_user=8, seed=2, min_history=1, short_share=share)
        per_user = np.bincount(positions.users, minlength=dataset.n_users)
        assert per_user.tolist() == np.clip(lengths - 1, 0, 8).tolist()
        long_enough = np.flatnonzero(lengths >= 14)[0]  # 5 short and at least 8 other positions
        short = int((positions.positions[positions.users == long_enough] <= SHORT_HISTORY).sum())
        assert short == {0.0: 0, 0.5: 4, 1.0: 5}[share]


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


def test_who_took_too_much_is_no_task_and_the_others_are(dataset, sequences, split):
    # u24 has 25 of 60 items, the most: 35 negatives can be had for everyone, 36 for all but u24.
    everybody, _ = evaluation_tasks(dataset, sequences, split, "test", seed=0, draws=1, negatives=35)
    others, _ = evaluation_tasks(dataset, sequences, split, "test", seed=0, draws=1, negatives=36)
    assert {t.user_id for t in everybody} - {t.user_id for t in others} == {"u24"}
    assert np.flatnonzero(took_too_much(dataset, sequences, 36)).tolist() == [dataset.user_ids.index("u24")]
    positions = training_positions(dataset, split, per_user=2, seed=0, negatives=36)
    assert dataset.user_ids.index("u24") not in positions.users and len(positions) > 0


def test_halves_go_by_user_and_seed():
    users = [f"u{user}" for user in range(2000)]
    halves = validation_half(users, seed=0)
    assert abs(halves.count("A") - 1000) < 90 and set(halves) == {"A", "B"}
    assert validation_half(users[::-1], seed=0) == halves[::-1]
    assert validation_half(users, seed=1) != halves


def taught(dataset, before=None):
    """The training tasks of a dataset by id, with what names their content."""
    split = leave_one_out(dataset.sequences(0))
    positions = training_positions(
        dataset, split, per_user=3, seed=0, before=before.positions if before else None
    )
    tasks, targets = training_tasks(
        dataset, split, positions, seed=0, epoch=0, before=before.candidates if before else None
    )
    return tasks, {task.task_id: task_key(task, targets[task.task_id], dataset) for task in tasks}


@pytest.fixture(scope="module")
def grown(tables):
    """The data, and the same with a later row for each of twenty users and five items nobody took."""
    interactions, items = tables
    latest = interactions.group_by("user_id").agg(pl.col("time").max(), pl.col("item_id"))
    fresh = [
        (user, next(item for item in items["item_id"] if item not in taken), time + 1000)
        for user, time, taken in latest.sort("user_id").head(20).iter_rows()
    ]
    rows = pl.DataFrame(fresh, schema=["user_id", "item_id", "time"], orient="row")
    more = pl.concat([interactions, rows.cast({"time": interactions.schema["time"]})], how="diagonal")
    new_items = pl.DataFrame({"item_id": [f"new{n}" for n in range(5)], "title": ["New"] * 5})
    return build("small", "clock", interactions, items), build(
        "small", "clock", more, pl.concat([items, new_items], how="diagonal")
    )


def test_tasks_asked_before_stay_when_data_grow(grown, tmp_path):
    small, large = grown
    tasks, before = taught(small)
    write_asked(tmp_path, tasks, before, small.item_ids)
    _, after = taught(large, Asked.read(tmp_path))
    assert {name: key for name, key in before.items() if after.get(name) != key} == {}
    # Without that memory few stay here: five of 65 items are new, and a task has 20 of them.
    _, forgotten = taught(large)
    assert len(set(before.values()) & set(forgotten.values())) < 0.7 * len(before)


def test_candidates_that_are_gone_or_lack_the_target_are_drawn_anew(grown):
    small, _ = grown
    tasks, _ = taught(small)
    task = tasks[0]
    before = [small.item_ids[item] for item in task.candidates.tolist()]
    position = int(task.task_id.split("/")[-2])
    split = leave_one_out(small.sequences(0))
    target = small.item_ids[split.train.of(task.user)[position]]
    other = next(item for item in small.item_ids if item not in before)
    spare = next(item for item in before if item != target)
    for kept in (before[::-1], [other if item == spare else item for item in before]):
        again, _ = taught(small, Asked({}, {task.user_id: [position]}, {task.task_id: kept}))
        found = next(t for t in again if t.task_id == task.task_id).candidates
        assert [small.item_ids[item] for item in found.tolist()] == kept
    for wrong in (
        ["gone", *before[1:]] if before[0] != target else [before[0], "gone", *before[2:]],
        [other if item == target else item for item in before],
        before[:-1],
    ):
        again, _ = taught(small, Asked({}, {task.user_id: [position]}, {task.task_id: wrong}))
        found = next(t for t in again if t.task_id == task.task_id).candidates
        assert np.array_equal(found, task.candidates)


def test_a_tasks_key_names_all_that_it_says_and_its_target(grown):
    small, _ = grown
    tasks, keys = taught(small)
    task, target = tasks[0], int(tasks[0].candidates[3])
    assert len(set(keys.values())) == len(tasks) and all(len(key) == 32 for key in keys.values())
    other = dataclasses.replace(task, task_id="another name", draw=7, user=3)
    assert task_key(other, target, small) == task_key(task, target, small)
    for change in (
        {"user_id": "somebody"},
        {"history": task.history[::-1]},
        {"days": task.days + 1},
        {"ratings": np.full_like(task.ratings, 2.5)},
        {"candidates": task.candidates[::-1]},
        {"scenario": "user_cold_start"},
    ):
        assert task_key(dataclasses.replace(task, **change), target, small) != task_key(task, target, small)
    assert task_key(task, int(task.candidates[4]), small) != task_key(task, target, small)


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
