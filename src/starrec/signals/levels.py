"""The signals, and the 16 levels of the first ten, as `compare` writes them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.signals import kernels

SIGNALS: Final = (
    "category",
    "semantic",
    "trend",
    "popularity",
    "item_cf.whole",
    "user_cf.whole",
    "item_cf.recent",
    "user_cf.recent",
    "transitions",
    "ease",
)
"""The signals that have levels, in the order of their rows in `Evidence` and of their places in a
compact row."""

SCORED: Final[tuple[str, ...]] = (
    *SIGNALS,
    "following.1",
    "following.30",
    "around.20",
    "walk.recent",
    "factors.product",
    "factors.cosine",
    "people.recent",
    "people.whole",
    "history",
)
"""All signals, in the order of their rows in `Evidence.scores`: beside those with levels, which the teacher
reads, what comes within the next 1 or 30 items or within 20 on either side, where random walks lead, whose
vectors are near (`factors`), and on how much the others rest: people behind the strongest co-occurrence, and
the length of the history."""

N_LEVELS: Final = 16
"""Levels of a signal: 0 (nothing) to 15."""


def _geometric(low: float, high: float) -> NDArray[np.float64]:
    return np.geomspace(low, high, N_LEVELS - 1)


# Fixed cuts, never fitted: a quantile over training tasks would contain edges of the very user asked about.
# All scores are shares, rates, cosines or multiples, so one set of cuts serves catalogues of any size.
LEVELS: Final[dict[str, NDArray[np.float64]]] = {
    "item_cf.recent": _geometric(0.1, 2.6),
    "item_cf.whole": _geometric(0.03, 0.45),
    "user_cf.recent": _geometric(0.015, 0.7),
    "user_cf.whole": _geometric(0.015, 0.7),
    "transitions": _geometric(0.05, 3.0),
    "ease": _geometric(0.0015, 0.3),
    "popularity": _geometric(0.002, 0.4),
    "trend": _geometric(0.1, 12.0),
    "category": _geometric(0.04, 0.9),
    "semantic": _geometric(0.005, 0.5),
}
"""Cuts of each signal: the level of a score is the number of cuts at or below it."""


_CUTS: Final = np.stack([LEVELS[signal] for signal in SIGNALS])


def levels(scores: NDArray[np.float64]) -> NDArray[np.int8]:
    """Levels of scores `(10, n)`, rows as in `SIGNALS`: the number of cuts at or below; -1 for NaN."""
    return kernels.numbers_of_cuts(_CUTS, scores)


def scores_at(levels: NDArray[np.int8]) -> NDArray[np.float64]:
    """Scores `(10, ...)` that have these levels: the geometric middle between two cuts, 0 for level 0, the last
    cut for the highest level and NaN for -1."""
    found = np.full(levels.shape, np.nan)
    for row, signal in enumerate(SIGNALS):
        cuts = LEVELS[signal]
        middles = np.array([0.0, *np.sqrt(cuts[:-1] * cuts[1:]), cuts[-1]])
        known = levels[row] >= 0
        found[row, known] = middles[levels[row, known]]
    return found
