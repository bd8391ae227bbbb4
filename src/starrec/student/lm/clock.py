"""When a stage of a language model looks at validation, saves and ends.

A stage ends after its steps or its minutes, whichever come first; the learning rate follows how much of either
is over. It looks at validation half A before its first step and several times on the way, and leaves the model
with the best weights that it saw, so that a stage cannot return worse ones than it got. A checkpoint is whole
when its `progress.json` is there; a killed stage goes on from the last whole one.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerControl, TrainerState

from starrec.errors import RunError
from starrec.ranking import avg_hr
from starrec.runs import write_atomic
from starrec.student.config import StudentConfig
from starrec.student.lm.model import LanguageModel
from starrec.student.rows import Labelled
from starrec.student.training import Progress

PROGRESS: Final = "progress.json"
"""The file of a checkpoint that is whole."""
INPUTS: Final = "inputs.json"
"""What checkpoints of a folder depend on."""
_BEST: Final = "best.safetensors"
_WARMUP: Final = 20
_WARMUP_SHARE: Final = 0.1


@dataclass(frozen=True, eq=False)
class LanguageStage:
    """What both stages train with."""

    model: LanguageModel
    config: StudentConfig
    validation: Labelled
    """Half A: keeps the best weights."""
    folder: Path
    """Of checkpoints; stays until the caller has saved the result."""
    fingerprint: str
    """Of everything that the steps depend on; checkpoints of other inputs are started over."""
    report: Callable[[Progress, float], None]
    """Called after every step, also with how much of the stage is over, 0 to 1."""
    announce: Callable[[str], None] = lambda line: None
    """Called with a line where the stage starts over or goes on."""
    checkpoint_seconds: float = 60.0

    def evaluate(self) -> float:
        """avg_hr on a fixed draw of validation half A, ties against the target."""
        part = self.validation
        if len(part) > self.config.lm.evaluated_tasks:
            random = np.random.default_rng([self.config.seed, 5])
            part = part[np.sort(random.permutation(len(part))[: self.config.lm.evaluated_tasks])]
        return float(avg_hr(part.ranks(self.model.scores(part.tasks))).mean())


class Clock(TrainerCallback):
    """Says when a stage looks at validation, saves and ends, and keeps its best weights."""

    def __init__(self, stage: LanguageStage, steps: int, minutes: float | None) -> None:
        self._stage = stage
        self.steps = steps
        self._seconds = None if minutes is None else 60 * minutes
        self.progress = Progress()
        self._before: dict[str, torch.Tensor] = {}
        self._started = self._saved = 0.0
        self._earlier = 0.0
        self._seen = {"examples": 0.0, "tokens": 0.0}

    def begin(self) -> None:
        """Look at validation unless an earlier process did."""
        self._before = self._weights()
        if not self.progress.evaluations:
            self.progress.best, self.progress.evaluations = self._stage.evaluate(), 1
            self._keep_best()
        self._seen = {name: self.progress.mean.get(name, 0.0) for name in self._seen}
        self._earlier = self.progress.seconds
        self._started = self._saved = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether an earlier process ended the stage."""
        return self.progress.step > 0 and self._done(self.progress.step) >= 1

    def require_movement(self) -> None:
        """
        Raises:
            RunError: no weight has moved.
        """
        after = self._weights()
        moved = sum(int((after[name] != before).sum()) for name, before in self._before.items())
        if self.progress.step and not moved:
            raise RunError(
                f"{self.progress.step:,} steps of training moved no weight. Raise the stage's learning_rate."
            )

    def give_best(self) -> None:
        """Put the best weights into the model."""
        best = load_file(self._stage.folder / _BEST)
        self._stage.model.lm.load_state_dict(best, strict=False)
        self._stage.model.lm.eval()

    def saw(self, numbers: dict[str, float], ids: torch.Tensor) -> None:
        """Numbers of a step, for the curve."""
        mean = self.progress.mean
        for name, number in numbers.items():
            mean[name] = number if name not in mean else 0.9 * mean[name] + 0.1 * number
        self._seen["examples"] += len(ids)
        self._seen["tokens"] += ids.numel()
        mean.update(self._seen)

    def rate(self, step: int) -> float:
        """The learning rate at a step, over its peak."""
        done = self._done(step)
        warmup = min(_WARMUP, max(1, int(_WARMUP_SHARE * self.steps)))
        return min(1.0, (step + 1) / warmup) * min(1.0, 0.02 + 0.98 * 2 * (1 - done))

    def diverged(self, step: int) -> RunError:
        """The error of a stage whose loss or gradients are no numbers."""
        return RunError(
            f"Training diverged at step {step + 1:,}: its loss or its gradients are no numbers any more. The "
            f"last good checkpoint stays in {self._stage.folder}. Lower the learning_rate of this stage."
        )

    def on_pre_optimizer_step(
        self, args: Any, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Refuse gradients that are no numbers before they reach the weights."""
        for weight in self._stage.model.lm.parameters():
            if weight.grad is not None and not torch.isfinite(weight.grad).all():
                raise self.diverged(state.global_step)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Evaluate, save and end where it is time."""
        progress, looks = self.progress, self._stage.config.lm.evaluations
        before = self._done(progress.step)
        progress.step = state.global_step
        progress.seconds = _agreed(self._earlier + time.monotonic() - self._started)
        done = self._done(progress.step)
        ended = done >= 1
        if int(done * looks) > int(before * looks) or ended:
            self._look()
        self._stage.report(progress, done)
        if ended:
            control.should_training_stop = True
        if ended or _agreed(time.monotonic() - self._saved) >= self._stage.checkpoint_seconds:
            control.should_save = True
            self._saved = time.monotonic()

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Mark a checkpoint as whole."""
        if state.is_world_process_zero:
            checkpoint = self._stage.folder / f"checkpoint-{state.global_step}"
            write_atomic(checkpoint / PROGRESS, json.dumps(vars(self.progress)))

    def _look(self) -> None:
        progress, lm = self.progress, self._stage.model.lm
        lm.eval()
        score = self._stage.evaluate()
        lm.train()
        progress.evaluations += 1
        curve = {"step": progress.step, "seconds": progress.seconds, "validation_avg_hr": score}
        progress.curve.append({**curve, **progress.mean})
        if score > progress.best:
            progress.best, progress.best_step = score, progress.step
            self._keep_best()

    def _done(self, step: int) -> float:
        """How much of the stage is over, 0 to 1."""
        by_steps = step / max(1, self.steps)
        return by_steps if self._seconds is None else max(by_steps, self.progress.seconds / self._seconds)

    def _weights(self) -> dict[str, torch.Tensor]:
        """Those that are trained."""
        return {
            name: weight.detach().cpu().clone()
            for name, weight in self._stage.model.lm.named_parameters()
            if weight.requires_grad
        }

    def _keep_best(self) -> None:
        weights = self._weights()
        write_atomic(self._stage.folder / _BEST, lambda path: save_file(weights, path))


def _agreed(seconds: float) -> float:
    """The first process's clock, where several train together: all must end at the same step."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return seconds
    from accelerate.utils import broadcast_object_list

    agreed = [seconds]
    broadcast_object_list(agreed)
    return agreed[0]


def resumable(stage: LanguageStage) -> Path | None:
    """The last whole checkpoint of the same inputs; those of other inputs are removed.

    Raises:
        RunError: the folder's record is corrupt.
    """
    try:
        inputs = json.loads((stage.folder / INPUTS).read_text(encoding="utf-8"))["fingerprint"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"Checkpoints in {stage.folder} are corrupt ({error}). Delete that folder.") from error
    if inputs != stage.fingerprint:
        stage.announce("base, evidence or settings have changed since the last checkpoint: starts over")
        shutil.rmtree(stage.folder)
        return None
    whole = [path.parent for path in stage.folder.glob(f"checkpoint-*/{PROGRESS}")]
    if not whole or not (stage.folder / _BEST).exists():
        return None
    return max(whole, key=lambda path: int(path.name.partition("-")[2]))
