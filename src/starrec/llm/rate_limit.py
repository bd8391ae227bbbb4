"""Rate limit of one model: requests under way at once, and requests and tokens a minute (aiolimiter).

A minute's allowance is spread evenly over the minute. A leaky bucket as large as the allowance would let a
burst of it through beside what leaks, which is twice the limit in the first minute. A limiter of aiolimiter
belongs to one event loop, so each loop gets its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from aiolimiter import AsyncLimiter

from starrec.llm.config import LimitsConfig

_MINUTE: Final = 60.0
_SECOND: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Limiters:
    """The limiters of one event loop; None for no limit."""

    slots: asyncio.Semaphore
    requests: AsyncLimiter | None
    tokens: AsyncLimiter | None


class RateLimit:
    """Rate limit of one model. May be used from one event loop after another."""

    def __init__(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, _Limiters] = WeakKeyDictionary()
        self._owed = 0.0

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """One attempt at a request: waits for a free slot and for its share of the requests a minute."""
        limiters = self._of_this_loop()
        async with limiters.slots:
            if limiters.requests is not None:
                await limiters.requests.acquire()
            yield

    async def spend(self, tokens: float) -> None:
        """Wait until so many tokens fit into the limit, corrected by `correct` so far."""
        limiter = self._of_this_loop().tokens
        if limiter is None:
            return
        due = tokens + self._owed
        self._owed = min(due, 0.0)
        # In parts, because a limiter takes at most its capacity at once.
        while due > 0:
            part = min(due, limiter.max_rate)
            await limiter.acquire(part)
            due -= part

    def correct(self, tokens: float) -> None:
        """Charge the next request for tokens that were used beyond what was spent; negative for fewer."""
        if self._limits.tokens_per_minute:
            self._owed += tokens

    def _of_this_loop(self) -> _Limiters:
        loop = asyncio.get_running_loop()
        if loop not in self._limiters:
            requests, tokens = self._limits.requests_per_minute, self._limits.tokens_per_minute
            self._limiters[loop] = _Limiters(
                asyncio.Semaphore(self._limits.concurrency),
                AsyncLimiter(1, _MINUTE / requests) if requests else None,
                AsyncLimiter(tokens / _MINUTE, _SECOND) if tokens else None,
            )
        return self._limiters[loop]
