"""Floor 3: the interaction graph, the evidence it holds for a task, and the language of that evidence."""

from starrec.signals.evidence import (
    N_LEVELS,
    RECENT,
    SIGNALS,
    Evidence,
    Fact,
    TaskEvidence,
    levels,
)
from starrec.signals.graph import Graph, View
from starrec.signals.language import Claim, claims, compact, labels, read, sentence

__all__ = [
    "N_LEVELS",
    "RECENT",
    "SIGNALS",
    "Claim",
    "Evidence",
    "Fact",
    "Graph",
    "TaskEvidence",
    "View",
    "claims",
    "compact",
    "labels",
    "levels",
    "read",
    "sentence",
]
