"""`starrec refresh`: new interactions into a finished run, every night.

What the command needs is imported when it runs.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from starrec.commands.opening import counting_bars, data_settings, open_pipeline
from starrec.commands.options import DEMO, GRACE, GraceOption, file_options
from starrec.errors import StarrecError
from starrec.terminal import announce, progress


@file_options
def refresh(
    run: Annotated[Path, typer.Option("--run", metavar="FOLDER", help="A finished run.")] = DEMO,
    interactions: Annotated[
        Path | None,
        typer.Option(
            "--interactions",
            metavar="FILE",
            help="New interactions, in any known format, to be counted first.",
            show_default=False,
        ),
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option("--items", metavar="FILE", help="Items that the run does not know.", show_default=False),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            metavar="N",
            help="Of training on. Left out: a sixth of a full run's default.",
            show_default=False,
        ),
    ] = None,
    grace: GraceOption = GRACE,
    *,
    overrides: dict[str, Any],
) -> None:
    """Count new interactions, train the student on with them, and serve it unless it is worse than before.

    What updates and events brought into the evidence since is taken in as well. Both students are compared on
    validation users of today's data; a server that runs takes the new one in by itself.

    \b
    Examples:
      starrec refresh --run runs/mine --interactions today.csv
      starrec refresh --run runs/mine --interactions today.csv --items new_items.csv
      starrec events feed --run runs/mine && starrec refresh --run runs/mine
    """
    from starrec.pipeline.additions import add_interactions

    if items is not None and interactions is None:
        raise StarrecError("--items comes with --interactions: items that nobody took say nothing yet.")
    if interactions is not None:
        with progress() as shown, counting_bars(shown) as bar:
            options = data_settings(run, overrides)
            told = partial(announce, shown.console)
            add_interactions(run, interactions, items, options, grace=grace, announce=told, bar=bar)
    with open_pipeline(run, None, False) as pipeline:
        pipeline.refresh(steps)
