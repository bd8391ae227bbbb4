"""Floor 7: the student (STAR): its tokenizer and base, its training, and the engine that answers.

Importing this package imports torch and transformers (the `train` extra); the floors below do not.
"""

from starrec.student.config import GRPOConfig, NanoConfig, SFTConfig, StudentConfig
from starrec.student.engine import Star, Step, Thought
from starrec.student.nano import build_nano
from starrec.student.prompts import FastBatch, FastPrompts, FastTasks, gather_tasks
from starrec.student.samples import Sample, make_samples, sample_loss
from starrec.student.stages import Labelled, Stage, reinforce, supervise
from starrec.student.tokenizer import build_tokenizer
from starrec.student.training import Progress

__all__ = [
    "FastBatch",
    "FastPrompts",
    "FastTasks",
    "GRPOConfig",
    "Labelled",
    "NanoConfig",
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
    "gather_tasks",
    "make_samples",
    "reinforce",
    "sample_loss",
    "supervise",
]
