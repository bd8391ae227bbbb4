"""This checkout beside commit 728a73c: where each lies, what its commands take, and measurements in turn.

`baseline.sh` makes the other checkout with its environment and its demo where they are missing (25 minutes).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import psutil

HERE: Final = Path(__file__).parent
BASELINE: Final = "728a73c"
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Release:
    """A checkout with its environment."""

    python: str
    tree: Path
    run: Path
    """A finished run of it, such as the demo."""
    hidden: tuple[str, ...] = ()
    """Variables that its processes must not see."""

    @property
    def starrec(self) -> tuple[str, ...]:
        """Its command."""
        return (self.python, "-c", "from starrec.cli import main; main()")

    def environment(self, **more: str) -> dict[str, str]:
        """Variables of its processes, with some more."""
        return {name: value for name, value in os.environ.items() if name not in self.hidden} | more


def this(run: Path) -> Release:
    """This checkout, with a finished run of it."""
    return Release(sys.executable, HERE.parent, run.resolve())


def baseline() -> Release:
    """The checkout of commit 728a73c, with its demo."""
    printed = subprocess.run([HERE / "baseline.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout
    paths = dict(line.split(maxsplit=1) for line in printed.splitlines())
    python = str(Path(paths["starrec"]).with_name("python"))
    # Another PYTHONPATH would put this checkout in the baseline's place.
    return Release(python, Path(paths["tree"]), Path(paths["run"]), ("PYTHONPATH", "VIRTUAL_ENV"))


@dataclass(frozen=True)
class Pairs(Generic[_Found]):
    """What both measured, the baseline first and then this checkout each time."""

    now: list[_Found]
    before: list[_Found]

    def ratios(self, value: Callable[[_Found], float]) -> list[float]:
        """A figure of this checkout over that of the baseline measured right before it, pair by pair."""
        return [value(now) / value(before) for now, before in zip(self.now, self.before, strict=True)]

    @property
    def by_name(self) -> dict[str, list[_Found]]:
        """As a benchmark keeps it."""
        return {"now": self.now, "baseline": self.before}


def in_turn(run: Path, pairs: int, measure: Callable[[Release], _Found]) -> Pairs[_Found]:
    """Measure the baseline and this checkout (with this finished run) in turn, so many times."""
    now, before = this(run), baseline()
    found: Pairs[_Found] = Pairs([], [])
    for _ in range(pairs):
        found.before.append(measure(before))
        found.now.append(measure(now))
        print({name: each[-1] for name, each in found.by_name.items()}, file=sys.stderr, flush=True)
    return found


def last_json(release: Release, script: str, *arguments: Path, **more: str) -> Any:
    """The JSON that a script of this folder prints on its last line, run over the release's run by its
    interpreter, in a process of its own.

    Args:
        arguments: after the run.
        more: variables of the environment.
    """
    printed = subprocess.run(
        [release.python, HERE / script, release.run, *arguments],
        check=True, stdout=subprocess.PIPE, text=True, env=release.environment(**more),
    ).stdout  # fmt: skip
    return json.loads(printed.splitlines()[-1])


@dataclass(frozen=True)
class Line:
    """A line that a process printed."""

    text: str
    wall: float
    """Seconds since the process started."""
    cpu: float
    """CPU seconds that it and the processes below it took until then."""


@dataclass(frozen=True)
class Ended:
    """A process that ended."""

    code: int
    wall: float
    """Seconds."""
    cpu: float
    """Seconds of it and of all processes below it that were waited for."""
    peak_gib: float
    """Peak resident set of the largest of them; not less than that of the process that started it, in whose
    memory it begins."""
    lines: list[Line]

    @property
    def output(self) -> str:
        return "\n".join(line.text for line in self.lines)


def ran(command: Sequence[str], environment: dict[str, str], folder: Path | None = None) -> Ended:
    """Run a command in a folder, to its end."""
    started = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    assert process.stdout is not None
    lines = [
        Line(text.rstrip("\n"), time.monotonic() - started, _cpu_seconds(process.pid))
        for text in process.stdout
    ]
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall, cpu = time.monotonic() - started, used.ru_utime + used.ru_stime
    # Until a line they took no more than in all: what is read then is a sum of several clocks' steps.
    lines = [replace(line, cpu=min(line.cpu, cpu)) for line in lines]
    return Ended(process.returncode, wall, cpu, used.ru_maxrss / 2**20, lines)


def _cpu_seconds(pid: int) -> float:
    """Of a process and those below it, also of those that ended."""
    seconds = 0.0
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:  # ended meanwhile: its parent has its seconds
            continue
        seconds += used.user + used.system + used.children_user + used.children_system
    return seconds
