"""Micro-batching: requests that arrive while a batch is computed make up the next one.

One thread computes at a time, so that a model need not be safe for threads. It never waits for more requests: a
request that finds it idle is a batch of one, and under load batches grow by themselves. The queue is bounded;
what finds it full is refused at once, with the time after which it is worth asking again. A request whose
caller went away is dropped before it is computed.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from starrec.errors import StarrecError

Q = TypeVar("Q")
A = TypeVar("A")

_SMOOTHING: Final = 0.9
"""Weight of the past in the seconds that a request takes."""


class Overloaded(StarrecError):
    """More is asked than can be answered; ask again after so many seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Closed(StarrecError):
    """The server is stopping."""


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Q, A]):
    request: Q
    answer: asyncio.Future[A]
    quick: bool


class Batcher(Generic[Q, A]):
    """A bounded queue before a function that answers several requests at once. Belongs to the event loop that
    made it."""

    def __init__(
        self,
        compute: Callable[[list[Q]], Sequence[A | StarrecError]],
        *,
        queue: int,
        batch: int,
        computed: Callable[[int, float], None] = lambda requests, seconds: None,
    ) -> None:
        """Args:
        compute: an answer or an error for each request, in their order. If it raises, each request of the
            batch is computed alone, so that one cannot fail the others.
        queue: requests that may wait at most.
        batch: requests computed at once at most.
        computed: is told, by the computing thread, each batch's size and its seconds.
        """
        self._compute, self._queue, self._batch, self._computed = compute, queue, batch, computed
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting[Q, A]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._idle = True
        self._due = False
        self._seconds = 0.0
        self._thread = threading.Thread(target=self._work, name="starrec-batches", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    async def ask(self, request: Q, *, quick: bool = False) -> A:
        """The answer to one request.

        Args:
            quick: computed by the event loop itself where nothing else is asked, with the others of its kind
                that came in the same turn of the loop: for what takes less time than waking the computing
                thread and being woken by it.

        Raises:
            Overloaded: the queue is full.
            Closed: the server is stopping.
            StarrecError: the answer is that.
        """
        waiting: _Waiting[Q, A] = _Waiting(request, self._loop.create_future(), quick)
        with self._changed:
            if self._closed:
                raise Closed("The server is stopping. Ask another one, or again when it has started.")
            if len(self._waiting) >= self._queue:
                seconds = max(1, math.ceil(len(self._waiting) * self._seconds))
                raise Overloaded(
                    f"{len(self._waiting)} requests wait already. Ask again in {seconds} s.", seconds
                )
            self._waiting.append(waiting)
            if not quick:
                self._changed.notify()
            elif self._idle and not self._due:
                self._due = True
                self._loop.call_soon(self._at_once)
        return await waiting.answer

    async def close(self) -> None:
        """Take no more requests, and return when those that wait are answered."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    def _at_once(self) -> None:
        """Compute the quick requests that came in this turn of the event loop."""
        with self._changed:  # the computing thread takes nothing meanwhile
            self._due = False
            batch: list[_Waiting[Q, A]] = []
            while self._idle and self._waiting and self._waiting[0].quick and len(batch) < self._batch:
                self._take(batch)
            if batch:
                _deliver(batch, self._timed(batch))
            if self._idle and self._waiting and self._waiting[0].quick:
                # One batch a turn: what else the loop has to do goes on between them.
                self._due = True
                self._loop.call_soon(self._at_once)

    def _take(self, batch: list[_Waiting[Q, A]]) -> None:
        waiting = self._waiting.popleft()
        if not waiting.answer.cancelled():
            batch.append(waiting)

    def _work(self) -> None:
        while batch := self._next():
            self._loop.call_soon_threadsafe(_deliver, batch, self._timed(batch))

    def _next(self) -> list[_Waiting[Q, A]]:
        """The next batch; empty when there will be none."""
        batch: list[_Waiting[Q, A]] = []
        with self._changed:
            self._idle = True
            while not batch:
                while self._waiting and len(batch) < self._batch:
                    self._take(batch)
                if not batch:
                    if self._closed:
                        break
                    self._changed.wait()
            self._idle = False
        return batch

    def _timed(self, batch: Sequence[_Waiting[Q, A]]) -> Sequence[A | Exception]:
        started = time.monotonic()
        answers = self._answers([each.request for each in batch])
        seconds = time.monotonic() - started
        mean = seconds / len(batch)
        self._seconds = mean if not self._seconds else self._seconds * _SMOOTHING + mean * (1 - _SMOOTHING)
        self._computed(len(batch), seconds)
        return answers

    def _answers(self, requests: list[Q]) -> Sequence[A | Exception]:
        try:
            return self._compute(requests)
        except Exception as error:
            if len(requests) == 1:
                return [error]
        return [answer for request in requests for answer in self._answers([request])]


def _deliver(batch: Sequence[_Waiting[Q, A]], answers: Sequence[A | Exception]) -> None:
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.answer.done():
            continue  # cancelled while it was computed
        if isinstance(answer, Exception):
            waiting.answer.set_exception(answer)
        else:
            waiting.answer.set_result(answer)
