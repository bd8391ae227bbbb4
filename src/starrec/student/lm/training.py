"""The two stages of a language model's fast mode, under the loop of TRL's `SFTTrainer`.

What is learned is the project's own, as in nano's stages: in stage 1 the first five places of a kept run's
ranking (Plackett-Luce likelihood over the labels' logits at one position), in stage 2 the reward of a ranking
on tasks that are drawn anew. What trains is TRL's: its loop, its devices, its processes, its checkpoints.

A stage ends after its steps or its minutes, whichever come first; the learning rate follows how much of either
is over. It looks at validation half A before its first step and several times on the way, and leaves the model
with the best weights that it saw, so that a stage cannot return worse ones than it got. A checkpoint is whole
when its `progress.json` is there; a killed stage goes on from the last whole one.
"""

from __future__ import annotations

import copy
import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from starrec.errors import RunError, StarrecError
from starrec.ranking import avg_hr
from starrec.runs import write_atomic
from starrec.student.config import StudentConfig
from starrec.student.grpo import (
    PLACES,
    cross_entropy_loss,
    expected_reward_loss,
    grpo_loss,
    log_probability,
)
from starrec.student.lm.model import LanguageModel
from starrec.student.rows import READ, FastTasks, Labelled, withhold
from starrec.student.training import THREADS, Progress

try:
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState
    from transformers import logging as transformers_logging
    from trl.trainer.sft_config import SFTConfig as TrlConfig
    from trl.trainer.sft_trainer import SFTTrainer
except ImportError as error:
    raise StarrecError(
        f"Training a language model needs {error.name or 'trl'}: install `starrec[lm]`."
    ) from error

_PROGRESS: Final = "progress.json"
_BEST: Final = "best.safetensors"
_INPUTS: Final = "inputs.json"
_WARMUP: Final = 20
_WARMUP_SHARE: Final = 0.1
_MOST_STEPS: Final = 1_000_000
"""Of a stage that ends by its minutes alone."""


class Step(NamedTuple):
    """What a step learns from."""

    tasks: FastTasks
    goal: NDArray[np.int64]
    """`(n, c)` rows as ranked, best first (stage 1), or `(n,)` the row of the target (stage 2)."""
    weights: NDArray[np.float32]
    """`(n,)`, 1 on average."""


Loss = Callable[[torch.Tensor, torch.Tensor, int], tuple[torch.Tensor, dict[str, float]]]
"""Of logits `(n, c)` (-inf in padding), goals and the number of the step: the loss of each task `(n,)`, and
numbers for the curve."""


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
        scores = self.model.scores(part.tasks)
        own = np.take_along_axis(scores, part.rows[:, None], axis=1)
        return float(avg_hr((scores >= own).sum(axis=1)).mean())

    def withheld(self, tasks: FastTasks, random: np.random.Generator) -> FastTasks:
        """Tasks as they are read while training: some signals are withheld."""
        signals = random.random((len(tasks), len(READ))) < self.config.drop_signals
        return replace(tasks, numbers=withhold(tasks.numbers, signals))


