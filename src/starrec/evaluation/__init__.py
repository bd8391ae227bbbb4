"""Floor 7: how good and how fast each system is, and how that is shown.

Who only recommends waits for no chart. A function that is called like its module is imported from there.
"""

from typing import TYPE_CHECKING, Final

from starrec.lazy import lazily

if TYPE_CHECKING:
    from starrec.evaluation.charts import accuracy_picture
    from starrec.evaluation.config import ControlName, EvaluationConfig
    from starrec.evaluation.faithfulness import TraceCitations, check_trace, steps_of
    from starrec.evaluation.full_catalogue import rank_catalogue, rank_retrieved, retrieve_all
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

_HOMES: Final = {
    "accuracy_picture": "charts",
    "ControlName": "config",
    "EvaluationConfig": "config",
    "TraceCitations": "faithfulness",
    "check_trace": "faithfulness",
    "steps_of": "faithfulness",
    "rank_catalogue": "full_catalogue",
    "rank_retrieved": "full_catalogue",
    "retrieve_all": "full_catalogue",
    "measure": "latency",
    "percentiles": "latency",
    "throughput": "latency",
    "Evaluated": "merging",
    "merge_ranks": "merging",
    "write_merged": "merging",
    "probe": "probes",
    "RANKS_SCHEMA": "ranks",
    "check_ranks": "ranks",
    "load_ranks": "ranks",
    "mean_avg_hr": "ranks",
    "ranking_changes": "ranks",
    "ranks_frame": "ranks",
    "save_ranks": "ranks",
    "write_report": "report",
    "Results": "results",
    "code_commit": "results",
    "environment": "results",
    "read_results": "results",
    "recompute": "results",
    "summarise": "results",
    "write_results": "results",
    "Scorer": "scorer",
    "rank_by_scores": "scorer",
    "signal_distributions": "signal_shift",
    "SYSTEMS": "systems",
    "best_tool": "systems",
    "rank_at_random": "systems",
    "rank_by_signals": "systems",
    "signal_scores": "systems",
    "comparison_lines": "tables",
    "print_results": "tables",
    "scenarios_table": "tables",
    "systems_table": "tables",
    "trace_table": "tables",
    "worked_example": "tables",
}
"""The module of each name, which is imported when it is used."""


__getattr__ = lazily(__name__, _HOMES)

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
    "check_ranks",
    "check_trace",
    "code_commit",
    "comparison_lines",
    "environment",
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
