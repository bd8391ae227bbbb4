"""What commands share: their options, and the configuration and run folder that these stand for.

A command finds its configuration in the file that it is given, else in the run folder, else in the defaults;
flags for a user's own files set keys of `[data]` over it.
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from starrec.errors import DataError, StarrecError
from starrec.terminal import announce, progress

if TYPE_CHECKING:
    from starrec.pipeline import Pipeline, RunConfig

_RUNS: Final = Path("runs")
DEMO: Final = _RUNS / "demo"
"""The run that commands mean unless told."""

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration (TOML). Left out: the run folder's own, or the defaults.",
        show_default=False,
    ),
]
RunOption = Annotated[
    Path | None,
    typer.Option(
        "--run",
        metavar="FOLDER",
        help="Run folder. Left out: runs/NAME after --config or --interactions, else runs/demo.",
        show_default=False,
    ),
]
UpdateDataOption = Annotated[
    bool,
    typer.Option(
        "--update-data",
        help="Take in your files as they are now, where they changed since the run read them.",
        show_default=False,
    ),
]
InteractionsOption = Annotated[
    Path | None,
    typer.Option(
        "--interactions",
        metavar="FILE",
        help="Your interactions: user_id, item_id, timestamp or position, rating if any. "
        ".csv, .tsv (also .gz), .parquet or .jsonl.",
        show_default=False,
    ),
]
ItemsOption = Annotated[
    Path | None,
    typer.Option(
        "--items",
        metavar="FILE",
        help="Your items: item_id, title, and categories (a|b) and year if any.",
        show_default=False,
    ),
]
UsersOption = Annotated[
    Path | None,
    typer.Option("--users", metavar="FILE", help="Your users' attributes; optional.", show_default=False),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=COLUMN",
        help="What a column is called in your files, such as timestamp=when. Repeatable.",
        show_default=False,
    ),
]
DelimiterOption = Annotated[
    str | None,
    typer.Option(
        "--delimiter", metavar="CHARACTER", help="What separates columns in your files.", show_default=False
    ),
]
SkipOption = Annotated[
    bool | None,
    typer.Option(
        "--skip-bad-rows/--refuse-bad-rows",
        help="Leave out rows that cannot be used, and count them, instead of refusing the file.",
        show_default=False,
    ),
]
LocalOption = Annotated[
    Path | None,
    typer.Option(
        "--local",
        metavar="PATH",
        help="A local copy of MovieLens-100K (folder or zip), instead of fetching it.",
        show_default=False,
    ),
]


def run_folder(config: Path | None, run: Path | None, interactions: Path | None = None) -> Path:
    """The run folder that was named, or the one that a configuration's or a data file's name stands for."""
    if run is not None:
        return run
    named = config or interactions
    return DEMO if named is None else _RUNS / named.name.split(".")[0]


def _configuration(
    folder: Path, config: Path | None, overrides: Mapping[str, Any], notify: Callable[[str], None]
) -> RunConfig:
    """The configuration in a file, or of an existing run folder, or the default one; with overrides of
    `[data]`."""
    from starrec.config import dump_toml, load_recorded, load_toml, parse_toml
    from starrec.pipeline import RunConfig

    recorded = folder / "config.toml"
    if config is not None:
        base = load_toml(config, RunConfig)
    elif recorded.is_file():
        base, unknown = load_recorded(recorded, RunConfig)
        if unknown:
            notify(f"{recorded}: left out what this release does not know: {', '.join(unknown)}")
    else:
        base = RunConfig()
    if not overrides:
        return base
    columns = base.data.columns.model_copy(update=overrides.get("columns"))
    section = base.data.model_copy(update={**overrides, "columns": columns})
    # Through TOML and back, so that what was typed is checked like what is written in a file.
    return parse_toml(dump_toml(base.model_copy(update={"data": section})), RunConfig, "The command line")


def data_overrides(
    interactions: Path | None,
    items: Path | None,
    users: Path | None,
    column: Sequence[str] | None,
    delimiter: str | None,
    skip_bad_rows: bool | None,
    local: Path | None,
) -> dict[str, Any]:
    """The keys of `[data]` that were set on the command line."""
    if (interactions is None) != (items is None):
        given, missing = ("--items", "--interactions") if items else ("--interactions", "--items")
        raise StarrecError(f"{given} needs {missing}: your own data are both, interactions and items.")
    if interactions and local:
        raise StarrecError("--local is a copy of MovieLens-100K; with --interactions there is no use for it.")
    set_keys: dict[str, Any] = {
        "source": "tables" if interactions else None,
        "interactions": interactions,
        "items": items,
        "users": users,
        # A tab is hard to type, and `\t` is what people type.
        "delimiter": "\t" if delimiter == "\\t" else delimiter,
        "skip_bad_rows": skip_bad_rows,
        "local": local,
        "columns": column_map(column) if column else None,
    }
    return {key: value for key, value in set_keys.items() if value is not None}


def column_map(given: Sequence[str]) -> dict[str, str]:
    from starrec.data import ColumnMap

    names = list(ColumnMap.model_fields)
    mapped = {}
    for pair in given:
        name, equals, column = pair.partition("=")
        if name not in names or not column:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {close[0]}?" if equals and close and close[0] != name else ""
            raise StarrecError(
                f"--column {pair!r} is not of the form NAME=COLUMN, with NAME one of {', '.join(names)}.{hint}"
            )
        mapped[name] = column
    return mapped


@contextmanager
def open_pipeline(
    folder: Path, config: Path | None, update_data: bool, overrides: Mapping[str, Any] | None = None
) -> Iterator[Pipeline]:
    from starrec.pipeline import Pipeline

    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    with progress() as bars:
        resolved = _configuration(folder, config, overrides or {}, partial(announce, bars.console))
        try:
            with Pipeline.open(
                folder,
                resolved,
                update_data=update_data,
                announce=partial(announce, bars.console),
                progress=bars,
            ) as pipeline:
                yield pipeline
        except DataError:
            _discard_unstarted(missing)
            raise


def _discard_unstarted(missing: Sequence[Path]) -> None:
    """Remove a run folder that this command made and in which nothing was completed, with the parents made
    for it: data that were refused leave nothing behind that would refuse their mended form."""
    folder = missing[0] if missing else None
    if folder is None or (folder / "data").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    for parent in missing[1:]:
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()
