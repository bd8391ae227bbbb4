"""The pictures of a run, drawn by matplotlib: as SVG within the report, and one as a PNG for documents.

The report's pictures are static, so the page needs no script and prints as it looks. Each colour has a role; in
SVG the colour of a role is a variable of the page's style sheet, so that one picture serves light and dark. The
student has the one accent; the teacher a second colour of the Okabe–Ito palette, which colour-blind readers
tell apart from it; everything else is grey.
"""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl

from starrec.errors import StarrecError
from starrec.evaluation.wording import STUDENT, TEACHER, chance, decimal, duration, is_student
from starrec.runs import write_atomic

Drawing: TypeAlias = Any
"""A matplotlib figure."""

ROLES: Final[Mapping[str, str]] = {
    "accent": "#d55e00",
    "accent-soft": "#eda877",
    "teacher": "#0072b2",
    "other": "#9aa3ad",
    "ink": "#1b2431",
    "quiet": "#5b6674",
    "line": "#dfe3e9",
}
"""Colours by role, on white; the report's style sheet has its own for dark."""

WIDTH: Final = 8.4
"""Inches of a figure as wide as the page."""
_SMALL: Final = 3.9
_VARIABLES: Final = re.compile("|".join(ROLES.values()))
_NAMES: Final = {value: f"var(--{role})" for role, value in ROLES.items()}
_OWN_IDS: Final = re.compile(r' id="(?:[a-zA-Z0-9.]+_\d+)"')


def role(system: str) -> str:
    """The role of a system's colour."""
    if system == STUDENT:
        return "accent"
    if is_student(system):
        return "accent-soft"
    return "teacher" if system == TEACHER else "other"


