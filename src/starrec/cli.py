"""The command line: thin commands around the pipeline, and the configuration that they work with.

A command finds its configuration in the file that it is given, else in the run folder, else in the defaults;
flags for a user's own files set keys of `[data]` over it. How commands speak, and how they end, is `terminal`.

What a command needs is imported when it runs: `starrec --help` must not wait for a tensor library.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from starrec import __version__
from starrec.errors import DataError, StarrecError
from starrec.terminal import (
    Commands,
    announce,
    progress,
    show_next_steps,
    show_recommendation,
    show_results,
    show_signals,
)

if TYPE_CHECKING:
    from starrec.pipeline import Pipeline, RunConfig

_RUNS: Final = Path("runs")
_DEMO: Final = _RUNS / "demo"

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

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
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Delete what the run folder holds and start over.", show_default=False)
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


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"starrec {__version__}")
        raise typer.Exit


@app.callback()
def _starrec(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A recommender that reasons like a team of agents and answers like a single model (STAR).

    From raw interactions to a distilled recommender: `starrec run`. Then `starrec recommend`.
    """


@app.command()
def run(
    config: ConfigOption = None,
    run: RunOption = None,
    fresh: FreshOption = False,
    interactions: InteractionsOption = None,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    delimiter: DelimiterOption = None,
    skip_bad_rows: SkipOption = None,
    local: LocalOption = None,
) -> None:
    """The whole road: data, signals, teach, distill, evaluate, and a report.

    What is done already is skipped; a command that was stopped, or killed, goes on where it was.

    \b
    Examples:
      starrec run --config configs/demo.toml
      starrec run --interactions my.csv --items my_items.csv
      starrec run --interactions log.parquet --items goods.jsonl --run runs/shop
      starrec run --interactions my.csv --items my_items.csv --column timestamp=when
    """
    overrides = _overrides(interactions, items, users, column, delimiter, skip_bad_rows, local)
    folder = _folder(config, run, interactions)
    with _pipeline(folder, config, fresh, overrides) as pipeline:
        results = pipeline.run()
    show_results(results, example=True)
    examples = results["worked_examples"]
    show_next_steps(folder, examples[0]["history"][-2:] if examples else ["A title"])


@app.command()
def data(
    config: ConfigOption = None,
    run: RunOption = None,
    fresh: FreshOption = False,
    interactions: InteractionsOption = None,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    delimiter: DelimiterOption = None,
    skip_bad_rows: SkipOption = None,
    local: LocalOption = None,
) -> None:
    """Read and check the interactions and items.

    \b
    Examples:
      starrec data --config configs/demo.toml
      starrec data --config configs/demo.toml --local ~/Downloads/ml-100k.zip
      starrec data --interactions my.csv --items my_items.csv --delimiter ';' --skip-bad-rows
    """
    overrides = _overrides(interactions, items, users, column, delimiter, skip_bad_rows, local)
    with _pipeline(_folder(config, run, interactions), config, fresh, overrides) as pipeline:
        pipeline.data()


@app.command()
def signals(config: ConfigOption = None, run: RunOption = None, fresh: FreshOption = False) -> None:
    """Build the interaction graph and say some of what it holds.

    \b
    Examples:
      starrec signals --config configs/demo.toml
      starrec signals --run runs/mine
    """
    with _pipeline(_folder(config, run), config, fresh) as pipeline:
        prepared = pipeline.signals()
    show_signals(prepared)


@app.command()
def teach(config: ConfigOption = None, run: RunOption = None, fresh: FreshOption = False) -> None:
    """Let the teacher reason over training tasks, and keep every run as a trajectory.

    \b
    Examples:
      starrec teach --config configs/demo.toml
      starrec teach --run runs/mine
    """
    with _pipeline(_folder(config, run), config, fresh) as pipeline:
        pipeline.teach()


@app.command()
def distill(config: ConfigOption = None, run: RunOption = None, fresh: FreshOption = False) -> None:
    """Train the student on what the teacher did well (SFT), then by reward (GRPO).

    \b
    Examples:
      starrec distill --config configs/demo.toml
      starrec distill --run runs/mine
    """
    with _pipeline(_folder(config, run), config, fresh) as pipeline:
        pipeline.distill()


