"""Ranking tasks: a history and 20 candidates, one of them what the user really took next.

The target is kept apart from the task (`Targets`, by task id), so that nothing an agent, a tool, a prompt or
the engine receives can hold it. Negatives of training tasks avoid only the user's *training* items: if they
also avoided the held-out ones, those would be the only items never seen as negatives, and a model could learn
them from their absence. Negatives of validation and test tasks avoid everything the user ever took.
What else is asked of the same users is made of these tasks in `scenarios`.

Every draw is keyed by seed, user id and position or draw number (see `hashing`), so a user's tasks depend
neither on which other users there are nor on anything held out. Training tasks change little with the data:
their negatives are drawn by `negatives`, and those of an earlier draw stay where they still are right.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.data.dataset import Dataset, Sequences
from starrec.data.negatives import NegativePool, sample_by_popularity
from starrec.data.split import Held, Split
from starrec.hashing import Keys, combine, text_keys, uniform_integers

SHORT_HISTORY: Final = 5
"""Histories of up to so many items are short."""


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
    by_popularity: bool = False,
    eval_users: int | None = None,
) -> tuple[list[RankingTask], Targets]:
    """`draws` tasks for every user with a held-out item, ids `{which}/{user_id}/{draw}`, users in index
    order; none for users who left too few items for negatives (`took_too_much`).

    Args:
        by_popularity: draw negatives by their popularity in training (`sample_by_popularity`). Users, targets
            and the target's place among the candidates stay; no task for users who left too few items that
            anybody has in training.
        eval_users: only tasks of these users (`sample_users`); each is what it would be among all.
    """
    held_out = split.targets(which)
    short = (
        took_too_much_of_popular(dataset, split, negatives)
        if by_popularity
        else took_too_much(dataset, sequences, negatives)
    )
    eligible = np.flatnonzero((held_out >= 0) & ~short).astype(np.int32)
    if eval_users is not None:
        eligible = eligible[sample_users(dataset, eval_users, seed)[eligible]]
    users = np.repeat(eligible, draws)
    draw = np.tile(np.arange(draws), len(eligible))
    keys = combine(text_keys(dataset.user_ids, seed, f"tasks/{which}")[users], draw)
    if by_popularity:
        drawn = sample_by_popularity(split.train, sequences, users, keys, dataset.n_items, negatives)
    else:
        drawn = sample_negatives(sequences, users, keys, dataset.n_items, negatives)
    candidates = np.column_stack([held_out[users], drawn])
    # Attempt -1 cannot occur among the draws above, so the shuffle is independent of them.
    order = np.argsort(combine(keys[:, None], np.arange(negatives + 1), -1), axis=1)
    candidates = np.take_along_axis(candidates, order, axis=1)
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
                scenario=split.scenario,
                split=which,
                draw=number,
                days=history.days,
                ratings=history.ratings,
            )
        )
    return tasks, _targets(tasks, held_out[users])


def sample_users(dataset: Dataset, n: int, seed: int) -> NDArray[np.bool_]:
    """`(n_users,)` whether a user is among the n with the smallest hashes; all are where there are no more."""
    chosen = np.zeros(dataset.n_users, dtype=np.bool_)
    chosen[np.argsort(text_keys(dataset.user_ids, seed, "benchmark users"))[:n]] = True
    return chosen


def took_too_much(dataset: Dataset, sequences: Sequences, negatives: int) -> NDArray[np.bool_]:
    """`(n_users,)` whether a user took so much of the catalogue that no task can be made for her."""
    return dataset.n_items - sequences.lengths < negatives


def took_too_much_of_popular(dataset: Dataset, split: Split, negatives: int) -> NDArray[np.bool_]:
    """`(n_users,)` whether a user took so many of the items that anybody has in training that no task with
    negatives by popularity can be made for her."""
    everything = split.sequences
    popular = np.bincount(split.train.items, minlength=dataset.n_items) > 0
    own = np.bincount(everything.users[popular[everything.items]], minlength=dataset.n_users)
    short: NDArray[np.bool_] = popular.sum() - own < negatives
    return short


def training_positions(
    dataset: Dataset,
    split: Split,
    *,
    per_user: int,
    seed: int,
    min_history: int = 3,
    short_share: float | None = None,
    negatives: int = 19,
    before: Mapping[str, Collection[int]] | None = None,
) -> TrainingPositions:
    """Up to `per_user` places in each user's training part with at least `min_history` items before them; none
    for users who left too few items for negatives.

    Args:
        short_share: share of all places that have a short history (`SHORT_HISTORY`); None for as many as chance
            gives. A user who has too few of either kind gets more of the other.
        before: positions by user id that were chosen earlier; they come first.
    """
    train = split.train
    position = np.arange(len(train.items)) - train.ptr[train.users]
    short = took_too_much(dataset, split.sequences, negatives)
    allowed = (position >= min_history) & ~short[train.users]
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
    return tasks, _targets(tasks, target_items)


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


def task_key(task: RankingTask, target: int, dataset: Dataset) -> str:
    """32 hex digits that name the task's content by ids: user, history (with days and ratings), candidates, and
    the target, which decides the outcome. Data that does not change these leaves it as it is."""
    ids = dataset.item_ids
    content = (
        task.user_id,
        [ids[item] for item in task.history.tolist()],
        None if task.days is None else task.days.tolist(),
        None
        if task.ratings is None
        else [None if value != value else value for value in task.ratings.tolist()],
        [ids[item] for item in task.candidates.tolist()],
        ids[target],
        task.scenario,
        task.split,
    )
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _pairs(users: NDArray[np.int32], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    return users.astype(np.int64) << 32 | positions


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


def _targets(tasks: list[RankingTask], items: NDArray[np.int32]) -> Targets:
    return {task.task_id: item for task, item in zip(tasks, items.tolist(), strict=True)}
