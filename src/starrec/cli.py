"""The command line: thin commands around the pipeline, and how they speak.

Results go to standard output, everything on the way (what is being done, how long it will take, what went
wrong) to standard error, so that output can be piped. A `StarrecError` is the user's to mend: it is shown as
one paragraph, its text never read as console markup, and ends the command with code 2. Anything else is a bug
and keeps its traceback.

What a command needs is imported when it runs: `starrec --help` must not wait for a tensor library.
"""

from __future__ import annotations

import difflib
import errno
import json
import re
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from starrec import __version__
from starrec.errors import DataError, StarrecError

if TYPE_CHECKING:
    from rich.progress import Progress

    from starrec.pipeline import Pipeline, Recommendation, RunConfig

_RUNS: Final = Path("runs")
_DEMO: Final = _RUNS / "demo"
_TICK_SECONDS: Final = 20.0
_EXTRAS: Final = {
    "torch": "train",
    "transformers": "train",
    "tokenizers": "train",
    "safetensors": "train",
    "plotly": "report",
    "pydantic_ai": "llm",
}
"""Which extra brings a package that the base installation leaves out."""
_FULL_OR_FORBIDDEN: Final = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _Commands(TyperGroup):
    """All commands end the same way, whatever happens in them."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except StarrecError as error:
            _fail(str(error))
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            _fail(f"This needs {error.name}, which is not installed: pip install 'starrec[{extra}]'")
        except OSError as error:
            if error.errno not in _FULL_OR_FORBIDDEN:
                raise
            _fail(
                f"{error.filename or 'The disk'}: {error.strerror}. What is done so far is kept: mend that and "
                "run the same command again, or choose another folder with --run."
            )
        except KeyboardInterrupt:
            Console(stderr=True).print("stopped; run the same command to go on")
            raise typer.Exit(130) from None
        raise typer.Exit(2)


def _fail(message: str) -> None:
    console = Console(stderr=True)
    paragraph = re.sub(r"\s*\n\s*", " ", message.strip())
    # Where nobody looks at a screen, one line: it can be searched and copied.
    console.print(_text("error: ", "bold red").append(_text(paragraph)), soft_wrap=not console.is_terminal)


def _text(content: str, style: str = "") -> Text:
    """Text as it is: no markup is read in it, and nothing in it can steer a terminal."""
    return Text(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", content), style=style)


app = typer.Typer(
    cls=_Commands,
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
    _show_results(results, example=True)
    _show_next_steps(folder, _catalogue_title(results))


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
        pipeline.signals()


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
    _show_results(results)


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
    from starrec.pipeline import Recommender

    recommender = Recommender.open(run)
    taken = [recommender.match(title) for title in history]
    titles = recommender.catalogue.titles
    answer = recommender.recommend(taken, top, think)
    _show_recommendation([titles[item] for item in taken], answer, as_json=as_json)


def main() -> None:
    """The `starrec` command."""
    app(prog_name="starrec")


# What a command works on


def _folder(config: Path | None, run: Path | None, interactions: Path | None = None) -> Path:
    """The run folder that was named, or the one that a configuration's or a data file's name stands for."""
    if run is not None:
        return run
    named = config or interactions
    return _DEMO if named is None else _RUNS / named.name.split(".")[0]


def _configuration(folder: Path, config: Path | None, overrides: Mapping[str, object]) -> RunConfig:
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
) -> dict[str, object]:
    """The keys of `[data]` that were set on the command line."""
    if (interactions is None) != (items is None):
        given, missing = ("--items", "--interactions") if items else ("--interactions", "--items")
        raise StarrecError(f"{given} needs {missing}: your own data are both, interactions and items.")
    if interactions and local:
        raise StarrecError("--local is a copy of MovieLens-100K; with --interactions there is no use for it.")
    set_keys: dict[str, object] = {
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
    folder: Path, config: Path | None, fresh: bool, overrides: Mapping[str, object] | None = None
) -> Iterator[Pipeline]:
    from starrec.pipeline import Pipeline

    resolved = _configuration(folder, config, overrides or {})
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    with _progress() as progress:
        try:
            with Pipeline.open(
                folder,
                resolved,
                fresh=fresh,
                announce=lambda line: progress.console.print(_text(line), highlight=False),
                progress=progress,
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


# How long it takes


@contextmanager
def _progress() -> Iterator[Progress]:
    """Bars with the time left on a terminal; elsewhere (a log, a pipe) a line now and then."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("· left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    if console.is_terminal:
        with progress:
            yield progress
        return
    ended = threading.Event()
    ticker = threading.Thread(target=_tick, args=(progress, ended), daemon=True)
    ticker.start()
    try:
        yield progress
    finally:
        ended.set()
        ticker.join()


