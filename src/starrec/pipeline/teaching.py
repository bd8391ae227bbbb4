"""The `teach` step: the teacher reasons over training tasks, and the outcome filter says which runs teach.

Every sampled run is kept in the store, also those that failed: pass@K is about all of them, and a filter
relaxed later finds what it needs. Only `kept_runs` decides what the student sees.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from starrec.engines import Workers
from starrec.errors import DataError
from starrec.pipeline.inputs import teach_inputs
from starrec.pipeline.preparation import Prepared
from starrec.pipeline.session import Session
from starrec.pipeline.tasks import Tasks
from starrec.runs import Step
from starrec.teacher import teach
from starrec.trajectories import Store, Trajectory, keep, one_per_task, pass_at, target_columns

_FOLDER = "trajectories"


def gather_runs(session: Session, prepared: Prepared, tasks: Tasks) -> dict[str, object]:
    """Let the teacher reason over the taught tasks; facts about its runs."""
    config = session.config.teacher
    step = _step(session, prepared)
    if step.done:
        session.announce(f"{_said(step.facts, config.runs)} (done before)")
        return step.facts
    started = time.monotonic()
    taught, targets = tasks.taught
    columns = target_columns(taught, targets)
    folder = session.folder(_FOLDER, step.inputs)
    with Store(folder) as store, Workers(prepared.world) as workers:
        with session.bar("teaching", len(taught) * config.runs, store.count) as advance:
            for added in teach(workers, taught, columns, store, config):
                advance(added)
        runs = list(store)
    kept = keep(runs, session.config.student.sft.top_k)
    facts: dict[str, object] = {
        "tasks": len(taught),
        "runs": len(runs),
        "kept": len(kept),
        "kept_tasks": len({run.task_id for run in kept}),
        "pass@1": pass_at(runs, 1),
        f"pass@{config.runs}": pass_at(runs, config.runs),
        "labels_seen": len(taught),
        "seconds": time.monotonic() - started,
    }
    step.complete([folder], **facts)
    session.announce(_said(facts, config.runs))
    return facts


def kept_runs(session: Session, prepared: Prepared) -> list[Trajectory]:
    """The runs that teach: through the outcome filter, one a task.

    Raises:
        DataError: none passed.
    """
    config = session.config.student
    with Store(session.folder(_FOLDER, _step(session, prepared).inputs)) as store:
        kept = one_per_task(keep(store, config.sft.top_k), config.seed)
    if not kept:
        raise DataError(
            "None of the teacher's runs passed the outcome filter, so there is nothing to learn from. "
            "Teach more tasks (`[teacher] tasks_per_user`) or relax the filter (`[student.sft] top_k`)."
        )
    return kept


def _step(session: Session, prepared: Prepared) -> Step:
    return session.run.step("teach", teach_inputs(session.config, prepared.dataset))


def _said(facts: Mapping[str, Any], runs: int) -> str:
    return (
        f"teach: {facts['runs']:,} runs over {facts['tasks']:,} tasks, pass@1 {facts['pass@1']:.3f}, "
        f"pass@{runs} {facts[f'pass@{runs}']:.3f}, {facts['kept_tasks']:,} tasks with a run that teaches"
    )
