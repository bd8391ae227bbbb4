"""The picture of how far each signal is shifted from training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starrec.evaluation.charts import ROLES, WIDTH, Drawing, legend_above, name_rows, new_axes
from starrec.evaluation.wording import STRONG_SHIFT

_MARKS: Final[Mapping[str, tuple[str, str]]] = {"evaluated": ("teacher", "o"), "live": ("accent", "D")}
"""Colour by role, and marker, of the tasks that are compared with training."""


def shift_chart(signals: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Drawing:
    """The shift of each signal (`signal_distributions`), evaluated and live, the first signal on top, and where
    a shift is strong."""
    names = list(signals)[::-1]
    figure, axes = new_axes(WIDTH, 1.0 + 0.27 * len(names))
    for kind, (colour, marker) in _MARKS.items():
        shifts = [signals[name][kind]["shift"] for name in names]
        axes.plot(shifts, range(len(names)), marker, color=ROLES[colour], markersize=6, label=kind)
    axes.axvline(STRONG_SHIFT, color=ROLES["quiet"], linestyle=":", linewidth=1.2)
    legend_above(axes)
    name_rows(axes, names)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("shift from training: 0 same distribution, 1 no overlap; strong from the dotted line on")
    axes.grid(color=ROLES["line"])
    return figure
