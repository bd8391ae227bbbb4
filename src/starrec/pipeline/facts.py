"""What results.json says beside the ranks: the best tool, how firm figures are, how fast systems are, examples.

Whatever is chosen or looked into here uses validation half B, never test. Where a figure is on test tasks (the
tie seeds, the latency, the examples), nothing is decided by it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from starrec.data import Dataset, RankingTask, Targets, printable
from starrec.engines import Workers
from starrec.evaluation import SYSTEMS, EvaluationConfig, measure, probe, rank_by_signals, throughput
from starrec.pipeline.config import RunConfig
from starrec.pipeline.preparation import Prepared, count
from starrec.pipeline.tasks import Tasks, evaluated
from starrec.ranking import Ranking, avg_hr
from starrec.student import Star, Thought
from starrec.teacher import rank_with_teacher
from starrec.tools import World


def best_tool(workers: Workers[World], tasks: Tasks) -> tuple[str, dict[str, float]]:
    """The best single tool on validation half B, and what each scored there."""
    asked, targets = tasks.validation("B")
    scores = {name: _avg_hr(ranked, asked, targets) for name, ranked in rank_by_signals(workers, asked).items()}
    return max(scores, key=lambda name: scores[name]), scores


def probes(star: Star, tasks: Tasks, config: EvaluationConfig) -> dict[str, float]:
    """How the student reads its evidence, on validation half B: nothing is looked into on test."""
    asked, targets = tasks.validation("B")
    wanted = config.probe_tasks
    return probe(star, asked[:: max(1, len(asked) // wanted)][:wanted], targets, config.seed)


def over_tie_seeds(prepared: Prepared, config: RunConfig, processes: int) -> dict[str, dict[str, float]]:
    """avg_hr of tools and teacher under other orders of equal times, by seed. The student is left out: what it
    was trained on under one order is held out under another."""
    found: dict[str, dict[str, float]] = {}
    first = config.data.tie_seed
    for seed in range(first, first + config.evaluation.tie_seeds):
        other = count(prepared.dataset, seed, prepared.world.config)
        tasks, targets = evaluated(other, config, "test", draws=1)
        with Workers(other.world, processes) as workers:
            ranked = rank_by_signals(workers, tasks)
            ranked["teacher"] = rank_with_teacher(workers, tasks, config.teacher.seed)
        found[str(seed)] = {name: _avg_hr(rankings, tasks, targets) for name, rankings in ranked.items()}
    return found


def baseline_latency(world: World, tasks: list[RankingTask], seed: int) -> dict[str, dict[str, float]]:
    """Of the teacher and of the tools: one request in one process, and throughput over all cores."""
    with Workers(world, 1) as alone:
        timed = {
            "teacher": measure(lambda task: rank_with_teacher(alone, [task], seed), tasks),
            # All signals of a task are gathered at once, so every tool alone takes the same time.
            **dict.fromkeys(SYSTEMS, measure(lambda task: rank_by_signals(alone, [task]), tasks)),
        }
    with Workers(world) as workers:
        rank_with_teacher(workers, tasks, seed)  # until all workers are up
        per_s = throughput(lambda all_: rank_with_teacher(workers, all_, seed), tasks)
    return {**timed, "teacher": {**timed["teacher"], "throughput_per_s": per_s}}


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Of times that were taken while working, in milliseconds, with requests a second."""
    low, middle, high = np.percentile(np.array(seconds) * 1000, [50, 95, 99]).tolist()
    return {"p50": low, "p95": middle, "p99": high, "n": len(seconds), "throughput_per_s": 1 / np.mean(seconds)}


def worked_example(dataset: Dataset, task: RankingTask, thought: Thought, target: int) -> dict[str, object]:
    """A task as the report shows it: the history, each step of the thought, and where the target came."""
    return {
        "user_id": printable(task.user_id),
        "history": [dataset.titles[item] for item in task.history.tolist()],
        "steps": [
            {"agent": "star" if step.written else "tools", "kind": step.tag, "text": step.text}
            for step in thought.steps
        ],
        "ranking": [dataset.titles[item] for item in thought.ranking.items],
        "target": dataset.titles[target],
        "rank": thought.ranking.rank_of(target),
    }


def cost_of(training: Mapping[str, Any], seconds: float) -> dict[str, object]:
    """What the run took: of language models in teaching (by agent in the facts of `teach`), and to evaluate."""
    agents = training["teach"]["cost"]["agents"]
    spent = {
        name: sum(agent[name] for agent in agents.values()) for name in ("prompt_tokens", "completion_tokens")
    }
    return {
        "language_model_requests": sum(agent["requests"] for agent in agents.values()),
        **spent,
        "usd": sum(agent["usd"] for agent in agents.values()),
        "evaluate_seconds": seconds,
    }


def code_commit() -> str:
    """The commit of the code, where it runs out of a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip() or "unknown"


def _avg_hr(rankings: Iterable[Ranking], tasks: Iterable[RankingTask], targets: Targets) -> float:
    ranks = [ranking.rank_of(targets[task.task_id]) for ranking, task in zip(rankings, tasks, strict=True)]
    return float(avg_hr(np.array(ranks)).mean())
