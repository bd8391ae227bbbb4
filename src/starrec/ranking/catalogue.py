"""Metrics of lists recommended from the whole catalogue, each user with one relevant item or several.

Lists are arrays of distinct items, best first, one a user; a list of fewer than k is counted as it is. L_k are
the first k items of a user's list, R her relevant items. Where a library differs, docs/evaluation.md says how.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def recall(lists: Sequence[ArrayLike], relevant: Sequence[ArrayLike], k: int) -> NDArray[np.float64]:
    """|L_k ∩ R| / |R| of each user, `(n,)`; also where there are more than k relevant items (Herlocker and
    others, ACM TOIS 22, 2004). Of a retriever's list it is the ceiling for whatever ranks the first k of it.

    Raises:
        ValueError: a user has no relevant item, an item stands twice in a list, or the lengths differ.
    """
    return np.array([hits.sum() / n for hits, n in _hits(lists, relevant, k)])


def ndcg(lists: Sequence[ArrayLike], relevant: Sequence[ArrayLike], k: int) -> NDArray[np.float64]:
    """DCG over that of the best list, `(n,)`: the sum of 1 / log2(r + 1) over the ranks r <= k of relevant
    items, divided by that over r = 1, …, min(k, |R|) (Järvelin and Kekäläinen, ACM TOIS 20, 2002, with gains 0
    and 1 and the discount of Burges and others, ICML 2005).

    Raises:
        ValueError: as `recall`.
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = np.cumsum(discounts)
    counted = _hits(lists, relevant, k)
    return np.array([discounts[: len(hits)][hits].sum() / best[min(k, n) - 1] for hits, n in counted])


def coverage(lists: Sequence[ArrayLike], n_items: int, k: int) -> float:
    """Share of the catalogue's n_items that is in the first k of some user's list (Ge, Delgado-Battenfeld and
    Jannach, RecSys 2010: catalogue coverage)."""
    return len(np.unique(_recommended(lists, k))) / n_items


def novelty(lists: Sequence[ArrayLike], users_of_item: NDArray[np.int32], n_users: int, k: int) -> float:
    """Mean self-information of the recommended items in bits, over all first k: -log2(share of the users who
    took the item) (Zhou and others, PNAS 107, 2010). An item that nobody took counts as taken by one.

    Args:
        users_of_item: `(n_items,)` users who took each item, of n_users.

    Raises:
        ValueError: nothing is recommended to anybody.
    """
    items = _recommended(lists, k)
    if not len(items):
        raise ValueError("nothing is recommended, so there is no novelty")
    return float(-np.log2(np.maximum(users_of_item[items], 1) / n_users).mean())


def _hits(
    lists: Sequence[ArrayLike], relevant: Sequence[ArrayLike], k: int
) -> list[tuple[NDArray[np.bool_], int]]:
    """Of each user whether each of the first k is relevant, and how many items are."""
    found = []
    for listed, wanted in zip(lists, relevant, strict=True):
        items, true = np.asarray(listed), np.unique(np.asarray(wanted))
        if len(np.unique(items)) < len(items):
            raise ValueError(f"an item stands twice in a list: {items.tolist()}")
        if not len(true):
            raise ValueError("a user has no relevant item: leave the user out and say how many were")
        found.append((np.isin(items[:k], true), len(true)))
    return found


def _recommended(lists: Sequence[ArrayLike], k: int) -> NDArray[np.int64]:
    return np.concatenate([np.asarray(listed, dtype=np.int64)[:k] for listed in lists])
