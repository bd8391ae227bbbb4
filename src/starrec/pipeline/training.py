"""How a student is trained from a run's tasks and the teacher's runs: what `distill` and the controls share.

Each stage has a checkpoint in the product's folder, from which a killed stage goes on where it stopped
(`benchmarks/teaching.py distill-kill`); it is deleted when the product is complete.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask, Targets, TrainingPositions
from starrec.engines import Workers
from starrec.errors import DataError
from starrec.hashing import text_keys
from starrec.pipeline.memory import gives_back
from starrec.pipeline.practice import Practice
from starrec.pipeline.session import Session
from starrec.pipeline.tasks import Tasks
from starrec.runs import Product
from starrec.student import (
    MAX_LABELS,
    Asked,
    Attempted,
    FastTasks,
    Labelled,
    Objective,
    Progress,
    Sample,
    Stage,
    Star,
    StudentConfig,
    explore,
    gather_tasks,
    make_samples,
    reinforce,
    scores_of_rows,
    supervise,
    with_fast_order,
)
from starrec.tools import World
from starrec.trajectories import Trajectory, passes, target_columns

_GATHERED: Final = 1_024
"""Tasks whose rows are in memory at once."""


@dataclass(frozen=True, eq=False)
class Training:
    """A student under training."""

    session: Session
    tasks: Tasks
    workers: Workers[World]
    star: Star
    config: StudentConfig
    product: Product
    """Where checkpoints are kept."""
    validation: Labelled
    """Half A: stops training early."""

    @classmethod
    def of(
        cls,
        session: Session,
        tasks: Tasks,
        workers: Workers[World],
        star: Star,
        product: Product,
        config: StudentConfig | None = None,
    ) -> Training:
        """
        Args:
            config: None for that of the session.
        """
        config = config or session.config.student
        validation = labelled(star.world, *tasks.validation("A"))
        return cls(session, tasks, workers, star, config, product, validation)

    @gives_back
    def supervise(self, name: str, runs: list[Trajectory], title: str) -> Progress:
        """Stage 1 on these runs over taught tasks.

        Args:
            name: of the checkpoint.
            title: of the bar.
        """
        samples = self.samples(runs)
        with self.session.bar(title, self.config.sft.steps) as advance:
            progress = supervise(
                self._stage(name, advance), *ranked_as_in_runs(self.star.world, self.tasks, runs), samples
            )
        self.star.trained()
        return progress

    @gives_back
    def reinforce(
        self,
        name: str,
        positions: TrainingPositions,
        samples: Sequence[Sample],
        title: str,
        objective: Objective = "reward",
    ) -> Progress:
        """Stage 2 at these positions, as `student.reinforce`; name and title as in `supervise`."""
        practice = Practice(self.tasks, self.workers, self.config, positions)
        with self.session.bar(title, self.config.grpo.steps) as advance:
            progress = reinforce(self._stage(name, advance), practice, samples, objective)
        self.star.trained()
        return progress

    @gives_back
    def explore(
        self, name: str, positions: TrainingPositions, samples: Sequence[Sample], title: str
    ) -> Progress:
        """Stage 3 at these positions, as `student.explore`; name and title as in `supervise`.

        Raises:
            DataError: validation tasks have more candidates than think mode ranks.
        """
        practice = Practice(self.tasks, self.workers, self.config, positions)
        tasks, targets = self.tasks.validation("A")
        # The first draw of each user.
        drawn = list({task.user_id: task for task in reversed(tasks)}.values())
        if (most := max(len(task.candidates) for task in drawn)) > MAX_LABELS:
            raise DataError(
                f"Tasks have up to {most} candidates; think mode, which `[student.exploration]` trains, ranks "
                f"{MAX_LABELS}. Lower `[data] negatives` or set `steps = 0` there."
            )
        columns = target_columns(drawn, targets)
        validation = Attempted(drawn, [columns[task.task_id] for task in drawn])
        with self.session.bar(title, self.config.exploration.steps) as advance:
            stage = self._stage(name, advance)
            attempted = partial(practice.attempted, count=self.config.exploration.tasks)
            progress = explore(stage, self.star, attempted, validation, practice, samples)
        self.star.trained()
        return progress

    def practised(self, runs: list[Trajectory], top_k: int | None = None) -> list[Sample]:
        """What stage 2 replays, from one run of each task that was drawn whatever its outcome: rankings after
        all of them are practised, what agents wrote is imitated where the run passes the outcome filter. A
        share of them asks the student for its fast order.

        Were runs that passed preferred where a task has any, what a run holds to be likely would be true more
        often than when the student thinks.

        Args:
            top_k: of the filter; None for that of `[student.sft]`.
        """
        found = self._asking(runs)
        top_k = self.config.sft.top_k if top_k is None else top_k
        return self.samples(*found, imitated=[passes(run, top_k) for run in runs])

    @gives_back
    def samples(
        self,
        runs: list[Trajectory],
        asked: Sequence[Asked | None] | None = None,
        imitated: Sequence[bool] | None = None,
    ) -> list[Sample]:
        """Runs in the think rendering; arguments as of `make_samples`.

        Raises:
            DataError: all are longer than the student's context.
        """
        samples = make_samples(
            self.star.tokenizer, runs, self.config.nano.context, imitated=imitated, asked=asked
        )
        if not samples:
            raise DataError(
                f"All {len(runs):,} runs are longer than the student's context of "
                f"{self.config.nano.context:,} tokens. Raise `[student.nano] context`."
            )
        return samples

    def _stage(self, name: str, advance: Callable[[int], None]) -> Stage:
        return Stage(
            self.star.model,
            self.star.tokenizer,
            self.config,
            self.validation,
            self.product.path(f"{name}.checkpoint"),
            f"{self.product.fingerprint}/{name}",
            _advancing(advance),
        )

    def _asking(self, runs: list[Trajectory]) -> tuple[list[Trajectory], list[Asked | None]]:
        """The runs, a share of them with the student's own fast order asked for; and what that follows from.
        The order stands there when a run is learned from (`student.renewed`), until then that of the labels."""
        star = self.star
        drawn = text_keys([run.task_id for run in runs], self.config.seed, "fast order") / 2.0**64
        by_id = {task.task_id: task for task in self.tasks.taught[0]}
        found, asked = list(runs), list[Asked | None]([None] * len(runs))
        of_task: dict[str, list[int]] = defaultdict(list)
        for at, run in enumerate(runs):
            if drawn[at] < self.config.fast_order_share:
                of_task[run.task_id].append(at)
        every = list(of_task)
        for start in range(0, len(every), _GATHERED):
            part = [by_id[task_id] for task_id in every[start : start + _GATHERED]]
            rows = gather_tasks(star.world, part)
            for row, task in enumerate(part):
                toolbox = star.world.toolbox(task)
                size = len(task.candidates)
                answer = star.fast_order(toolbox, np.arange(size, 0, -1, dtype=np.float32))
                columns = np.argsort(rows.order[row, :size])
                evidence = scores_of_rows(rows.numbers[row, columns]).astype(np.float32)
                for at in of_task[task.task_id]:
                    found[at] = with_fast_order(runs[at], answer)
                    asked[at] = Asked(evidence, toolbox.ties)
        return found, asked


@gives_back
def ranked_as_in_runs(
    world: World, tasks: Tasks, runs: Sequence[Trajectory]
) -> tuple[FastTasks, NDArray[np.int64]]:
    """The runs' tasks in fast form, and the rows of their candidates as each run ranked them."""
    by_id = {task.task_id: task for task in tasks.taught[0]}
    columns = np.array([[run.labels.index(label) for label in run.ranking] for run in runs])
    found = gather_tasks(world, [by_id[run.task_id] for run in runs])
    return found, found.rows_of(columns)


def labelled(world: World, tasks: Sequence[RankingTask], targets: Targets) -> Labelled:
    """Tasks in fast form with their labels, each of the same weight."""
    columns = target_columns(tasks, targets)
    found = gather_tasks(world, tasks)
    rows = found.rows_of(np.array([columns[task.task_id] for task in tasks]))
    return Labelled(found, rows, np.ones(len(tasks), dtype=np.float32))


def _advancing(advance: Callable[[int], None]) -> Callable[[Progress], None]:
    """A report that advances a bar to the current step, also after resuming in the middle."""
    shown = 0

    def report(progress: Progress) -> None:
        nonlocal shown
        advance(progress.step - shown)
        shown = progress.step

    return report
