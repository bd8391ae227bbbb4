"""What is measured beside accuracy: the time of a request, and what the order of equal times moves."""

from __future__ import annotations

from typing import Final

from starrec.data import RankingTask
from starrec.engines import Workers
from starrec.evaluation import mean_avg_hr, measure, rank_by_signals, signal_scores, throughput
from starrec.pipeline.config import RunConfig
from starrec.pipeline.greedy_teacher import TEACHER
from starrec.pipeline.memory import gives_back
from starrec.pipeline.signals import Prepared, split_and_count
from starrec.pipeline.tasks import held_out_tasks
from starrec.student import FastMode
from starrec.teacher import rank_with_teacher

_BATCHED: Final = 1024
"""Tasks that are ranked at once to measure the student's throughput, at most."""


@gives_back
def latency(
    prepared: Prepared, test: list[RankingTask], star: FastMode, before: FastMode, config: RunConfig
) -> dict[str, dict[str, float]]:
    """Time of one request in one process: of the student (fast, after and before GRPO), of the embedded
    teacher, and of the `evidence` of a task, whose signals are gathered at once, so that none has a time of
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


@gives_back
def over_tie_seeds(prepared: Prepared, config: RunConfig, processes: int) -> dict[str, dict[str, float]]:
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
