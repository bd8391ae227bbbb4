"""`starrec export`: a run's language-model student as a folder for others.

What the command needs is imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from starrec.commands.options import RunOption, run_folder
from starrec.errors import RunError
from starrec.terminal import announce, output


def export(
    into: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    run: RunOption = None,
    adapter: Annotated[
        bool,
        typer.Option("--adapter", help="Leave low-rank adapters beside their base.", show_default=False),
    ] = False,
    gguf: Annotated[
        bool,
        typer.Option(
            "--gguf",
            help="Also write student.gguf, for llama.cpp, where the base is a GGUF file (`smollm2` is).",
            show_default=False,
        ),
    ] = False,
) -> None:
    """Write the student of a run, a language model, as a folder of transformers with a model card.

    \b
    Examples:
      starrec export --run runs/smollm2 exported
      starrec export --run runs/smollm2 --gguf exported
    """
    from starrec.evaluation import read_results
    from starrec.runs import current_product
    from starrec.student.lm.export import export_language_model

    folder = run_folder(None, run)
    student = current_product(folder, "distill")
    if student is None:
        raise RunError(f"{folder} holds no finished student. Make one with `starrec run --run {folder}`.")
    results = folder / "results.json"
    export_language_model(
        student.path("star"),
        into,
        read_results(results) if results.exists() else None,
        adapter=adapter,
        gguf=gguf,
    )
    announce(output(), f"exported to {into}")
