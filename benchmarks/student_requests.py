"""Milliseconds of fast mode, request by request, and tasks a second in a batch.

Run by `student.py speed`, in a process of its own, with the interpreter of either release: this one's or that
of commit 728a73c (`baseline.sh`). It therefore imports only what both have. Prints a JSON object.

    python benchmarks/student_requests.py RUN
"""

import gc
import importlib
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

_WARM = 50
_RETRIEVED = 100
_LONG = 200
"""Users whose retrieved items are ranked."""


def main(run: Path) -> None:
    """Rank each test user's first task once, after a warm-up; then 100 candidates; then all in one batch."""
    star, tasks, teacher = _opened(run)
    asked = list({task.user: task for task in reversed(tasks.test[0])}.values())
    found = {"one": _timed(star.rank, asked), "teacher": _timed(teacher, asked)}
    retrieve = importlib.import_module("starrec.tools").retrieve
    graph = star.world.graph
    long = [
        replace(task, candidates=retrieve(graph, task.user, task.history, _RETRIEVED)) for task in asked[:_LONG]
    ]
    try:
        found["hundred"] = _timed(star.rank, long)
    except Exception as error:  # 728a73c has labels for 26
        found["hundred_error"] = type(error).__name__
    found["twenty"] = _timed(star.rank, asked[:_LONG])
    star.rank_many(asked[:_WARM])
    started = time.perf_counter()
    star.rank_many(asked)
    found["batch_per_s"] = len(asked) / (time.perf_counter() - started)
    print(json.dumps(found))


def _opened(run: Path):
    star = importlib.import_module("starrec.student").Star
    engines, rank_with_teacher = (
        importlib.import_module("starrec.engines"),
        importlib.import_module("starrec.teacher").rank_with_teacher,
    )
    try:
        tasks = importlib.import_module("starrec.pipeline.reopening").reopen(run)  # 728a73c
        folder = run / "student" / "star"
    except ModuleNotFoundError:
        tasks = importlib.import_module("starrec.pipeline.tasks").reopen(run)
        folder = importlib.import_module("starrec.runs").current_product(run, "distill").path("star")
    alone = engines.Workers(tasks.prepared.world, 1)
    return (
        star.load(folder, tasks.prepared.world),
        tasks,
        lambda task: rank_with_teacher(alone, [task], tasks.config.teacher.seed),
    )


def _timed(rank, asked) -> list[float]:
    for task in asked[:_WARM]:
        rank(task)
    gc.disable()
    taken = []
    for task in asked:
        started = time.perf_counter()
        rank(task)
        taken.append(1e3 * (time.perf_counter() - started))
    gc.enable()
    return taken


if __name__ == "__main__":
    main(Path(sys.argv[1]))
