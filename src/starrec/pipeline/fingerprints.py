"""What names the product of each step: format versions, settings that matter to it, data by content.

A format version is raised by whoever changes, on purpose, what the code gives for the same inputs, and the
changelog says so; whatever depends on it is then made again beside what is there. The source text decides
nothing: a changed comment, or a release that gives the same results, throws nothing away.
`tests/pipeline/test_fingerprints.py` hashes each step's output on a small fixed input and fails if that changes
while the version does not.

Settings at their default are left out (`config.canonical`), so a release that adds a setting finds the products
that were made before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starrec.config import canonical, fingerprint
from starrec.data import Dataset
from starrec.pipeline.config import RunConfig
from starrec.trajectories import EvidenceOrigin, Teacher

FORMATS: Final[Mapping[str, int]] = {
    "data": 1,  # reading and normalising interactions and items
    "tasks": 1,  # splits, positions, candidates
    "signals": 1,  # counts, levels, facts and their sentences
    "teacher": 3,  # the embedded policy, the workflow, prompts and tools of language models
    "student": 11,  # renderings, tokenizer, training, engine
    "controls": 4,  # what the controls read, their settings and training
    "evaluation": 8,  # systems, metrics, content of results.json
}
"""Format versions by what they cover."""
GROWN: Final = "grown_from"
"""Names, among the inputs of data that a refresh made, the data before."""


# The inputs of each step


def data_inputs(reading: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, object]:
    """Inputs of the dataset.

    Args:
        reading: settings that decide how files are read.
        files: SHA-256 by the setting that names the file.
    """
    return {"format": FORMATS["data"], "reading": reading, "files": files}


def grown_inputs(before: str, log: str) -> dict[str, object]:
    """Inputs of a dataset that grew by what was added to the evidence.

    Args:
        before: SHA-256 of the dataset before.
        log: SHA-256 of all that the evidence counts.
    """
    return {"format": FORMATS["data"], GROWN: before, "log": log}


def teach_inputs(config: RunConfig, keys: Mapping[str, str]) -> dict[str, object]:
    """Inputs of the teacher's runs over tasks with these keys (`data.task_key`)."""
    return {
        "teacher": teacher(config, explore=True).settings,
        "draw": draw_inputs(config),
        "tasks": fingerprint(sorted(keys.values())),
        "runs": config.teacher.runs,
    }


def distill_inputs(config: RunConfig, dataset: Dataset, taught: str) -> dict[str, object]:
    """Inputs of the student.

    Args:
        taught: fingerprint of the teacher's runs.
    """
    return {
        "format": FORMATS["student"],
        "teach": taught,
        "tasks": task_inputs(config, dataset),
        "evidence": evidence_inputs(config, dataset),
        "min_history": config.teacher.min_history,
        "short_share": config.teacher.short_share,
        "student": config.student,
    }


def controls_inputs(student: str) -> dict[str, object]:
    """Inputs of the controls: data, tasks, evidence and teacher are those of the student.

    Args:
        student: fingerprint of the student.
    """
    return {"format": FORMATS["controls"], "distill": student}


def evaluate_inputs(config: RunConfig, dataset: Dataset, student: str) -> dict[str, object]:
    """Inputs of the results.

    Args:
        student: fingerprint of the student.
    """
    return {
        "format": FORMATS["evaluation"],
        "distill": student,
        "tasks": task_inputs(config, dataset),
        "teacher": teacher(config, explore=False).settings,
        "evaluation": config.evaluation,
    }


# What several steps depend on


def task_inputs(config: RunConfig, dataset: Dataset) -> dict[str, object]:
    """Inputs of splits and evaluation tasks: the interactions that were kept, and how tasks are drawn."""
    data = config.data
    fewer = {} if data.eval_users is None else {"eval_users": data.eval_users}
    return {
        "format": FORMATS["tasks"],
        "dataset": dataset.sha256,
        "draws": {name: getattr(data, name) for name in ("tie_seed", "seed", "draws", "negatives")} | fewer,
        **split_inputs(config),
    }


def draw_inputs(config: RunConfig) -> dict[str, object]:
    """Inputs of the candidates of training tasks; where these change, no earlier draw is kept."""
    data = config.data
    return {
        "format": FORMATS["tasks"],
        "seed": data.seed,
        "tie_seed": data.tie_seed,
        "negatives": data.negatives,
        "short_share": config.teacher.short_share,
        **split_inputs(config),
    }


def evidence_inputs(config: RunConfig, dataset: Dataset) -> dict[str, object]:
    """Inputs of the signals' scores and facts of a task."""
    return {
        "format": FORMATS["signals"],
        "dataset": dataset.sha256,
        "tie_seed": config.data.tie_seed,
        "signals": config.signals,
        **split_inputs(config),
    }


def split_inputs(config: RunConfig) -> dict[str, object]:
    """What is held out, where that is another rule than the default."""
    rule = canonical(config.data.rule)
    return {"split": rule} if rule else {}


# Keys of the store of trajectories


def evidence_origin(config: RunConfig, dataset: Dataset) -> EvidenceOrigin:
    """The evidence behind a run, as the store of trajectories records it."""
    inputs = evidence_inputs(config, dataset)
    return EvidenceOrigin(fingerprint(inputs), canonical(inputs))


def teacher(config: RunConfig, *, explore: bool) -> Teacher:
    """The teacher as the store of trajectories keys it: the model, the settings that decide its answers, and
    those of the signals that its tools answer from. Not the data: a task that does not change with them is not
    asked again.

    Args:
        explore: sampled runs (`teach`), or one greedy run a task (`evaluate`).
    """
    settings = {
        "format": {"teacher": FORMATS["teacher"], "signals": FORMATS["signals"]},
        "teacher": config.teacher.decisive,
        "signals": config.signals,
        "explore": explore,
    }
    return Teacher(fingerprint(settings), canonical(settings))
