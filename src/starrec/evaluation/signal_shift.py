"""How each signal is distributed where the student is trained, evaluated and live.

A student can only be expected to rank well what is distributed as in its training. Candidates of test tasks are
drawn at random, those of a live request are retrieved, and retrieved ones score higher on nearly every signal.
So each is compared with the practice tasks whose candidates came about in the same way: `evaluated` with
`trained_random`, `live` with `trained_retrieved`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

QUANTILES: Final = (0.1, 0.5, 0.9)
COMPARED_WITH: Final[Mapping[str, str]] = {"evaluated": "trained_random", "live": "trained_retrieved"}
"""The tasks that a student is asked, and the practice tasks that they should look like."""


def signal_distributions(
    samples: Mapping[str, NDArray[np.float64]], signals: Sequence[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """{signal: {kind of tasks: {"unknown", "quantiles", "shift"}}}: the share of candidates of which the signal
    is unknown; quantiles (`QUANTILES`) of the scores of the others, null where there are none; how far the
    scores are shifted from those in training (`shift`), which training itself has not.

    Args:
        samples: by kind of tasks, scores `(len(signals), n)` of their candidates, NaN where unknown, n at least
            2; the kinds of `COMPARED_WITH` and those that they are compared with.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row, signal in enumerate(signals):
        found[signal] = {}
        for kind, scores in samples.items():
            of_kind = found[signal][kind] = _distribution(scores[row])
            if kind in COMPARED_WITH:
                of_kind["shift"] = shift(samples[COMPARED_WITH[kind]][row], scores[row])
    return found


def shift(trained: NDArray[np.float64], asked: NDArray[np.float64]) -> float:
    """The two-sample Kolmogorov–Smirnov statistic, the greatest distance between two distribution functions:
    0 where they are the same, 1 where all scores of one lie above all of the other. Unknown (NaN) counts as one
    score below all others."""
    # Here: it takes longer to import than a run to answer.
    from scipy.stats import ks_2samp

    one, other = (np.where(np.isnan(scores), -np.inf, scores) for scores in (trained, asked))
    # Its p-value would take the candidates of a task for independent; only the distance is used.
    return float(ks_2samp(one, other, method="asymp").statistic)


def _distribution(scores: NDArray[np.float64]) -> dict[str, Any]:
    unknown = np.isnan(scores)
    known = scores[~unknown]
    quantiles = np.quantile(known, QUANTILES).tolist() if len(known) else None
    return {"unknown": float(unknown.mean()), "quantiles": quantiles}
