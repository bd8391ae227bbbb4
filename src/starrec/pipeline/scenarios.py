"""The scenarios beside the headline: who answers them, and what results.json says of all of them.

Fast systems answer: the student before and after GRPO, the teacher where it is the embedded policy, each tool,
chance. Think mode and a teacher that is a language model take seconds or money a task and answer the headline's
tasks alone.
"""

from __future__ import annotations

from typing import Any, Final

from starrec.data import (
    MIN_TASKS,
    SECONDS_A_DAY,
    RankingTask,
    date_of,
    took_too_much,
    took_too_much_of_popular,
    within_one_day,
)
from starrec.engines import Workers
from starrec.evaluation import rank_at_random, rank_by_signals
from starrec.evaluation.wording import is_student
from starrec.pipeline.config import RunConfig
from starrec.pipeline.greedy_teacher import NO_REFLECTION, TEACHER, V1, rank_with_policy
from starrec.pipeline.memory import gives_back
from starrec.pipeline.tasks import Tasks
from starrec.ranking import Ranking
from starrec.student import FastMode
from starrec.teacher import rank_with_v1
from starrec.tools import World

_MOST: Final = 0.5
"""Share of users with everything within a day from which on scenarios of change carry no claim about time."""


@gives_back
def rank_fast(
    workers: Workers[World], star: FastMode, before: FastMode, tasks: list[RankingTask], config: RunConfig
) -> dict[str, list[Ranking]]:
    """Rankings of every fast system by its name; the teacher is among them where it is the embedded policy.

    Args:
        before: the student before GRPO.
    """
    ranked = rank_by_signals(workers, tasks)
    ranked["random"] = rank_at_random(tasks, config.evaluation.seed)
    ranked[V1] = rank_with_v1(workers, tasks)
    if config.teacher.model.embedded:
        ranked |= rank_with_policy(workers, tasks, config.teacher.seed)
    ranked["star"] = star.rank_many(tasks)
    ranked["star_sft"] = before.rank_many(tasks)
    return ranked


def own_seed(system: str, config: RunConfig) -> int:
    """Seed of the system's own randomness: of a student's training, of a teacher, of chance; 0 of what has
    none."""
    if is_student(system):
        return config.student.seed
    if system in (TEACHER, NO_REFLECTION):
        return config.teacher.seed
    return config.evaluation.seed if system == "random" else 0


def scenario_record(tasks: Tasks) -> dict[str, Any]:
    """What results.json says of split and scenarios, from the tasks alone."""
    split, dataset, negatives = tasks.prepared.split, tasks.prepared.dataset, tasks.config.data.negatives
    scenarios: dict[str, dict[str, int]] = {}
    for each in tasks.scenarios:
        short = (
            took_too_much_of_popular(dataset, split, negatives)
            if each.scenario == "classic_popular"
            else took_too_much(dataset, split.sequences, negatives)
        )
        scenarios[each.scenario] = {
            "tasks": len(each.tasks),
            "users": len({task.user for task in each.tasks}),
            "users_without_a_task": int(((split.test >= 0) & short).sum()),
        }
    for each in tasks.given:
        users = len({task.user_id for task in each.tasks})
        scenarios[each.scenario] = {"tasks": len(each.tasks), "users": users, "users_without_a_task": 0}
    ticks = SECONDS_A_DAY * dataset.resolution
    return {
        "split": {
            "kind": split.kind,
            "from": None if split.cuts is None else [date_of(moment // ticks) for moment in split.cuts],
            "users_without_history": dict(split.without_history),
            "users_trained_after_target": split.trained_after,
        },
        "scenarios": scenarios,
        "not_measurable": {
            name: {"tasks": counts["tasks"], "needed": MIN_TASKS}
            for name, counts in scenarios.items()
            if counts["tasks"] < MIN_TASKS
        },
        "clock_note": _clock_note(within_one_day(dataset)),
    }


def _clock_note(share: float | None) -> dict[str, Any]:
    """The share of users whose history lies within a day, and what it forbids to claim."""
    note = None
    if share is None:
        note = "These data have no clock: the evolving scenarios are about the order of items, not about time."
    elif share > _MOST:
        note = (
            f"{share:.0%} of the users have their whole history within one day: here the evolving scenarios "
            "carry no claim about interest over time."
        )
    return {"within_one_day": share, "note": note}
