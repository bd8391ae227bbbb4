"""The bars of the evaluation itself, one command a row.

    .venv/bin/python benchmarks/evaluation.py ROW [options]

Each row prints what it measured and keeps it as `benchmarks/results/evaluation_ROW.json`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray

from peer_metrics import worst_differences
from record import keep
from simulated import SEED_SPREADS, Simulation
from starrec.data import RankingTask, Targets, evaluation_tasks, leave_one_out, load_movielens_100k
from starrec.evaluation import Scorer, rank_by_scores
from starrec.hashing import text_keys
from starrec.ranking import avg_hr, mean_ci, ratio_ci

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.command()
def coverage(
    simulations: Annotated[int, typer.Option(help="Simulations of each case.")] = 3000,
    users: Annotated[int, typer.Option(help="Users of a simulated evaluation.")] = 300,
    draws: Annotated[int, typer.Option(help="Tasks of a user.")] = 3,
) -> None:
    """How often 95% intervals hold the true mean and ratio of simulated systems (bar: 93 to 97%)."""
    started = time.monotonic()
    cases: dict[str, float] = {}
    for seeds in (1, 3, 5, 10):
        for spread, deviation in SEED_SPREADS.items():
            # One training shows nothing of the spread of others: its interval is over users alone.
            if seeds == 1 and deviation > 0:
                continue
            simulation = Simulation(users, draws, seeds, deviation)
            held = [_held(simulation, number) for number in range(simulations)]
            for statistic in held[0]:
                name = f"{statistic}, {seeds} {'seed' if seeds == 1 else 'seeds'}, seed spread {spread}"
                cases[name] = float(np.mean([each[statistic] for each in held]))
            _say(f"{seeds} seeds, spread {spread}: {time.monotonic() - started:.0f} s")
    keep(
        "evaluation_coverage",
        {"simulations": simulations, "users": users, "draws": draws, "coverage": cases},
        {
            "interval_coverage_low": 100 * min(cases.values()),
            "interval_coverage_high": 100 * max(cases.values()),
        },
    )


def _held(simulation: Simulation, number: int) -> dict[str, bool]:
    """Whether each interval of one simulated evaluation holds the truth."""
    drawn = simulation.draw(number)
    low, high = mean_ci(drawn.a, simulation.users, seed=number)
    held = {"mean": low <= simulation.true_mean <= high}
    # Beside a system of one training (a peer that has no seeds) and, where a has several, one that has as many.
    others = {"ratio over one seed": drawn.fixed}
    if len(drawn.a) > 1:
        others["ratio over as many seeds"] = drawn.b
    for name, other in others.items():
        found = ratio_ci(drawn.a, other, simulation.users, seed=number)
        held[name] = found.lo <= simulation.true_ratio(len(other)) <= found.hi
    return held


@app.command()
def metrics(lists: Annotated[int, typer.Option(help="Rankings compared.")] = 2000) -> None:
    """Our metrics beside a hand calculation, lenskit's and trec_eval's on strict orders (bar: 1e-9)."""
    versions = {name: metadata.version(name) for name in ("lenskit", "pytrec-eval-terrier")}
    worst = worst_differences(lists, seed=0)
    keep("evaluation_metrics", {"lists": lists, "versions": versions, "worst_difference": worst})


@dataclass(frozen=True)
class Says:
    """A scorer that tells no candidate of a task from another."""

    value: Callable[[RankingTask], float]

    def scores(self, tasks: Sequence[RankingTask]) -> list[NDArray[np.float64]]:
        return [np.full(len(task.candidates), self.value(task)) for task in tasks]


SAYING_NOTHING: Final[Mapping[str, Scorer]] = {
    "constant": Says(lambda _task: 0.0),
    "ties": Says(lambda task: float(text_keys([task.task_id], 0, "scores of a task")[0] % np.uint64(7))),
    "unscored": Says(lambda _task: float("nan")),
}
"""Scorers that are at chance: one score for everything, another one in each task, none at all."""


def _movielens(which: str) -> tuple[list[RankingTask], Targets]:
    dataset = load_movielens_100k(Path.home() / ".cache" / "starrec")
    split = leave_one_out(dataset.sequences(0))
    return evaluation_tasks(dataset, split.sequences, split, which, seed=0, draws=3)


EVALUATIONS: Final[Mapping[str, Callable[[], tuple[list[RankingTask], Targets]]]] = {
    "classic, test": cache(lambda: _movielens("test")),
    "classic, validation": cache(lambda: _movielens("validation")),
}
"""Tasks and targets of each evaluation that is held against chance."""


@app.command()
def constant() -> None:
    """Scorers that say nothing on every evaluation: worst distance from chance in standard errors (bar: 3)."""
    rows: dict[str, Any] = {}
    for evaluation, tasks_of in EVALUATIONS.items():
        tasks, targets = tasks_of()
        for name, scorer in SAYING_NOTHING.items():
            rows[f"{name}: {evaluation}"] = _beside_chance(scorer, tasks, targets)
    keep("evaluation_constant", {"rows": rows}, {"constant_z": max(abs(row["z"]) for row in rows.values())})


def _beside_chance(scorer: Scorer, tasks: Sequence[RankingTask], targets: Targets) -> dict[str, float]:
    """avg_hr less what chance gives, in standard errors over users."""
    rankings, unscored = rank_by_scores(scorer, tasks)
    ranks = [ranking.rank_of(targets[task.task_id]) for task, ranking in zip(tasks, rankings, strict=True)]
    chance = np.array([(1 + 3 + 5) / 3 / len(task.candidates) for task in tasks])
    _, users = np.unique([task.user_id for task in tasks], return_inverse=True)
    above = np.bincount(users, weights=avg_hr(ranks) - chance) / np.bincount(users)
    error = above.std(ddof=1) / np.sqrt(len(above))
    return {
        "avg_hr": float(avg_hr(ranks).mean()),
        "chance": float(chance.mean()),
        "z": float(above.mean() / error),
        "n_users": len(above),
        "n_tasks": len(tasks),
        "unscored": unscored,
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    app()
