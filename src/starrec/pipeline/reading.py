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
    describe,
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
        session.announce(f"data: {describe(dataset)} (done before)")
        return dataset
    dataset = read_source(config, session.announce)
    step.complete(save_dataset(dataset, folder), sha256=dataset.sha256)
    session.announce(f"data: {describe(dataset)}")
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
    held_out = {"validation": config.validation_interactions, "test": config.test_interactions}
    dataset, report = load_tables(
        config.interactions,
        config.items,
        config.users,
        options=config,
        held_out={part: path for part, path in held_out.items() if path is not None},
    )
    if report.bad:
        announce(f"data: left out {report}")
    for note in report.notes:
        announce(f"data: {note}")
    return dataset


def _cache() -> Path:
    return Path.home() / ".cache" / "starrec"
