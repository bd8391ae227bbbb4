"""The two stages of a language model's fast mode: what it learns, as in nano's (`stages`).

In stage 1 the first five places of a kept run's ranking (Plackett-Luce likelihood over the labels' logits at
one position), in stage 2 the reward of a ranking on tasks that are drawn anew.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from starrec.student.grpo import PLACES, log_probability, reward_loss
from starrec.student.lm.clock import LanguageStage
from starrec.student.lm.training import Step, fit
from starrec.student.rows import FastTasks, Labelled
from starrec.student.training import Progress


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
        return Step(
            kept[rows].withheld(stage.config.drop_signals, random),
            rankings[rows],
            np.ones(len(rows), dtype=np.float32),
        )

    def loss(scores: torch.Tensor, goal: torch.Tensor, number: int) -> tuple[torch.Tensor, dict[str, float]]:
        first = (scores.argmax(dim=1) == goal[:, 0]).float().mean()
        each = -log_probability(scores, goal[:, None, :], places)[:, 0] / places
        return each, {"first": first.item()}

    steps = math.ceil(config.epochs * n / config.batch)
    return fit(stage, step, loss, steps, config.minutes, config.learning_rate, weight_decay=0.01)


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
        tasks = batch.tasks.withheld(stage.config.drop_signals, random)
        if reference is not None:
            asked[number] = tasks
        return Step(tasks, batch.rows, batch.weights)

    def loss(scores: torch.Tensor, goal: torch.Tensor, number: int) -> tuple[torch.Tensor, dict[str, float]]:
        before = None
        if reference is not None:
            before = torch.from_numpy(reference.scores(asked.pop(number))).to(scores.device)
        each, reached = reward_loss(scores, before, goal, reward, number)
        return each, {"reward": reached.item()}

    # Where no sample of a group is better than another, weight decay would move the weights all the same.
    return fit(stage, step, loss, config.steps, config.minutes, config.learning_rate, weight_decay=0.0)
