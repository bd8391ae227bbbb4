"""The two training stages: supervised on the teacher's kept runs, then listwise GRPO.

Stage 1 shows every kept run in both renderings. In the think rendering the student learns all that the agents
wrote. In both it learns the first five labels of the run's own ranking, in their order, read off one
distribution (Plackett-Luce likelihood; ListMLE, Xia et al., ICML 2008). Through the outcome filter the first of
them is the true next item; the others say how the teacher thinks of the rest. (On validation half A: 0.72, and
0.60 with the first label alone.)

Stage 2 practises fast mode without the teacher, on more positions and with fresh candidates every epoch. Beside
it kept runs are replayed, so that think mode stays, and the ranking after a trace is practised as well: it is
rewarded for where it puts the target, after kept runs and after those that failed. Of a failed run nothing that
agents wrote is imitated.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from starrec.ranking import avg_hr, ranks_of_targets
from starrec.student.config import StudentConfig
from starrec.student.grpo import PLACES, cross_entropy_loss, grpo_loss, log_probability
from starrec.student.listwise import label_logits
from starrec.student.prompts import FastPrompts, FastTasks
from starrec.student.samples import Augmentation, Sample, read_samples
from starrec.student.training import Progress, Schedule, fit

Objective: TypeAlias = Literal["grpo", "cross_entropy"]
"""What stage 2 minimises."""
_WARMUP: Final = 50
_RANKING_WEIGHT: Final = 0.5
"""Stage 1: of the ranking after a trace beside its text. Fast mode teaches the same ranking."""
_REPLAY_WEIGHT: Final = 0.5
"""Stage 2: of the text of replayed runs ..."""
_PRACTICE_WEIGHT: Final = 1.0
"""... and of the reward of rankings after them, beside the reward of fast mode."""
_EVALUATION_BATCH: Final = 128


@dataclass(frozen=True, eq=False)
class Labelled:
    """Tasks in fast form with the column of their target."""

    tasks: FastTasks
    columns: NDArray[np.int64]
    """`(n,)`"""

    def __len__(self) -> int:
        return len(self.tasks)


@dataclass(frozen=True, eq=False)
class Stage:
    """What both stages train with."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    prompts: FastPrompts
    config: StudentConfig
    validation: Labelled
    """Validation half A: stops training early."""
    checkpoint: Path
    fingerprint: str
    report: Callable[[Progress], None]
    """Called after every step."""
    checkpoint_seconds: float = Schedule.checkpoint_seconds

    def evaluate(self) -> float:
        """avg_hr on validation half A with the task's labels (fast mode averages over label permutations)."""
        scores = []
        with torch.inference_mode():
            for start in range(0, len(self.validation), _EVALUATION_BATCH):
                rows = np.arange(start, min(start + _EVALUATION_BATCH, len(self.validation)))
                batch = self.prompts.batch(self.validation.tasks[rows])
                scores.append(label_logits(self.model, batch).numpy())
        ranks = ranks_of_targets(
            self.validation.tasks.candidates, np.concatenate(scores), self.validation.columns, 0
        )
        return float(avg_hr(ranks).mean())

    def fast_logits(
        self, model: PreTrainedModel, tasks: FastTasks, random: np.random.Generator
    ) -> torch.Tensor:
        batch = self.prompts.batch(
            tasks,
            random=random,
            drop_items=self.config.drop_items,
            drop_signals=self.config.drop_signals,
        )
        return label_logits(model, batch)

    def draw(
        self, samples: Sequence[Sample], count: int, random: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Loss of the text of some samples, logits `(count, c)` of the labels after them, best first, and the
        columns of their targets in these."""
        chosen = [
            self.augmentation(samples[index], random) for index in random.integers(0, len(samples), count)
        ]
        text, ranked = read_samples(self.model, chosen, int(self.tokenizer.pad_token_id))
        return text, ranked, torch.tensor([sample.target for sample in chosen])

    @cached_property
    def augmentation(self) -> Augmentation:
        return Augmentation(self.tokenizer, self.config.drop_items)

    def schedule(self, steps: int, learning_rate: float) -> Schedule:
        return Schedule(
            steps,
            learning_rate,
            warmup=min(_WARMUP, steps // 4),
            evaluate_every=self.config.evaluate_every,
            checkpoint_seconds=self.checkpoint_seconds,
        )


def supervise(
    stage: Stage, kept: FastTasks, rankings: NDArray[np.int64], samples: Sequence[Sample]
) -> Progress:
    """Stage 1. Trains the model in place.

    Args:
        kept: the kept runs' tasks.
        rankings: `(n, c)` columns of their candidates as each run ranked them, best first.
        samples: the same runs in the think rendering.
    """
    config = stage.config.sft

    def loss(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        random = np.random.default_rng([stage.config.seed, 1, step])
        rows = random.integers(0, len(kept), config.fast_batch)
        logits = stage.fast_logits(stage.model, kept[rows], random)
        ranked = torch.from_numpy(rankings[rows])[:, None, :]
        fast = -log_probability(logits, ranked, PLACES).mean() / PLACES
        text, ranked_after, _ = stage.draw(samples, config.think_batch, random)
        best_first = torch.arange(ranked_after.shape[1]).expand(len(ranked_after), 1, -1)
        after = -log_probability(ranked_after, best_first, PLACES).mean() / PLACES
        value = fast + text + _RANKING_WEIGHT * after
        return value, {"fast": fast.item(), "think": text.item(), "think_ranking": after.item()}

    return fit(
        stage.model,
        loss,
        stage.evaluate,
        stage.schedule(config.steps, config.learning_rate),
        stage.checkpoint,
        fingerprint=stage.fingerprint,
        report=stage.report,
    )


def epoch_order(seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    """`(n,)` the order in which stage 2 takes the tasks of an epoch."""
    return np.random.default_rng([seed, 3, epoch]).permutation(n)


def reinforce(
    stage: Stage,
    tasks_an_epoch: int,
    epoch: Callable[[int], Labelled],
    samples: Sequence[Sample],
    objective: Objective = "grpo",
) -> Progress:
    """Stage 2. Trains the model in place, with itself as it is now as the reference of the KL term.

    Args:
        tasks_an_epoch: how many tasks every epoch has.
        epoch: the tasks of an epoch, candidates drawn anew; epochs are asked for in order, once each (from
            the epoch of the checkpoint on).
        samples: kept runs to replay, and failed ones for the reward of the ranking after them; none leaves
            replay out.
        objective: cross-entropy of the target takes GRPO's place in the controls `star_ce` and `star_labels`.
    """
    config = stage.config.grpo
    reference = copy.deepcopy(stage.model).eval() if config.kl > 0 and objective == "grpo" else None
    steps_an_epoch = max(1, tasks_an_epoch // config.batch)

    def improve(
        logits: torch.Tensor, before: torch.Tensor | None, target: torch.Tensor, seed: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if objective == "cross_entropy":
            return cross_entropy_loss(logits, target)
        generator = torch.Generator().manual_seed(seed)
        return grpo_loss(logits, before, target, group=config.group, kl=config.kl, generator=generator)

    @lru_cache(maxsize=1)
    def shuffled(number: int) -> tuple[Labelled, NDArray[np.int64]]:
        tasks = epoch(number)
        return tasks, epoch_order(stage.config.seed, number, len(tasks))

    def loss(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        random = np.random.default_rng([stage.config.seed, 2, step])
        tasks, order = shuffled(step // steps_an_epoch)
        at = (step % steps_an_epoch) * config.batch
        rows = order[at : at + config.batch]
        chosen = tasks.tasks[rows]
        seed = int(random.integers(2**31))
        logits = stage.fast_logits(stage.model, chosen, np.random.default_rng(seed))
        before = None
        if reference is not None:
            with torch.no_grad():
                before = stage.fast_logits(reference, chosen, np.random.default_rng(seed))
        value, reward = improve(logits, before, torch.from_numpy(tasks.columns[rows]), seed)
        numbers = {"reward": reward.item()}
        if samples and step % config.replay_every == 0:
            text, ranked_after, target = stage.draw(samples, stage.config.sft.think_batch, random)
            practised, after = improve(ranked_after, None, target, seed + 1)
            value = value + _REPLAY_WEIGHT * text + _PRACTICE_WEIGHT * practised
            numbers |= {"think": text.item(), "think_reward": after.item()}
        return value, numbers

    return fit(
        stage.model,
        loss,
        stage.evaluate,
        stage.schedule(config.steps, config.learning_rate),
        stage.checkpoint,
        fingerprint=stage.fingerprint,
        report=stage.report,
    )
