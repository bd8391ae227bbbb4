"""SFT on trajectories: a pretrained base learns what the teacher's agents wrote, through TRL's SFTTrainer.

    L = − Σ_t m_t log p(x_t | x_<t) / Σ_t m_t

with m_t = 1 for what the assistant wrote (plan, calls, reflections, the ranking, the end of each turn) and 0
for the prompt and the answers of tools (STAR, section 3.3). Ids and masks are made here (`Chat.encode`), and
the trainer is given labels.

TRL cuts the end of what is longer than `max_length`, 1,024 tokens unless it is said, which is where the
ranking stands, and drops an example without a word when nothing to learn is left of it. So runs that do not
fit the context are found before, and are an error unless the settings leave them out; afterwards the trainer
must hold as many examples as it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel, PrinterCallback

from starrec.errors import StarrecError
from starrec.student.config import TrajectorySFTConfig
from starrec.student.lm.chat import Chat, Encoded
from starrec.student.lm.trainers import Reporting, common, finite_losses, missing
from starrec.trajectories import Trajectory

try:
    from datasets import Dataset
    from peft import PeftModel
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer
except ImportError as error:
    raise missing(error) from error

_IGNORED: Final = -100


@dataclass(frozen=True, slots=True)
class Lessons:
    """Trajectories as samples of one base."""

    samples: tuple[Encoded, ...]
    too_long: int
    """Trajectories that do not fit the context; no sample."""
    cut: int
    """Answers of tools of which not all is shown."""

    @property
    def tokens(self) -> int:
        """Of all samples."""
        return sum(len(sample.ids) for sample in self.samples)

    @property
    def learned(self) -> int:
        """Tokens that carry loss."""
        return sum(int(sample.learn.sum()) for sample in self.samples)


@dataclass(frozen=True, slots=True)
class Taught:
    """How a stage of SFT went."""

    losses: tuple[float, ...]
    """Mean cross-entropy a step."""
    samples: int
    too_long: int
    cut: int
    seconds: float


def make_lessons(chat: Chat, trajectories: Sequence[Trajectory], context: int) -> Lessons:
    """Samples of trajectories.

    Args:
        context: longest input of the base, in tokens.
    """
    samples, too_long, cut = [], 0, 0
    for trajectory in trajectories:
        conversation = chat.conversation(trajectory)
        encoded = chat.encode(conversation.messages)
        if len(encoded.ids) > context:
            too_long += 1
            continue
        samples.append(encoded)
        cut += conversation.cut
    return Lessons(tuple(samples), too_long, cut)


def supervise_trajectories(
    model: PreTrainedModel,
    chat: Chat,
    lessons: Lessons,
    config: TrajectorySFTConfig,
    folder: Path,
    *,
    seed: int = 0,
    report: Callable[[float], None] = lambda done: None,
) -> Taught:
    """Train a model, or its adapter, in place.

    Args:
        model: float32 where it is trained.
        folder: where the trainer may write.
        report: called after every step with how much of the stage is over, 0 to 1.

    Raises:
        StarrecError: no run fits the context, some do not and the settings do not leave them out, the parts of
            a step do not divide it, or the loss is no number any more.
    """
    _check(lessons, config)
    data = Dataset.from_list(
        [{"input_ids": s.ids.tolist(), "labels": labels_of(s).tolist()} for s in lessons.samples]
    )
    device = next(model.parameters()).device.type
    settings = SFTConfig(
        output_dir=str(folder),
        max_length=None,
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch // config.parts,
        gradient_accumulation_steps=config.parts,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup,
        lr_scheduler_type="cosine",
        weight_decay=0.0,
        bf16=False,
        logging_steps=1,
        **common(device, seed),
    )
    made = _OnCpu if device == "cpu" and settings.world_size == 1 else SFTTrainer
    trainer = made(model=model, args=settings, train_dataset=data, processing_class=chat.tokenizer)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Reporting(report))
    prepared: Any = trainer.train_dataset
    kept = len(prepared)
    if kept != len(lessons.samples):
        raise StarrecError(f"TRL dropped {len(lessons.samples) - kept} of {len(lessons.samples)} examples.")
    trained = trainer.train()
    losses = finite_losses(trainer.state.log_history)
    return Taught(
        losses, len(lessons.samples), lessons.too_long, lessons.cut, float(trained.metrics["train_runtime"])
    )


class _OnCpu(SFTTrainer):
    """The same loss. Without Triton, TRL multiplies the output matrix at every position, masked ones too."""

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        labels = inputs["labels"][:, 1:]
        learned = labels != _IGNORED
        plain: Any = model.get_base_model() if isinstance(model, PeftModel) else model
        read = plain.base_model(inputs["input_ids"], attention_mask=inputs.get("attention_mask"))
        logits = plain.get_output_embeddings()(read.last_hidden_state[:, :-1][learned])
        total = functional.cross_entropy(logits.float(), labels[learned], reduction="sum")
        return total / (learned.sum() if num_items_in_batch is None else num_items_in_batch)


def labels_of(sample: Encoded) -> np.ndarray[Any, np.dtype[np.int64]]:
    """`(length,)` tokens to learn, and -100 where there is nothing to learn."""
    return np.where(sample.learn, sample.ids, _IGNORED)


def _check(lessons: Lessons, config: TrajectorySFTConfig) -> None:
    if not lessons.samples:
        raise StarrecError(
            f"None of {lessons.too_long} runs fits the base's context. Choose a base with a longer one, or "
            "show less of tools' answers."
            if lessons.too_long
            else "No kept runs to learn from. Relax the outcome filter (`top_k`), or teach more tasks."
        )
    if lessons.too_long and not config.leave_out:
        raise StarrecError(
            f"{lessons.too_long} of {lessons.too_long + len(lessons.samples)} runs do not fit the base's "
            "context. Set `leave_out` to train without them, or show less of tools' answers."
        )
    if config.batch % config.parts:
        raise StarrecError(f"`parts` ({config.parts}) does not divide `batch` ({config.batch}). Change one.")
