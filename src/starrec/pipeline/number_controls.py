"""Fitting the controls that read numbers of the evidence: `mlp_evidence`, `mlp_levels`, `teacher_tuned`.

They learn from the labels of the student's stage 2: the positions that it practises on, in its order, and the
taught tasks, whose labels the outcome filter and the replay look at. Each has as many tries; validation half A
stops a network early, half B chooses. What was fitted lies in the product's folder, a file a seed, and beside
it `NAME.json`, which is written last.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

import numpy as np
from safetensors.numpy import load_file, save_file

from starrec.engines import Workers
from starrec.evaluation.controls import (
    Fitted,
    Lessons,
    Mlp,
    MlpSettings,
    PolicyArrays,
    Reads,
    fit_mlp,
    tune,
)
from starrec.pipeline.config import RunConfig
from starrec.pipeline.memory import gives_back
from starrec.pipeline.practice import epoch_order
from starrec.pipeline.session import Session
from starrec.pipeline.tasks import Drawn, Tasks
from starrec.runs import Product, write_atomic
from starrec.teacher import Constants, Fusion
from starrec.tools import World

SEEDS: Final = (0, 1, 2)
READS: Final[dict[str, Reads]] = {"mlp_evidence": "numbers", "mlp_levels": "read"}
TUNED: Final = "teacher_tuned"
_HALVES: Final[tuple[Literal["A", "B"], ...]] = ("A", "B")
_SCRATCH: Final = ".tmp-"
_DRAWS: Final = 2
"""Draws of negatives for each position, at most."""


@gives_back
def fit_on_numbers(
    session: Session, tasks: Tasks, workers: Workers[World], product: Product, names: Sequence[str]
) -> None:
    """Fit these controls and keep them in the product's folder."""
    if not names:
        return
    started = time.monotonic()
    for left in product.folder.glob(f"{_SCRATCH}*"):  # by a killed process
        shutil.rmtree(left)
    first, *further = _practice(tasks, session.config)
    seen = len(first[0]) + len(tasks.taught[0])
    with TemporaryDirectory(dir=product.folder, prefix=_SCRATCH) as folder:
        lessons = Lessons(Path(folder))
        training = _together(tasks.taught, first, *further)
        lessons.write("training", workers, *training)
        for half in _HALVES:
            lessons.write(half, workers, *tasks.validation(half))
        shared = {"labels_seen": seen, "look_up_seconds": time.monotonic() - started}
        session.announce(
            f"controls: evidence of {len(training[0]):,} training tasks as numbers, "
            f"{shared['look_up_seconds']:.0f} s"
        )
        for name in names:
            started = time.monotonic()
            if name == TUNED:
                found = _tuned_policy(lessons, seen, workers.processes)
            else:
                found = _fitted_network(product, name, lessons, workers.processes)
            seconds = time.monotonic() - started
            keep_record(product, name, {**found, **shared, "seconds": seconds, "seeds": list(SEEDS)})
            session.announce(
                f"controls: {name} {seconds:.0f} s, avg_hr {found['validation_avg_hr']:.3f} on validation "
                f"half B, the best of {found['tries']} tries"
            )


def _fitted_network(product: Product, name: str, lessons: Lessons, processes: int) -> dict[str, Any]:
    """A network for each seed, kept; its record."""
    fitted, tried = fit_mlp(lessons, READS[name], SEEDS, processes)
    for of in fitted:
        write_atomic(_weights(product, name, of.seed), partial(save_file, of.weights))
    return {
        "tries": len(tried),
        "tried": [{**asdict(settings), "validation_avg_hr": value} for settings, value in tried],
        "settings": asdict(fitted[0].settings),
        "validation_avg_hr": float(np.mean([of.validation_b for of in fitted])),
    }


def _tuned_policy(lessons: Lessons, seen: int, processes: int) -> dict[str, Any]:
    """Constants for each seed, searched on the first draw of each task; their record."""
    half_b = PolicyArrays(lessons.numbers("B"), lessons.rows("B"))
    fitted, tried = tune(lessons, half_b, SEEDS, seen, processes)
    return {
        "tries": len(tried),
        "tried": [{"late": late, "validation_avg_hr": value} for late, value in tried],
        "settings": [asdict(constants) for constants in fitted],
        "validation_avg_hr": float(np.mean([half_b.avg_hr(constants) for constants in fitted])),
    }


def record_path(product: Product, name: str) -> Path:
    """Where the record of a control is kept; it is there once the control is complete."""
    return product.path(f"{name}.json")


def keep_record(product: Product, name: str, record: dict[str, Any]) -> None:
    write_atomic(record_path(product, name), json.dumps(record, indent=1) + "\n")


def network(product: Product, name: str, settings: dict[str, Any], seed: int) -> Mlp:
    """A fitted network."""
    weights = load_file(_weights(product, name, seed))
    own = MlpSettings(**{**settings, "hidden": tuple(settings["hidden"])})
    return Fitted(own, seed, weights, 0).network


def constants(settings: dict[str, Any]) -> Constants:
    """Fitted constants of the policy."""
    return Constants(**{**settings, "fusion": Fusion(**settings["fusion"])})


def _practice(tasks: Tasks, config: RunConfig) -> list[Drawn]:
    """The practice tasks that the student's stage 2 takes, by epoch."""
    grpo, drawn = config.student.grpo, []
    left = grpo.steps * grpo.batch
    for number in range(_DRAWS):
        epoch, targets = tasks.practice_epoch(number)
        order = epoch_order(config.student.seed, number, len(epoch))[:left]
        left -= len(order)
        if len(order):
            drawn.append(([epoch[at] for at in order.tolist()], targets))
    return drawn


def _together(*parts: Drawn) -> Drawn:
    tasks = [task for part, _ in parts for task in part]
    return tasks, {task_id: item for _, targets in parts for task_id, item in targets.items()}


def _weights(product: Product, name: str, seed: int) -> Path:
    return product.path(f"{name}-{seed}.safetensors")
