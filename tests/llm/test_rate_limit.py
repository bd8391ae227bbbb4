"""Requests under way, requests a minute and tokens a minute stay within their limits."""

import asyncio

import pytest

from starrec.llm import LimitsConfig
from starrec.llm.rate_limit import RateLimit


def now():
    return asyncio.get_running_loop().time()


async def attempts(limit, count, seconds=0.0):
    """When each of so many attempts began, all wanted at once and each taking so many seconds."""
    began = []

    async def one():
        async with limit.attempt():
            began.append(now())
            await asyncio.sleep(seconds)

    await asyncio.gather(*(one() for _ in range(count)))
    return began


def test_no_more_requests_are_under_way_than_may_be(run_on_virtual_clock):
    limit = RateLimit(LimitsConfig(concurrency=2))
    assert run_on_virtual_clock(attempts(limit, 5, 10.0)) == [0, 0, 10, 10, 20]


def test_requests_a_minute_come_evenly(run_on_virtual_clock):
    # Four a minute: one each 15 seconds, however many are wanted at once.
    limit = RateLimit(LimitsConfig(concurrency=8, requests_per_minute=4))
    assert run_on_virtual_clock(attempts(limit, 6)) == pytest.approx([0, 15, 30, 45, 60, 75])


def test_tokens_a_minute_are_spread_over_it(run_on_virtual_clock):
    limit = RateLimit(LimitsConfig(tokens_per_minute=600))

    async def spent():
        times = []
        for tokens, used in ((100, 150), (100, 20), (100, 100), (100, 100)):
            await limit.spend(tokens)
            times.append(now())
            limit.correct(used - tokens)
        return times

    # 10 a second, the first 10 at once: 100 tokens take 9 seconds. The next request pays 100, and the 50 that
    # the answer of the first took beyond them: 15 seconds more. The third has 80 to its credit and pays 20.
    assert run_on_virtual_clock(spent()) == pytest.approx([9, 24, 26, 36])


def test_a_request_greater_than_a_minutes_tokens_goes_and_is_paid_for(run_on_virtual_clock):
    limit = RateLimit(LimitsConfig(tokens_per_minute=60))

    async def spent():
        await limit.spend(180)
        return now()

    assert run_on_virtual_clock(spent()) == pytest.approx(179)


def test_one_limit_serves_one_event_loop_after_another(run_on_virtual_clock, recwarn):
    limit = RateLimit(LimitsConfig(concurrency=1, requests_per_minute=60, tokens_per_minute=6000))
    for _ in range(3):
        assert run_on_virtual_clock(attempts(limit, 3, 0.25)) == pytest.approx([0, 1, 2])
        run_on_virtual_clock(limit.spend(300))
    assert not [warned for warned in recwarn if "across loops" in str(warned.message)]
