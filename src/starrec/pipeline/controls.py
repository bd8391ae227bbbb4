"""The controls of `[evaluation] controls`: what ranks the same tasks from the same labels beside the student.

    mlp_evidence   a listwise MLP over every number of the evidence
    mlp_levels     the same over the numbers that the student reads
    teacher_tuned  the embedded policy, its constants fitted on the labels that the student sees
    star_labels    the student's model and input, cross-entropy on targets from the start, no trajectories
    star_imitate   stage 1 on the teacher's runs unfiltered, one a task; no label is seen
    star_ce        star_sft continued with cross-entropy in GRPO's place

All that is fitted lies in the run folder under `controls/FINGERPRINT`, so it is fitted once for a student, and
a killed `star_` control goes on from its checkpoint. Settings are chosen on validation half B, never on test.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from starrec.data import RankingTask
from starrec.engines import Workers
from starrec.evaluation import ControlName, mean_avg_hr
from starrec.evaluation.controls import rank_with_networks
from starrec.pipeline.distill import student_product
from starrec.pipeline.fingerprints import controls_inputs
from starrec.pipeline.memory import gives_back
from starrec.pipeline.number_controls import (
    READS,
    TUNED,
    constants,
    fit_on_numbers,
    keep_record,
    network,
    record_path,
)
from starrec.pipeline.session import Session
from starrec.pipeline.signals import Prepared
from starrec.pipeline.tasks import Tasks
from starrec.pipeline.teach import unfiltered_runs
from starrec.pipeline.training import Training
from starrec.ranking import Ranking
from starrec.runs import Product
from starrec.student import Progress, Star, build_nano
from starrec.teacher import rank_with_teacher
from starrec.tools import World

REFERENCES: Final[Mapping[str, float]] = {
    "2bde920285b3edaaadcf0dc20b1e53ea49816666a71ef7f05a9008e0b6db9e67": 0.735,  # MovieLens-100K
    "bc1ec975cad5fd245d61ba34ee3a5a3ae880767398016aa0c141a7e1103c3ee4": 0.700,  # Amazon Games, 5,000 users
}
"""avg_hr that `mlp_evidence` must reach on the classic test tasks of a dataset (its SHA-256), or it is
broken."""


@dataclass(frozen=True)
class ControlsRecord:
    """What the controls answered, and how they came to be."""

    rankings: dict[str, dict[int, list[Ranking]]] = field(default_factory=dict)
    """By system and seed."""
    record: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By system, for results.json: `tries` (settings tried) and `tried`, `settings`, `validation_avg_hr` (half
    B, mean of the seeds), `labels_seen`, `seconds`, `seeds`; of those that read numbers also `look_up_seconds`,
    which they share; `broken` and `reference` where a reference is known and not reached."""


@gives_back
def rank_with_controls(
    session: Session,
    prepared: Prepared,
    tasks: Tasks,
    workers: Workers[World],
    names: Sequence[ControlName],
    asked: Sequence[RankingTask],
) -> ControlsRecord:
    """Fit these controls, as far as they are not fitted yet, and rank with each.

    Args:
        asked: the tasks to rank, with equally many candidates; the classic test tasks among them.

    Raises:
        RunError: the student or its checkpoint is missing or corrupt.
        DataError: there is nothing to learn from.
    """
    if session.config.student.base != "nano" and (students := [name for name in names if name in _STUDENTS]):
        session.announce(f"controls: {', '.join(students)} left out, which are nano students")
        names = [name for name in names if name not in _STUDENTS]
    if not names:
        return ControlsRecord()
    student = student_product(session, prepared)
    product = session.run.product("controls", controls_inputs(student.fingerprint))
    session.run.use(product)
    missing = [name for name in names if not record_path(product, name).exists()]
    fit_on_numbers(session, tasks, workers, product, [name for name in missing if name not in _STUDENTS])
    for name in missing:
        if name in _STUDENTS:
            _train(session, prepared, tasks, workers, product, name)
    if missing or not product.done:
        product.complete()
    found = ControlsRecord()
    records = {name: json.loads(record_path(product, name).read_text(encoding="utf-8")) for name in names}
    networks = {
        (name, seed): (READS[name], network(product, name, kept["settings"], seed))
        for name, kept in records.items()
        if name in READS
        for seed in kept["seeds"]
    }
    by_network = rank_with_networks(workers, networks, asked)
    for name, kept in records.items():
        if name in READS:
            ranked = [by_network[name, seed] for seed in kept["seeds"]]
        elif name == TUNED:
            seed = session.config.teacher.seed
            fitted = [constants(settings) for settings in kept["settings"]]
            ranked = [rank_with_teacher(workers, asked, seed, constants=own) for own in fitted]
        else:
            ranked = [Star.load(product.path(name), prepared.world).rank_many(asked)]
        found.rankings[name] = dict(zip(kept["seeds"], ranked, strict=True))
        found.record[name] = kept
        if name == "mlp_evidence":
            of_test = [at for at, task in enumerate(asked) if task.task_id in tasks.test[1]]
            reached = [
                mean_avg_hr([asked[at] for at in of_test], [ranking[at] for at in of_test], tasks.test[1])
                for ranking in ranked
            ]
            kept |= _broken(prepared, float(np.mean(reached)))
    return found


