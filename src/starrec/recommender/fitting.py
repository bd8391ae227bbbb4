"""From interactions to a recommender in one call: the whole pipeline over frames or files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from starrec.config import load_toml, parse_values
from starrec.errors import StarrecError
from starrec.pipeline.config import RunConfig
from starrec.pipeline.serving import open_serving
from starrec.recommender.recommender import Recommender
from starrec.runs import write_atomic

_GIVEN: Final = "given"
"""Folder in a run that holds the frames that it was fitted on."""


def fit(
    interactions: pl.DataFrame | Path | str,
    items: pl.DataFrame | Path | str,
    *,
    run: Path | str,
    config: Path | str | Mapping[str, Any] | None = None,
    announce: Callable[[str], None] = print,
) -> Recommender:
    """Run the whole pipeline, evaluation included, and open what it made. What is done already is skipped, so
    the same call goes on where one that was stopped ended.

    Args:
        interactions: `user_id, item_id, timestamp | position[, rating]`, a frame or a file (CSV, TSV, JSON
            Lines, Parquet).
        items: `item_id, title[, categories, year]`, likewise.
        run: folder of the run; made where it is missing.
        config: a TOML file or its content as a mapping, such as `{"teacher": {"runs": 2}}`.
        announce: called with a line for every step.

    Raises:
        DataError: the data are wrong; the message says where.
        ConfigError: the configuration is.
        RunError: another process works on the run.
    """
    # Imports what trains and evaluates, which whoever only loads a run does without.
    from starrec.pipeline import Pipeline

    folder = Path(run)
    given = {"interactions": interactions, "items": items}
    files = {name: _file(folder, name, table) for name, table in given.items()}
    base = (
        load_toml(Path(config), RunConfig)
        if isinstance(config, (str, Path))
        else parse_values(dict(config or {}), RunConfig, "config")
    )
    data = base.data.model_copy(update={"source": "tables", **files})
    with Pipeline.open(
        folder, base.model_copy(update={"data": data}), update_data=True, announce=announce
    ) as pipeline:
        # Into a folder that is a run's, and that no other process works on.
        for name, table in given.items():
            if isinstance(table, pl.DataFrame):
                files[name].parent.mkdir(exist_ok=True)
                write_atomic(files[name], table.write_parquet)
        pipeline.run()
    return Recommender(open_serving(folder))


def _file(folder: Path, name: str, table: pl.DataFrame | Path | str) -> Path:
    """Where a table lies; for a frame, in the run."""
    if isinstance(table, (str, Path)):
        return Path(table)
    if not isinstance(table, pl.DataFrame):
        raise StarrecError(
            f"`{name}` is a polars.DataFrame or the path of a file, not {type(table).__name__}. For pandas: "
            f"polars.from_pandas({name})."
        )
    return folder / _GIVEN / f"{name}.parquet"
