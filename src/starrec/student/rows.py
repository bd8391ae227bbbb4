"""What the student reads of a candidate: a row of numbers, which enters the transformer as one position.

Of each signal a row says whether it is unknown, its score, the same on a logarithmic scale, and how the
candidate stands among the others: how many deviations from their mean, and which share of them lies above.
Scores of absolute size compare tasks, standing compares candidates; a network on either alone ranks worse
(docs/student.md).

Fast mode reads the evidence itself. Think mode reads the same numbers from what its trace says, the levels of
`compare` and the order of `fast_order`, so that its ranking follows from the text: what a trace does not say is
unknown.

Rows stand in the order of a hash of their item, and sums over candidates are taken in sorted order, so that
nothing depends on the order in which candidates were given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask
from starrec.hashing import combine
from starrec.signals import SCORED, SIGNALS, Evidence, gather_many, scores_at
from starrec.signals.kernels import compiled
from starrec.student.calls import FAST_ORDER, FAST_SIGNAL
from starrec.tools import World, read_levels, read_orders

READ: Final = (*SCORED, FAST_SIGNAL)
"""Signals of a row: those of the evidence, and the student's own fast order, which only a trace can hold."""
OF_SIGNAL: Final = ("unknown", "logarithm", "deviations", "above", "score")
"""What a row says of each."""
N_NUMBERS: Final = len(READ) * len(OF_SIGNAL)
OF_NUMBER: Final = {what: slice(at * len(READ), (at + 1) * len(READ)) for at, what in enumerate(OF_SIGNAL)}
"""Numbers of a row that say this."""
NUMBERS: Final = tuple(f"{signal} {what}" for what in OF_SIGNAL for signal in READ)
"""What each number of a row is."""
ORDER_NUMBERS: Final = slice(READ.index(FAST_SIGNAL), None, len(READ))
"""Those of the fast order."""
_UNIT: Final = 1e-3
"""Scores far below this are read linearly, those far above by their logarithm."""
_FLAT: Final = 1e-12
"""Standard deviations up to this are rounding: candidates score alike."""
_GATHERED: Final = 256
"""Tasks whose evidence is in memory at once."""


