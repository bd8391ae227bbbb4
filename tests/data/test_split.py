"""Leave-one-out: the last item is test, the one before validation, and short users only train."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from starrec.data import Sequences, leave_one_out


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