def _broken(prepared: Prepared, reached: float) -> dict[str, Any]:
    """A mark where a control is weaker than the same was measured to be."""
    reference = REFERENCES.get(prepared.dataset.sha256)
    if reference is None or round(reached, 3) >= reference:
        return {}
    return {"broken": True, "reference": reference}


def _train(
    session: Session, prepared: Prepared, tasks: Tasks, workers: Workers[World], product: Product, name: str
) -> None:
    """Train a control that is a student, keep it and its record."""
    started = time.monotonic()
    student = student_product(session, prepared)
    # star_sft, also for its tokenizer.
    star = Star.load(student.path("sft"), prepared.world)
    config, seed = session.config.student, session.config.student.seed
    if name != "star_ce":
        model = build_nano(star.tokenizer, config.nano, seed)
        model.reader.standardise_as(star.model.reader)
        star = Star(model, star.tokenizer, prepared.world)
    training = Training.of(session, tasks, workers, star, product)
    progress, seen = _STUDENTS[name](training, session, prepared, tasks)
    product.publish(name, star.save)
    half_b, targets = tasks.validation("B")
    keep_record(
        product,
        name,
        {
            "tries": 1,
            "settings": "the student's",
            "validation_avg_hr": mean_avg_hr(half_b, star.rank_many(half_b), targets),
            "validation_evaluations": progress.evaluations,
            "labels_seen": seen,
            "seconds": time.monotonic() - started,
            "seeds": [seed],
        },
    )
    product.path(f"{name}.checkpoint").unlink(missing_ok=True)
    session.announce(f"controls: {name} {progress.seconds:.0f} s, avg_hr {progress.best:.3f} on half A")


def _continue_by_cross_entropy(
    training: Training, session: Session, prepared: Prepared, tasks: Tasks
) -> tuple[Progress, int]:
    """`star_ce`: stage 2 as the student's in all but its objective."""
    grpo = session.config.student.grpo
    practised = training.practised(unfiltered_runs(session, prepared, tasks))
    progress = training.reinforce("star_ce", tasks.practice, practised, "star_ce", "cross_entropy")
    return progress, min(len(tasks.practice), grpo.steps * grpo.batch) + len(practised)


def _learn_labels(
    training: Training, session: Session, prepared: Prepared, tasks: Tasks
) -> tuple[Progress, int]:
    """`star_labels`: as many steps as both stages have, from new weights at the rate of stage 1, on the tasks
    of stage 2 and the taught ones."""
    config = session.config.student
    steps = config.sft.steps + config.grpo.steps
    grpo = config.grpo.model_copy(update={"steps": steps, "learning_rate": config.sft.learning_rate})
    training = replace(training, config=config.model_copy(update={"grpo": grpo}))
    positions = tasks.practice.union(tasks.taught_positions)
    progress = training.reinforce("star_labels", positions, [], "star_labels", "cross_entropy")
    return progress, min(len(positions), steps * grpo.batch)


def _imitate(training: Training, session: Session, prepared: Prepared, tasks: Tasks) -> tuple[Progress, int]:
    """`star_imitate`: stage 1 without the outcome filter."""
    runs = unfiltered_runs(session, prepared, tasks)
    return training.supervise("star_imitate", runs, "star_imitate"), 0


_STUDENTS: Final = {
    "star_ce": _continue_by_cross_entropy,
    "star_labels": _learn_labels,
    "star_imitate": _imitate,
}
