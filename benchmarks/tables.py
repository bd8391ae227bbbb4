"""The tables of benchmarks/README.md, from the kept results, so that no number in them was typed by hand.

    .venv/bin/python benchmarks/tables.py                       writes the tables anew
    .venv/bin/python benchmarks/tables.py keep runs/bench/movielens   keeps the outcomes of a suite, and does

What stands between `<!-- suites -->` and `<!-- /suites -->`, and likewise for `index`, is replaced, and nothing
else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from record import RESULTS, keep
from starrec.errors import StarrecError
from starrec.evaluation import read_results
from starrec.evaluation.wording import decimal

README: Final = Path(__file__).parent / "README.md"
SUITE: Final = "suite_"
"""Begins the names of the outcomes of suites: `suite_SUITE_ROW.json`."""
KEPT: Final = (
    "evaluations",
    "protocol",
    "teacher_kind",
    "best_tool",
    "not_measurable",
    "full_catalogue",
    "latency_ms",
    "peers",
    "controls",
    "data_sha256",
    "left_out",
)
"""What is kept of the results.json of an outcome."""

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


_Results = Annotated[Path, typer.Option("--results", help="Where results are kept.")]
_Readme = Annotated[Path, typer.Option("--readme", help="The page with the tables.")]


@app.callback(invoke_without_command=True)
def tables(context: typer.Context) -> None:
    """Write the tables of benchmarks/README.md anew."""
    if context.invoked_subcommand is None:
        _write(README, RESULTS)


@app.command("keep")
def keep_suite(
    folder: Annotated[Path, typer.Argument(help="Outcomes of a suite: OUT/SUITE of `starrec bench`.")],
    results: _Results = RESULTS,
    readme: _Readme = README,
) -> None:
    """Keep the outcomes of a suite's rows, and write the tables anew."""
    outcomes = {path.parent.name: read_results(path) for path in sorted(folder.glob("*/results.json"))}
    if not outcomes:
        raise SystemExit(f"{folder} holds no outcome of a suite. Name OUT/SUITE of `starrec bench`.")
    parts = [(name, part["row"]) for name, each in outcomes.items() for part in each["bench"]["made_of"]]
    # What a row added to another's outcome stands there.
    added = {row for name, row in parts if row != name}
    for name, outcome in outcomes.items():
        if name not in added:
            _keep_outcome(folder.name, name, outcome, results)
    _write(readme, results)


def _write(readme: Path, results: Path) -> None:
    readme.write_text(fill(readme.read_text(encoding="utf-8"), kept_rows(results)), encoding="utf-8")


def _keep_outcome(suite: str, row: str, results: Mapping[str, Any], folder: Path) -> None:
    bench = results["bench"]
    minutes: dict[str, float] = {}
    for part in bench["made_of"]:
        minutes[part["row"]] = minutes.get(part["row"], 0.0) + part["seconds"] / 60
    content = {
        "title": bench["title"],
        "suite": suite,
        "made_of": [
            {key: part[key] for key in ("row", "seed", "seconds", "commit")} for part in bench["made_of"]
        ],
        **{key: results[key] for key in KEPT if key in results},
    }
    made = {
        "command": f".venv/bin/starrec bench configs/suites/{suite}.toml",
        "commit": " ".join(dict.fromkeys(part["commit"] for part in bench["made_of"])),
        "date": max(part["date"] for part in bench["made_of"]),
        "environment": results["environment"],
    }
    bars = {f"{suite}_{name}_minutes": round(value, 1) for name, value in minutes.items()}
    keep(f"{SUITE}{suite}_{row}", content, bars, made, folder)


