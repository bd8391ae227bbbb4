"""Floor 7: how good and how fast each system is, and how that is shown."""

from starrec.evaluation.charts import accuracy_picture
from starrec.evaluation.config import EvaluationConfig
from starrec.evaluation.faithfulness import TraceCitations, check_trace, faithfulness, steps_of
from starrec.evaluation.latency import measure, throughput
from starrec.evaluation.probes import probe
from starrec.evaluation.ranks import (
    RANKS_SCHEMA,
    check_ranks,
    load_ranks,
    ranks_frame,
    replace_systems,
    save_ranks,
)
from starrec.evaluation.report import write_report
from starrec.evaluation.results import (
    Results,
    environment,
    read_results,
    recompute,
    summarise,
    write_results,
)
from starrec.evaluation.systems import SYSTEMS, rank_at_random, rank_by_signals, signal_scores
from starrec.evaluation.tables import comparison_lines, print_results, systems_table, worked_example

__all__ = [
    "RANKS_SCHEMA",
    "SYSTEMS",
    "EvaluationConfig",
    "Results",
    "TraceCitations",
    "accuracy_picture",
    "check_ranks",
    "check_trace",
    "comparison_lines",
    "environment",
    "faithfulness",
    "load_ranks",
    "measure",
    "print_results",
    "probe",
    "rank_at_random",
    "rank_by_signals",
    "ranks_frame",
    "read_results",
    "recompute",
    "replace_systems",
    "save_ranks",
    "signal_scores",
    "steps_of",
    "summarise",
    "systems_table",
    "throughput",
    "worked_example",
    "write_report",
    "write_results",
]
