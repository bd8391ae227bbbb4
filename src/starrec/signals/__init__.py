"""Floor 2: the interaction graph, the evidence it holds for a task, and the language of that evidence."""

from starrec.signals.config import SignalsConfig, count_signals
from starrec.signals.counts import Counts, Neighbours, Ragged, Source
from starrec.signals.ease import EaseModel
from starrec.signals.evidence import (
    N_LEVELS,
    RECENT,
    SIGNALS,
    Evidence,
    Sight,
    TaskEvidence,
    distinct_latest,
    levels,
)
from starrec.signals.facts import Fact
from starrec.signals.graph import Graph, View
from starrec.signals.language import MIN_SUPPORT, compact, labels, sentence
from starrec.signals.selection import select
from starrec.signals.semantics import Semantics

__all__ = [
    "MIN_SUPPORT",
    "N_LEVELS",
    "RECENT",
    "SIGNALS",
    "Counts",
    "EaseModel",
    "Evidence",
    "Fact",
    "Graph",
    "Neighbours",
    "Ragged",
    "Semantics",
    "Sight",
    "SignalsConfig",
    "Source",
    "TaskEvidence",
    "View",
    "compact",
    "count_signals",
    "distinct_latest",
    "labels",
    "levels",
    "select",
    "sentence",
]
