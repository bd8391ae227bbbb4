"""A task's candidates, ranked by the system that serves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask
from starrec.engines import run_async
from starrec.evaluation.systems import SYSTEMS
from starrec.ranking import Ranking, order_by_scores
from starrec.signals import SIGNALS
from starrec.student import FastMode
from starrec.student.fast_mode import TIE_SEED, FastAnswer
from starrec.teacher import EmbeddedPolicy, run
from starrec.tools import Toolbox


@dataclass(frozen=True, eq=False)
class Ranked:
    """A task's candidates, ranked."""

    task: RankingTask
    system: str
    order: NDArray[np.int64]
    """`(c,)` columns, best first."""
    scores: NDArray[np.float64]
    """`(c,)` in the order of the candidates."""
    numbers: NDArray[np.float32] | None = None
    """`(c, N_NUMBERS)` rows in the order of the candidates, where the student ranked."""


def rank_with(system: str, fast: FastMode, task: RankingTask, toolbox: Toolbox) -> Ranked:
    """
    Args:
        system: `star`, `teacher` or a tool of `evaluation.SYSTEMS`.
    """
    if system == "star":
        return of_star(task, fast.answer(task, toolbox))
    if system == "teacher":
        order = columns_of(run_async(run(EmbeddedPolicy(), toolbox)).ranking, task.candidates)
        return Ranked(task, system, order, -np.argsort(order).astype(np.float64))
    scores = toolbox.evidence.scores[SIGNALS.index(SYSTEMS[system])]
    return Ranked(task, system, order_by_scores(task.candidates, scores, TIE_SEED), np.nan_to_num(scores))


def of_star(task: RankingTask, answer: FastAnswer) -> Ranked:
    """What fast mode answered."""
    numbers = np.empty_like(answer.numbers)
    numbers[answer.order] = answer.numbers
    return Ranked(task, "star", answer.best, answer.scores.astype(np.float64), numbers)


def columns_of(ranking: Ranking, candidates: NDArray[np.int32]) -> NDArray[np.int64]:
    """Where the ranked items stand among the candidates, best first."""
    column = {item: at for at, item in enumerate(candidates.tolist())}
    return np.array([column[item] for item in ranking.items], dtype=np.int64)