def svg(figure: Drawing, label: str) -> str:
    """A figure as an SVG element that takes colours and fonts from the page.

    Args:
        label: what the picture shows, for those who do not see it.
    """
    text = io.StringIO()
    matplotlib = _module("matplotlib")
    # The salt keeps the names of markers and clips of one page apart.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": label}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    element = text.getvalue()
    element = element[element.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = _VARIABLES.sub(lambda found: _NAMES[found.group()], _OWN_IDS.sub("", element))
    element = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font-size: \1px", element)
    width, height = re.findall(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', element)[0]
    opening = re.compile(r"<svg [^>]*>", re.DOTALL)
    return opening.sub(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-label="{_attribute(label)}" viewBox="0 0 {width} {height}">',
        element,
        count=1,
    )


def accuracy_chart(evaluation: Mapping[str, Any]) -> Drawing:
    """avg_hr of each system with its 95% interval, best on top, and where chance lies."""
    # Axes fill from below.
    systems = dict(sorted(evaluation["systems"].items(), key=lambda item: item[1]["avg_hr"]))
    figure, axes = new_axes(WIDTH, 0.9 + 0.34 * len(systems))
    for row, (name, system) in enumerate(systems.items()):
        value, (lo, hi) = system["avg_hr"], system["avg_hr_ci95"]
        axes.barh(row, value, height=0.66, color=ROLES[role(name)])
        axes.errorbar(
            value, row, xerr=_whiskers(value, lo, hi), color=ROLES["ink"], capsize=2.5, elinewidth=1.2
        )
        bold = "bold" if name == STUDENT else "normal"
        axes.annotate(
            decimal(value),
            (hi, row),
            (6, 0),
            textcoords="offset points",
            va="center",
            weight=bold,
            color=ROLES["ink"],
        )
    axes.axvline(chance(evaluation), color=ROLES["quiet"], linestyle=":", linewidth=1.2)
    _above(axes, chance(evaluation), "chance")
    name_rows(axes, list(systems))
    axes.set_xlabel("mean of HR@1, HR@3 and HR@5, with 95% interval over users")
    axes.set_xlim(0, 1.1 * max(system["avg_hr_ci95"][1] for system in systems.values()))
    axes.margins(y=0.03)
    return figure


def hits_chart(ranks: pl.DataFrame, evaluation: Mapping[str, Any]) -> Drawing:
    """Share of tasks whose true item is among the first k, for every k: student, teacher, the best other
    system, and chance."""
    cutoffs, shares = hits(ranks, evaluation)
    figure, axes = new_axes(WIDTH, 3.4)
    for name, share in shares.items():
        axes.plot(
            cutoffs, share, color=ROLES[role(name)], linewidth=2.4 if name == STUDENT else 1.6, label=name
        )
    axes.plot(cutoffs, cutoffs / len(cutoffs), color=ROLES["other"], linestyle=":", label="chance")
    legend_above(axes)
    axes.set_xlabel("first k of the ranking")
    axes.set_xticks(cutoffs[:: max(1, len(cutoffs) // 10)])
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(color=ROLES["line"])
    return figure


def hits(
    ranks: pl.DataFrame, evaluation: Mapping[str, Any]
) -> tuple[np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
    """Cut-offs 1 to the number of candidates, and each shown system's share of tasks whose true item is among
    the first k."""
    others = [
        name
        for name in evaluation["systems"]
        if not is_student(name) and not name.startswith(TEACHER) and name != "random"
    ]
    # Systems stand best first.
    shown = [name for name in (STUDENT, TEACHER, *others[:1]) if name in evaluation["systems"]]
    cutoffs = np.arange(1, int(evaluation["negatives"]) + 2)
    chosen = ranks.filter(pl.col("split") == evaluation["split"], pl.col("scenario") == evaluation["scenario"])
    placed = {name: chosen.filter(pl.col("system") == name)["target_rank"].to_numpy() for name in shown}
    return cutoffs, {name: (at[:, None] <= cutoffs).mean(axis=0) for name, at in placed.items()}


def scenarios_chart(evaluations: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> Drawing:
    """avg_hr with interval of the shown systems in each evaluation, the first on top."""
    rows = list(reversed(evaluations))
    figure, axes = new_axes(WIDTH, 0.9 + 0.62 * len(rows))
    offsets = np.linspace(0.24, -0.24, len(shown)) if len(shown) > 1 else [0.0]
    markers = ("o", "s", "D", "^", "v", "P")
    for offset, name, marker in zip(offsets, shown, markers, strict=False):
        held = [(row, each["systems"][name]) for row, each in enumerate(rows) if name in each["systems"]]
        values = [system["avg_hr"] for _, system in held]
        whiskers = np.hstack(
            [_whiskers(value, *system["avg_hr_ci95"]) for value, (_, system) in zip(values, held, strict=True)]
            or [np.empty((2, 0))]
        )
        axes.errorbar(
            values,
            [row + offset for row, _ in held],
            xerr=whiskers,
            fmt=marker,
            color=ROLES[role(name)],
            capsize=2.5,
            markersize=5,
            label=name,
        )
    legend_above(axes)
    name_rows(axes, [evaluation_name(each) for each in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("avg_hr with 95% interval over users")
    axes.grid(axis="x", color=ROLES["line"])
    return figure


def evaluation_name(evaluation: Mapping[str, Any]) -> str:
    """`classic`, or `validation, classic` where it is not the test split."""
    split = "" if evaluation["split"] == "test" else f"{evaluation['split']}, "
    return f"{split}{evaluation['scenario']}"


def frontier(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The systems that no other is both quicker and more accurate than, quickest first.

    Args:
        points: milliseconds and avg_hr by system.
    """
    kept: list[str] = []
    best = -np.inf
    for name in sorted(points, key=lambda name: (points[name][0], -points[name][1])):
        if points[name][1] > best:
            kept.append(name)
            best = points[name][1]
    return kept


def latency_chart(evaluation: Mapping[str, Any], latency: Mapping[str, Mapping[str, float]]) -> Drawing | None:
    """avg_hr against the median time of one request, with the frontier; None where fewer than two systems have
    both."""
    points = {
        name: (latency[name]["p50"], system["avg_hr"])
        for name, system in evaluation["systems"].items()
        if name in latency
    }
    if len(points) < 2:
        return None
    figure, axes = new_axes(WIDTH, 3.6)
    ahead = frontier(points)
    most = max(system["n_tasks"] for system in evaluation["systems"].values())
    axes.step(*zip(*(points[name] for name in ahead), strict=True), where="post", color=ROLES["other"])
    for name, (milliseconds, value) in points.items():
        axes.plot(milliseconds, value, "o" if name in ahead else "x", color=ROLES[role(name)], markersize=7)
        count = evaluation["systems"][name]["n_tasks"]
        axes.annotate(
            f"{name} {duration(milliseconds)}" + (f", {count:,} tasks" if count < most else ""),
            (milliseconds, value),
            (7, 5),
            textcoords="offset points",
            parse_math=False,
            color=ROLES["ink"],
        )
    axes.set_xscale("log")
    times = [milliseconds for milliseconds, _ in points.values()]
    axes.set_xlim(0.6 * min(times), 4 * max(times))
    axes.margins(y=0.2)
    axes.set_xlabel(
        "median time of one request, milliseconds, evidence included; ● on the frontier, × behind it"
    )
    axes.set_ylabel("avg_hr")
    axes.grid(color=ROLES["line"])
    return figure


def breakdown_chart(groups: Sequence[Mapping[str, Any]], caption: str) -> Drawing:
    """Difference of two systems' avg_hr in each group of tasks, with its 95% interval."""
    figure, axes = new_axes(_SMALL, 2.6)
    at = np.arange(len(groups))
    values = np.array([group["difference"] for group in groups])
    whiskers = np.hstack([_whiskers(group["difference"], *group["ci95"]) for group in groups])
    axes.axhline(0, color=ROLES["quiet"], linewidth=1)
    axes.errorbar(at, values, yerr=whiskers, fmt="o", color=ROLES["accent"], capsize=3)
    axes.set_xticks(at, [str(group["group"]) for group in groups], parse_math=False)
    axes.set_xlabel(caption)
    axes.margins(x=0.15)
    axes.grid(axis="y", color=ROLES["line"])
    return figure


def training_charts(curves: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, Drawing]:
    """One figure for each stage and recorded quantity, titled `grpo: reward`; points without it are left
    out."""
    drawn = {}
    for stage, points in curves.items():
        for name in dict.fromkeys(name for point in points for name in point if name != "step"):
            held = [point for point in points if point.get(name) is not None]
            figure, axes = new_axes(_SMALL, 2.2)
            axes.plot(
                [point["step"] for point in held],
                [point[name] for point in held],
                color=ROLES["accent" if name.startswith("validation") else "teacher"],
                marker="o" if len(held) <= 40 else None,
                markersize=3,
            )
            axes.set_xlabel("step")
            axes.grid(color=ROLES["line"])
            drawn[f"{stage}: {name}"] = figure
    return drawn


def accuracy_picture(results: Mapping[str, Any], path: Path) -> Path:
    """The accuracy chart of the first evaluation as a PNG on white, for documents that show no SVG.

    Raises:
        StarrecError: matplotlib is not installed.
    """
    figure = accuracy_chart(results["evaluations"][0])
    figure.set_dpi(160)
    return write_atomic(path, lambda temporary: figure.savefig(temporary, format="png"))


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise StarrecError(
            "The pictures need matplotlib, which is not installed. Install it with "
            "`pip install 'starrec[report]'`."
        ) from error


def new_axes(width: float, height: float) -> tuple[Drawing, Any]:
    """An empty figure of this size in inches, and its axes."""
    figure = _module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(ROLES["line"])
    axes.tick_params(length=0, colors=ROLES["ink"], labelsize=9)
    axes.xaxis.label.set_color(ROLES["quiet"])
    axes.yaxis.label.set_color(ROLES["quiet"])
    axes.set_axisbelow(True)
    return figure, axes


def _whiskers(value: float, lo: float, hi: float) -> np.ndarray[Any, Any]:
    # An interval of resamples can leave out the value itself by a rounding.
    return np.array([[max(value - lo, 0.0)], [max(hi - value, 0.0)]])


def name_rows(axes: Any, names: Sequence[str]) -> None:
    """Names of rows 0, 1, … from below. They are data: a dollar sign in one must not become mathematics."""
    axes.set_yticks(range(len(names)), names, parse_math=False)


def legend_above(axes: Any) -> None:
    """A legend above the axes."""
    # Names that begin with an underscore would be left out, so each is given.
    handles, names = axes.get_legend_handles_labels()
    legend = axes.legend(handles, names, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_color(ROLES["ink"])


def _above(axes: Any, x: float, text: str) -> None:
    axes.annotate(
        text,
        (x, 1),
        (0, 2),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        ha="center",
        color=ROLES["quiet"],
        fontsize=8,
    )


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
