"""Which system a run serves: of student, teacher and best tool the one that ranks validation half B best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from starrec.data import RankingTask, Targets
from starrec.engines import Workers
from starrec.evaluation import mean_avg_hr
from starrec.pipeline.config import RunConfig
from starrec.teacher import rank_with_teacher
from starrec.tools import World

if TYPE_CHECKING:
    from starrec.student import FastMode

SERVED: Final = "served"
"""The part of an evaluation's record that says which system serves, and what each had on validation half B."""


def choose_served(
    star: FastMode,
    workers: Workers[World],
    tasks: Sequence[RankingTask],
    targets: Targets,
    tool: tuple[str, float],
    config: RunConfig,
) -> dict[str, Any]:
    """`system`, and `validation_avg_hr` by system. A teacher that a language model backs serves nobody in real
    time and is left out; of equals the student serves.

    Args:
        tasks: of validation half B; without any, the student serves.
        tool: the best tool, and its avg_hr on them.
    """
    if not tasks:
        return {"system": "star", "validation_avg_hr": {}}
    found = {"star": mean_avg_hr(tasks, star.rank_many(tasks), targets)}
    if config.teacher.model.embedded:
        found["teacher"] = mean_avg_hr(tasks, rank_with_teacher(workers, tasks, config.teacher.seed), targets)
    found[tool[0]] = tool[1]
    return {"system": max(found, key=lambda name: found[name]), "validation_avg_hr": found}
