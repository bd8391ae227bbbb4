"""Which tasks a run asks, and what each of them is for.

    taught      positions of the training part that the teacher reasons over
    practice    other positions of the training part, with fresh negatives each epoch, for GRPO
    validation  half A stops training early, half B chooses settings
    test        what the results are about; nothing is chosen on it

Every list is a function of data and settings, made when it is first asked for; taught tasks also of those that
were asked before with fewer data, which stay as they were where they still are right (`before`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Literal, TypeAlias

from starrec.data import (
    Held,
    RankingTask,
    Targets,
    TrainingPositions,
    evaluation_tasks,
    task_key,
    training_positions,
    training_tasks,
    validation_half,
)
from starrec.pipeline.config import RunConfig
from starrec.pipeline.inputs import draw_inputs
from starrec.pipeline.preparation import Prepared
from starrec.runs import current_product
from starrec.trajectories import Asked

Drawn: TypeAlias = tuple[list[RankingTask], Targets]
"""Tasks, and their targets kept apart by task id."""

_TEACH_EPOCH: Final = 1_000_000
"""Negatives of taught tasks are their own draw, apart from every epoch of GRPO."""


def asked_before(folder: Path, config: RunConfig) -> Asked:
    """The tasks that the last call over a run folder asked, complete or not, where they were drawn as this
    configuration draws: what was asked once is asked again only where the data make it wrong."""
    product = current_product(folder, "teach", complete=False)
    if product is None or product.inputs["draw"] != draw_inputs(config):
        return Asked()
    return Asked.read(product.folder)


@dataclass(frozen=True, eq=False)
class Tasks:
    """The tasks of a run."""

    prepared: Prepared
    config: RunConfig
    before: Asked = field(default=Asked())

    @cached_property
    def taught(self) -> Drawn:
        """What the teacher reasons over, and the student imitates."""
        positions = self._positions(
            self.config.teacher.tasks_per_user, self.config.data.seed + 1, self.before.positions
        )
        return self._training(positions, _TEACH_EPOCH, self.before.candidates)

    def keys(self, drawn: Drawn) -> dict[str, str]:
        """What names the content of each task (`data.task_key`), by task id in the order of the tasks."""
        tasks, targets = drawn
        dataset = self.prepared.dataset
        return {task.task_id: task_key(task, targets[task.task_id], dataset) for task in tasks}

    @cached_property
    def practice(self) -> TrainingPositions:
        """Where GRPO practises."""
        return self._positions(self.config.student.grpo.tasks_per_user, self.config.data.seed)

    def practice_epoch(self, number: int) -> Drawn:
        """The tasks at the places of `practice`, with this epoch's negatives."""
        return self._training(self.practice, number)

    @cached_property
    def test(self) -> Drawn:
        """Every draw of every test user."""
        return evaluated(self.prepared, self.config, "test", self.config.data.draws)

    def validation(self, half: Literal["A", "B"]) -> Drawn:
        """The tasks of one half of the validation users."""
        tasks, targets = self._validation
        halves = validation_half([task.user_id for task in tasks], self.config.data.seed)
        return [task for task, side in zip(tasks, halves, strict=True) if side == half], targets

    @cached_property
    def _validation(self) -> Drawn:
        return evaluated(self.prepared, self.config, "validation", self.config.data.draws)

    def _positions(
        self, per_user: int, seed: int, before: Mapping[str, list[int]] | None = None
    ) -> TrainingPositions:
        return training_positions(
            self.prepared.dataset,
            self.prepared.split,
            per_user=per_user,
            seed=seed,
            min_history=self.config.teacher.min_history,
            negatives=self.config.data.negatives,
            before=before,
        )

    def _training(
        self, positions: TrainingPositions, epoch: int, before: Mapping[str, list[str]] | None = None
    ) -> Drawn:
        return training_tasks(
            self.prepared.dataset,
            self.prepared.split,
            positions,
            seed=self.config.data.seed,
            epoch=epoch,
            negatives=self.config.data.negatives,
            before=before,
        )


def evaluated(prepared: Prepared, config: RunConfig, which: Held, draws: int) -> Drawn:
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
