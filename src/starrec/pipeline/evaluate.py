"""The `evaluate` step: every system ranks the same test tasks; results.json, ranks.parquet and the report.

Ranks come first; the rest of results.json stands beside them. Whatever is chosen or probed uses validation half
B, never test. Where another figure is on test tasks (tie seeds, latency, examples), nothing is decided by it.
Thinking takes seconds a task, so `star_think` answers for a fixed subset of users and is compared on that
subset.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from filecmp import cmp
from pathlib import Path
from typing import Any

import polars as pl

from starrec.data import Dataset, RankingTask, Targets, printable
from starrec.engines import Workers
from starrec.evaluation import (
    Results,
    best_tool,
    breakdown,
    check_trace,
    code_commit,
    environment,
    faithfulness,
    full_catalogue,
    mean_avg_hr,
    measure,
    percentiles,
    probe,
    rank_at_random,
    rank_by_signals,
    rank_retrieved,
    ranking_changes,
    ranks_frame,
    read_results,
    retrieve_all,
    save_ranks,
    signal_scores,
    steps_of,
    summarise,
    throughput,
    write_report,
    write_results,
)
from starrec.pipeline.config import RunConfig
from starrec.pipeline.controls import rank_with_controls
from starrec.pipeline.distill import student_product
from starrec.pipeline.fingerprints import evaluate_inputs
from starrec.pipeline.greedy_teacher import (
    NO_REFLECTION,
    TEACHER,
    V1,
    GreedyTeacher,
    first_draws,
    rank_greedily,
)
from starrec.pipeline.peers import rank_with_peers
from starrec.pipeline.report_facts import changed_settings, data_summary, recommended, task_numbers
from starrec.pipeline.scenarios import own_seed, rank_scenarios, scenario_record
from starrec.pipeline.session import Session
from starrec.pipeline.signals import Prepared, split_and_count
from starrec.pipeline.tasks import Tasks, held_out_tasks
from starrec.runs import Product, write_atomic
from starrec.student import Star, Thought
from starrec.student.calls import FAST_ORDER
from starrec.teacher import policy_sha, rank_with_teacher, rank_with_v1, readable
from starrec.trajectories import Trajectory

_BATCHED = 1024
"""Tasks that are ranked at once to measure the student's throughput, at most."""


