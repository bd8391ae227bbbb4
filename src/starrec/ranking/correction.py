"""Several comparisons at once: p-values corrected for their number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of a family of comparisons, corrected so that the chance of one false rejection or more stays at
    the level, however the comparisons depend on each other.

    Holm's step-down procedure (*Scandinavian Journal of Statistics* 6, 1979): with the m values in rising
    order, the corrected i-th is max over j <= i of (m - j + 1) p_j, at most 1.
    """
    order = np.argsort(p_values, kind="stable")
    raised = np.asarray(p_values, dtype=np.float64)[order] * np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(p) for p in corrected]
