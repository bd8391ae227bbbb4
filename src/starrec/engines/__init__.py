"""Where work runs: in this process, in processes beside it, or on a Ray cluster.

Whoever has work that falls into batches writes one function of a value that all batches share and of a batch,
and maps it. Results are the same and in the same order wherever that happens, so a caller takes an `Engine`
and leaves the choice to the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias, TypeVar

from starrec.engines.processes import Workers
from starrec.engines.waiting import EventLoop, run_async
from starrec.errors import ConfigError

EngineName: TypeAlias = Literal["processes", "ray"]

_Value = TypeVar("_Value")
_Held = TypeVar("_Held", covariant=True)
_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")


class Engine(Protocol[_Held]):
    """Maps batches beside one value; use as a context manager."""

    @property
    def processes(self) -> int:
        """How many batches it works on at a time."""

    def map(self, function: Callable[[_Held, _Batch], _Result], batches: Iterable[_Batch]) -> Iterator[_Result]:
        """`function(value, batch)` of each batch, in order.

        Batches are taken as they are needed. The function is a module's own, so that it pickles, and changes
        neither value nor batch: on Ray their arrays, and those of the results, are read-only views of shared
        memory. An exception of the function reaches the caller as it is.
        """

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_engine(
    value: _Value,
    engine: EngineName = "processes",
    *,
    processes: int | None = None,
    address: str | None = None,
) -> Engine[_Value]:
    """The engine of that name, holding value.

    Args:
        value: handed to every call as its first argument; must pickle.
        processes: batches to work on at a time; None for one a core, of this machine or of the cluster.
        address: of a Ray cluster (`RayWorkers`).

    Raises:
        ConfigError: Ray is not installed or does not answer, or local processes were given an address.
    """
    if engine == "ray":
        # Imported here: Ray is an extra, and takes half a second.
        from starrec.engines.ray import RayWorkers

        return RayWorkers(value, address, processes)
    if address is not None:
        raise ConfigError(f"There is a Ray address, {address!r}, but the engine is {engine!r}. Choose 'ray'.")
    return Workers(value, processes)


__all__ = ["Engine", "EngineName", "EventLoop", "Workers", "open_engine", "run_async"]
