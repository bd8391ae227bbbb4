"""Floor 6: the student (STAR): its tokenizer and base, its training, and the engine that answers.

All but its configuration needs torch and transformers (the `train` extra), which are imported when one of these
names is first used: reading and counting interactions must not take the 300 MB that they do.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from starrec.student.config import GRPOConfig, NanoConfig, SFTConfig, StudentConfig

if TYPE_CHECKING:
    from starrec.student.calls import with_fast_order
    from starrec.student.engine import Star
    from starrec.student.nano import build_nano
    from starrec.student.prompts import FastBatch, FastPrompts, FastTasks, gather_tasks
    from starrec.student.samples import Sample, make_samples, read_samples
    from starrec.student.stages import Labelled, Objective, Stage, epoch_order, reinforce, supervise
    from starrec.student.tokenizer import build_tokenizer
    from starrec.student.trace import Step, Thought
    from starrec.student.training import Progress

_HOMES: Final = {
    "Star": "engine",
    "Step": "trace",
    "Thought": "trace",
    "with_fast_order": "calls",
    "build_nano": "nano",
    "FastBatch": "prompts",
    "FastPrompts": "prompts",
    "FastTasks": "prompts",
    "gather_tasks": "prompts",
    "Sample": "samples",
    "make_samples": "samples",
    "read_samples": "samples",
    "Labelled": "stages",
    "Objective": "stages",
    "Stage": "stages",
    "epoch_order": "stages",
    "reinforce": "stages",
    "supervise": "stages",
    "build_tokenizer": "tokenizer",
    "Progress": "training",
}
"""The module of each name that needs torch."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = [
    "FastBatch",
    "FastPrompts",
    "FastTasks",
    "GRPOConfig",
    "Labelled",
    "NanoConfig",
    "Objective",
    "Progress",
    "SFTConfig",
    "Sample",
    "Stage",
    "Star",
    "Step",
    "StudentConfig",
    "Thought",
    "build_nano",
    "build_tokenizer",
    "epoch_order",
    "gather_tasks",
    "make_samples",
    "read_samples",
    "reinforce",
    "supervise",
    "with_fast_order",
]
