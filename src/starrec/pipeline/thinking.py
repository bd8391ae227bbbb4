"""Think mode in an evaluation: the thoughts and their times, whose citations hold, and examples to read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from starrec.data import Dataset, RankingTask, printable
from starrec.evaluation import check_trace, steps_of
from starrec.evaluation.faithfulness import faithfulness
from starrec.pipeline.session import Session
from starrec.pipeline.signals import Prepared
from starrec.student import ThinkMode, Thought
from starrec.student.calls import FAST_ORDER
from starrec.teacher import readable
from starrec.trajectories import Trajectory


def think(session: Session, star: ThinkMode, subset: list[RankingTask]) -> tuple[list[Thought], list[float]]:
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


def faithfulness_of_thoughts(
    prepared: Prepared, star: ThinkMode, asked: Sequence[RankingTask], thoughts: Sequence[Thought]
) -> dict[str, int]:
    """Of the thoughts of the first tasks asked."""
    own_tools = {FAST_ORDER.name: star.fast_order}
    return faithfulness(
        check_trace([(step.tag, step.text) for step in thought.steps], prepared.world, task, own_tools)
        for task, thought in zip(asked, thoughts, strict=False)
    )


def faithfulness_of_runs(
    prepared: Prepared, asked: Sequence[RankingTask], runs: Mapping[str, Trajectory]
) -> dict[str, int]:
    """Of the teacher's greedy runs, by task id."""
    return faithfulness(
        check_trace(steps_of(runs[task.task_id]), prepared.world, task)
        for task in asked
        if task.task_id in runs
    )


def worked_example(dataset: Dataset, task: RankingTask, thought: Thought, target: int) -> dict[str, object]:
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
