"""Controls that need no training of the student: `mlp_evidence`, `mlp_levels` and `teacher_tuned`.

They rank the same tasks from the same evidence, were given the same labels, and stand in the same table. The
networks need torch, which is imported when one of their names is first used: processes that look up evidence go
without.
"""

from typing import TYPE_CHECKING, Final

from starrec.lazy import lazily

if TYPE_CHECKING:
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

_HOMES: Final = {
    "Lessons": "lessons",
    "GRID": "mlp",
    "Fitted": "mlp",
    "Mlp": "mlp",
    "MlpSettings": "mlp",
    "Reads": "mlp",
    "fit_mlp": "mlp",
    "rank_with_networks": "mlp",
    "NAMES": "numbers",
    "Numbers": "numbers",
    "gather_numbers": "numbers",
    "PolicyArrays": "tuned_policy",
    "search": "tuned_policy",
    "tune": "tuned_policy",
}
"""The module of each name that is imported when it is used."""

__getattr__ = lazily(__name__, _HOMES)

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
