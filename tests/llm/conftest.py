"""An event loop whose clock moves only while everything waits, so that waits are measured and not waited."""

import asyncio
import selectors

import pytest


class _Selector(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout=None):
        self.now += timeout or 0.0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._waiting = _Selector()
        super().__init__(self._waiting)

    def time(self):
        return self._waiting.now


@pytest.fixture
def run_on_virtual_clock():
    """Runs a coroutine in a new event loop that begins at second 0."""

    def run(coroutine):
        with asyncio.Runner(loop_factory=_Loop) as runner:
            return runner.run(coroutine)

    return run
