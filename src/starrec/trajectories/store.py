"""The store of trajectories: append-only files that survive `kill -9` and are gone on with afterwards.

    part-00000.jsonl.zst, …, part-00003.jsonl  {"crc32":…,"key":["train/5/12/0",3],"trajectory":{…},"cost":{…}}
    failures-00000.jsonl                       {"crc32":…,"key":["train/5/12/1",0],"failure":{…},"cost":{…}}

A run is known by (task_id, run). It ends as a trajectory or as a failure, and both are kept, so that together
they account for every run and `done` and `failed` say what remains to be made. A trajectory appended twice is
stored once. A run that failed may be tried again: then its last failure counts, and none once it succeeded.
How the files stay whole is the journal's matter.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias, get_args

from starrec.errors import RunError
from starrec.trajectories.journal import SEGMENT_BYTES, Journal, Key, Line, encoded, lines
from starrec.trajectories.schema import Cost, Trajectory

Reason: TypeAlias = Literal["limit", "invalid", "endpoint"]
"""Why a run has no end: an agent came to the limit of its requests, tool calls or tokens; its answers were no
answers however often it was corrected; the model could not be asked."""
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

_RUNS: Final = "part"
_FAILURES: Final = "failures"


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that came to no ranking."""

    task_id: str
    run: int
    agent: str
    """Who gave no answer."""
    reason: Reason
    message: str
    """For a person to read; what a model or an endpoint said may stand in it, so it is data."""
    cost: Cost = field(default=Cost(), compare=False)
    """What was spent until then."""

    @property
    def key(self) -> Key:
        return self.task_id, self.run


class Store:
    """A folder of trajectories, open for one writer at a time; use as a context manager or `close` it.

    Iteration gives the trajectories in the order in which they were appended, read from disk each time.
    """

    dropped_bytes: int
    """Length of the torn lines that opening cut off; 0 when the last writer ended in peace."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open the store in folder, or make one, and cut off torn last lines.

        Args:
            segment_bytes: a file that has reached this size is compressed, and followed by a new one.

        Raises:
            RunError: another writer has the store open, or a line that is not the last one is unreadable.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = _acquire(folder)
        self._runs = Journal(folder, _RUNS, segment_bytes)
        self._failures = Journal(folder, _FAILURES, segment_bytes)
        try:
            self.dropped_bytes = self._runs.recover() + self._failures.recover()
            self._done = {line.key for line in lines(folder, _RUNS)}
            self._failed = {failure.key: failure for failure in read_failures(folder)}
        except BaseException:
            self.close()
            raise

    def append(self, batch: Iterable[Trajectory]) -> int:
        """Store those of the batch that are not in the store yet, on disk when this returns; their number.

        Raises:
            TrajectoryError: one has no linear form; then nothing of the batch is stored.
            RunError: the disk refused; then nothing of the batch is stored.
        """
        self._require_open()
        fresh: dict[Key, bytes] = {}
        for trajectory in batch:
            key = (trajectory.task_id, trajectory.run)
            if key not in self._done and key not in fresh:
                fresh[key] = _line(trajectory)
        if fresh:
            self._runs.append(b"".join(fresh.values()))
            self._done.update(fresh)
            for key in fresh:
                self._failed.pop(key, None)
        return len(fresh)

    def fail(self, batch: Iterable[Failure]) -> int:
        """Store the failures of runs that have no trajectory, on disk when this returns; their number.

        Raises:
            RunError: the disk refused; then nothing of the batch is stored.
        """
        self._require_open()
        fresh = {failure.key: failure for failure in batch if failure.key not in self._done}
        if fresh:
            self._failures.append(b"".join(map(_failure_line, fresh.values())))
            self._failed.update(fresh)
        return len(fresh)

    def done(self) -> set[Key]:
        """The (task_id, run) of every stored trajectory."""
        return set(self._done)

    def failed(self) -> dict[Key, Failure]:
        """The runs that failed and have not succeeded since, with their last failure."""
        return dict(self._failed)

    @property
    def count(self) -> int:
        """Number of stored trajectories."""
        return len(self._done)

    def pack(self) -> None:
        """Compress all that is stored: there is little more to come."""
        self._require_open()
        self._runs.pack()

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

    def _require_open(self) -> None:
        if self._lock < 0:
            raise ValueError("the store is closed")


def read(folder: Path) -> Iterator[Trajectory]:
    """The trajectories stored in folder, also while a writer is at work.

    Raises:
        RunError: a line other than the last is unreadable, or another version of the store wrote it.
    """
    seen: set[Key] = set()
    for line in lines(folder, _RUNS):
        if line.key not in seen:
            seen.add(line.key)
            yield _trajectory(line)


def find(folder: Path, task_id: str) -> list[Trajectory]:
    """The runs over one task, by number; raises as `read`. Lines of other tasks are not decoded."""
    found = {line.key: line for line in lines(folder, _RUNS) if line.key[0] == task_id}
    return [_trajectory(found[key]) for key in sorted(found)]


def keys(folder: Path) -> set[Key]:
    """The (task_id, run) of every trajectory stored in folder; raises as `read`."""
    return {line.key for line in lines(folder, _RUNS)}


def read_failures(folder: Path) -> Iterator[Failure]:
    """The runs in folder that failed and have not succeeded since, each with its last failure; raises as
    `read`."""
    last = {line.key: line for line in lines(folder, _FAILURES)}
    if last:
        succeeded = keys(folder)
        yield from (_failure(line) for key, line in last.items() if key not in succeeded)


def _trajectory(line: Line) -> Trajectory:
    try:
        record = json.loads(line.content)
        return Trajectory.from_record(record["trajectory"], record["cost"])
    except (ValueError, KeyError, TypeError) as error:
        raise _another_version(line, error) from error


def _failure(line: Line) -> Failure:
    try:
        record = json.loads(line.content)
        said: Mapping[str, str] = record["failure"]
        reason = next(name for name in REASONS if name == said["reason"])
        return Failure(*line.key, said["agent"], reason, said["message"], Cost.from_record(record["cost"]))
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise _another_version(line, error) from error


def _another_version(line: Line, error: Exception) -> RunError:
    return RunError(
        f"{line.path}, line {line.number} was written by another version of starrec "
        f"({type(error).__name__}: {error}). Use that version, or start over with --fresh."
    )


def _line(trajectory: Trajectory) -> bytes:
    trajectory.check()
    key = (trajectory.task_id, trajectory.run)
    return encoded(key, {"trajectory": trajectory.to_record(), "cost": asdict(trajectory.cost)})


def _failure_line(failure: Failure) -> bytes:
    said = {"agent": failure.agent, "reason": failure.reason, "message": _holdable(failure.message)}
    return encoded(failure.key, {"failure": said, "cost": asdict(failure.cost)})


def _holdable(text: str) -> str:
    """The text without lone surrogates, which no file can hold as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


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
