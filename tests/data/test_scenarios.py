"""Scenarios: what is the same as in the classic tasks, what differs, and what they must not know."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.conftest import frames

from starrec.data import (
    SCENARIOS,
    Sequences,
    build,
    evaluation_tasks,
    evolving_users,
    item_vectors,
    leave_one_out,
    scenario_tasks,
    within_one_day,
)
from starrec.data.negatives import sample_by_popularity
from starrec.hashing import text_keys


def asked(scenario, dataset, split, seed=1, draws=3):
    return scenario_tasks(scenario, dataset, split.sequences, split, "test", seed=seed, draws=draws)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_every_scenario_keeps(dataset, sequences, split, scenario):
    _, tasks, targets = asked(scenario, dataset, split)
    classic = {task.task_id: task for task in asked("classic", dataset, split).tasks}
    assert tasks and set(targets) == {task.task_id for task in tasks}
    for task in tasks:
        same = classic[task.task_id.removeprefix(f"{scenario}/")]
        assert (task.user, task.draw, task.split, task.scenario) == (same.user, same.draw, "test", scenario)
        target, candidates = targets[task.task_id], task.candidates.tolist()
        assert target == split.test[task.user]
        # The target once, where it stands in the classic task, and nothing else that the user ever took.
        assert candidates.index(target) == same.candidates.tolist().index(target)
        assert len(set(candidates)) == 20
        assert set(candidates) & set(sequences.of(task.user).tolist()) == {target}
        # The latest part of the history, with its days and ratings, and nothing held out.
        number = len(task.history)
        assert number and target not in task.history
        for name in ("history", "days", "ratings"):
            shown, whole = getattr(task, name), getattr(same, name)
            assert np.array_equal(shown, whole[-number:], equal_nan=name == "ratings")
        if scenario != "classic_popular":
            assert np.array_equal(task.candidates, same.candidates)


def test_ids_are_those_of_one_scenario(dataset, split):
    # A user may be called like a scenario.
    named = replace(dataset, users=dataset.users.with_columns(user_id="test/" + pl.col("user_id")))
    ids = [
        task.task_id
        for data in (dataset, named)
        for scenario in SCENARIOS
        for task in asked(scenario, data, split).tasks
    ]
    assert len(set(ids)) == len(ids)


def test_classic_is_what_it_was(dataset, sequences, split):
    tasks, targets = evaluation_tasks(dataset, sequences, split, "test", seed=1)
    again = asked("classic", dataset, split)
    assert again.targets == targets and again.scenario == "classic"
    for one, two in zip(tasks, again.tasks, strict=True):
        assert one.task_id == two.task_id and np.array_equal(one.candidates, two.candidates)


def test_cold_users_show_one_to_five_items_by_hash(dataset, split):
    tasks = asked("user_cold_start", dataset, split).tasks
    whole = {task.user: len(split.history(task.user, "test").items) for task in tasks}
    shown = {task.user: len(task.history) for task in tasks}
    # One number a user, whatever the draw; each number occurs where histories are long enough.
    assert all(len(task.history) == shown[task.user] for task in tasks)
    assert all(1 <= number <= min(5, whole[user]) for user, number in shown.items())
    assert {number for user, number in shown.items() if whole[user] >= 5} == {1, 2, 3, 4, 5}
    other = {task.user: len(task.history) for task in asked("user_cold_start", dataset, split, seed=2).tasks}
    assert other != shown


def test_evolving_short_is_the_end_of_evolving_long(dataset, split):
    long, short = (asked(name, dataset, split) for name in ("evolving_long", "evolving_short"))
    assert [task.user for task in long.tasks] == [task.user for task in short.tasks]
    for one, two in zip(long.tasks, short.tasks, strict=True):
        assert len(two.history) == 5 and np.array_equal(one.history[-5:], two.history)
        assert np.array_equal(one.history, split.history(one.user, "test").items)


def two_tastes(last):
    """30 users of two tastes, items 0 to 19 and 20 to 39. Of a taste's users each takes ten items of it; every
    third then takes five of the other one. After those two held-out items: `last` gives the very last."""
    rows = []
    for user in range(30):
        home = 20 * (user % 2)
        away = 20 - home if user % 3 == 0 else home
        first = [home + (user + 3 * n) % 10 for n in range(10)]
        then = [away + 10 + (user + n) % 5 for n in range(5)]
        rows += [(f"u{user}", f"i{item}", time) for time, item in enumerate([*first, *then, away + 15])]
        rows.append((f"u{user}", f"i{last(user)}", 99))
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(60)], "title": [f"T{n}" for n in range(60)]})
    interactions = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")
    return build("tastes", "clock", interactions, items)


def test_those_whose_interest_moved_are_found_without_their_targets():
    # Ten of thirty moved, a third.
    movers = [f"u{user}" for user in range(0, 30, 3)]
    found = []
    for last in (lambda user: 59, lambda user: 40 + user % 19, lambda user: 16 + 20 * (user % 2)):
        dataset = two_tastes(last)
        split = leave_one_out(dataset.sequences(0))
        users = evolving_users(dataset, split, "test", seed=0)
        found.append(sorted(dataset.user_ids[user] for user in users.tolist()))
    assert found == [sorted(movers)] * 3


def test_held_out_items_have_no_part_in_who_is_asked(dataset, sequences, split):
    """With any other test items, and with any other validation items where that is asked about."""
    generator = np.random.default_rng(0)
    for which, back in (("test", 1), ("validation", 2)):
        expected = evolving_users(dataset, split, which, seed=0)
        assert len(expected) > 3
        for _ in range(5):
            items = sequences.items.copy()
            for user in np.flatnonzero(sequences.lengths >= 3):
                fresh = np.setdiff1d(np.arange(dataset.n_items), sequences.of(user))
                for place in range(1, back + 1):
                    items[sequences.ptr[user + 1] - place] = generator.choice(fresh)
            other = leave_one_out(replace(sequences, items=items))
            assert np.array_equal(evolving_users(dataset, other, which, seed=0), expected)


def test_who_has_fewer_than_five_items_before_the_last_five_is_not_compared(dataset, split):
    users = evolving_users(dataset, split, "test", seed=0)
    lengths = np.array([len(split.history(user, "test").items) for user in range(dataset.n_users)])
    assert (lengths[users] >= 10).all()
    assert len(users) == ((lengths >= 10) & (split.test >= 0)).sum() // 3 > 0


def test_item_vectors_tell_tastes_apart_and_need_a_few_users(dataset):
    tastes = two_tastes(lambda user: 59)
    train = leave_one_out(tastes.sequences(0)).train
    vectors = item_vectors(train, tastes.n_items)
    norms = np.linalg.norm(vectors, axis=1)
    popularity = np.bincount(train.items, minlength=tastes.n_items)
    # Of length 1 where somebody took the item in training; nothing is known of the others.
    assert np.allclose(norms[popularity > 0], 1) and not norms[popularity == 0].any()
    alike = vectors @ vectors.T
    assert alike[:10, :10].mean() > 0.5 > alike[:10, 20:30].mean()
    for lengths, items in (([0], []), ([0, 1], [3]), ([0, 2, 4], [1, 2, 2, 1])):
        few = Sequences(np.array(lengths), np.array(items, dtype=np.int32))
        assert not item_vectors(few, 7).any()


def test_groups_that_share_nothing_have_the_same_vectors_in_every_call():
    # Three groups of 20 users and 10 items: singular value 1 three times, in any rotation of its vectors.
    items = np.concatenate([10 * (user % 3) + np.arange(10) for user in range(60)]).astype(np.int32)
    train = Sequences(10 * np.arange(61), items)
    alike = [vectors @ vectors.T for vectors in (item_vectors(train, 30) for _ in range(4))]
    # Corners of a triangle: 1 within a group, cos 120° = -1/2 between groups.
    same = np.arange(30)[:, None] // 10 == np.arange(30) // 10
    for found in alike:
        assert np.allclose(found, np.where(same, 1, -0.5), atol=1e-6)


# Popular negatives


def popularity_of(counts):
    """Training sequences in which item n is taken by so many users."""
    items = [item for item, count in enumerate(counts) for _ in range(count)]
    return Sequences(np.arange(len(items) + 1), np.array(items, dtype=np.int32))


def drawn(train, forbidden, count, rows):
    keys = text_keys(map(str, range(rows)), 0, "test")
    return sample_by_popularity(train, forbidden, np.zeros(rows, dtype=np.int32), keys, 6, count)


def test_negatives_go_by_popularity():
    # Items 0 to 5 are taken 0, 1, 2, 3, 4 and 90 times; the user took the last.
    train, forbidden = popularity_of([0, 1, 2, 3, 4, 90]), Sequences(np.array([0, 1]), np.array([5], np.int32))
    first = np.bincount(drawn(train, forbidden, 1, 4000)[:, 0], minlength=6)
    # Of 10 interactions with allowed items 1, 2, 3 and 4: expected 400 to 1,600, five standard errors.
    expected = np.array([0, 1, 2, 3, 4, 0]) * 400
    assert (np.abs(first - expected) <= 5 * np.sqrt(expected * (1 - expected / 4000))).all()
    # Of two without replacement, item 4 is there with .4 + .6 on the way: 1/10 · 4/9 + 2/10 · 4/8 + 3/10 · 4/7.
    pairs = drawn(train, forbidden, 2, 4000)
    share = 0.4 + 0.1 * 4 / 9 + 0.2 * 4 / 8 + 0.3 * 4 / 7
    assert abs((pairs == 4).any(axis=1).mean() - share) < 5 * np.sqrt(share * (1 - share) / 4000)
    # All that is left, which few draws find; never what nobody took.
    assert {tuple(sorted(row)) for row in drawn(train, forbidden, 4, 50).tolist()} == {(1, 2, 3, 4)}


def test_the_last_ones_go_by_popularity_too():
    # Almost every draw is the forbidden item, so the direct choice has to decide: 1 to 3, as by draws.
    train = popularity_of([0, 100, 300, 0, 0, 100_000])
    row = drawn(train, Sequences(np.array([0, 1]), np.array([5], np.int32)), 1, 4000)[:, 0]
    assert abs((row == 2).mean() - 0.75) < 5 * np.sqrt(0.75 * 0.25 / 4000) and set(row.tolist()) == {1, 2}


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(0, 59))
def test_only_the_target_changes_with_the_target(seed, instead):
    dataset, split, targets = _with_targets(instead)
    for scenario in SCENARIOS:
        before, after = (asked(scenario, dataset, each, seed=seed, draws=1) for each in (split, targets))
        assert [task.task_id for task in before.tasks] == [task.task_id for task in after.tasks]
        for one, two in zip(before.tasks, after.tasks, strict=True):
            assert np.array_equal(one.history, two.history)
            here, there = one.candidates, two.candidates
            assert (here != there).sum() == (before.targets[one.task_id] != after.targets[two.task_id])


_DATASET = build("small", "clock", *frames())
_SPLIT = leave_one_out(_DATASET.sequences(0))


def _with_targets(instead):
    """The small dataset, its split, and the same split with other targets among the items of the user."""
    other = np.array(
        [
            target if target < 0 else _SPLIT.sequences.of(user)[instead % _SPLIT.sequences.lengths[user]]
            for user, target in enumerate(_SPLIT.test.tolist())
        ],
        dtype=np.int32,
    )
    return _DATASET, _SPLIT, replace(_SPLIT, test=other)


def test_who_left_too_little_that_anybody_took_gets_no_popular_negatives(dataset, split):
    # All but 30 items of the catalogue are gone from training: who took many of those 30 has too few left.
    kept = split.train.items < 30
    few = replace(split, train=split.train.kept(kept))
    taken = np.unique(few.train.items)
    own = np.array([np.isin(split.sequences.of(user), taken).sum() for user in range(dataset.n_users)])
    tasks = asked("classic_popular", dataset, few, draws=1).tasks
    eligible = (split.test >= 0) & (len(taken) - own >= 19)
    assert [task.user for task in tasks] == np.flatnonzero(eligible).tolist()
    assert 0 < len(tasks) < (split.test >= 0).sum()
    for task in tasks:
        negatives = set(task.candidates.tolist()) - {int(split.test[task.user])}
        assert negatives <= set(taken.tolist())


def test_histories_within_a_day():
    rows = [("a", 0), ("a", 86_400), ("b", 0), ("b", 86_401), ("c", 5)]
    interactions = pl.DataFrame(
        [(user, f"i{place}", time) for place, (user, time) in enumerate(rows)],
        schema=["user_id", "item_id", "time"],
        orient="row",
    )
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(5)], "title": ["T"] * 5})
    assert within_one_day(build("days", "clock", interactions, items)) == pytest.approx(2 / 3)
    thousandths = interactions.with_columns(pl.col("time") * 1000)
    assert within_one_day(build("days", "clock", thousandths, items, resolution=1000)) == pytest.approx(2 / 3)
    assert within_one_day(build("days", "position", interactions, items)) is None
