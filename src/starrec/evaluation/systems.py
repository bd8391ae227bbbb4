"""Systems that need no training: each tool alone, popularity, and chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask, Targets
from starrec.engines import Workers
from starrec.evaluation.ranks import mean_avg_hr
from starrec.evaluation.scorer import TIE_SEED, tie_seeds
from starrec.hashing import text_keys
from starrec.ranking import Ranking, from_scores
from starrec.signals import SIGNALS
from starrec.tools import World

SYSTEMS: Final[Mapping[str, str]] = {
    "item_cf": "item_cf.recent",
    "user_cf": "user_cf.recent",
    "transitions": "transitions",
    "ease": "ease",
    "popularity": "popularity",
}
"""Systems that rank by one signal, in its better window."""
_BATCH: Final = 128


def rank_by_signals(workers: Workers[World], tasks: Sequence[RankingTask]) -> dict[str, list[Ranking]]:
    """Rankings of every system of `SYSTEMS`; a signal without basis ranks by hash."""
    scores = signal_scores(workers, tasks)
    ties = tie_seeds(tasks)
    return {
        name: [
            from_scores(task.candidates, row[SIGNALS.index(signal)], seed)
            for task, row, seed in zip(tasks, scores, ties, strict=True)
        ]
        for name, signal in SYSTEMS.items()
    }


def best_tool(
    workers: Workers[World], tasks: Sequence[RankingTask], targets: Targets
) -> tuple[str, dict[str, float]]:
    """The system of `SYSTEMS` with the highest avg_hr on these tasks, and each one's avg_hr. To be chosen on
    validation, never on test."""
    scores = {
        name: mean_avg_hr(tasks, ranked, targets) for name, ranked in rank_by_signals(workers, tasks).items()
    }
    return max(scores, key=lambda name: scores[name]), scores


def signal_scores(workers: Workers[World], tasks: Sequence[RankingTask]) -> list[NDArray[np.float64]]:
    """What every signal says of the candidates of each task, `(signals, c)` each, rows as in `SCORED`."""
    batches = (list(tasks[at : at + _BATCH]) for at in range(0, len(tasks), _BATCH))
    return [scores for batch in workers.map(_signal_scores, batches) for scores in batch]


def rank_at_random(tasks: Sequence[RankingTask], seed: int) -> list[Ranking]:
    """Chance: the control that an honest protocol puts at avg_hr 0.15 for 20 candidates."""
    keys = text_keys([task.task_id for task in tasks], seed, "random system")
    return [
        from_scores(task.candidates, np.random.default_rng(int(key)).random(len(task.candidates)), TIE_SEED)
        for task, key in zip(tasks, keys, strict=True)
    ]


def _signal_scores(world: World, tasks: list[RankingTask]) -> list[NDArray[np.float64]]:
    return [world.toolbox(task).evidence.scores for task in tasks]
