"""Rewards: pure functions of what was ranked and where the target stood (STAR, section 3.4).

format: +1 for a valid answer, -1 for an invalid one. outcome, tiered: 1, 2/3, 1/3 and 0 for a target at rank 1,
at most 3, at most 5, or below. citations: the share of what was cited that holds. Listwise samples are
permutations by construction, so in fast mode the format reward is the same for all of a group and cancels in
the advantage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from starrec.signals import Cited
from starrec.trajectories import Canonical, LinearFormError, parse

TIERS: Final = ((1, 1.0), (3, 2 / 3), (5, 1 / 3))


def outcome_reward(ranks: torch.Tensor) -> torch.Tensor:
    """Tiered reward of 1-based ranks, same shape, float32."""
    reward = torch.zeros(ranks.shape, device=ranks.device)
    for highest, value in reversed(TIERS):
        reward = torch.where(ranks <= highest, torch.tensor(value), reward)
    return reward


def trajectory_reward(text: str, labels: tuple[str, ...], target: str) -> float:
    """Reward of a written trajectory: format plus outcome, in [-1, 2].

    Args:
        text: what was written, task included.
        labels: the labels of the task's candidates.
        target: the label of the true next item.
    """
    try:
        written: Canonical = parse(text, labels)
    except LinearFormError:
        return -1.0
    rank = torch.tensor(written.ranking.index(target) + 1)
    return 1.0 + float(outcome_reward(rank))


def citation_reward(cited: Sequence[Cited]) -> float:
    """The share of what was cited, or stated in figures without a citation, that holds; 0 where nothing was."""
    verdicts = [citation.verdict for of_text in cited for citation in of_text.citations]
    figures = len(verdicts) + sum(len(of_text.uncited) for of_text in cited)
    return verdicts.count("holds") / figures if figures else 0.0


def advantages(rewards: torch.Tensor) -> torch.Tensor:
    """Group-relative advantage `(n, G)`: (r - mean) / (std + 1e-4) within each row (GRPO, arXiv 2402.03300,
    section 4.1.2). A group whose rewards are all equal teaches nothing."""
    mean = rewards.mean(dim=1, keepdim=True)
    spread = rewards.std(dim=1, keepdim=True, unbiased=False)
    return (rewards - mean) / (spread + 1e-4)
