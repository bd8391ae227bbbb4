"""Ranking tasks: a history and 20 candidates, one of them what the user really took next.

The target is kept apart from the task (`Targets`, by task id), so that nothing an agent, a tool, a prompt or
the engine receives can hold it. Negatives of training tasks avoid only the user's *training* items: if they
also avoided the held-out ones, those would be the only items never seen as negatives, and a model could learn
them from their absence. Negatives of validation and test tasks avoid everything the user ever took.

Every draw is keyed by seed, user id and position or draw number (see `hashing`), so a user's tasks depend
neither on which other users there are nor on anything held out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.data.dataset import Dataset, Sequences
from starrec.data.hashing import Keys, combine, text_keys, uniform_integers
from starrec.data.split import Held, Split
from starrec.errors import DataError


@dataclass(frozen=True, eq=False, slots=True)
class RankingTask:
    """One question: which of these candidates comes next after this history?"""

    task_id: str
    user: int
    """User index, whose other doings no evidence may hold; -1 for a person who is not in the data."""
    user_id: str
    history: NDArray[np.int32]
    """`(h,)` item indices, oldest first."""
    candidates: NDArray[np.int32]
    """`(c,)` distinct item indices, shuffled."""
    scenario: str = "classic"
    split: Literal["train", "validation", "test", "live"] = "live"
    draw: int = 0
    """Which of the user's draws of negatives this is; in training, the epoch."""
    days: NDArray[np.int32] | None = None
    """`(h,)` whole days since 1970 of the history; None without a clock. The last one is the task's own day."""
    ratings: NDArray[np.float32] | None = None
    """`(h,)` ratings of the history, NaN where there is none; None where nothing is rated."""


Targets: TypeAlias = Mapping[str, int]
"""The item index that came next, by task id."""


@dataclass(frozen=True, eq=False)
class TrainingPositions:
    """Places inside users' training parts at which to ask what came next."""

    users: NDArray[np.int32]
    """`(n,)` user indices, ascending."""
    positions: NDArray[np.int32]
    """`(n,)` index of the target in the user's training items; everything before it is the history."""

    def __len__(self) -> int:
        return len(self.users)


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


def evaluation_tasks(
    dataset: Dataset,
    sequences: Sequences,
    split: Split,
    which: Held,
    *,
    seed: int,
    draws: int = 3,
    negatives: int = 19,
) -> tuple[list[RankingTask], Targets]:
    """`draws` tasks for every user with a held-out item, ids `{which}/{user_id}/{draw}`, users in index
    order.

    Raises:
        DataError: the catalogue is too small for a user's negatives.
    """
    held_out = split.targets(which)
    eligible = np.flatnonzero(held_out >= 0).astype(np.int32)
    users = np.repeat(eligible, draws)
    draw = np.tile(np.arange(draws), len(eligible))
    keys = combine(text_keys(dataset.user_ids, seed, f"tasks/{which}")[users], draw)
    candidates = _draw_candidates(dataset, sequences, users, held_out[users], keys, negatives)
    tasks = []
    for row, (user, number) in enumerate(zip(users.tolist(), draw.tolist(), strict=True)):
        user_id = dataset.user_ids[user]
        history = split.history(user, which)
        tasks.append(
            RankingTask(
                task_id=f"{which}/{user_id}/{number}",
                user=user,
                user_id=user_id,
                history=history.items,
                candidates=candidates[row],
                split=which,
                draw=number,
                days=history.days,
                ratings=history.ratings,
            )
        )
    return tasks, _targets(tasks, held_out[users])


