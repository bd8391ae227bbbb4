"""The `distill` step: one compact model learns from the kept runs (SFT), then from its own attempts (GRPO).

The student after each stage is saved, so that the gain of GRPO can be measured. A checkpoint in the run folder
lets a killed stage go on where it stopped (`benchmarks/teaching.py distill-kill`); it is deleted when the step
is complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask, Targets
from starrec.engines import Workers
from starrec.errors import DataError, RunError
from starrec.hashing import text_keys
from starrec.pipeline.fingerprints import distill_inputs
from starrec.pipeline.session import Session
from starrec.pipeline.signals import Prepared
from starrec.pipeline.tasks import Tasks
from starrec.pipeline.teach import runs_by_outcome
from starrec.runs import Product
from starrec.student import (
    FastTasks,
    Labelled,
    Progress,
    Sample,
    Stage,
    Star,
    StudentConfig,
    build_nano,
    build_tokenizer,
    gather_tasks,
    make_samples,
    reinforce,
    supervise,
    with_fast_order,
)
from starrec.tools import World
from starrec.trajectories import Trajectory, linear, target_columns

_TOKENIZER_RUNS: Final = 2000
"""Trajectories from which the tokenizer learns phrases."""
_BATCH: Final = 256


def distill(session: Session, prepared: Prepared, tasks: Tasks, taught: dict[str, Any]) -> dict[str, Any]:
    """Train the student; a record of each stage, with that of teaching (`taught`) among them.

    Raises:
        RunError: the teacher's runs are not complete, or a checkpoint is corrupt.
        DataError: there are no validation users, or none of the teacher's runs can be learned from.
    """
    config = session.config.student
    product = student_product(session, prepared)
    session.run.use(product)
    if product.done:
        session.announce("distill: done before")
        return {"teach": taught, **product.facts["stages"]}
    _require_validation(tasks)
    with Workers(prepared.world) as workers:
        kept, failed = runs_by_outcome(session, prepared, tasks)
        tokenizer = build_tokenizer(prepared.dataset.mentions, map(linear, kept[:_TOKENIZER_RUNS]))
        model = build_nano(tokenizer, config.nano, config.seed)
        parameters = sum(weight.numel() for weight in model.parameters())
        session.announce(f"distill: nano student, {parameters:,} parameters, {len(tokenizer):,} tokens")
        star = Star(model, tokenizer, prepared.world)
        validation = _labelled(prepared.world, *tasks.validation("A"))
        samples = _samples(star, kept, config)
        checkpoints = {name: product.path(f"{name}.checkpoint") for name in ("sft", "grpo")}

        def stage(name: str, advance: Callable[[int], None]) -> Stage:
            return Stage(
                model,
                tokenizer,
                star.prompts,
                config,
                validation,
                checkpoints[name],
                f"{product.fingerprint}/{name}",
                _advancing(advance),
            )

        with session.bar("SFT", config.sft.steps) as advance:
            sft = supervise(stage("sft", advance), *_ranked(prepared.world, kept, tasks.taught[0]), samples)
        product.publish("sft", star.save)
        session.announce(_summary("SFT", sft))

        practised = [
            *_samples(star, _asking(star, kept, tasks.taught[0], config), config),
            *_samples(star, _asking(star, failed, tasks.taught[0], config), config, imitated=False),
        ]
        positions = tasks.practice
        with session.bar("GRPO", config.grpo.steps) as advance:
            grpo = reinforce(
                stage("grpo", advance),
                len(positions),
                lambda number: _looked_up(workers, *tasks.practice_epoch(number)),
                practised,
            )
        product.publish("star", star.save)
        session.announce(_summary("GRPO", grpo))
    attempts = config.grpo.steps * config.grpo.batch
    seen = min(len(positions), attempts) + len(practised)
    stages = {
        "sft": _record(sft, tasks=len(kept), runs=taught["runs"], kept=taught["kept"]),
        "grpo": _record(grpo, tasks=seen, runs=attempts * config.grpo.group, kept=seen),
        "curves": {"sft": sft.curve, "grpo": grpo.curve},
    }
    current = session.run.current("data")
    product.complete(stages=stages, data=current.fingerprint if current else None)
    for checkpoint in checkpoints.values():
        checkpoint.unlink(missing_ok=True)
    return {"teach": taught, **stages}


def _require_validation(tasks: Tasks) -> None:
    uses: dict[Literal["A", "B"], str] = {"A": "decides which weights are kept", "B": "chooses between systems"}
    for half, use in uses.items():
        if not tasks.validation(half)[0]:
            raise DataError(
                f"There is no user in validation half {half}, which {use}. Users with a validation item are "
                "halved by hash: add some, in a split of your own by marking interactions as validation "
                "(`--split-column`) or with `--validation-interactions`."
            )


def _samples(
    star: Star, runs: list[Trajectory], config: StudentConfig, *, imitated: bool = True
) -> list[Sample]:
    samples = make_samples(star.tokenizer, runs, config.nano.context, imitated=imitated)
    if imitated and not samples:
        raise DataError(
            f"All {len(runs):,} kept runs are longer than the student's context of "
            f"{config.nano.context:,} tokens. Raise `[student.nano] context`."
        )
    return samples


def _asking(
    star: Star, runs: list[Trajectory], taught: list[RankingTask], config: StudentConfig
) -> list[Trajectory]:
    """The runs, a share of them with the student's own fast order asked for, as it ranks now."""
    drawn = text_keys([run.task_id for run in runs], config.seed, "fast order") / 2.0**64
    by_id = {task.task_id: task for task in taught}
    asking = [at for at in range(len(runs)) if drawn[at] < config.fast_order_share]
    found = list(runs)
    if asking:
        asked = [by_id[runs[at].task_id] for at in asking]
        scores = star.scores(gather_tasks(star.world, asked))
        for at, task, own in zip(asking, asked, scores, strict=True):
            found[at] = with_fast_order(runs[at], star.fast_order(star.world.toolbox(task), own))
    return found


