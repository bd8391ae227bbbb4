"""How long `starrec evaluate` takes here, over what it took at commit 728a73c, for the demo.

    .venv/bin/python benchmarks/evaluation_time.py [--run runs/demo] [--repeats 1]

Each finished run is copied without its evaluation, and evaluated anew by its own release: this checkout's, and
that of `benchmarks/baseline.sh`, which is made first where it is missing (25 minutes). Both read the data and
count the graph again. The two take turns. CPU seconds are those of all processes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from record import keep
from releases import BASELINE, Release, in_turn, ran


def without_evaluation(run: Path, copy: Path) -> Path:
    """A copy of a finished run, of this format or of 728a73c's, without evaluation and fitted controls."""
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns(".lock", ".holder"))
    for name in ("evaluate", "results", "controls"):
        shutil.rmtree(copy / name, ignore_errors=True)
    for name in ("results.json", "report.html"):
        (copy / name).unlink(missing_ok=True)
    steps = copy / "steps.json"
    if steps.is_file():
        kept = {name: step for name, step in json.loads(steps.read_text()).items() if name != "evaluate"}
        steps.write_text(json.dumps(kept))
    return copy


def timed_evaluation(release: Release) -> dict[str, float]:
    """Wall and CPU seconds of evaluating a copy of a release's run, and what it recorded itself."""
    with tempfile.TemporaryDirectory(prefix="starrec-evaluation-") as scratch:
        copy = without_evaluation(release.run, Path(scratch) / "run")
        ended = ran([*release.starrec, "evaluate", "--run", str(copy)], release.environment())
        if ended.code or "evaluate: done before" in ended.output:
            raise SystemExit(f"evaluating {release.run} ended with {ended.code}:\n{ended.output[-2000:]}")
        if "distill: done before" not in ended.output:
            raise SystemExit(
                f"The student of {release.run} was trained anew: finish the run with this release first."
            )
        recorded = json.loads((copy / "results.json").read_text())["cost"]["evaluate_seconds"]
    return {"wall": ended.wall, "cpu": ended.cpu, "evaluate_seconds": recorded}


def main(
    run: Annotated[Path, typer.Option(help="A finished run of this release, such as the demo.")] = Path(
        "runs/demo"
    ),
    repeats: Annotated[int, typer.Option(min=1, help="How often each is evaluated.")] = 1,
) -> None:
    """CPU and wall seconds of an evaluation, over those of 728a73c (bar: 2)."""
    times = in_turn(run, repeats, timed_evaluation)

    def ratio(clock: str) -> float:
        now, before = (median(each[clock] for each in of) for of in (times.now, times.before))
        return now / before

    bars = {"evaluate_ratio": ratio("wall"), "evaluate_cpu_ratio": ratio("cpu")}
    keep("evaluation_time", {"baseline": BASELINE, "seconds": times.by_name}, bars)


if __name__ == "__main__":
    typer.run(main)
