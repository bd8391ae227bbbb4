"""The `evaluate` step: every system ranks the same test tasks; results.json, ranks.parquet and the report.

Ranks come first; the rest of results.json stands beside them. Whatever is chosen or probed uses validation half
B, never test. Where another figure is on test tasks (tie seeds, latency, examples), nothing is decided by it.
Thinking takes seconds a task, so `star_think` answers for a fixed subset of users and is compared on that
subset.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from filecmp import cmp
from pathlib import Path
from typing import Any

import polars as pl

from starrec.data import RankingTask, Targets
from starrec.engines import Workers
from starrec.evaluation import (
    Results,
    best_tool,
    code_commit,
    environment,
    percentiles,
    probe,
    rank_retrieved,
    ranking_changes,
    ranks_frame,
    read_results,
    retrieve_all,
    save_ranks,
    summarise,
    write_report,
    write_results,
)
from starrec.evaluation.breakdown import breakdown
from starrec.evaluation.full_catalogue import full_catalogue
from starrec.pipeline.controls import rank_with_controls
from starrec.pipeline.distill import student_product
from starrec.pipeline.fingerprints import evaluate_inputs
from starrec.pipeline.greedy_teacher import (
    NO_REFLECTION,
    TEACHER,
    V1,
    first_draws,
    rank_greedily,
)
from starrec.pipeline.measured import latency, over_tie_seeds
from starrec.pipeline.memory import gives_back
from starrec.pipeline.peers import rank_with_peers
from starrec.pipeline.report_facts import changed_settings, data_summary, recommended, task_numbers
from starrec.pipeline.scenarios import own_seed, rank_fast, scenario_record
from starrec.pipeline.served import SERVED, choose_served
from starrec.pipeline.session import Session
from starrec.pipeline.signal_samples import distributions_of_signals
from starrec.pipeline.signals import Prepared
from starrec.pipeline.tasks import Tasks
from starrec.pipeline.thinking import faithfulness_of_runs, faithfulness_of_thoughts, think, worked_example
from starrec.ranking import Ranking
from starrec.runs import Product, write_atomic
from starrec.student import LanguageStar, Star, load_student
from starrec.teacher import policy_sha


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
    session.begins("evaluate")
    started = time.monotonic()
    test, targets = tasks.test
    evaluations = tasks.evaluations()
    every = [task for each in evaluations for task in each.tasks]
    all_targets = {task_id: item for each in evaluations for task_id, item in each.targets.items()}
    # Controls and peers answer whatever has as many candidates as the tasks that they learned from.
    asked = [task for task in every if len(task.candidates) == session.config.data.negatives + 1]
    half_b, targets_b = tasks.validation("B")
    star, before = (load_student(student.path(name), prepared.world) for name in ("star", "sft"))
    thinker = star if isinstance(star, Star | LanguageStar) else None
    nano = star if isinstance(star, Star) else None
    if thinker is None:
        session.announce(
            "evaluate: the student was not trained on traces, so there is no star_think; whole catalogues are "
            "nano's"
        )
    elif nano is None:
        session.announce("evaluate: a language model as the student; whole catalogues are nano's")
    with Workers(prepared.world) as workers:
        rankings = rank_fast(workers, star, before, every, session.config)
        tool, chosen_on = best_tool(workers, half_b, targets_b)
        served = choose_served(star, workers, half_b, targets_b, (tool, chosen_on[tool]), session.config)
        ties = over_tie_seeds(prepared, session.config, workers.processes)
        controls = rank_with_controls(session, prepared, tasks, workers, config.controls, asked)
        first = [task for task in test if task.draw == 0]
        retrieved = retrieve_all(workers, first)
        distributions = distributions_of_signals(tasks, workers)
    greedy = rank_greedily(session, prepared, tasks)
    lists = {"retrieval": retrieved}
    if nano is not None:
        lists["star"] = gives_back(rank_retrieved)(star.rank_many, first, retrieved)
    catalogue = full_catalogue(lists, first, targets, prepared.world.graph)
    subset = first_draws(test, config.think_users, config.seed, "think subset") if thinker is not None else []
    thoughts, seconds = think(session, thinker, subset) if thinker is not None else ([], [])
    answers = [(name, every, ranked) for name, ranked in rankings.items()]
    answers += [(name, greedy.asked, ranked) for name, ranked in greedy.rankings.items()]
    if thinker is not None:
        answers.append(("star_think", subset, [thought.ranking for thought in thoughts]))
    peers = rank_with_peers(session, prepared, tasks, config.peers, product.folder, asked)
    frames = [
        ranks_frame(name, of, ranked, all_targets, seed=own_seed(name, session.config))
        for name, of, ranked in answers
    ]
    frames += [
        ranks_frame(name, asked, ranked, all_targets, seed=seed)
        for name, by_seed in controls.rankings.items()
        for seed, ranked in by_seed.items()
    ]
    frames += [
        ranks_frame(name, asked, ranked, all_targets, seed=seed)
        for (name, seed), ranked in peers.rankings.items()
    ]
    ranks = pl.concat(frames).sort("system", maintain_order=True)

    session.announce("evaluate: latency and probes")
    latency_ms = latency(prepared, test, star, before, session.config) | peers.latency
    faithful = {"teacher": faithfulness_of_runs(prepared, greedy.asked, greedy.runs)}
    if thinker is not None:
        # One after the other, so the rate is that of one process.
        latency_ms["star_think"] = {**percentiles(seconds), "throughput_per_s": len(seconds) / sum(seconds)}
        faithful["star_think"] = faithfulness_of_thoughts(prepared, thinker, subset, thoughts)
    if nano is not None:
        # How well the student copies on its own: the control for what grounding does.
        ungrounded = list(nano.think_many(subset[: config.ungrounded_users], grounded=False))
        faithful["star_think_ungrounded"] = faithfulness_of_thoughts(prepared, nano, subset, ungrounded)
    if greedy.latency is not None:
        latency_ms[TEACHER] = greedy.latency
    probed = half_b[:: max(1, len(half_b) // config.probe_tasks)][: config.probe_tasks]
    beside = {
        "data": data_summary(prepared.dataset, prepared.split, test),
        "teacher_kind": greedy.kind,
        "teacher_failures": greedy.failures,
        "reflection": _reflection(rankings, test, targets),
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
        SERVED: served,
        "peers": peers.record,
        "latency_ms": latency_ms,
        "training": training,
        "faithfulness": faithful,
        "probes": probe(star, probed, targets_b, config.seed),
        "tie_seeds": ties,
        **scenario_record(tasks),
        "full_catalogue": catalogue,
        "signal_distributions": distributions,
        "recommendations": recommended(
            prepared.dataset,
            first,
            next(reversed(lists.values())).ranked,
            targets,
            examples=config.worked_examples,
        ),
        "worked_examples": [
            worked_example(prepared.dataset, task, thought, targets[task.task_id])
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
            *([] if thinker is None else [("star_think", TEACHER), ("star_think", "star")]),
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
    write_report(product.path("report.html"), results, ranks, run=session.run.folder)
    product.complete(tasks=len(test), **{SERVED: served})
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


def _reflection(
    rankings: Mapping[str, list[Ranking]], test: list[RankingTask], targets: Targets
) -> dict[str, float]:
    """How sending work back changed the teacher's rankings of the classic test tasks, which stand first; empty
    where it was not asked without."""
    if NO_REFLECTION not in rankings:
        return {}
    before, after = (rankings[name][: len(test)] for name in (NO_REFLECTION, TEACHER))
    return ranking_changes(test, before, after, targets)


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
