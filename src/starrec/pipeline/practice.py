"""What stage 2 practises on: batches of training tasks, their evidence looked up ahead of the step.

Each step has tasks of one kind: most have as many candidates as the run's tasks and whole histories, some a
history that is cut to its last few items (those at the beginning of a user's training part count for little,
`[student.grpo] late`), some few candidates, and some what the retriever brings to a list of recommendations.
Positions are taken in a new order every epoch, with negatives of their own. A step's tasks follow from the seed
and its number alone, so training that was killed goes on with the same ones; no more than a few batches are
looked up at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.data import SHORT_HISTORY, RankingTask, TrainingPositions, cut_history, training_tasks
from starrec.engines import Workers
from starrec.hashing import combine, text_keys
from starrec.pipeline.tasks import Tasks
from starrec.student import MAX_LABELS, Attempted, Labelled, StudentConfig, gather_tasks
from starrec.tools import NOMINATED, World, retrieve

Kind: TypeAlias = Literal["usual", "short", "few", "retrieved", "attempted"]

FEW: Final = 4
"""Negatives of tasks with few candidates."""
_NEGATIVES: Final[dict[Kind, int]] = {"few": FEW, "retrieved": FEW, "attempted": MAX_LABELS - 1}
"""Negatives of a kind at most."""
SHARES: Final[dict[Kind, int]] = {"usual": 11, "short": 2, "few": 1, "retrieved": 2}
"""Parts of the steps that have tasks of a kind."""
_PARTS: Final = sum(SHARES.values())
_CHUNK: Final = 64
"""Steps whose tasks are drawn at a time."""
_OFFSETS: Final[dict[Kind, int]] = {
    "usual": 0,
    "short": 10_000,
    "few": 20_000,
    "retrieved": 30_000,
    "attempted": 40_000,
}
"""First epoch of a kind, so that no kind has the negatives of another."""


class Batch(NamedTuple):
    """Tasks of a step before their evidence is looked up."""

    kind: Kind
    tasks: list[RankingTask]
    targets: list[int]
    """The target item of each."""
    weights: NDArray[np.float32]


class Practice:
    """The batch of each step; to be asked in order, from any step on."""

    def __init__(
        self,
        tasks: Tasks,
        workers: Workers[World],
        config: StudentConfig,
        positions: TrainingPositions,
        *,
        retrieved: bool = True,
    ) -> None:
        """
        Args:
            retrieved: whether some steps have what the retriever brings, about a hundred candidates; off, those
                steps have usual tasks.
        """
        self._retrieved = retrieved
        self._tasks = tasks
        self._workers = workers
        self._config = config
        self._positions = positions
        longest = np.zeros(int(positions.users.max(initial=0)) + 1)
        np.maximum.at(longest, positions.users, positions.positions)
        late = (positions.positions / np.maximum(longest[positions.users], 1)) ** config.grpo.late
        self._weights = (late / late.mean()).astype(np.float32)
        self._next = -1
        self._stream: Iterator[Labelled] = iter(())

    def __call__(self, step: int) -> Labelled:
        if step != self._next:
            self._stream = self._workers.map(_look_up, self._batches(step))
        self._next = step + 1
        return next(self._stream)

    def first(self, kind: Kind, batches: int) -> Iterator[Labelled]:
        """The first batches of a kind, whichever steps have them."""
        return self._workers.map(_look_up, self._draw(kind, 0, batches, self._config.grpo.batch))

    def attempted(self, step: int, count: int) -> Attempted:
        """Tasks whose traces a step samples, so many."""
        (batch,) = self._draw("attempted", step, step + 1, count)
        return Attempted(batch.tasks, _columns(batch.tasks, batch.targets))

    def _batches(self, first: int) -> Iterator[Batch]:
        """The batches from this step on."""
        taken: dict[Kind, int] = dict.fromkeys(SHARES, 0)
        for chunk in count():
            steps = range(chunk * _CHUNK, (chunk + 1) * _CHUNK)
            kinds = [self._kind(step) for step in steps]
            before = dict(taken)
            for kind in kinds:
                taken[kind] += 1
            if steps[-1] < first:
                continue
            drawn = {
                kind: self._draw(kind, before[kind], taken[kind], self._config.grpo.batch)
                for kind in set(kinds)
            }
            for step, kind in zip(steps, kinds, strict=True):
                batch = next(drawn[kind])
                if step >= first:
                    yield batch

    def _kind(self, step: int) -> Kind:
        kind = _kind(self._config.seed, step)
        return "usual" if kind == "retrieved" and not self._retrieved else kind

    def _draw(self, kind: Kind, start: int, end: int, size: int) -> Iterator[Batch]:
        """The batches of a kind with numbers from start to before end, of this size."""
        n = len(self._positions)
        prepared, data = self._tasks.prepared, self._tasks.config.data
        places = np.arange(start * size, end * size)
        drawn: list[RankingTask] = []
        items: list[int] = []
        weights: list[float] = []
        for epoch in range(start * size // n, (end * size - 1) // n + 1):
            order = epoch_order(self._config.seed, _OFFSETS[kind] + epoch, n)
            rows = order[places[places // n == epoch] % n]
            found, targets = training_tasks(
                prepared.dataset,
                prepared.split,
                TrainingPositions(self._positions.users[rows], self._positions.positions[rows]),
                seed=data.seed,
                epoch=_OFFSETS[kind] + epoch,
                negatives=min(_NEGATIVES.get(kind, data.negatives), data.negatives),
            )
            drawn += found
            items += [targets[task.task_id] for task in found]
            weights += self._weights[rows].tolist()
        for at in range(0, len(drawn), size):
            part = slice(at, at + size)
            yield Batch(kind, drawn[part], items[part], np.array(weights[part], dtype=np.float32))


def _kind(seed: int, step: int) -> Kind:
    left = int(combine(seed, step, 4)[0] % np.uint64(_PARTS))
    for kind, parts in SHARES.items():
        if left < parts:
            return kind
        left -= parts
    raise AssertionError("the parts sum up")


def _look_up(world: World, batch: Batch) -> Labelled:
    """The evidence of a batch, as a worker gathers it."""
    tasks = batch.tasks
    if batch.kind == "retrieved":
        tasks = [_retrieved(world, task, item) for task, item in zip(tasks, batch.targets, strict=True)]
    if batch.kind == "short":
        tasks = [cut_history(task, last) for task, last in zip(tasks, _few_items(tasks), strict=True)]
    found = gather_tasks(world, tasks)
    columns = np.array(_columns(tasks, batch.targets))
    return Labelled(found, found.rows_of(columns), batch.weights)


def _columns(tasks: list[RankingTask], targets: list[int]) -> list[int]:
    """Where each task's target stands among its candidates."""
    return [int((task.candidates == item).argmax()) for task, item in zip(tasks, targets, strict=True)]


def _few_items(tasks: list[RankingTask]) -> list[int]:
    """How many items of each history are kept, 1 to `SHORT_HISTORY`, by a hash of the task."""
    drawn: list[int] = (text_keys([task.task_id for task in tasks], 0, "short") % SHORT_HISTORY + 1).tolist()
    return drawn


def _retrieved(world: World, task: RankingTask, target: int) -> RankingTask:
    """The task about what the retriever brings, but for other items of the user's training part; as it is where
    that has not the target, which would stand out among the others by not being retrieved."""
    found = retrieve(world.graph, task.user, task.history, NOMINATED)
    if target not in found:
        return task
    own, _ = world.graph.counts.sequence(task.user)
    return replace(task, candidates=found[~np.isin(found, own) | (found == target)])


def epoch_order(seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    """`(n,)` the order in which positions are taken in an epoch."""
    return np.random.default_rng([seed, 3, epoch]).permutation(n)
