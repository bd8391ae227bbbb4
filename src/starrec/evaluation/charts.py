"""The pictures of a run: what each shows, as Plotly figures for the report, and one as a file for a README.

Figures are plain Plotly JSON. Colours are names of the page's CSS variables (`--accent`), which report.js
replaces by the theme's values, so that one figure serves light and dark. The student has the one accent; the
teacher a second colour of the Okabe–Ito palette, which colour-blind readers tell apart from it; everything
else is grey.
"""

from __future__ import annotations

import html
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl

from starrec.errors import StarrecError
from starrec.evaluation.wording import STUDENT, TEACHER, chance, decimal, duration, is_student
from starrec.runs import write_atomic

Figure: TypeAlias = dict[str, Any]
"""Plotly JSON: {"data": [trace…], "layout": {…}}."""

ROLE_COLOURS: Final[Mapping[str, str]] = {
    "--accent": "#D55E00",
    "--accent-soft": "#EDA877",
    "--teacher": "#0072B2",
    "--other": "#9AA3AD",
}
"""Colours of systems on white; the report's style sheet has its own for dark."""

_ROW_PX: Final = 30
_FRAME_PX: Final = 74


def colour(system: str) -> str:
    """The CSS variable of a system's colour."""
    if system == STUDENT:
        return "--accent"
    if is_student(system):
        return "--accent-soft"
    return "--teacher" if system == TEACHER else "--other"


def accuracy_figure(evaluation: Mapping[str, Any]) -> Figure:
    """avg_hr of each system with its 95% interval, best on top, and where chance lies."""
    # Plotly and matplotlib both fill an axis from below.
    systems = dict(sorted(evaluation["systems"].items(), key=lambda item: item[1]["avg_hr"]))
    values = [system["avg_hr"] for system in systems.values()]
    bounds = [system["avg_hr_ci95"] for system in systems.values()]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": values,
        "y": [html.escape(name) for name in systems],
        "marker": {"color": [colour(name) for name in systems]},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [hi - value for (_, hi), value in zip(bounds, values, strict=True)],
            "arrayminus": [value - lo for (lo, _), value in zip(bounds, values, strict=True)],
            "color": "--ink",
            "thickness": 1.4,
            "width": 4,
        },
        "customdata": [
            [lo, hi, system["n_tasks"]] for (lo, hi), system in zip(bounds, systems.values(), strict=True)
        ],
        "hovertemplate": "%{y}: %{x:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}], "
        "%{customdata[2]:,} tasks<extra></extra>",
    }
    labels = {
        "type": "scatter",
        "mode": "text",
        "x": [hi for _, hi in bounds],
        "y": bars["y"],
        "text": [f"  {decimal(value)}" for value in values],
        "textposition": "middle right",
        "hoverinfo": "skip",
        "cliponaxis": False,
    }
    layout = _rows(len(systems), "mean of HR@1, HR@3 and HR@5, with 95% interval over users")
    layout["xaxis"] |= {"rangemode": "tozero"}
    layout |= {"bargap": 0.34, "showlegend": False} | _mark(chance(evaluation), "chance")
    return {"data": [bars, labels], "layout": layout}


