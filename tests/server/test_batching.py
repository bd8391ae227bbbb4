"""Micro-batching with real threads: what comes while a batch is computed is the next one."""

import asyncio
import threading

import pytest

from starrec.errors import StarrecError
from starrec.server.batching import Batcher, Closed, Overloaded


class Held:
    """A computation that waits to be let go; it notes its batches and answers each number with its square."""

    def __init__(self):
        self.batches = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, numbers):
        self.batches.append(list(numbers))
        self.begun.release()
        assert self.go.wait(10)
        return [StarrecError(f"no {number}") if number == 13 else number**2 for number in numbers]


async def _begun(held):
    assert await asyncio.to_thread(held.begun.acquire, True, 10)


def _asking(batcher, *numbers):
    return [asyncio.ensure_future(batcher.ask(number)) for number in numbers]


def test_requests_that_come_meanwhile_make_up_the_next_batches():
    async def scene():
        held = Held()
        batcher = Batcher(held, queue=10, batch=3)
        first = _asking(batcher, 1)
        await _begun(held)
        others = _asking(batcher, 2, 3, 4, 5)
        await asyncio.sleep(0)
        held.go.set()
        assert await asyncio.gather(*first, *others) == [1, 4, 9, 16, 25]
        assert held.batches == [[1], [2, 3, 4], [5]]
        await batcher.close()

    asyncio.run(scene())


def test_an_error_is_one_requests_own():
    async def scene():
        held = Held()
        held.go.set()
        batcher = Batcher(held, queue=10, batch=10)
        found = await asyncio.gather(*_asking(batcher, 2, 13, 3), return_exceptions=True)
        assert found[0] == 4 and found[2] == 9 and str(found[1]) == "no 13"
        await batcher.close()

    asyncio.run(scene())


def test_a_failure_of_the_batch_is_pinned_to_the_request_that_causes_it():
    def inverse(numbers):
        return [1 / number for number in numbers]

    async def scene():
        batcher = Batcher(inverse, queue=10, batch=10)
        found = await asyncio.gather(*_asking(batcher, 2, 0, 4), return_exceptions=True)
        assert found[0] == 0.5 and found[2] == 0.25 and isinstance(found[1], ZeroDivisionError)
        assert await batcher.ask(1) == 1  # the thread lives on
        await batcher.close()

    asyncio.run(scene())


def test_a_full_queue_refuses_at_once_and_says_when_to_ask_again():
    async def scene():
        held = Held()
        batcher = Batcher(held, queue=2, batch=1)
        asked = _asking(batcher, 1)
        await _begun(held)
        asked += _asking(batcher, 2, 3)
        await asyncio.sleep(0)
        assert len(batcher) == 2
        with pytest.raises(Overloaded) as refused:
            await batcher.ask(4)
        assert refused.value.retry_after >= 1
        held.go.set()
        assert await asyncio.gather(*asked) == [1, 4, 9]
        assert await batcher.ask(4) == 16
        await batcher.close()

    asyncio.run(scene())


def test_a_request_that_was_cancelled_is_not_computed():
    async def scene():
        held = Held()
        batcher = Batcher(held, queue=10, batch=10)
        asked = _asking(batcher, 1)
        await _begun(held)
        gone, stays = _asking(batcher, 2, 3)
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        held.go.set()
        assert await stays == 9 and await asked[0] == 1
        assert held.batches == [[1], [3]]
        await batcher.close()

    asyncio.run(scene())


def test_a_request_may_be_cancelled_while_it_is_computed():
    async def scene():
        held = Held()
        batcher = Batcher(held, queue=10, batch=10)
        (gone,) = _asking(batcher, 1)
        await _begun(held)
        gone.cancel()
        await asyncio.sleep(0)
        held.go.set()
        assert await batcher.ask(2) == 4
        await batcher.close()

    asyncio.run(scene())


def test_closing_answers_what_waits_and_takes_no_more():
    async def scene():
        held = Held()
        batcher = Batcher(held, queue=10, batch=1)
        asked = _asking(batcher, 1, 2, 3)
        await _begun(held)
        closing = asyncio.ensure_future(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(Closed):
            await batcher.ask(4)
        held.go.set()
        await closing
        assert await asyncio.gather(*asked) == [1, 4, 9]

    asyncio.run(scene())


def test_quick_requests_are_computed_at_once_where_nothing_else_is_asked():
    threads = []

    def square(numbers):
        threads.append(threading.current_thread())
        return [StarrecError("no 13") if number == 13 else number**2 for number in numbers]

    async def alone():
        batcher = Batcher(square, queue=10, batch=10)
        assert await batcher.ask(3, quick=True) == 9
        with pytest.raises(StarrecError, match="no 13"):
            await batcher.ask(13, quick=True)
        assert await batcher.ask(4) == 16
        await batcher.close()
        with pytest.raises(Closed):
            await batcher.ask(5, quick=True)

    asyncio.run(alone())
    here = threading.current_thread()
    assert threads[:2] == [here, here] and threads[2] is not here

    async def beside_others():
        held = Held()
        batcher = Batcher(held, queue=10, batch=10)
        first = _asking(batcher, 1)
        await _begun(held)
        # Not at once: it would wait here for ever, and two would compute at a time.
        second = asyncio.ensure_future(batcher.ask(2, quick=True))
        await asyncio.sleep(0)
        held.go.set()
        assert await asyncio.gather(*first, second) == [1, 4] and held.batches == [[1], [2]]
        await batcher.close()

    asyncio.run(beside_others())


def test_quick_requests_of_one_turn_are_computed_together():
    batches = []

    def square(numbers):
        batches.append(list(numbers))
        return [number**2 for number in numbers]

    async def scene():
        batcher = Batcher(square, queue=5, batch=3)
        asked = [asyncio.ensure_future(batcher.ask(number, quick=True)) for number in range(6)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert found[:5] == [0, 1, 4, 9, 16] and isinstance(found[5], Overloaded)
        assert batches == [[0, 1, 2], [3, 4]]
        await batcher.close()

    asyncio.run(scene())


def test_many_at_once_each_get_their_own_answer():
    sizes = []

    async def scene():
        batcher = Batcher(
            lambda numbers: [number**2 for number in numbers],
            queue=5000,
            batch=32,
            computed=lambda size, seconds: sizes.append(size),
        )
        assert await asyncio.gather(*_asking(batcher, *range(3000))) == [n**2 for n in range(3000)]
        await batcher.close()

    asyncio.run(scene())
    assert sum(sizes) == 3000 and max(sizes) <= 32
