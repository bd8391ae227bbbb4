"""The tasks of a run, and what each list of them is for.

    taught      positions of the training part that the teacher reasons over
    practice    other positions of the training part, with fresh negatives each epoch, for GRPO
    validation  half A stops training early, half B chooses settings
    test        what the results are about; nothing is chosen on it
    scenarios   the test items asked for in other ways (`data.scenarios`)

Every list is a function of data and settings, and made on first use. Taught tasks depend also on those that an
earlier call with fewer data asked: they stay as they were where they are still valid (`before`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Literal, TypeAlias

from starrec.config import load_recorded
from starrec.data import (
    MIN_TASKS,
    Evaluation,
    Held,
    RankingTask,
    Targets,
    TrainingPositions,
    evaluation_tasks,
    load_saved_dataset,
    load_tasks,
    scenario_tasks,
    task_key,
    training_positions,
    training_tasks,
    validation_half,
)
from starrec.errors import RunError
from starrec.pipeline.config import RunConfig
from starrec.pipeline.fingerprints import draw_inputs
from starrec.pipeline.signals import Prepared, split_and_count
from starrec.runs import current_product
from starrec.signals.embeddings import item_embeddings
from starrec.trajectories import Asked

Drawn: TypeAlias = tuple[list[RankingTask], Targets]
"""Tasks, and their targets kept apart by task id."""

_TEACH_EPOCH: Final = 1_000_000
"""The epoch of taught tasks, which no epoch of GRPO reaches: their negatives are a draw of their own."""


@dataclass(frozen=True, eq=False)
class Tasks:
    """The tasks of a run, each list made on first use."""

    prepared: Prepared
    config: RunConfig
    before: Asked = field(default=Asked())
    """Tasks that were asked before (`asked_before`)."""
    given: tuple[Evaluation, ...] = ()
    """Tasks that came with the data (`given_evaluations`)."""

    @cached_property
    def taught(self) -> Drawn:
        """Tasks that the teacher reasons over and the student imitates."""
        return self._training(self.taught_positions, _TEACH_EPOCH, self.before.candidates)

    @cached_property
    def taught_positions(self) -> TrainingPositions:
        """Positions of the taught tasks."""
        teacher = self.config.teacher
        return self._positions(
            teacher.tasks_per_user, teacher.users, self.config.data.seed + 1, self.before.positions
        )

    def keys(self, drawn: Drawn) -> dict[str, str]:
        """The hash of each task's content (`data.task_key`), by task id in the order of the tasks."""
        tasks, targets = drawn
        dataset = self.prepared.dataset
        return {task.task_id: task_key(task, targets[task.task_id], dataset) for task in tasks}

    @cached_property
    def practice(self) -> TrainingPositions:
        """Positions of GRPO's tasks."""
        grpo = self.config.student.grpo
        return self._positions(grpo.tasks_per_user, grpo.users, self.config.data.seed)

    def practice_epoch(self, number: int) -> Drawn:
        """The tasks at the positions of `practice`, with this epoch's negatives."""
        return self._training(self.practice, number)

    @cached_property
    def test(self) -> Drawn:
        """Every draw of every test user."""
        return held_out_tasks(self.prepared, self.config, "test", self.config.data.draws)

    @cached_property
    def scenarios(self) -> list[Evaluation]:
        """The test tasks by scenario, however few there are of one: first those of `test`, then the others that
        are configured. Cold items have no others: what they are asked for is their split."""
        first = Evaluation(self.prepared.split.scenario, *self.test)
        if first.scenario != "classic":
            return [first]
        return [
            first,
            *(
                scenario_tasks(
                    scenario,
                    self.prepared.dataset,
                    self.prepared.sequences,
                    self.prepared.split,
                    "test",
                    seed=self.config.data.seed,
                    draws=self.config.evaluation.scenario_draws,
                    negatives=self.config.data.negatives,
                    most_users=self.config.evaluation.scenario_users,
                    eval_users=self.config.data.eval_users,
                )
                for scenario in self.config.evaluation.scenarios
                if scenario != "classic"
            ),
        ]

    def evaluations(self) -> list[Evaluation]:
        """The scenarios that systems answer: `test` first, of the others those that have `MIN_TASKS` tasks, and
        tasks that came with the data, however few."""
        first, *others = self.scenarios
        return [first, *(each for each in others if len(each.tasks) >= MIN_TASKS), *self.given]

    def validation(self, half: Literal["A", "B"]) -> Drawn:
        """The tasks of one half of the validation users."""
        tasks, targets = self._validation
        halves = validation_half([task.user_id for task in tasks], self.config.data.seed)
        return [task for task, side in zip(tasks, halves, strict=True) if side == half], targets

    def by_id(self) -> dict[str, RankingTask]:
        """Every task that a teacher can be asked: taught ones, and those of both evaluations."""
        asked = [self.taught[0], self._validation[0], self.test[0]]
        return {task.task_id: task for part in asked for task in part}

    @cached_property
    def _validation(self) -> Drawn:
        return held_out_tasks(self.prepared, self.config, "validation", self.config.data.draws)

    def _positions(
        self, per_user: int, users: int | None, seed: int, before: Mapping[str, list[int]] | None = None
    ) -> TrainingPositions:
        return training_positions(
            self.prepared.dataset,
            self.prepared.split,
            per_user=per_user,
            seed=seed,
            min_history=self.config.teacher.min_history,
            short_share=self.config.teacher.short_share,
            negatives=self.config.data.negatives,
            most_users=users,
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


def asked_before(folder: Path, config: RunConfig) -> Asked:
    """The tasks that the last call over a run folder asked, complete or not; none where this configuration
    draws candidates in another way. A task asked once is drawn anew only where the data make it invalid."""
    product = current_product(folder, "teach", complete=False)
    if product is None or product.inputs["draw"] != draw_inputs(config):
        return Asked()
    return Asked.read(product.folder)


def reopen(folder: Path) -> Tasks:
    """The tasks of a run that exists already, counted from the data that it keeps.

    Writes nothing but the cache of embeddings and does not lock the folder: while a server answers for a run,
    `starrec teach` can be at work on it.

    Raises:
        RunError: there is no run with data in the folder, or its data are corrupt.
        ConfigError: its configuration cannot be read.
    """
    product = current_product(folder, "data")
    if product is None:
        raise RunError(f"{folder} holds no run with data. Make one with `starrec data --run {folder}`.")
    config, _ = load_recorded(folder / "config.toml", RunConfig)
    dataset = load_saved_dataset(product.folder)
    embeddings = (
        item_embeddings(dataset.catalogue, folder / "embeddings") if config.signals.embeddings else None
    )
    prepared = split_and_count(dataset, config.data, config.data.tie_seed, config.signals, embeddings)
    given = given_evaluations(product.folder, prepared, config)
    return Tasks(prepared, config, asked_before(folder, config), given)


def given_evaluations(folder: Path, prepared: Prepared, config: RunConfig) -> tuple[Evaluation, ...]:
    """The tasks that came with the data, by their number of candidates: rankings of few candidates and of many
    have no common chance level.

    Args:
        folder: of the dataset's product.
    """
    tasks, targets, _ = load_tasks(folder, prepared.dataset, prepared.sequences, seed=config.data.seed)
    sizes = sorted({len(task.candidates) for task in tasks})
    found = []
    for size in sizes:
        alike = [task for task in tasks if len(task.candidates) == size]
        if len(sizes) > 1:
            alike = [replace(task, scenario=f"{task.scenario}_{size}") for task in alike]
        scenario = alike[0].scenario
        found.append(Evaluation(scenario, alike, {task.task_id: targets[task.task_id] for task in alike}))
    return tuple(found)


def held_out_tasks(prepared: Prepared, config: RunConfig, which: Held, draws: int) -> Drawn:
    """The tasks of the held-out items of a split, with this many draws of candidates a user."""
    return evaluation_tasks(
        prepared.dataset,
        prepared.sequences,
        prepared.split,
        which,
        seed=config.data.seed,
        draws=draws,
        negatives=config.data.negatives,
        eval_users=config.data.eval_users,
    )