def evaluate(session: Session, prepared: Prepared, tasks: Tasks, training: Mapping[str, Any]) -> Results:
    """Rank the test tasks with every system; the content of results.json.

    Args:
        training: the record of each stage of training, for results.json.

    Raises:
        RunError: the teacher's runs are not complete, or the student cannot be read.
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
    half_b, targets_b = tasks.validation("B")
    star = Star.load(student.path("star"), prepared.world)
    before = Star.load(student.path("sft"), prepared.world)
    with Workers(prepared.world) as workers:
        rankings = rank_by_signals(workers, test)
        rankings["random"] = rank_at_random(test, config.seed)
        greedy = rank_greedily(session, prepared, tasks, workers)
        rankings[V1] = rank_with_v1(workers, test)
        tool, chosen_on = best_tool(workers, half_b, targets_b)
        ties = _over_tie_seeds(prepared, session.config, workers.processes)
        others = rank_scenarios(workers, star, before, tasks.evaluations()[1:], session.config)
        controls = rank_with_controls(session, prepared, tasks, workers, config.controls)
        first = [task for task in test if task.draw == 0]
        retrieved = retrieve_all(workers, first)
    lists = {"retrieval": retrieved, "star": rank_retrieved(star.rank_many, first, retrieved)}
    catalogue = full_catalogue(lists, first, targets, prepared.world.graph)
    rankings["star"] = star.rank_many(test)
    rankings["star_sft"] = before.rank_many(test)
    subset = first_draws(test, config.think_users, config.seed, "think subset")
    thoughts, seconds = _think(session, star, subset)
    answers = [(name, test, ranked) for name, ranked in rankings.items()]
    answers += [(name, greedy.asked, ranked) for name, ranked in greedy.rankings.items()]
    answers.append(("star_think", subset, [thought.ranking for thought in thoughts]))
    peers = rank_with_peers(session, prepared, tasks, config.peers, product.folder)
    frames = [
        ranks_frame(name, asked, ranked, targets, seed=own_seed(name, session.config))
        for name, asked, ranked in answers
    ]
    frames += [
        ranks_frame(name, test, ranked, targets, seed=seed)
        for name, by_seed in controls.rankings.items()
        for seed, ranked in by_seed.items()
    ]
    frames += [
        ranks_frame(name, test, ranked, targets, seed=seed) for (name, seed), ranked in peers.rankings.items()
    ]
    ranks = pl.concat([*frames, *others]).sort("system", maintain_order=True)

    session.announce("evaluate: latency and probes")
    latency = {
        **_latency(prepared, test, star, before, session.config),
        # One after the other, so the rate is that of one process.
        "star_think": {**percentiles(seconds), "throughput_per_s": len(seconds) / sum(seconds)},
    }
    latency |= peers.latency
    if greedy.latency is not None:
        latency[TEACHER] = greedy.latency
    # How well the student copies on its own: the control for what grounding does.
    ungrounded = [star.think(task, grounded=False) for task in subset[: config.ungrounded_users]]
    probed = half_b[:: max(1, len(half_b) // config.probe_tasks)][: config.probe_tasks]
    beside = {
        "data": data_summary(prepared.dataset, prepared.split, test),
        "teacher_kind": greedy.kind,
        "teacher_failures": greedy.failures,
        "reflection": _reflection(greedy, targets),
        "breakdown": breakdown(
            ranks,
            "star",
            TEACHER,
            task_numbers(prepared.split, test, targets),
            seed=config.seed,
            n_resamples=config.n_resamples,
        ),
        "controls": controls.record,
        "best_tool": {"name": tool, "validation_avg_hr": chosen_on},
        "peers": peers.record,
        "latency_ms": latency,
        "training": training,
        "faithfulness": {
            "star_think": _faithfulness(prepared, star, subset, thoughts),
            "star_think_ungrounded": _faithfulness(prepared, star, subset, ungrounded),
            "teacher": _faithfulness_of_runs(prepared, greedy.asked, greedy.runs),
        },
        "probes": probe(star, probed, targets_b, config.seed),
        "tie_seeds": ties,
        **scenario_record(tasks),
        "full_catalogue": catalogue,
        "recommendations": recommended(
            prepared.dataset, first, lists["star"].ranked, targets, examples=config.worked_examples
        ),
        "worked_examples": [
            _worked_example(prepared.dataset, task, thought, targets[task.task_id])
            for task, thought in list(zip(subset, thoughts, strict=True))[: config.worked_examples]
        ],
        "cost": _cost(training, time.monotonic() - started),
        "settings": changed_settings(session.config),
        "data_sha256": prepared.dataset.sha256,
        "commit": code_commit(),
        "policy_sha": policy_sha(),
        "environment": environment(),
    }
    results = summarise(
        ranks,
        dataset=prepared.dataset.name,
        comparisons=[
            ("star", TEACHER),
            ("star", "star_sft"),
            ("star_sft", TEACHER),
            ("star_think", TEACHER),
            ("star_think", "star"),
            ("star", tool),
            *(("star", control) for control in controls.rankings),
            (TEACHER, tool),
            (TEACHER, NO_REFLECTION),
            (TEACHER, V1),
            *(("star", name) for name in config.peers),
        ],
        headline=config.headline,
        seed=config.seed,
        n_resamples=config.n_resamples,
        facts=beside,
    )
    save_ranks(product.path("ranks.parquet"), ranks)
    write_results(product.path("results.json"), results)
    write_report(product.folder, results, ranks)
    product.complete(tasks=len(test))
    report = _publish(session, product)
    session.announce(f"evaluate: {len(test):,} test tasks, report in {report}")
    return results


def _publish(session: Session, product: Product) -> Path:
    """Copy the evaluation's files to their usual places in the run folder; the report's path."""
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


def _think(session: Session, star: Star, subset: list[RankingTask]) -> tuple[list[Thought], list[float]]:
    """The student's thought of each task, and the seconds that each took."""
    thoughts = []
    seconds = []
    with session.bar("think mode", len(subset)) as advance:
        for task in subset:
            at = time.perf_counter()
            thoughts.append(star.think(task))
            seconds.append(time.perf_counter() - at)
            advance(1)
    return thoughts, seconds


