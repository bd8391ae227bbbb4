"""Ranking tasks: a history and 20 candidates, one of them what the user really took next.

The target is kept apart from the task (`Targets`, by task id), so that nothing an agent, a tool, a prompt or
the engine receives can hold it. Negatives of validation and test tasks avoid everything the user ever took;
training tasks have a rule of their own (`training`). What else is asked of the same users is made of these
tasks in `scenarios`.

Every draw is keyed by seed, user id and position or draw number (see `hashing`), so a user's tasks depend
neither on which other users there are nor on anything held out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.data.dataset import Dataset, Sequences
from starrec.data.negatives import sample_by_popularity
from starrec.data.split import Held, Split
from starrec.errors import StarrecError
from starrec.hashing import Keys, combine, text_keys, uniform_integers


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
    """`(h,)` whole days since 1970 of the history; None without a clock. The last one is the task's own day
    unless it has one."""
    ratings: NDArray[np.float32] | None = None
    """`(h,)` ratings of the history, NaN where there is none; None where nothing is rated."""
    day: int | None = None
    """The task's own day where it is asked later than its history ends; whole days since 1970."""


def check_known(task: RankingTask, n_items: int, n_users: int) -> None:
    """Refuse a task about what is not in the data.

    Raises:
        StarrecError: an item of its history or its candidates, or its user, is not.
    """
    items = np.concatenate((task.candidates, task.history))
    # At every request, so no more than two reductions unless something is wrong.
    if len(items) and (items.max() >= n_items or items.min() < 0):
        unknown = items[(items < 0) | (items >= n_items)][0]
        raise StarrecError(
            f"Task {task.task_id} names item {unknown}, but the catalogue has items 0 to {n_items - 1}. Give "
            "indices of items in the data (`Dataset.item_ids`)."
        )
    if not -1 <= task.user < n_users:
        raise StarrecError(
            f"Task {task.task_id} is of user {task.user}, but the data have users 0 to {n_users - 1}. Give the "
            "user's index in the data (`Dataset.user_ids`), or -1 for a person who is not in them."
        )


Targets: TypeAlias = Mapping[str, int]
"""The item index that came next, by task id."""


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
    return tasks, targets_of(tasks, held_out[users])


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


def targets_of(tasks: list[RankingTask], items: NDArray[np.int32]) -> Targets:
    return {task.task_id: item for task, item in zip(tasks, items.tolist(), strict=True)}
