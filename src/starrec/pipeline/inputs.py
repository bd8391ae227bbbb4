"""What the result of each step depends on.

A step is skipped when it was done for the same inputs, so whatever can change its result must be named here:
the settings of its own section, those of the steps before it, and the content (never the date) of files and of
the policy's code.
"""

from __future__ import annotations

import hashlib
import inspect

from starrec.data import DataConfig, Dataset, file_sha256
from starrec.pipeline.config import RunConfig
from starrec.teacher import checking, policy, workflow


def data_inputs(config: DataConfig) -> dict[str, object]:
    """Of reading the interactions: a user's own files count by content, so that an edited file is a new
    input."""
    given = (
        *(config.interactions, config.validation_interactions, config.test_interactions),
        *(config.items, config.users),
    )
    files = {str(path): file_sha256(path) for path in given if path is not None and path.is_file()}
    return {"data": config, "files": files}


def task_inputs(config: RunConfig, dataset: Dataset) -> dict[str, object]:
    """Of everything that is counted and asked: the interactions that were kept, and how tasks are drawn."""
    data = config.data
    return {
        "dataset": dataset.sha256,
        "data": {name: getattr(data, name) for name in ("tie_seed", "seed", "draws", "negatives")},
        "signals": config.signals,
    }


def teach_inputs(config: RunConfig, dataset: Dataset) -> dict[str, object]:
    """Of the teacher's runs."""
    return {**task_inputs(config, dataset), "teacher": config.teacher.decisive, "policy": policy_sha()}


def distill_inputs(config: RunConfig, dataset: Dataset) -> dict[str, object]:
    """Of the student."""
    return {**teach_inputs(config, dataset), "student": config.student}


def evaluate_inputs(config: RunConfig, dataset: Dataset) -> dict[str, object]:
    """Of the results."""
    return {**distill_inputs(config, dataset), "evaluation": config.evaluation}


def policy_sha() -> str:
    """Hash of the source of the embedded policy and its workflow: which teacher the results speak of."""
    text = "".join(map(inspect.getsource, (policy, workflow, checking)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
