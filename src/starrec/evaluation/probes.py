"""Does the student read its evidence, or has it learned the catalogue by heart?

Three interventions on fast prompts. In a student that ranks by its evidence alone

- exchanging the evidence of its first candidate and a random other one turns their order;
- permuting the labels among the candidates keeps the same candidate first;
- replacing all evidence by "none" costs accuracy.

A student is not built to do so: the rates say how far it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from starrec.data import RankingTask, Targets
from starrec.ranking import avg_hr, order_by_scores, ranks_of_targets

if TYPE_CHECKING:
    from starrec.student import Star


def probe(star: Star, tasks: Sequence[RankingTask], targets: Targets, seed: int) -> dict[str, float]:
    """Rates over `n` tasks: `exchange_turns` (of those whose two candidates differ in evidence),
    `labels_keep_first`, and `none_costs` in avg_hr."""
    random = np.random.default_rng(seed)
    # Imports torch, which whoever has a student has loaded anyway.
    from starrec.student import FastTasks, gather_tasks

    given = gather_tasks(star.world, list(tasks))
    rows = np.arange(len(given))
    scores = star.scores(given)
    order = order_by_scores(given.candidates, scores, 0)
    first, other = order[:, 0], order[rows, random.integers(1, order.shape[1], len(rows))]

    exchanged = given.levels.copy()
    exchanged[rows, :, first], exchanged[rows, :, other] = (
        given.levels[rows, :, other],
        given.levels[rows, :, first],
    )
    after = star.scores(FastTasks(given.histories, given.candidates, exchanged))
    different = (given.levels[rows, :, first] != given.levels[rows, :, other]).any(axis=1)
    turned = after[rows, other] > after[rows, first]

    permuted = star.scores(
        given, random.permuted(np.tile(np.arange(given.candidates.shape[1]), (len(rows), 1)), axis=1)
    )
    same = order_by_scores(given.candidates, permuted, 0)[:, 0] == first

    none = star.scores(FastTasks(given.histories, given.candidates, np.full_like(given.levels, -1)))
    column = np.array([task.candidates.tolist().index(targets[task.task_id]) for task in tasks])
    with_evidence = avg_hr(ranks_of_targets(given.candidates, scores, column, 0)).mean()
    without = avg_hr(ranks_of_targets(given.candidates, none, column, 0)).mean()
    return {
        "n": len(tasks),
        "exchange_turns": float(turned[different].mean()),
        "labels_keep_first": float(same.mean()),
        "avg_hr": float(with_evidence),
        "avg_hr_without_evidence": float(without),
        "none_costs": float(with_evidence - without),
    }
