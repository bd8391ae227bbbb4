"""Teaching: sampled runs over many tasks, each stored the moment it ends, so that a kill costs only what was
under way.

The embedded policy computes, so its runs go in batches over an engine's processes. A language model is waited
for, so its runs go side by side in one process, a bounded number at a time. Either way a run ends as a judged
trajectory or as a failure, both are stored before they are told of, and what the store accounts for is not done
again. The exception is a run whose model could not be asked: that is tried again whenever teaching goes on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from starrec.data import RankingTask
from starrec.engines import Engine, EventLoop, run_async
from starrec.errors import RunError
from starrec.ranking import Ranking, repair
from starrec.teacher.agents import AgentError, Agents, Meter
from starrec.teacher.budget import Ended, Spending
from starrec.teacher.policy import Constants, EmbeddedPolicy
from starrec.teacher.workflow import run
from starrec.tools import Toolbox, World
from starrec.trajectories import Cost, Failure, Store, Trajectory, judge

BATCH: Final = 64
"""Tasks a batch; what is lost when a run is killed is what the workers had in flight."""
_ALIKE: Final = 20
"""Runs that fail in the same way, after which no more are begun: the first ones of all, or so many in a row
whose model could not be asked."""

Work: TypeAlias = tuple[RankingTask, list[int]]
"""A task, and which runs over it are to be made."""


def missing(tasks: Iterable[RankingTask], runs: int, store: Store, *, retry: bool = False) -> list[Work]:
    """What is left to do of so many runs a task.

    Args:
        retry: also failed runs, not only those whose model could not be asked.
    """
    settled = store.done()
    if not retry:
        settled |= {key for key, failure in store.failed().items() if failure.reason != "endpoint"}
    return [
        (task, numbers)
        for task in tasks
        if (numbers := [number for number in range(runs) if (task.task_id, number) not in settled])
    ]


def teach(
    engine: Engine[World],
    work: Sequence[Work],
    columns: Mapping[str, int],
    store: Store,
    seed: int,
    spending: Spending | None = None,
    batch: int = BATCH,
) -> Iterator[list[Ended]]:
    """Reason by the embedded policy, and store the judged trajectories.

    Args:
        work: see `missing`.
        columns: where each task's target stands (`trajectories.target_columns`); used after a run has ended.
        seed: of exploration.
        spending: the account; no batch begins that its budget does not allow.
        batch: tasks that go to a process at a time.

    Yields:
        What each batch added to the store.
    """
    account = spending or Spending()
    under_way = 0

    def batches() -> Iterator[tuple[int, Sequence[Work]]]:
        nonlocal under_way
        for at in range(0, len(work), batch):
            if not account.allows(under_way):
                return
            part = work[at : at + batch]
            under_way += sum(len(numbers) for _, numbers in part)
            yield seed, part

    for trajectories in engine.map(_explore, batches()):
        under_way -= len(trajectories)
        yield _settle(trajectories, columns, store, account)


def teach_with(
    agents: Agents,
    world: World,
    work: Sequence[Work],
    columns: Mapping[str, int],
    store: Store,
    *,
    concurrency: int,
    explore: bool = True,
    spending: Spending | None = None,
    first: Callable[[Toolbox, int, bool], Coroutine[Any, Any, Cost]] | None = None,
    last: Callable[[], Awaitable[None]] | None = None,
) -> Iterator[list[Ended]]:
    """As `teach`, by agents that are waited for, in this process and in one event loop.

    Args:
        concurrency: runs under way at a time. explore: as in `workflow.run`; a greedy teacher is what is
            evaluated. first: awaited before the first run, with its tools, its number and `explore`; what it
            took is accounted for. last: awaited after the last run, also after an error.

    Yields:
        What ended and was added to the store, as soon as it did.

    Raises:
        RunError: so many runs failed in the same way that the others would too.
    """
    if not work:
        return
    account = spending or Spending()
    # The runs of a task share its evidence.
    runs = ((toolbox, n) for task, numbers in work for toolbox in (world.toolbox(task),) for n in numbers)
    left = sum(len(numbers) for _, numbers in work)
    failing = _Failing(max(_ALIKE, 2 * concurrency), succeeded=store.count > 0)
    under_way: set[asyncio.Task[Ended]] = set()
    with EventLoop() as loop:
        try:
            if first is not None and account.allows(0):
                task, numbers = work[0]
                account.charge(loop.run(first(world.toolbox(task), numbers[0], explore)))
            while True:
                while left and len(under_way) < concurrency and account.allows(len(under_way)):
                    toolbox, number = next(runs)
                    left -= 1
                    under_way.add(loop.start(_attempt(agents, toolbox, number, explore)))
                if not under_way:
                    return
                ended, under_way = loop.run(_first_of(under_way))
                results = [task.result() for task in ended]
                yield _settle(results, columns, store, account)
                failing.add(results)
        finally:
            loop.run(_end(under_way, last))


async def _end(under_way: Iterable[asyncio.Task[Ended]], last: Callable[[], Awaitable[None]] | None) -> None:
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)
    if last is not None:
        await last()


class _Failing:
    """Whether runs fail in a way in which all the others would too."""

    def __init__(self, in_a_row: int, *, succeeded: bool) -> None:
        self._in_a_row = in_a_row
        self._succeeded = succeeded
        self._unanswered = 0
        self._first: list[Failure] = []

    def add(self, ended: Iterable[Ended]) -> None:
        """
        Raises:
            RunError: they do.
        """
        for one in ended:
            unasked = isinstance(one, Failure) and one.reason == "endpoint"
            self._unanswered = self._unanswered + 1 if unasked else 0
            if not isinstance(one, Failure):
                self._succeeded = True
                continue
            self._first.append(one)
            if self._unanswered >= self._in_a_row:
                raise RunError(
                    f"The model could not be asked for {self._unanswered} runs in a row, so the others were "
                    f"not begun. The last one said: {one.message} What is done is stored; mend that and run "
                    "the same command again."
                )
            reasons = {failure.reason for failure in self._first}
            if not self._succeeded and len(self._first) >= _ALIKE and len(reasons) == 1:
                raise RunError(
                    f"The first {len(self._first)} runs all failed alike ({one.reason}), so the others were "
                    f"not begun. The last one said: {one.message} {advice([one])}"
                )


def advice(failures: Sequence[Failure]) -> str:
    """What to change where runs failed for these reasons."""
    match Counter(failure.reason for failure in failures).most_common(1)[0][0]:
        case "limit":
            change = "Raise the limit that is named, in [teacher.limits]"
        case "invalid":
            change = "Set another `output` in [teacher.model], `tools = false`, or name another model"
        case _:
            change = "Mend what is said, or look at `base_url` and `model` in [teacher.model]"
    return f"{change}, and run the same command with --retry-failed."


def rank_with_teacher(
    engine: Engine[World],
    tasks: Sequence[RankingTask],
    seed: int,
    *,
    reflections: int | None = None,
    constants: Constants | None = None,
) -> list[Ranking]:
    """The greedy policy's rankings, in the order of tasks.

    Args:
        reflections: as in `workflow.run`.
        constants: as in `EmbeddedPolicy`.
    """
    policy = EmbeddedPolicy(seed, constants)
    batches = ((policy, reflections, list(tasks[at : at + BATCH])) for at in range(0, len(tasks), BATCH))
    return [ranking for batch in engine.map(_greedy, batches) for ranking in batch]


def explore(world: World, seed: int, work: Sequence[Work]) -> list[Trajectory]:
    """Runs of the embedded policy, in this process, not judged."""
    return _explore(world, (seed, work))


def _explore(world: World, batch: tuple[int, Sequence[Work]]) -> list[Trajectory]:
    seed, work = batch
    policy = EmbeddedPolicy(seed)

    async def all_runs() -> list[Trajectory]:
        trajectories = []
        for task, numbers in work:
            # The runs of a task share its evidence.
            toolbox = world.toolbox(task)
            for number in numbers:
                trajectories.append((await run(policy, toolbox, number=number, explore=True)).trajectory)
        return trajectories

    return run_async(all_runs())


def _greedy(world: World, batch: tuple[EmbeddedPolicy, int | None, Sequence[RankingTask]]) -> list[Ranking]:
    policy, reflections, tasks = batch

    async def all_tasks() -> list[Ranking]:
        runs = [await run(policy, world.toolbox(task), reflections=reflections) for task in tasks]
        return [outcome.ranking for outcome in runs]

    return run_async(all_tasks())


async def _attempt(agents: Agents, toolbox: Toolbox, number: int, explore: bool) -> Ended:
    meter = Meter()
    try:
        return (await run(agents, toolbox, number=number, explore=explore, meter=meter)).trajectory
    except AgentError as error:
        task_id = toolbox.task.task_id
        return Failure(task_id, number, error.agent, error.reason, str(error), meter.cost())


def ranking_of(run: Trajectory, task: RankingTask) -> Ranking:
    """A run's ranking as items of its task."""
    place = {name: at for at, name in enumerate(run.labels)}
    return repair([int(task.candidates[place[name]]) for name in run.ranking], task.candidates)


async def _first_of(
    under_way: set[asyncio.Task[Ended]],
) -> tuple[set[asyncio.Task[Ended]], set[asyncio.Task[Ended]]]:
    return await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)


def _settle(ended: Sequence[Ended], columns: Mapping[str, int], store: Store, account: Spending) -> list[Ended]:
    """Judge and store what has ended, and account for it."""
    judged = judge([run for run in ended if isinstance(run, Trajectory)], columns)
    failures = [run for run in ended if isinstance(run, Failure)]
    store.append(judged)
    store.fail(failures)
    account.add(judged)
    account.add(failures)
    return [*judged, *failures]


__all__ = [
    "BATCH",
    "Work",
    "advice",
    "explore",
    "missing",
    "rank_with_teacher",
    "ranking_of",
    "teach",
    "teach_with",
]
