"""GRPO on trajectories: a pretrained base writes traces with real tools, and learns from what they are worth.

For each task G traces are sampled (TRL's GRPOTrainer, the tools as its environment), and with rewards r_i of
format, outcome and citations (`rollouts`)

    A_i = (r_i − mean r) / (std r + 1e-4)
    L = − mean_i Σ_t m_it [ A_i ρ_it − β KL_it ] / Σ_t m_it

(STAR, section 3.4; GRPO, arXiv 2402.03300, equation 3). ρ is the ratio of probabilities after and before, 1 as
each trace is learned from once; KL is the estimate e^d − d − 1, d = log p_before − log p. m is 1 for what the
model wrote and 0 for what tools answered. The reference is the model before this stage: TRL copies its adapter;
where all weights are trained it would read the base anew, as it was before SFT, and is given the weights here.

A group whose traces are worth the same has gradient 0, and weight decay would still move the weights: it is 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PrinterCallback

from starrec.errors import StarrecError
from starrec.student.config import TrajectoryGRPOConfig
from starrec.student.lm.environment import Scene, environment_factory
from starrec.student.lm.rollouts import Rewards, RolloutCounts
from starrec.student.lm.trainers import Reporting, common, finite_losses, missing
from starrec.student.trace import MAX_CALLS
from starrec.tools import think_task

try:
    from datasets import Dataset
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer
except ImportError as error:
    raise missing(error) from error


@dataclass(frozen=True, slots=True)
class Reinforced:
    """How a stage of trajectory GRPO went."""

    rewards: tuple[float, ...]
    """Mean reward a step."""
    equal_groups: tuple[float, ...]
    """Share of the groups of a step whose traces were all worth the same."""
    moved: float
    """Share of the trained weights that changed."""
    counts: RolloutCounts
    seconds: float


def reinforce_trajectories(
    model: PreTrainedModel,
    scene: Scene,
    targets: Mapping[str, str],
    config: TrajectoryGRPOConfig,
    folder: Path,
    *,
    seed: int = 0,
    report: Callable[[float], None] = lambda done: None,
) -> Reinforced:
    """Train a model, or its adapter, in place.

    Args:
        model: its trained weights must be float32.
        scene: its tasks are practised.
        targets: label of the true next item, by task id.
        folder: where the trainer may write.
        report: called after every step with how much of the stage is over, 0 to 1.

    Raises:
        StarrecError: weights are not float32, a prompt leaves no room for a trace, a loss is no number, or no
            weight moved although traces differed in what they were worth.
    """
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    for name, weight in trained.items():
        if weight.dtype != torch.float32:
            raise StarrecError(
                f"The weight {name} is {weight.dtype}, in which small steps are lost. Load it in float32."
            )
    before = {name: weight.detach().cpu().clone() for name, weight in trained.items()}
    rewards = Rewards(scene, targets)
    trainer = trajectory_trainer(model, scene, rewards, config, folder, seed=seed)
    trainer.add_callback(Reporting(report))
    done = trainer.train()
    # TRL's copy of the adapter, the reference, would be saved with it and is in the way of another stage.
    if "ref" in getattr(model, "peft_config", {}):
        adapted: Any = model
        adapted.delete_adapter("ref")
    history: list[dict[str, Any]] = trainer.state.log_history
    finite_losses(history)
    moved = _moved(before, trained)
    equal = _logged(history, "frac_reward_zero_std")
    if moved == 0 and min(equal, default=1.0) < 1:
        raise StarrecError(
            "No weight moved although traces differed in their rewards. Raise the learning rate."
        )
    seconds = float(done.metrics["train_runtime"])
    return Reinforced(_logged(history, "reward"), equal, moved, rewards.counts, seconds)


def trajectory_trainer(
    model: PreTrainedModel,
    scene: Scene,
    rewards: Rewards,
    config: TrajectoryGRPOConfig,
    folder: Path,
    *,
    seed: int = 0,
) -> GRPOTrainer:
    """TRL's trainer of `reinforce_trajectories`; arguments and errors as there."""
    data, longest = _prompts(scene)
    context = int(getattr(model.config, "max_position_embeddings", None) or 2048)
    room = min(config.trace_tokens, context - longest)
    if room < config.turn_tokens:
        raise StarrecError(
            f"A prompt of {longest} tokens leaves {room} of the base's {context} for a trace. Choose a base "
            "with a longer context, or rank fewer candidates."
        )
    settings = GRPOConfig(
        output_dir=str(folder),
        max_steps=config.steps,
        per_device_train_batch_size=config.group,
        gradient_accumulation_steps=config.tasks,
        num_generations=config.group,
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        beta=config.kl,
        loss_type="grpo",
        temperature=config.temperature,
        reward_weights=[1.0, config.citations],
        max_completion_length=room,
        generation_kwargs={"max_new_tokens": min(config.turn_tokens, room)},
        max_tool_calling_iterations=MAX_CALLS,
        bf16=False,
        logging_steps=1,
        **common(next(model.parameters()).device.type, seed),
    )
    worth: list[Any] = [rewards.trajectory, rewards.citations]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using 'environment_factory'")
        trainer = GRPOTrainer(
            model=model,
            args=settings,
            reward_funcs=worth,
            train_dataset=data,
            processing_class=scene.chat.tokenizer,
            environment_factory=environment_factory(scene),
        )
    trainer.remove_callback(PrinterCallback)
    if trainer.ref_model is not None:
        reference: Any = trainer.accelerator.unwrap_model(trainer.ref_model)
        reference.load_state_dict(model.state_dict())
    return trainer


def _logged(history: Sequence[Mapping[str, Any]], name: str) -> tuple[float, ...]:
    return tuple(float(entry[name]) for entry in history if name in entry)


def _prompts(scene: Scene) -> tuple[Dataset, int]:
    """The tasks as TRL reads them, and the longest prompt in tokens."""
    rows, longest = [], 0
    for task_id, task in scene.tasks.items():
        toolbox = scene.world.toolbox(task)
        messages = scene.chat.begin(think_task(toolbox), scene.chat.spelling(toolbox.labels))
        longest = max(longest, len(scene.chat.prompt(messages)))
        rows.append({"prompt": messages, "task_id": task_id})
    return Dataset.from_list(rows), longest


def _moved(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> float:
    changed = sum(int((after[name].detach().cpu() != weight).sum()) for name, weight in before.items())
    return changed / max(1, sum(weight.numel() for weight in before.values()))


def target_labels(scene: Scene, targets: Mapping[str, int]) -> dict[str, str]:
    """The label of each task's target.

    Args:
        targets: item by task id.
    """
    found: dict[str, str] = {}
    for task_id, task in scene.tasks.items():
        labels: Sequence[str] = scene.world.toolbox(task).labels
        found[task_id] = labels[task.candidates.tolist().index(targets[task_id])]
    return found
