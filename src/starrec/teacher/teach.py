"""Teaching and evaluating with the embedded policy, batch by batch over worker processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from starrec.data import RankingTask
from starrec.engines import Workers
from starrec.ranking import Ranking
from starrec.teacher.config import TeacherConfig
from starrec.teacher.policy import EmbeddedPolicy
from starrec.teacher.workflow import run
from starrec.tools import World
from starrec.trajectories import Store, Trajectory, judge

BATCH: Final = 64
"""Tasks a batch; what is lost when a run is killed is what the workers had in flight."""


def teach(
    workers: Workers[World],
    tasks: Sequence[RankingTask],
    columns: Mapping[str, int],
    store: Store,
    config: TeacherConfig,
) -> Iterator[int]:
    """Reason over tasks, `config.runs` sampled runs each, and store the judged trajectories; those in the
    store are not done again.

    Args:
        columns: where each task's target stands (`trajectories.target_columns`); used after a run has ended.

    Yields:
        Trajectories added by each batch.
    """
    done = store.done()
    missing = [
        (task, numbers)
        for task in tasks
        if (numbers := [n for n in range(config.runs) if (task.task_id, n) not in done])
    ]
    batches = ((config.seed, missing[at : at + BATCH]) for at in range(0, len(missing), BATCH))
    for trajectories in workers.map(_explore, batches):
        yield store.append(judge(trajectories, columns))


def rank_with_teacher(workers: Workers[World], tasks: Sequence[RankingTask], seed: int) -> list[Ranking]:
    """The greedy teacher's rankings, in the order of tasks."""
    batches = ((seed, list(tasks[at : at + BATCH])) for at in range(0, len(tasks), BATCH))
    return [ranking for batch in workers.map(_greedy, batches) for ranking in batch]


def _explore(world: World, batch: tuple[int, Iterable[tuple[RankingTask, Sequence[int]]]]) -> list[Trajectory]:
    seed, work = batch
    policy = EmbeddedPolicy(seed)

    async def all_runs() -> list[Trajectory]:
        trajectories = []
        for task, numbers in work:
            # The runs of a task share its evidence.
            toolbox = world.toolbox(task)
            for number in numbers:
                trajectories.append((await run(policy, toolbox, number=number, explore=True)).trajectory)
        return trajectories

    return asyncio.run(all_runs())


def _greedy(world: World, batch: tuple[int, Sequence[RankingTask]]) -> list[Ranking]:
    seed, tasks = batch
    policy = EmbeddedPolicy(seed)

    async def all_tasks() -> list[Ranking]:
        return [(await run(policy, world.toolbox(task))).ranking for task in tasks]

    return asyncio.run(all_tasks())


__all__ = ["BATCH", "rank_with_teacher", "teach"]