def _tick(progress: Progress, ended: threading.Event) -> None:
    while not ended.wait(_TICK_SECONDS):
        for task in progress.tasks:
            if task.started and not task.finished and task.total:
                left = task.time_remaining
                estimate = f", about {left // 60:.0f} min {left % 60:.0f} s left" if left is not None else ""
                done = f"{task.completed:,.0f} of {task.total:,.0f}"
                progress.console.print(_text(f"  {task.description}: {done}{estimate}"), highlight=False)


# What a command says in the end


def _show_results(results: Mapping[str, Any], *, example: bool = False) -> None:
    from starrec.evaluation import print_results, worked_example

    console = _output()
    console.print()
    print_results(console, results)
    if example and results.get("worked_examples"):
        console.print()
        console.print(worked_example(results["worked_examples"][0]))


def _catalogue_title(results: Mapping[str, Any]) -> str:
    examples = results.get("worked_examples") or [{"history": ["A title"]}]
    return str(examples[0]["history"][-1])


def _show_next_steps(folder: Path, title: str) -> None:
    import shlex

    command = Path(sys.argv[0])
    starrec = str(command) if command.name == "starrec" and command.parent != Path() else "starrec"
    recommend = f"{starrec} recommend --run {shlex.quote(str(folder))} --history {shlex.quote(title)}"
    console = _output()
    console.print()
    console.print("What to do next", style="bold")
    for what, how in (
        ("recommend for anyone's history", recommend),
        ("see why, step by step", f"{recommend} --think"),
        ("open the report in a browser", str(folder / "report.html")),
        ("use your own data", f"{starrec} run --interactions my.csv --items my_items.csv"),
    ):
        console.print(Text.assemble(f"  {what}:\n    ", _text(how, "cyan")), soft_wrap=True)


def _show_recommendation(history: Sequence[str], answer: Recommendation, *, as_json: bool) -> None:
    if as_json:
        content = {
            "history": list(history),
            "recommendations": [
                {"rank": row.rank, "title": row.title, "reason": row.reason} for row in answer.rows
            ],
            "trace": [{"agent": agent, "kind": kind, "text": text} for agent, kind, text in answer.trace],
            "repairs": list(answer.repairs),
        }
        print(json.dumps(content, ensure_ascii=False, indent=1))
        return
    from rich.table import Table

    from starrec.data import plain

    console = _output()
    console.print(_text("After ").append(_text(", ".join(history), "bold")))
    for agent, kind, text in answer.trace:
        console.print()
        console.print(_text(f"{agent} · {kind.replace('_', ' ')}", "bold"))
        console.print(_text(f"  {plain(text)}"), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("recommendation", style="bold")
    table.add_column("because")
    for row in answer.rows:
        table.add_row(str(row.rank), _text(row.title), _text(plain(row.reason)))
    console.print()
    console.print(table)
    for repair in answer.repairs:
        console.print(_text(f"repaired: {repair}", "dim"))


def _output() -> Console:
    """Standard output; where it is no terminal, wide enough for a table to keep its rows."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=max(console.width, 120))
