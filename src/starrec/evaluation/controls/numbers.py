"""The evidence of tasks as arrays: all that a control may read of a candidate.

150 numbers: of each of the 19 signals the score, its logarithm, its standing among the candidates (place and
z) and whether it is unknown; of the strongest fact behind each of the ten that the teacher reads, and of the
contrary fact, the counts, lift, significance and weight. Beside them the rows that the student reads.

No target enters. Rows stand in the order of a hash of their item, so that nothing computed over them depends on
the order in which candidates were given, not even the last bit of a sum.

A task of 20 candidates takes 17 KB, so the numbers of many tasks lie in files: batches are appended as workers
bring them, and arrays are mapped where they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask, Targets
from starrec.engines import Engine
from starrec.signals import SCORED, SIGNALS, Evidence, Fact
from starrec.student.rows import hashed_order, rows_of_evidence
from starrec.tools import World

_BATCH: Final = 128
_OF_SIGNAL: Final = ("unknown", "score", "log score", "z", "place")
_OF_FACT: Final = ("both", "base", "lift", "significance", "weight")
_UNKNOWN: Final = (0.0,) * len(_OF_FACT)
NAMES: Final = (
    *(f"{signal} {what}" for what in _OF_SIGNAL for signal in SCORED),
    *(f"{fact} {what}" for fact in (*SIGNALS, "contrary") for what in _OF_FACT),
)
"""What each number is."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """The evidence of n tasks with c candidates each."""

    numbers: NDArray[np.float32]
    """`(n, c, len(NAMES))`"""
    levels: NDArray[np.int8]
    """`(n, c, signals)` as in `Evidence.levels`; -1 is none."""
    read: NDArray[np.float32]
    """`(n, c, len(student.NUMBERS))` what the student reads."""
    scores: NDArray[np.float64]
    """`(n, signals, c)` as in `Evidence.scores`, of those in `SIGNALS`."""
    ties: NDArray[np.uint64]
    """`(n, c)` as in `Toolbox.ties`."""
    users: NDArray[np.int64]
    """`(n,)`"""
    lengths: NDArray[np.int64]
    """`(n,)` items in the history."""
    order: NDArray[np.int64]
    """`(n, c)` which of the task's candidates a row is about."""

    def __len__(self) -> int:
        return len(self.order)

    @property
    def lateness(self) -> NDArray[np.float64]:
        """`(n,)` the history over the longest of its user's tasks. Test tasks stand at the end of a history, so
        that late positions are more like them."""
        longest = np.zeros(self.users.max(initial=0) + 1)
        np.maximum.at(longest, self.users, self.lengths)
        share: NDArray[np.float64] = self.lengths / np.maximum(longest[self.users], 1)
        return share

    def __getitem__(self, rows: slice) -> Numbers:
        return Numbers(*(getattr(self, of.name)[rows] for of in fields(self)))

    @classmethod
    def mapped(cls, folder: Path) -> Self:
        """What `gather_numbers` wrote there."""
        return cls(*(np.load(folder / f"{of.name}.npy", mmap_mode="r") for of in fields(cls)))

    def rows_of(self, tasks: Sequence[RankingTask], targets: Targets) -> NDArray[np.int64]:
        """`(n,)` the row of each task's target; to be asked for training and choosing only."""
        columns = np.array([int(np.flatnonzero(task.candidates == targets[task.task_id])[0]) for task in tasks])
        rows: NDArray[np.int64] = np.argmax(self.order == columns[:, None], axis=1)
        return rows

    def as_given(self, scores: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Scores of the rows, `(n, c)`, in the order of each task's candidates."""
        given = np.empty_like(scores)
        np.put_along_axis(given, self.order, scores, axis=1)
        return list(given)


def gather_batches(
    workers: Engine[World], tasks: Sequence[RankingTask]
) -> Iterator[tuple[list[RankingTask], Numbers]]:
    """The evidence of these tasks, some at a time with their tasks, in order; within a batch they must have
    equally many candidates."""
    batches = [list(tasks[at : at + _BATCH]) for at in range(0, len(tasks), _BATCH)]
    return zip(batches, workers.map(_look_up, batches), strict=True)


def gather_numbers(workers: Engine[World], tasks: Sequence[RankingTask], folder: Path) -> Numbers:
    """The evidence of these tasks, of equally many candidates, mapped from files.

    Args:
        folder: to be made, for an array file of each field. No more than some batches are in memory.
    """
    folder.mkdir()
    names = [of.name for of in fields(Numbers)]
    with ExitStack() as files:
        opened = {name: files.enter_context(open(folder / f"{name}.npy", "wb")) for name in names}
        for first, (_, batch) in zip(range(0, len(tasks), _BATCH), gather_batches(workers, tasks), strict=True):
            for name, file in opened.items():
                array: NDArray[Any] = np.ascontiguousarray(getattr(batch, name))
                if first == 0:
                    whole = (len(tasks), *array.shape[1:])
                    header = np.lib.format.header_data_from_array_1_0(array) | {"shape": whole}
                    np.lib.format.write_array_header_1_0(file, header)
                array.tofile(file)
    return Numbers.mapped(folder)


def _look_up(world: World, tasks: list[RankingTask]) -> Numbers:
    found = []
    for task in tasks:
        toolbox = world.toolbox(task)
        evidence, order = toolbox.evidence, hashed_order(task.candidates)
        found.append(
            (
                _of_task(evidence, order),
                evidence.levels[:, order].T,
                rows_of_evidence(evidence, order),
                evidence.scores[: len(SIGNALS), order],
                toolbox.ties[order],
                task.user,
                len(task.history),
                order,
            )
        )
    return Numbers(*map(np.array, zip(*found, strict=True)))


def _of_fact(fact: Fact) -> tuple[float, ...]:
    return fact.both, fact.base, fact.lift, fact.significance, fact.weight


def _of_task(evidence: Evidence, order: NDArray[np.int64]) -> NDArray[np.float32]:
    """`(c, len(NAMES))`"""
    scores = evidence.scores[:, order]
    known = np.nan_to_num(scores, nan=0.0)
    spread = known.std(axis=1, keepdims=True)
    z = (known - known.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    place = (known[:, None, :] > known[:, :, None]).mean(axis=2)
    columns = order.tolist()
    behind = [evidence.fact(name, column) for name in SIGNALS for column in columns]
    behind += map(evidence.contrary, columns)
    stated = np.array([fact is not None for fact in behind]).reshape(-1, len(columns))
    facts = np.array([_UNKNOWN if fact is None else _of_fact(fact) for fact in behind])
    both, base, lift, significance, weight = facts.T.reshape(len(_OF_FACT), -1, len(columns))
    of_facts = np.stack(
        [
            np.log1p(both),
            np.log1p(base),
            np.where(stated, np.log(lift + 0.05), 0),
            np.sign(significance) * np.sqrt(np.abs(significance)),
            weight / 1000,
        ],
        axis=1,
    )
    of_signals = [np.isnan(scores), known, np.log(np.abs(known) + 1e-3), z, place]
    return np.concatenate([*of_signals, of_facts.reshape(-1, len(order))]).T.astype(np.float32)
