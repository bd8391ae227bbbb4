"""What the whole demo takes, over commit 728a73c: seconds, by step too, and memory.

    .venv/bin/python benchmarks/demo.py [--config configs/demo.toml]
    .venv/bin/python benchmarks/demo.py --only ours
    .venv/bin/python benchmarks/demo.py --baseline benchmarks/results/demo.json

Each runs what its `make demo` runs, into a new run folder, with everything installed and the data fetched:
first 728a73c (`baseline.sh` makes it where it is missing), then this checkout. `--baseline FILE` takes the
first from an earlier result, which must be of the same machine in the same hours. Ratios are of wall seconds,
with those of CPU seconds of all processes beside them. A step ends with the last line that begins with its
name, so that starting and reading are `data`, and counting the graph is `signals`. Memory is the peak resident
set of the largest process, workers included.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from record import keep
from releases import BASELINE, Ended, Release, baseline, ran, this
from starrec.evaluation import environment

STEPS: Final = ("data", "signals", "teach", "distill", "evaluate")
_CLOCKS: Final = ("wall", "cpu")


def demo(release: Release, config: Path) -> dict[str, Any]:
    """Seconds and memory of a run of this configuration from nothing, and its steps' seconds."""
    # As its Makefile sets it.
    variables = release.environment(OMP_WAIT_POLICY=os.environ.get("OMP_WAIT_POLICY", "passive"))
    with tempfile.TemporaryDirectory(prefix="starrec-demo-") as scratch:
        command = [*release.starrec, "run", "--config", str(config), "--run", str(Path(scratch) / "run")]
        ended = ran(command, variables, release.tree)
    if ended.code:
        raise SystemExit(f"The demo of {release.tree} ended with {ended.code}:\n{ended.output[-2000:]}")
    return {
        "wall": ended.wall,
        "cpu": ended.cpu,
        "peak_gib": ended.peak_gib,
        "steps": {clock: seconds_by_step(ended, clock) for clock in _CLOCKS},
    }


def seconds_by_step(ended: Ended, clock: Literal["wall", "cpu"]) -> dict[str, float]:
    """Seconds of each step, by the last line that begins with its name; the last ends with the process."""
    ends = {
        step: getattr(line, clock)
        for line in ended.lines
        for step in STEPS[:-1]
        if line.text.startswith(f"{step}: ")
    }
    if list(ends) != list(STEPS[:-1]):
        raise SystemExit(
            f"Of the steps {', '.join(STEPS[:-1])} only {', '.join(ends)} were announced, in order."
        )
    times = [0.0, *ends.values(), getattr(ended, clock)]
    return {step: end - start for step, start, end in zip(STEPS, times, times[1:], strict=False)}


def main(
    config: Annotated[Path, typer.Option(help="Configuration, of each checkout.")] = Path("configs/demo.toml"),
    only: Annotated[
        Literal["ours"] | None, typer.Option(help="`ours`: without 728a73c; only the memory is a bar then.")
    ] = None,
    baseline_of: Annotated[
        Path | None,
        typer.Option(
            "--baseline", help="An earlier result of this row on this machine, whose 728a73c is taken."
        ),
    ] = None,
) -> None:
    """Seconds and memory of the demo (bars: half the time, a third of it for `distill`; 1.5 GiB)."""
    found: dict[str, dict[str, Any]] = {}
    earlier: dict[str, Any] = {}
    if baseline_of is not None:
        kept = json.loads(baseline_of.read_text(encoding="utf-8"))
        if kept["config"] != str(config) or kept["environment"]["machine"] != environment()["machine"]:
            raise SystemExit(f"{baseline_of} is of another configuration or machine.")
        found["baseline"] = kept["baseline"]
        earlier = {"baseline_measured": {"date": kept["date"], "commit": kept["commit"]}}
    for name in ("now",) if only or earlier else ("baseline", "now"):
        found[name] = demo(baseline() if name == "baseline" else this(Path("runs/demo")), config)
        print(name, found[name], file=sys.stderr, flush=True)
    now = found["now"]
    content: dict[str, Any] = {"config": str(config), "load": os.getloadavg(), **earlier, **found}
    bars: dict[str, float] = {}
    if "baseline" in found:
        before = found["baseline"]
        ratios = {
            clock: {
                "demo": now[clock] / before[clock],
                **{step: now["steps"][clock][step] / before["steps"][clock][step] for step in STEPS},
            }
            for clock in _CLOCKS
        }
        content |= {"compared_with": BASELINE, "ratios": ratios}
        bars = {"demo_ratio": ratios["wall"]["demo"], "distill_ratio": ratios["wall"]["distill"]}
    bars["demo_memory_gib"] = now["peak_gib"]
    standard = config == Path("configs/demo.toml")
    keep("_".join(["demo", *([] if standard else [config.stem]), *([only] if only else [])]), content, bars)


if __name__ == "__main__":
    typer.run(main)
