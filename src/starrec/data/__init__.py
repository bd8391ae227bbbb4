"""Floor 1: interactions and items from any source, their order, splits, and the ranking tasks made of
them."""

from starrec.data.config import ColumnMap, DataConfig
from starrec.data.dataset import Dataset, Order, Sequences, build, display_titles
from starrec.data.matching import Titles
from starrec.data.sources import load_movielens_100k
from starrec.data.split import Held, Split, leave_one_out
from starrec.data.storage import load_saved_dataset, save_dataset
from starrec.data.tables import Additions, BadRow, SkipReport, load_additions, load_tables
from starrec.data.tasks import (
    CandidateArrays,
    RankingTask,
    Targets,
    TrainingPositions,
    evaluation_tasks,
    sample_negatives,
    task_key,
    took_too_much,
    training_arrays,
    training_positions,
    training_tasks,
    validation_half,
)
from starrec.data.text import MENTION, STRUCTURAL, escape, mention, plain, printable, unescape

__all__ = [
    "MENTION",
    "STRUCTURAL",
    "Additions",
    "BadRow",
    "CandidateArrays",
    "ColumnMap",
    "DataConfig",
    "Dataset",
    "Held",
    "Order",
    "RankingTask",
    "Sequences",
    "SkipReport",
    "Split",
    "Targets",
    "Titles",
    "TrainingPositions",
    "build",
    "display_titles",
    "escape",
    "evaluation_tasks",
    "leave_one_out",
    "load_additions",
    "load_movielens_100k",
    "load_saved_dataset",
    "load_tables",
    "mention",
    "plain",
    "printable",
    "sample_negatives",
    "save_dataset",
    "task_key",
    "took_too_much",
    "training_arrays",
    "training_positions",
    "training_tasks",
    "unescape",
    "validation_half",
]
