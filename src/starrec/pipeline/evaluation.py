"""The `evaluate` step: every system ranks the same test tasks; results.json, ranks.parquet and the report.

Ranks come first, everything else that results.json says (`pipeline.facts`) beside them. Thinking takes
seconds a task, so `star_think` answers for a fixed subset of users, and is compared on that subset.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from filecmp import cmp
from pathlib import Path
from typing import Any

import polars as pl

from starrec.data import RankingTask, Targets
from starrec.engines import Workers
from starrec.evaluation import (
    Results,
    check_trace,
    environment,
    faithfulness,
    measure,
    rank_at_random,
    rank_by_signals,
    ranks_frame,
    read_results,
    replace_systems,
    save_ranks,
    steps_of,
    summarise,
    throughput,
    write_report,
    write_results,
)
from starrec.pipeline.distillation import student_product
from starrec.pipeline.facts import (
    baseline_latency,
    best_tool,
    code_commit,
    cost_of,
    over_tie_seeds,
    percentiles,
    probes,
    worked_example,
)
from starrec.pipeline.greedy import NO_REFLECTION, first_draws, rank_greedily, what_reflection_changed
from starrec.pipeline.inputs import evaluate_inputs
from starrec.pipeline.preparation import Prepared
from starrec.pipeline.session import Session
from starrec.pipeline.tasks import Tasks
from starrec.ranking import Ranking
from starrec.runs import Product, write_atomic
from starrec.student import Star, Thought
from starrec.teacher import policy_sha
from starrec.trajectories import Trajectory


def evaluate(session: Session, prepared: Prepared, tasks: Tasks, training: Mapping[str, Any]) -> Results:
    """Rank the test tasks with every system.

    Args:
        training: facts about each stage of training, for results.json.
    """
    config = session.config.evaluation
    student = student_product(session, prepared)
    product = session.run.product(
        "evaluate", evaluate_inputs(session.config, prepared.dataset, student.fingerprint)
    )
    session.run.use(product)
    if product.done:
        session.announce("evaluate: done before")
        _publish(session, product)
        return read_results(product.path("results.json"))
    started = time.monotonic()
    test, targets = tasks.test
    star = Star.load(student.path("star"), prepared.world)
    before = Star.load(student.path("sft"), prepared.world)
    with Workers(prepared.world) as workers:
        rankings = rank_by_signals(workers, test)
        rankings["random"] = rank_at_random(test, config.seed)
        greedy = rank_greedily(session, prepared, tasks, workers)
        tool, chosen_on = best_tool(workers, tasks)
        ties = over_tie_seeds(prepared, session.config, workers.processes)
    rankings["star"] = star.rank_many(test)
    rankings["star_sft"] = before.rank_many(test)
    subset = first_draws(test, config.think_users, config.seed, "think subset")
    thoughts, seconds = _think(session, star, subset)
    ranks = _ranks(test, rankings, targets, config.seed)
    for name, ranked in greedy.rankings.items():
        ranks = replace_systems(ranks, ranks_frame(name, greedy.asked, ranked, targets, seed=config.seed))
    thought = [thought.ranking for thought in thoughts]
    ranks = replace_systems(ranks, ranks_frame("star_think", subset, thought, targets, seed=config.seed))

    session.announce("evaluate: latency and probes")
    timed = test[: config.latency_requests]
    latency = {
        "star": {**measure(star.rank, timed), "throughput_per_s": throughput(star.rank_many, test[:1024])},
        "star_think": percentiles(seconds),
        "star_sft": measure(before.rank, timed),
        **baseline_latency(prepared.world, timed, session.config.teacher.seed),
    }
    if greedy.latency is not None:
        latency["teacher"] = greedy.latency
    # How well the student copies on its own: the control for what grounding does.
    ungrounded = [star.think(task, grounded=False) for task in subset[: config.ungrounded_users]]
    facts = {
        "teacher_kind": greedy.kind,
        "teacher_failures": greedy.failures,
        "reflection": what_reflection_changed(greedy, targets),
        "best_tool": {"name": tool, "validation_avg_hr": chosen_on},
        "latency_ms": latency,
        "training": training,
        "faithfulness": {
            "star_think": _faithfulness(prepared, subset, thoughts),
            "star_think_ungrounded": _faithfulness(prepared, subset, ungrounded),
            "teacher": _faithfulness_of_runs(prepared, greedy.asked, greedy.runs),
        },
        "probes": probes(star, tasks, config),
        "tie_seeds": ties,
        "worked_examples": [
            worked_example(prepared.dataset, task, thought, targets[task.task_id])
            for task, thought in list(zip(subset, thoughts, strict=True))[: config.worked_examples]
        ],
        "cost": cost_of(training, time.monotonic() - started),
        "data_sha256": prepared.dataset.sha256,
        "commit": code_commit(),
        "policy_sha": policy_sha(),
        "environment": environment(),
    }  # fmt: skip
    results = summarise(
        ranks,
        dataset=prepared.dataset.name,
        comparisons=[
            ("star", "teacher"),
            ("star", "star_sft"),
            ("star_sft", "teacher"),
            ("star_think", "teacher"),
            ("star", tool),
            ("teacher", tool),
            ("teacher", NO_REFLECTION),
        ],
        seed=config.seed,
        n_resamples=config.n_resamples,
        facts=facts,
    )
    save_ranks(product.path("ranks.parquet"), ranks)
    write_results(product.path("results.json"), results)
    write_report(product.folder, results, ranks)
    product.complete(tasks=len(test))
    report = _publish(session, product)
    session.announce(f"evaluate: {len(test):,} test tasks, report in {report}")
    return results


def _publish(session: Session, product: Product) -> Path:
    """Copies of the last evaluation's files where everybody looks for them; the report's path."""
    places = {
        "ranks.parquet": ("results", "ranks.parquet"),
        "results.json": ("results.json",),
        "report.html": ("report.html",),
    }
    for name, place in places.items():
        made, shown = product.path(name), session.run.path(*place)
        if (
            not shown.exists()
            or shown.stat().st_size != made.stat().st_size
            or not cmp(made, shown, shallow=False)
        ):
            write_atomic(shown, made.read_bytes())
    return session.run.path("report.html")


def _faithfulness(
    prepared: Prepared, asked: Sequence[RankingTask], thoughts: Sequence[Thought]
) -> dict[str, int]:
    """Of the thoughts of the first tasks asked."""
    return faithfulness(
        check_trace([(step.tag, step.text) for step in thought.steps], prepared.world, task)
        for task, thought in zip(asked, thoughts, strict=False)
    )


def _faithfulness_of_runs(
    prepared: Prepared, asked: Sequence[RankingTask], runs: Mapping[str, Trajectory]
) -> dict[str, int]:
    """Of the teacher's greedy runs, by task id."""
    return faithfulness(
        check_trace(steps_of(runs[task.task_id]), prepared.world, task)
        for task in asked
        if task.task_id in runs
    )


def _think(session: Session, star: Star, subset: list[RankingTask]) -> tuple[list[Thought], list[float]]:
    """What the student thought of each task, and the seconds that it took."""
    thoughts = []
    seconds = []
    with session.bar("think mode", len(subset)) as advance:
        for task in subset:
            at = time.perf_counter()
            thoughts.append(star.think(task))
            seconds.append(time.perf_counter() - at)
            advance(1)
    return thoughts, seconds


def _ranks(
    test: list[RankingTask], rankings: Mapping[str, list[Ranking]], targets: Targets, seed: int
) -> pl.DataFrame:
    """Of systems that ranked all test tasks."""
    ranks = ranks_frame("random", test, rankings["random"], targets, seed=seed)
    for name, ranked in rankings.items():
        if name != "random":
            ranks = replace_systems(ranks, ranks_frame(name, test, ranked, targets, seed=seed))
    return ranks
