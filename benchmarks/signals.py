"""The bars of Collaborative Signal Translation, one command a row.

    .venv/bin/python benchmarks/signals.py ROW [options]

Each row prints what it measured and keeps it as `benchmarks/results/signals_ROW.json`. Rows that need data
which the project does not ship look for it in the folder that STARREC_DATA names.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final, Literal

import numpy as np
import typer
from numpy.typing import NDArray

import scale
from record import keep
from starrec.data import (
    Dataset,
    RankingTask,
    Split,
    Targets,
    evaluation_tasks,
    leave_one_out,
    load_movielens_100k,
    load_tables,
    training_positions,
    training_tasks,
    validation_half,
)
from starrec.engines import Workers
from starrec.errors import DataError
from starrec.evaluation import signal_scores
from starrec.evaluation.controls import NAMES, Lessons, fit_mlp, rank_with_networks
from starrec.ranking import avg_hr, from_scores, mean_ci
from starrec.signals import SIGNALS, Counts, Graph
from starrec.tools import World

RESULTS: Final = Path(__file__).parent / "results"
WORK: Final = Path("runs/benchmarks")
GAMES_USERS: Final = 5000
TIE_SEED: Final = 5

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
DatasetName = Literal["movielens", "games"]


def load(name: DatasetName) -> tuple[Dataset, Split]:
    """A dataset and its leave-one-out split."""
    if name == "movielens":
        dataset = load_movielens_100k(Path.home() / ".cache" / "starrec")
    else:
        folder = Path(os.environ.get("STARREC_DATA", "data")) / "amazon-games"
        if not folder.is_dir():
            raise DataError(f"There is no {folder}: set STARREC_DATA to the folder that holds amazon-games.")
        dataset, _ = load_tables(folder / "interactions.csv.gz", folder / "items.csv", None)
    return dataset, leave_one_out(dataset.sequences(3))


def tasks_of(
    dataset: Dataset, split: Split, which: Literal["validation", "test"], draws: int = 3
) -> tuple[list[RankingTask], Targets]:
    """The classic tasks; of larger datasets those of 5,000 users by seeded hash."""
    return evaluation_tasks(dataset, split.sequences, split, which, seed=0, draws=draws, eval_users=GAMES_USERS)


def tool_ranks(
    scores: Sequence[NDArray[np.float64]], tasks: Sequence[RankingTask], targets: Targets
) -> dict[str, NDArray[np.int64]]:
    """Ranks of the targets by each single signal; what it leaves equal is ordered by a hash."""
    return {
        name: np.array(
            [
                from_scores(task.candidates, own[row], TIE_SEED).rank_of(targets[task.task_id])
                for task, own in zip(tasks, scores, strict=True)
            ]
        )
        for row, name in enumerate(SIGNALS)
    }


def interval(found: NDArray[np.int64], tasks: Sequence[RankingTask]) -> dict[str, Any]:
    """avg_hr with its interval: users are resampled, all their draws together."""
    hits = avg_hr(found)
    low, high = mean_ci(hits, [task.user_id for task in tasks], seed=0)
    return {"avg_hr": float(hits.mean()), "avg_hr_ci95": [low, high], "n_tasks": len(tasks)}


@app.command()
def games() -> None:
    """Amazon Games, classic, 5,000 users: the single best tool, chosen on validation (bar: 0.60)."""
    _single_tools("games")


@app.command()
def movielens() -> None:
    """MovieLens-100K, classic: the single tools, the best chosen on validation."""
    _single_tools("movielens")


def _single_tools(name: DatasetName) -> None:
    dataset, split = load(name)
    world = World.of(dataset.catalogue, Graph.build(split.train, dataset.n_items))
    world.graph.counts.ease()
    found: dict[str, Any] = {}
    with Workers(world) as workers:
        validation, held = tasks_of(dataset, split, "validation", draws=1)
        chosen_on = half(validation, "B")
        by_tool = tool_ranks(signal_scores(workers, chosen_on), chosen_on, held)
        found["validation"] = {tool: float(avg_hr(found_).mean()) for tool, found_ in by_tool.items()}
        test, targets = tasks_of(dataset, split, "test")
        on_test = tool_ranks(signal_scores(workers, test), test, targets)
    best = max(found["validation"], key=found["validation"].__getitem__)
    found |= {
        "best": best,
        "test": {tool: interval(found_, test) for tool, found_ in on_test.items()},
        "chosen": interval(on_test[best], test),
    }
    _keep(name, found)


@app.command()
def ceiling(
    dataset_name: Annotated[DatasetName, typer.Argument(metavar="DATASET", help="movielens or games")],
    epochs: Annotated[int, typer.Option(help="Epochs, each with fresh negatives.")] = 3,
    tasks: Annotated[int, typer.Option(help="Training tasks an epoch, at most.")] = 22_000,
    seeds: Annotated[int, typer.Option(help="Networks, each from other weights.")] = 3,
) -> None:
    """What the evidence allows: a listwise network over all of its numbers (`evaluation.controls`)."""
    dataset, split = load(dataset_name)
    world = World.of(dataset.catalogue, Graph.build(split.train, dataset.n_items))
    world.graph.counts.ease()
    positions = training_positions(dataset, split, per_user=24 if dataset_name == "movielens" else 2, seed=0)
    started = time.monotonic()
    with Workers(world) as workers, TemporaryDirectory() as folder:
        lessons, drawn, known = Lessons(Path(folder)), [], {}
        for epoch in range(epochs):
            every, targets = training_tasks(dataset, split, positions, seed=0, epoch=epoch)
            chosen = np.sort(np.random.default_rng(epoch).permutation(len(every))[:tasks])
            drawn.append([every[at] for at in chosen.tolist()])
            known |= targets
        lessons.write("training", workers, list(chain.from_iterable(drawn)), known)
        _say(f"{epochs} epochs: {sum(map(len, drawn)):,} tasks, {_since(started)}")
        validation, held = tasks_of(dataset, split, "validation", draws=1)
        lessons.write("A", workers, half(validation, "A"), held)
        lessons.write("B", workers, half(validation, "B"), held)
        test, targets = tasks_of(dataset, split, "test")
        fitted, tried = fit_mlp(lessons, "numbers", range(seeds))
        networks = {("mlp_evidence", of.seed): ("numbers", of.network) for of in fitted}
        ranked = rank_with_networks(workers, networks, test)
    per_seed, all_ranks = [], []
    for of, rankings in zip(fitted, ranked.values(), strict=True):
        all_ranks.append(
            np.array([r.rank_of(targets[task.task_id]) for task, r in zip(test, rankings, strict=True)])
        )
        per_seed.append({"validation_b": of.validation_b, **interval(all_ranks[-1], test)})
        _say(f"seed {of.seed}: validation B {of.validation_b:.3f}, {_since(started)}")
    hits = np.mean([avg_hr(found) for found in all_ranks], axis=0)
    low, high = mean_ci(hits, [task.user_id for task in test], seed=0)
    _keep(
        f"ceiling_{dataset_name}",
        {
            "avg_hr": float(hits.mean()),
            "avg_hr_ci95": [low, high],
            "n_tasks": len(test),
            "features": len(NAMES),
            "training_tasks": [len(part) for part in drawn],
            "tried": [{**asdict(settings), "validation_b": value} for settings, value in tried],
            "seeds": per_seed,
        },
    )


def half(tasks: Sequence[RankingTask], side: str) -> list[RankingTask]:
    """The validation tasks of one half: A stops training, B chooses."""
    sides = validation_half([task.user_id for task in tasks], 0)
    return [task for task, own in zip(tasks, sides, strict=True) if own == side]


@app.command()
def cap() -> None:
    """What capping histories costs: avg_hr of single tools on validation half B by cap."""
    dataset, split = load("movielens")
    validation, held = tasks_of(dataset, split, "validation")
    chosen = half(validation, "B")
    found = {}
    for limit in (25, 50, 100, 200, 400, 1000):
        counts = Counts.build(split.train, dataset.n_items, history_cap=limit)
        world = World.of(dataset.catalogue, Graph(counts))
        world.graph.counts.ease()
        with Workers(world) as workers:
            by_tool = tool_ranks(signal_scores(workers, chosen), chosen, held)
        lengths = world.graph.counts.lengths.astype(np.int64)
        found[str(limit)] = {
            "interactions": int(lengths.sum()),
            "pairs": int((lengths * lengths).sum()),
            **{tool: round(float(avg_hr(found_).mean()), 4) for tool, found_ in by_tool.items()},
        }
        _say(f"cap {limit}: {found[str(limit)]}")
    _keep("cap", found)


_Work = Annotated[Path, typer.Option(help="Where generated data and builds are kept.")]
_Millions = Annotated[int, typer.Option(help="Interactions, in millions.")]


@app.command()
def build(millions: _Millions = 10, work: _Work = WORK) -> None:
    """A full build from files to a finished store (bar at 10M: 6 min, 6 GiB; at 25M: 12 GiB)."""
    _keep(f"build_{millions}M", scale.build(work, millions * 1_000_000))


@app.command()
def growth() -> None:
    """The exponent of build time over the sizes that were built (bar: 1.25)."""
    measured = [
        json.loads((RESULTS / f"signals_build_{millions}M.json").read_text()) for millions in (1, 10, 25)
    ]
    rows = [{name: row[name] for name in ("interactions", "seconds", "peak_mib")} for row in measured]
    _keep("growth", {"exponent": scale.growth(measured), "builds": rows})


@app.command()
def task(millions: _Millions = 10, work: _Work = WORK, tasks: int = 1000) -> None:
    """All evidence for one task from a build (bar: p50 3 ms, p99 15 ms)."""
    _keep("task", scale.task_evidence(work, millions * 1_000_000, tasks))


@app.command()
def update(millions: _Millions = 10, work: _Work = WORK, added: int = 1000) -> None:
    """1,000 new interactions into a build (bar: 10 s)."""
    _keep("update", scale.update(work, millions * 1_000_000, added))


@app.command()
def implicit(millions: _Millions = 10, work: _Work = WORK, rounds: int = 3) -> None:
    """The neighbour step beside implicit's CosineRecommender.fit (bar: 1.5 times; `pip install implicit`)."""
    _keep("implicit", scale.beside_implicit(work, millions * 1_000_000, rounds))


def _keep(row: str, found: Mapping[str, Any]) -> None:
    keep(f"signals_{row}", found)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.0f} s"


if __name__ == "__main__":
    app()
