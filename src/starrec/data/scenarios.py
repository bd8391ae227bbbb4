"""Scenarios: the classic test tasks, asked in ways that are harder for one reason each.

All are made of the classic tasks of the same users, and keep target, draw and shuffling, so that a difference
between two scenarios is that reason and nothing else:

    user_cold_start   the history is cut to its last 1 to 5 items, how many by a hash of the user
    evolving_long     only users whose interest moved (`evolving_users`), with their whole history
    evolving_short    the same users, only the last 5 items of the history
    classic_popular   negatives drawn by popularity (`negatives.sample_by_popularity`)

The first three also keep the candidates. Who is asked about in the evolving scenarios is decided by histories
and by item vectors of the training part (`item_vectors`): targets and other held-out items have no part in it,
and no system sees these vectors. `item_cold_start` is no way of asking the same: what is held out differs, and
so do graph and training. It is a split (`split.item_cold_start`) and a run of its own.

A history that was cut is all that a task may use of its user. The graph leaves her own interactions out in any
case; a system that was fitted on her training items must answer from the history that it is given, not from
what it keeps of her.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from starrec.data.dataset import SECONDS_A_DAY, Dataset, Sequences
from starrec.data.split import Held, Split
from starrec.data.tasks import RankingTask, Targets, evaluation_tasks
from starrec.hashing import text_keys

Scenario: TypeAlias = Literal[
    "classic", "user_cold_start", "evolving_long", "evolving_short", "classic_popular"
]

SCENARIOS: Final[tuple[Scenario, ...]] = get_args(Scenario)
MIN_TASKS: Final = 300
"""Tasks of a scenario from which on its figures are reported."""
RECENT: Final = 5
"""Items of a history that are recent; a cold user has at most so many."""
_DIMENSIONS: Final = 32
_DIGITS: Final = 9
"""Digits of a divergence that count: machines sum in different orders."""


class Evaluation(NamedTuple):
    """The tasks of one scenario."""

    scenario: str
    tasks: list[RankingTask]
    targets: Targets


def scenario_tasks(
    scenario: Scenario,
    dataset: Dataset,
    sequences: Sequences,
    split: Split,
    which: Held,
    *,
    seed: int,
    draws: int = 1,
    negatives: int = 19,
    most_users: int = 0,
    eval_users: int | None = None,
) -> Evaluation:
    """The tasks of a scenario, ids those of the classic tasks with `{scenario}/` before them (`classic`: as
    they are).

    Args:
        most_users: ask about so many users, chosen by hash; 0 for all.
        eval_users: of the users of the classic tasks alone (`sample_users`).
    """
    tasks, targets = evaluation_tasks(
        dataset,
        sequences,
        split,
        which,
        seed=seed,
        draws=draws,
        negatives=negatives,
        by_popularity=scenario == "classic_popular",
        eval_users=eval_users,
    )
    match scenario:
        case "classic":
            return Evaluation(split.scenario, tasks, targets)
        case "user_cold_start":
            keys = text_keys([task.user_id for task in tasks], seed, f"scenario/{scenario}")
            kept = 1 + (keys % np.uint64(RECENT)).astype(np.int64)
            tasks = [cut_history(task, number) for task, number in zip(tasks, kept.tolist(), strict=True)]
        case "evolving_long" | "evolving_short":
            chosen = set(evolving_users(dataset, split, which, seed).tolist())
            tasks = [task for task in tasks if task.user in chosen]
            if scenario == "evolving_short":
                tasks = [cut_history(task, RECENT) for task in tasks]
    if most_users:
        tasks = _of_some(tasks, most_users, seed)
    named = [replace(task, task_id=f"{scenario}/{task.task_id}", scenario=scenario) for task in tasks]
    return Evaluation(
        scenario,
        named,
        {new.task_id: targets[old.task_id] for new, old in zip(named, tasks, strict=True)},
    )


def evolving_users(dataset: Dataset, split: Split, which: Held, seed: int) -> NDArray[np.int32]:
    """Users whose interest moved, ascending: the top third by 1 − cosine between the mean item vector of the
    last 5 items of the history and that of the rest; equal ones by a hash of the user.

    Compared are users with a held-out item whose history holds at least 5 items before its last 5: a mean over
    fewer says more about those items than about her.
    """
    users = np.flatnonzero(split.targets(which) >= 0)
    histories = [split.history(user, which).items for user in users.tolist()]
    long_enough = np.array([len(history) >= 2 * RECENT for history in histories], dtype=np.bool_)
    users = users[long_enough]
    histories = [history for history in histories if len(history) >= 2 * RECENT]
    vectors = item_vectors(split.train, dataset.n_items)
    recent = _sums([history[-RECENT:] for history in histories], vectors)
    rest = _sums([history[:-RECENT] for history in histories], vectors)
    norms = np.linalg.norm(recent, axis=1) * np.linalg.norm(rest, axis=1)
    known = norms > 0
    users = users[known]
    divergence = np.round(1 - (recent * rest).sum(axis=1)[known] / norms[known], _DIGITS)
    ties = text_keys([dataset.user_ids[user] for user in users.tolist()], seed, "scenario/evolving")
    return np.sort(users[np.lexsort((ties, -divergence))][: len(users) // 3]).astype(np.int32)


def item_vectors(train: Sequences, n_items: int) -> NDArray[np.float64]:
    """`(n_items, d)` directions of items, d at most 32, each of length 1; zero for items without training
    interactions, and for all where the training part is too small to have directions.

    The first right singular vectors, times their values, of D_u^(-1/2) A D_i^(-1/2) less its trivial one, A
    being 1 where a user took an item, D_u and D_i the numbers of interactions of users and items: the spectral
    embedding of Dhillon (KDD 2001). The trivial one, of value 1, is popularity alone. Made from interactions,
    so that any dataset has them.
    """
    # Here: whoever only asks a run would wait for SciPy at every start.
    from scipy.sparse import csr_matrix, diags
    from scipy.sparse.linalg import LinearOperator, svds

    taken = csr_matrix((np.ones(len(train.items)), train.items, train.ptr), shape=(train.n_users, n_items))
    of_users, of_items = train.lengths, taken.getnnz(axis=0)
    wanted = min(_DIMENSIONS, int((of_users > 0).sum()) - 1, int((of_items > 0).sum()) - 1)
    if wanted < 1:
        return np.zeros((n_items, 0))

    def scaling(counts: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.divide(1, np.sqrt(counts), out=np.zeros(len(counts)), where=counts > 0)

    scaled = (diags(scaling(of_users)) @ taken @ diags(scaling(of_items))).tocsr()
    left, right = np.sqrt(of_users / len(train.items)), np.sqrt(of_items / len(train.items))
    # Taken away, not dropped from the result: where users fall into groups that share nothing, other vectors
    # have the same value, and which of them comes first changes from call to call.
    less = LinearOperator(
        scaled.shape,
        matvec=lambda x: scaled @ x.ravel() - left * (right @ x.ravel()),
        rmatvec=lambda y: scaled.T @ y.ravel() - right * (left @ y.ravel()),
        dtype=np.float64,
    )
    start = np.random.default_rng(0).standard_normal(min(scaled.shape))
    _, values, found = svds(less, k=wanted, v0=start)
    vectors = found.T * values
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions: NDArray[np.float64] = np.divide(
        vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-9
    )
    return directions


def within_one_day(dataset: Dataset) -> float | None:
    """Share of the users whose whole history lies within 24 hours; None without a clock. Where most do, the
    order of their items is that of one sitting, and says little about how interest moves over time."""
    if dataset.order != "clock":
        return None
    user, time = (dataset.interactions[name].to_numpy() for name in ("user", "time"))
    ends = np.append(np.flatnonzero(user[1:] != user[:-1]), len(user) - 1)
    starts = np.append(0, ends[:-1] + 1)
    return float((time[ends] - time[starts] <= SECONDS_A_DAY * dataset.resolution).mean())


def cut_history(task: RankingTask, last: int) -> RankingTask:
    """The task with the last items of its history alone."""
    return replace(
        task,
        history=task.history[-last:],
        days=None if task.days is None else task.days[-last:],
        ratings=None if task.ratings is None else task.ratings[-last:],
    )


def _of_some(tasks: list[RankingTask], most: int, seed: int) -> list[RankingTask]:
    """The tasks of the users with the smallest hashes."""
    users = sorted({task.user_id for task in tasks})
    keys = text_keys(users, seed, "scenario/users")
    kept = {users[at] for at in np.argsort(keys)[:most].tolist()}
    return [task for task in tasks if task.user_id in kept]


def _sums(histories: Sequence[NDArray[np.int32]], vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(len(histories), d)` the sum of the vectors of each history's items."""
    ptr = np.append(0, np.cumsum([len(history) for history in histories], dtype=np.int64))
    items = np.concatenate([*histories, np.empty(0, dtype=np.int32)])
    from scipy.sparse import csr_matrix

    summing = csr_matrix((np.ones(len(items)), items, ptr), shape=(len(histories), len(vectors)))
    sums: NDArray[np.float64] = np.asarray(summing @ vectors)
    return sums
