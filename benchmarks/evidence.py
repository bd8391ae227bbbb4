"""What gathering the evidence of a task costs, part by part, and over commit 728a73c.

    .venv/bin/python benchmarks/evidence.py parts [--run runs/demo]
    .venv/bin/python benchmarks/evidence.py ratio [--run runs/demo] [--pairs 5]
    .venv/bin/python benchmarks/evidence.py threads [--run runs/demo]

One request is the first test task of a user, 943 of them on MovieLens-100K, in turn: each finds the processor's
caches as the user before left them. `ratio` compares with the checkout and the demo of `baseline.sh`, which it
makes where they are missing (25 minutes).
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import numpy as np
import typer

from record import keep
from releases import BASELINE, Release, in_turn, last_json
from starrec.pipeline.tasks import reopen
from starrec.signals import TaskView, gather, gather_many, kernels, similar_users, sweep
from starrec.signals.evidence import NEIGHBOURS, RECENT, TASTE_WINDOW, WHOLE
from starrec.signals.gathering import BETA, DECAYS, SLOW_DECAYS

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode=None)

Run = Annotated[Path, typer.Option(help="A run with data, such as the demo.")]
_ONE_THREAD: Final = {name: "1" for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
_DEMO: Final = Path("runs/demo")


def percentiles(microseconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99."""
    return {f"p{level}": round(float(np.percentile(microseconds, level)), 1) for level in (50, 95, 99)}


def request_views(run: Path) -> list[Callable[[], TaskView]]:
    """What makes the view of each user's first test task."""
    tasks = reopen(run)
    world = tasks.prepared.world
    world.graph.counts.ease()
    asked = {task.user: task for task in reversed(tasks.test[0])}.values()
    return [lambda task=task: TaskView.of(world.graph, world.semantics, task) for task in asked]


@app.command()
def parts(run: Run = _DEMO) -> None:
    """Microseconds of each part of `gather`, one after the other for each request."""
    requests = request_views(run)
    found: dict[str, list[float]] = {}
    for warm in (True, False):
        found.clear()
        gc.disable()
        for request in requests:
            _gather_in_parts(request, found)
        gc.enable()
        print("compiled" if warm else "measured", file=sys.stderr)
    whole = []
    for request in requests:
        started = time.perf_counter()
        _ = gather(request()).levels
        whole.append(1e6 * (time.perf_counter() - started))
    microseconds = {part: percentiles(taken) for part, taken in found.items()}
    for part, levels in {**microseconds, "all": percentiles(whole)}.items():
        print(f"{part:14} {levels['p50']:8.1f} {levels['p95']:8.1f}", file=sys.stderr)
    keep("evidence_parts", {"microseconds": microseconds, "all": percentiles(whole), "load": os.getloadavg()})


def _gather_in_parts(request: Callable[[], TaskView], found: dict[str, list[float]]) -> None:
    """As `gather`, with the time after each part."""
    last = time.perf_counter()

    def done(part: str) -> None:
        nonlocal last
        now = time.perf_counter()
        found.setdefault(part, []).append(1e6 * (now - last))
        last = time.perf_counter()

    view = request()
    done("view")
    graph, candidates = view.graph, view.candidates
    history = view.history[-WHOLE:]
    recent = history[-RECENT:]
    asked = np.concatenate([history, candidates])
    start, end, users, places = graph.postings(asked)
    done("postings")
    lengths, left_out, own = graph.counts.lengths, graph.user, slice(len(history))
    numbers, met, whole, nearness, totals, _ = similar_users.neighbourhoods(
        start[own], end[own], users, len(recent), lengths, graph.user_ties, left_out, NEIGHBOURS
    )
    done("similar users")
    sweep.sweep(
        start, end, users, places, len(history), numbers, met, whole, nearness, totals, len(recent), DECAYS,
        lengths, left_out, BETA, graph.pair_table.counts, graph.pair_table.rows[asked],
    )  # fmt: skip
    done("sweep")
    kernels.decayed_sums(graph.ease(history, candidates), SLOW_DECAYS)
    done("EASE")
    if view.day is not None:
        graph.recent_choices(candidates, view.day)
    done("trend")
    kernels.category_shares(view.semantics.category, history[-TASTE_WINDOW:], candidates)
    done("category")
    kernels.decayed_means(view.semantics.similarities(recent, candidates), DECAYS)
    done("semantic")


@app.command()
def ratio(run: Run = _DEMO, pairs: Annotated[int, typer.Option(min=1)] = 5) -> None:
    """p50 of one request over 728a73c's, the two in turn, a process and one thread each (bars: 0.5 and 1).

    One sweep gives all signals and the ten are not gathered apart, so both bars are of the same call.
    """
    taken = in_turn(run, pairs, _requests)
    ratios = taken.ratios(lambda each: each["p50"])
    content = {"baseline": BASELINE, "microseconds": taken.by_name, "ratios": ratios, "load": os.getloadavg()}
    keep("evidence_ratio", content, {"evidence_ratio": median(ratios), "evidence_all_ratio": median(ratios)})


def _requests(release: Release) -> dict[str, float]:
    return percentiles(last_json(release, "evidence_requests.py", **_ONE_THREAD))


@app.command()
def threads(run: Run = _DEMO, most: Annotated[int, typer.Option(min=1)] = 2) -> None:
    """Tasks a second of `gather_many`, by threads."""
    views = [request() for request in request_views(run)]
    gather_many(views[:100])
    rates: dict[str, Any] = {}
    for count in range(1, most + 1):
        started = time.perf_counter()
        gather_many(views, count)
        rates[str(count)] = round(len(views) / (time.perf_counter() - started))
    keep("evidence_threads", {"tasks_per_second": rates, "load": os.getloadavg()})


if __name__ == "__main__":
    app()
