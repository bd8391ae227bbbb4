"""Floor 1: interactions and items from any source, their order, splits, and the ranking tasks made of
them."""

from starrec.data.additions import Additions, described, load_additions
from starrec.data.config import COLUMN_KEYS, ColumnMap, DataConfig, FieldNames, Repeats, TableOptions
from starrec.data.dataset import Dataset, Order, Sequences, date_of, display_titles
from starrec.data.description import describe
from starrec.data.files import file_sha256
from starrec.data.frames import build
from starrec.data.matching import Titles
from starrec.data.report import BadRow, Report
from starrec.data.sources import load_movielens_100k
from starrec.data.split import Held, Split, hold_out, leave_one_out
from starrec.data.storage import load_saved_dataset, save_dataset
from starrec.data.tables import load_tables
from starrec.data.tasks import (
    CandidateArrays,
    RankingTask,
    Targets,
    TrainingPositions,
    evaluation_tasks,
    sample_negatives,
    sample_users,
    task_key,
    took_too_much,
    training_arrays,
    training_positions,
    training_tasks,
    validation_half,
)
from starrec.data.text import MENTION, STRUCTURAL, escape, mention, plain, printable, unescape
from starrec.data.times import Times, TimeSpan, in_resolution

__all__ = [
    "COLUMN_KEYS",
    "MENTION",
    "STRUCTURAL",
    "Additions",
    "BadRow",
    "CandidateArrays",
    "ColumnMap",
    "DataConfig",
    "Dataset",
    "FieldNames",
    "Held",
    "Order",
    "RankingTask",
    "Repeats",
    "Report",
    "Sequences",
    "Split",
    "TableOptions",
    "Targets",
    "TimeSpan",
    "Times",
    "Titles",
    "TrainingPositions",
    "build",
    "date_of",
    "describe",
    "described",
    "display_titles",
    "escape",
    "evaluation_tasks",
    "file_sha256",
    "hold_out",
    "in_resolution",
    "leave_one_out",
    "load_additions",
    "load_movielens_100k",
    "load_saved_dataset",
    "load_tables",
    "mention",
    "plain",
    "printable",
    "sample_negatives",
    "sample_users",
    "save_dataset",
    "task_key",
    "took_too_much",
    "training_arrays",
    "training_positions",
    "training_tasks",
    "unescape",
    "validation_half",
]
