"""The third training stage: GRPO over whole trajectories (STAR, section 3.4).

Each step a few tasks are attempted G times each, without constraints (`rollouts`), by the weights as they are.
A rollout is rewarded for its form, for where it ranks the target, and for the citations in it that hold; with
the group-relative advantage A of rollout i, which sampled the tokens o_i at temperature T,

    loss = - 1/N sum_i A_i 1/|o_i| sum_t log p(o_it),    p = softmax(logits / T)

over the N rollouts of the step (GRPO's equation 3, strictly on-policy, so that its importance ratio is 1). Tool
answers are context. What a ranking is read from is practised too: after a rollout that ranked, its expected
outcome has a gradient of its own (`grpo.expected_reward_loss`), as has fast mode, whose practice goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from starrec.ranking import avg_hr
from starrec.student.calls import FAST_ORDER
from starrec.student.config import ExplorationConfig
from starrec.student.engine import Star
from starrec.student.grpo import expected_reward_loss
from starrec.student.nano import Nano
from starrec.student.rewards import advantages, citation_reward
from starrec.student.rollouts import Rollout, sample_rollouts
from starrec.student.rows import Attempted, Labelled
from starrec.student.samples import Sample, read_samples
from starrec.student.stages import PRACTICE_WEIGHT, Stage, practising
from starrec.student.training import Part, Progress


def explore(
    stage: Stage,
    star: Star,
    attempted: Callable[[int], Attempted],
    validation: Attempted,
    practice: Callable[[int], Labelled],
    samples: Sequence[Sample],
) -> Progress:
    """Stage 3. Trains the model in place.

    Args:
        star: of the model under training.
        attempted: the tasks of a step that are attempted.
        validation: of half A, on which think mode is looked at: the mean of both modes' avg_hr decides which
            weights are kept.
        practice: as in `reinforce`.
        samples: as in `reinforce`.
    """
    config = stage.config.exploration
    beside = practising(stage, practice, samples)
    pad = int(star.tokenizer.pad_token_id)

    def attempt(tasks: Attempted, seed: int, total: int) -> tuple[torch.Tensor, dict[str, float]]:
        found = sample_rollouts(star, tasks.tasks, tasks.targets, config.group, config.temperature, seed)
        rewards = torch.tensor([[rollout.reward(config.citations) for rollout in group] for group in found])
        flat = [rollout for group in found for rollout in group]
        value = _policy_loss(stage.model, flat, advantages(rewards).flatten(), config, pad) / total
        return value, {name: number / total for name, number in _described(flat, rewards).items()}

    def losses(step: int) -> list[Part]:
        tasks, targets = attempted(step)
        total = len(tasks) * config.group
        parts = [
            Attempted(tasks[at : at + config.together], targets[at : at + config.together])
            for at in range(0, len(tasks), config.together)
        ]
        seeds = np.random.default_rng([stage.config.seed, 4, step]).integers(2**31, size=len(parts)).tolist()
        return [
            *(partial(attempt, part, seed, total) for part, seed in zip(parts, seeds, strict=True)),
            *beside(step),
        ]

    def evaluate() -> float:
        star.trained()
        thoughts = star.think_many(validation.tasks)
        ranks = [
            thought.ranking.rank_of(int(task.candidates[column]))
            for thought, task, column in zip(thoughts, validation.tasks, validation.targets, strict=True)
        ]
        return (float(avg_hr(np.array(ranks)).mean()) + stage.evaluate()) / 2

    return stage.fit(losses, config, evaluate)


def _policy_loss(
    model: Nano, found: Sequence[Rollout], advantage: torch.Tensor, config: ExplorationConfig, pad: int
) -> torch.Tensor:
    """Sum over rollouts of GRPO's loss, and of what practises the rankings after those that ranked.

    Args:
        advantage: `(n,)` of each rollout.
        pad: the token that fills up.
    """
    samples = [rollout.sample for rollout in found]
    written, scores = read_samples(model, samples, pad, config.temperature)
    each = torch.stack([nll.mean() for nll in written.split([int(s.learn.sum()) for s in samples])])
    ranked = torch.tensor([at for at, rollout in enumerate(found) if rollout.thought is not None])
    policy = (advantage * each).sum()
    if not len(ranked):
        return policy
    target = torch.tensor([sample.target for sample in samples])
    practised, _ = expected_reward_loss(scores[ranked], None, target[ranked], kl=0.0)
    return policy + PRACTICE_WEIGHT * practised.sum()


def _described(found: Sequence[Rollout], rewards: torch.Tensor) -> dict[str, float]:
    """What the curve shows of rollouts, each summed over them."""
    ranked = [rollout for rollout in found if rollout.thought is not None]
    alike = rewards.max(dim=1).values == rewards.min(dim=1).values
    return {
        "rollout_reward": float(rewards.sum()),
        "rollout_broken": float(len(found) - len(ranked)),
        "rollout_citations": sum(citation_reward(rollout.cited) for rollout in ranked),
        "rollout_fast_order": float(sum(rollout.asks(FAST_ORDER.name) for rollout in ranked)),
        "rollout_alike": float(alike.sum()) * rewards.shape[1],
    }
