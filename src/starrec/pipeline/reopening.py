"""A run that exists already, as others ask about it: its tasks, and the world that they are asked in.

Nothing is written but a cache, and the folder is not taken: while a server answers for a run, `starrec teach`
can be at work on it.
"""

from __future__ import annotations

from pathlib import Path

from starrec.config import load_recorded
from starrec.data import RankingTask, load_saved_dataset
from starrec.errors import RunError
from starrec.pipeline.config import RunConfig
from starrec.pipeline.preparation import count
from starrec.pipeline.tasks import Tasks, asked_before
from starrec.runs import current_product
from starrec.signals.embeddings import item_embeddings


def reopen(folder: Path) -> Tasks:
    """The tasks of a run, counted from the data that it keeps.

    Raises:
        RunError: there is no run with data in the folder, or its data are corrupt.
        ConfigError: its configuration cannot be read.
    """
    product = current_product(folder, "data")
    if product is None:
        raise RunError(f"{folder} holds no run with data. Make one with `starrec data --run {folder}`.")
    config, _ = load_recorded(folder / "config.toml", RunConfig)
    dataset = load_saved_dataset(product.folder)
    embeddings = item_embeddings(dataset, folder / "embeddings") if config.signals.embeddings else None
    prepared = count(dataset, config.data.tie_seed, config.signals, embeddings)
    return Tasks(prepared, config, asked_before(folder, config))


def by_id(tasks: Tasks) -> dict[str, RankingTask]:
    """The tasks that a teacher is asked: taught ones, and those of both evaluations."""
    asked = [tasks.taught[0], tasks.validation("A")[0], tasks.validation("B")[0], tasks.test[0]]
    return {task.task_id: task for part in asked for task in part}
