"""Training of a language model's fast mode, under the loop of TRL's `SFTTrainer`.

What is learned is the project's own (`listwise`): a loss over the labels' logits at one position. What trains
is TRL's: its loop, its devices, its processes, its checkpoints; `clock` says when.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from starrec.cores import cores
from starrec.runs import write_atomic
from starrec.student.lm.clock import INPUTS, PROGRESS, Clock, LanguageStage, resumable
from starrec.student.lm.trainers import common, missing
from starrec.student.rows import FastTasks
from starrec.student.training import Progress

try:
    from datasets import Dataset
    from transformers import PrinterCallback
    from transformers import logging as transformers_logging
    from trl.trainer.sft_config import SFTConfig as TrlConfig
    from trl.trainer.sft_trainer import SFTTrainer
except ImportError as error:
    raise missing(error) from error

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


def fit(
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
    resumed = resumable(stage)
    stage.folder.mkdir(parents=True, exist_ok=True)
    write_atomic(stage.folder / INPUTS, json.dumps({"fingerprint": stage.fingerprint}))
    clock = Clock(stage, min(steps, _MOST_STEPS), minutes)
    if resumed is not None:
        clock.progress = Progress(**json.loads((resumed / PROGRESS).read_text(encoding="utf-8")))
        stage.announce(f"goes on after step {clock.progress.step:,}")
    transformers_logging.set_verbosity_error()
    threads = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or cores()))
    try:
        clock.begin()
        if clock.over:
            clock.give_best()
            return clock.progress
        trainer = _ListwiseTrainer(stage, step, loss, clock, learning_rate, weight_decay)
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=None if resumed is None else str(resumed))
    finally:
        torch.set_num_threads(threads)
    clock.require_movement()
    clock.give_best()
    return clock.progress


class _ListwiseTrainer(SFTTrainer):
    """TRL's trainer with a loss over the labels' logits at one position."""

    def __init__(
        self,
        stage: LanguageStage,
        step: Callable[[int], Step],
        loss: Loss,
        clock: Clock,
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
                logging_strategy="no",
                save_total_limit=2,
                # The clock says when a checkpoint is saved.
                **common(stage.model.device.type, stage.config.seed),
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
