"""Floor 9: the public Python API: a run that ranks, recommends and explains.

model = starrec.load("runs/demo")
model.recommend(history=["Star Wars", "Fargo"])
"""

from __future__ import annotations

from pathlib import Path

from starrec.pipeline.serving import CountsChoice, open_serving
from starrec.recommender.answers import Explanation, Figures, Item, Reason, Recommendations, Row
from starrec.recommender.filters import FilterLeavesNothing
from starrec.recommender.fitting import fit
from starrec.recommender.recommender import Recommender
from starrec.recommender.requests import UnknownUser

__all__ = [
    "Explanation",
    "Figures",
    "FilterLeavesNothing",
    "Item",
    "Reason",
    "Recommendations",
    "Recommender",
    "Row",
    "UnknownUser",
    "fit",
    "load",
]


def load(run: Path | str, *, counts: CountsChoice = "all", system: str | None = None) -> Recommender:
    """A finished run, ready to answer.

    Args:
        run: its folder.
        counts: `all` interactions, with updates; or `train`, to answer as was evaluated.
        system: what ranks: `star`, `teacher` or a tool such as `item_cf`; None for what ranked validation half
            B best.

    Raises:
        RunError: the run has no data or no student yet, or they are corrupt.
    """
    return Recommender(open_serving(Path(run), counts), system)
