"""starrec: a recommender that reasons like a team of agents and answers like a single model.

    model = starrec.load("runs/demo")
    model.recommend(history=["Star Wars", "Fargo"], n=5)

It implements STAR (Wu et al., *Internalizing Multi-Agent Reasoning for Accurate and Efficient LLM-based
Recommendation*, arXiv 2602.09829). Packages are floors: each imports only from the floors below it, and data
flows one way, from interactions through graph, evidence, teacher and trajectories to student and ranking.
"""

from typing import TYPE_CHECKING

from starrec.lazy import lazily
from starrec.version import __version__

if TYPE_CHECKING:
    from starrec.errors import StarrecError
    from starrec.recommender import (
        FilterLeavesNothing,
        Item,
        Reason,
        Recommendations,
        Recommender,
        Row,
        UnknownUser,
        fit,
        load,
    )
    from starrec.server.client import Client

__all__ = [
    "Client",
    "FilterLeavesNothing",
    "Item",
    "Reason",
    "Recommendations",
    "Recommender",
    "Row",
    "StarrecError",
    "UnknownUser",
    "__version__",
    "fit",
    "load",
]


__getattr__ = lazily(
    __name__,
    {
        "Client": "server.client",
        "StarrecError": "errors",
        **dict.fromkeys(
            (
                "FilterLeavesNothing",
                "Item",
                "Reason",
                "Recommendations",
                "Recommender",
                "Row",
                "UnknownUser",
                "fit",
                "load",
            ),
            "recommender",
        ),
    },
)
