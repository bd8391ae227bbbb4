"""Iterators as streams: what a thread computes step by step, sent on as it comes.

A trace takes seconds, so it has a thread of its own and does not hold up what is ranked meanwhile. So many may
be written at once; a further one is refused. Whoever stops reading stops the thread after its step.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from starrec.server.batching import Overloaded

T = TypeVar("T")

_RETRY_SECONDS: Final = 5
"""About what a trace takes."""


@dataclass(frozen=True, slots=True)
class _Ended:
    error: Exception | None


class Streams:
    """Runs iterators in threads, so many at once. Belongs to the event loop that uses it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way = 0

    async def open(self, make: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
        """The steps of an iterator. Returns when the first one is there.

        Args:
            make: called by the thread; what it or the iterator raises is raised here: before the first step by
                this call, later by the stream.

        Raises:
            Overloaded: as many as allowed are under way.
        """
        if self._under_way >= self._most:
            raise Overloaded(
                f"{self._under_way} traces are being written already. Ask again in {_RETRY_SECONDS} s.",
                _RETRY_SECONDS,
            )
        self._under_way += 1
        loop, steps, stopped = asyncio.get_running_loop(), asyncio.Queue[T | _Ended](), threading.Event()

        def end(error: Exception | None) -> None:
            self._under_way -= 1
            steps.put_nowait(_Ended(error))

        def work() -> None:
            failed: Exception | None = None
            try:
                for step in make():
                    if stopped.is_set():
                        break
                    loop.call_soon_threadsafe(steps.put_nowait, step)
            except Exception as error:
                failed = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(end, failed)

        threading.Thread(target=work, name="starrec-trace", daemon=True).start()
        try:
            first = await steps.get()
        except asyncio.CancelledError:
            stopped.set()
            raise
        if isinstance(first, _Ended) and first.error is not None:
            raise first.error

        async def stream() -> AsyncIterator[T]:
            step = first
            try:
                while not isinstance(step, _Ended):
                    yield step
                    step = await steps.get()
                if step.error is not None:
                    raise step.error
            finally:
                stopped.set()

        return stream()
