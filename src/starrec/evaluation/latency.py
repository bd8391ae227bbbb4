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


def measure(call: Callable[[T], object], requests: Sequence[T], *, warmup: int = 10) -> dict[str, float]:
    """Milliseconds of single calls, as `percentiles` gives them.

    The first `warmup` requests are answered but not timed: they pay for what a process does once (lazy
    imports, page faults, a thread pool). They are not asked again, which would time a warm cache.

    Raises:
        ValueError: there are no requests beyond those of the warm-up.
    """
    if len(requests) <= warmup:
        raise ValueError(f"{len(requests)} requests leave none to time after a warm-up of {warmup}")
    for request in requests[:warmup]:
        call(request)
    seconds = []
    for request in requests[warmup:]:
        start = time.perf_counter()
        call(request)
        seconds.append(time.perf_counter() - start)
    return percentiles(seconds)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds of calls that were timed: p50, p95, p99 (interpolated), and n, how many there are."""
    milliseconds = np.percentile(np.array(seconds) * 1000, _PERCENTILES)
    named = {f"p{level}": float(value) for level, value in zip(_PERCENTILES, milliseconds, strict=True)}
    return {**named, "n": len(seconds)}


def throughput(batch_call: Callable[[Sequence[T]], object], requests: Sequence[T]) -> float:
    """Requests per second when all are handed over at once.

    Raises:
        ValueError: there are no requests.
    """
    if not requests:
        raise ValueError("no requests to time")
    start = time.perf_counter()
    batch_call(requests)
    return len(requests) / (time.perf_counter() - start)
