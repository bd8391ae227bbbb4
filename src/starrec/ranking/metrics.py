"""Accuracy of rankings, from the 1-based ranks of the true items.

With one true item a task, everything is a function of its rank r: a hit at k is r <= k, NDCG@k is 1 / log2(r
+ 1) within the first k, the reciprocal rank is 1 / r. `avg_hr`, the mean of HR@1, HR@3 and HR@5, is the
headline of AgentRecBench and of the STAR paper (arXiv 2602.09829, section 5.1); with 20 candidates, chance
gives 0.15.

The functions give one value a task, because the bootstrap needs them; `summary` gives the means.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

AVG_HR_CUTOFFS = (1, 3, 5)


def hr(ranks: ArrayLike, k: int) -> NDArray[np.float64]:
    """1.0 where the true item is among the first k, else 0.0; `(n,)`."""
    return (_checked(ranks) <= k).astype(np.float64)


def avg_hr(ranks: ArrayLike) -> NDArray[np.float64]:
    """Mean of HR@1, HR@3 and HR@5 of each task: 1, 2/3, 1/3 or 0; `(n,)`."""
    hits: NDArray[np.float64] = np.mean([hr(ranks, k) for k in AVG_HR_CUTOFFS], axis=0)
    return hits


def ndcg(ranks: ArrayLike, k: int = 10) -> NDArray[np.float64]:
    """Normalised discounted cumulative gain with one relevant item; `(n,)`, in [0, 1]."""
    checked = _checked(ranks)
    return np.where(checked <= k, 1.0 / np.log2(checked + 1.0), 0.0)


def mrr(ranks: ArrayLike) -> NDArray[np.float64]:
    """Reciprocal rank; `(n,)`, in (0, 1]."""
    return 1.0 / _checked(ranks)


def summary(ranks: ArrayLike) -> dict[str, float]:
    """Means over all tasks, under the names that results.json uses.

    Raises:
        ValueError: there are no ranks, or one is below 1.
    """
    if np.size(ranks) == 0:
        raise ValueError("no ranks to summarise")
    values = {f"hr@{k}": hr(ranks, k) for k in AVG_HR_CUTOFFS}
    values |= {"avg_hr": avg_hr(ranks), "ndcg@10": ndcg(ranks, 10), "mrr": mrr(ranks)}
    return {name: float(value.mean()) for name, value in values.items()}


def _checked(ranks: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(ranks, dtype=np.int64)
    if array.size and array.min() < 1:
        raise ValueError(f"ranks count from 1, got {array.min()}")
    return array
