"""Negatives that are not drawn from the plain numbers of the catalogue.

Of training tasks (`NegativePool`): uniform over what a user did not take, and the same next week.

A catalogue that grows by an item must not change everybody's candidates: each changed task is a task that the
teacher has to be asked, and paid, again. So items lie in a table at addresses given by a hash of their ids, a
task draws addresses by a hash of its own key, and an address without an item is drawn again. Every item has one
address, so the draw is uniform; a new item fills one address, so only tasks that drew that one change (in
expectation negatives / items of them). When the number of items passes a power of two the table doubles, and
all tasks change.

Of the scenario `classic_popular` (`sample_by_popularity`): each with probability proportional to its training
interactions, as in the evaluation of BERT4Rec (Sun et al., CIKM 2019). The target is an interaction too, so by
popularity it looks like any other candidate, and a system that knows nothing else falls towards chance. The
other way, negatives of about the target's popularity, would let the target be told as the middle of the
candidates' range; here the negatives do not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.data.dataset import Sequences
from starrec.hashing import Keys, combine, text_keys, uniform_integers

_ROOM: Final = 8
"""Addresses an item, at least: with so few in use, a new item seldom finds its own taken."""
_ATTEMPTS: Final = 2
"""Times the expected number of draws, after which what a task lacks is chosen directly."""
_TRIES: Final = 4
"""Draws by popularity for each negative, before what a task lacks is chosen directly."""
_ROWS: Final = 4096


class NegativePool:
    """The table of a catalogue."""

    def __init__(self, item_ids: Sequence[str], seed: int) -> None:
        self.keys: Keys = text_keys(item_ids, seed, "negatives/item")
        """`(n_items,)` a hash of each item's id."""
        n_items = len(item_ids)
        size = _ROOM << max(n_items - 1, 1).bit_length()
        table = np.full(size, -1, dtype=np.int32)
        address = (self.keys & np.uint64(size - 1)).astype(np.int64)
        order = np.argsort(self.keys)
        _, first = np.unique(address[order], return_index=True)
        table[address[order[first]]] = order[first]
        # Few: the table is nearly empty. Who comes second takes the next address that is free.
        for item in np.delete(order, first).tolist():
            place = int(address[item])
            while table[place] >= 0:
                place = (place + 1) % size
            table[place] = item
        self._table = table

    def sample(
        self, forbidden: Sequences, users: NDArray[np.int32], keys: Keys, count: int
    ) -> NDArray[np.int32]:
        """Distinct items that the user has not in `forbidden`, uniform; `(n, count) int32`.

        Row i is a function of `keys[i]`, the catalogue and the forbidden items of `users[i]` alone. Every user
        must have left at least `count` items.
        """
        n_items = len(self.keys)
        taken = np.sort(forbidden.users.astype(np.int64) * n_items + forbidden.items)
        result = np.empty((len(users), count), dtype=np.int32)
        draws = _ATTEMPTS * count * len(self._table) // n_items
        for start in range(0, len(users), _ROWS):
            part = slice(start, start + _ROWS)
            result[part] = self._sampled(taken, users[part].astype(np.int64), keys[part], count, draws)
        return result

    def _sampled(
        self, taken: NDArray[np.int64], users: NDArray[np.int64], keys: Keys, count: int, draws: int
    ) -> NDArray[np.int32]:
        n_items = len(self.keys)
        addresses = uniform_integers(combine(keys[:, None], np.arange(draws)), len(self._table))
        chosen = _first_allowed(self._table[addresses], taken, users, n_items, count)
        for row in np.flatnonzero(chosen[:, -1] < 0).tolist():
            # A user who left little of a large catalogue.
            all_items = np.arange(n_items)
            left = all_items[~_among(taken, users[row] * n_items + all_items)]
            chosen[row] = left[np.argsort(combine(keys[row], self.keys[left]))[:count]]
        return chosen


def sample_by_popularity(
    train: Sequences, forbidden: Sequences, users: NDArray[np.int32], keys: Keys, n_items: int, count: int
) -> NDArray[np.int32]:
    """Distinct items that the user has not in `forbidden`, one after the other with probability proportional to
    their interactions in `train`; `(n, count) int32`.

    Row i is a function of `keys[i]`, `train` and the forbidden items of `users[i]` alone. Every user must have
    left at least `count` items of `train`.
    """
    taken = np.sort(forbidden.users.astype(np.int64) * n_items + forbidden.items)
    popularity = np.bincount(train.items, minlength=n_items)
    result = np.empty((len(users), count), dtype=np.int32)
    for start in range(0, len(users), _ROWS):
        part = slice(start, start + _ROWS)
        owners = users[part].astype(np.int64)
        # A random interaction is an item by its popularity.
        drawn = uniform_integers(combine(keys[part, None], np.arange(_TRIES * count), -2), len(train.items))
        chosen = _first_allowed(train.items[drawn], taken, owners, n_items, count)
        for row in np.flatnonzero(chosen[:, -1] < 0).tolist():
            left = np.flatnonzero(popularity)
            left = left[~_among(taken, owners[row] * n_items + left) & ~np.isin(left, chosen[row])]
            # The smallest exponential times draw on as before (Efraimidis and Spirakis, 2006).
            unit = ((combine(keys[start + row], left, -3) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
            missing = np.flatnonzero(chosen[row] < 0)
            chosen[row, missing] = left[np.argsort(-np.log(unit) / popularity[left])][: len(missing)]
        result[part] = chosen
    return result


def _first_allowed(
    drawn: NDArray[np.int32], taken: NDArray[np.int64], users: NDArray[np.int64], n_items: int, count: int
) -> NDArray[np.int32]:
    """`(n, count)` the first distinct items of each row of `drawn` that its user has not taken; -1 where there
    are too few. Entries of `drawn` below 0 are none."""
    rows, columns = np.nonzero(drawn >= 0)
    items = drawn[rows, columns].astype(np.int64)
    free = ~_among(taken, users[rows] * n_items + items)
    rows, items = rows[free], items[free]
    # The first time that a task draws an item counts; then the first `count` of each task.
    _, first = np.unique(rows * n_items + items, return_index=True)
    first.sort()
    rows, items = rows[first], items[first]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows, side="left")
    chosen = np.full((len(users), count), -1, dtype=np.int32)
    fits = place < count
    chosen[rows[fits], place[fits]] = items[fits]
    return chosen


def _among(ordered: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.bool_]:
    place = np.searchsorted(ordered, values)
    found: NDArray[np.bool_] = np.append(ordered, -1)[place] == values
    return found
