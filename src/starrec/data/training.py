"""Training tasks: positions inside the training part, each asked about with negatives of its own.

Negatives avoid only the user's *training* items: if they also avoided the held-out ones, those would be the
only items never seen as negatives, and a model could learn them from their absence. Training tasks change
little with the data: their negatives are drawn by `negatives`, and those of an earlier draw stay where they
still are right.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starrec.data.dataset import Dataset
from starrec.data.negatives import NegativePool
from starrec.data.split import Split
from starrec.data.tasks import RankingTask, Targets, sample_users, targets_of, took_too_much
from starrec.hashing import Keys, combine, text_keys, uniform_integers

SHORT_HISTORY: Final = 5
"""Histories of up to so many items are short."""


@dataclass(frozen=True, eq=False)
class TrainingPositions:
    """Places inside users' training parts at which to ask what came next."""

    users: NDArray[np.int32]
    """`(n,)` user indices, ascending."""
    positions: NDArray[np.int32]
    """`(n,)` index of the target in the user's training items; everything before it is the history."""

    def __len__(self) -> int:
        return len(self.users)

    def union(self, other: TrainingPositions) -> TrainingPositions:
        """The places of either, each once."""
        pairs = np.union1d(_pairs(self.users, self.positions), _pairs(other.users, other.positions))
        return TrainingPositions((pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32))


@dataclass(frozen=True, eq=False)
class CandidateArrays:
    """Training tasks as arrays, for trainers that see tens of thousands an epoch."""

    users: NDArray[np.int32]
    """`(n,)` user indices, ascending."""
    positions: NDArray[np.int32]
    """`(n,)` as in `TrainingPositions`."""
    candidates: NDArray[np.int32]
    """`(n, negatives + 1)` item indices, shuffled."""
    target_column: NDArray[np.int32]
    """`(n,)` column of `candidates` that holds the target."""

    def __len__(self) -> int:
        return len(self.users)


def training_positions(
    dataset: Dataset,
    split: Split,
    *,
    per_user: int,
    seed: int,
    min_history: int = 3,
    short_share: float | None = None,
    negatives: int = 19,
    most_users: int | None = None,
    before: Mapping[str, Collection[int]] | None = None,
) -> TrainingPositions:
    """Up to `per_user` places in each user's training part with at least `min_history` items before them; none
    for users who left too few items for negatives.

    Args:
        short_share: share of all places that have a short history (`SHORT_HISTORY`); None for as many as chance
            gives. A user who has too few of either kind gets more of the other.
        most_users: how many users have places, at most: those of the smallest hashes (`sample_users`), so that
            a larger number adds users and changes none; None for all.
        before: positions by user id that were chosen earlier; they come first.
    """
    train = split.train
    position = np.arange(len(train.items)) - train.ptr[train.users]
    short = took_too_much(dataset, split.sequences, negatives)
    asked = ~short if most_users is None else ~short & sample_users(dataset, most_users, seed)
    allowed = (position >= min_history) & asked[train.users]
    users, position = train.users[allowed], position[allowed]
    # Each user keeps the positions with the smallest keys: a sample without replacement that is the user's
    # own.
    user_keys = text_keys(dataset.user_ids, seed, "positions")
    keys = combine(user_keys[users], position)
    within = np.ones(len(users), dtype=np.bool_)
    if short_share is not None:
        # A share of a few places is no whole number: it is rounded up or down by the user's hash.
        drawn = uniform_integers(combine(user_keys, -1), 1 << 20) / (1 << 20)
        n_short = np.floor(per_user * short_share + drawn).astype(np.int64)
        is_short = position <= SHORT_HISTORY
        wanted = np.where(is_short, n_short[users], per_user - n_short[users])
        within = _place_in_group(users.astype(np.int64) * 2 + is_short, keys) < wanted
    index = {user_id: user for user, user_id in enumerate(dataset.user_ids)} if before else {}
    chosen_before = [
        (index[user_id], place)
        for user_id, places in (before or {}).items()
        if user_id in index
        for place in places
    ]
    known = np.isin(_pairs(users, position), [user << 32 | place for user, place in chosen_before])
    order = np.lexsort((keys, ~within, ~known, users))
    first_of_user = np.searchsorted(users, users, side="left")
    chosen = np.sort(order[np.arange(len(order)) - first_of_user < per_user])
    return TrainingPositions(users[chosen], position[chosen].astype(np.int32))


