"""The two training stages: supervised on the teacher's kept runs, then by reward.

Stage 1 shows every kept run in both modes. In think mode the student learns all that the agents wrote. In both
it learns the first five places of the run's own ranking, in their order (Plackett-Luce likelihood; ListMLE, Xia
et al., ICML 2008). Through the outcome filter the first of them is the true next item; the others say how the
teacher thinks of the rest.

Stage 2 practises fast mode without the teacher, on more positions, with fresh candidates every epoch, few of
them or many. Beside it kept runs are replayed, so that think mode stays, and the ranking after a trace is
practised as well: it is rewarded for where it puts the target. For this one run of each task is drawn whatever
its outcome; of a run that failed nothing that agents wrote is imitated.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from starrec.ranking import avg_hr
from starrec.student.config import ExplorationConfig, GRPOConfig, SFTConfig, StudentConfig
from starrec.student.grpo import (
    PLACES,
    cross_entropy_loss,
    log_probability,
    reward_loss,
)
from starrec.student.nano import Nano
from starrec.student.rows import FastTasks, Labelled
from starrec.student.samples import Augmentation, Sample, read_samples, renewed
from starrec.student.training import Losses, Part, Progress, Schedule, fit

_Sliced = TypeVar("_Sliced", NDArray[np.int64], list[Sample])

Objective: TypeAlias = Literal["reward", "cross_entropy"]
"""What stage 2 is for: the reward that `[student.grpo]` sets, or the target's likelihood (controls)."""
_WARMUP: Final = 50
_RANKING_WEIGHT: Final = 0.5
"""Stage 1: of the ranking after a trace beside its text. Fast mode teaches the same ranking."""
_REPLAY_WEIGHT: Final = 0.5
"""Stage 2: of the text of replayed runs ..."""
PRACTICE_WEIGHT: Final = 0.5
"""... and of the reward of rankings after them, beside the reward of fast mode."""
_EVALUATION_BATCH: Final = 256
_FAST_PARTS: Final = 2
"""Parts of a batch in fast mode ..."""
_SAMPLES: Final = 3
"""... and samples of a part in think mode: parts are computed side by side."""
_ALIKE: Final = 20
"""Neighbours by length among which a batch of samples is drawn, in batches."""


