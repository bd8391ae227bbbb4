"""The layout of the AgentSociety challenge (AgentRecBench): a folder of reviews, and tasks that were drawn.

    FOLDER/user.json, item.json, review.json       JSON Lines, or one JSON array each
    TASKS/task_N.json                              user_id, candidate_list, candidate_category, maybe loc
    TASKS/groundtruth_N.json                       {"ground truth": item_id}

Ground truth may also lie in a folder `groundtruth` beside the tasks' or in it. Interactions are the reviews
without those of any task's user about its true item: they are taken out before anything else sees the data, so
that no history, count, split or training task can hold them. The given tasks then are an evaluation of their
own (scenario `agentsociety`); its histories are all other reviews of the user, as in the benchmark, without
those about candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from starrec.data.config import TableOptions
from starrec.data.dataset import Dataset
from starrec.data.files import DEFAULT_LIMITS, ReadLimits, format_of
from starrec.data.frames import build
from starrec.data.given_tasks import GivenTask, TaskFiles, read_tasks
from starrec.data.ids import read_ids
from starrec.data.json_lines import read_json
from starrec.data.platforms import (
    ITEM_FIELDS,
    REVIEW_FIELDS,
    item_options,
    read_catalogue,
    read_reviews,
)
from starrec.data.report import Checks, Report, Table
from starrec.data.tables import MIN_ITEMS, Interactions, refuse_bad_rows
from starrec.errors import DataError

USERS, ITEMS, REVIEWS = "user.json", "item.json", "review.json"


def source_files(path: Path) -> list[Path]:
    """The files of the layout that a folder of data or of tasks holds, in order."""
    named = [path / name for name in (USERS, ITEMS, REVIEWS) if (path / name).is_file()]
    return named or TaskFiles.of(path).all


def load_agentsociety(
    folder: Path,
    tasks: Path | None = None,
    *,
    options: TableOptions | None = None,
    platform: str | None = None,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> tuple[Dataset, list[GivenTask], Report]:
    """The reviews as a Dataset without those that the tasks ask about, the tasks, and what was found.

    Args:
        tasks: folder of the tasks; None to read the reviews alone, of which then nothing is taken out.
        platform: only items and reviews with this `source`.

    Raises:
        DataError: a file is missing or cannot be read; there are fewer than 20 items, or no tasks; or, unless
            `skip_bad_rows`, a row or a task cannot be used.
    """
    options = options or TableOptions()
    report = Report()
    catalogue = _catalogue(folder / ITEMS, options, platform, report, limits)
    refuse_bad_rows(report, options)
    people = _user_ids(folder / USERS, options, platform, report, limits)
    edges = _reviews(folder / REVIEWS, options, platform, catalogue["item_id"], report, limits)
    refuse_bad_rows(report, options)
    if catalogue.height < MIN_ITEMS:
        raise DataError(
            f"{folder / ITEMS} has {catalogue.height} usable items; ranking tasks need {MIN_ITEMS}. Add some."
        )
    given: list[GivenTask] = []
    if tasks is not None:
        people |= set(edges.frame["user_id"].unique())
        given, asked = read_tasks(tasks, set(catalogue["item_id"]), people, report)
        refuse_bad_rows(report, options)
        edges = _held_out(edges, asked, report)
    if not edges.frame.height:
        raise DataError(f"{folder / REVIEWS} has no usable reviews: {report}.")
    dataset = build(
        platform or folder.resolve().name,
        edges.order,
        edges.frame,
        catalogue,
        resolution=edges.times.resolution if edges.times else 1,
        repeats=options.repeats,
    )
    if given:
        _note_cold(given, dataset, report)
    written = edges.times.written if edges.times else ""
    return replace(dataset, times_written=written, below_min_rating=report.below_min_rating), given, report


def _catalogue(
    path: Path, options: TableOptions, platform: str | None, report: Report, limits: ReadLimits
) -> pl.DataFrame:
    _require_json(path, options)
    frame = read_json(path, ITEM_FIELDS, item_options(options), report, as_json=("shelves",), limits=limits)
    frame = _of_platform(path, frame, platform, report)
    return read_catalogue(Table(path, frame, dict(ITEM_FIELDS), list(ITEM_FIELDS.values()), report), options)


def _user_ids(
    path: Path, options: TableOptions, platform: str | None, report: Report, limits: ReadLimits
) -> set[str]:
    """The ids alone: what a platform tells of a person is not needed here."""
    _require_json(path, options)
    wanted = {"user_id": "user_id", "source": "source"}
    frame = _of_platform(path, read_json(path, wanted, options, report, limits=limits), platform, report)
    checks = Checks(Table(path, frame, wanted, list(wanted), report))
    read_ids(checks, "user_id")
    return set(checks.frame["user_id"])


def _reviews(
    path: Path,
    options: TableOptions,
    platform: str | None,
    item_ids: pl.Series,
    report: Report,
    limits: ReadLimits,
) -> Interactions:
    _require_json(path, options)
    frame = _of_platform(path, read_json(path, REVIEW_FIELDS, options, report, limits=limits), platform, report)
    return read_reviews(path, frame, options, item_ids, report)


def _require_json(path: Path, options: TableOptions) -> None:
    if not path.is_file():
        raise DataError(
            f"There is no file {path}. The AgentSociety layout is a folder with {USERS}, {ITEMS} and {REVIEWS}."
        )
    if format_of(path, options.encoding) != "json":
        raise DataError(f"{path} is not JSON. It needs one JSON object a line, or one array of objects.")


def _of_platform(path: Path, frame: pl.DataFrame, platform: str | None, report: Report) -> pl.DataFrame:
    if platform is None:
        return frame
    kept = frame.filter(pl.col("source") == platform)
    if not kept.height and frame.height:
        found = ", ".join(map(repr, frame["source"].unique().sort().head(5)))
        raise DataError(
            f"{path} has no rows whose `source` is {platform!r}, only {found}. Set `[data] platform` to one of "
            "them, or leave it out."
        )
    if left := frame.height - kept.height:
        report.notes.append(f"{path.name}: {left:,} rows of other platforms than {platform} left out")
    return kept


def _held_out(edges: Interactions, asked: set[tuple[str, str]], report: Report) -> Interactions:
    """The interactions without the pairs of user and true item, those of tasks that were left out included."""
    pairs = pl.DataFrame(sorted(asked), schema={"user_id": pl.String, "item_id": pl.String}, orient="row")
    kept = edges.frame.join(pairs, on=["user_id", "item_id"], how="anti", maintain_order="left")
    found = edges.frame.join(pairs, on=["user_id", "item_id"], how="semi").select("user_id", "item_id")
    without = pairs.height - found.n_unique() if found.height else pairs.height
    report.notes.append(
        f"{edges.frame.height - kept.height:,} reviews that tasks ask about are held out of everything"
        + (f"; {without:,} true items were not reviewed by their user" if without else "")
    )
    return replace(edges, frame=kept)


def _note_cold(tasks: Sequence[GivenTask], dataset: Dataset, report: Report) -> None:
    """Users and candidates of whom nothing else is known: they are ranked, without evidence."""
    known = set(dataset.user_ids)
    strangers = sum(task.user_id not in known for task in tasks)
    taken = set(dataset.interactions["item"].unique())
    reviewed = {dataset.item_ids[item] for item in taken}
    unreviewed = {item_id for task in tasks for item_id in task.candidates} - reviewed
    if strangers:
        report.notes.append(f"{strangers:,} tasks of users without another review: their history is empty")
    if unreviewed:
        report.notes.append(
            f"{len(unreviewed):,} candidates without another review: nobody is known to take them"
        )
