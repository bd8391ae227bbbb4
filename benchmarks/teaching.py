"""The bars of the teaching run, one command a row.

    .venv/bin/python benchmarks/teaching.py ROW [options]

Each row prints what it measured and keeps it as `benchmarks/results/teaching_ROW.json`.
"""

from __future__ import annotations

import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
import typer

from record import keep
from starrec.config import dump_toml, load_toml
from starrec.data import RankingTask, load_saved_dataset
from starrec.engines import Workers
from starrec.errors import StarrecError
from starrec.pipeline import Pipeline, RunConfig
from starrec.pipeline.tasks import Tasks
from starrec.runs import Product, current_product
from starrec.student import GRPOConfig, NanoConfig, SFTConfig, StudentConfig
from starrec.student.training import Schedule
from starrec.teacher import missing, teach
from starrec.trajectories import (
    Canonical,
    EvidenceOrigin,
    Key,
    Store,
    Teacher,
    count_all,
    open_asked,
    target_columns,
)

WORK: Final = Path("runs/benchmarks/teaching")
STARREC: Final = str(Path(sys.executable).with_name("starrec"))
STAGES: Final = ("sft", "grpo")

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
    keep(
        "teaching_kill",
        {
            "tasks": tasks,
            "kills": kills,
            "stored_at_kills": stored,
            "trajectories": count_all(WORK / "killed" / "runs.sqlite")["runs"],
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
    with _store(folder, tasks) as store, Workers(world, 2) as workers:
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
    if not (folder / "runs.sqlite").exists():
        return {}
    _, tasks, _ = pickle.loads((WORK / "work").read_bytes())
    with _store(folder, tasks) as store:
        return {(run.task_id, run.run): run.canonical() for run in store}


def _store(folder: Path, tasks: list[RankingTask]) -> Store:
    keys = {task.task_id: task.task_id for task in tasks}
    return Store(folder / "runs.sqlite", Teacher("policy"), keys, EvidenceOrigin("counts"))


@app.command()
def distill_kill(
    run: RunFolder = Path("runs/demo"),
    kills: Annotated[int, typer.Option(min=1)] = 10,
    sft: Annotated[int, typer.Option(min=1, help="Steps of the first stage.")] = 400,
    grpo: Annotated[int, typer.Option(min=1, help="Steps of the second stage.")] = 600,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
) -> None:
    """kill -9 of `starrec distill` at random moments of both stages, each time gone on with: the same weights,
    byte for byte, and the same curve as without a kill. Only recorded seconds may differ."""
    shutil.rmtree(WORK, ignore_errors=True)
    config = load_toml(run / "config.toml", RunConfig)
    student = StudentConfig(
        evaluate_every=50,
        nano=NanoConfig(width=64, intermediate=64, heads=2),
        sft=SFTConfig(steps=sft, fast_batch=8, think_batch=2),
        grpo=GRPOConfig(steps=grpo, batch=16, group=16, tasks_per_user=2),
    )
    small = config.model_copy(
        update={
            "data": config.data.model_copy(update={"draws": 1}),
            "teacher": config.teacher.model_copy(update={"tasks_per_user": 1, "runs": 2}),
            "student": student,
        }
    )
    taught = WORK / "taught"
    for name in ("data", "run.json"):
        copy = shutil.copytree if (run / name).is_dir() else shutil.copy2
        taught.mkdir(parents=True, exist_ok=True)
        copy(run / name, taught / name)
    (WORK / "small.toml").write_text(dump_toml(small))
    subprocess.run([STARREC, "teach", "--config", WORK / "small.toml", "--run", taught], check=True)
    for name in ("undisturbed", "killed"):
        shutil.copytree(taught, WORK / name)
    assert _distill(WORK / "undisturbed", None)
    expected = _distilled(WORK / "undisturbed")
    seconds = {stage: expected.facts["stages"][stage]["seconds"] for stage in STAGES}
    moments, steps = random.Random(seed), {"sft": sft, "grpo": grpo}
    killed: list[dict[str, Any]] = []
    while len(killed) < kills:
        # What is left has an equal share for each kill to come; a kill loses half of the time between two
        # checkpoints on average.
        done = _steps_on_disk(WORK / "killed")
        left = sum(seconds[stage] * (1 - done[stage] / steps[stage]) for stage in STAGES)
        share = left / (kills - len(killed) + 1) + Schedule.checkpoint_seconds / 2
        moment = min(moments.uniform(0, 2 * share), left)
        if _distill(WORK / "killed", moment):
            break
        done = _steps_on_disk(WORK / "killed")
        stage = "grpo" if done["sft"] == sft else "sft"
        killed.append({"after_seconds": round(moment, 1), "stage": stage, "steps_on_disk": done[stage]})
        print(f"killed in {stage} with {done[stage]} of {steps[stage]} steps on disk", flush=True)
    else:
        assert _distill(WORK / "killed", None)
    found = _distilled(WORK / "killed")
    keep(
        "teaching_distill_kill",
        {
            "sft_steps": sft,
            "grpo_steps": grpo,
            "undisturbed_seconds": seconds,
            "kills": len(killed),
            "kills_in": {stage: sum(kill["stage"] == stage for kill in killed) for stage in STAGES},
            "killed": killed,
            "precision": [
                [product.facts["stages"][stage]["precision"] for stage in STAGES]
                for product in (expected, found)
            ],
            "files": sorted(_weights(expected)),
            "byte_equal": _weights(found) == _weights(expected),
            "curve_points": sum(map(len, expected.facts["stages"]["curves"].values())),
            "curves_equal": found.facts["stages"]["curves"] == expected.facts["stages"]["curves"],
            "records_equal": _without_seconds(found.facts) == _without_seconds(expected.facts),
        },
    )


def _distill(folder: Path, moment: float | None) -> bool:
    """Run `starrec distill`, killed so many seconds after it has built its model; whether it completed."""
    command = [STARREC, "distill", "--run", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "nano student" in line and moment is not None:
                try:
                    process.wait(moment)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
    if process.returncode == -signal.SIGKILL:
        return False
    if process.returncode:
        raise StarrecError(f"Distilling in {folder} failed: {''.join(lines)}")
    return True


def _distilled(run: Path) -> Product:
    product = current_product(run, "distill")
    assert product is not None, f"{run} has no student"
    return product


def _steps_on_disk(run: Path) -> dict[str, int]:
    """The steps of each stage that the checkpoints of an unfinished student hold."""
    import torch

    product = current_product(run, "distill", complete=False)
    paths = {stage: product.path(f"{stage}.checkpoint") if product else None for stage in STAGES}
    return {
        stage: torch.load(path, weights_only=True)["progress"]["step"] if path and path.exists() else 0
        for stage, path in paths.items()
    }


def _weights(product: Product) -> dict[str, bytes]:
    """The files of the student after each stage."""
    folders = [product.path(name) for name in ("sft", "star")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(product.folder)): path.read_bytes() for path in files}


def _without_seconds(record: Any) -> Any:
    if isinstance(record, dict):
        return {name: _without_seconds(value) for name, value in record.items() if name != "seconds"}
    return record


@app.command()
def grow(
    run: RunFolder = Path("runs/demo"),
    users: Annotated[int, typer.Option(help="Users with a new row each.")] = 90,
    items: Annotated[int, typer.Option(help="New items.")] = 5,
) -> None:
    """A later row for each of some users, and new items, into a taught run: how many tasks stay, how many are
    asked again (bar: 95% stay, none of them is asked again)."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    product = current_product(run, "data")
    if product is None:
        raise StarrecError(f"{run} has no data. Run `starrec data --run {run}`.")
    dataset = load_saved_dataset(product.folder)
    ids = {"user_id": pl.Series(dataset.user_ids), "item_id": pl.Series(dataset.item_ids)}
    rows = dataset.interactions.select(
        user_id=ids["user_id"].gather(dataset.interactions["user"]),
        item_id=ids["item_id"].gather(dataset.interactions["item"]),
        timestamp="time",
        rating="rating",
    )
    catalogue = dataset.items.with_columns(pl.col("categories").list.join("|"))
    later = rows["timestamp"].max() + 60
    fresh = [(user, f"new{at % items}", later + at, 4.0) for at, user in enumerate(dataset.user_ids[:users])]
    rows.write_csv(WORK / "log.csv")
    catalogue.write_csv(WORK / "items.csv")
    taught = ["teach", "--run", str(WORK / "run")]
    files = ["--interactions", str(WORK / "log.csv"), "--items", str(WORK / "items.csv")]
    subprocess.run([STARREC, "data", *files, "--run", str(WORK / "run")], check=True)
    subprocess.run([STARREC, *taught], check=True)
    before = _asked(WORK / "run")
    new = pl.DataFrame(fresh, schema=rows.schema, orient="row")
    pl.concat([rows, new]).write_csv(WORK / "log.csv")
    more = pl.DataFrame(
        {"item_id": [f"new{at}" for at in range(items)], "title": [f"New {at}" for at in range(items)]}
    )
    pl.concat([catalogue, more], how="diagonal").write_csv(WORK / "items.csv")
    ended = subprocess.run([STARREC, *taught, "--update-data"], check=True, stderr=subprocess.PIPE, text=True)
    print(ended.stderr)
    known = re.search(r"([\d,]+) of ([\d,]+) tasks are answered already", ended.stderr)
    answered = int(known.group(1).replace(",", "")) if known else 0
    after = _asked(WORK / "run")
    stay = before.keys() & after.keys()
    keep(
        "teaching_grow",
        {
            "dataset": dataset.name,
            "users_with_a_new_row": users,
            "new_items": items,
            "tasks_before": len(before),
            "tasks_after": len(after),
            "tasks_that_stay": len(stay),
            # "done before": the very same tasks, so nobody was asked anything.
            "asked_again": 0 if "done before)" in ended.stderr.splitlines()[-1] else len(stay) - answered,
            "runs_stored": count_all(WORK / "run" / "trajectories.sqlite")["runs"],
        },
        {"tasks_kept": len(stay) / len(before)},
    )


def _asked(run: Path) -> dict[str, str]:
    with open_asked(run) as store:
        return {key: task_id for task_id, key in store.tasks.items()}


if __name__ == "__main__":
    app()
