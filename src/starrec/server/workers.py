"""Several processes that answer on one socket, and this one, which watches them.

Each worker is a whole server: it loads the run, batches and ranks by itself, on a core of its own. They share
the socket (whoever is free takes the next connection, and none is lost with a worker that dies), the database
of events, the evidence and the keys. What they count is added up by Prometheus' client in files of a folder
that lives as long as this process. A worker that dies is replaced; workers end with this process, however it
ends.

Needs the extra `serve`.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final

from prometheus_client import multiprocess

from starrec.errors import StarrecError
from starrec.server.asgi import App
from starrec.server.listening import serve
from starrec.server.metrics import SHARED_FOLDER
from starrec.server.observing import log_json

_LOG: Final = logging.getLogger(__name__)
_LOOK_SECONDS: Final = 0.5
"""How often is looked whether to stop."""
_SOON_SECONDS: Final = 10.0
"""A worker that dies sooner after its start is not replaced at once."""
_PAUSE_SECONDS: Final = 2.0
_SPARE_SECONDS: Final = 10
"""Beyond its grace, after which a worker that does not end is killed."""
_CANNOT: Final = 3
"""Exit code of a worker that would fail again."""


def serve_with_workers(
    build: Callable[[], App], listening: socket.socket, workers: int, *, grace: int, **settings: Any
) -> None:
    """Answer until this process is told to stop.

    Args:
        build: makes a worker's application, in that process; must pickle.
        grace: seconds that requests under way may take then.
        settings: more of `uvicorn.Config`.

    Raises:
        StarrecError: the application cannot be made.
    """
    stop = threading.Event()
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="starrec-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        started: dict[SpawnProcess, float] = {}

        def start() -> None:
            arguments = (build, listening, grace, settings)
            process = multiprocessing.get_context("spawn").Process(target=_work, args=arguments)
            process.start()
            started[process] = time.monotonic()

        try:
            for _ in range(workers):
                start()
            while not stop.is_set():
                wait([process.sentinel for process in started], timeout=_LOOK_SECONDS)
                for process in [each for each in started if not each.is_alive()]:
                    lived = time.monotonic() - started.pop(process)
                    if stop.is_set():
                        break
                    if process.exitcode == _CANNOT:
                        raise StarrecError("The workers cannot serve this run; their log says why.")
                    fields = {"pid": process.pid, "exit_code": process.exitcode, "seconds": round(lived, 1)}
                    _LOG.error("a worker died and is replaced", extra={"fields": fields})
                    multiprocess.mark_process_dead(process.pid, folder)  # type: ignore[no-untyped-call]
                    if lived < _SOON_SECONDS:
                        stop.wait(_PAUSE_SECONDS)
                    start()
        finally:
            _end(started, grace + _SPARE_SECONDS)
            del os.environ[SHARED_FOLDER]


def _end(processes: Mapping[SpawnProcess, float], seconds: float) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        process.kill()
        process.join()


def _work(build: Callable[[], App], listening: socket.socket, grace: int, settings: Mapping[str, Any]) -> None:
    log_json()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        app = build()
    except StarrecError as error:
        _LOG.error("cannot serve", extra={"fields": {"reason": str(error)}})
        sys.exit(_CANNOT)
    serve(app, listening, grace=grace, **settings)


def _end_with_parent() -> None:
    """Whoever nobody watches any more ends what it began, and itself."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
