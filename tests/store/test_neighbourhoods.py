"""Neighbour lists after a change are those that counting anew gives, ties and cuts included."""

import numpy as np
import pytest

from starrec.data import Sequences
from starrec.signals import Counts
from starrec.signals.counts import all_neighbours
from starrec.store.neighbourhoods import refreshed
from starrec.store.pairs import PairChanges

N_ITEMS = 14


def as_sequences(rows):
    ptr = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return Sequences(ptr, np.array([item for row in rows for item in row], dtype=np.int32))


def changed(rows, random):
    """Some users gain an item, lose one, or exchange one for another."""
    after = [list(row) for row in rows]
    for row in after:
        chance = random.random()
        if row and chance < 0.3:
            row.pop(int(random.integers(len(row))))
        if 0.2 < chance < 0.5:
            row.append(int(random.choice([item for item in range(N_ITEMS) if item not in row])))
    return after


@pytest.mark.parametrize("kept", [1, 3, 6, 50])
def test_lists_are_refreshed_as_if_counted_anew(kept):
    random = np.random.default_rng(kept)
    recounted = 0
    for _ in range(400):
        # Few users and small counts: equal keys are the rule.
        rows = [
            random.permutation(N_ITEMS)[: random.integers(0, 7)].tolist() for _ in range(random.integers(2, 25))
        ]
        after = changed(rows, random)
        before = Counts.build(as_sequences(rows), N_ITEMS, kept=kept)
        counts = Counts.build(as_sequences(after), N_ITEMS, kept=kept)
        pairs = PairChanges.between(before.train, counts.train, N_ITEMS)
        old, wanted = all_neighbours(before), all_neighbours(counts)
        found = refreshed(counts, old, before.popularity, pairs)
        assert np.array_equal(found.lists.items, wanted.items) and np.array_equal(found.lists.both, wanted.both)
        differ = (old.items != wanted.items).any(axis=1) | (old.both != wanted.both).any(axis=1)
        assert found.changed.tolist() == np.flatnonzero(differ).tolist()
        recounted += found.recounted
    assert 0 < recounted < 400 * N_ITEMS / 2 if kept < N_ITEMS - 1 else recounted == 0


def test_pairs_that_changed_are_found():
    before = as_sequences([[0, 1, 2], [3, 4], []])
    after = as_sequences([[0, 1, 5], [3, 4], [1, 0]])
    pairs = PairChanges.between(before, after, 6)
    entries = set(zip(pairs.rows.tolist(), pairs.items.tolist(), pairs.change.tolist(), strict=True))
    # User 0 gave 2 for 5, user 2 came with 0 and 1.
    one_way = {(0, 2, -1), (1, 2, -1), (0, 5, 1), (1, 5, 1), (0, 1, 1)}
    assert entries == one_way | {(item, row, change) for row, item, change in one_way}


def test_what_cancels_out_is_no_change():
    before, after = as_sequences([[0, 1], [2]]), as_sequences([[2], [0, 1]])
    assert len(PairChanges.between(before, after, 3).items) == 0
