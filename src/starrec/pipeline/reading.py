"""The `data` step: from a source's files to the dataset that the run keeps.

The run holds a copy of what it read. Later steps and later processes load that copy, so that a download that
moved, or a file that was edited meanwhile, cannot change a run half-way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from starrec.data import (
    DataConfig,
    Dataset,
    load_movielens_100k,
    load_saved_dataset,
    load_tables,
    save_dataset,
)
from starrec.errors import DataError
from starrec.pipeline.inputs import data_inputs
from starrec.pipeline.session import Session


def keep_dataset(session: Session) -> Dataset:
    """Read, check and keep the interactions, or load what was kept.

    Raises:
        DataError: the data cannot be read.
    """
    config = session.config.data
    folder = session.run.path("data")
    step = session.run.step("data", data_inputs(config))
    if step.done:
        dataset = load_saved_dataset(folder)
        session.announce(f"{_said(dataset)} (done before)")
        return dataset
    dataset = read_source(config, session.announce)
    step.complete(save_dataset(dataset, folder), sha256=dataset.sha256)
    session.announce(_said(dataset))
    return dataset


def read_source(config: DataConfig, announce: Callable[[str], None]) -> Dataset:
    """The dataset of its source.

    Raises:
        DataError: for whatever is wrong with it.
    """
    if config.source == "movielens-100k":
        return load_movielens_100k(_cache(), local=config.local, notify=announce)
    if config.interactions is None or config.items is None:
        raise DataError(
            "Your own data needs two files: give --interactions FILE and --items FILE (or set both in the "
            "`[data]` section of the configuration)."
        )
    dataset, skipped = load_tables(
        config.interactions,
        config.items,
        config.users,
        columns=config.columns,
        delimiter=config.delimiter,
        skip_bad_rows=config.skip_bad_rows,
    )
    if skipped.rows:
        announce(f"data: {skipped}")
    return dataset


def _cache() -> Path:
    return Path.home() / ".cache" / "starrec"


def _said(dataset: Dataset) -> str:
    return (
        f"data: {dataset.name}, {dataset.interactions.height:,} interactions, {dataset.n_users:,} users, "
        f"{dataset.n_items:,} items"
    )
