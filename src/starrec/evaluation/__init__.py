"""Floor 8: how good and how fast each system is, and how that is shown."""

from starrec.evaluation.charts import accuracy_picture
from starrec.evaluation.latency import measure, throughput
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
from starrec.evaluation.tables import comparison_lines, print_results, systems_table, worked_example

__all__ = [
    "RANKS_SCHEMA",
    "Results",
    "accuracy_picture",
    "check_ranks",
    "comparison_lines",
    "environment",
    "load_ranks",
    "measure",
    "print_results",
    "ranks_frame",
    "read_results",
    "recompute",
    "replace_systems",
    "save_ranks",
    "summarise",
    "systems_table",
    "throughput",
    "worked_example",
    "write_report",
    "write_results",
]
