"""What the controls are trained, stopped and chosen on, as files in a folder.

The processes that train side by side read some rows at a time: pages of a mapped file that a process touched
count as its memory for as long as they stay mapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask, Targets
from starrec.engines import Engine
from starrec.evaluation.controls.numbers import Numbers, gather_numbers
from starrec.tools import World

Part: TypeAlias = Literal["training", "A", "B"]
"""Training tasks, or a half of validation."""
Rows: TypeAlias = NDArray[np.int64]
"""`(n,)` the row of each task's target."""


@dataclass(frozen=True)
class Lessons:
    """Tasks as numbers, with the row of each target. Pickles as its folder."""

    folder: Path

    def write(self, part: Part, workers: Engine[World], tasks: Sequence[RankingTask], targets: Targets) -> None:
        """Look up the evidence of a part's tasks, which have equally many candidates."""
        numbers = gather_numbers(workers, tasks, self.folder / part)
        np.save(self.folder / part / "rows.npy", numbers.rows_of(tasks, targets))

    def numbers(self, part: Part) -> Numbers:
        return Numbers.mapped(self.folder / part)

    def some(self, part: Part, field: str, tasks: slice | NDArray[np.int64]) -> NDArray[Any]:
        """A field of the part's numbers, of some tasks: a copy, mapped for this call alone."""
        array: NDArray[Any] = np.load(self.folder / part / f"{field}.npy", mmap_mode="r")
        return np.array(array[tasks])

    def rows(self, part: Part) -> Rows:
        rows: Rows = np.load(self.folder / part / "rows.npy")
        return rows
