"""Work in this process, or in processes beside it that all hold one value.

The value (a graph with its catalogue, a trained student) is handed to each worker once, when it starts; after
that only batches and their results travel. Workers are spawned, not forked: a fork would inherit the locks of
the run folder and the threads of numerical libraries, and an orphan of a killed run would keep both.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing import resource_tracker
from multiprocessing.util import Finalize
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from starrec.cores import cores
from starrec.engines.handed import Handed
from starrec.engines.waiting import result_of

Value = TypeVar("Value")
Batch = TypeVar("Batch")
Item = TypeVar("Item")
Result = TypeVar("Result")

_SHARE: Final = 64
"""Items of a batch of `share`, at least."""
_LAST: Final = -100
"""Of what is done when a process ends, after all else."""
_AHEAD: Final = 2
"""Batches in flight for each worker: enough to keep it busy, few enough to lose little when killed."""


class Workers(Generic[Value]):
    """A pool that maps batches; use as a context manager.

    With one process, or where there is only one batch, it works in this one: to start another takes a second.
    """

    def __init__(self, value: Value, processes: int | None = None) -> None:
        """Args:
        value: handed to every call as its first argument; must pickle.
        processes: None for one a core.
        """
        self.processes = processes or cores()
        self._value = value
        self._handed: Handed | None = None
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[Value, Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        """`function(value, batch)` of each batch, in order; function is a module's own, so that it pickles."""
        batches = iter(batches)
        first = list(islice(batches, 2))
        if self.processes == 1 or len(first) < 2:
            for batch in chain(first, batches):
                yield function(self._value, batch)
            return
        pool = self._started(self.processes)
        waiting: deque[Future[Result]] = deque()
        for batch in chain(first, batches):
            waiting.append(_submit(pool, function, batch))
            if len(waiting) >= _AHEAD * self.processes:
                yield result_of(waiting.popleft())
        while waiting:
            yield result_of(waiting.popleft())

    def share(
        self,
        function: Callable[[Value, Sequence[Item]], Sequence[Result]],
        items: Sequence[Item],
        here: Callable[[Iterator[tuple[int, Item]]], Iterator[tuple[int, Result]]],
    ) -> Iterator[Result]:
        """Results of all items, in order. This process works too: it takes items from the front, one by one and
        from the first moment on; the others, once they have started, take batches from the end.

        Args:
            function: as in `map`; of a batch, the result of each item.
            here: the same of numbered items, which it takes as it needs them, in this process.
        """
        beside = self.processes - 1
        if not beside:
            yield from _in_order(here(iter(enumerate(items))))
            return
        pool = self._started(beside)
        left = deque(enumerate(items))
        # A process that starts does nothing first: what it was given would have to be waited for.
        busy: list[Future[Any]] = [_submit(pool, _nothing, None) for _ in range(beside)]
        taken: dict[int, Future[Sequence[Result]]] = {}

        def front() -> Iterator[tuple[int, Item]]:
            while left:
                # Whoever is free is given the less, the less is left: nobody is to be waited for in the end.
                for at, future in enumerate(busy):
                    size = min(max(len(left) // (2 * self.processes), _SHARE), len(left))
                    if future.done() and size:
                        batch = [left.pop() for _ in range(size)][::-1]
                        given = _submit(pool, function, [item for _, item in batch])
                        busy[at] = taken[batch[0][0]] = given
                if left:
                    yield left.popleft()

        yield from _in_order(here(front()))
        for start in sorted(taken):
            yield from result_of(taken[start])

    def close(self) -> None:
        """End the processes; batches that did not start are dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        if self._handed is not None:
            self._handed.close()
            self._handed = None

    def _started(self, processes: int) -> ProcessPoolExecutor:
        """The pool, which starts processes as they are needed."""
        if self._pool is None:
            self._handed = Handed(self._value)
            self._pool = ProcessPoolExecutor(
                processes,
                multiprocessing.get_context("spawn"),
                initializer=_hold,
                initargs=(self._handed,),
            )
        return self._pool

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _submit(
    pool: ProcessPoolExecutor, function: Callable[[Any, Batch], Result], batch: Batch
) -> Future[Result]:
    """`function(value, batch)` in another process, which is started where one is missing."""
    with _without_script(function), _undisturbed():
        return pool.submit(_call, function, batch)


def _in_order(numbered: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    """Results by their numbers, from 0, each as soon as those before it are there."""
    waiting: dict[int, Result] = {}
    given = 0
    for number, result in numbered:
        waiting[number] = result
        while given in waiting:
            yield waiting.pop(given)
            given += 1


@contextmanager
def _without_script(function: Callable[..., object]) -> Iterator[None]:
    """Processes that start do not run the script again from which this one was started, unless the function is
    of that script.

    A script without `if __name__ == "__main__"` would begin anew in each of them, fail there, and wait here for
    ever: Python goes on writing the value to a process that ended.
    """
    script = sys.modules["__main__"]
    if function.__module__ == script.__name__:
        yield
        return
    kept: dict[str, Any] = {
        name: vars(script)[name] for name in ("__file__", "__spec__") if name in vars(script)
    }
    vars(script).update(dict.fromkeys(kept))
    try:
        yield
    finally:
        vars(script).update(kept)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Processes that start are not interrupted before they hold their value (`_hold`): Ctrl-C reaches them too,
    and each would print where it was among its imports.
    """
    resource_tracker.ensure_running()  # which lets interrupts through again when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_held: Any = None
_computing = False
_interrupted = False


def _hold(value: object) -> None:
    global _held
    _held = value
    signal.signal(signal.SIGINT, _interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Taking numerical libraries down again would take seconds.
    Finalize(None, _leave, exitpriority=_LAST)


def _nothing(value: object, batch: None) -> None:
    """A process that has done this has started."""


def _leave() -> None:
    """End this process; its results were sent one by one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _interrupt(*_: object) -> None:
    """End this process, without a word, but not within a result: whoever reads that would wait for the rest."""
    global _interrupted
    _interrupted = True
    if _computing:
        os._exit(1)


def _end_with_parent() -> None:
    """A killed run leaves no workers behind: they would wait for batches for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _call(function: Callable[[Any, Any], Any], batch: object) -> Any:
    global _computing
    _computing = True
    try:
        if _interrupted:
            os._exit(1)
        return function(_held, batch)
    finally:
        _computing = False
