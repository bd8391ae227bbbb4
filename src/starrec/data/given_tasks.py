"""Tasks that were drawn already: the task files of the AgentSociety challenge, and what a run keeps of them.

A task that cannot be used is a bad row: refused with its file and reason, or left out and counted. Nothing of
it is mended: with other candidates it would be another question. The true item stays apart from the task, as
everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from starrec.data.dataset import Dataset, Sequences, Stretch
from starrec.data.report import Report, shown
from starrec.data.tasks import RankingTask, Targets
from starrec.errors import DataError, RunError
from starrec.hashing import combine, text_keys
from starrec.runs import write_atomic

SCENARIO: Final = "agentsociety"
TRUTH: Final = "ground truth"
"""The key of the true item."""
_NUMBERED: Final = re.compile(r"(task|groundtruth)_(\d+)\.json")
_OTHER_TRACK: Final = "user_behavior_simulation"
"""The `type` of tasks of the challenge's other track, in which reviews are written."""
_FEWEST, _MOST = 2, 200
_KEPT: Final = "given_tasks.json"


@dataclass(frozen=True, slots=True)
class GivenTask:
    """A task as its files say it, ids as text."""

    number: int
    user_id: str
    candidates: tuple[str, ...]
    target: str


@dataclass(frozen=True)
class TaskFiles:
    """The files of a folder of tasks, by number."""

    tasks: dict[int, Path]
    truths: dict[int, Path]
    truth_folder: Path
    """Where a missing ground truth would lie."""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The files of a folder; or of `tasks` in it, and of `groundtruth` in it or beside it."""
        if (folder / "tasks").is_dir():
            folder = folder / "tasks"
        tasks, truths = _numbered(folder, "task"), _numbered(folder, "groundtruth")
        beside = folder.resolve().parent / "groundtruth"
        if not truths and beside.is_dir():
            return cls(tasks, _numbered(beside, "groundtruth"), beside)
        return cls(tasks, truths, folder)

    @property
    def all(self) -> list[Path]:
        return [*self.tasks.values(), *self.truths.values()]


def read_tasks(
    folder: Path, items: Collection[str], people: Collection[str], report: Report
) -> tuple[list[GivenTask], set[tuple[str, str]]]:
    """The tasks of a folder that can be used, by number, and every pair of user and true item that it names.

    Args:
        items: ids of the catalogue.
        people: ids of the users who are known.
        report: counts tasks that cannot be used as bad rows: JSON that cannot be read, a ground truth that is
            missing or no candidate, a candidate that stands twice, ids that nobody knows.

    Raises:
        DataError: there is no task in the folder.
    """
    files = TaskFiles.of(folder)
    if not files.tasks:
        raise DataError(f"{folder} holds no task_N.json. Name the folder of the tasks in `[data] tasks`.")
    asked: set[tuple[str, str]] = set()
    usable: list[GivenTask] = []
    others = 0
    for number, path in files.tasks.items():
        task = _object(path, report)
        if task is None:
            continue
        if task.get("type") == _OTHER_TRACK:
            others += 1
            continue
        truth = _truth(number, files, report)
        user_id = _id(task.get("user_id"))
        if user_id is not None and truth is not None:
            asked.add((user_id, truth))
        problem = _problem(task, items, people)
        if problem is not None:
            report.add(path, 1, *problem)
        elif truth is not None and user_id is not None:
            candidates = tuple(text for each in task["candidate_list"] if (text := _id(each)) is not None)
            if truth in candidates:
                usable.append(GivenTask(number, user_id, candidates, truth))
            else:
                report.add(files.truths[number], 1, TRUTH, f"{shown(truth)} is no candidate of {path.name}")
    if others:
        report.notes.append(f"{others:,} tasks of the track in which reviews are written left out")
    if alone := sorted(set(files.truths) - set(files.tasks)):
        report.notes.append(f"{len(alone):,} ground truths without a task, such as groundtruth_{alone[0]}.json")
    if not usable and not report.bad:
        raise DataError(f"{folder} holds no task of the recommendation track.")
    return usable, asked


def save_tasks(folder: Path, tasks: Sequence[GivenTask], notes: Sequence[str]) -> Path:
    """Write tasks, and notes about them, into the folder of the dataset that they were read with."""
    content = {"notes": list(notes), "tasks": [asdict(task) for task in tasks]}
    return write_atomic(folder / _KEPT, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def load_tasks(
    folder: Path, dataset: Dataset, sequences: Sequences, *, seed: int
) -> tuple[list[RankingTask], Targets, Report]:
    """The tasks that `save_tasks` wrote, their targets apart, and its notes; nothing where none were written.

    A history is all that the user took, oldest first, but for candidates of the task: it must not tell which of
    them she reviewed. Candidates are shuffled by a hash of seed, user and item. A user without other reviews
    has index -1 and an empty history.

    Args:
        folder: of the dataset.
        sequences: of the dataset, in the run's order of ties.

    Raises:
        RunError: the file is corrupt, or of another dataset.
    """
    path = folder / _KEPT
    if not path.is_file():
        return [], {}, Report()
    users = {user_id: user for user, user_id in enumerate(dataset.user_ids)}
    items = {item_id: item for item, item_id in enumerate(dataset.item_ids)}
    tasks: list[RankingTask] = []
    targets: dict[str, int] = {}
    draws: dict[str, int] = {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for row in content["tasks"]:
            given = GivenTask(row["number"], row["user_id"], tuple(row["candidates"]), row["target"])
            task_id = f"{SCENARIO}/{given.number}"
            listed = shuffled(given.user_id, given.candidates, seed)
            candidates = np.array([items[item_id] for item_id in listed], dtype=np.int32)
            user = users.get(given.user_id, -1)
            history = without(_all_of(sequences, user), candidates)
            draws[given.user_id] = draws.get(given.user_id, -1) + 1
            tasks.append(
                RankingTask(
                    task_id=task_id,
                    user=user,
                    user_id=given.user_id,
                    history=history.items,
                    candidates=candidates,
                    scenario=SCENARIO,
                    split="test",
                    draw=draws[given.user_id],
                    days=history.days,
                    ratings=history.ratings,
                )
            )
            targets[task_id] = items[given.target]
        return tasks, targets, Report(notes=list(content["notes"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"The tasks in {path} cannot be read ({type(error).__name__}: {error}). Delete that folder and run "
            "`starrec data` for this run."
        ) from error


def shuffled(user_id: str, candidates: Sequence[str], seed: int) -> list[str]:
    """Candidates by a hash of seed, user and item, whatever their order."""
    keys = combine(text_keys([user_id], seed, "given/user"), text_keys(candidates, seed, "given/item"))
    return [candidates[at] for at in np.argsort(keys).tolist()]


def without(history: Stretch, candidates: NDArray[np.int32]) -> Stretch:
    """A history without candidates of its task."""
    kept = ~np.isin(history.items, candidates)
    return Stretch(
        history.items[kept],
        None if history.days is None else history.days[kept],
        None if history.ratings is None else history.ratings[kept],
    )


def _all_of(sequences: Sequences, user: int) -> Stretch:
    if user < 0:
        days, ratings = sequences.days, sequences.ratings
        return Stretch(
            sequences.items[:0],
            None if days is None else days[:0],
            None if ratings is None else ratings[:0],
        )
    return sequences.before(user, int(sequences.lengths[user]))


def _numbered(folder: Path, kind: str) -> dict[int, Path]:
    found = ((_NUMBERED.fullmatch(path.name), path) for path in folder.glob(f"{kind}_*.json"))
    return dict(sorted((int(match.group(2)), path) for match, path in found if match is not None))


def _object(path: Path, report: Report) -> dict[str, Any] | None:
    report.read[path] += 1
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        report.add(path, getattr(error, "lineno", 1), "-", f"not JSON that can be read: {error}")
        return None
    if not isinstance(content, dict):
        report.add(path, 1, "-", "not a JSON object")
        return None
    return content


def _truth(number: int, files: TaskFiles, report: Report) -> str | None:
    path = files.truths.get(number)
    if path is None:
        missing = files.truth_folder / f"groundtruth_{number}.json"
        report.add(missing, 1, TRUTH, f"there is no such file for task_{number}.json")
        return None
    content = _object(path, report)
    if content is None:
        return None
    truth = _id(content.get(TRUTH))
    if truth is None:
        report.add(path, 1, TRUTH, f"{shown(content.get(TRUTH))} is no item id")
    return truth


def _problem(task: dict[str, Any], items: Collection[str], people: Collection[str]) -> tuple[str, str] | None:
    """The key that cannot be used, and why."""
    user_id = _id(task.get("user_id"))
    if user_id is None:
        return "user_id", f"{shown(task.get('user_id'))} is no user id"
    if user_id not in people:
        return "user_id", f"user {shown(user_id)} is neither among the users nor in a review"
    listed = task.get("candidate_list")
    if not isinstance(listed, list):
        return "candidate_list", f"{shown(listed)} is no list of item ids"
    if not _FEWEST <= len(listed) <= _MOST:
        return "candidate_list", f"it has {len(listed)} candidates; a task has {_FEWEST} to {_MOST}"
    seen: set[str] = set()
    for each in listed:
        item_id = _id(each)
        if item_id is None:
            return "candidate_list", f"{shown(each)} is no item id"
        if item_id in seen:
            return "candidate_list", f"candidate {shown(item_id)} stands twice"
        if item_id not in items:
            return "candidate_list", f"candidate {shown(item_id)} is not among the items"
        seen.add(item_id)
    return None


def _id(value: Any) -> str | None:
    """An id as the readers of data have it; None where it is none."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
