"""Does the student read its evidence?

Two interventions on what fast mode reads. In a student that ranks by its evidence

- exchanging the rows of its first candidate and a random other one turns their order;
- knowing nothing of any candidate costs accuracy.

The first is so by construction (a candidate is its row), and is measured to show that it stays so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask, Targets
from starrec.ranking import avg_hr, ranks_of_targets

if TYPE_CHECKING:
    from starrec.student import FastMode


def probe(star: FastMode, tasks: Sequence[RankingTask], targets: Targets, seed: int) -> dict[str, float]:
    """Rates over `n` tasks with equally many candidates: `exchange_turns`, and `none_costs` in avg_hr."""
    random = np.random.default_rng(seed)
    # Imports torch, which whoever has a student has loaded anyway.
    from starrec.student import READ, gather_tasks, withhold

    given = gather_tasks(star.world, list(tasks))
    rows = np.arange(len(given))
    scores = star.fast.scores(given)
    order = np.argsort(-scores, axis=1, kind="stable")
    first, other = order[:, 0], order[rows, random.integers(1, order.shape[1], len(rows))]

    exchanged = given.numbers.copy()
    exchanged[rows, first], exchanged[rows, other] = given.numbers[rows, other], given.numbers[rows, first]
    after = star.fast.scores(replace(given, numbers=exchanged))
    different = (given.numbers[rows, first] != given.numbers[rows, other]).any(axis=1)
    turned = after[rows, other] > after[rows, first]

    nothing = withhold(given.numbers, np.ones((len(rows), len(READ)), dtype=np.bool_))
    none = star.fast.scores(replace(given, numbers=nothing))
    candidates = np.stack([task.candidates for task in tasks])
    column = np.array([task.candidates.tolist().index(targets[task.task_id]) for task in tasks])

    def reached(scores: NDArray[np.float32]) -> float:
        return float(avg_hr(ranks_of_targets(candidates, np.stack(given.as_given(scores)), column, 0)).mean())

    with_evidence, without = reached(scores), reached(none)
    return {
        "n": len(tasks),
        "exchange_turns": float(turned[different].mean()),
        "avg_hr": with_evidence,
        "avg_hr_without_evidence": without,
        "none_costs": with_evidence - without,
    }
