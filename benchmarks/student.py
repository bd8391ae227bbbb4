"""The student as it is served: how fast, how indifferent to order, how it ranks a catalogue and other data.

    .venv/bin/python benchmarks/student.py speed [--run runs/demo] [--pairs 5]
    .venv/bin/python benchmarks/student.py permuted [--run runs/demo]
    .venv/bin/python benchmarks/student.py fresh-draws [--run runs/demo]
    .venv/bin/python benchmarks/student.py one-pass [--run runs/demo]
    .venv/bin/python benchmarks/student.py transfer RUN OTHER
    .venv/bin/python benchmarks/student.py accuracy

`accuracy` is of what the suites `movielens` and `games` left in `benchmarks/results`. `speed` and `one-pass`
compare with the checkout and the demo of `baseline.sh`, which they make where they are missing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import numpy as np
import typer

from record import RESULTS, keep
from releases import BASELINE, Release, baseline, in_turn, last_json
from starrec.data import RankingTask
from starrec.engines import Workers
from starrec.evaluation import best_tool, mean_avg_hr, rank_by_signals, rank_retrieved, retrieve_all
from starrec.pipeline.tasks import Tasks, held_out_tasks, reopen
from starrec.ranking import avg_hr, catalogue, mean_ci, ratio_ci
from starrec.runs import current_product
from starrec.student import Star, gather_tasks
from starrec.teacher import rank_with_teacher
from starrec.tools import NOMINATED
from student_windows import training_sha256

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True, rich_markup_mode=None)

Run = Annotated[Path, typer.Option(help="A finished run, such as the demo.")]
_DEMO: Final = Path("runs/demo")
_WINDOWS: Final = f"windows of {BASELINE}"
_FRESH: Final = 987_654_321
"""Seed of candidates that nothing was developed on."""
_OWN: Final = ("star_think", "star_sft", "teacher", "teacher_no_reflection", "teacher_v1")
"""Systems that are neither controls nor peers."""


def opened(run: Path) -> tuple[Star, Tasks]:
    """The student of a run, and the run's tasks."""
    tasks = reopen(run)
    student = current_product(run, "distill")
    if student is None:
        raise typer.BadParameter(f"{run} holds no finished student.")
    tasks.prepared.world.graph.counts.ease()
    return Star.load(student.path("star"), tasks.prepared.world), tasks


