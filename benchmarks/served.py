"""Servers that benchmarks start: `starrec serve` and `starrec mcp` over a run, each in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psutil

from starrec.config import dump_toml
from starrec.pipeline.config import RunConfig, recorded_config

_PROGRAM: Final = (sys.executable, "-c", "from starrec.cli import main; main()")


@dataclass
class Server:
    """`starrec serve` over a run."""

    folder: Path
    process: subprocess.Popen[str]
    url: str
    listening: float
    """Seconds from its start until it took connections."""
    ready: float = 0.0
    """Seconds from its start until the run was loaded."""

    @classmethod
    def start(cls, folder: Path, **environment: str) -> Server:
        command = [*_PROGRAM, "serve", "--no-auth", "--port", "0", "--run", str(folder)]
        log = (folder / "serve.log").open("w")
        started = time.perf_counter()
        # A file, not a pipe: nobody reads while it is driven.
        process = subprocess.Popen(command, stderr=log, text=True, env={**os.environ, **environment})
        while not (found := re.search(r" at (http://\S+)", (folder / "serve.log").read_text())):
            assert process.poll() is None, (folder / "serve.log").read_text()
            time.sleep(0.02)
        server = cls(folder, process, found[1], time.perf_counter() - started)
        while httpx.get(f"{server.url}/readyz").status_code != 200:
            time.sleep(0.05)
        server.ready = time.perf_counter() - started
        return server

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(60)

    @property
    def memory(self) -> float:
        """MiB that are resident."""
        return _memory(self.process)


@contextmanager
def links(run: Path, **settings: float) -> Iterator[Path]:
    """A folder that leads to all of a run, with a configuration and events of its own."""
    with tempfile.TemporaryDirectory(prefix="starrec-serving-") as name:
        folder = Path(name)
        for path in run.absolute().iterdir():
            if path.name not in ("config.toml", "keys.json") and not path.name.startswith("events.sqlite"):
                (folder / path.name).symlink_to(path)
        config = recorded_config(run) or RunConfig()
        serving = config.serving.model_copy(update=settings)
        toml = dump_toml(config.model_copy(update={"serving": serving}))
        (folder / "config.toml").write_text(toml, encoding="utf-8")
        yield folder


@contextmanager
def served(run: Path, **settings: float) -> Iterator[Server]:
    with links(run, **settings) as folder:
        server = Server.start(folder)
        try:
            yield server
        finally:
            server.stop()


def started_mcp(folder: Path, **environment: str) -> dict[str, float]:
    """Seconds until `starrec mcp` answers over stdio, and MiB resident then."""
    started = time.perf_counter()
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    command = [*_PROGRAM, "mcp", "--run", str(folder)]
    with subprocess.Popen(command, text=True, env={**os.environ, **environment}, **pipes) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("answering")
        size = {"ready_s": time.perf_counter() - started, "ready_mib": _memory(process)}
        process.communicate()
    return {key: round(value, 2) for key, value in size.items()}


def _memory(process: subprocess.Popen[str]) -> float:
    """MiB that are resident."""
    return psutil.Process(process.pid).memory_info().rss / 2**20
