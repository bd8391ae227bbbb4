"""report.html: the run as a page for a person, in one file that needs no network, no server and no script.

It opens with the answer (does the student rank better than its teacher, by how much, how sure) and with what
the controls say about it. Then come accuracy by system and scenario, accuracy against latency, where the
student wins and loses, training, cost, how signals are distributed in training and live, citations, and whole
worked examples. Each number stands in results.json; the page ends with what it was computed from and the
command that computes it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from starrec.evaluation import charts, wording
from starrec.evaluation.pages import render
from starrec.evaluation.shift_chart import shift_chart
from starrec.runs import write_atomic

_PARTS: Final = (
    "breakdown",
    "controls",
    "cost",
    "data",
    "data_sha256",
    "commit",
    "environment",
    "faithfulness",
    "full_catalogue",
    "latency_ms",
    "peers",
    "policy_sha",
    "recommendations",
    "settings",
    "signal_distributions",
    "tie_seeds",
    "training",
    "worked_examples",
)
"""Keys of results that a run may lack: their part of the page is left out."""
_STEP_KINDS: Final = frozenset({"plan", "tool_call", "tool_response", "reflection", "recommend"})


def write_report(path: Path, results: Mapping[str, Any], ranks: pl.DataFrame, *, run: Path) -> Path:
    """Write the page to a path, whole or not at all; return the path.

    Args:
        run: the run's folder, which the page names.
        results: as `results.summarise` gives it, with whatever facts there are: a part without facts is left
            out.
        ranks: the ranks behind results (`ranks.RANKS_SCHEMA`).

    Raises:
        StarrecError: Jinja2 or matplotlib is not installed.
    """
    document = render(
        "report.html",
        title=run.name,
        folder=_shown_folder(run),
        results={**dict.fromkeys(_PARTS), **results},
        first=results["evaluations"][0],
        headline=wording.student_over_teacher(results),
        lessons=wording.lessons(results),
        tiles=_tiles(results),
        pictures=_pictures(results, ranks),
        notes=wording.scenario_notes(results),
        unconverged=wording.unconverged_line(results),
        evaluation_name=charts.evaluation_name,
        step_kinds=_STEP_KINDS,
    )
    return write_atomic(path, document)


def _pictures(results: Mapping[str, Any], ranks: pl.DataFrame) -> dict[str, Any]:
    """SVG by name; `training` and `breakdown` hold several by title."""
    evaluations = results["evaluations"]
    first = evaluations[0]
    drawn: dict[str, Any] = {
        "scenarios": None,
        "latency": None,
        "shift": None,
        "accuracy": charts.svg(charts.accuracy_chart(first), "Accuracy of each system with its interval"),
        "hits": charts.svg(charts.hits_chart(ranks, first), "Share of true items among the first k"),
        "training": {
            title: charts.svg(figure, title)
            for title, figure in charts.training_charts(results.get("training", {}).get("curves", {})).items()
        },
        "breakdown": {
            title: charts.svg(charts.breakdown_chart(groups, title), f"Difference of accuracy by {title}")
            for title, groups in results.get("breakdown", {}).get("groups", {}).items()
        },
    }
    if len(evaluations) > 1:
        figure = charts.scenarios_chart(evaluations, wording.leading_systems(results))
        drawn["scenarios"] = charts.svg(figure, "Accuracy in each scenario")
    if distributions := results.get("signal_distributions"):
        figure = shift_chart(distributions["signals"])
        drawn["shift"] = charts.svg(figure, "How far each signal is shifted from training")
    latency = charts.latency_chart(first, results.get("latency_ms", {}))
    if latency is not None:
        drawn["latency"] = charts.svg(latency, "Accuracy against the time of a request")
    return drawn


def _tiles(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Figures to see at once, with what each is."""
    evaluation = results["evaluations"][0]
    tiles = [
        (wording.decimal(evaluation["systems"][name]["avg_hr"]), f"avg_hr of {name}")
        for name in wording.leading_systems(results)
        if name in evaluation["systems"]
    ]
    tiles.append((wording.decimal(wording.chance(evaluation)), "avg_hr of chance"))
    tiles += [
        (wording.duration(results["latency_ms"][name]["p50"]), f"{name}, one request, median")
        for name in (wording.STUDENT, "star_think", wording.TEACHER)
        if name in results.get("latency_ms", {})
    ]
    return tiles


def _shown_folder(run: Path) -> str:
    # An absolute path says more about somebody's machine than about the run.
    here = Path.cwd()
    folder = run.relative_to(here) if run.is_relative_to(here) else run
    return folder.name if folder.is_absolute() else folder.as_posix()
