"""Where the time of fast mode goes, part by part, and what else could run its network.

    .venv/bin/python benchmarks/student_parts.py parts [--run runs/demo]
    .venv/bin/python benchmarks/student_parts.py network [--run runs/demo]

One thread, in this process; medians of requests in turn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from record import keep
from starrec.data import RankingTask
from starrec.ranking import from_scores
from starrec.student import Star
from starrec.student.rows import N_NUMBERS, hashed_order, rows_of_evidence
from starrec.tools import NOMINATED, retrieve
from student import opened

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True, rich_markup_mode=None)

_Run = Annotated[Path, typer.Option("--run", help="A finished run, such as the demo.")]
_DEMO: Final = Path("runs/demo")
_REQUESTS: Final = 400
_WARM: Final = 50
_SHAPES: Final = ((1, 20), (1, 100), (1, 200), (256, 20))
_TIMES: Final = 200


@app.command()
def parts(run: _Run = _DEMO) -> None:
    """Milliseconds of each part of a request, of 20 candidates and of 100 retrieved ones."""
    star, tasks = opened(run)
    graph = star.world.graph
    twenty = [task for task in tasks.test[0] if task.draw == 0][: _REQUESTS + _WARM]
    hundred = [replace(task, candidates=retrieve(graph, task.user, task.history, NOMINATED)) for task in twenty]
    found = {name: _parts(star, asked) for name, asked in (("20", twenty), ("100", hundred))}
    for name, of in found.items():
        print(f"{name} candidates: " + ", ".join(f"{part} {value:.3f} ms" for part, value in of.items()))
    keep("student_parts", {"requests": _REQUESTS, "milliseconds": found, "load": os.getloadavg()})


def _parts(star: Star, asked: list[RankingTask]) -> dict[str, float]:
    taken: dict[str, list[float]] = {}

    def timed(part: str, done: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = done()
        taken.setdefault(part, []).append(1e3 * (time.perf_counter() - started))
        return result

    for task in asked:
        timed("whole request", lambda task=task: star.rank(task))
        evidence = timed("evidence", lambda task=task: star.world.toolbox(task).evidence)
        order = timed("order of candidates", lambda task=task: hashed_order(task.candidates))
        numbers = timed("rows", lambda evidence=evidence, order=order: rows_of_evidence(evidence, order))
        scores = timed("network", lambda numbers=numbers: star.fast.score(numbers[None]))[0]
        timed("ranking", lambda task=task, scores=scores: from_scores(task.candidates, scores, 0))
    return {part: median(of[_WARM:]) for part, of in taken.items()}


@app.command()
def network(run: _Run = _DEMO) -> None:
    """The network alone: as it is served (ONNX Runtime), in PyTorch, compiled by it, and its floor, which is
    the same matrix products and nothing else."""
    star, _ = opened(run)
    compiled = torch.compile(star.model.candidate_scores, dynamic=True)
    ways: dict[str, Callable[[NDArray[np.float32]], Any]] = {
        "ONNX Runtime": star.fast.score,
        "PyTorch": lambda numbers: star.model.candidate_scores(torch.from_numpy(numbers)),
        "torch.compile": lambda numbers: compiled(torch.from_numpy(numbers)),
    }
    random = np.random.default_rng(0)
    found: dict[str, Mapping[str, float | None]] = {}
    for n, c in _SHAPES:
        numbers = random.normal(size=(n, c, N_NUMBERS)).astype(np.float32)
        products = _products(star, n * c, random)
        tried = {**ways, "floor: matrix products": lambda _, products=products: [a @ b for a, b in products]}
        found[f"{n} x {c}"] = _in_turn(tried, numbers)
        print(f"{n} x {c}: {found[f'{n} x {c}']}", flush=True)
    keep("student_network", {"milliseconds": found, "load": os.getloadavg()})


def _products(
    star: Star, positions: int, random: np.random.Generator
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Inputs and weights of the network's linear layers."""
    linear = [
        module
        for name, module in star.model.named_modules()
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name
    ]
    return [
        (
            random.normal(size=(positions, module.in_features)).astype(np.float32),
            np.ascontiguousarray(module.weight.detach().numpy().T),
        )
        for module in linear
    ]


def _in_turn(
    ways: Mapping[str, Callable[[NDArray[np.float32]], Any]], numbers: NDArray[np.float32]
) -> dict[str, float | None]:
    """Median milliseconds of each way; None for one that cannot run here."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for time_of in range(_TIMES):
            for name, way in ways.items():
                if name not in taken:
                    continue
                started = time.perf_counter()
                try:
                    way(numbers)
                except Exception as error:  # torch.compile without a C++ compiler, or beyond its version
                    print(f"{name} cannot run here: {type(error).__name__}")
                    del taken[name]
                    continue
                if time_of >= _TIMES // 10:
                    taken[name].append(1e3 * (time.perf_counter() - started))
    return {name: median(taken[name]) if name in taken else None for name in ways}


if __name__ == "__main__":
    app()