def supervise_language_model(stage: LanguageStage, kept: FastTasks, rankings: NDArray[np.int64]) -> Progress:
    """Stage 1. Trains the model in place.

    Args:
        kept: the kept runs' tasks, equally many candidates each.
        rankings: `(n, c)` rows of their candidates as each run ranked them, best first.
    """
    config, n = stage.config.lm.sft, len(kept)
    places = min(PLACES, rankings.shape[1])

    def step(number: int) -> Step:
        at = np.arange(number * config.batch, (number + 1) * config.batch)
        orders = {
            epoch: np.random.default_rng([stage.config.seed, 1, epoch]).permutation(n)
            for epoch in np.unique(at // n).tolist()
        }
        rows = np.array([orders[each // n][each % n] for each in at.tolist()])
        random = np.random.default_rng([stage.config.seed, 2, number])
        return Step(stage.withheld(kept[rows], random), rankings[rows], np.ones(len(rows), dtype=np.float32))

    def loss(scores: torch.Tensor, goal: torch.Tensor, number: int) -> tuple[torch.Tensor, dict[str, float]]:
        first = (scores.argmax(dim=1) == goal[:, 0]).float().mean()
        each = -log_probability(scores, goal[:, None, :], places)[:, 0] / places
        return each, {"first": first.item()}

    steps = math.ceil(config.epochs * n / config.batch)
    return _fit(stage, step, loss, steps, config.minutes, config.learning_rate, weight_decay=0.01)


def reinforce_language_model(stage: LanguageStage, practice: Callable[[int], Labelled]) -> Progress:
    """Stage 2. Trains the model in place, with itself as it is now as the reference of the KL term.

    Args:
        practice: the tasks of a step, asked for in order, from the step of the checkpoint on.
    """
    config, reward = stage.config.lm.grpo, stage.config.grpo
    reference = copy.copy(stage.model) if reward.kl > 0 else None
    if reference is not None:
        reference.lm = copy.deepcopy(stage.model.lm)
    asked: dict[int, FastTasks] = {}
    """What the reference is to score: the loop asks for a step before the one before it is computed."""

    def step(number: int) -> Step:
        batch = practice(number)
        random = np.random.default_rng([stage.config.seed, 3, number])
        tasks = stage.withheld(batch.tasks, random)
        if reference is not None:
            asked[number] = tasks
        return Step(tasks, batch.rows, batch.weights)

    def loss(scores: torch.Tensor, goal: torch.Tensor, number: int) -> tuple[torch.Tensor, dict[str, float]]:
        before = None
        if reference is not None:
            before = torch.from_numpy(reference.scores(asked.pop(number))).to(scores.device)
        likelihood, _ = cross_entropy_loss(scores, goal)
        if reward.gradient == "exact":
            each, reached = expected_reward_loss(scores, before, goal, kl=reward.kl)
        else:
            generator = torch.Generator().manual_seed(number)
            each, reached = grpo_loss(
                scores, before, goal, group=reward.group, kl=reward.kl, generator=generator
            )
        return each + reward.likelihood * likelihood, {"reward": reached.item()}

    # Where no sample of a group is better than another, weight decay would move the weights all the same.
    return _fit(stage, step, loss, config.steps, config.minutes, config.learning_rate, weight_decay=0.0)


def _fit(
    stage: LanguageStage,
    step: Callable[[int], Step],
    loss: Loss,
    steps: int,
    minutes: float | None,
    learning_rate: float,
    weight_decay: float,
) -> Progress:
    """Train the model in place and leave it with its best weights.

    Raises:
        RunError: training diverges, or nothing that it does moves the weights.
    """
    resumed = _resumable(stage)
    stage.folder.mkdir(parents=True, exist_ok=True)
    write_atomic(stage.folder / _INPUTS, json.dumps({"fingerprint": stage.fingerprint}))
    clock = _Clock(stage, min(steps, _MOST_STEPS), minutes)
    if resumed is not None:
        clock.progress = Progress(**json.loads((resumed / _PROGRESS).read_text(encoding="utf-8")))
        stage.announce(f"goes on after step {clock.progress.step:,}")
    transformers_logging.set_verbosity_error()
    threads = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or THREADS))
    try:
        clock.begin()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of one library at another's options
            trainer = _ListwiseTrainer(stage, step, loss, clock, learning_rate, weight_decay)
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=None if resumed is None else str(resumed))
    finally:
        torch.set_num_threads(threads)
    clock.end()
    return clock.progress


class _ListwiseTrainer(SFTTrainer):
    """TRL's trainer with a loss over the labels' logits at one position."""

    def __init__(
        self,
        stage: LanguageStage,
        step: Callable[[int], Step],
        loss: Loss,
        clock: _Clock,
        learning_rate: float,
        weight_decay: float,
    ) -> None:
        self._stage, self._loss, self._clock = stage, loss, clock
        rendering = stage.model.rendering

        def collate(rows: list[dict[str, int]]) -> dict[str, torch.Tensor]:
            (number,) = (row["step"] for row in rows)
            found = step(number)
            prompts = rendering.prompts(found.tasks)
            return {
                "input_ids": torch.from_numpy(prompts.ids),
                "last": torch.from_numpy(prompts.last),
                "present": torch.from_numpy(found.tasks.present),
                "goal": torch.from_numpy(found.goal),
                "weights": torch.from_numpy(found.weights),
                "step": torch.tensor(number),
            }

        device = stage.model.device.type
        super().__init__(
            model=stage.model.lm,
            args=TrlConfig(
                output_dir=str(stage.folder),
                max_steps=clock.steps,
                per_device_train_batch_size=1,  # a row of the dataset is a step
                train_sampling_strategy="sequential",
                dataset_kwargs={"skip_prepare_dataset": True},
                remove_unused_columns=False,
                learning_rate=learning_rate,
                weight_decay=weight_decay,
                adam_beta2=0.98,
                max_grad_norm=1.0,
                bf16=stage.model.bfloat16,
                gradient_checkpointing=device != "cpu",
                use_cpu=device == "cpu",
                seed=stage.config.seed,
                logging_strategy="no",
                save_strategy="no",  # the clock says when
                save_total_limit=2,
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict({"step": list(range(clock.steps))}),
            data_collator=collate,
            processing_class=stage.model.tokenizer,
            callbacks=[clock],
        )

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Mean of the tasks' losses by their weights.

        The model is called as a whole, as what runs it on several devices expects; its whole vocabulary at one
        position is a hundredth of the work.
        """
        positions, inverse = torch.unique(inputs["last"], return_inverse=True)
        found = model(input_ids=inputs["input_ids"], logits_to_keep=positions, use_cache=False).logits
        rows = torch.arange(len(inverse), device=found.device)
        labels = self._stage.model.label_ids[: inputs["present"].shape[1]]
        scores = found[rows, inverse][:, labels].float()
        scores = scores.masked_fill(~inputs["present"], float("-inf"))
        number = int(inputs["step"])
        each, numbers = self._loss(scores, inputs["goal"], number)
        value = (each * inputs["weights"]).mean()
        if not torch.isfinite(value):
            raise self._clock.diverged(number)
        self._clock.saw({"loss": value.item(), **numbers}, inputs["input_ids"])
        return value

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """Linear warm-up, constant, then linear decay to 2% over the last half of the stage's steps or time."""
        optimizer = optimizer or self.optimizer
        assert optimizer is not None, "the trainer makes it before"
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._clock.rate)
        return self.lr_scheduler

    def create_model_card(self, *arguments: Any, **named: Any) -> None:
        """A checkpoint has none."""


class _Clock(TrainerCallback):
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

    def end(self) -> None:
        """Put the best weights into the model.

        Raises:
            RunError: no weight has moved.
        """
        after = self._weights()
        moved = sum(int((after[name] != before).sum()) for name, before in self._before.items())
        if self.progress.step and not moved:
            raise RunError(
                f"{self.progress.step:,} steps of training moved no weight. Raise the stage's learning_rate."
            )
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
            write_atomic(checkpoint / _PROGRESS, json.dumps(vars(self.progress)))

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


def _resumable(stage: LanguageStage) -> Path | None:
    """The last whole checkpoint of the same inputs; those of other inputs are removed.

    Raises:
        RunError: the folder's record is corrupt.
    """
    try:
        inputs = json.loads((stage.folder / _INPUTS).read_text(encoding="utf-8"))["fingerprint"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"Checkpoints in {stage.folder} are corrupt ({error}). Delete that folder.") from error
    if inputs != stage.fingerprint:
        stage.announce("base, evidence or settings have changed since the last checkpoint: starts over")
        shutil.rmtree(stage.folder)
        return None
    whole = [path.parent for path in stage.folder.glob(f"checkpoint-*/{_PROGRESS}")]
    if not whole or not (stage.folder / _BEST).exists():
        return None
    return max(whole, key=lambda path: int(path.name.partition("-")[2]))
