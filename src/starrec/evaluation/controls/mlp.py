"""`mlp_evidence` and `mlp_levels`: a small network that scores each candidate by what the evidence says of it.

No titles, no items, no trajectories: it is trained by softmax cross-entropy over the candidates (ListNet's
top-one loss; Cao et al., ICML 2007) on the tasks that the student's stage 2 practises on. What it reaches, a
student that reads the same should reach; where it stands above the student, the student loses something that
its evidence holds.

Every setting of `GRID` is tried with one seed, validation half A stops each try, and half B chooses. Tries and
seeds run side by side, one thread each, and read their batches from files.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from starrec.config import fingerprint
from starrec.data import RankingTask
from starrec.engines import Engine, Workers
from starrec.evaluation.controls.lessons import Lessons
from starrec.evaluation.controls.numbers import gather_batches
from starrec.evaluation.scorer import tie_seeds
from starrec.ranking import Ranking, avg_hr, from_scores
from starrec.student.training import Schedule
from starrec.student.training import fit as train
from starrec.tools import World

Reads: TypeAlias = Literal["numbers", "read"]
"""What of the evidence a network reads: all numbers, or what the student reads (fields of `Numbers`)."""
_Key = TypeVar("_Key")
_BATCH: Final = 128
_EVALUATIONS: Final = 8
"""Looks at validation half A in a try."""
_CLIP: Final = 8.0
"""Standard deviations beyond which a number says no more."""
_DECIMALS: Final = 9
_SCORED: Final = 1024
"""Tasks scored, or summed over, at once."""


@dataclass(frozen=True)
class MlpSettings:
    """One try."""

    hidden: tuple[int, ...] = (64,)
    dropout: float = 0.1
    learning_rate: float = 5e-3
    """Peak."""
    passes: int = 2
    """Through all tasks, the epochs' draws among them."""
    late: float = 0.0
    """Weight of a task: its lateness (`Numbers.lateness`) to this power."""


GRID: Final = (
    MlpSettings(),
    MlpSettings(late=2.0),
    MlpSettings(late=4.0),
    MlpSettings(hidden=(128, 64), dropout=0.2, learning_rate=3e-3, late=2.0),
)
"""The tries."""


