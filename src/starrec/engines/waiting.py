"""Waiting for what runs beside: futures, and coroutines that are run by code that is none.

`asyncio` refuses to run a loop where one runs in this thread already, as in every notebook.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

Result = TypeVar("Result")
_Given = ParamSpec("_Given")
_LOOKS: Final = 0.2
"""Seconds between looks at whether this process was interrupted."""


def result_of(future: Future[Result]) -> Result:
    """A future's result. Once polars is loaded, a signal ends no wait that has no timeout
    (`findings/polars-restarts-waits.sh`)."""
    _until_done(future)
    return future.result()


class EventLoop:
    """An event loop of its own, in a thread of its own where one runs here; use as a context manager."""

    def __enter__(self) -> Self:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._thread = None
        else:
            self._thread = ThreadPoolExecutor(1)
        self._runner = asyncio.Runner()
        return self

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the coroutine returns; tasks that were started go on meanwhile."""
        return self._there(self._runner.run, work)

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """A task of the coroutine, which goes on whenever something is run."""

        def begun() -> asyncio.Task[Result]:
            return self._runner.get_loop().create_task(work)

        return self._there(begun)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._there(self._runner.close)
        if self._thread is not None:
            self._thread.shutdown()

    def _there(self, act: Callable[_Given, Result], *args: _Given.args, **kwargs: _Given.kwargs) -> Result:
        if self._thread is None:
            return act(*args, **kwargs)
        future = self._thread.submit(act, *args, **kwargs)
        try:
            return result_of(future)
        except KeyboardInterrupt:
            # Only in the main thread does asyncio end what it runs.
            loop = self._runner.get_loop()
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
            _until_done(future)
            raise


def _until_done(future: Future[Any]) -> None:
    while not wait([future], _LOOKS).done:
        pass


def run_async(work: Coroutine[Any, Any, Result]) -> Result:
    """What the coroutine returns, run in a loop of its own."""
    with EventLoop() as loop:
        return loop.run(work)
