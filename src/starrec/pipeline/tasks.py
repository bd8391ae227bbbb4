"""Which tasks a run asks, and what each of them is for.

    taught      positions of the training part that the teacher reasons over
    practice    other positions of the training part, with fresh negatives each epoch, for GRPO
    validation  half A stops training early, half B chooses settings
    test        what the results are about; nothing is chosen on it

Every list is a function of data and settings, made when it is first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeAlias

from starrec.data import (
    Held,
    RankingTask,
    Targets,
    TrainingPositions,
    evaluation_tasks,
    training_positions,
    training_tasks,
    validation_half,
)
from starrec.pipeline.config import RunConfig
from starrec.pipeline.preparation import Prepared

Asked: TypeAlias = tuple[list[RankingTask], Targets]
"""Tasks, and their targets kept apart by task id."""

_TEACH_EPOCH: Final = 1_000_000
"""Negatives of taught tasks are their own draw, apart from every epoch of GRPO."""


@dataclass(frozen=True, eq=False)
class Tasks:
    """The tasks of a run."""

    prepared: Prepared
    config: RunConfig

    @cached_property
    def taught(self) -> Asked:
        """What the teacher reasons over, and the student imitates."""
        positions = self._positions(self.config.teacher.tasks_per_user, self.config.data.seed + 1)
        return self._training(positions, _TEACH_EPOCH)

    @cached_property
    def practice(self) -> TrainingPositions:
        """Where GRPO practises."""
        return self._positions(self.config.student.grpo.tasks_per_user, self.config.data.seed)

    def practice_epoch(self, number: int) -> Asked:
        """The tasks at the places of `practice`, with this epoch's negatives."""
        return self._training(self.practice, number)

    @cached_property
    def test(self) -> Asked:
        """Every draw of every test user."""
        return evaluated(self.prepared, self.config, "test", self.config.data.draws)

    def validation(self, half: Literal["A", "B"]) -> Asked:
        """The tasks of one half of the validation users."""
        tasks, targets = self._validation
        halves = validation_half([task.user_id for task in tasks], self.config.data.seed)
        return [task for task, side in zip(tasks, halves, strict=True) if side == half], targets

    @cached_property
    def _validation(self) -> Asked:
        return evaluated(self.prepared, self.config, "validation", self.config.data.draws)

    def _positions(self, per_user: int, seed: int) -> TrainingPositions:
        return training_positions(
            self.prepared.dataset,
            self.prepared.split,
            per_user=per_user,
            seed=seed,
            min_history=self.config.teacher.min_history,
        )

    def _training(self, positions: TrainingPositions, epoch: int) -> Asked:
        return training_tasks(
            self.prepared.dataset,
            self.prepared.split,
            positions,
            seed=self.config.data.seed,
            epoch=epoch,
            negatives=self.config.data.negatives,
        )


def evaluated(prepared: Prepared, config: RunConfig, which: Held, draws: int) -> Asked:
    """The tasks of the held-out items of a split, with this many draws of candidates a user."""
    return evaluation_tasks(
        prepared.dataset,
        prepared.sequences,
        prepared.split,
        which,
        seed=config.data.seed,
        draws=draws,
        negatives=config.data.negatives,
    )