def kept_rows(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """The kept results, by name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def fill(readme: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The README with both its tables.

    Raises:
        StarrecError: it has not one pair of markers for each.
    """
    suites = [line for name, row in rows.items() if name.startswith(SUITE) for line in suite_section(row)]
    content = {
        "suites": "\n".join(suites) or "No suite's outcome is kept yet.",
        "index": "\n".join(index_table(rows)),
    }
    for name, text in content.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        readme, count = marked.subn(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", readme)
        if count != 1:
            raise StarrecError(
                f"The README has {count} places for {name}, not 1: mark it with <!-- {name} -->."
            )
    return readme


def index_table(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Every kept row with its bars."""
    yield "| row | bar | value | command | date | commit | machine |"
    yield "| --- | --- | ---: | --- | --- | --- | --- |"
    for name, row in rows.items():
        bars = row.get("bars") or {"": None}
        for at, (bar, value) in enumerate(bars.items()):
            first = [f"[{name}](results/{name}.json)", *_made(row)] if at == 0 else ["", "", "", "", ""]
            figure = "" if value is None else f"{value:g}"
            yield _line([first[0], bar and f"`{bar}`", figure, *first[1:]])


def suite_section(row: Mapping[str, Any]) -> Iterator[str]:
    """An outcome of a suite: each evaluation's systems and comparisons, and what it was made by."""
    command, date, commit, machine = _made(row)
    yield f"### {_cell(row['title'])}: {row['made_of'][0]['row']}"
    yield ""
    yield f"{command}; {date}, commit {commit}, {machine}. Teacher: {_cell(row['teacher_kind'])}."
    yield ""
    for evaluation in row["evaluations"]:
        yield f"#### {evaluation['dataset']}, {evaluation['split']}, {evaluation['scenario']}"
        yield ""
        yield from _systems(evaluation["systems"])
        if evaluation["comparisons"]:
            yield ""
            yield from _comparisons(evaluation["comparisons"])
        yield ""
    for scenario, count in row.get("not_measurable", {}).items():
        yield f"Not measurable: {scenario} ({count['tasks']:,} tasks, {count['needed']:,} needed)."
        yield ""
    for left_out in row.get("left_out", []):
        yield f"Left out: {_cell(left_out)}."
        yield ""


def _systems(systems: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| system | avg_hr | 95% interval | by training seed | HR@1 | HR@5 | NDCG@10 | MRR | users | tasks |"
    yield "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, system in systems.items():
        seeds = system.get("by_seed", {})
        figures = [decimal(system[metric]) for metric in ("hr@1", "hr@5", "ndcg@10", "mrr")]
        yield _line(
            [
                f"`{name}`",
                decimal(system["avg_hr"]),
                "–".join(map(decimal, system["avg_hr_ci95"])),
                ", ".join(map(decimal, seeds.values())) if len(seeds) > 1 else "",
                *figures,
                f"{system['n_users']:,}",
                f"{system['n_tasks']:,}",
            ]
        )


def _comparisons(comparisons: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| avg_hr of | ratio | 95% interval | p | p, corrected | users | tasks |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for each in comparisons:
        corrected = each.get("p_corrected")
        name = f"`{each['a']}` over `{each['b']}`"
        yield _line(
            [
                f"**{name}** (the headline)" if each.get("headline") else name,
                decimal(each["ratio"]),
                "–".join(map(decimal, each["ci95"])),
                f"{each['p']:.2g}",
                "" if corrected is None else f"{corrected:.2g}",
                f"{each['n_users']:,}",
                f"{each['n_tasks']:,}",
            ]
        )


def _made(row: Mapping[str, Any]) -> list[str]:
    """Command, date, commits and machine of a row."""
    commits = ", ".join(f"`{each[:12]}`" for each in str(row.get("commit", "")).split())
    environment = row.get("environment")
    if environment:
        machine = f"{environment['cpus']} × {environment['machine']}"
    else:
        # Rows of the first releases say it in words.
        machine = str(row.get("machine", "")).partition(",")[0]
    return [f"`{row['command']}`" if "command" in row else "", str(row.get("date", "")), commits, machine]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Text that ends no cell and no line."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


if __name__ == "__main__":
    app()
