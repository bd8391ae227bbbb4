"""The bars of the teaching run, one command a row.

    .venv/bin/python benchmarks/teaching.py ROW [options]

Each row prints what it measured and keeps it as `benchmarks/results/teaching_ROW.json`.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from starrec.config import load_toml
from starrec.engines import Workers
from starrec.errors import StarrecError
from starrec.evaluation import environment
from starrec.pipeline import Pipeline, RunConfig
from starrec.pipeline.tasks import Tasks
from starrec.teacher import missing, teach
from starrec.trajectories import Canonical, Key, Store, read, target_columns

RESULTS: Final = Path(__file__).parent / "results"
WORK: Final = Path("runs/benchmarks/teaching")

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
RunFolder = Annotated[Path, typer.Option("--run", help="Run folder whose data and settings are used.")]


@app.callback()
def rows() -> None:
    """One row a command."""


@app.command()
def kill(
    run: RunFolder = Path("runs/demo"),
    tasks: Annotated[int, typer.Option(min=1, help="Tasks, one run each.")] = 500,
    kills: Annotated[int, typer.Option(min=0)] = 10,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
) -> None:
    """kill -9 at random moments, each time gone on with: all runs, once, as if nobody had been killed."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    config = load_toml(run / "config.toml", RunConfig)
    with Pipeline.open(run, config) as pipeline:
        prepared = pipeline.signals()
    chosen, targets = Tasks(prepared, config).taught
    chosen = chosen[:tasks]
    (WORK / "work").write_bytes(pickle.dumps((prepared.world, chosen, target_columns(chosen, targets))))
    undisturbed = _teach(WORK / "undisturbed", None)
    moments = random.Random(seed)
    stored = []
    while len(stored) < kills:
        # While runs are stored, and over all of the run: what is left has an equal share for each kill to come.
        left = tasks - len(_canonical(WORK / "killed"))
        share = undisturbed * left / tasks / (kills - len(stored) + 1)
        _teach(WORK / "killed", moments.uniform(0.0, 1.6 * share))
        stored.append(len(_canonical(WORK / "killed")))
        print(f"killed with {stored[-1]} of {tasks} runs stored", flush=True)
    _teach(WORK / "killed", None)
    expected, found = _canonical(WORK / "undisturbed"), _canonical(WORK / "killed")
    lines = sum(1 for _ in read(WORK / "killed"))
    _keep(
        "kill",
        {
            "tasks": tasks,
            "kills": kills,
            "stored_at_kills": stored,
            "trajectories": lines,
            "distinct": len(found),
            "canonical_forms_equal": sum(found.get(key) == canonical for key, canonical in expected.items()),
            "byte_equal": {key: repr(form).encode() for key, form in found.items()}
            == {key: repr(form).encode() for key, form in expected.items()},
        },
    )


@app.command(hidden=True)
def work(folder: Path) -> None:
    """What is killed: teach, and say when the processes are up."""
    world, tasks, columns = pickle.loads((WORK / "work").read_bytes())
    with Store(folder) as store, Workers(world, 2) as workers:
        for ended in teach(workers, missing(tasks, 1, store), columns, store, 0, batch=4):
            print(len(ended), flush=True)


def _teach(folder: Path, moment: float | None) -> float:
    """Teach in another process, killed so many seconds after its first batch; seconds that it taught."""
    command = [sys.executable, __file__, "work", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        started = time.monotonic()
        if moment is not None:
            time.sleep(moment)
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.read()
    if moment is None and (process.returncode or not first):
        raise StarrecError(f"Teaching into {folder} failed; see above.")
    return time.monotonic() - started


def _canonical(folder: Path) -> dict[Key, Canonical]:
    return {(run.task_id, run.run): run.canonical() for run in read(folder)}


def _keep(row: str, content: Mapping[str, Any]) -> None:
    result = {"row": row, **content, "environment": environment()}
    text = json.dumps(result, indent=1, ensure_ascii=False)
    print(text)
    (RESULTS / f"teaching_{row}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    app()