def _over_tie_seeds(prepared: Prepared, config: RunConfig, processes: int) -> dict[str, dict[str, float]]:
    """avg_hr of tools and teacher under other orders of equal times, by seed. The student is left out: what it
    was trained on under one order is held out under another."""
    found: dict[str, dict[str, float]] = {}
    first = config.data.tie_seed
    for seed in range(first, first + config.evaluation.tie_seeds):
        other = split_and_count(prepared.dataset, config.data, seed, prepared.world.config)
        tasks, targets = held_out_tasks(other, config, "test", draws=1)
        with Workers(other.world, processes) as workers:
            ranked = rank_by_signals(workers, tasks)
            ranked[TEACHER] = rank_with_teacher(workers, tasks, config.teacher.seed)
        found[str(seed)] = {name: mean_avg_hr(tasks, rankings, targets) for name, rankings in ranked.items()}
    return found


def _latency(
    prepared: Prepared, test: list[RankingTask], star: Star, before: Star, config: RunConfig
) -> dict[str, dict[str, float]]:
    """Time of one request in one process: of the student (fast, after and before GRPO), of the embedded
    teacher, and of the `evidence` of a task, whose ten signals are gathered at once, so that none has a time of
    its own. Throughput of the teacher is over all cores."""
    timed, seed = test[: config.evaluation.latency_requests], config.teacher.seed
    with Workers(prepared.world, 1) as alone:
        teacher = measure(lambda task: rank_with_teacher(alone, [task], seed), timed)
        evidence = measure(lambda task: signal_scores(alone, [task]), timed)
    with Workers(prepared.world) as workers:
        rank_with_teacher(workers, timed, seed)  # until all workers are up
        per_s = throughput(lambda all_: rank_with_teacher(workers, all_, seed), timed)
    return {
        "star": {
            **measure(star.rank, timed),
            "throughput_per_s": throughput(star.rank_many, test[:_BATCHED]),
        },
        "star_sft": measure(before.rank, timed),
        TEACHER: {**teacher, "throughput_per_s": per_s},
        "evidence": evidence,
    }


def _reflection(greedy: GreedyTeacher, targets: Targets) -> dict[str, float]:
    """How sending work back changed the teacher's rankings; empty where it was not asked without."""
    if NO_REFLECTION not in greedy.rankings:
        return {}
    return ranking_changes(greedy.asked, greedy.rankings[NO_REFLECTION], greedy.rankings[TEACHER], targets)


def _faithfulness(
    prepared: Prepared, star: Star, asked: Sequence[RankingTask], thoughts: Sequence[Thought]
) -> dict[str, int]:
    """Of the thoughts of the first tasks asked."""
    own_tools = {FAST_ORDER.name: star.fast_order}
    return faithfulness(
        check_trace([(step.tag, step.text) for step in thought.steps], prepared.world, task, own_tools)
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


def _worked_example(dataset: Dataset, task: RankingTask, thought: Thought, target: int) -> dict[str, object]:
    """A task as the report shows it: the history, the thought for people and as it was written, and the rank of
    the target."""
    return {
        "user_id": printable(task.user_id),
        "history": [dataset.titles[item] for item in task.history.tolist()],
        "readable": [asdict(entry) for entry in readable(thought.elements)],
        "steps": [
            {"agent": "star" if step.written else "tools", "kind": step.tag, "text": step.text}
            for step in thought.steps
        ],
        "ranking": [dataset.titles[item] for item in thought.ranking.items],
        "target": dataset.titles[target],
        "rank": thought.ranking.rank_of(target),
    }


def _cost(training: Mapping[str, Any], seconds: float) -> dict[str, object]:
    """Requests, tokens and dollars of language models in teaching (by agent in `training`), and the seconds of
    the evaluation."""
    agents = training["teach"]["cost"]["agents"].values()
    spent = {name: sum(agent[name] for agent in agents) for name in ("prompt_tokens", "completion_tokens")}
    return {
        "language_model_requests": sum(agent["requests"] for agent in agents),
        **spent,
        "usd": sum(agent["usd"] for agent in agents),
        "evaluate_seconds": seconds,
    }
