"""Controls that need no training of the student: `mlp_evidence`, `mlp_levels` and `teacher_tuned`.

They rank the same tasks from the same evidence, were given the same labels, and stand in the same table.
Importing this package imports torch.
"""

from starrec.evaluation.controls.lessons import Lessons
from starrec.evaluation.controls.mlp import (
    GRID,
    Fitted,
    Mlp,
    MlpSettings,
    Reads,
    fit_mlp,
    rank_with_networks,
)
from starrec.evaluation.controls.numbers import NAMES, Numbers, gather_numbers
from starrec.evaluation.controls.tuned_policy import PolicyArrays, search, tune

__all__ = [
    "GRID",
    "NAMES",
    "Fitted",
    "Lessons",
    "Mlp",
    "MlpSettings",
    "Numbers",
    "PolicyArrays",
    "Reads",
    "fit_mlp",
    "gather_numbers",
    "rank_with_networks",
    "search",
    "tune",
]
