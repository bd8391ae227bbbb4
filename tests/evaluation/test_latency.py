"""Latency is measured call by call, after a warm-up that does not count; on a clock that the test turns."""

import pytest

from starrec.evaluation import measure, percentiles, throughput


class Clock:
    """Seconds that pass only in `work`."""

    def __init__(self):
        self.now = 0.0
        self.done = []

    def __call__(self):
        return self.now

    def work(self, request, seconds):
        self.done.append(request)
        self.now += seconds


def test_each_request_is_answered_once_and_the_warm_up_is_not_timed():
    clock = Clock()
    found = measure(lambda n: clock.work(n, 9 if n < 2 else 0.001), range(22), warmup=2, clock=clock)
    assert clock.done == list(range(22))
    assert found["n"] == 20
    assert found["p50"] == found["p95"] == found["p99"] == pytest.approx(1)


def test_percentiles_by_hand():
    # 0, 10, …, 1,000 ms: 101 calls, so p50 is the 51st, p95 the 96th, p99 the 100th.
    found = percentiles([number / 100 for number in range(101)])
    assert found == pytest.approx({"p50": 500, "p95": 950, "p99": 990, "n": 101})


def test_percentiles_are_milliseconds_of_single_calls():
    # 41 calls of 1 to 41 ms. Counted from 0, p50 lies at the sorted place 20, p95 at 38, p99 at 39.6.
    clock = Clock()
    found = measure(lambda n: clock.work(n, n / 1000), range(41, 0, -1), warmup=0, clock=clock)
    assert (found["p50"], found["p95"], found["p99"]) == pytest.approx((21, 39, 40.6))


def test_throughput_counts_all_requests_of_one_call():
    clock = Clock()
    # Twenty requests in a tenth of a second.
    assert throughput(lambda given: clock.work(given, 0.1), range(20), clock=clock) == pytest.approx(200)
    assert clock.done == [range(20)]


def test_nothing_to_time_is_an_error():
    with pytest.raises(ValueError, match="warm-up of 10"):
        measure(lambda _: None, range(10))
    with pytest.raises(ValueError, match="no requests"):
        throughput(lambda _: None, [])
