"""How fast one model is asked: so many requests at once, so many requests and tokens in any minute.

Times are of `time.monotonic`. Nothing here belongs to an event loop, so that the same model can be asked from
one `asyncio.run` after another.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

MINUTE: Final = 60.0


@dataclass(slots=True)
class Taken:
    """A part of a minute's allowance."""

    when: float
    amount: float


class Allowance:
    """At most so much in any stretch of `period` seconds (a sliding window); `limit` 0 for no limit."""

    def __init__(self, limit: float, period: float = MINUTE) -> None:
        self._limit = limit
        self._period = period
        self._taken: deque[Taken] = deque()

    async def take(self, amount: float) -> Taken:
        """Wait until the amount fits, and take it. One greater than the limit goes when nothing else does.

        What was taken may be corrected by setting its `amount`, once it is known.
        """
        while (wait := self._wait(amount)) > 0:
            await asyncio.sleep(wait)
        taken = Taken(time.monotonic(), amount)
        if self._limit:
            self._taken.append(taken)
        return taken

    def _wait(self, amount: float) -> float:
        if not self._limit:
            return 0.0
        now = time.monotonic()
        while self._taken and self._taken[0].when <= now - self._period:
            self._taken.popleft()
        excess = sum(taken.amount for taken in self._taken) + amount - self._limit
        until = now
        for taken in self._taken:
            if excess <= 0:
                break
            excess -= taken.amount
            until = taken.when + self._period
        return until - now


class Pace:
    """The speed limits of one model."""

    def __init__(self, concurrency: int, requests: int, tokens: int, period: float = MINUTE) -> None:
        """
        Args:
            concurrency: requests under way at once.
            requests: a period; 0 for no limit.
            tokens: a period; 0 for no limit.
            period: seconds.
        """
        self._concurrency = concurrency
        self._requests = Allowance(requests, period)
        self._tokens = Allowance(tokens, period)
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    @asynccontextmanager
    async def turn(self, tokens: float) -> AsyncIterator[Taken]:
        """One request's turn; set the `amount` of what is given to what it did take.

        Args:
            tokens: what it will take, by estimate.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._slots:
            self._slots[loop] = asyncio.Semaphore(self._concurrency)
        async with self._slots[loop]:
            await self._requests.take(1)
            yield await self._tokens.take(tokens)
