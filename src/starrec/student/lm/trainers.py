"""What TRL's trainers have in common here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState

from starrec.errors import StarrecError


def missing(error: ImportError) -> StarrecError:
    """The error of an installation that cannot train a language model."""
    return StarrecError(f"Training a language model needs {error.name or 'trl'}: install `starrec[lm]`.")


def common(device: str, seed: int) -> dict[str, Any]:
    """Settings of all trainers: what they write is the project's own, and without a GPU they must be told so.

    Args:
        device: its type, such as `cpu`.
    """
    return {
        "use_cpu": device == "cpu",
        "gradient_checkpointing": device != "cpu",
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "seed": seed,
    }


class Reporting(TrainerCallback):
    """Reports how much of a stage is over."""

    def __init__(self, report: Callable[[float], None]) -> None:
        self._report = report

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        self._report(state.global_step / max(1, state.max_steps))


def finite_losses(history: Sequence[dict[str, Any]]) -> tuple[float, ...]:
    """The losses that a trainer logged.

    Raises:
        StarrecError: one is no number.
    """
    losses = [float(entry["loss"]) for entry in history if "loss" in entry]
    for step, loss in enumerate(losses, start=1):
        if not math.isfinite(loss):
            raise StarrecError(f"The loss of step {step} is {loss}. Choose a smaller learning rate.")
    return tuple(losses)