class Mlp(nn.Module):
    """Scores each candidate by its own evidence."""

    mean: torch.Tensor
    """`(width,)` of training tasks."""
    scale: torch.Tensor

    def __init__(self, width: int, settings: MlpSettings) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        layers: list[nn.Module] = []
        for wide, narrow in pairwise((width, *settings.hidden)):
            layers += [nn.Linear(wide, narrow), nn.GELU(), nn.Dropout(settings.dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(settings.hidden[-1], 1))

    def forward(self, read: torch.Tensor) -> torch.Tensor:
        """`(n, c)` scores of candidates by what is read of them, `(n, c, width)`."""
        standard = ((read - self.mean) / self.scale).clamp(-_CLIP, _CLIP)
        scores: torch.Tensor = self.layers(standard).squeeze(-1)
        return scores

    @torch.inference_mode()
    def scores(self, read: NDArray[Any]) -> NDArray[np.float64]:
        """`(n, c)` the same, of arrays, in double precision and rounded: candidates with equal evidence have
        equal scores wherever they stand in a batch."""
        network = copy.deepcopy(self).eval().double()
        parts = [
            network(torch.from_numpy(read[at : at + _SCORED].astype(np.float64))).numpy()
            for at in range(0, len(read), _SCORED)
        ]
        return np.concatenate(parts).round(_DECIMALS)


@dataclass(frozen=True)
class Fitted:
    """A trained network, and how it came to be."""

    settings: MlpSettings
    seed: int
    weights: dict[str, NDArray[Any]]
    validation_b: float
    """avg_hr on half B, ties against the target."""

    @property
    def network(self) -> Mlp:
        network = Mlp(len(self.weights["mean"]), self.settings)
        network.load_state_dict({name: torch.from_numpy(weight) for name, weight in self.weights.items()})
        return network.eval()


def rank_with_networks(
    workers: Engine[World], networks: Mapping[_Key, tuple[Reads, Mlp]], tasks: Sequence[RankingTask]
) -> dict[_Key, list[Ranking]]:
    """Rankings of the tasks, which have equally many candidates, by each network.

    Evidence is looked up once for all networks, and no more of it is in memory than some batches; ties are
    ordered as in `rank_by_scores`.

    Args:
        networks: by any name, with what each reads.
    """
    ranked: dict[_Key, list[Ranking]] = {key: [] for key in networks}
    for batch, numbers in gather_batches(workers, tasks if networks else ()):
        ties = tie_seeds(batch)
        for key, (reads, network) in networks.items():
            scores = numbers.as_given(network.scores(getattr(numbers, reads)))
            ranked[key] += [
                from_scores(task.candidates, own, tie)
                for task, own, tie in zip(batch, scores, ties, strict=True)
            ]
    return ranked


def fit_mlp(
    lessons: Lessons,
    reads: Reads,
    seeds: Sequence[int],
    processes: int | None = None,
    grid: Sequence[MlpSettings] = GRID,
) -> tuple[list[Fitted], list[tuple[MlpSettings, float]]]:
    """A network of each seed, with the setting that half B chooses; and what each setting reached there.

    Args:
        processes: tries at a time; None for one a core.
    """
    with Workers(lessons, processes) as workers:
        tried = list(workers.map(_fit, [(reads, settings, seeds[0]) for settings in grid]))
        best = max(tried, key=lambda fitted: fitted.validation_b)
        others = list(workers.map(_fit, [(reads, best.settings, seed) for seed in seeds[1:]]))
    return [best, *others], [(fitted.settings, fitted.validation_b) for fitted in tried]


def _fit(lessons: Lessons, job: tuple[Reads, MlpSettings, int]) -> Fitted:
    reads, settings, seed = job
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    training, rows = lessons.numbers("training"), lessons.rows("training")
    network = Mlp(getattr(training, reads).shape[2], settings)
    _standardise(network, lessons, reads)
    weight = training.lateness**settings.late
    weights = torch.from_numpy((weight / weight.mean()).astype(np.float32))
    steps_a_pass = max(1, len(rows) // _BATCH)
    steps = settings.passes * steps_a_pass

    @functools.lru_cache(maxsize=1)
    def shuffled(turn: int) -> NDArray[np.int64]:
        return np.random.default_rng([seed, turn]).permutation(len(rows))

    def loss(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        turn, at = divmod(step, steps_a_pass)
        chosen = shuffled(turn)[at * _BATCH : (at + 1) * _BATCH]
        scores = network(torch.from_numpy(lessons.some("training", reads, chosen)))
        each = nn.functional.cross_entropy(scores, torch.from_numpy(rows[chosen]), reduction="none")
        return (each * weights[chosen]).mean(), {}

    schedule = Schedule(
        steps,
        settings.learning_rate,
        warmup=steps // 10,
        evaluate_every=max(1, steps // _EVALUATIONS),
        checkpoint_seconds=float("inf"),
    )
    name = fingerprint([reads, asdict(settings), seed])
    train(
        network,
        lambda step: [partial(loss, step)],
        lambda: _avg_hr(network, lessons, reads, "A"),
        schedule,
        lessons.folder / f"{name}.checkpoint",
        fingerprint=name,
    )
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    return Fitted(settings, seed, state, _avg_hr(network, lessons, reads, "B"))


def _standardise(network: Mlp, lessons: Lessons, reads: Reads) -> None:
    """Take the scale of the numbers from training tasks."""

    def summed(each: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
        blocks = (lessons.some("training", reads, slice(at, at + _SCORED)) for at in range(0, n, _SCORED))
        return functools.reduce(np.add, (each(block.astype(np.float64)).sum(axis=(0, 1)) for block in blocks))

    n, candidates = lessons.numbers("training").order.shape
    mean = summed(lambda block: block) / (n * candidates)
    variance = summed(lambda block: (block - mean) ** 2) / (n * candidates)
    network.mean.copy_(torch.from_numpy(mean))
    network.scale.copy_(torch.from_numpy(np.sqrt(variance) + 1e-6))


def _avg_hr(network: Mlp, lessons: Lessons, reads: Reads, half: Literal["A", "B"]) -> float:
    scores, rows = network.scores(getattr(lessons.numbers(half), reads)), lessons.rows(half)
    own = np.take_along_axis(scores, rows[:, None], axis=1)
    return float(avg_hr((scores >= own).sum(axis=1)).mean())
