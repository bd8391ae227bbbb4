"""What is held out: the last items, those after a moment, cold items, or what the data's own split says."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starrec.config import canonical
from starrec.data import (
    DataConfig,
    Sequences,
    SplitRule,
    build,
    global_time,
    hold_out,
    item_cold_start,
    leave_one_out,
    own_split,
)
from starrec.errors import DataError


def sequences_of(*users):
    """The day of an item is ten times it, its rating half of it."""
    items = np.array([item for user in users for item in user], dtype=np.int32)
    ptr = np.cumsum([0, *map(len, users)])
    return Sequences(ptr, items, items * np.int32(10), (items / 2).astype(np.float32))


def test_by_hand():
    split = leave_one_out(sequences_of([5, 6, 7, 8], [1, 2], [], [9, 3, 4], [2]))
    assert [split.train.of(user).tolist() for user in range(5)] == [[5, 6], [1, 2], [], [9], [2]]
    assert split.validation.tolist() == [7, -1, -1, 3, -1]
    assert split.test.tolist() == [8, -1, -1, 4, -1]
    assert split.history(0, "validation").items.tolist() == [5, 6]
    assert split.history(0, "test").items.tolist() == [5, 6, 7]
    assert split.history(1, "test").items.tolist() == [1, 2]
    assert split.history(0, "test").items.dtype == np.int32
    # A user whom nobody asks about keeps all, whatever the split.
    assert split.history(1, "validation").items.tolist() == [1, 2]
    assert split.history(2, "test").items.tolist() == []
    assert split.history(3, "validation").items.tolist() == [9]


@given(st.lists(st.lists(st.integers(0, 99), unique=True, max_size=8), min_size=1, max_size=12))
def test_the_parts_make_the_whole(users):
    split = leave_one_out(sequences_of(*users))
    for user, items in enumerate(users):
        held = [item for item in (split.validation[user], split.test[user]) if item >= 0]
        assert split.train.of(user).tolist() + held == items
        assert len(held) == (2 if len(items) >= 3 else 0)
        for which, history in (("validation", items[: len(items) - len(held)]), ("test", items[:-1])):
            asked = split.history(user, which)
            assert asked.items.tolist() == (history if held else items)
            # What was known with an item stays with it, and nothing of the held-out ones is there.
            assert asked.days.tolist() == [10 * item for item in asked.items.tolist()]
            assert asked.ratings.tolist() == [item / 2 for item in asked.items.tolist()]
    assert split.train.days.tolist() == [10 * item for item in split.train.items.tolist()]
    assert split.train.ratings.tolist() == [item / 2 for item in split.train.items.tolist()]


def moments(*rows, order="clock"):
    """A dataset of rows (user, item number, time) over 40 items."""
    users, items, times = zip(*rows, strict=True)
    interactions = pl.DataFrame({"user_id": users, "item_id": [f"i{item}" for item in items], "time": times})
    catalogue = pl.DataFrame({"item_id": [f"i{n}" for n in range(40)], "title": [f"T{n}" for n in range(40)]})
    return build("moments", order, interactions, catalogue)


def test_two_moments_by_hand():
    # 12 interactions; the latest 34% are 4 (from 95 on), the 17% before them 2 (from 80 on).
    a = [("a", item, time) for item, time in enumerate([1, 2, 3, 95, 99])]
    b = [("b", item, time) for item, time in enumerate([4, 5, 80, 100], start=5)]
    dataset = moments(*a, *b, ("c", 9, 6), ("c", 10, 90), ("d", 11, 97))
    split = global_time(dataset, dataset.sequences(0), 0.34, 0.17)
    assert split.cuts == (80, 95) and split.kind == "global-time"
    assert [split.train.of(user).tolist() for user in range(4)] == [[0, 1, 2], [5, 6], [9], []]
    # a's first item of the test part, not her last; d has nothing before hers and is counted.
    assert split.test.tolist() == [3, 8, -1, -1] and split.validation.tolist() == [-1, 7, 10, -1]
    assert split.without_history == {"validation": 0, "test": 1}
    assert split.history(0, "test").items.tolist() == [0, 1, 2]
    assert split.history(1, "test").items.tolist() == [5, 6, 7]
    assert split.history(1, "validation").items.tolist() == [5, 6]


def test_what_shares_a_moment_is_not_cut_apart():
    # A fifth of ten are the last two, but four share their moment: none is test, all are validation.
    rows = [("a", item, time) for item, time in enumerate([1, 2, 3, 4, 5, 6, 50, 50, 50, 50])]
    dataset = moments(*rows)
    split = global_time(dataset, dataset.sequences(0), 0.2, 0.25)
    assert split.test.tolist() == [-1] and split.cuts == (50, 51)
    assert split.train.of(0).tolist() == [0, 1, 2, 3, 4, 5]
    assert global_time(dataset, dataset.sequences(0), 0.4, 0.1).cuts == (6, 50)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 39), st.integers(0, 60)),
        min_size=1,
        max_size=60,
        unique_by=lambda row: row[:2],
    ),
    st.sampled_from([0.05, 0.1, 0.4]),
)
def test_one_line_of_time_for_everybody(rows, share):
    dataset = moments(*((f"u{user}", item, time) for user, item, time in rows))
    sequences = dataset.sequences(0)
    split = global_time(dataset, sequences, share, share)
    time_of = {(user, item): time for user, item, time in rows}
    person = [int(user_id[1:]) for user_id in dataset.user_ids]
    first, second = split.cuts
    assert sum(time >= second for time in time_of.values()) <= share * len(rows)
    assert sum(time >= first for time in time_of.values()) <= 2 * share * len(rows) + 1e-9
    asked = {"validation": 0, "test": 0}
    for user in range(dataset.n_users):
        own = {item: time_of[person[user], item] for item in sequences.of(user).tolist()}
        assert set(split.train.of(user).tolist()) == {item for item, time in own.items() if time < first}
        for which, start, end in (("validation", first, second), ("test", second, np.inf)):
            target, part = split.targets(which)[user], [time for time in own.values() if start <= time < end]
            asked[which] += bool(part)
            if target < 0:
                assert not part or min(own.values()) >= start
                continue
            # The earliest of the part; her history is all that she took before the part, and nothing else.
            asked[which] -= 1
            assert own[int(target)] == min(part)
            history = split.history(user, which).items.tolist()
            assert set(history) == {item for item, time in own.items() if time < start} != set()
    assert split.without_history == asked


def test_positions_have_no_moments():
    dataset = moments(*(("a", item, item) for item in range(9)), order="position")
    with pytest.raises(DataError, match=r'split = "global-time".*only has positions.*--column timestamp='):
        hold_out(dataset, 0, SplitRule(split="global-time"))


def test_cold_items_by_hand():
    # Item 0 is taken by eight, 1 by two, 2 by one, 3 by six, 4 by one.
    split = item_cold_start(
        sequences_of([0, 2, 1], [0, 1, 3], [4, 0], [0, 3], [0, 3], [0, 3], [0, 3], [0, 3]), n_items=5
    )
    # The latest with a cold item, before it the one for validation; the last user has none. An item that a user
    # took first is nobody's target: there would be no history.
    assert split.test.tolist() == [1, 1, -1, -1, -1, -1, -1, -1]
    assert split.validation.tolist() == [2, -1, -1, -1, -1, -1, -1, -1]
    assert split.without_history == {"validation": 0, "test": 1}
    assert [split.train.of(user).tolist() for user in range(4)] == [[0], [0, 3], [4, 0], [0, 3]]
    assert split.history(0, "test").items.tolist() == [0, 2]
    assert split.history(0, "validation").items.tolist() == [0]
    # What comes after the target is no history of it.
    assert split.history(1, "test").items.tolist() == [0] and split.trained_after == 1
    assert split.scenario == "item_cold_start" and leave_one_out(split.sequences).scenario == "classic"


@given(st.lists(st.lists(st.integers(0, 9), unique=True, max_size=8), min_size=1, max_size=20))
def test_cold_items_are_cold_in_what_is_left(users):
    split = item_cold_start(sequences_of(*users), n_items=10)
    taken = np.bincount(np.array([item for user in users for item in user], dtype=int), minlength=10)
    left = np.bincount(split.train.items, minlength=10)
    for user, items in enumerate(users):
        cold = [item for item in items[1:] if taken[item] <= 5]
        held = [item for item in (split.test[user], split.validation[user]) if item >= 0]
        assert held == cold[::-1][:2]
        assert all(left[item] <= 4 for item in held)
        assert split.train.of(user).tolist() == [item for item in items if item not in held]
        if held:
            assert split.history(user, "test").items.tolist() == items[: items.index(held[0])]


def test_a_split_of_ones_own_is_not_mixed_with_another():
    dataset = moments(*(("a", item, item) for item in range(9)))
    own = replace(dataset, interactions=dataset.interactions.with_columns(part=pl.lit(0, pl.Int8)))
    for rule, named in (
        (SplitRule(split="global-time"), 'split = "global-time"'),
        (SplitRule(hold_out="item_cold_start"), 'hold_out = "item_cold_start"'),
    ):
        with pytest.raises(DataError, match=rf"split of its own, and `\[data\]` says {named}.*split_column"):
            hold_out(own, 0, rule)
    assert hold_out(own, 0, SplitRule()).kind == "own"
    both = SplitRule(split="global-time", hold_out="item_cold_start")
    with pytest.raises(DataError, match="Leave one of the two at its default"):
        hold_out(dataset, 0, both)


def test_items_after_the_target_and_targets_without_history_are_counted():
    # Test items of a lie before some of her training items, that of b before all; c's is in order.
    own = replace(sequences_of([1, 2, 3], [4, 5], [6, 7]), parts=np.array([0, 2, 0, 2, 0, 0, 2], dtype=np.int8))
    split = own_split(own)
    assert split.test.tolist() == [2, -1, 7] and split.without_history == {"validation": 0, "test": 1}
    assert split.trained_after == 1


@pytest.mark.parametrize(
    "given, rule",
    [
        (DataConfig(), {}),
        # Shares say nothing of leave-one-out.
        (DataConfig(test_share=0.2, draws=1), {}),
        (DataConfig(split="global-time", test_share=0.2), {"split": "global-time", "test_share": 0.2}),
        (DataConfig(hold_out="item_cold_start"), {"hold_out": "item_cold_start"}),
    ],
)
def test_the_rule_is_what_matters_of_the_settings(given, rule):
    assert canonical(given.rule) == rule and SplitRule.model_validate(rule) == given.rule
    assert not {"split", "test_share", "validation_share", "hold_out"} & set(given.reading)
