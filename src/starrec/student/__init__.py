"""Floor 6: the student (STAR): its tokenizer and base, its training, and the engine that answers.

All but its configuration needs torch and transformers (the `train` extra), which are imported when one of these
names is first used: reading and counting interactions must not take the 300 MB that they do.
"""

from typing import TYPE_CHECKING, Final

from starrec.lazy import lazily
from starrec.student.config import (
    MAX_LABELS,
    ExplorationConfig,
    GRPOConfig,
    NanoConfig,
    SFTConfig,
    StudentConfig,
)

if TYPE_CHECKING:
    from starrec.student.calls import with_fast_order
    from starrec.student.engine import Star, ThinkMode, load_student, load_thinker
    from starrec.student.exploration import explore
    from starrec.student.fast import CANDIDATES
    from starrec.student.fast_mode import FastMode
    from starrec.student.lm.engine import LanguageStar
    from starrec.student.nano import Nano, build_nano
    from starrec.student.reasons import FAMILIES, weights_of_families
    from starrec.student.rollouts import Rollout, sample_rollouts
    from starrec.student.rows import (
        NUMBERS,
        READ,
        Attempted,
        FastTasks,
        Labelled,
        gather_tasks,
        row_numbers,
        scores_of_rows,
        withhold,
    )
    from starrec.student.samples import Asked, Sample, make_samples, read_samples, renewed
    from starrec.student.stages import Objective, Stage, reinforce, supervise
    from starrec.student.tokenizer import build_tokenizer
    from starrec.student.trace import Step, Thought
    from starrec.student.training import Progress

_HOMES: Final = {
    "Star": "engine",
    "explore": "exploration",
    "ThinkMode": "engine",
    "load_student": "engine",
    "load_thinker": "engine",
    "Step": "trace",
    "Thought": "trace",
    "with_fast_order": "calls",
    "CANDIDATES": "fast",
    "FastMode": "fast_mode",
    "FAMILIES": "reasons",
    "weights_of_families": "reasons",
    "LanguageStar": "lm.engine",
    "Nano": "nano",
    "build_nano": "nano",
    "Rollout": "rollouts",
    "sample_rollouts": "rollouts",
    "NUMBERS": "rows",
    "READ": "rows",
    "Attempted": "rows",
    "FastTasks": "rows",
    "Labelled": "rows",
    "gather_tasks": "rows",
    "row_numbers": "rows",
    "scores_of_rows": "rows",
    "withhold": "rows",
    "Sample": "samples",
    "Asked": "samples",
    "make_samples": "samples",
    "renewed": "samples",
    "read_samples": "samples",
    "Objective": "stages",
    "Stage": "stages",
    "reinforce": "stages",
    "supervise": "stages",
    "build_tokenizer": "tokenizer",
    "Progress": "training",
}
"""The module of each name that is imported when it is used."""


__getattr__ = lazily(__name__, _HOMES)

__all__ = [
    "CANDIDATES",
    "FAMILIES",
    "MAX_LABELS",
    "NUMBERS",
    "READ",
    "Asked",
    "Attempted",
    "ExplorationConfig",
    "FastMode",
    "FastTasks",
    "GRPOConfig",
    "Labelled",
    "LanguageStar",
    "Nano",
    "NanoConfig",
    "Objective",
    "Progress",
    "Rollout",
    "SFTConfig",
    "Sample",
    "Stage",
    "Star",
    "Step",
    "StudentConfig",
    "ThinkMode",
    "Thought",
    "build_nano",
    "build_tokenizer",
    "explore",
    "gather_tasks",
    "load_student",
    "load_thinker",
    "make_samples",
    "read_samples",
    "reinforce",
    "renewed",
    "row_numbers",
    "sample_rollouts",
    "scores_of_rows",
    "supervise",
    "weights_of_families",
    "with_fast_order",
    "withhold",
]
