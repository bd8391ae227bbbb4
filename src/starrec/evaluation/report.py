"""report.html: the run as a page for a person, in one file that needs no network and no server.

It opens with the answer (does the student rank better than its teacher, by how much, how sure), then shows
every system's accuracy and latency, how training went, and whole worked examples. Each number stands in
results.json; the page ends with what it was computed from and the command that computes it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
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
from starrec.evaluation.markup import Html, Node, element, page
from starrec.evaluation.report_examples import examples_section
from starrec.evaluation.wording import (
    CITING_NOTES,
    STUDENT,
    SYSTEM_NOTES,
    TEACHER,
    chance,
    decimal,
    duration,
    percent_gain,
    student_over_teacher,
    teacher_kind,
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
        _systems_table(evaluation, results.get("latency_ms", {})),
        element("h3", "True item among the first k"),
        _figure("hits", hits_figure(ranks, evaluation), figures),
        element("h3", "Comparisons on the same tasks") if evaluation["comparisons"] else None,
        _comparisons_table(evaluation),
        _tie_seeds(results.get("tie_seeds", {})),
    )


def _systems_table(evaluation: Mapping[str, Any], latency: Mapping[str, Mapping[str, float]]) -> Html:
    head = ["system", "avg_hr", "95% interval", "HR@1", "HR@3", "HR@5", "NDCG@10", "MRR", "tasks"]
    head += ["p50", "p99"] if latency else []
    rows = []
    for name, system in evaluation["systems"].items():
        lo, hi = system["avg_hr_ci95"]
        cells = [decimal(system["avg_hr"]), f"{decimal(lo)} – {decimal(hi)}"]
        cells += [decimal(system[metric]) for metric in ("hr@1", "hr@3", "hr@5", "ndcg@10", "mrr")]
        cells.append(f"{system['n_tasks']:,}")
        if latency:
            cells += [duration(latency.get(name, {}).get(level)) for level in ("p50", "p99")]
        rows.append((name, cells))
    return _table(head, rows, notes=SYSTEM_NOTES)


def _comparisons_table(evaluation: Mapping[str, Any]) -> Html | None:
    rows = []
    for compared in evaluation["comparisons"]:
        lo, hi = compared["ci95"]
        cells = [percent_gain(compared["ratio"]), f"{percent_gain(lo)} to {percent_gain(hi)}"]
        cells += [f"{compared['p']:.2g}", f"{compared['n_users']:,}", f"{compared['n_tasks']:,}"]
        rows.append((f"{compared['a']} over {compared['b']}", cells))
    return _table(["avg_hr of", "gain", "95% interval", "p", "users", "tasks"], rows) if rows else None


def _tie_seeds(tie_seeds: Mapping[str, Mapping[str, float]]) -> Node:
    if not tie_seeds:
        return None
    systems = list(dict.fromkeys(name for values in tie_seeds.values() for name in values))
    rows = []
    for name in systems:
        values = [seed.get(name) for seed in tie_seeds.values()]
        held = [value for value in values if value is not None]
        rows.append((name, [*map(decimal, values), decimal(max(held) - min(held))]))
    head = ["system", *(f"seed {seed}" for seed in tie_seeds), "range"]
    return [element("h3", "avg_hr under other orders of equal times"), _table(head, rows)]


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
                _systems_table(other, {}),
                _comparisons_table(other),
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
        rows.append((name, [*cells, _plain(rate)]))
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
        _table(["system", "p50", "p95", "p99", "batched, per second"], rows),
    )


def _training(results: Mapping[str, Any], figures: dict[str, Figure]) -> Html | None:
    training = results.get("training")
    if not training:
        return None
    stages = {stage: facts for stage, facts in training.items() if stage != "curves"}
    columns = list(dict.fromkeys(name for facts in stages.values() for name in facts))
    rows = [(stage, [_plain(facts.get(name)) for name in columns]) for stage, facts in stages.items()]
    panels = [
        element("div", element("h3", title), _figure(f"curve-{place}", figure, figures))
        for place, (title, figure) in enumerate(training_figures(training.get("curves", {})).items())
    ]
    return element(
        "section",
        element("h2", "Training"),
        _table(["stage", *(name.replace("_", " ") for name in columns)], rows) if rows else None,
        element("div", panels, class_="panels") if panels else None,
    )


def _faithfulness(results: Mapping[str, Any]) -> Html | None:
    checked = results.get("faithfulness")
    if not checked:
        return None
    columns = list(dict.fromkeys(name for counts in checked.values() for name in counts))
    rows = [(name, [_plain(counts.get(column)) for column in columns]) for name, counts in checked.items()]
    return element(
        "section",
        element("h2", "Faithfulness"),
        element(
            "p",
            "Citations in plans and reflections, held against the facts that the trace's tools state, and each "
            "fact counted again in the graph as the task may see it.",
            class_="quiet",
        ),
        _table(["system", *(name.replace("_", " ") for name in columns)], rows, notes=CITING_NOTES),
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
    facts |= {str(name): _plain(value) for name, value in results.get("cost", {}).items()}
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


def _table(
    head: Sequence[str],
    rows: Iterable[tuple[str, Sequence[str]]],
    *,
    notes: Mapping[str, str] | None = None,
) -> Html:
    body = [
        element(
            "tr",
            element("td", name, element("small", notes[name]) if notes and name in notes else None),
            [element("td", cell) for cell in cells],
            class_="student" if name == STUDENT else None,
        )
        for name, cells in rows
    ]
    table = element(
        "table",
        element("thead", element("tr", [element("th", name, scope="col") for name in head])),
        element("tbody", body),
    )
    return element("div", table, class_="scroll")


def _plain(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)
