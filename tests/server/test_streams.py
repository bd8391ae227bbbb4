"""Streams of steps that threads compute."""

import asyncio
import threading

import pytest

from starrec.errors import StarrecError
from starrec.server.batching import Overloaded
from starrec.server.streams import Streams


async def _all(stream):
    return [step async for step in stream]


def test_steps_come_as_they_are_computed():
    go = threading.Event()

    def steps():
        yield 1
        assert go.wait(10)
        yield 2

    async def scene():
        stream = await Streams(1).open(steps)
        assert await anext(stream) == 1
        go.set()
        assert await _all(stream) == [2]

    asyncio.run(scene())


def test_an_error_before_the_first_step_is_the_callers_and_a_later_one_the_streams():
    def at_once():
        raise StarrecError("unknown")

    def later():
        yield 1
        raise StarrecError("broken")

    async def scene():
        streams = Streams(1)
        with pytest.raises(StarrecError, match="unknown"):
            await streams.open(at_once)
        stream = await streams.open(later)
        assert await anext(stream) == 1
        with pytest.raises(StarrecError, match="broken"):
            await anext(stream)
        assert await _all(await streams.open(lambda: iter([]))) == []

    asyncio.run(scene())


def test_more_at_once_than_allowed_are_refused_until_one_has_ended():
    go = threading.Event()

    def steps():
        yield 1
        assert go.wait(10)

    async def scene():
        streams = Streams(2)
        first, second = await streams.open(steps), await streams.open(steps)
        with pytest.raises(Overloaded):
            await streams.open(steps)
        go.set()
        assert await _all(first) == await _all(second) == [1]
        assert await _all(await streams.open(steps)) == [1]

    asyncio.run(scene())


def test_a_stream_that_nobody_reads_on_stops_its_thread():
    computed, go = [], threading.Semaphore(0)

    def steps():
        for number in range(100):
            computed.append(number)
            yield number
            assert go.acquire(timeout=10)

    async def scene():
        streams = Streams(1)
        stream = await streams.open(steps)
        assert await anext(stream) == 0
        await stream.aclose()
        go.release()
        while streams._under_way:
            await asyncio.sleep(0.001)

    asyncio.run(scene())
    assert computed == [0, 1]
