"""Floor 2: the interaction graph, the evidence it holds for a task, and the language of that evidence."""

from starrec.signals.citations import Citation, Cited, FactNumbers, check_citations
from starrec.signals.config import SignalsConfig, count_signals
from starrec.signals.count_store import CountStore, Neighbours, Ragged
from starrec.signals.counts import Counts
from starrec.signals.ease import EaseModel
from starrec.signals.evidence import RECENT, Evidence
from starrec.signals.facts import Fact
from starrec.signals.gathering import gather, gather_many
from starrec.signals.graph import NOBODY, Graph
from starrec.signals.language import MIN_SUPPORT, compact, labels, sentence
from starrec.signals.levels import N_LEVELS, SCORED, SIGNALS, levels, scores_at
from starrec.signals.memory import in_memory
from starrec.signals.pair_table import count_pairs
from starrec.signals.recounting import recount
from starrec.signals.selection import select
from starrec.signals.semantics import Semantics
from starrec.signals.task_view import TaskView, distinct_latest

__all__ = [
    "MIN_SUPPORT",
    "NOBODY",
    "N_LEVELS",
    "RECENT",
    "SCORED",
    "SIGNALS",
    "Citation",
    "Cited",
    "CountStore",
    "Counts",
    "EaseModel",
    "Evidence",
    "Fact",
    "FactNumbers",
    "Graph",
    "Neighbours",
    "Ragged",
    "Semantics",
    "SignalsConfig",
    "TaskView",
    "check_citations",
    "compact",
    "count_pairs",
    "count_signals",
    "distinct_latest",
    "gather",
    "gather_many",
    "in_memory",
    "labels",
    "levels",
    "recount",
    "scores_at",
    "select",
    "sentence",
]
