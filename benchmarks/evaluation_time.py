"""How long `starrec evaluate` takes here, over what it took at commit 728a73c, for the demo.

    .venv/bin/python benchmarks/evaluation_time.py [--run runs/demo] [--repeats 1]

Each finished run is copied without its evaluation, and evaluated anew by its own release: this checkout's, and
that of `benchmarks/baseline.sh`, which is made first where it is missing (25 minutes). Both read the data and
count the graph again. The two take turns. CPU seconds are those of all processes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import typer

from record import keep

HERE: Final = Path(__file__).parent
_OURS: Final = (sys.executable, "-c", "from starrec.cli import main; main()")


def baseline() -> tuple[str, Path]:
    """The `starrec` of the baseline and its demo's run folder."""
    printed = subprocess.run([HERE / "baseline.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout
    paths = dict(line.split(maxsplit=1) for line in printed.splitlines())
    return paths["starrec"], Path(paths["run"])


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


def timed_evaluation(starrec: Sequence[str], run: Path, *, hidden: Sequence[str] = ()) -> dict[str, float]:
    """Wall and CPU seconds of evaluating a copy of a run, and what it recorded itself.

    Args:
        hidden: variables of the environment that it must not see.
    """
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    with tempfile.TemporaryDirectory(prefix="starrec-evaluation-") as scratch:
        copy = without_evaluation(run, Path(scratch) / "run")
        with tempfile.TemporaryFile() as said:
            started = time.monotonic()
            process = subprocess.Popen(
                [*starrec, "evaluate", "--run", str(copy)],
                env=environment,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.monotonic() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            output = said.read().decode(errors="replace")
        if process.returncode or "evaluate: done before" in output:
            raise SystemExit(f"evaluating {run} ended with {process.returncode}:\n{output[-2000:]}")
        if "distill: done before" not in output:
            raise SystemExit(f"The student of {run} was trained anew: finish the run with this release first.")
        recorded = json.loads((copy / "results.json").read_text())["cost"]["evaluate_seconds"]
    return {"wall": seconds, "cpu": used.ru_utime + used.ru_stime, "evaluate_seconds": recorded}


def main(
    run: Annotated[Path, typer.Option(help="A finished run of this release, such as the demo.")] = Path(
        "runs/demo"
    ),
    repeats: Annotated[int, typer.Option(min=1, help="How often each is evaluated.")] = 1,
) -> None:
    """CPU and wall seconds of an evaluation, over those of 728a73c (bar: 2)."""
    theirs, their_run = baseline()
    times: dict[str, list[dict[str, float]]] = {"now": [], "baseline": []}
    for _ in range(repeats):
        # Another PYTHONPATH would put this checkout in the baseline's place.
        times["baseline"].append(timed_evaluation((theirs,), their_run, hidden=("PYTHONPATH", "VIRTUAL_ENV")))
        times["now"].append(timed_evaluation(_OURS, run))
        print({name: taken[-1] for name, taken in times.items()}, file=sys.stderr, flush=True)

    def ratio(clock: str) -> float:
        now, before = (median(each[clock] for each in times[name]) for name in ("now", "baseline"))
        return now / before

    bars = {"evaluate_ratio": ratio("wall"), "evaluate_cpu_ratio": ratio("cpu")}
    keep("evaluation_time", {"baseline": "728a73c", "seconds": times}, bars)


if __name__ == "__main__":
    typer.run(main)
