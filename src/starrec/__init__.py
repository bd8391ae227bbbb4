"""starrec: a recommender that reasons like a team of agents and answers like a single model.

    model = starrec.load("runs/demo")
    model.recommend(history=["Star Wars", "Fargo"], n=5)

It implements STAR (Wu et al., *Internalizing Multi-Agent Reasoning for Accurate and Efficient LLM-based
Recommendation*, arXiv 2602.09829). Packages are floors: each imports only from the floors below it, and data
flows one way, from interactions through graph, evidence, teacher and trajectories to student and ranking.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    # Imported when it is used: `import starrec` and `--help` must not wait for what answers.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = {"StarrecError": "starrec.errors", "Client": "starrec.server.client"}
    return getattr(import_module(homes.get(name, "starrec.recommender")), name)
