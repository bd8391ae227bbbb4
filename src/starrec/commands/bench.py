"""`starrec bench`: a named suite, row by row.

What the command needs is imported when it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starrec.terminal import announce, output, progress, text

if TYPE_CHECKING:
    from starrec.pipeline import RowState


def bench(
    suite: Annotated[
        Path, typer.Argument(metavar="SUITE.toml", help="The suite, such as configs/suites/smoke.toml.")
    ],
    row: Annotated[
        str | None, typer.Option("--row", metavar="NAME", help="Only this row.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where outcomes are kept.")] = Path(
        "runs/bench"
    ),
    list_: Annotated[
        bool,
        typer.Option("--list", help="Only show the rows and where each stands.", show_default=False),
    ] = False,
) -> None:
    """Run a suite: rows of configurations, each with its training seeds, to one outcome a row.

    What is done is skipped; a command that was stopped, or killed, goes on where it was. A row whose dataset is
    not on this machine is said to be not run here. The outcome of a row is in FOLDER/SUITE/ROW.

    \b
    Examples:
      starrec bench configs/suites/smoke.toml
      starrec bench configs/suites/movielens.toml --list
      starrec bench configs/suites/movielens.toml --row peers
    """
    from starrec.pipeline import Bench, load_suite

    loaded = load_suite(suite)
    if row is not None:
        loaded.row(row)
    bench = Bench(loaded, out)
    if not list_:
        with progress() as bars:
            bench.run(row, partial(announce, bars.console), bars)
    output().print(text(loaded.title, "bold"))
    _show([each for each in bench.states() if row in (None, each.row.name)], bench.folder)


def _show(states: Sequence[RowState], folder: Path) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("row", "state", "seeds", "minutes", "star", "adds to"):
        table.add_column(column, justify="right" if column in ("seeds", "minutes", "star") else "left")
    for each in states:
        table.add_row(
            text(each.row.name),
            text(each.state),
            f"{each.seeds} of {len(each.row.seeds)}",
            f"{each.seconds / 60:.1f}" if each.seconds else "–",
            "–" if each.avg_hr is None else f"{each.avg_hr:.3f}",
            text(each.row.adds_to or ""),
        )
    console = output()
    console.print(table)
    for each in states:
        if each.row.missing is not None:
            console.print(text(f"{each.row.name} is not run here: {each.row.missing}"))
    if any(each.avg_hr is not None for each in states):
        console.print(text(f"outcomes in {folder}/ROW: results.json, ranks.parquet"))
