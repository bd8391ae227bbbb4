"""How long one request takes, and how many are answered in a second, in this process.

A user waits for single requests, so percentiles of single calls count; the mean hides the slow ones. Whatever
a request needs (above all the look-up of its evidence) belongs inside the measured call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_PERCENTILES = (50, 95, 99)


def measure(
    call: Callable[[T], object],
    requests: Sequence[T],
    *,
    warmup: int = 10,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Milliseconds of single calls, as `percentiles` gives them.

    Args:
        warmup: the first requests, which are answered but not timed: they pay for what a process does once
            (lazy imports, page faults, a thread pool). They are not repeated, which would time a warm cache.
        clock: seconds since any fixed moment.

    Raises:
        ValueError: there are no requests beyond those of the warm-up.
    """
    if len(requests) <= warmup:
        raise ValueError(f"{len(requests)} requests leave none to time after a warm-up of {warmup}")
    for request in requests[:warmup]:
        call(request)
    seconds = []
    for request in requests[warmup:]:
        start = clock()
        call(request)
        seconds.append(clock() - start)
    return percentiles(seconds)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds of calls that were timed: p50, p95, p99 (interpolated), and n, how many there are."""
    milliseconds = np.percentile(np.array(seconds) * 1000, _PERCENTILES)
    named = {f"p{level}": float(value) for level, value in zip(_PERCENTILES, milliseconds, strict=True)}
    return {**named, "n": len(seconds)}


def throughput(
    batch_call: Callable[[Sequence[T]], object],
    requests: Sequence[T],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Requests per second when all are handed over at once; `clock` as in `measure`.

    Raises:
        ValueError: there are no requests.
    """
    if not requests:
        raise ValueError("no requests to time")
    start = clock()
    batch_call(requests)
    return len(requests) / (clock() - start)
