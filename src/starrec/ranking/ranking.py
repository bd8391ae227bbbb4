"""A Ranking is always a permutation of the candidates it was given, whoever made it.

Whatever a model writes (an unknown label, a repeat, a list cut short, a title with instructions in it),
`repair` makes a valid ranking of it and says in words what it had to mend. Scores become rankings in one
place, `order_by_scores`, because a stable sort with the target first in the list turns every tie into a hit:
a fusion of ranks once looked like 0.75 that way where 0.65 was true. Here ties are ordered by a seeded hash
of the item, so the result does not depend on where a candidate stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starrec.hashing import combine


@dataclass(frozen=True)
class Ranking:
    """Candidates in order, best first."""

    items: tuple[int, ...]
    """Item indices, a permutation of the task's candidates."""
    repairs: tuple[str, ...] = ()
    """What was wrong with the proposal, one sentence each; empty when nothing was."""

    def rank_of(self, target: int) -> int:
        """1-based place of target; `ValueError` if it is not among the candidates."""
        return self.items.index(target) + 1


def repair(proposed: Sequence[int], candidates: Sequence[int] | NDArray[np.int32]) -> Ranking:
    """The proposal as a permutation of candidates.

    Unknown items and repeats are dropped; candidates that were not mentioned follow in the order in which the
    task lists them, which is shuffled and so favours none.

    Raises:
        ValueError: a candidate stands twice in `candidates`.
    """
    listed = [int(item) for item in candidates]
    known = set(listed)
    if len(known) < len(listed):
        raise ValueError("candidates must be distinct")
    kept: dict[int, None] = {}
    repairs: list[str] = []
    for item in map(int, proposed):
        if item not in known:
            repairs.append(f"dropped {item}, which is not a candidate")
        elif item in kept:
            repairs.append(f"dropped a repeat of {item}")
        else:
            kept[item] = None
    missing = [item for item in listed if item not in kept]
    if missing:
        repairs.append(f"appended {len(missing)} of {len(listed)} candidates that were not ranked")
    return Ranking((*kept, *missing), tuple(repairs))


def from_scores(candidates: ArrayLike, scores: ArrayLike, tie_seed: int | np.uint64) -> Ranking:
    """Candidates by descending score; see `order_by_scores` for ties and NaN."""
    items = np.asarray(candidates)
    return Ranking(tuple(items[order_by_scores(items, scores, tie_seed)].tolist()))


def order_by_scores(candidates: ArrayLike, scores: ArrayLike, tie_seed: ArrayLike) -> NDArray[np.int64]:
    """Columns of candidates by descending score, `(..., c)` for candidates and scores `(..., c)`.

    Ties are ordered by a hash of (tie_seed, item), so that permuting the candidates permutes the result with
    them; NaN comes last. `tie_seed` is one number or one for each row, `(n,)`.
    """
    items, values = np.asarray(candidates), np.asarray(scores, dtype=np.float64)
    if items.shape != values.shape:
        raise ValueError(f"candidates {items.shape} and scores {values.shape} differ in shape")
    seeds = np.asarray(tie_seed)
    ties = combine(seeds[..., None] if seeds.ndim else seeds, items)
    order: NDArray[np.int64] = np.lexsort((ties, -values), axis=-1)
    return order


def ranks_of_targets(
    candidates: ArrayLike, scores: ArrayLike, target_column: ArrayLike, tie_seed: ArrayLike
) -> NDArray[np.int64]:
    """1-based rank of each row's target, `(n,)`, for candidates and scores `(n, c)` and target_column
    `(n,)`."""
    order = order_by_scores(candidates, scores, tie_seed)
    ranks: NDArray[np.int64] = np.argmax(order == np.asarray(target_column)[:, None], axis=1) + 1
    return ranks