def hits_figure(ranks: pl.DataFrame, evaluation: Mapping[str, Any]) -> Figure:
    """Share of tasks whose true item is among the first k, for every k: where rankings differ, not only at
    three cut-offs. Student, teacher, the best other system, and chance."""
    others = [
        name for name in evaluation["systems"] if not is_student(name) and name not in (TEACHER, "random")
    ]
    # Systems stand best first.
    shown = [name for name in (STUDENT, TEACHER, *others[:1]) if name in evaluation["systems"]]
    size = int(evaluation["negatives"]) + 1
    cutoffs = np.arange(1, size + 1)
    chosen = ranks.filter(pl.col("split") == evaluation["split"], pl.col("scenario") == evaluation["scenario"])
    traces: list[dict[str, Any]] = []
    for name in shown:
        placed = chosen.filter(pl.col("system") == name)["target_rank"].to_numpy()
        share = (placed[:, None] <= cutoffs).mean(axis=0)
        line = {"color": colour(name), "width": 3 if name == STUDENT else 2}
        traces.append(_line(name, cutoffs.tolist(), share.round(4).tolist(), line))
    traces.append(
        _line("chance", cutoffs.tolist(), (cutoffs / size).tolist(), {"color": "--other", "dash": "dot"})
    )
    layout = _panel("first k of the ranking", height=360)
    layout["yaxis"] |= {"tickformat": ".0%", "range": [0, 1.02]}
    layout["xaxis"] |= {"range": [0.7, size + 0.3], "tick0": 1, "dtick": max(1, size // 10)}
    layout |= {"showlegend": True, "hovermode": "x unified"}
    return {"data": traces, "layout": layout}


def latency_figure(latency: Mapping[str, Mapping[str, float]]) -> Figure:
    """p50, p95 and p99 of one request, quickest on top, on a logarithmic axis."""
    systems = sorted(latency, key=lambda name: -latency[name]["p50"])
    names = [html.escape(name) for name in systems]
    spans = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [latency[name]["p50"], latency[name]["p99"]],
            "y": [label, label],
            "line": {"color": colour(name), "width": 3},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        for name, label in zip(systems, names, strict=True)
    ]
    shapes = {"p50": "circle", "p95": "line-ns-open", "p99": "diamond"}
    points = [
        {
            "type": "scatter",
            "mode": "markers+text" if level == "p99" else "markers",
            "name": level,
            "x": [latency[name][level] for name in systems],
            "y": names,
            "marker": {
                "color": [colour(name) for name in systems],
                "symbol": symbol,
                "size": 11,
                "line": {"width": 2 if level == "p95" else 0, "color": [colour(name) for name in systems]},
            },
            "text": [
                f"   {duration(latency[name]['p50'])} · {duration(latency[name]['p99'])}" for name in systems
            ],
            "textposition": "middle right",
            "cliponaxis": False,
            "hovertemplate": f"%{{y}} {level}: %{{x:.3~g}} ms<extra></extra>",
            "showlegend": False,
        }
        for level, symbol in shapes.items()
    ]
    every = [latency[name][level] for name in systems for level in shapes]
    low, high = np.floor(np.log10(min(every))), np.log10(max(every)) + 0.8
    decades = [10.0**power for power in range(int(low), int(np.ceil(high)) + 1)]
    layout = _rows(len(systems), "one request, evidence look-up included: ● p50, | p95, ◆ p99")
    layout["xaxis"] |= {
        "type": "log",
        "range": [float(low), float(high)],
        "tickvals": decades,
        "ticktext": [_decade(value) for value in decades],
    }
    return {"data": [*spans, *points], "layout": layout}


def training_figures(curves: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, Figure]:
    """One figure for each stage and recorded quantity, titled `grpo: reward`; points without it are left
    out."""
    figures = {}
    for stage, points in curves.items():
        names = dict.fromkeys(name for point in points for name in point if name != "step")
        for name in names:
            held = [point for point in points if point.get(name) is not None]
            held_out = name.startswith("validation")
            trace = _line(
                name,
                [point["step"] for point in held],
                [point[name] for point in held],
                {"color": "--accent" if held_out else "--teacher", "width": 2},
            )
            trace |= {"mode": "lines+markers" if len(held) <= 40 else "lines"}
            figures[f"{stage}: {name}"] = {
                "data": [trace],
                "layout": _panel("step", height=240) | {"showlegend": False},
            }
    return figures


def accuracy_picture(results: Mapping[str, Any], path: Path) -> Path:
    """The accuracy chart of the first evaluation as a PNG on white, for documents that show no Plotly.

    Raises:
        StarrecError: matplotlib is not installed.
    """
    try:
        figures, backend = (
            importlib.import_module(f"matplotlib.{name}") for name in ("figure", "backends.backend_agg")
        )
    except ImportError as error:
        raise StarrecError(
            "The accuracy picture needs matplotlib, which is not installed. Install it with "
            "`pip install matplotlib`."
        ) from error
    evaluation = results["evaluations"][0]
    systems = dict(sorted(evaluation["systems"].items(), key=lambda item: item[1]["avg_hr"]))
    figure = figures.Figure(figsize=(8, 0.9 + 0.36 * len(systems)), dpi=160, layout="constrained")
    backend.FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for row, (name, system) in enumerate(systems.items()):
        value, (lo, hi) = system["avg_hr"], system["avg_hr_ci95"]
        axes.barh(row, value, height=0.66, color=ROLE_COLOURS[colour(name)])
        axes.errorbar(value, row, xerr=[[value - lo], [hi - value]], color="#222", capsize=2.5, elinewidth=1.2)
        bold = "bold" if name == STUDENT else "normal"
        axes.annotate(decimal(value), (hi, row), (6, 0), textcoords="offset points", va="center", weight=bold)
    axes.axvline(chance(evaluation), color="#666", linestyle=":", linewidth=1.2)
    axes.annotate(
        "chance",
        (chance(evaluation), 1),
        (0, 2),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        ha="center",
        color="#666",
        fontsize=8,
    )
    # Names are data: a dollar sign in one must not become mathematics.
    axes.set_yticks(range(len(systems)), [name.replace("$", r"\$") for name in systems])
    axes.set_xlabel("mean of HR@1, HR@3 and HR@5, with 95% interval over users", color="#444")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1.1 * max(system["avg_hr_ci95"][1] for system in systems.values()))
    axes.margins(y=0.03)
    return write_atomic(path, lambda temporary: figure.savefig(temporary, format="png"))


def _line(name: str, x: list[Any], y: list[Any], line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": html.escape(name),
        "x": x,
        "y": y,
        "line": dict(line),
        "marker": {"size": 5},
        "hovertemplate": "%{y:.3~f}",
    }


def _rows(count: int, caption: str) -> dict[str, Any]:
    layout = _panel(caption, height=_FRAME_PX + _ROW_PX * count)
    layout["yaxis"] |= {"showgrid": False, "ticks": "", "range": [-0.6, count - 0.3], "type": "category"}
    layout["margin"] |= {"r": 60}
    return layout


def _panel(caption: str, *, height: int) -> dict[str, Any]:
    axis = {"gridcolor": "--line", "zeroline": False, "automargin": True, "fixedrange": True}
    return {
        "height": height,
        "margin": {"l": 8, "r": 16, "t": 18, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "--ink"},
        "hoverlabel": {"bgcolor": "--paper", "bordercolor": "--line", "font": {"color": "--ink"}},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "xaxis": {**axis, "title": {"text": caption, "font": {"size": 12, "color": "--quiet"}}},
        "yaxis": dict(axis),
        "showlegend": False,
    }


def _mark(x: float, text: str) -> dict[str, Any]:
    vertical = {"x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1}
    return {
        "shapes": [{"type": "line", **vertical, "line": {"color": "--quiet", "width": 1.4, "dash": "dot"}}],
        "annotations": [
            {
                "x": x,
                "yref": "paper",
                "y": 1,
                "yanchor": "bottom",
                "text": text,
                "showarrow": False,
                "font": {"size": 11, "color": "--quiet"},
            }
        ],
    }


def _decade(milliseconds: float) -> str:
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"
