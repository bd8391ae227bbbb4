"""Floor 1: interactions and items from any source, their order, splits, and the ranking tasks made of
them."""

from starrec.data.additions import Additions, described, load_additions
from starrec.data.agentsociety import load_agentsociety, source_files
from starrec.data.config import (
    COLUMN_KEYS,
    ColumnMap,
    DataConfig,
    FieldNames,
    Repeats,
    SplitRule,
    TableOptions,
)
from starrec.data.dataset import (
    SECONDS_A_DAY,
    Catalogue,
    Dataset,
    Order,
    Sequences,
    Stretch,
    date_of,
    display_titles,
)
from starrec.data.description import describe
from starrec.data.files import file_sha256
from starrec.data.frames import build
from starrec.data.given_tasks import GivenTask, load_tasks, save_tasks
from starrec.data.matching import Titles, UnknownItem
from starrec.data.report import BadRow, Report
from starrec.data.scenarios import (
    MIN_TASKS,
    SCENARIOS,
    Evaluation,
    Scenario,
    cut_history,
    evolving_users,
    item_vectors,
    scenario_tasks,
    within_one_day,
)
from starrec.data.sources import load_movielens_100k
from starrec.data.split import Held, Split, global_time, hold_out, item_cold_start, leave_one_out, own_split
from starrec.data.storage import load_saved_dataset, save_dataset
from starrec.data.tables import load_tables
from starrec.data.tasks import (
    RankingTask,
    Targets,
    check_known,
    evaluation_tasks,
    sample_negatives,
    sample_users,
    task_key,
    took_too_much,
    took_too_much_of_popular,
    validation_half,
)
from starrec.data.text import MENTION, STRUCTURAL, escape, mention, plain, printable, unescape
from starrec.data.times import Times, TimeSpan, in_resolution
from starrec.data.training import (
    SHORT_HISTORY,
    CandidateArrays,
    TrainingPositions,
    training_arrays,
    training_positions,
    training_tasks,
)

__all__ = [
    "COLUMN_KEYS",
    "MENTION",
    "MIN_TASKS",
    "SCENARIOS",
    "SECONDS_A_DAY",
    "SHORT_HISTORY",
    "STRUCTURAL",
    "Additions",
    "BadRow",
    "CandidateArrays",
    "Catalogue",
    "ColumnMap",
    "DataConfig",
    "Dataset",
    "Evaluation",
    "FieldNames",
    "GivenTask",
    "Held",
    "Order",
    "RankingTask",
    "Repeats",
    "Report",
    "Scenario",
    "Sequences",
    "Split",
    "SplitRule",
    "Stretch",
    "TableOptions",
    "Targets",
    "TimeSpan",
    "Times",
    "Titles",
    "TrainingPositions",
    "UnknownItem",
    "build",
    "check_known",
    "cut_history",
    "date_of",
    "describe",
    "described",
    "display_titles",
    "escape",
    "evaluation_tasks",
    "evolving_users",
    "file_sha256",
    "global_time",
    "hold_out",
    "in_resolution",
    "item_cold_start",
    "item_vectors",
    "leave_one_out",
    "load_additions",
    "load_agentsociety",
    "load_movielens_100k",
    "load_saved_dataset",
    "load_tables",
    "load_tasks",
    "mention",
    "own_split",
    "plain",
    "printable",
    "sample_negatives",
    "sample_users",
    "save_dataset",
    "save_tasks",
    "scenario_tasks",
    "source_files",
    "task_key",
    "took_too_much",
    "took_too_much_of_popular",
    "training_arrays",
    "training_positions",
    "training_tasks",
    "unescape",
    "validation_half",
    "within_one_day",
]