def training_positions(
    dataset: Dataset, split: Split, *, per_user: int, seed: int, min_history: int = 3
) -> TrainingPositions:
    """Up to `per_user` places in each user's training part with at least `min_history` items before them."""
    train = split.train
    position = np.arange(len(train.items)) - train.ptr[train.users]
    allowed = position >= min_history
    users, position = train.users[allowed], position[allowed]
    # Each user keeps the positions with the smallest keys: a sample without replacement that is the user's
    # own.
    keys = combine(text_keys(dataset.user_ids, seed, "positions")[users], position)
    order = np.lexsort((keys, users))
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
    """Candidates for each position, fresh with every epoch; negatives avoid only the user's training items.

    Raises:
        DataError: the catalogue is too small for a user's negatives.
    """
    users = positions.users
    keys = combine(text_keys(dataset.user_ids, seed, "tasks/train")[users], positions.positions, epoch)
    target = split.train.items[split.train.ptr[users] + positions.positions]
    candidates = _draw_candidates(dataset, split.train, users, target, keys, negatives)
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
) -> tuple[list[RankingTask], Targets]:
    """The tasks of `training_arrays`, ids `train/{user_id}/{position}/{epoch}`."""
    arrays = training_arrays(dataset, split, positions, seed=seed, epoch=epoch, negatives=negatives)
    tasks = []
    rows = zip(arrays.users.tolist(), arrays.positions.tolist(), arrays.candidates, strict=True)
    for user, position, candidates in rows:
        user_id = dataset.user_ids[user]
        history = split.train.before(user, position)
        tasks.append(
            RankingTask(
                task_id=f"train/{user_id}/{position}/{epoch}",
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
    return tasks, _targets(tasks, arrays.candidates[np.arange(len(arrays)), arrays.target_column])


def validation_half(user_ids: Iterable[str], seed: int) -> list[Literal["A", "B"]]:
    """Each user's half of validation, by hash: A stops training early, B chooses settings."""
    return ["A" if key & 1 else "B" for key in text_keys(user_ids, seed, "validation half").tolist()]


def sample_negatives(
    forbidden: Sequences, users: NDArray[np.int32], keys: Keys, n_items: int, negatives: int
) -> NDArray[np.int32]:
    """Distinct items, uniform over the catalogue less the user's items in `forbidden`; `(n, negatives)
    int32`.

    Row i is a function of `keys[i]` and the forbidden items of `users[i]` alone. Draws distinct ranks among
    the allowed items, then turns rank r into the r-th allowed item: with the forbidden items sorted, f_0 <
    f_1 < …, that is r + #{j: f_j - j <= r}, found for all rows in one binary search.
    """
    allowed = n_items - forbidden.lengths
    ranks = _distinct_integers(keys, allowed[users], negatives)
    by_item = np.lexsort((forbidden.items, forbidden.users))
    place = np.arange(len(by_item)) - forbidden.ptr[forbidden.users]
    # Keys of different users must not mix: shift each user's values into a range of its own.
    shifted = forbidden.items[by_item] - place + forbidden.users * np.int64(n_items)
    below = np.searchsorted(shifted, ranks + users[:, None] * np.int64(n_items), side="right")
    return (ranks + below - forbidden.ptr[users][:, None]).astype(np.int32)


def _distinct_integers(keys: Keys, below: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """`(n, count)`: row i distinct and uniform in `[0, below[i])`. Draws all, then again what repeats."""
    columns = np.arange(count)
    values = uniform_integers(combine(keys[:, None], columns, 0), below[:, None])
    again = np.arange(len(keys))
    attempt = 0
    while len(again):
        attempt += 1
        rows = values[again]
        order = np.argsort(rows, axis=1, kind="stable")
        ordered = np.take_along_axis(rows, order, axis=1)
        repeated = np.zeros(rows.shape, dtype=np.bool_)
        np.put_along_axis(repeated, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
        affected = repeated.any(axis=1)
        again, repeated = again[affected], repeated[affected]
        fresh = uniform_integers(combine(keys[again, None], columns, attempt), below[again, None])
        values[again] = np.where(repeated, fresh, values[again])
    return values


def _draw_candidates(
    dataset: Dataset,
    forbidden: Sequences,
    users: NDArray[np.int32],
    target: NDArray[np.int32],
    keys: Keys,
    negatives: int,
) -> NDArray[np.int32]:
    """`(n, negatives + 1)` target and negatives, shuffled by keys that know neither."""
    short = dataset.n_items - forbidden.lengths[users] < negatives
    if short.any():
        largest = int(dataset.n_items - forbidden.lengths[users].max())
        raise DataError(
            f"{len(np.unique(users[short]))} users have taken so much of the catalogue of {dataset.n_items} "
            f"items that {negatives} negatives cannot be drawn for them, such as user "
            f"{dataset.user_ids[users[np.argmax(short)]]!r}. Add items, leave these users out, or set "
            f"`[data] negatives` to at most {largest}."
        )
    drawn = sample_negatives(forbidden, users, keys, dataset.n_items, negatives)
    candidates = np.column_stack([target, drawn])
    # Attempt -1 cannot occur among the draws above, so the shuffle is independent of them.
    order = np.argsort(combine(keys[:, None], np.arange(negatives + 1), -1), axis=1)
    return np.take_along_axis(candidates, order, axis=1)


def _targets(tasks: list[RankingTask], items: NDArray[np.int32]) -> Targets:
    return {task.task_id: item for task, item in zip(tasks, items.tolist(), strict=True)}
