"""What the evidence allows: a listwise ranker over every number that the evidence holds.

A small network scores each candidate by its numbers alone (no titles, no item embeddings, no trajectories) and
is trained by softmax cross-entropy over the candidates (ListNet's top-one loss; Cao et al., ICML 2007) on
positions inside the training part, with fresh negatives every epoch. Whatever it reaches, a student that reads
the same evidence should reach; what it misses is not in the evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from starrec.data import (
    Dataset,
    RankingTask,
    Split,
    Targets,
    training_positions,
    training_tasks,
    validation_half,
)
from starrec.engines import Workers
from starrec.ranking import avg_hr
from starrec.signals import SIGNALS, Evidence, Fact
from starrec.tools import World

_BATCH: Final = 128
_HIDDEN: Final = (128, 64)
_TASKS_PER_STEP: Final = 64


@dataclass(frozen=True, eq=False)
class Numbers:
    """The evidence of tasks as arrays."""

    features: NDArray[np.float32]
    """`(n, c, f)`"""
    target: NDArray[np.int64]
    """`(n,)` column of the target."""


def gather(workers: Workers[World], tasks: Sequence[RankingTask], targets: Targets) -> Numbers:
    """All numbers about the candidates of these tasks."""
    batches = [list(tasks[at : at + _BATCH]) for at in range(0, len(tasks), _BATCH)]
    features = np.concatenate(list(workers.map(_numbers, batches)))
    columns = [int(np.flatnonzero(task.candidates == targets[task.task_id])[0]) for task in tasks]
    return Numbers(features, np.array(columns))


def _numbers(world: World, tasks: list[RankingTask]) -> NDArray[np.float32]:
    return np.stack([_of_task(world.toolbox(task).evidence) for task in tasks])


def _of_task(evidence: Evidence) -> NDArray[np.float32]:
    """`(c, f)`: each signal's score, its place among the candidates, and its strongest fact's counts, lift and
    significance; the same of the contrary fact."""
    scores = evidence.scores
    known = np.nan_to_num(scores, nan=0.0)
    spread = known.std(axis=1, keepdims=True)
    standard = (known - known.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    place = (known[:, None, :] > known[:, :, None]).mean(axis=2)
    rows = [np.isnan(scores).astype(np.float64), known, np.log(np.abs(known) + 1e-3), standard, place]
    facts = np.zeros((len(SIGNALS) + 1, 5, scores.shape[1]))
    for column in range(scores.shape[1]):
        for row, name in enumerate(SIGNALS):
            facts[row, :, column] = _of_fact(evidence.fact(name, column))
        facts[-1, :, column] = _of_fact(evidence.contrary(column))
    return np.concatenate([*rows, facts.reshape(-1, scores.shape[1])]).T.astype(np.float32)


def _of_fact(fact: Fact | None) -> tuple[float, ...]:
    if fact is None:
        return (0.0,) * 5
    significance = fact.significance
    return (
        np.log1p(fact.both),
        np.log1p(fact.base),
        np.log(fact.lift + 0.05),
        np.sign(significance) * np.sqrt(abs(significance)),
        fact.weight / 1000,
    )


class Ranker(nn.Module):
    """Scores each candidate by its own numbers."""

    def __init__(self, training: NDArray[np.float32]) -> None:
        super().__init__()
        flat = training.reshape(-1, training.shape[-1])
        self.register_buffer("mean", torch.from_numpy(flat.mean(axis=0)))
        self.register_buffer("scale", torch.from_numpy(flat.std(axis=0) + 1e-6))
        sizes = (flat.shape[1], *_HIDDEN)
        layers: list[nn.Module] = []
        for wide, narrow in pairwise(sizes):
            layers += [nn.Linear(wide, narrow), nn.GELU(), nn.Dropout(0.1)]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        standard = ((features - self.mean) / self.scale).clamp(-8, 8)
        scores: torch.Tensor = self.layers(standard).squeeze(-1)
        return scores


@dataclass(frozen=True, eq=False)
class Trained:
    """A ranker, and how it came to be."""

    ranker: Ranker
    curve: list[dict[str, float]]
    """avg_hr on validation half A after every epoch."""


def fit(epochs: Sequence[Numbers], half_a: Numbers, seed: int, passes: int) -> Trained:
    """Train through these epochs, so many times over; the weights that were best on validation half A stay."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    ranker = Ranker(epochs[0].features)
    steps = passes * sum(-(-len(epoch.target) // _TASKS_PER_STEP) for epoch in epochs)
    optimizer = torch.optim.AdamW(ranker.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    best, kept, curve = -1.0, ranker.state_dict(), []
    for number, epoch in enumerate([*epochs] * passes):
        ranker.train()
        for rows in _steps(len(epoch.target), random):
            scores = ranker(torch.from_numpy(epoch.features[rows]))
            loss = nn.functional.cross_entropy(scores, torch.from_numpy(epoch.target[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        value = float(avg_hr(ranks(ranker, half_a)).mean())
        curve.append({"epoch": number, "avg_hr": value})
        if value > best:
            best, kept = value, {name: weight.clone() for name, weight in ranker.state_dict().items()}
    ranker.load_state_dict(kept)
    return Trained(ranker, curve)


@torch.inference_mode()
def ranks(ranker: Ranker, numbers: Numbers) -> NDArray[np.int64]:
    """Rank of each target; ties against it."""
    ranker.eval()
    scores = ranker(torch.from_numpy(numbers.features)).numpy()
    own = np.take_along_axis(scores, numbers.target[:, None], axis=1)
    return (scores >= own).sum(axis=1).astype(np.int64)


def training_epochs(
    workers: Workers[World], dataset: Dataset, split: Split, *, per_user: int, tasks: int, epochs: int
) -> Iterator[Numbers]:
    """Training positions with fresh negatives in every epoch; at most so many tasks each."""
    positions = training_positions(dataset, split, per_user=per_user, seed=0)
    for epoch in range(epochs):
        drawn, targets = training_tasks(dataset, split, positions, seed=0, epoch=epoch)
        chosen = np.random.default_rng(epoch).permutation(len(drawn))[:tasks]
        yield gather(workers, [drawn[at] for at in np.sort(chosen).tolist()], targets)


def half(tasks: Sequence[RankingTask], side: str) -> list[RankingTask]:
    """The validation tasks of one half: A stops training, B chooses."""
    sides = validation_half([task.user_id for task in tasks], 0)
    return [task for task, own in zip(tasks, sides, strict=True) if own == side]


def _steps(n: int, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    order = random.permutation(n)
    for at in range(0, n, _TASKS_PER_STEP):
        yield order[at : at + _TASKS_PER_STEP]