@app.command()
def evaluate(
    config: ConfigOption = None,
    run: RunOption = None,
    fresh: FreshOption = False,
    recompute: Annotated[
        bool,
        typer.Option(
            "--recompute",
            help="Only compute results.json again from ranks.parquet; no model is asked.",
            show_default=False,
        ),
    ] = False,
) -> None:
    """Compare student, teacher and simple peers on the test tasks; write results.json and report.html.

    \b
    Examples:
      starrec evaluate --config configs/demo.toml
      starrec evaluate --run runs/demo --recompute
    """
    folder = _folder(config, run)
    if recompute:
        from starrec.evaluation import recompute as compute_again

        if fresh:
            raise StarrecError("--recompute reads what --fresh would delete. Give one of them.")
        results = compute_again(folder / "results" / "ranks.parquet", folder / "results.json")
    else:
        with _pipeline(folder, config, fresh) as pipeline:
            results = pipeline.evaluate()
    show_results(results)


@app.command()
def recommend(
    history: Annotated[
        list[str],
        typer.Option(
            "--history", metavar="TITLE", help="What the person took, oldest first. Repeat for each item."
        ),
    ],
    run: Annotated[Path, typer.Option("--run", metavar="FOLDER", help="Folder of a finished run.")] = _DEMO,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="How many items to recommend.")] = 10,
    think: Annotated[
        bool,
        typer.Option(
            "--think",
            help="Write the whole reasoning: plan, tool calls, answers, reflection.",
            show_default=False,
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of a table.", show_default=False)
    ] = False,
) -> None:
    """Recommend items for anyone's history, each with its reason. Titles need not be exact.

    \b
    Examples:
      starrec recommend --run runs/demo --history "Star Wars" --history "Fargo" --top 10
      starrec recommend --run runs/demo --history "Star Wars" --think
      starrec recommend --run runs/mine --history "Blue mug" --json
    """
    from starrec.serving import Recommender

    recommender = Recommender.open(run)
    taken = [recommender.match(title) for title in history]
    titles = recommender.dataset.titles
    answer = recommender.recommend(taken, top, think=think)
    show_recommendation([titles[item] for item in taken], answer, as_json=as_json)


def main() -> None:
    """The `starrec` command."""
    # The libraries' own bars for saving and loading a small model would stand between ours.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # Threads that spin while they wait take the cores from whoever should let them go on: on two cores that
    # something else used as well, the smallest run took 319 s so, and 64 s with threads that sleep. Read when
    # torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    app(prog_name="starrec")


# What a command works on


def _folder(config: Path | None, run: Path | None, interactions: Path | None = None) -> Path:
    """The run folder that was named, or the one that a configuration's or a data file's name stands for."""
    if run is not None:
        return run
    named = config or interactions
    return _DEMO if named is None else _RUNS / named.name.split(".")[0]


def _configuration(folder: Path, config: Path | None, overrides: Mapping[str, Any]) -> RunConfig:
    """The configuration in a file, or of an existing run folder, or the default one; with overrides of
    `[data]`."""
    from starrec.config import dump_toml, load_toml, parse_toml
    from starrec.pipeline import RunConfig

    recorded = folder / "config.toml"
    source = config or (recorded if recorded.is_file() else None)
    base = load_toml(source, RunConfig) if source else RunConfig()
    if not overrides:
        return base
    columns = base.data.columns.model_copy(update=overrides.get("columns"))
    section = base.data.model_copy(update={**overrides, "columns": columns})
    # Through TOML and back, so that what was typed is checked like what is written in a file.
    return parse_toml(dump_toml(base.model_copy(update={"data": section})), RunConfig, "The command line")


def _overrides(
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
        "columns": _columns(column) if column else None,
    }
    return {key: value for key, value in set_keys.items() if value is not None}


def _columns(given: Sequence[str]) -> dict[str, str]:
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
def _pipeline(
    folder: Path, config: Path | None, fresh: bool, overrides: Mapping[str, Any] | None = None
) -> Iterator[Pipeline]:
    from starrec.pipeline import Pipeline

    resolved = _configuration(folder, config, overrides or {})
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    with progress() as bars:
        try:
            with Pipeline.open(
                folder,
                resolved,
                fresh=fresh,
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
    if folder is None or (folder / "steps.json").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    for parent in missing[1:]:
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()
