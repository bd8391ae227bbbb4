"""The controls that are no student, beside the student and the teacher of a finished run.

    .venv/bin/python benchmarks/controls.py movielens [--run runs/demo]

Fits them in the run folder (`controls/`) where that was not done yet, ranks the run's test tasks with every
seed, and keeps the table as `benchmarks/results/controls_ROW.json`.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from record import keep
from starrec.engines import Workers
from starrec.evaluation import load_ranks
from starrec.pipeline.controls import rank_with_controls
from starrec.pipeline.session import Session
from starrec.pipeline.tasks import reopen
from starrec.ranking import avg_hr, mean_ci, ratio_ci
from starrec.runs import Run

CONTROLS: Final = ("mlp_evidence", "mlp_levels", "teacher_tuned")
BESIDE: Final = ("star", "star_sft", "teacher", "ease")

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def rows() -> None:
    """The rows."""


@app.command()
def movielens(
    run: Annotated[Path, typer.Option(help="A finished run; its folder gains `controls/`.")] = Path(
        "runs/demo"
    ),
) -> None:
    """MovieLens-100K, classic test tasks."""
    _row("movielens", run)


def _row(name: str, folder: Path) -> None:
    tasks = reopen(folder)
    tasks.prepared.world.graph.counts.ease()
    test, targets = tasks.test
    started, before = time.monotonic(), _cpu_seconds()
    with (
        Run.open(folder, (folder / "config.toml").read_text(encoding="utf-8")) as opened,
        Workers(tasks.prepared.world) as workers,
    ):
        session = Session(opened, tasks.config, print, None)
        found = rank_with_controls(session, tasks.prepared, tasks, workers, CONTROLS)
    wall, cpu = time.monotonic() - started, _cpu_seconds() - before
    hits: dict[str, list[NDArray[np.float64]]] = {
        system: [
            avg_hr(
                [ranking.rank_of(targets[task.task_id]) for task, ranking in zip(test, rankings, strict=True)]
            )
            for rankings in by_seed.values()
        ]
        for system, by_seed in found.rankings.items()
    }
    ranks = load_ranks(folder / "results" / "ranks.parquet")
    order = pl.DataFrame({"task_id": [task.task_id for task in test]})
    for system in BESIDE:
        own = order.join(ranks.filter(pl.col("system") == system), on="task_id", maintain_order="left")
        hits[system] = [avg_hr(own["target_rank"].to_numpy())]
    users = [task.user_id for task in test]
    table = {system: _line(own, np.mean(hits["star"], axis=0), users) for system, own in hits.items()}
    table = dict(sorted(table.items(), key=lambda entry: -entry[1]["avg_hr"]))
    _show(table)
    content = {
        "run": {"n_tasks": len(test), "data_sha256": tasks.prepared.dataset.sha256},
        "systems": table,
        "controls": found.record,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
    }
    keep(f"controls_{name}", content, {"mlp_evidence_avg_hr": round(table["mlp_evidence"]["avg_hr"], 4)})


def _line(hits: list[NDArray[np.float64]], star: NDArray[np.float64], users: list[str]) -> dict[str, Any]:
    """avg_hr of a system, its seeds averaged for each task, with its interval over users; and over star's."""
    mean = np.mean(hits, axis=0)
    over = ratio_ci(mean, star, users, seed=0)
    return {
        "avg_hr": float(mean.mean()),
        "avg_hr_ci95": list(mean_ci(mean, users, seed=0)),
        "by_seed": [float(own.mean()) for own in hits],
        "over_star": over.ratio,
        "over_star_ci95": [over.lo, over.hi],
    }


def _show(table: dict[str, dict[str, Any]]) -> None:
    for system, line in table.items():
        low, high = line["avg_hr_ci95"]
        low_over, high_over = line["over_star_ci95"]
        seeds = " ".join(f"{value:.4f}" for value in line["by_seed"])
        print(
            f"{system:<14} {line['avg_hr']:.4f} [{low:.3f}, {high:.3f}]  over star {line['over_star']:.3f} "
            f"[{low_over:.3f}, {high_over:.3f}]  seeds {seeds}"
        )


def _cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(of.ru_utime + of.ru_stime for of in used)


if __name__ == "__main__":
    app()
