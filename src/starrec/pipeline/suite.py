"""A suite: rows of runs that together make a table of a benchmark (`starrec bench`).

A row is a base configuration with overrides, trained with one or several seeds. Its runs lie in one run folder,
so its seeds share data and the teacher's runs, and each has a student and an evaluation of its own. A row may
add to an earlier one (`adds_to`): it works in that row's run folder and its systems join that row's outcome, so
that a table too long for one sitting can be made in several.

    OUT/SUITE/ROW/run/           the run folder of a row that does not add to another
    OUT/SUITE/ROW/seed-N/        ranks.parquet and results.json of each training seed
    OUT/SUITE/ROW/ranks.parquet, results.json     the outcome (`evaluation.merging`)
    OUT/SUITE/ROW/row.json       what the row was made of, and how long it took

A suite that was stopped, or killed, goes on where it was: runs resume as runs do, and a seed whose evaluation
is complete is not opened again while its inputs stay.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import Field, field_validator

from starrec.config import Section, load_toml, parse_values
from starrec.errors import ConfigError
from starrec.pipeline.config import RunConfig

DATA: Final = "STARREC_DATA"
"""Environment variable that names the folder of datasets which the project does not ship."""


class RowConfig(Section):
    """`[[rows]]` of a suite."""

    name: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        description="Name of the row, and of its folder.",
    )
    config: Path = Field(description="Base configuration, relative to the suite.")
    overrides: dict[str, Any] = Field(
        {},
        description="Keys set over the base, such as `data.draws = 1`. Paths of `data` are relative to the "
        "dataset that the row needs, else to the suite.",
    )
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="Training seeds (`student.seed`).")
    further_seeds: dict[str, Any] = Field(
        {},
        description="Keys set over `overrides` for all seeds but the first: what does not depend on the "
        "training seed is measured once.",
    )
    needs: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description=f"Dataset that the row reads: a folder of the folder that {DATA} names.",
    )
    adds_to: str | None = Field(
        None, description="Earlier row in whose run folder this one works, and whose outcome its systems join."
    )


class DatasetConfig(Section):
    """`[datasets.NAME]` of a suite: where a dataset that rows need comes from."""

    source: str = Field(description="Public source.")
    sha256: dict[str, str] = Field({}, description="SHA-256 by file.")


class SuiteConfig(Section):
    """A suite file."""

    title: str = Field(description="What the suite measures.")
    datasets: dict[str, DatasetConfig] = Field({}, description="Datasets that rows need.")
    rows: tuple[RowConfig, ...] = Field(description="Rows, in the order in which they are run.")

    @field_validator("rows")
    @classmethod
    def _some(cls, rows: tuple[RowConfig, ...]) -> tuple[RowConfig, ...]:
        if not rows:
            raise ValueError("a suite has at least one row")
        return rows


@dataclass(frozen=True)
class Row:
    """A row with its configurations resolved."""

    name: str
    seeds: tuple[int, ...]
    configs: tuple[RunConfig, ...]
    """One for each seed."""
    adds_to: str | None
    missing: str | None
    """Why it cannot be run here, and what to set; None where it can."""

    @property
    def home(self) -> str:
        """The row in whose run folder it works."""
        return self.adds_to or self.name


@dataclass(frozen=True)
class Suite:
    """A suite with all its rows resolved."""

    name: str
    title: str
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """The row of that name.

        Raises:
            ConfigError: there is none; the message names near ones.
        """
        names = [row.name for row in self.rows]
        if name not in names:
            close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise ConfigError(f"Suite {self.name} has no row {name!r}.{hint} Its rows are {', '.join(names)}.")
        return self.rows[names.index(name)]


def load_suite(path: Path) -> Suite:
    """Read a suite and resolve every row, so that nothing is run of a suite with a mistake in it.

    Raises:
        ConfigError: the file, a base configuration or an override is wrong; the message names suite, row and
            key.
    """
    config = load_toml(path, SuiteConfig)
    rows: dict[str, Row] = {}
    for given in config.rows:
        where = f"{path}, row {given.name!r}"
        if given.name in rows:
            raise ConfigError(f"{where}: there are two rows of this name. Rename one.")
        rows[given.name] = row = _resolved(given, path, where, config.datasets)
        if given.adds_to is not None:
            _require_same_tasks(row, rows, where)
    return Suite(path.stem, config.title, tuple(rows.values()))


def _resolved(row: RowConfig, suite: Path, where: str, datasets: Mapping[str, DatasetConfig]) -> Row:
    if len(set(row.seeds)) != len(row.seeds):
        raise ConfigError(f"{where}: `seeds` holds a seed twice: {list(row.seeds)}.")
    if row.needs is not None and row.needs not in datasets:
        raise ConfigError(
            f"{where}: it needs {row.needs!r}, of which the suite says nothing. Add a table "
            f"[datasets.{row.needs}] with its public `source`."
        )
    base = suite.parent / row.config
    values = _base_values(base, where)
    folder, missing = suite.parent, None
    if row.needs is not None:
        folder = Path(os.environ.get(DATA, "data")) / row.needs
        if not folder.is_dir():
            missing = (
                f"it needs {row.needs}, and there is no folder {folder}. Set {DATA} to the folder that holds "
                f"{row.needs} (public source: {datasets[row.needs].source})."
            )
    for part in (row.overrides, row.further_seeds):
        if isinstance(student := part.get("student"), Mapping) and "seed" in student:
            raise ConfigError(f"{where}: `student.seed` is what `seeds` sets. Leave it out of the overrides.")
    configs = []
    for place, seed in enumerate(row.seeds):
        layers = [row.overrides, *([row.further_seeds] if place else []), {"student": {"seed": seed}}]
        merged = values
        for layer in layers:
            merged = _merged(merged, layer)
        config = parse_values(merged, RunConfig, source=where)
        configs.append(_with_paths(config, row, folder))
    if any(config.data != configs[0].data for config in configs):
        raise ConfigError(
            f"{where}: `further_seeds` changes `data`, so the seeds would have other tasks. Set `data` in "
            "`overrides`, for all seeds."
        )
    return Row(row.name, row.seeds, tuple(configs), row.adds_to, missing)


def _base_values(path: Path, where: str) -> dict[str, Any]:
    """The content of a base configuration, which is valid by itself."""
    if not path.is_file():
        raise ConfigError(f"{where}: there is no configuration {path}. `config` is relative to the suite.")
    try:
        load_toml(path, RunConfig)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = _merged(below, value)
        merged[key] = value
    return merged


def _with_paths(config: RunConfig, row: RowConfig, folder: Path) -> RunConfig:
    """The configuration with those paths of `data` that the row sets found in the folder."""
    set_here = set(row.overrides.get("data", {})) | set(row.further_seeds.get("data", {}))
    found = {name: folder / path for name, path in config.data.files.items() if name in set_here}
    if config.data.local is not None and "local" in set_here:
        found["local"] = folder / config.data.local
    return config.model_copy(update={"data": config.data.model_copy(update=found)})


def _require_same_tasks(row: Row, rows: Mapping[str, Row], where: str) -> None:
    base = rows.get(row.adds_to or "")
    if base is None or base is row or base.adds_to is not None:
        earlier = ", ".join(name for name, each in rows.items() if each.adds_to is None and each is not row)
        raise ConfigError(
            f"{where}: `adds_to` must name an earlier row that adds to none itself, not {row.adds_to!r}. "
            f"Such rows are: {earlier or 'none'}."
        )
    if any(config.data != base.configs[0].data for config in row.configs):
        raise ConfigError(
            f"{where}: it adds to {base.name!r}, but its `data` are others, so its tasks would be. Give both "
            "the same, or leave `adds_to` out."
        )
