"""A value for processes beside this one, written once for all of them.

`multiprocessing` would put it together in memory anew for each process that it spawns: for a graph hundreds of
megabytes beside the graph. Here its arrays go from where they lie into a file without a name, which processes
inherit and map: their pages are in memory once, and whoever writes to one gets a copy.
"""

from __future__ import annotations

import mmap
import os
import pickle
import tempfile
from collections.abc import Sequence
from multiprocessing import reduction
from typing import Any, Final

from starrec.errors import RunError

_ALIGNED: Final = 64
"""Bytes to whose multiples arrays are aligned."""


class Handed:
    """A value on its way; pickles for a process that is being spawned, and for nothing else."""

    def __init__(self, value: object) -> None:
        """
        Args:
            value: must pickle.

        Raises:
            RunError: there is no room for it where temporary files are.
        """
        buffers: list[pickle.PickleBuffer] = []
        pickled = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        parts = [memoryview(pickled), *(buffer.raw() for buffer in buffers)]
        self._places: list[tuple[int, int]] = []
        try:
            with tempfile.TemporaryFile(prefix="starrec-") as file:
                for part in parts:
                    start = -(-file.tell() // _ALIGNED) * _ALIGNED
                    file.seek(start)
                    file.write(part)
                    self._places.append((start, start + len(part)))
                file.flush()
                self._file = os.dup(file.fileno())
        except OSError as error:
            size = sum(len(part) for part in parts) / 2**20
            raise RunError(
                f"Worker processes share {size:,.0f} MiB in a temporary file, and {tempfile.gettempdir()} does "
                f"not take it ({error.strerror}). Make room there, or set TMPDIR to a folder elsewhere."
            ) from error

    def close(self) -> None:
        """No further process can be given the value. To be called once."""
        os.close(self._file)

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self._file), self._places)


def _received(duplicate: Any, places: Sequence[tuple[int, int]]) -> Any:
    """The value, in the process that was spawned: what a `Handed` is there."""
    with open(duplicate.detach(), "rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    pickled, *buffers = (mapped[start:end] for start, end in places)
    return pickle.loads(pickled, buffers=buffers)
