"""The store of trajectories: append-only files that survive `kill -9` and are gone on with afterwards.

    part-00000.jsonl, part-00001.jsonl, …   one JSON object a line, one line a trajectory:
    {"crc32":"9ae0daaf","key":["train/5/12/0",3],"trajectory":{…},"cost":{…}}

A batch is one write at the end of the last file, flushed to disk, so a process killed on the way leaves at
most one torn line, the last one; opening cuts it off, and `done` says what remains to be made. The checksum
covers everything after itself, so that a line that changed on disk is an error and never a lesson. A
trajectory is known by (task_id, run); appending it twice stores it once.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeAlias
from zlib import crc32

from starrec.errors import RunError
from starrec.trajectories.schema import Trajectory

Key: TypeAlias = tuple[str, int]
"""(task_id, run)."""

_HEAD: Final = re.compile(rb'\{"crc32":"([0-9a-f]{8})",("key":(\["(?:[^"\\]|\\.)*",-?\d+\]),.*\})\n')
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class Store:
    """A folder of trajectories, open for one writer at a time; use as a context manager or `close` it.

    Iteration gives the trajectories in the order in which they were appended, read from disk each time.
    """

    dropped_bytes: int
    """Length of the torn line that opening cut off; 0 when the last writer ended in peace."""

    def __init__(self, folder: Path, *, segment_bytes: int = 64 * 2**20) -> None:
        """Open the store in folder, or make one, and cut off a torn last line.

        Args:
            segment_bytes: a file that has reached this size is followed by a new one.

        Raises:
            RunError: another writer has the store open, or a line that is not the last one is unreadable.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._lock = _acquire(folder)
        try:
            self._done, self.dropped_bytes = _recover(folder)
        except BaseException:
            self.close()
            raise

    def append(self, batch: Iterable[Trajectory]) -> int:
        """Store those of the batch that are not in the store yet, on disk when this returns; their number.

        Raises:
            TrajectoryError: one has no linear form; then nothing of the batch is stored.
            RunError: the disk refused; then nothing of the batch is stored.
        """
        if self._lock < 0:
            raise ValueError("the store is closed")
        fresh: dict[Key, bytes] = {}
        for trajectory in batch:
            key = (trajectory.task_id, trajectory.run)
            if key not in self._done and key not in fresh:
                fresh[key] = _line(trajectory)
        if fresh:
            self._write(b"".join(fresh.values()))
            self._done.update(fresh)
        return len(fresh)

    def done(self) -> set[Key]:
        """The (task_id, run) of every stored trajectory."""
        return set(self._done)

    @property
    def count(self) -> int:
        """Number of stored trajectories."""
        return len(self._done)

    def __iter__(self) -> Iterator[Trajectory]:
        return read(self.folder)

    def close(self) -> None:
        """Let another writer have the store."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        segments = _segments(self.folder)
        path = segments[-1] if segments else self.folder / _segment_name(0)
        if segments and path.stat().st_size >= self._segment_bytes:
            path = self.folder / _segment_name(int(path.stem.removeprefix("part-")) + 1)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(file).st_size
            try:
                written = 0
                while written < len(data):
                    written += os.write(file, data[written:])
                os.fsync(file)
            except BaseException:
                # Also for an interrupt: whoever goes on must not append to half a line.
                os.ftruncate(file, size)
                raise
        except OSError as error:
            raise RunError(
                f"Cannot append to {path}: {error.strerror}. What is stored is whole; make room and run again."
            ) from error
        finally:
            os.close(file)
        if size == 0:
            os.fsync(self._lock)


def read(folder: Path) -> Iterator[Trajectory]:
    """The trajectories stored in folder, also while a writer is at work.

    Raises:
        RunError: a line other than the last is unreadable, or another version of the store wrote it.
    """
    seen: set[Key] = set()
    for line in _lines(folder):
        if line.key in seen:
            continue
        seen.add(line.key)
        try:
            record = json.loads(line.content)
            trajectory = Trajectory.from_record(record["trajectory"], record["cost"])
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{line.path}, line {line.number} was written by another version of starrec "
                f"({type(error).__name__}: {error}). Use that version, or start over with --fresh."
            ) from error
        yield trajectory


class _Line(NamedTuple):
    path: Path
    number: int
    end: int
    """Offset of the byte after the line."""
    key: Key
    content: bytes


def _recover(folder: Path) -> tuple[set[Key], int]:
    done: set[Key] = set()
    path, end = None, 0
    for line in _lines(folder):
        done.add(line.key)
        path, end = line.path, line.end
    segments = _segments(folder)
    if not segments:
        return done, 0
    last = segments[-1]
    end = end if path == last else 0
    dropped = last.stat().st_size - end
    if dropped:
        os.truncate(last, end)
    return done, dropped


def _lines(folder: Path) -> Iterator[_Line]:
    """Every whole line; a line that is not whole ends the reading if it is the very last, and is an error
    elsewhere."""
    segments = _segments(folder)
    for path in segments:
        with path.open("rb") as file:
            # What a writer appends from here on is for the next reading.
            size = os.fstat(file.fileno()).st_size
            end = 0
            for number, content in enumerate(iter(file.readline, b""), start=1):
                end += len(content)
                head = _HEAD.fullmatch(content)
                if head is not None and crc32(head.group(2)) == int(head.group(1), 16):
                    task_id, run = json.loads(head.group(3))
                    yield _Line(path, number, end, (task_id, run), content)
                elif end < size or path != segments[-1]:
                    raise RunError(
                        f"{path}, line {number} changed after it was written. Restore the file, or delete its "
                        "folder to have all trajectories made again."
                    )
                if end >= size:
                    break


def _line(trajectory: Trajectory) -> bytes:
    trajectory.check()
    key = [trajectory.task_id, trajectory.run]
    cost = asdict(trajectory.cost)
    body = f'"key":{_encode(key)},"trajectory":{_encode(trajectory.to_record())},"cost":{_encode(cost)}}}'
    data = body.encode()
    return b'{"crc32":"%08x",%b\n' % (crc32(data), data)


def _segment_name(index: int) -> str:
    return f"part-{index:05d}.jsonl"


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.jsonl"))


def _acquire(folder: Path) -> int:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise RunError(
            f"The trajectories in {folder} are being written by another process. Wait for it to end."
        ) from error
    return lock