def training_arrays(
    dataset: Dataset,
    split: Split,
    positions: TrainingPositions,
    *,
    seed: int,
    epoch: int,
    negatives: int = 19,
) -> CandidateArrays:
    """Candidates for each position, fresh with every epoch; negatives avoid only the user's training items."""
    users = positions.users
    keys = combine(text_keys(dataset.user_ids, seed, "tasks/train")[users], positions.positions, epoch)
    target = split.train.items[split.train.ptr[users] + positions.positions]
    pool = NegativePool(dataset.item_ids, seed)
    candidates = np.column_stack([target, pool.sample(split.train, users, keys, negatives)])
    # By a hash of task and item, so that one negative in another's place leaves the others where they were.
    order = np.argsort(combine(keys[:, None], pool.keys[candidates], -1), axis=1)
    candidates = np.take_along_axis(candidates, order, axis=1).astype(np.int32)
    target_column = np.argmax(candidates == target[:, None], axis=1).astype(np.int32)
    return CandidateArrays(users, positions.positions, candidates, target_column)


def training_tasks(
    dataset: Dataset,
    split: Split,
    positions: TrainingPositions,
    *,
    seed: int,
    epoch: int,
    negatives: int = 19,
    before: Mapping[str, Ordered[str]] | None = None,
) -> tuple[list[RankingTask], Targets]:
    """The tasks of `training_arrays`, ids `train/{user_id}/{position}/{epoch}`.

    Args:
        before: candidates (item ids) by task id, as an earlier draw from fewer data had them. A task keeps them
            if they are all in the catalogue and one is its target. A negative among them may be an item that
            was held out then and is in the user's training part now; it is as much a negative as it was.
    """
    arrays = training_arrays(dataset, split, positions, seed=seed, epoch=epoch, negatives=negatives)
    tasks = []
    target_items = arrays.candidates[np.arange(len(arrays)), arrays.target_column]
    index = {item_id: item for item, item_id in enumerate(dataset.item_ids)} if before else {}
    rows = zip(
        arrays.users.tolist(), arrays.positions.tolist(), arrays.candidates, target_items.tolist(), strict=True
    )
    for user, position, candidates, target in rows:
        user_id = dataset.user_ids[user]
        history = split.train.before(user, position)
        task_id = f"train/{user_id}/{position}/{epoch}"
        if before and task_id in before:
            candidates = _still_right(before[task_id], candidates, target, index)
        tasks.append(
            RankingTask(
                task_id=task_id,
                user=user,
                user_id=user_id,
                history=history.items,
                candidates=candidates,
                split="train",
                draw=epoch,
                days=history.days,
                ratings=history.ratings,
            )
        )
    return tasks, targets_of(tasks, target_items)


def _place_in_group(groups: NDArray[np.int64], keys: Keys) -> NDArray[np.int64]:
    """`(n,)`: how many entries of the same group have a smaller key."""
    order = np.lexsort((keys, groups))
    ordered = groups[order]
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order)) - np.searchsorted(ordered, ordered, side="left")
    return places


def _still_right(
    before: Ordered[str],
    drawn: NDArray[np.int32],
    target: int,
    index: Mapping[str, int],
) -> NDArray[np.int32]:
    kept = np.array([index.get(item_id, -1) for item_id in before], dtype=np.int32)
    return kept if len(kept) == len(drawn) and (kept >= 0).all() and target in kept else drawn


def _pairs(users: NDArray[np.int32], positions: NDArray[Any]) -> NDArray[np.int64]:
    return users.astype(np.int64) << 32 | positions.astype(np.int64)
