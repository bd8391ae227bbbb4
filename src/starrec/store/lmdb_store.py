"""Evidence on LMDB: one memory-mapped file a version, read by any number of processes without a lock.

Readers share the file's pages, so ten processes with the same evidence need its memory once. A version never
changes after it was written, so each record's checksum is compared once a process, when it is first read.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import lmdb
import numpy as np
from numpy.typing import NDArray

from starrec.errors import RunError
from starrec.signals.count_store import CountStore
from starrec.store import records
from starrec.store.records import Kind, Raw, keys
from starrec.store.stored import Report, StoredCounts
from starrec.store.versions import Versions

_BATCH_BYTES: Final = 32 << 20
_PAGE: Final = 4096

_open: weakref.WeakValueDictionary[tuple[int, int], lmdb.Environment] = weakref.WeakValueDictionary()
_opening = threading.Lock()


class LmdbStore(StoredCounts):
    """One version of the evidence. Pickles by path: another process maps the same file."""

    def __init__(
        self, version: Path, *, report: Report | None = None, fallback: CountStore | None = None
    ) -> None:
        """Args:
        version: a version's folder; `open` takes the current one.
        report, fallback: as of `StoredCounts`.

        Raises:
            RunError: it is not there, is no evidence, is cut short, or is of another format.
        """
        self.version = version
        self._environment = _environment(version)
        self._of_thread = threading.local()
        self._seen: dict[Kind, bytearray] = {}
        (meta,) = self._fetch(Kind.META, [0])
        super().__init__(str(version), meta, report, fallback)

    @classmethod
    def open(cls, folder: Path, *, report: Report | None = None, fallback: CountStore | None = None) -> Self:
        """The current version of a folder of evidence.

        Raises:
            RunError: there is none, or as the constructor.
        """
        versions = Versions(folder)
        version = versions.require()
        try:
            return cls(version, report=report, fallback=fallback)
        except RunError:
            # Read the name, was put to sleep, and a writer replaced and removed it meanwhile.
            latest = versions.require()
            if latest == version:
                raise
            return cls(latest, report=report, fallback=fallback)

    def __reduce__(self) -> tuple[Callable[[Path], LmdbStore], tuple[Path]]:
        return LmdbStore, (self.version,)

    def records(self, after: bytes = b"") -> Iterator[tuple[bytes, memoryview]]:
        """All keys and records as they are stored, in order of their keys; the views hold until the next."""
        with self._environment.begin(buffers=True) as transaction:
            cursor = transaction.cursor()
            found = cursor.set_range(after + b"\0") if after else cursor.first()
            while found:
                yield bytes(cursor.key()), cursor.value()
                found = cursor.next()

    @cached_property
    def count(self) -> int:
        """Number of records."""
        return int(self._environment.stat()["entries"])

    @property
    def bytes_on_disk(self) -> int:
        return (self.version / "data.mdb").stat().st_size

    def _fetch(self, kind: Kind, indices: Sequence[int]) -> list[Raw | None]:
        transaction = getattr(self._of_thread, "transaction", None)
        if transaction is None:
            # A version never changes, so one transaction serves a thread for as long as it lives.
            transaction = self._of_thread.transaction = self._environment.begin(buffers=True)
        get = transaction.get
        try:
            return [get(name) for name in keys(kind, indices)]
        except lmdb.Error as error:
            raise RunError(
                f"{self.version / 'data.mdb'} is damaged ({error}). Build the evidence again with `starrec "
                "signals build --fresh`."
            ) from error

    def _read(self, kind: Kind, indices: Sequence[int]) -> list[Raw]:
        seen = self._checked(kind)
        found = self._fetch(kind, indices)
        if all(map(seen.__getitem__, indices)):
            # A mapped version does not change, so a record is checked once a process.
            return [raw for raw in found if raw is not None]
        return self._whole(kind, indices, found)

    def _check(self, kind: Kind, index: int, raw: Raw | None) -> Raw:
        seen = self._checked(kind)
        if raw is None or not seen[index]:
            raw = records.check(kind, index, raw)
            seen[index] = True
        return raw

    def _checked(self, kind: Kind) -> bytearray:
        """1 for each record of this kind that was found whole."""
        if kind not in self._seen:
            self._seen[kind] = bytearray(max(self.meta.n_users, self.meta.n_items, 1))
        return self._seen[kind]

    def _mapped(self, kind: Kind, dtype: str) -> NDArray[Any]:
        raw = self._one(kind)
        view = records.array(raw, dtype)
        if (kind, 0) in self._mended or not view.flags.aligned:
            # A small one lies among others, on a multiple of 4.
            return view.copy()
        return np.asarray(_Held(view, self._environment))


class _Held:
    """An array of the map that keeps the map."""

    def __init__(self, view: NDArray[Any], environment: lmdb.Environment) -> None:
        self._environment = environment
        self.__array_interface__ = {**view.__array_interface__, "data": (view.ctypes.data, True)}


class Writer:
    """Puts records into a version's data.mdb; use as a context manager, which flushes them to the disk."""

    def __init__(self, folder: Path, expected: int) -> None:
        """Args:
        expected: bytes of all records, about; more is possible.
        """
        # Only address space until it is used.
        self._environment = lmdb.open(
            str(folder),
            map_size=-(-max(2 * expected, 64 << 20) // _PAGE) * _PAGE,
            lock=False,
            sync=False,
            metasync=False,
            readahead=False,
        )

    def put(self, entries: Iterable[tuple[bytes, bytes]], *, ascending: bool = False) -> int:
        """Write records in batches of bounded size; their bytes.

        Args:
            ascending: their keys come after all that are there, in order: pages are filled to the brim.
        """
        batch: list[tuple[bytes, bytes]] = []
        size = total = 0
        for entry in entries:
            batch.append(entry)
            size += len(entry[1])
            if size >= _BATCH_BYTES:
                self._commit(batch, ascending)
                total, size = total + size, 0
                batch = []
        self._commit(batch, ascending)
        return total + size

    def put_at_once(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Write records in one transaction."""
        self._commit(entries, ascending=False)

    def _commit(self, batch: Sequence[tuple[bytes, bytes]], ascending: bool) -> None:
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    for record_key, value in batch:
                        transaction.put(record_key, value, append=ascending)
                return
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._environment.sync(True)
        finally:
            self._environment.close()


def _environment(version: Path) -> lmdb.Environment:
    """The map of a version, one a process: LMDB forbids a second."""
    path = version / "data.mdb"
    with _opening:
        try:
            status = os.stat(path)
            identity = (status.st_dev, status.st_ino)
            found = _open.get(identity)
            if found is None:
                found = lmdb.open(
                    str(version),
                    readonly=True,
                    lock=False,
                    create=False,
                    map_size=status.st_size,
                )
                used = (found.info()["last_pgno"] + 1) * found.stat()["psize"]
                if used > status.st_size:
                    # Reading beyond the end of a mapped file kills the process.
                    raise RunError(
                        f"{path} is cut short: it has {status.st_size:,} of {used:,} bytes. Build the evidence "
                        "again with `starrec signals build --fresh`."
                    )
                _open[identity] = found
        except FileNotFoundError as error:
            raise RunError(
                f"There is no evidence in {version}. Build it with `starrec signals build`."
            ) from error
        except lmdb.Error as error:
            raise RunError(
                f"{path} cannot be read as evidence ({error}). Build it again with `starrec signals build "
                "--fresh`."
            ) from error
    return found
