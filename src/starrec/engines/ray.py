"""Work on a Ray cluster: batches are tasks, the value they share lies once in each node's shared memory.

Scheduling, moving objects and noticing dead nodes are Ray's. A task whose worker or node dies runs again
elsewhere, and so does one whose result was lost with its node; the value cannot be lost that way, because its
first copy lies on the node of this process. Every node needs the same versions of Python, Ray and starrec.

Needs the extra `ray`; without it, importing this module raises a `ConfigError` that says so.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from starrec.errors import ConfigError, RunError

try:
    import ray
except ImportError as error:
    raise ConfigError(f"The engine `ray` needs Ray ({error}): pip install 'starrec[ray]'") from error

Value = TypeVar("Value")
Batch = TypeVar("Batch")
Result = TypeVar("Result")

_AHEAD: Final = 2
"""Batches in flight for each core of the cluster, so that none waits for the next while results travel."""
_PATIENCE_SECONDS: Final = 5.0


class RayWorkers(Generic[Value]):
    """An engine over a Ray cluster; use as a context manager."""

    def __init__(
        self, value: Value, address: str | None = None, processes: int | None = None, retries: int = 5
    ) -> None:
        """
        Args:
            value: put into the object store once; arrays in it are not copied for a batch, but mapped.
            address: `host:port` or `ray://host:port` of a cluster; `local` starts one on this machine for as
                long as this engine is open. None takes the cluster that this process is connected to already,
                or that `RAY_ADDRESS` names, or that runs on this machine.
            processes: batches in flight at most; None for two a core that the cluster has now.
            retries: how often a batch starts again because its worker or node died.

        Raises:
            ConfigError: there is no cluster at the address.
        """
        self._connected_here = _connect(address)
        cores = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
        self.processes = processes or cores
        self._in_flight = processes or _AHEAD * cores
        self._retries = retries
        self._value = ray.put(value)

    def map(self, function: Callable[[Value, Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        """`function(value, batch)` of each batch, in order; see `Engine.map`.

        Raises:
            RunError: a batch's worker or node died each time that it was tried.
        """
        call = ray.remote(max_retries=self._retries)(_call)
        # Once, not with every batch. Objects among a task's arguments arrive as what they hold.
        shared = ray.put(function)
        waiting: deque[Any] = deque()
        try:
            for batch in batches:
                waiting.append(call.remote(shared, self._value, batch))
                if len(waiting) >= self._in_flight:
                    yield self._result(waiting.popleft())
            while waiting:
                yield self._result(waiting.popleft())
        finally:
            for unwanted in waiting:
                ray.cancel(unwanted)

    def _result(self, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            # Ray's own exception derives from the function's and repeats the remote trace in its message.
            raise error.cause from error
        except ray.exceptions.RayError as error:
            raise RunError(
                f"Ray lost a batch {self._retries + 1} times ({type(error).__name__}: {error}). Look whether "
                "the nodes have memory enough and stay up (`ray status`), then run the same command again."
            ) from error

    def close(self) -> None:
        """Give the value's memory back, and leave the cluster if this engine had joined it."""
        del self._value
        if self._connected_here:
            ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _call(function: Callable[[Any, Any], Any], value: Any, batch: Any) -> Any:
    return function(value, batch)


def _connect(address: str | None) -> bool:
    """Whether this call made the connection, so that closing is its business."""
    wanted = address or os.environ.get("RAY_ADDRESS") or "auto"
    if ray.is_initialized() and (address is None or ray.get_runtime_context().gcs_address == address):
        return False
    _knock(wanted)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    dashboard = False if wanted == "local" else None
    try:
        ray.init(wanted, include_dashboard=dashboard, log_to_driver=False, logging_level=logging.ERROR)
    # Ray ends the process where an address answers but not as Ray does.
    except (OSError, RuntimeError, ValueError, SystemExit) as error:
        raise _no_cluster(wanted, error) from error
    return True


def _knock(address: str) -> None:
    """Ray itself tries an address that nobody listens at for more than five minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, reason: BaseException) -> ConfigError:
    return ConfigError(
        f"No Ray cluster answers at {address!r} ({reason}). Start one with `ray start --head` and give its "
        "address, or give `local` to use this machine alone."
    )
