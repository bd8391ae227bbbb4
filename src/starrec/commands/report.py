"""`starrec report`: evaluations side by side.

What the command needs is imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from starrec.terminal import output, text


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER FOLDER...", help="Evaluated runs, or rows of a suite.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page to write.")] = Path(
        "side_by_side.html"
    ),
) -> None:
    """Put two or more evaluations side by side in one HTML file: every system, and how each differs on the same
    tasks.

    \b
    Examples:
      starrec report runs/demo runs/mine
      starrec report runs/bench/smoke/tiny runs/demo --out compared.html
    """
    from starrec.evaluation.side_by_side import write_side_by_side

    write_side_by_side(out, folders)
    output().print(text(str(out)))
