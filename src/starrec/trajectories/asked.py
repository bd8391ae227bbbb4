"""Which tasks a teacher was asked, as the `teach` step keeps it beside its facts.

A table of tasks leads to their runs in the store, tells a later draw from more data which tasks it should keep,
and lets one look at trajectories without counting a graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import polars as pl

from starrec.config import fingerprint
from starrec.data import RankingTask
from starrec.errors import DataError
from starrec.runs import current_product, write_atomic
from starrec.trajectories.store import Store, Teacher

STORE: Final = "trajectories.sqlite"
"""Of a run folder, where its trajectories are."""
_ASKED: Final = "asked.parquet"


@dataclass(frozen=True)
class Asked:
    """Tasks that were asked."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """`data.task_key` by task id, in the order of the tasks."""
    positions: Mapping[str, list[int]] = field(default_factory=dict)
    """Positions of the targets in the user's training items, by user id."""
    candidates: Mapping[str, list[str]] = field(default_factory=dict)
    """Item ids by task id."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `write_asked` wrote into the folder; nothing where there is none."""
        path = folder / _ASKED
        if not path.is_file():
            return cls()
        frame = pl.read_parquet(path)
        positions: dict[str, list[int]] = {}
        for user_id, position in frame.select("user_id", "position").iter_rows():
            positions.setdefault(user_id, []).append(position)
        keys, candidates = (dict(frame.select("task_id", name).iter_rows()) for name in ("key", "candidates"))
        return cls(keys, positions, candidates)


def write_asked(
    folder: Path, tasks: Sequence[RankingTask], keys: Mapping[str, str], item_ids: Sequence[str]
) -> None:
    """Keep training tasks, a row each, with their keys."""
    rows = {
        "task_id": [task.task_id for task in tasks],
        "key": [keys[task.task_id] for task in tasks],
        "user_id": [task.user_id for task in tasks],
        "position": [len(task.history) for task in tasks],
        "candidates": [[item_ids[item] for item in task.candidates.tolist()] for task in tasks],
    }
    schema = {"position": pl.Int32(), "candidates": pl.List(pl.String)}
    write_atomic(folder / _ASKED, pl.DataFrame(rows, schema_overrides=schema).write_parquet)


def open_asked(run: Path) -> Store:
    """The runs over the tasks that the last call over a run folder asked, for reading, also while it teaches.

    Raises:
        DataError: nothing was asked there yet.
        RunError: as `Store`.
    """
    product = current_product(run, "teach", complete=False)
    path = run / STORE
    if product is None or not path.is_file():
        raise DataError(
            f"There are no trajectories in {run}. Run `starrec teach` first, or name another folder with --run."
        )
    settings = product.inputs["teacher"]
    return Store(path, Teacher(fingerprint(settings), settings), Asked.read(product.folder).keys)
