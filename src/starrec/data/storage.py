"""A Dataset as files, so that a run folder answers on its own when its source has moved or gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import polars as pl

from starrec.data.dataset import Dataset
from starrec.errors import RunError
from starrec.runs import write_atomic

_FRAMES: Final = ("interactions", "users", "items")
_FACTS: Final = ("name", "order", "repeats", "resolution", "kept_repeat", "times_written", "below_min_rating")


def save_dataset(dataset: Dataset, folder: Path) -> list[Path]:
    """Write the dataset to a folder; the files written, `dataset.json` last."""
    written = []
    for name in _FRAMES:
        frame: pl.DataFrame = getattr(dataset, name)
        written.append(write_atomic(folder / f"{name}.parquet", frame.write_parquet))
    about = {name: getattr(dataset, name) for name in (*_FACTS, "sha256")}
    written.append(write_atomic(folder / "dataset.json", json.dumps(about, indent=1) + "\n"))
    return written


def load_saved_dataset(folder: Path) -> Dataset:
    """The dataset that `save_dataset` wrote.

    Raises:
        RunError: there is none, or its content is not what was written.
    """
    try:
        about = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        parts: dict[str, Any] = {name: pl.read_parquet(folder / f"{name}.parquet") for name in _FRAMES}
        parts |= {name: about[name] for name in _FACTS}
        dataset = Dataset(**parts)
        intact = dataset.sha256 == about["sha256"]
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise RunError(
            f"The dataset in {folder} cannot be read ({error}). Delete that folder and run "
            "`starrec data` for this run."
        ) from error
    if not intact:
        raise RunError(
            f"The dataset in {folder} is not what was written. Delete that folder and run "
            "`starrec data` for this run."
        )
    return dataset
