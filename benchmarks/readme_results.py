"""The README's table of results and its picture, from a run: `python benchmarks/readme_results.py`.

What stands between the markers `<!-- results -->` and `<!-- /results -->` is replaced, and nothing else, so
that no number in the README was typed by hand.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starrec.errors import StarrecError
from starrec.evaluation import accuracy_picture, comparison_lines, read_results
from starrec.evaluation.wording import (
    SYSTEM_NOTES,
    citation_lines,
    decimal,
    duration,
    evidence_line,
    lessons,
    scenario_notes,
    unconverged_line,
)

ROOT = Path(__file__).resolve().parent.parent
MARKED = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.DOTALL)


def table(results: Mapping[str, Any]) -> str:
    """The systems with accuracy and latency, the comparisons, the time of the evidence, and the source of all
    numbers, as Markdown."""
    evaluation = results["evaluations"][0]
    latency = results.get("latency_ms", {})
    lines = [
        "| system | | avg_hr | 95% interval | HR@1 | HR@5 | p50 | p99 |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, system in evaluation["systems"].items():
        cells = [f"`{name}`", SYSTEM_NOTES.get(name, ""), decimal(system["avg_hr"])]
        cells.append("–".join(map(decimal, system["avg_hr_ci95"])))
        cells += [decimal(system["hr@1"]), decimal(system["hr@5"])]
        cells += [duration(latency.get(name, {}).get(level)) for level in ("p50", "p99")]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "What controls, peers and clocks say:", ""]
    lines += [f"- {lesson}" for lesson in lessons(results)]
    lines += ["", *(f"- {line.plain}" for line in comparison_lines(results))]
    lines += [f"- {line}" for line in citation_lines(results)]
    for line in (evidence_line(results), unconverged_line(results)):
        if line is not None:
            lines.append(f"- {line}")
    if len(results["evaluations"]) > 1:
        lines += [
            "",
            *scenarios(results["evaluations"]),
            "",
            *(f"- {note}" for note in scenario_notes(results)),
        ]
    source = f"{evaluation['dataset']}, {evaluation['split']}, {evaluation['scenario']}"
    for key in ("data_sha256", "commit"):
        if results.get(key):
            source += f"; {key.removesuffix('_sha256')} {str(results[key])[:12]}"
    return "\n".join([*lines, "", f"({source})"])


def scenarios(evaluations: Sequence[Mapping[str, Any]]) -> list[str]:
    """avg_hr of each system by scenario, as Markdown."""
    lines = [
        f"| avg_hr of | {' | '.join(str(each['scenario']) for each in evaluations)} |",
        f"| --- |{' ---: |' * len(evaluations)}",
    ]
    for name in evaluations[0]["systems"]:
        cells = [decimal(each["systems"].get(name, {}).get("avg_hr")) for each in evaluations]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return lines


def fill(readme: str, results: Mapping[str, Any]) -> str:
    """The README with its table of results.

    Raises:
        StarrecError: it has no pair of markers, or several.
    """
    filled, count = MARKED.subn(lambda found: f"{found[1]}{table(results)}\n{found[2]}", readme)
    if count != 1:
        raise StarrecError(f"The README has {count} places for results, not 1: mark it with <!-- results -->.")
    return filled


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--results", type=Path, default=ROOT / "runs" / "demo" / "results.json")
    parser.add_argument(
        "--readme", type=Path, default=ROOT / "README.md", help="the picture goes to docs/ beside"
    )
    arguments = parser.parse_args()
    try:
        results = read_results(arguments.results)
        text = fill(arguments.readme.read_text(encoding="utf-8"), results)
        accuracy_picture(results, arguments.readme.parent / "docs" / "report.png")
    except StarrecError as error:
        raise SystemExit(str(error)) from error
    arguments.readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
