"""The teacher as `evaluate` compares it: one greedy run a task, by the configured model.

The embedded policy answers every test task, and once more without sending work back, which shows what
reflection adds. A language model answers for a fixed subset of users; its runs are stored one by one, so an
evaluation that was killed asks for nothing twice. A failed run leaves its candidates as they were
shuffled: chance, counted like any other answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from starrec.data import RankingTask
from starrec.engines import Workers, run_async
from starrec.evaluation import percentiles
from starrec.hashing import text_keys
from starrec.pipeline.session import Session
from starrec.pipeline.signals import Prepared
from starrec.pipeline.tasks import Tasks
from starrec.pipeline.teach import WAYS, open_store
from starrec.ranking import Ranking, repair
from starrec.teacher import EmbeddedPolicy, missing, rank_with_teacher, ranking_of, run
from starrec.tools import World
from starrec.trajectories import Trajectory, target_columns

TEACHER: Final = "teacher"
NO_REFLECTION: Final = "teacher_no_reflection"
V1: Final = "teacher_v1"
"""The embedded policy of commit 728a73c, whatever the teacher is."""


@dataclass(frozen=True)
class GreedyTeacher:
    """The greedy teacher's answers."""

    kind: str
    asked: list[RankingTask]
    rankings: dict[str, list[Ranking]]
    """By system, aligned with `asked`."""
    latency: dict[str, float] | None = None
    """Milliseconds of one run (`percentiles`), where runs were timed while they were made."""
    failures: dict[str, int] = field(default_factory=dict)
    """Failed runs, by reason."""
    runs: dict[str, Trajectory] = field(default_factory=dict)
    """Runs by task id: all of a language model, of the embedded policy those of the tasks that think mode
    answers."""


def rank_greedily(session: Session, prepared: Prepared, tasks: Tasks) -> GreedyTeacher:
    """Ask the teacher of this configuration about test tasks. A language model ranks those of a subset of
    users; of the embedded policy, which ranks everything elsewhere (`rank_with_policy`), there are runs to
    read."""
    config = session.config
    test, targets = tasks.test
    if config.teacher.model.embedded:
        seed = config.teacher.seed
        subset = first_draws(test, config.evaluation.think_users, config.evaluation.seed, "think subset")
        runs = run_async(_greedy_runs(prepared.world, subset, seed))
        return GreedyTeacher(EmbeddedPolicy.kind, subset, {}, runs=runs)
    # Imported here: pydantic-ai is an extra, and takes seconds.
    from starrec.teacher.asking import teach_by_models
    from starrec.teacher.llm import LLMAgents

    asked = first_draws(test, config.evaluation.teacher_users, config.evaluation.seed, "teacher subset")
    agents = LLMAgents(config.teacher)
    with open_store(session, prepared, tasks.keys((asked, targets)), explore=False) as store:
        work = missing(asked, 1, store)
        with session.bar("teacher", len(asked), len(asked) - len(work)) as advance:
            for ended in teach_by_models(
                config.teacher,
                prepared.world,
                work,
                target_columns(asked, targets),
                store,
                announce=lambda line: session.announce(f"evaluate: {line}"),
                kept=session.run.path(WAYS),
                explore=False,
                agents=agents,
            ):
                advance(len(ended))
        runs = {made.task_id: made for made in store}
        failed = [failure.reason for failure in store.failed().values()]
    ranked = [
        ranking_of(runs[task.task_id], task) if task.task_id in runs else repair([], task.candidates)
        for task in asked
    ]
    latency = percentiles([made.cost.total.seconds for made in runs.values()]) if runs else None
    failures: dict[str, int] = {reason: failed.count(reason) for reason in failed}
    return GreedyTeacher(agents.kind, asked, {TEACHER: ranked}, latency, failures, runs)


def rank_with_policy(workers: Workers[World], tasks: list[RankingTask], seed: int) -> dict[str, list[Ranking]]:
    """The embedded policy's rankings, with and without sending work back."""
    return {
        TEACHER: rank_with_teacher(workers, tasks, seed),
        NO_REFLECTION: rank_with_teacher(workers, tasks, seed, reflections=1),
    }


async def _greedy_runs(world: World, tasks: list[RankingTask], seed: int) -> dict[str, Trajectory]:
    """Runs of the embedded policy by task id."""
    policy = EmbeddedPolicy(seed)
    return {task.task_id: (await run(policy, world.toolbox(task))).trajectory for task in tasks}


def first_draws(tasks: list[RankingTask], users: int, seed: int, name: str) -> list[RankingTask]:
    """The first draw of so many users, those with the smallest hashes."""
    first = [task for task in tasks if task.draw == 0]
    keys = text_keys([task.user_id for task in first], seed, name)
    return [first[index] for index in np.argsort(keys)[:users].tolist()]