def row_numbers(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows `(..., c, N_NUMBERS)` of candidates with these scores `(..., len(READ), c)`, NaN where a signal is
    unknown.

    Of a score s, counted as 0 where it is unknown: asinh(s / 0.001); (s - mean) / standard deviation over the
    candidates; the share of candidates with a higher score; s itself.
    """
    unknown = np.isnan(scores)
    known = np.where(unknown, 0.0, scores)
    # Sums must not depend on the order of candidates, nor on how they lie in memory.
    ascending = np.ascontiguousarray(np.sort(known, axis=-1))
    mean = ascending.mean(axis=-1, keepdims=True)
    spread = np.sqrt(((ascending - mean) ** 2).mean(axis=-1, keepdims=True))
    deviations = (known - mean) / np.where(spread > _FLAT, spread, 1)
    above = _shares_above(known.reshape(-1, known.shape[-1])).reshape(known.shape)
    numbers = np.concatenate([unknown, np.arcsinh(known / _UNIT), deviations, above, known], axis=-2)
    return numbers.swapaxes(-1, -2).astype(np.float32)


def scores_of_rows(numbers: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scores `(len(READ), n)` of candidates with these rows `(n, N_NUMBERS)`, NaN where a signal is unknown:
    what `row_numbers` was given, as exact as float32."""
    unknown, scores = (numbers[:, OF_NUMBER[what]].T for what in ("unknown", "score"))
    return np.where(unknown > 0, np.nan, scores.astype(np.float64))


@compiled
def _shares_above(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each score `(n, c)`, the share of its row that is higher."""
    found = np.empty_like(scores)
    for row in range(len(scores)):
        for at in range(scores.shape[1]):
            higher = 0
            for other in range(scores.shape[1]):
                higher += scores[row, other] > scores[row, at]
            found[row, at] = higher / scores.shape[1]
    return found


def _order_scales(size: int = 20) -> NDArray[np.float32]:
    """`(N_NUMBERS,)` the largest number of each kind in a fast order of so many candidates, 1 elsewhere."""
    scores = np.full((len(READ), size), np.nan)
    scores[-1] = 1 - np.arange(size) / size
    scales = np.ones(N_NUMBERS, dtype=np.float32)
    largest = np.abs(row_numbers(scores)[:, ORDER_NUMBERS]).max(axis=0)
    scales[ORDER_NUMBERS] = np.where(largest > 0, largest, 1)
    return scales


ORDER_SCALES: Final = _order_scales()
"""What the numbers of a fast order are divided by, which no evidence tells: it is unknown there."""
_NOTHING: Final = row_numbers(np.full((len(READ), 2), np.nan))[0]
"""The row of a candidate of which nothing is known."""


def withhold(numbers: NDArray[np.float32], signals: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Rows `(n, c, N_NUMBERS)` as they are when some signals `(n, len(READ))` are unknown of all candidates."""
    return np.where(np.tile(signals, len(OF_SIGNAL))[:, None, :], _NOTHING, numbers)


def hashed_order(candidates: NDArray[np.int32]) -> NDArray[np.int64]:
    """Places of candidates in the order of a hash of their item."""
    return np.argsort(combine(0, candidates), kind="stable")


def rows_of_evidence(evidence: Evidence, order: NDArray[np.int64]) -> NDArray[np.float32]:
    """Rows `(c, N_NUMBERS)` of the candidates at these places, all candidates of the evidence."""
    return row_numbers(_read(evidence, order))


def _read(evidence: Evidence, order: NDArray[np.int64]) -> NDArray[np.float64]:
    """`(len(READ), c)`"""
    scores = np.full((len(READ), len(order)), np.nan)
    scores[: len(SCORED)] = evidence.scores[:, order]
    return scores


def trace_rows(answers: Sequence[tuple[str, str]], labels: Sequence[str]) -> NDArray[np.float32]:
    """Rows `(c, N_NUMBERS)` of a task's candidates by what tools answered in a trace.

    Args:
        answers: name of each tool that was called, and its answer; the last of a tool counts.
        labels: of the candidates, in the order of the rows.
    """
    said = dict(answers)
    scores = np.full((len(READ), len(labels)), np.nan)
    place = {label: at for at, label in enumerate(labels)}
    found = np.full((len(SIGNALS), len(labels)), -1, dtype=np.int8)
    for label, of_label in read_levels(said.get("compare", "")).items():
        for row, signal in enumerate(SIGNALS):
            if label in place:
                found[row, place[label]] = of_label.get(signal, -1)
    scores[: len(SIGNALS)] = scores_at(found)
    for order in read_orders(said.get(FAST_ORDER.name, "")):
        listed = [label for group in order.groups for label in group if label in place]
        for above, label in enumerate(listed):
            scores[-1, place[label]] = 1 - above / len(labels)
    return row_numbers(scores)


@dataclass(frozen=True, eq=False)
class FastTasks:
    """Tasks as fast mode reads them; those with fewer candidates than others are padded."""

    numbers: NDArray[np.float32]
    """`(n, c, N_NUMBERS)`, zeros in padding."""
    order: NDArray[np.int64]
    """`(n, c)` which of the task's candidates a row is about; -1 is padding, at the end."""
    items: NDArray[np.int32]
    """`(n, c)` the item that a row is about; -1 is padding."""

    def __len__(self) -> int:
        return len(self.order)

    def withheld(self, share: float, random: np.random.Generator) -> FastTasks:
        """The tasks as they are read while training: of each, every signal is unknown with this probability."""
        signals = random.random((len(self), len(READ))) < share
        return replace(self, numbers=withhold(self.numbers, signals))

    def __getitem__(self, rows: NDArray[np.int64]) -> FastTasks:
        return FastTasks(self.numbers[rows], self.order[rows], self.items[rows])

    @property
    def present(self) -> NDArray[np.bool_]:
        """`(n, c)` whether there is a candidate."""
        present: NDArray[np.bool_] = self.order >= 0
        return present

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """All parts as one, in order."""
        width = max(part.order.shape[1] for part in parts)

        def padded(array: NDArray[Any], value: float) -> NDArray[Any]:
            missing = [(0, 0), (0, width - array.shape[1])] + [(0, 0)] * (array.ndim - 2)
            return np.pad(array, missing, constant_values=value)

        return cls(
            np.concatenate([padded(part.numbers, 0) for part in parts]),
            np.concatenate([padded(part.order, -1) for part in parts]),
            np.concatenate([padded(part.items, -1) for part in parts]),
        )

    def rows_of(self, columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of each task's candidate in this column: `(n,)` from `(n,)`, `(n, k)` from `(n, k)`."""
        places = np.argsort(np.where(self.present, self.order, np.iinfo(np.int64).max), axis=1, kind="stable")
        wanted = columns if columns.ndim == 2 else columns[:, None]
        found = np.take_along_axis(places, wanted, axis=1)
        return found if columns.ndim == 2 else found[:, 0]

    def as_given(self, scores: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Scores of rows `(n, c)` in the order of each task's candidates."""
        given = []
        for row, order in zip(scores, self.order, strict=True):
            size = int((order >= 0).sum())
            own = np.empty(size, dtype=scores.dtype)
            own[order[:size]] = row[:size]
            given.append(own)
        return given


def gather_tasks(world: World, tasks: Sequence[RankingTask], threads: int = 1) -> FastTasks:
    """Look up the evidence of these tasks.

    Args:
        threads: that share the work.
    """
    width = max(len(task.candidates) for task in tasks)
    numbers = np.zeros((len(tasks), width, N_NUMBERS), dtype=np.float32)
    order = np.full((len(tasks), width), -1, dtype=np.int64)
    items = np.full((len(tasks), width), -1, dtype=np.int32)
    for start in range(0, len(tasks), _GATHERED):
        part = tasks[start : start + _GATHERED]
        found = gather_many([world.view(task) for task in part], threads)
        by_size: dict[int, list[int]] = defaultdict(list)
        for at, task in enumerate(part):
            by_size[len(task.candidates)].append(at)
        for size, places in by_size.items():
            orders = [hashed_order(part[at].candidates) for at in places]
            scores = [_read(found[at], own) for at, own in zip(places, orders, strict=True)]
            rows = start + np.array(places)
            numbers[rows, :size] = row_numbers(np.stack(scores))
            order[rows, :size] = orders
            items[rows, :size] = [part[at].candidates[own] for at, own in zip(places, orders, strict=True)]
    return FastTasks(numbers, order, items)


@dataclass(frozen=True, eq=False)
class Labelled:
    """Tasks with the row of their target."""

    tasks: FastTasks
    rows: NDArray[np.int64]
    """`(n,)`"""
    weights: NDArray[np.float32]
    """`(n,)` how much each counts in training, 1 on average."""

    def __len__(self) -> int:
        return len(self.tasks)

    def ranks(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Each target's place by scores of rows `(n, c)`, ties against it; `(n,)`, 1 is first."""
        own = np.take_along_axis(scores, self.rows[:, None], axis=1)
        ranks: NDArray[np.int64] = (scores >= own).sum(axis=1)
        return ranks

    def __getitem__(self, rows: NDArray[np.int64]) -> Labelled:
        return Labelled(self.tasks[rows], self.rows[rows], self.weights[rows])


class Attempted(NamedTuple):
    """Tasks of a step, equally many candidates each."""

    tasks: Sequence[RankingTask]
    targets: Sequence[int]
    """Column of each task's true next item."""
