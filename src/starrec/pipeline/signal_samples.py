"""Samples of the tasks that the student is trained on, evaluated on and asked live: how what it reads of their
candidates is distributed.

Practice tasks are the first batches of stage 2, of each kind as many as its share of the steps, drawn again in
proportion to their weight in the loss. Live tasks are those that `recommend` would ask for test users: the
whole sequence, nothing held out, and what is retrieved for it; the user is left out of the graph, as somebody
who types a history is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starrec.engines import Workers
from starrec.evaluation import signal_distributions
from starrec.pipeline.greedy_teacher import first_draws
from starrec.pipeline.memory import gives_back
from starrec.pipeline.practice import SHARES, Kind, Practice
from starrec.pipeline.tasks import Tasks
from starrec.signals import SCORED
from starrec.student import FastTasks, Labelled, gather_tasks, scores_of_rows
from starrec.tools import NOMINATED, World, live_task

_TASKS: Final = 500
"""Tasks of a sample, at most for test tasks, whose users have the smallest hashes; at least for practice."""
_RETRIEVED: Final = 250
"""The same of tasks with retrieved candidates: each has five times as many."""


@gives_back
def distributions_of_signals(tasks: Tasks, workers: Workers[World]) -> dict[str, Any]:
    """`signal_distributions` of results.json."""
    samples = _practised(tasks, workers) | _asked(tasks, workers.processes)
    scores = {kind: np.concatenate(list(map(_scores, parts)), axis=1) for kind, parts in samples.items()}
    return {
        "tasks": {kind: sum(map(len, parts)) for kind, parts in samples.items()},
        "signals": signal_distributions(scores, SCORED),
    }


def _practised(tasks: Tasks, workers: Workers[World]) -> dict[str, list[FastTasks]]:
    config = tasks.config.student
    practice = Practice(tasks, workers, config, tasks.practice)

    def first(kinds: Sequence[Kind], least: int) -> list[FastTasks]:
        times = math.ceil(least / (config.grpo.batch * sum(SHARES[kind] for kind in kinds)))
        batches = [batch for kind in kinds for batch in practice.first(kind, times * SHARES[kind])]
        return [_by_weight(batch, config.seed) for batch in batches]

    random: list[Kind] = [kind for kind in SHARES if kind != "retrieved"]
    return {"trained_random": first(random, _TASKS), "trained_retrieved": first(["retrieved"], _RETRIEVED)}


def _by_weight(batch: Labelled, seed: int) -> FastTasks:
    share = batch.weights.astype(np.float64) / batch.weights.sum(dtype=np.float64)
    return batch.tasks[np.random.default_rng(seed).choice(len(batch), len(batch), p=share)]


def _asked(tasks: Tasks, threads: int) -> dict[str, list[FastTasks]]:
    world, seed = tasks.prepared.world, tasks.config.evaluation.seed
    test = first_draws(tasks.test[0], _TASKS, seed, "signals")
    live = [
        live_task(world.graph, tasks.prepared.sequences.of(task.user), NOMINATED, task.user)
        for task in test[:_RETRIEVED]
    ]
    return {
        "evaluated": [gather_tasks(world, test, threads)],
        "live": [gather_tasks(world, live, threads)],
    }


def _scores(tasks: FastTasks) -> NDArray[np.float64]:
    return scores_of_rows(tasks.numbers[tasks.present])[: len(SCORED)]
