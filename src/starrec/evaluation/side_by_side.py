"""Two or more evaluations side by side, in one HTML file that needs nothing else (`starrec report A B`).

A system of one evaluation is compared with the same system of the first one only on tasks that both were asked:
equal task id, target and candidates of the same data. Where there are none the page says why, and no ratio is
given: a difference between other tasks is no difference between systems.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from starrec.errors import RunError
from starrec.evaluation.pages import render
from starrec.evaluation.ranks import load_ranks
from starrec.evaluation.results import Results, read_results
from starrec.evaluation.wording import chance, decimal, duration, percent_gain, plain_value
from starrec.ranking import avg_hr, ratio_ci
from starrec.runs import write_atomic


@dataclass(frozen=True)
class Evaluation:
    """What an evaluated run, or a row of a suite, left behind."""

    label: str
    """A, B, … in the order given."""
    name: str
    results: Results
    ranks: pl.DataFrame

    @classmethod
    def read(cls, folder: Path, label: str) -> Evaluation:
        """Read a run folder, or the folder of a suite's row.

        Raises:
            RunError: it holds no results, or its ranks are missing or unreadable.
        """
        if not (folder / "results.json").is_file():
            raise RunError(
                f"{folder} holds no results.json. Name the folder of a run that was evaluated "
                "(`starrec evaluate`), or that of a suite's row."
            )
        ranks = folder / "ranks.parquet"
        ranks = ranks if ranks.is_file() else folder / "results" / "ranks.parquet"
        return cls(label, folder.resolve().name, read_results(folder / "results.json"), load_ranks(ranks))


@dataclass(frozen=True)
class Section:
    """A part of the page: a table with a heading, and what there is to say of it."""

    heading: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    paragraphs: Sequence[str] = ()


@dataclass(frozen=True)
class Compared:
    """One system in two evaluations, in one scenario of one split."""

    split: str
    scenario: str
    system: str
    ratio: float
    """Of its avg_hr in the later evaluation over that in the first; NaN where that is 0."""
    ci95: tuple[float, float]
    p: float
    n_users: int
    n_tasks: int


def compare(first: Evaluation, other: Evaluation) -> tuple[list[Compared], list[str]]:
    """Each system that both evaluated, on the tasks that both were asked (several seeds of a system count as
    one answer, their mean); and why what is not compared is not, in sentences."""
    data = [str(each.results.get("data_sha256"))[:12] for each in (first, other)]
    if data[0] != data[1]:
        return [], [f"Their data differ ({data[0]} and {data[1]}), so no task is the same."]
    found: list[Compared] = []
    reasons: list[str] = []
    protocol = first.results["protocol"]
    parts = [_by_evaluation(each.ranks) for each in (first, other)]
    for split, scenario in dict.fromkeys([*parts[0], *parts[1]]):
        where = f"{split}, {scenario}"
        pair = [part.get((split, scenario)) for part in parts]
        if pair[0] is None or pair[1] is None:
            missing = first if pair[0] is None else other
            reasons.append(f"{where}: {missing.label} has no such tasks.")
            continue
        same, reason = _same_tasks(pair[0], pair[1])
        if reason:
            reasons.append(f"{where}: {reason}")
        if same.is_empty():
            continue
        answers = [_answers(each.join(same, on="task_id", how="semi")) for each in pair if each is not None]
        both = answers[0].join(answers[1], on=["system", "task_id", "user_id"], suffix="_other")
        for (system,), rows in sorted(both.group_by("system")):
            ratio = ratio_ci(
                rows["avg_hr_other"],
                rows["avg_hr"],
                rows["user_id"],
                seed=protocol["bootstrap_seed"],
                n_resamples=protocol["bootstrap_resamples"],
            )
            interval = (ratio.lo, ratio.hi)
            found.append(
                Compared(
                    split, scenario, str(system), ratio.ratio, interval, ratio.p, ratio.n_users, ratio.n_tasks
                )
            )
    return found, reasons


def write_side_by_side(path: Path, folders: Sequence[Path]) -> Path:
    """Write the page about two or more evaluations, whole or not at all; return path.

    Raises:
        RunError: there are fewer than two, or one cannot be read.
    """
    if not 2 <= len(folders) <= len(string.ascii_uppercase):
        raise RunError(
            "Name two or more folders to put side by side (at most 26). What one run found is in its "
            "report.html."
        )
    read = [Evaluation.read(*each) for each in zip(folders, string.ascii_uppercase, strict=False)]
    title = " · ".join(f"{each.label} {each.name}" for each in read)
    sections = [_accuracy(read, *place) for place in _places(read)]
    sections += [_comparison(read[0], other) for other in read[1:]]
    return write_atomic(path, render("side_by_side.html", title=title, sections=[*sections, _about(read)]))


def _by_evaluation(ranks: pl.DataFrame) -> dict[tuple[str, str], pl.DataFrame]:
    parts = ranks.partition_by("split", "scenario")
    return {(str(part["split"][0]), str(part["scenario"][0])): part for part in parts}


def _same_tasks(first: pl.DataFrame, other: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """The ids of the tasks that both were asked alike, and what there is to say of the rest."""
    asked = [
        part.unique("task_id").select("task_id", "target", pl.col("candidates").list.sort())
        for part in (first, other)
    ]
    named = asked[0].join(asked[1], on="task_id", suffix="_other")
    alike = named.filter(
        (pl.col("target") == pl.col("target_other")) & (pl.col("candidates") == pl.col("candidates_other"))
    ).select("task_id")
    if named.is_empty():
        return alike, "they have no task in common."
    if (differing := named.height - alike.height) > 0:
        return alike, f"{differing:,} of {named.height:,} common tasks had other candidates or another target."
    return alike, ""


def _answers(ranks: pl.DataFrame) -> pl.DataFrame:
    scored = ranks.with_columns(avg_hr=avg_hr(ranks["target_rank"]))
    return scored.group_by("system", "task_id", "user_id", maintain_order=True).agg(pl.col("avg_hr").mean())


def _places(read: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """Every split and scenario of any of them, in the order of the results."""
    found = [(str(e["split"]), str(e["scenario"])) for each in read for e in each.results["evaluations"]]
    return list(dict.fromkeys(found))


def _accuracy(read: Sequence[Evaluation], split: str, scenario: str) -> Section:
    found: list[Mapping[str, Any] | None] = [
        next((e for e in each.results["evaluations"] if (e["split"], e["scenario"]) == (split, scenario)), None)
        for each in read
    ]
    systems = list(dict.fromkeys(name for each in found if each is not None for name in each["systems"]))
    rows = [
        [name, *(_figure(None if each is None else each["systems"].get(name)) for each in found)]
        for name in systems
    ]
    chances = " or ".join(sorted({decimal(chance(each)) for each in found if each is not None}))
    return Section(
        f"{split}, {scenario}",
        ["system", *(f"{each.label} {each.name}" for each in read)],
        rows,
        note=f"avg_hr with its 95% interval; chance is {chances}.",
    )


def _figure(system: Mapping[str, Any] | None) -> str:
    if system is None:
        return "–"
    lo, hi = system["avg_hr_ci95"]
    return f"{decimal(system['avg_hr'])} ({decimal(lo)}–{decimal(hi)}, {system['n_tasks']:,} tasks)"


def _comparison(first: Evaluation, other: Evaluation) -> Section:
    compared, reasons = compare(first, other)
    rows = []
    for each in compared:
        exists = each.ratio == each.ratio
        lo, hi = each.ci95
        cells = [f"{each.split}, {each.scenario}", percent_gain(each.ratio if exists else None)]
        cells.append(f"{percent_gain(lo)} to {percent_gain(hi)}" if exists else "–")
        cells += [f"{each.p:.2g}", f"{each.n_users:,}", f"{each.n_tasks:,}"]
        rows.append([each.system, *cells])
    if not rows and not reasons:
        reasons = ["They have no system in common."]
    return Section(
        f"{other.label} over {first.label}, on the same tasks",
        ["avg_hr of", "tasks of", "gain", "95% interval", "p", "users", "tasks"],
        rows,
        note="Paired by task, users resampled with all their tasks; several training seeds of a system count "
        "as their mean. p is of no difference, and not corrected for the number of rows.",
        paragraphs=reasons,
    )


def _about(read: Sequence[Evaluation]) -> Section:
    def of(results: Results) -> dict[str, str]:
        stages = {name: facts for name, facts in results.get("training", {}).items() if name != "curves"}
        return {
            "dataset": str(results["evaluations"][0]["dataset"]),
            "data SHA-256": str(results.get("data_sha256", "–"))[:12],
            "commit": str(results.get("commit", "–"))[:12],
            "teacher": str(results.get("teacher_kind", "–")),
            "star, one request, median": duration(results.get("latency_ms", {}).get("star", {}).get("p50")),
            **{f"{name}, seconds": plain_value(facts.get("seconds")) for name, facts in stages.items()},
            "evaluation, seconds": plain_value(results.get("cost", {}).get("evaluate_seconds")),
        }

    facts = [of(each.results) for each in read]
    names = list(dict.fromkeys(name for each in facts for name in each))
    return Section(
        "What they were made of",
        ["", *(f"{each.label} {each.name}" for each in read)],
        [[name, *(each.get(name, "–") for each in facts)] for name in names],
    )
