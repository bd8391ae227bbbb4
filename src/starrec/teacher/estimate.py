"""What teaching would take, found out before anything is spent.

The embedded policy plays a sample of the tasks. For the policy itself that is a measurement; for a language
model it is a rehearsal (see `teacher.rehearsal`). What a model's provider makes of it is guessed within wide
bounds, which is why every figure is a range.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from starrec.engines import run_async
from starrec.llm.price import price
from starrec.teacher.config import Role, TeacherConfig
from starrec.teacher.policy import EmbeddedPolicy
from starrec.teacher.rehearsal import Count, Rehearsal
from starrec.teacher.teach import Work, explore
from starrec.teacher.workflow import run
from starrec.tools import World


class Range(NamedTuple):
    """An estimate with its bounds."""

    low: float
    expected: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of all runs that are left to do."""

    runs: int
    sampled: int
    """Runs that the estimate rests on."""
    seconds: Range
    requests: Range
    prompt_tokens: Range
    completion_tokens: Range
    usd: Range | None
    """None where the price of a model is not known."""


_SECONDS_PER_TOKEN: Final = 1 / np.array([150.0, 60.0, 20.0])
"""That a model takes to write for one request ..."""
_SECONDS_PER_REQUEST: Final = np.array([0.2, 0.7, 2.0])
"""... and until it begins to write."""
_NOTHING: Final = Range(0, 0, 0)


def estimate(
    world: World, work: Sequence[Work], sample: int, config: TeacherConfig, processes: int
) -> Estimate:
    """Play a sample of the work, which nothing keeps.

    Args:
        sample: tasks to play, spread evenly over the work.
        processes: on how many the embedded policy would work.
    """
    places = np.linspace(0, len(work) - 1, min(sample, len(work))).round().astype(int)
    chosen = [work[at] for at in places.tolist()]
    runs, sampled = (sum(len(numbers) for _, numbers in part) for part in (work, chosen))
    if not chosen:
        return Estimate(0, 0, _NOTHING, _NOTHING, _NOTHING, _NOTHING, _NOTHING)
    if config.model.embedded:
        seconds = _range(_timed(world, chosen, config.seed) * runs / processes)
        return Estimate(runs, sampled, seconds, _NOTHING, _NOTHING, _NOTHING, _NOTHING)
    counts = _rehearsed(world, chosen, config.seed)
    total = reduce(add, counts.values())
    share = runs / sampled
    return Estimate(
        runs,
        sampled,
        _range(_waited(total, config) * share),
        _range(total.requests * share),
        _range(total.prompt_tokens * share),
        _range(total.completion_tokens * share),
        _priced(counts, config, share),
    )


def _timed(world: World, chosen: Sequence[Work], seed: int) -> NDArray[np.float64]:
    """Seconds of one core a run: within two standard errors, and twice that on a busy machine."""
    explore(world, seed, chosen[:1])  # what is counted and compiled once
    taken = []
    for task, numbers in chosen:
        started = time.perf_counter()
        explore(world, seed, [(task, numbers)])
        taken.append((time.perf_counter() - started) / len(numbers))
    mean = float(np.mean(taken))
    error = float(np.std(taken)) / len(taken) ** 0.5
    return np.array([max(mean - 2 * error, 0.0), mean, 2 * (mean + 2 * error)])


def _rehearsed(world: World, chosen: Sequence[Work], seed: int) -> dict[Role, Count]:
    rehearsal = Rehearsal(EmbeddedPolicy(seed))

    async def play() -> None:
        for task, numbers in chosen:
            toolbox = world.toolbox(task)
            for number in numbers:
                await run(rehearsal, toolbox, number=number, explore=True)

    run_async(play())
    return rehearsal.counts


def _waited(total: Count, config: TeacherConfig) -> NDArray[np.float64]:
    """Seconds, with so many requests at a time and no more a minute than allowed."""
    limits = config.limits
    asked = total.requests * _SECONDS_PER_REQUEST + total.completion_tokens * _SECONDS_PER_TOKEN
    seconds: NDArray[np.float64] = asked / limits.concurrency
    for amount, per_minute in (
        (total.requests, limits.requests_per_minute),
        (total.prompt_tokens + total.completion_tokens, limits.tokens_per_minute),
    ):
        if per_minute:
            seconds = np.maximum(seconds, 60 * amount / per_minute)
    return seconds


def _priced(counts: Mapping[Role, Count], config: TeacherConfig, share: float) -> Range | None:
    total = np.zeros(3)
    for role, count in counts.items():
        known = price(config.model_of(role))
        if known is None:
            return None
        total += count.prompt_tokens * known[0] + count.completion_tokens * known[1]
    return _range(total * share)


def _range(bounds: NDArray[np.float64]) -> Range:
    low, expected, high = bounds.tolist()
    return Range(low, expected, high)