def _ranked(
    world: World, kept: list[Trajectory], taught: list[RankingTask]
) -> tuple[FastTasks, NDArray[np.int64]]:
    """The kept runs' tasks in fast form, and the columns of their candidates as each run ranked them."""
    by_id = {task.task_id: task for task in taught}
    rankings = np.array([[run.labels.index(label) for label in run.ranking] for run in kept])
    return gather_tasks(world, [by_id[run.task_id] for run in kept]), rankings


def _labelled(world: World, tasks: list[RankingTask], targets: Targets) -> Labelled:
    """Tasks in fast form with their labels, looked up in this process."""
    return Labelled(gather_tasks(world, tasks), _labels(tasks, targets))


def _looked_up(workers: Workers[World], tasks: list[RankingTask], targets: Targets) -> Labelled:
    """The same, looked up by worker processes."""
    batches = [tasks[at : at + _BATCH] for at in range(0, len(tasks), _BATCH)]
    parts = list(workers.map(gather_tasks, batches))
    return Labelled(FastTasks.concatenate(parts), _labels(tasks, targets))


def _labels(tasks: list[RankingTask], targets: Targets) -> NDArray[np.int64]:
    columns = target_columns(tasks, targets)
    return np.array([columns[task.task_id] for task in tasks])


def student_product(session: Session, prepared: Prepared) -> Product:
    """The product that holds, or will hold, the student of this configuration.

    Raises:
        RunError: the teacher's runs are not complete.
    """
    taught = session.run.current("teach")
    if taught is None:
        raise RunError("The teacher's runs are not complete. Run `starrec teach` for this run.")
    return session.run.product("distill", distill_inputs(session.config, prepared.dataset, taught.fingerprint))


def _advancing(advance: Callable[[int], None]) -> Callable[[Progress], None]:
    """A report that advances a bar to the current step, also after resuming in the middle."""
    shown = 0

    def report(progress: Progress) -> None:
        nonlocal shown
        advance(progress.step - shown)
        shown = progress.step

    return report


def _record(progress: Progress, **counts: object) -> dict[str, object]:
    return {
        **counts,
        "labels_seen": counts["tasks"],
        "seconds": progress.seconds,
        "validation_evaluations": progress.evaluations,
        "best_validation_avg_hr": progress.best,
        "best_step": progress.best_step,
        "precision": progress.precision,
    }


def _summary(name: str, progress: Progress) -> str:
    return (
        f"distill: {name} {progress.seconds:.0f} s, avg_hr {progress.best:.3f} on validation half A "
        f"(step {progress.best_step})"
    )
