"""What the report says beside accuracy: the data, what is known of each test task, and the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from starrec.data import Dataset, RankingTask, Split, Targets, date_of, printable
from starrec.pipeline.config import RunConfig


def data_summary(dataset: Dataset, split: Split, tasks: Sequence[RankingTask]) -> dict[str, object]:
    """Counts of a dataset and of its split, by their names for people.

    Args:
        tasks: the classic test tasks.
    """
    taken = np.sort(np.bincount(split.sequences.items, minlength=dataset.n_items))[::-1]
    head = max(1, dataset.n_items // 10)
    lengths = split.train.lengths
    summary: dict[str, object] = {
        "interactions": dataset.interactions.height,
        "users": dataset.n_users,
        "items": dataset.n_items,
        "density": f"{len(split.sequences.items) / (dataset.n_users * dataset.n_items):.2%}",
        "share of the most taken tenth of items": f"{taken[:head].sum() / taken.sum():.0%}",
        "training interactions": len(split.train.items),
        "training items of a user, median": float(np.median(lengths[lengths > 0])),
        "users tested": len({task.user_id for task in tasks}),
    }
    if dataset.days is not None:
        summary["time"] = f"{date_of(dataset.days[0])} to {date_of(dataset.days[1])}"
    return summary


def task_numbers(split: Split, tasks: Sequence[RankingTask], targets: Targets) -> dict[str, dict[str, float]]:
    """By title, a number for each task: by these the report says where the student wins and loses."""
    taken = np.bincount(split.train.items, minlength=1 + max(targets.values(), default=0))
    return {
        "length of the history": {task.task_id: float(len(task.history)) for task in tasks},
        "users who took the true item in training": {
            task.task_id: float(taken[targets[task.task_id]]) for task in tasks
        },
    }


def changed_settings(config: RunConfig) -> dict[str, Any]:
    """Settings that are not at their default, by dotted key; of files the name alone."""
    found: dict[str, Any] = {}

    def walk(values: Mapping[str, Any], before: str) -> None:
        for key, value in values.items():
            if isinstance(value, Mapping):
                walk(value, f"{before}{key}.")
            else:
                found[f"{before}{key}"] = value.name if isinstance(value, Path) else str(value)

    # An endpoint's address says more about somebody's network than about the run.
    values = config.model_dump(
        exclude_defaults=True,
        exclude={"teacher": {"model": {"base_url"}, "roles": True}, "serving": True},
    )
    walk(values, "")
    return found


def recommended(
    dataset: Dataset,
    tasks: Sequence[RankingTask],
    ranked: Sequence[NDArray[np.int32]],
    targets: Targets,
    *,
    examples: int,
    shown: int = 5,
) -> list[dict[str, object]]:
    """What the first users of these tasks are recommended from the whole catalogue: titles of the last items of
    the history, of the first items of the list, and the 1-based place of the true item among those.

    Args:
        ranked: item indices of each task's list, best first.
    """
    found = []
    for task, items in list(zip(tasks, ranked, strict=True))[:examples]:
        first = items[:shown].tolist()
        target = targets[task.task_id]
        found.append(
            {
                "user_id": printable(task.user_id),
                "history": [dataset.titles[item] for item in task.history[-shown:].tolist()],
                "titles": [dataset.titles[item] for item in first],
                "target_place": first.index(target) + 1 if target in first else None,
            }
        )
    return found
