"""Microseconds of gathering the evidence of each test user's first task, once, on one thread.

Run by `evidence.py ratio`, in a process of its own, with the interpreter of either release: this one's or that
of commit 728a73c (`baseline.sh`). It therefore imports only what both have. Prints a JSON list.

    python benchmarks/evidence_requests.py RUN
"""

import gc
import importlib
import json
import sys
import time
from pathlib import Path


def main(run: Path) -> None:
    """Gather all tasks once to warm up, then each once more under the clock, garbage collection off."""
    try:
        reopen = importlib.import_module("starrec.pipeline.reopening").reopen  # 728a73c
    except ModuleNotFoundError:
        reopen = importlib.import_module("starrec.pipeline.tasks").reopen
    tasks = reopen(run)
    world = tasks.prepared.world
    asked = list({task.user: task for task in reversed(tasks.test[0])}.values())
    for task in asked:
        assert world.toolbox(task).evidence.levels.shape[0] == 10
    gc.disable()
    taken = []
    for task in asked:
        toolbox = world.toolbox(task)
        started = time.perf_counter()
        # Lazy in this release, made at once in the other: both pay for it here.
        _ = toolbox.evidence.levels
        taken.append(1e6 * (time.perf_counter() - started))
    print(json.dumps(taken))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
