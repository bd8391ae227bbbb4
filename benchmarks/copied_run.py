"""A run to train on without writing into it: benchmarks open a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from starrec.engines import Workers
from starrec.pipeline.session import Session
from starrec.pipeline.tasks import Tasks
from starrec.runs import Product, Run
from starrec.tools import World


class CopiedRun(NamedTuple):
    """A copy of a run that has a student."""

    session: Session
    workers: Workers[World]
    student: Product


@contextmanager
def copied_run(run: Path, tasks: Tasks) -> Iterator[CopiedRun]:
    """A copy of a run, open, as long as the block lasts.

    Args:
        tasks: of the run, reopened.

    Raises:
        SystemExit: it has no student.
    """
    with TemporaryDirectory() as scratch:
        copy = Path(scratch) / "run"
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns(".lock", ".holder", "evaluate", "controls"))
        with (
            Run.open(copy, (copy / "config.toml").read_text(encoding="utf-8")) as opened,
            Workers(tasks.prepared.world) as workers,
        ):
            student = opened.current("distill")
            if student is None:
                raise SystemExit(f"{run} holds no finished student.")
            yield CopiedRun(Session(opened, tasks.config, print, None), workers, student)
