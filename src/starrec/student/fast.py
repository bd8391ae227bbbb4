"""What scores candidates in fast mode, and nano's as it is served: the network over rows of evidence, run by
ONNX Runtime.

What a student is lies in its transformers folder; this graph follows from it (`export`) and stands beside it.
Run so, a request takes a third of the time that PyTorch needs for it and a batch half (`student_parts.py`
among the benchmarks), the scores of a task are equal to the last bit in a batch of any size, and PyTorch is
not needed. One thread: beside other requests a second one costs more than it gains.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from starrec.student.rows import N_NUMBERS, FastTasks

FAST_FILE: Final = "fast.onnx"
LANGUAGE_MODEL: Final = "student.json"
"""The file by which the folder of a language model is known, and what its weights belong to."""
INPUT: Final = "numbers"
"""The graph's input, `(n, c, N_NUMBERS) float32`; its one output is scores `(n, c) float32`."""
CANDIDATES: Final = 200
"""Candidates that are ranked in one pass."""
_POSITIONS: Final = 800
"""Candidates in one run, of all tasks together: what they are computed by stays in the processor's cache."""


class Scorer(Protocol):
    """Fast mode of any base."""

    @property
    def most(self) -> int:
        """Candidates of a task that can be ranked."""

    def scores(self, tasks: FastTasks) -> NDArray[np.float32]:
        """The score of each row, `(n, c)`; -inf in padding."""

    def save(self, folder: Path) -> None:
        """Write to a folder what `fast_mode.load_scorer` reads."""


class FastNetwork:
    """An exported network, ready to score."""

    most: Final = CANDIDATES

    def __init__(self, graph: bytes) -> None:
        """Raises whatever ONNX Runtime finds wrong with the graph; ValueError where it reads other numbers."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.graph = graph
        self._session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        (given,) = self._session.get_inputs()
        if given.shape[-1] != N_NUMBERS:
            raise ValueError(f"{FAST_FILE} reads {given.shape[-1]} numbers of a candidate, not {N_NUMBERS}")

    def __reduce__(self) -> tuple[type[Self], tuple[bytes]]:
        return type(self), (self.graph,)

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls((folder / FAST_FILE).read_bytes())

    def save(self, folder: Path) -> None:
        (folder / FAST_FILE).write_bytes(self.graph)

    def score(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(n, c)` scores of candidates by their rows `(n, c, N_NUMBERS)`."""
        scores: NDArray[np.float32] = self._session.run(None, {INPUT: numbers})[0]
        return scores

    def scores(self, tasks: FastTasks) -> NDArray[np.float32]:
        """The score of each row, `(n, c)`; -inf in padding, which the network never sees."""
        present = tasks.present
        if present.size <= _POSITIONS and present.all():
            return self.score(tasks.numbers)
        found = np.full(tasks.order.shape, -np.inf, dtype=np.float32)
        sizes = present.sum(axis=1)
        for size in np.unique(sizes).tolist():
            alike, tasks_a_run = np.flatnonzero(sizes == size), max(1, _POSITIONS // size)
            for start in range(0, len(alike), tasks_a_run):
                part = alike[start : start + tasks_a_run]
                found[part, :size] = self.score(tasks.numbers[part, :size])
        return found