def accuracy_bars(movielens: Sequence[dict[str, Any]], games: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The bars of accuracy, from the evaluations of a suite's row on each dataset, classic among them. The
    teacher is that of the same row."""

    def star_over(evaluation: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return {found["b"]: found for found in evaluation["comparisons"] if found["a"] == "star"}

    (ml,), (am,) = (
        [found for found in evaluations if found["scenario"] == "classic"] for evaluations in (movielens, games)
    )
    over = [star_over(found) for found in (ml, am)]
    return {
        "ml_star": ml["systems"]["star"]["avg_hr"],
        "games_star": am["systems"]["star"]["avg_hr"],
        "star_over_mlp": min(found["mlp_evidence"]["ratio"] for found in over),
        "star_over_mlp_levels": min(found["mlp_levels"]["ratio"] for found in over),
        "ml_over_teacher_low": over[0]["teacher"]["ci95"][0],
        "games_over_teacher": over[1]["teacher"]["ratio"],
        "over_best_peer_low": min(
            beside["ci95"][0] for found in over for name, beside in found.items() if name not in _OWN
        ),
        "worst_scenario": min(star_over(found)["teacher"]["ratio"] for found in (*movielens, *games)),
    }


@app.command()
def accuracy() -> None:
    """The student beside teacher, controls and peers: the bars, from the kept suites."""
    rows = {
        name: json.loads((RESULTS / f"suite_{name}_classic.json").read_text(encoding="utf-8"))
        for name in ("movielens", "games")
    }
    bars = accuracy_bars(*(row["evaluations"] for row in rows.values()))
    keep("student_accuracy", {"suites": {name: row["commit"] for name, row in rows.items()}}, bars)


@app.command()
def speed(run: Run = _DEMO, pairs: Annotated[int, typer.Option(min=1)] = 5) -> None:
    """Requests and batches over 728a73c's, the two in turn, each in a process of its own."""
    taken = in_turn(run, pairs, _requests)

    def over(name: str, other: str | None = None, level: str = "p50") -> float:
        if other:
            return round(median(each[name][level] / each[other][level] for each in taken.now), 4)
        return round(median(taken.ratios(lambda each: each[name][level])), 4)

    bars = {
        "fast_ratio": over("one"),
        "fast_over_teacher": over("one", "teacher"),
        "fast_p99_ratio": over("one", level="p99"),
        "hundred_over_twenty": over("hundred", "twenty"),
        "batch_ratio": round(median(taken.ratios(lambda each: each["batch_per_s"])), 2),
    }
    content = {"baseline": BASELINE, "milliseconds": taken.by_name, "load": os.getloadavg()}
    keep("student_speed", content, bars)


def _requests(release: Release) -> dict[str, Any]:
    return {
        name: {f"p{level}": round(float(np.percentile(value, level)), 4) for level in (50, 95, 99)}
        if isinstance(value, list)
        else value
        for name, value in last_json(release, "student_requests.py").items()
    }


@app.command()
def permuted(run: Run = _DEMO, n: Annotated[int, typer.Option("--tasks", min=1)] = 1000) -> None:
    """Test tasks with their candidates in another order: how many get another ranking, or any other score."""
    star, tasks = opened(run)
    random = np.random.default_rng(0)
    asked = tasks.test[0][:n]
    others = [replace(task, candidates=random.permutation(task.candidates)) for task in asked]

    def scores(task: RankingTask) -> list[float]:
        found = gather_tasks(star.world, [task])
        by_item: list[float] = found.as_given(star.fast.scores(found))[0][np.argsort(task.candidates)].tolist()
        return by_item

    changed = 0
    for task, other in zip(asked, others, strict=True):
        changed += scores(task) != scores(other) or star.rank(task) != star.rank(other)
    keep("student_permuted", {"tasks": len(asked)}, {"permuted_changed": changed})


@app.command()
def fresh_draws(run: Run = _DEMO) -> None:
    """The headline on candidates of a seed that nothing was developed on."""
    star, tasks = opened(run)
    config = tasks.config
    config = config.model_copy(update={"data": config.data.model_copy(update={"seed": _FRESH})})
    asked, targets = held_out_tasks(tasks.prepared, config, "test", config.data.draws)
    with Workers(tasks.prepared.world) as workers:
        ranked = {
            "star": star.rank_many(asked),
            "teacher": rank_with_teacher(workers, asked, config.teacher.seed),
            **rank_by_signals(workers, asked),
        }
    users = [task.user_id for task in asked]
    hits = {
        name: avg_hr([each.rank_of(targets[task.task_id]) for task, each in zip(asked, of, strict=True)])
        for name, of in ranked.items()
    }
    over = ratio_ci(hits["star"], hits["teacher"], users, seed=0)
    table = {
        name: {"avg_hr": float(own.mean()), "avg_hr_ci95": list(mean_ci(own, users, seed=0))}
        for name, own in hits.items()
    }
    for name, line in sorted(table.items(), key=lambda entry: -entry[1]["avg_hr"]):
        print(f"{name:<12} {line['avg_hr']:.4f} [{line['avg_hr_ci95'][0]:.3f}, {line['avg_hr_ci95'][1]:.3f}]")
    print(f"star over teacher {over.ratio:.3f} [{over.lo:.3f}, {over.hi:.3f}]")
    content = {"seed": _FRESH, "tasks": len(asked), "systems": table}
    keep("student_fresh_draws", content | {"star_over_teacher": [over.ratio, over.lo, over.hi]})


@app.command()
def one_pass(run: Run = _DEMO) -> None:
    """The first 100 that are retrieved, ranked in one pass, over 728a73c's windows of 20 of the same 100."""
    star, tasks = opened(run)
    prepared = tasks.prepared
    test, targets = tasks.test
    asked = [task for task in test if task.draw == 0]
    with Workers(prepared.world) as workers:
        retrieved = retrieve_all(workers, asked)
    # Both releases read the same data and count the same training part, or nothing is compared.
    hashes = {"data_sha256": prepared.dataset.sha256, "training_sha256": training_sha256(prepared)}
    item_ids = prepared.dataset.item_ids
    before = baseline()
    with TemporaryDirectory() as scratch:
        given = Path(scratch) / "tasks.json"
        given.write_text(
            json.dumps(
                [
                    {
                        "user_id": task.user_id,
                        "history": [item_ids[item] for item in task.history.tolist()],
                        "candidates": [item_ids[item] for item in found.tolist()],
                    }
                    for task, found in zip(asked, retrieved.nominated, strict=True)
                ]
            )
        )
        theirs = last_json(before, "student_windows.py", given)
    if other := {name for name, value in hashes.items() if theirs[name] != value}:
        raise SystemExit(
            f"{run} and {before.run} differ in {', '.join(sorted(other))}. Take runs of the same data."
        )
    number = {item_id: item for item, item_id in enumerate(item_ids)}
    lists: dict[str, list[Any]] = {
        "retrieval": list(retrieved.nominated),
        _WINDOWS: [[number[item_id] for item_id in ranked] for ranked in theirs["rankings"]],
        "one pass": list(rank_retrieved(star.rank_many, asked, retrieved).ranked),
    }
    for ranked, found in zip(lists[_WINDOWS], retrieved.nominated, strict=True):
        assert sorted(ranked) == sorted(found.tolist())
    relevant = [[targets[task.task_id]] for task in asked]
    users = [task.user_id for task in asked]
    # One relevant item a user: recall of the first 10 is HR@10.
    metrics = {"hr@10": catalogue.recall, "ndcg@10": catalogue.ndcg}
    values = {
        name: {metric: of(each, relevant, 10) for metric, of in metrics.items()} for name, each in lists.items()
    }
    over = {
        metric: ratio_ci(values["one pass"][metric], values[_WINDOWS][metric], users, seed=0)
        for metric in metrics
    }
    content = {
        "baseline": BASELINE,
        "same": hashes,
        "users": len(users),
        "ceiling@100": float(catalogue.recall(retrieved.nominated, relevant, NOMINATED).mean()),
        "systems": {
            name: {metric: float(of.mean()) for metric, of in each.items()} for name, each in values.items()
        },
        "one_pass_over_windows": {metric: [each.ratio, each.lo, each.hi] for metric, each in over.items()},
    }
    keep("student_one_pass", content, {"one_pass_over_windows": round(over["hr@10"].ratio, 4)})


@app.command()
def transfer(
    run: Annotated[Path, typer.Argument(help="Run whose student is asked.")],
    other: Annotated[Path, typer.Argument(help="Run of other data, on whose test tasks it is asked.")],
) -> None:
    """A student on data that it was not trained on, beside that data's best single tool and its teacher."""
    student = current_product(run, "distill")
    if student is None:
        raise typer.BadParameter(f"{run} holds no finished student.")
    tasks = reopen(other)
    tasks.prepared.world.graph.counts.ease()
    star = Star.load(student.path("star"), tasks.prepared.world)
    test, targets = tasks.test
    asked = [task for task in test if task.draw == 0]
    half_b, targets_b = tasks.validation("B")
    with Workers(tasks.prepared.world) as workers:
        tool, _ = best_tool(workers, half_b, targets_b)
        reached = {
            "star": mean_avg_hr(asked, star.rank_many(asked), targets),
            tool: mean_avg_hr(asked, rank_by_signals(workers, asked)[tool], targets),
            "teacher": mean_avg_hr(
                asked, rank_with_teacher(workers, asked, tasks.config.teacher.seed), targets
            ),
        }
    print({name: round(value, 4) for name, value in reached.items()})
    name = f"student_transfer_{tasks.prepared.dataset.name.split('-')[0]}"
    content = {"trained_on": str(run.name), "asked_on": tasks.prepared.dataset.name, "avg_hr": reached}
    keep(name, content, {"over_best_tool": round(reached["star"] / reached[tool], 4)})


if __name__ == "__main__":
    app()
