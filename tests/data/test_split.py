"""Leave-one-out: the last item is test, the one before validation, and short users only train."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from starrec.data import Sequences, leave_one_out


def sequences_of(*users):
    ptr = np.cumsum([0, *map(len, users)])
    return Sequences(ptr, np.array([item for user in users for item in user], dtype=np.int32))


def test_by_hand():
    split = leave_one_out(sequences_of([5, 6, 7, 8], [1, 2], [], [9, 3, 4], [2]))
    assert [split.train.of(user).tolist() for user in range(5)] == [[5, 6], [1, 2], [], [9], [2]]
    assert split.validation.tolist() == [7, -1, -1, 3, -1]
    assert split.test.tolist() == [8, -1, -1, 4, -1]
    assert split.history(0, "validation").items.tolist() == [5, 6]
    assert split.history(0, "test").items.tolist() == [5, 6, 7]
    assert split.history(1, "test").items.tolist() == [1, 2]
    assert split.history(0, "test").items.dtype == np.int32


@given(st.lists(st.lists(st.integers(0, 99), unique=True, max_size=8), min_size=1, max_size=12))
def test_the_parts_make_the_whole(users):
    split = leave_one_out(sequences_of(*users))
    for user, items in enumerate(users):
        held = [item for item in (split.validation[user], split.test[user]) if item >= 0]
        assert split.train.of(user).tolist() + held == items
        assert len(held) == (2 if len(items) >= 3 else 0)
