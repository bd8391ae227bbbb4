"""The picture of `docs/signals.md`: what the rows of `signals.py` measured, from `benchmarks/results/`.

.venv/bin/python benchmarks/pictures.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes

RESULTS: Final = Path(__file__).parent / "results"
PICTURE: Final = Path(__file__).parents[1] / "docs" / "signals.png"
_BLUE, _ORANGE, _GREY = "#2563eb", "#ea580c", "#9ca3af"


def main() -> None:
    pyplot.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4.2))
    _growth(axes[0])
    _tools(axes[1])
    _cap(axes[2])
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=130)
    print(PICTURE)


def _growth(axis: Axes) -> None:
    found = _result("growth")
    millions = [row["interactions"] / 1e6 for row in found["builds"]]
    axis.loglog(millions, [row["seconds"] for row in found["builds"]], "o-", color=_BLUE, label="seconds")
    axis.loglog(
        millions, [row["peak_mib"] / 1024 for row in found["builds"]], "s--", color=_ORANGE, label="peak, GiB"
    )
    axis.set_xticks(millions, [f"{value:.0f}M" for value in millions])
    axis.minorticks_off()
    axis.set_title(f"full build: seconds ~ interactions^{found['exponent']:.2f}")
    axis.set_xlabel("interactions")
    axis.legend(frameon=False)


def _tools(axis: Axes) -> None:
    names: list[str] = []
    for offset, (name, colour) in enumerate((("movielens", _BLUE), ("games", _ORANGE))):
        found = _result(name)["test"]
        names = names or sorted(found, key=lambda tool: found[tool]["avg_hr"])
        places = [at + 0.36 * (offset - 0.5) for at in range(len(names))]
        axis.barh(places, [found[tool]["avg_hr"] for tool in names], 0.34, color=colour, label=name)
        ceiling = _result(f"ceiling_{name}")["avg_hr"]
        axis.axvline(ceiling, color=colour, linestyle=":", label=f"all evidence, {name}: {ceiling:.3f}")
    axis.axvline(0.15, color=_GREY, linewidth=0.8)
    axis.set_yticks(range(len(names)), names)
    axis.set_title("avg_hr on test of single signals")
    axis.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)


def _cap(axis: Axes) -> None:
    found = {limit: row for limit, row in _result("cap").items() if limit.isdigit()}
    limits = sorted(map(int, found))
    for name, colour in (("ease", _BLUE), ("user_cf.recent", _ORANGE), ("item_cf.recent", _GREY)):
        axis.plot(limits, [found[str(limit)][name] for limit in limits], "o-", color=colour, label=name)
    axis.set_xscale("log")
    axis.set_xticks(limits, [str(limit) for limit in limits])
    axis.minorticks_off()
    axis.set_title("avg_hr on validation B under a cap on histories")
    axis.set_xlabel("latest items of a user that are counted")
    axis.legend(frameon=False)


def _result(row: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"signals_{row}.json").read_text())
    return found


if __name__ == "__main__":
    main()
