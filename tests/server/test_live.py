"""A run that is loaded anew while the one before answers."""

import asyncio
import gc
import threading
import weakref

import pytest

from starrec.errors import RunError
from starrec.server.live import Live, NotLoaded


def test_the_model_before_answers_until_the_next_one_is_loaded():
    go, made = threading.Event(), iter("ab")

    def load():
        assert go.wait(10)
        return next(made)

    async def scene():
        live = Live(load, lambda: 0)
        with pytest.raises(NotLoaded, match="being loaded"):
            _ = live.model
        assert live.status == "loading"
        go.set()
        assert await live.reload() and live.model == "a"
        go.clear()
        loading = asyncio.ensure_future(live.reload())
        await asyncio.sleep(0.01)
        assert live.model == "a" and not loading.done()
        go.set()
        assert await loading and live.model == "b"

    asyncio.run(scene())


def test_a_run_that_cannot_be_loaded_changes_nothing():
    outcomes = iter([RunError("no student"), "a", OSError("half written")])
    failures = []

    def load():
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def scene():
        live = Live(load, lambda: 0, failed=lambda: failures.append(1))
        assert not await live.reload() and live.status == "failed"
        with pytest.raises(NotLoaded, match="log says why"):
            _ = live.model
        assert await live.reload() and live.model == "a"
        assert not await live.reload() and live.model == "a" and live.status == "ok"
        assert len(failures) == 2

    asyncio.run(scene())


def test_a_change_is_taken_in_once():
    state, loads = [0], []

    async def scene():
        live = Live(lambda: loads.append(state[0]) or state[0], lambda: state[0])
        await live.reload()
        watching = asyncio.ensure_future(live.watch(0.001))
        await asyncio.sleep(0.05)
        assert loads == [0]
        state[0] = 1
        while live.model != 1:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        assert loads == [0, 1]
        watching.cancel()

    asyncio.run(scene())


class Cyclic:
    def __init__(self):
        self.self = self


def test_what_stays_is_out_of_the_collectors_sight_and_what_was_replaced_is_gone():
    async def scene():
        live = Live(Cyclic, lambda: 0)
        await live.reload()
        first = weakref.ref(live.model)
        assert gc.get_freeze_count() > 1000
        await live.reload()
        return first

    try:
        assert asyncio.run(scene())() is None
    finally:
        gc.unfreeze()
