"""What each protocol and scenario asks for, and how systems without training answer it.

    .venv/bin/python benchmarks/scenarios.py movielens
    STARREC_DATA=data .venv/bin/python benchmarks/scenarios.py games

Prints a row for each and keeps them as `benchmarks/results/scenarios_DATASET.json`: tasks, users, the mean
length of the history, quartiles of the target's training interactions, and avg_hr of each tool, of the embedded
teacher and of chance. Of Amazon Games 5,000 users are asked about, by seeded hash; it has no clock, and so no
split at moments.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any, Final

import numpy as np
import typer

from record import keep
from signals import GAMES_USERS, DatasetName, load
from starrec.data import (
    MIN_TASKS,
    SCENARIOS,
    Dataset,
    Evaluation,
    Split,
    SplitRule,
    hold_out,
    scenario_tasks,
    within_one_day,
)
from starrec.engines import Workers
from starrec.evaluation import SYSTEMS, mean_avg_hr, rank_at_random, rank_by_signals
from starrec.hashing import text_keys
from starrec.signals import Graph
from starrec.teacher import rank_with_teacher
from starrec.tools import World

SEED: Final = 0
PROTOCOLS: Final = {
    "leave-one-out": SplitRule(),
    "item_cold_start": SplitRule(hold_out="item_cold_start"),
    "global-time": SplitRule(split="global-time"),
    "global-time, a fifth": SplitRule(split="global-time", test_share=0.2),
}


def main(
    name: Annotated[DatasetName, typer.Argument(metavar="DATASET", help="movielens or games")],
    draws: Annotated[int, typer.Option(help="Draws of candidates a user.")] = 3,
) -> None:
    """Describe and answer every scenario of a dataset."""
    dataset, _ = load(name)
    chosen = set(np.argsort(text_keys(dataset.user_ids, 0, "benchmark users"))[:GAMES_USERS].tolist())
    rows: list[dict[str, Any]] = []
    for protocol, rule in PROTOCOLS.items():
        if rule.split == "global-time" and dataset.order != "clock":
            continue
        split = hold_out(dataset, SEED, rule)
        world = World.of(dataset.catalogue, Graph.build(split.train, dataset.n_items))
        world.graph.counts.ease()
        with Workers(world) as workers:
            for evaluation in evaluations(dataset, split, draws):
                tasks = [task for task in evaluation.tasks if task.user in chosen]
                started = time.monotonic()
                asked = Evaluation(evaluation.scenario, tasks, evaluation.targets)
                rows.append({"protocol": protocol, **row(asked, split, dataset, workers)})
                print(f"{rows[-1]}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    show(rows)
    keep(f"scenarios_{name}", {"draws": draws, "within_one_day": within_one_day(dataset), "scenarios": rows})


def evaluations(dataset: Dataset, split: Split, draws: int) -> Iterator[Evaluation]:
    """The test tasks of a split: of leave-one-out by every scenario, of the others as they are."""
    for scenario in SCENARIOS if split.kind == "leave-one-out" else SCENARIOS[:1]:
        yield scenario_tasks(scenario, dataset, split.sequences, split, "test", seed=SEED, draws=draws)


def row(asked: Evaluation, split: Split, dataset: Dataset, workers: Workers[World]) -> dict[str, Any]:
    """What a scenario asks for and how it is answered."""
    scenario, tasks, targets = asked
    popularity = np.bincount(split.train.items, minlength=dataset.n_items)
    found: dict[str, Any] = {
        "scenario": scenario,
        "tasks": len(tasks),
        "users": len({task.user for task in tasks}),
        "measurable": len(tasks) >= MIN_TASKS,
        "users_without_history": split.without_history.get("test", 0),
    }
    if not tasks:
        return found
    taken = popularity[[targets[task.task_id] for task in tasks]]
    rankings = rank_by_signals(workers, tasks)
    rankings["teacher"] = rank_with_teacher(workers, tasks, 0)
    rankings["random"] = rank_at_random(tasks, SEED)
    return found | {
        "mean_history": float(np.mean([len(task.history) for task in tasks])),
        "target_popularity_quartiles": np.quantile(taken, (0.25, 0.5, 0.75)).tolist(),
        "avg_hr": {system: mean_avg_hr(tasks, ranked, targets) for system, ranked in rankings.items()},
    }


def show(rows: list[dict[str, Any]]) -> None:
    """Print the rows as a Markdown table."""
    systems = [*SYSTEMS, "teacher", "random"]
    head = ["protocol", "scenario", "tasks", "users", "history", "target taken by (quartiles)", *systems]
    print("|", " | ".join(head), "|")
    print("|", " | ".join("---" for _ in head), "|")
    for each in rows:
        cells = [each["protocol"], each["scenario"], f"{each['tasks']:,}", f"{each['users']:,}"]
        cells[2] += "" if each["measurable"] else f" (fewer than {MIN_TASKS})"
        if "avg_hr" in each:
            quartiles = " / ".join(f"{value:.0f}" for value in each["target_popularity_quartiles"])
            cells += [f"{each['mean_history']:.1f}", quartiles]
            cells += [f"{each['avg_hr'][system]:.3f}" for system in systems]
        print("|", " | ".join(cells), "|")


if __name__ == "__main__":
    typer.run(main)
