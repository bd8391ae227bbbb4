"""What the result of each step depends on: settings that matter to it, data by content, format versions.

Settings that stand at their default are left out (`config.canonical`), so that a release that adds a setting
finds what was made before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starrec.config import canonical, fingerprint
from starrec.data import Dataset
from starrec.pipeline import formats
from starrec.pipeline.config import RunConfig
from starrec.trajectories import EvidenceOrigin, Teacher


def task_inputs(config: RunConfig, dataset: Dataset) -> dict[str, object]:
    """Of splits and evaluation tasks: the interactions that were kept, and how tasks are drawn."""
    data = config.data
    return {
        "format": formats.TASKS,
        "dataset": dataset.sha256,
        "draws": {name: getattr(data, name) for name in ("tie_seed", "seed", "draws", "negatives")},
    }


def evidence_inputs(config: RunConfig, dataset: Dataset) -> dict[str, object]:
    """Of what signals say of a task."""
    return {
        "format": formats.SIGNALS,
        "dataset": dataset.sha256,
        "tie_seed": config.data.tie_seed,
        "signals": config.signals,
    }


def evidence_origin(config: RunConfig, dataset: Dataset) -> EvidenceOrigin:
    """The evidence as the store of trajectories keeps it beside each run."""
    inputs = evidence_inputs(config, dataset)
    return EvidenceOrigin(fingerprint(inputs), canonical(inputs))


def teacher(config: RunConfig, *, explore: bool) -> Teacher:
    """Who teaches: the model, what decides its answers, and what the tools' settings let it hear. Not the data:
    a task that does not change with them is not asked again."""
    settings = {
        "format": {"teacher": formats.TEACHER, "signals": formats.SIGNALS},
        "teacher": config.teacher.decisive,
        "signals": config.signals,
        "explore": explore,
    }
    return Teacher(fingerprint(settings), canonical(settings))


def draw_inputs(config: RunConfig) -> dict[str, object]:
    """Of the candidates of training tasks; where these change, no earlier draw is kept."""
    data = config.data
    return {
        "format": formats.TASKS,
        "seed": data.seed,
        "tie_seed": data.tie_seed,
        "negatives": data.negatives,
    }


def teach_inputs(config: RunConfig, keys: Mapping[str, str]) -> dict[str, object]:
    """Of the teacher's runs over tasks with these keys (`data.task_key`)."""
    return {
        "teacher": teacher(config, explore=True).settings,
        "draw": draw_inputs(config),
        "tasks": fingerprint(sorted(keys.values())),
        "runs": config.teacher.runs,
    }


def distill_inputs(config: RunConfig, dataset: Dataset, taught: str) -> dict[str, object]:
    """Of the student.

    Args:
        taught: the fingerprint of the teacher's runs.
    """
    return {
        "format": formats.STUDENT,
        "teach": taught,
        "tasks": task_inputs(config, dataset),
        "evidence": evidence_inputs(config, dataset),
        "min_history": config.teacher.min_history,
        "student": config.student,
    }


def evaluate_inputs(config: RunConfig, dataset: Dataset, student: str) -> dict[str, object]:
    """Of the results.

    Args:
        student: the fingerprint of the student.
    """
    return {
        "format": formats.EVALUATION,
        "distill": student,
        "tasks": task_inputs(config, dataset),
        "teacher": teacher(config, explore=False).settings,
        "evaluation": config.evaluation,
    }


def data_inputs(reading: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, object]:
    """Of the interactions.

    Args:
        reading: settings that decide how files are read.
        files: SHA-256 by the setting that names the file.
    """
    return {"format": formats.DATA, "reading": reading, "files": files}
