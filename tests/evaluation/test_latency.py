"""Latency is timed call by call, after a warm-up that is not timed."""

import time

import pytest

from starrec.evaluation import measure, percentiles, throughput


def test_each_request_is_answered_once_and_the_warm_up_is_not_timed():
    answered = []

    def call(request):
        answered.append(request)
        time.sleep(0.3 if request < 2 else 0)

    found = measure(call, range(22), warmup=2)
    assert answered == list(range(22))
    assert found["n"] == 20
    # A busy machine may stretch a call that does nothing, but hardly to the 300 ms of the warm-up.
    assert found["p99"] < 300


def test_percentiles_by_hand():
    # 0, 10, …, 1,000 ms: 101 calls, so p50 is the 51st, p95 the 96th, p99 the 100th.
    found = percentiles([number / 100 for number in range(101)])
    assert found == pytest.approx({"p50": 500, "p95": 950, "p99": 990, "n": 101})


def test_percentiles_are_milliseconds_of_single_calls():
    # Three slow ones in 40: p95 lies at the sorted places 37.05 and p99 at 38.61, counted from 0, where the
    # last three (37, 38, 39) are slow. The median is not.
    found = measure(lambda request: time.sleep(0.06 if request % 13 == 12 else 0.002), range(40), warmup=0)
    assert 2 <= found["p50"] < 60 <= found["p95"] <= found["p99"]


def test_throughput_counts_all_requests_of_one_call():
    calls = []

    def batch(requests):
        calls.append(list(requests))
        time.sleep(0.1)

    # Twenty requests in at least 0.1 s: at most 200 a second.
    assert 0 < throughput(batch, range(20)) <= 200
    assert calls == [list(range(20))]


def test_nothing_to_time_is_an_error():
    with pytest.raises(ValueError, match="warm-up of 10"):
        measure(lambda _: None, range(10))
    with pytest.raises(ValueError, match="no requests"):
        throughput(lambda _: None, [])
