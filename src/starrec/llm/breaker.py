"""What everybody does when a model is down: wait for it together, and let one go first.

After so many failures in a row the breaker opens: whoever wants to ask waits for the cool-down. Then one
request goes as a probe, while the others go on waiting. If it succeeds all go; if it fails, the model is down
for another cool-down, and each of those who waited has failed once more with it, so that all give up in bounded
time.
"""

from __future__ import annotations

import asyncio
import time


class StillDown(Exception):
    """A probe failed while this request waited for the model."""


class Breaker:
    """Of one model; it belongs to no event loop."""

    def __init__(self, failures: int, cool_down: float) -> None:
        """
        Args:
            failures: in a row, after which it opens.
            cool_down: seconds.
        """
        self.open = False
        self._to_open, self._cool_down = failures, cool_down
        self._failures = 0
        self._probe_at = 0.0
        self._probing = False
        self._failed_probes = 0
        self._waiting: list[asyncio.Future[None]] = []

    async def enter(self) -> bool:
        """Wait while the model is down. True for the probe; pass it to `leave` after the attempt.

        Raises:
            StillDown: a probe failed meanwhile.
        """
        failed_probes = self._failed_probes
        while self.open:
            if self._failed_probes != failed_probes:
                raise StillDown
            wait = self._probe_at - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            elif self._probing:
                self._waiting.append(asyncio.get_running_loop().create_future())
                await self._waiting[-1]
            else:
                self._probing = True
                return True
        return False

    def leave(self, probe: bool, alive: bool | None) -> None:
        """After an attempt.

        Args:
            probe: what `enter` gave.
            alive: whether the model showed itself up or down; None where the attempt says neither.
        """
        if alive:
            self._failures, self.open = 0, False
        elif alive is False:
            self._failures += 1
            # Attempts that were under way when it opened say nothing new.
            if probe or (not self.open and self._failures >= self._to_open):
                self.open, self._probe_at = True, time.monotonic() + self._cool_down
                self._failed_probes += probe
        if probe:
            self._probing = False
            waiting, self._waiting = self._waiting, []
            for waits in waiting:
                if not waits.done() and not waits.get_loop().is_closed():
                    waits.set_result(None)
