"""Pairs of the most popular items, counted once for all tasks: most of what a task's sweep would count anew.

The table costs the square of its items in memory, and of each user's items in time, so it is for whoever asks
thousands of times: teaching, training, evaluation, all users at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starrec.cores import cores
from starrec.signals import sweep
from starrec.signals.counts import Counts
from starrec.signals.kernels import Ints, Ptr, compiled

ITEMS: Final = 2000
"""Items of the table at most: 56 MB."""
_PART: Final = 50
"""Rows that a thread counts at once."""


@dataclass(frozen=True, eq=False)
class PairTable:
    """Users who took both, of each pair of its items, by the distance between the two."""

    rows: NDArray[np.int32]
    """`(n_items,)` row of each item, -1 where it has none."""
    counts: NDArray[Any]
    """Unsigned, `(k, k, sweep.BUCKETS)` by candidate and item of the history; the distance is the place of the
    candidate less that of the other."""

    @classmethod
    def none(cls, n_items: int) -> PairTable:
        """The table of no items."""
        return cls(np.full(n_items, -1, np.int32), np.zeros((0, 0, sweep.BUCKETS), np.uint16))


def count_pairs(counts: Counts, most: int = ITEMS) -> PairTable:
    """The table of the `most` most popular items."""
    popularity, train = counts.popularity, counts.train
    chosen = np.sort(np.argsort(-popularity, kind="stable")[:most])
    rows = np.full(len(popularity), -1, np.int32)
    rows[chosen] = np.arange(len(chosen))
    width: Any = np.uint16 if popularity.max(initial=0) < 1 << 16 else np.uint32
    pairs = np.zeros((len(chosen), len(chosen), sweep.BUCKETS), width)
    postings = (counts.users_of.ptr, counts.users_of.values, counts.places_of)
    with ThreadPoolExecutor(cores()) as pool:
        done = [
            pool.submit(_count, chosen, at, *postings, train.ptr, train.items, rows, pairs, sweep.BUCKET_OF)
            for at in range(0, len(chosen), _PART)
        ]
        for part in done:
            part.result()
    return PairTable(rows, pairs)


@compiled
def _count(
    chosen: NDArray[np.int64],
    first: int,
    item_ptr: Ptr,
    users: Ints,
    places: Ints,
    user_ptr: Ptr,
    items: Ints,
    rows: Ints,
    pairs: NDArray[Any],
    bucket_of: NDArray[np.int8],
) -> None:
    """Count `_PART` rows of the table: one at a time, which stays in the cache.

    Args:
        chosen: item of each row.
        first: row.
        item_ptr, users, places: postings of all items.
        user_ptr, items: each user's items, oldest first.
        bucket_of: as of `sweep`.
    """
    far = len(bucket_of) // 2
    for row in range(first, min(first + _PART, len(chosen))):
        of = pairs[row]
        for entry in range(item_ptr[chosen[row]], item_ptr[chosen[row] + 1]):
            begin, place = user_ptr[users[entry]], places[entry]
            for other in range(begin, user_ptr[users[entry] + 1]):
                anchor = rows[items[other]]
                if anchor >= 0:
                    distance = min(max(place - (other - begin), -far), far) + far
                    of[np.uint64(anchor), np.uint64(bucket_of[np.uint64(distance)])] += 1
