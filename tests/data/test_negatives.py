"""Negatives of training tasks: uniform, allowed, and the same when the catalogue grows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.data import Sequences
from starrec.data.negatives import NegativePool
from starrec.hashing import text_keys


def keys(count, name="t"):
    return text_keys([f"{name}{n}" for n in range(count)], 0, "test")


def ids(count):
    return [f"i{n}" for n in range(count)]


@given(st.lists(st.sets(st.integers(0, 39), max_size=30), min_size=1, max_size=5), st.integers(1, 10))
def test_distinct_and_never_what_the_user_took(taken, count):
    rows = [sorted(items) for items in taken]
    forbidden = Sequences(
        np.cumsum([0, *map(len, rows)]), np.array([i for row in rows for i in row], dtype=np.int32)
    )
    users = np.repeat(np.arange(len(rows), dtype=np.int32), 4)
    drawn = NegativePool(ids(40), 3).sample(forbidden, users, keys(len(users)), count)
    assert drawn.shape == (len(users), count) and drawn.dtype == np.int32
    for user, row in zip(users.tolist(), drawn.tolist(), strict=True):
        assert len(set(row)) == count and not set(row) & taken[user] and min(row) >= 0 and max(row) < 40


def test_they_may_be_all_that_is_left():
    forbidden = Sequences(np.array([0, 2]), np.array([1, 3], dtype=np.int32))
    drawn = NegativePool(ids(22), 0).sample(forbidden, np.array([0], dtype=np.int32), keys(1), 20)
    assert sorted(drawn[0].tolist()) == [0, 2, *range(4, 22)]


def test_they_are_uniform_over_what_is_allowed():
    # One user who took items 0, 5 and 9 of 12: each of the other 9 is drawn with probability 4 / 9.
    forbidden = Sequences(np.array([0, 3]), np.array([9, 0, 5], dtype=np.int32))
    drawn = NegativePool(ids(12), 0).sample(forbidden, np.zeros(9000, dtype=np.int32), keys(9000), 4)
    counts = np.bincount(drawn.ravel(), minlength=12)
    assert counts[[0, 5, 9]].tolist() == [0, 0, 0]
    assert np.abs(np.delete(counts, [0, 5, 9]) - 4000).max() < 5 * np.sqrt(9000 * 4 / 9 * 5 / 9)


@pytest.mark.parametrize("new", [1, 5])
def test_a_new_item_changes_about_as_many_tasks_as_must_hold_it(new):
    nobody = Sequences(np.zeros(2, dtype=np.int64), np.empty(0, dtype=np.int32))
    users = np.zeros(4000, dtype=np.int32)
    before, after = (
        np.sort(NegativePool(ids(size), 0).sample(nobody, users, keys(4000), 19), axis=1)
        for size in (1600, 1600 + new)
    )
    changed = (before != after).any(axis=1).mean()
    # A new item is among 19 of 1,600 uniform negatives in 1.2% of tasks; a neighbour that it displaces, in few.
    least = 1 - (1 - 19 / 1600) ** new
    assert 0.7 * least < changed < 1.5 * least + 0.005


def test_a_row_is_a_function_of_its_own_key_and_user():
    forbidden = Sequences(np.array([0, 2, 5]), np.array([1, 3, 2, 8, 9], dtype=np.int32))
    users = np.array([0, 1, 1, 0], dtype=np.int32)
    pool, own = NegativePool(ids(300), 1), keys(4)
    together = pool.sample(forbidden, users, own, 7)
    alone = [pool.sample(forbidden, users[at : at + 1], own[at : at + 1], 7)[0] for at in range(4)]
    assert np.array_equal(together, alone)
