"""Floor 7: how good and how fast each system is, and how that is shown."""

from starrec.evaluation.breakdown import breakdown
from starrec.evaluation.charts import accuracy_picture
from starrec.evaluation.config import ControlName, EvaluationConfig
from starrec.evaluation.faithfulness import TraceCitations, check_trace, faithfulness, steps_of
from starrec.evaluation.full_catalogue import full_catalogue, rank_catalogue, rank_retrieved, retrieve_all
from starrec.evaluation.latency import measure, percentiles, throughput
from starrec.evaluation.merging import Evaluated, merge_ranks, write_merged
from starrec.evaluation.probes import probe
from starrec.evaluation.ranks import (
    RANKS_SCHEMA,
    check_ranks,
    load_ranks,
    mean_avg_hr,
    ranking_changes,
    ranks_frame,
    save_ranks,
)
from starrec.evaluation.report import write_report
from starrec.evaluation.results import (
    Results,
    code_commit,
    environment,
    read_results,
    recompute,
    summarise,
    write_results,
)
from starrec.evaluation.scorer import Scorer, rank_by_scores
from starrec.evaluation.signal_shift import signal_distributions
from starrec.evaluation.systems import SYSTEMS, best_tool, rank_at_random, rank_by_signals, signal_scores
from starrec.evaluation.tables import (
    comparison_lines,
    print_results,
    scenarios_table,
    systems_table,
    trace_table,
    worked_example,
)

__all__ = [
    "RANKS_SCHEMA",
    "SYSTEMS",
    "ControlName",
    "Evaluated",
    "EvaluationConfig",
    "Results",
    "Scorer",
    "TraceCitations",
    "accuracy_picture",
    "best_tool",
    "breakdown",
    "check_ranks",
    "check_trace",
    "code_commit",
    "comparison_lines",
    "environment",
    "faithfulness",
    "full_catalogue",
    "load_ranks",
    "mean_avg_hr",
    "measure",
    "merge_ranks",
    "percentiles",
    "print_results",
    "probe",
    "rank_at_random",
    "rank_by_scores",
    "rank_by_signals",
    "rank_catalogue",
    "rank_retrieved",
    "ranking_changes",
    "ranks_frame",
    "read_results",
    "recompute",
    "retrieve_all",
    "save_ranks",
    "scenarios_table",
    "signal_distributions",
    "signal_scores",
    "steps_of",
    "summarise",
    "systems_table",
    "throughput",
    "trace_table",
    "worked_example",
    "write_merged",
    "write_report",
    "write_results",
]
