"""report.html: the run as a page for a person, in one file that needs no network and no server.

It opens with the answer (does the student rank better than its teacher, by how much, how sure), then shows
every system's accuracy and latency, how training went, and whole worked examples. Each number stands in
results.json; the page ends with what it was computed from and the command that computes it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from starrec.errors import StarrecError
from starrec.evaluation.charts import (
    Figure,
    accuracy_figure,
    hits_figure,
    latency_figure,
    training_figures,
)
from starrec.evaluation.markup import Html, element, page
from starrec.evaluation.report_examples import examples_section
from starrec.evaluation.report_tables import (
    comparisons_html,
    plain_value,
    systems_html,
    table_html,
    tie_seeds_html,
)
from starrec.evaluation.wording import (
    CITING_NOTES,
    STUDENT,
    TEACHER,
    chance,
    decimal,
    duration,
    percent_gain,
    student_over_teacher,
    teacher_kind,
    unconverged_line,
    verdict,
)
from starrec.runs import write_atomic


def write_report(run_folder: Path, results: Mapping[str, Any], ranks: pl.DataFrame) -> Path:
    """Write report.html into the run folder, whole or not at all; return its path.

    Args:
        results: as `results.summarise` gives it, with whatever facts there are: a part without facts is left
            out.
        ranks: the ranks behind results (`ranks.RANKS_SCHEMA`).

    Raises:
        StarrecError: plotly is not installed.
    """
    plotly = _plotly_source()
    figures: dict[str, Figure] = {}
    body = element(
        "main",
        _header(run_folder, results),
        _hero(results),
        _tiles(results),
        _accuracy(results, ranks, figures),
        _other_evaluations(results),
        _latency(results, figures),
        _training(results, figures),
        _faithfulness(results),
        examples_section(results),
        _provenance(run_folder, results),
    )
    files = resources.files("starrec.evaluation")
    document = page(
        f"starrec: {run_folder.name}",
        body,
        style=files.joinpath("report.css").read_text(encoding="utf-8"),
        scripts=[plotly, files.joinpath("report.js").read_text(encoding="utf-8")],
        data=json.dumps(figures, allow_nan=False),
    )
    return write_atomic(run_folder / "report.html", document)


def _plotly_source() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise StarrecError(
            "The report needs plotly, which is not installed. Install it with `pip install 'starrec[report]'`."
        ) from error
    return str(get_plotlyjs())


def _header(run_folder: Path, results: Mapping[str, Any]) -> Html:
    evaluation = results["evaluations"][0]
    return element(
        "header",
        element("h1", f"starrec · {run_folder.name}"),
        element(
            "div",
            f"{evaluation['dataset']}, {evaluation['split']} tasks, scenario {evaluation['scenario']}: rank "
            f"the true next item among {evaluation['negatives'] + 1} candidates",
            class_="quiet",
        ),
    )


def _hero(results: Mapping[str, Any]) -> Html | None:
    comparison = student_over_teacher(results)
    if comparison is None:
        return None
    lo, hi = comparison["ci95"]
    return element(
        "div",
        element(
            "div",
            element("div", percent_gain(comparison["ratio"]), class_="gain"),
            element("div", f"95% interval {percent_gain(lo)} to {percent_gain(hi)}", class_="interval"),
        ),
        element(
            "div",
            element("p", verdict(comparison), class_="claim"),
            element(
                "p",
                f"avg_hr of {STUDENT} over that of {TEACHER}, the same {comparison['n_tasks']:,} tasks of "
                f"{comparison['n_users']:,} users; users resampled with all their tasks.",
            ),
            element("p", f"Teacher: {teacher_kind(results)}.", class_="quiet"),
        ),
        class_="hero",
    )


def _tiles(results: Mapping[str, Any]) -> Html:
    evaluation = results["evaluations"][0]
    tiles = [
        (decimal(evaluation["systems"][name]["avg_hr"]), f"avg_hr of {name}")
        for name in (STUDENT, TEACHER)
        if name in evaluation["systems"]
    ]
    tiles.append((decimal(chance(evaluation)), "avg_hr of chance"))
    tiles += [
        (duration(results["latency_ms"][name]["p50"]), f"{name}, one request, median")
        for name in (STUDENT, "star_think", TEACHER)
        if name in results.get("latency_ms", {})
    ]
    return element(
        "div",
        [element("div", element("b", value), element("span", label), class_="tile") for value, label in tiles],
        class_="tiles",
    )


def _accuracy(results: Mapping[str, Any], ranks: pl.DataFrame, figures: dict[str, Figure]) -> Html:
    evaluation = results["evaluations"][0]
    return element(
        "section",
        element("h2", "Accuracy"),
        element(
            "p",
            "avg_hr is the mean of HR@1, HR@3 and HR@5: how often the true item is the first, among the "
            "first three, among the first five.",
            class_="quiet",
        ),
        _figure("accuracy", accuracy_figure(evaluation), figures),
        systems_html(evaluation, results.get("latency_ms", {})),
        element("p", unconverged, class_="quiet") if (unconverged := unconverged_line(results)) else None,
        element("h3", "True item among the first k"),
        _figure("hits", hits_figure(ranks, evaluation), figures),
        element("h3", "Comparisons on the same tasks") if evaluation["comparisons"] else None,
        comparisons_html(evaluation),
        tie_seeds_html(results.get("tie_seeds", {})),
    )


def _other_evaluations(results: Mapping[str, Any]) -> Html | None:
    others = results["evaluations"][1:]
    if not others:
        return None
    return element(
        "section",
        element("h2", "Other splits and scenarios"),
        [
            [
                element("h3", f"{other['split']}, {other['scenario']}"),
                systems_html(other, {}),
                comparisons_html(other),
            ]
            for other in others
        ],
    )


def _latency(results: Mapping[str, Any], figures: dict[str, Figure]) -> Html | None:
    latency = results.get("latency_ms")
    if not latency:
        return None
    rows = []
    for name in sorted(latency, key=lambda name: float(latency[name]["p50"])):
        rate = latency[name].get("throughput_per_s")
        cells = [duration(latency[name][level]) for level in ("p50", "p95", "p99")]
        rows.append((name, [*cells, plain_value(rate)]))
    return element(
        "section",
        element("h2", "Latency"),
        element(
            "p",
            "Single requests in one process, evidence look-up included. All ten signals of a task are gathered "
            "at once (evidence); none is timed alone.",
            class_="quiet",
        ),
        _figure("latency", latency_figure(latency), figures),
        table_html(["system", "p50", "p95", "p99", "batched, per second"], rows),
    )


def _training(results: Mapping[str, Any], figures: dict[str, Figure]) -> Html | None:
    training = results.get("training")
    if not training:
        return None
    stages = {stage: facts for stage, facts in training.items() if stage != "curves"}
    columns = list(dict.fromkeys(name for facts in stages.values() for name in facts))
    rows = [(stage, [plain_value(facts.get(name)) for name in columns]) for stage, facts in stages.items()]
    panels = [
        element("div", element("h3", title), _figure(f"curve-{place}", figure, figures))
        for place, (title, figure) in enumerate(training_figures(training.get("curves", {})).items())
    ]
    return element(
        "section",
        element("h2", "Training"),
        table_html(["stage", *(name.replace("_", " ") for name in columns)], rows) if rows else None,
        element("div", panels, class_="panels") if panels else None,
    )


def _faithfulness(results: Mapping[str, Any]) -> Html | None:
    checked = results.get("faithfulness")
    if not checked:
        return None
    columns = list(dict.fromkeys(name for counts in checked.values() for name in counts))
    rows = [(name, [plain_value(counts.get(column)) for column in columns]) for name, counts in checked.items()]
    return element(
        "section",
        element("h2", "Faithfulness"),
        element(
            "p",
            "Citations in plans and reflections, held against the facts that the trace's tools state, and each "
            "fact counted again in the graph as the task may see it.",
            class_="quiet",
        ),
        table_html(["system", *(name.replace("_", " ") for name in columns)], rows, notes=CITING_NOTES),
    )


def _provenance(run_folder: Path, results: Mapping[str, Any]) -> Html:
    environment = dict(results.get("environment", {}))
    packages = environment.pop("packages", {})
    facts = {
        "dataset": results["evaluations"][0]["dataset"],
        "data SHA-256": results.get("data_sha256"),
        "commit": results.get("commit"),
        "policy": results.get("policy_sha"),
        "environment": ", ".join(f"{name} {value}" for name, value in environment.items()),
        "packages": ", ".join(f"{name} {version}" for name, version in packages.items()),
    }
    facts |= {str(name): plain_value(value) for name, value in results.get("cost", {}).items()}
    protocol = results["protocol"]
    # An absolute path says more about somebody's machine than about the run.
    here = Path.cwd()
    folder = run_folder.relative_to(here) if run_folder.is_relative_to(here) else run_folder
    folder = Path(folder.name) if folder.is_absolute() else folder
    return element(
        "section",
        element("h2", "Where the numbers come from"),
        element(
            "p",
            f"Every accuracy and comparison follows from results/ranks.parquet; intervals from "
            f"{protocol['bootstrap_resamples']:,} resamples of users, seed {protocol['bootstrap_seed']}. To "
            "compute and print them again:",
        ),
        element("pre", f"starrec evaluate --run {folder} --recompute"),
        element("dl", [[element("dt", name), element("dd", value)] for name, value in facts.items() if value]),
    )


def _figure(name: str, figure: Figure, figures: dict[str, Figure]) -> Html:
    figures[f"figure-{name}"] = figure
    # The height is reserved, so that the page does not jump while figures are drawn.
    return element("div", id=f"figure-{name}", style=f"height:{figure['layout']['height']}px")
