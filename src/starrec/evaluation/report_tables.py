"""The tables of the report, as HTML: systems, comparisons, seeds of ties, and whatever else is figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starrec.evaluation.markup import Html, Node, element
from starrec.evaluation.wording import (
    STUDENT,
    SYSTEM_NOTES,
    by_seed,
    decimal,
    duration,
    p_value,
    percent_gain,
    several_seeds,
)


def systems_html(evaluation: Mapping[str, Any], latency: Mapping[str, Mapping[str, float]]) -> Html:
    """Accuracy of each system with its interval, and that of each training seed where there are several; with
    `latency`, milliseconds of a request."""
    head = ["system", "avg_hr", "95% interval", "HR@1", "HR@3", "HR@5", "NDCG@10", "MRR", "tasks"]
    head += ["avg_hr by seed"] if several_seeds(evaluation) else []
    head += ["p50", "p99"] if latency else []
    rows = []
    for name, system in evaluation["systems"].items():
        lo, hi = system["avg_hr_ci95"]
        cells = [decimal(system["avg_hr"]), f"{decimal(lo)} – {decimal(hi)}"]
        cells += [decimal(system[metric]) for metric in ("hr@1", "hr@3", "hr@5", "ndcg@10", "mrr")]
        cells.append(f"{system['n_tasks']:,}")
        if several_seeds(evaluation):
            cells.append(by_seed(system))
        if latency:
            cells += [duration(latency.get(name, {}).get(level)) for level in ("p50", "p99")]
        rows.append((name, cells))
    return table_html(head, rows, notes=SYSTEM_NOTES)


def comparisons_html(evaluation: Mapping[str, Any]) -> Html | None:
    """The comparisons of an evaluation; None where there are none."""
    rows = []
    for compared in evaluation["comparisons"]:
        lo, hi = compared["ci95"]
        cells = [percent_gain(compared["ratio"]), f"{percent_gain(lo)} to {percent_gain(hi)}"]
        cells += [p_value(compared), f"{compared['n_users']:,}", f"{compared['n_tasks']:,}"]
        rows.append((f"{compared['a']} over {compared['b']}", cells))
    return table_html(["avg_hr of", "gain", "95% interval", "p", "users", "tasks"], rows) if rows else None


def tie_seeds_html(tie_seeds: Mapping[str, Mapping[str, float]]) -> Node:
    """avg_hr under each seed of ties, and how far it moves; None where only one was tried."""
    if not tie_seeds:
        return None
    systems = list(dict.fromkeys(name for values in tie_seeds.values() for name in values))
    rows = []
    for name in systems:
        values = [seed.get(name) for seed in tie_seeds.values()]
        held = [value for value in values if value is not None]
        rows.append((name, [*map(decimal, values), decimal(max(held) - min(held))]))
    head = ["system", *(f"seed {seed}" for seed in tie_seeds), "range"]
    return [element("h3", "avg_hr under other orders of equal times"), table_html(head, rows)]


def table_html(
    head: Sequence[str],
    rows: Iterable[tuple[str, Sequence[str]]],
    *,
    notes: Mapping[str, str] | None = None,
) -> Html:
    """A table whose first column is a name; `notes` stand below it, the student's row is marked."""
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


def plain_value(value: object) -> str:
    """A figure of results.json for a cell; `–` for None."""
    if value is None:
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)