@dataclass(frozen=True, eq=False)
class Stage:
    """What both stages train with."""

    model: Nano
    tokenizer: PreTrainedTokenizerFast
    config: StudentConfig
    validation: Labelled
    """Validation half A: stops training early."""
    checkpoint: Path
    fingerprint: str
    report: Callable[[Progress], None]
    """Called after every step."""
    checkpoint_seconds: float = Schedule.checkpoint_seconds

    def evaluate(self) -> float:
        """avg_hr of fast mode on validation half A, ties against the target."""
        found = []
        with torch.inference_mode():
            for start in range(0, len(self.validation), _EVALUATION_BATCH):
                part = self.validation[np.arange(start, min(start + _EVALUATION_BATCH, len(self.validation)))]
                scores = _scores(self.model, part.tasks).numpy()
                found.append(part.ranks(scores))
        return float(avg_hr(np.concatenate(found)).mean())

    def draw(self, samples: Sequence[Sample], count: int, random: np.random.Generator) -> list[Sample]:
        """Some samples, for a step.

        Args:
            samples: by length; those of a batch are neighbours, as padding would be half of the work, and by
                length again, so that its parts are alike.
        """
        window = min(_ALIKE * count, len(samples))
        first = random.integers(0, len(samples) - window + 1)
        places = first + np.sort(random.integers(0, window, count))
        return [self.augmentation(samples[index], random) for index in places.tolist()]

    def read(self, part: Sequence[Sample], chosen: Sequence[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
        """What a part of the chosen samples adds to the loss of their text, and scores `(n, c)` of the
        candidates after them; fast orders in them are those of the model as it is."""
        part = renewed(self.model, part, self.tokenizer)
        text, after = read_samples(self.model, part, int(self.tokenizer.pad_token_id))
        mean = text.sum() / max(1, len(text))
        return mean * (len(text) / max(1, _learned(chosen))), after

    @cached_property
    def augmentation(self) -> Augmentation:
        return Augmentation(self.tokenizer)

    def fit(
        self,
        losses: Losses,
        config: SFTConfig | GRPOConfig | ExplorationConfig,
        evaluate: Callable[[], float] | None = None,
    ) -> Progress:
        """Train the model in place, as `training.fit`.

        Args:
            config: of the stage.
            evaluate: what decides which weights are kept; None for `Stage.evaluate`.
        """
        every = config.evaluate_every if isinstance(config, ExplorationConfig) else self.config.evaluate_every
        schedule = Schedule(
            config.steps,
            config.learning_rate,
            warmup=min(_WARMUP, config.steps // 4),
            evaluate_every=every,
            checkpoint_seconds=self.checkpoint_seconds,
        )
        return fit(
            self.model,
            losses,
            evaluate or self.evaluate,
            schedule,
            self.checkpoint,
            fingerprint=self.fingerprint,
            report=self.report,
        )


def _parts(whole: _Sliced, size: int) -> list[_Sliced]:
    """A sequence in parts of this size, the last one smaller where it does not divide."""
    return [whole[at : at + size] for at in range(0, len(whole), size)]


def _learned(samples: Sequence[Sample]) -> int:
    """Tokens of these samples that are the student's to learn."""
    return sum(int(sample.learn.sum()) for sample in samples)


def _by_length(samples: Sequence[Sample]) -> list[Sample]:
    return sorted(samples, key=lambda sample: len(sample.ids))


def _scores(model: Nano, tasks: FastTasks) -> torch.Tensor:
    present = tasks.present
    return model.candidate_scores(
        torch.from_numpy(tasks.numbers), None if present.all() else torch.from_numpy(present)
    )


def supervise(
    stage: Stage, kept: FastTasks, rankings: NDArray[np.int64], samples: Sequence[Sample]
) -> Progress:
    """Stage 1. Trains the model in place.

    Args:
        kept: the kept runs' tasks, equally many candidates each.
        rankings: `(n, c)` rows of their candidates as each run ranked them, best first.
        samples: the same runs as think mode reads them.
    """
    config = stage.config.sft
    samples = _by_length(samples)
    stage.model.reader.standardise(kept.numbers.reshape(-1, kept.numbers.shape[2]))

    def losses(step: int) -> list[Part]:
        random = np.random.default_rng([stage.config.seed, 1, step])
        rows = random.integers(0, len(kept), config.fast_batch)
        tasks = kept[rows].withheld(stage.config.drop_signals, random)
        chosen = stage.draw(samples, config.think_batch, random)
        places = min(PLACES, rankings.shape[1])

        def fast() -> tuple[torch.Tensor, dict[str, float]]:
            scores = _scores(stage.model, tasks)
            best_first = torch.from_numpy(rankings[rows])[:, None, :]
            value = -log_probability(scores, best_first, places).mean() / places
            return value, {"fast": value.item()}

        def think(part: Sequence[Sample]) -> tuple[torch.Tensor, dict[str, float]]:
            text, after = stage.read(part, chosen)
            best_first = torch.from_numpy(np.stack([sample.ranking for sample in part]))[:, None, :]
            ranked = -log_probability(after, best_first, places).sum() / (places * len(chosen))
            return text + _RANKING_WEIGHT * ranked, {"think": text.item(), "think_ranking": ranked.item()}

        return [*(partial(think, part) for part in _parts(chosen, _SAMPLES)), fast]

    return stage.fit(losses, config)


def reinforce(
    stage: Stage,
    practice: Callable[[int], Labelled],
    samples: Sequence[Sample],
    objective: Objective = "reward",
) -> Progress:
    """Stage 2. Trains the model in place, with itself as it is now as the reference of the KL term.

    Args:
        practice: the tasks of a step, asked for in order, from the step of the checkpoint on.
        samples: runs to replay, drawn whatever their outcome; those that failed have nothing to learn but the
            ranking after them. None leaves replay out.
        objective: cross-entropy of the target takes the place of the reward in the controls `star_ce` and
            `star_labels`.
    """
    config = stage.config.grpo
    return stage.fit(practising(stage, practice, samples, objective), config)


def practising(
    stage: Stage,
    practice: Callable[[int], Labelled],
    samples: Sequence[Sample],
    objective: Objective = "reward",
) -> Losses:
    """The parts of stage 2's steps; arguments as of `reinforce`."""
    config, samples = stage.config.grpo, _by_length(samples)
    uses_reference = config.kl > 0 and objective == "reward"
    reference = copy.deepcopy(stage.model).eval() if uses_reference else None

    def improve(
        scores: torch.Tensor, before: torch.Tensor | None, target: torch.Tensor, seed: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if objective == "cross_entropy":
            return cross_entropy_loss(scores, target)
        return reward_loss(scores, before, target, config, seed)

    def losses(step: int) -> list[Part]:
        random = np.random.default_rng([stage.config.seed, 2, step])
        batch = practice(step)
        seed = int(random.integers(2**31))
        tasks = batch.tasks.withheld(stage.config.drop_signals, np.random.default_rng(seed))

        def fast(rows: NDArray[np.int64]) -> tuple[torch.Tensor, dict[str, float]]:
            part = tasks[rows]
            scores, before = _scores(stage.model, part), None
            if reference is not None:
                with torch.no_grad():
                    before = _scores(reference, part)
            each, reward = improve(scores, before, torch.from_numpy(batch.rows[rows]), seed + int(rows[0]))
            value = (each * torch.from_numpy(batch.weights[rows])).sum() / len(batch)
            return value, {"reward": reward.item() * len(rows) / len(batch)}

        every = np.arange(len(batch))
        parts: list[Part] = [partial(fast, part) for part in _parts(every, -(-len(batch) // _FAST_PARTS))]
        if not samples or step % config.replay_every:
            return parts
        chosen = stage.draw(samples, stage.config.sft.think_batch, random)

        def think(part: Sequence[Sample]) -> tuple[torch.Tensor, dict[str, float]]:
            text, after = stage.read(part, chosen)
            target = torch.tensor([sample.target for sample in part])
            practised, reward = improve(after, None, target, seed + len(batch) + len(part[0].ids))
            value = _REPLAY_WEIGHT * text + PRACTICE_WEIGHT * practised.sum() / len(chosen)
            return value, {"think": text.item(), "think_reward": reward.item() * len(part) / len(chosen)}

        return [*(partial(think, part) for part in _parts(chosen, _SAMPLES)), *parts]

    return losses
