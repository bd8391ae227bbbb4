"""One training loop for both stages: a function gives the parts of each step's loss, the loop does the rest.

The parts of step s must depend on s, the seed and the weights alone, so that a run which was killed goes on
from its last checkpoint exactly as if nothing had happened. A checkpoint (weights, optimizer, best weights so
far, curve) appears whole or not at all. Which step's weights are kept is decided on validation half A.

Training computes in float32, each part on one thread: beside other work a second one, which waits for the first
in each of thousands of small operations, costs many times what it gains. Parts of a step are computed side by
side instead, and their gradients added in the order of the parts. So the same seed gives the same weights on
any number of cores.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import torch
from torch import nn

from starrec.cores import cores
from starrec.errors import RunError
from starrec.runs import write_atomic

THREADS: Final = 1
"""Threads of torch in training and for a request."""


@dataclass(frozen=True)
class Schedule:
    """Length, learning rate, evaluations and checkpoints of a training run."""

    steps: int
    learning_rate: float
    """Peak."""
    warmup: int
    """Steps until the peak."""
    evaluate_every: int
    """Steps between evaluations."""
    weight_decay: float = 0.01
    checkpoint_seconds: float = 15.0
    """Seconds between checkpoints; 0 for one after every step. The last step always writes one."""

    def rate(self, step: int) -> float:
        """Linear warm-up, constant, then linear decay to 2% over the last half."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        fall = min(1.0, 0.02 + 0.98 * 2 * (self.steps - step) / self.steps)
        return self.learning_rate * rise * fall


@dataclass
class Progress:
    """The state of training that a checkpoint holds besides weights and optimizer."""

    step: int = 0
    seconds: float = 0.0
    best: float = float("-inf")
    best_step: int = 0
    evaluations: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    mean: dict[str, float] = field(default_factory=dict)
    """Running means of what the steps report, for the curve."""


Part: TypeAlias = Callable[[], tuple[torch.Tensor, Mapping[str, float]]]
"""A part of a step's loss, and of numbers for the curve: both are added over the parts. Parts run side by side,
so none may change what another reads."""
Losses: TypeAlias = Callable[[int], Sequence[Part]]
"""The parts of a step."""


class _Gradients:
    """Computes the parts of steps, on as many threads as there are cores."""

    def __init__(self, model: nn.Module) -> None:
        self._parameters = list(model.parameters())
        self._pool = ThreadPoolExecutor(cores(), initializer=torch.set_num_threads, initargs=(THREADS,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._pool.shutdown()

    def __call__(self, parts: Sequence[Part]) -> dict[str, float]:
        """Set the gradient of the sum of these parts; `loss` and the sums of their numbers."""
        total: dict[str, float] = {"loss": 0.0}
        sums: list[torch.Tensor | None] = [None] * len(self._parameters)
        for value, gradients, numbers in self._pool.map(self._of, parts):
            for name, number in {"loss": value, **numbers}.items():
                total[name] = total.get(name, 0.0) + number
            for at, gradient in enumerate(gradients):
                if gradient is not None:
                    before = sums[at]
                    sums[at] = gradient if before is None else before.add_(gradient)
        for parameter, gradient in zip(self._parameters, sums, strict=True):
            parameter.grad = gradient
        return total

    def _of(self, part: Part) -> tuple[float, tuple[torch.Tensor | None, ...], Mapping[str, float]]:
        value, numbers = part()
        gradients = torch.autograd.grad(value, self._parameters, allow_unused=True)
        return value.item(), gradients, numbers


def fit(
    model: nn.Module,
    losses: Losses,
    evaluate: Callable[[], float],
    schedule: Schedule,
    checkpoint: Path,
    *,
    fingerprint: str,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train model in place and leave it with its best weights.

    Args:
        losses: the parts of a step's loss; called by another thread, step by step, one step ahead. It must not
            read the model: only the parts do, when they are computed.
        evaluate: avg_hr on validation half A; the highest decides which weights are kept.
        checkpoint: file to resume from if it exists; stays until the caller has saved the result.
        fingerprint: of everything that the steps depend on; a checkpoint of other inputs is started over.
        report: called after every step.

    Raises:
        RunError: the checkpoint is corrupt, or training diverges.
    """
    torch.set_num_threads(THREADS)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=schedule.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=schedule.weight_decay,
        fused=True,
    )
    progress, best = Progress(), _weights(model)
    if (state := _read(checkpoint)) is not None and state["fingerprint"] == fingerprint:
        progress = Progress(**state["progress"])
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        best = state["best"]

    def save() -> None:
        state = {
            "fingerprint": fingerprint,
            "progress": vars(progress),
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "best": best,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomic(checkpoint, buffer.getvalue())

    if not progress.evaluations:
        # A stage cannot return worse weights than it got.
        model.eval()
        progress.best, progress.evaluations = evaluate(), 1
    mean = progress.mean
    started = saved = time.monotonic()
    before = progress.seconds
    model.train()
    with _Gradients(model) as gradients, ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(losses, progress.step) if progress.step < schedule.steps else None
        while coming is not None:
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(progress.step)
            parts, following = coming.result(), progress.step + 1
            # What the next step consists of is put together while this one is computed.
            coming = ahead.submit(losses, following) if following < schedule.steps else None
            numbers = gradients(parts)
            if not torch.isfinite(nn.utils.clip_grad_norm_(model.parameters(), 1.0)):
                raise RunError(
                    f"Training diverged at step {progress.step + 1:,}: its gradients are no numbers any more. "
                    "Lower the learning_rate of this stage."
                )
            optimizer.step()
            progress.step += 1
            progress.seconds = before + time.monotonic() - started
            for name, number in numbers.items():
                mean[name] = number if name not in mean else 0.9 * mean[name] + 0.1 * number
            if progress.step % schedule.evaluate_every == 0 or progress.step == schedule.steps:
                model.eval()
                score = evaluate()
                model.train()
                progress.evaluations += 1
                progress.curve.append({"step": progress.step, "validation_avg_hr": score, **mean})
                if score > progress.best:
                    progress.best, progress.best_step, best = score, progress.step, _weights(model)
            report(progress)
            if time.monotonic() - saved >= schedule.checkpoint_seconds or progress.step == schedule.steps:
                save()
                saved = time.monotonic()
    model.load_state_dict(best)
    model.eval()
    return progress


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _read(checkpoint: Path) -> dict[str, Any] | None:
    if not checkpoint.exists():
        return None
    try:
        state = torch.load(checkpoint, weights_only=True)
        return {name: state[name] for name in ("fingerprint", "progress", "model", "optimizer", "best")}
    except Exception as error:
        # torch.load raises whatever its unpickler and zip reader meet; what it says is long and advises to
        # run the file as code.
        raise RunError(
            f"Checkpoint {checkpoint} is corrupt ({type(error).__name__}). Delete it to train this stage from "
            "its start; all other steps of the run are kept."
        ) from error
