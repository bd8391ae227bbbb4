"""The store of trajectories: one SQLite file a run folder, from which nothing is ever taken away.

A run is known by its teacher (a fingerprint of all that decides what it would say), the content of its task,
and its number. It ends as a trajectory or as a failure, and both are kept, so that together they account for
every run and `done` and `failed` say what remains to be made. A trajectory appended twice is stored once. A run
that failed may be tried again: then its last failure counts, and none once it succeeded. More data, other
settings or another model add rows beside those that are there.

Each trajectory is a Zstandard frame with a checksum, so one that changed on disk is an error and never a
lesson. Write-ahead logging keeps what was appended when the process is killed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias, get_args

import zstandard

from starrec.errors import RunError
from starrec.trajectories.schema import Cost, Trajectory

Key: TypeAlias = tuple[str, int]
"""(task_id, run)."""
Reason: TypeAlias = Literal["limit", "invalid", "endpoint"]
"""Why a run failed: an agent came to the limit of its requests, tool calls or tokens; its answers were no
answers however often it was corrected; the model could not be asked."""
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

FORMAT: Final = 1
"""Of the file (`PRAGMA user_version`)."""
_CHUNK: Final = 200
_SCHEMA: Final = """
CREATE TABLE teachers (teacher TEXT PRIMARY KEY, settings TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE evidence (evidence TEXT PRIMARY KEY, origin TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    teacher TEXT NOT NULL, task TEXT NOT NULL, run INTEGER NOT NULL, task_id TEXT NOT NULL,
    evidence TEXT NOT NULL, content BLOB NOT NULL, UNIQUE (teacher, task, run)
);
CREATE TABLE failures (
    teacher TEXT NOT NULL, task TEXT NOT NULL, run INTEGER NOT NULL, task_id TEXT NOT NULL,
    agent TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL, cost TEXT NOT NULL,
    UNIQUE (teacher, task, run)
);
"""


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


@dataclass(frozen=True)
class Teacher:
    """Who taught, as the store keys it."""

    fingerprint: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What decides its runs, for people to read; JSON."""


@dataclass(frozen=True)
class EvidenceOrigin:
    """Which counts a run's tools answered from."""

    fingerprint: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    """What the counts were made of, so that they can be counted again; JSON."""


class Store:
    """The runs of one teacher over some tasks, in a file that holds others too; a context manager.

    Iteration gives the trajectories of these tasks in the order of the tasks, then of the runs' numbers.
    """

    def __init__(
        self,
        path: Path,
        teacher: Teacher,
        tasks: Mapping[str, str],
        evidence: EvidenceOrigin | None = None,
    ) -> None:
        """Open the file, or make one; without evidence for reading only.

        Args:
            tasks: the fingerprint of each task's content by task id (`data.task_key`).
            evidence: what the runs to be appended are told from.

        Raises:
            RunError: the file is no store, of another format, or cannot be opened.
        """
        self.path, self.teacher, self.tasks = path, teacher, dict(tasks)
        self._evidence = evidence
        self._base = _open(path, writable=evidence is not None)
        self._read = zstandard.ZstdDecompressor()
        self._write = zstandard.ZstdCompressor(level=9, write_checksum=True)
        try:
            ids = {key: task_id for task_id, key in self.tasks.items()}
            self._rows: dict[Key, int] = {}
            self._failed: dict[Key, Failure] = {}
            with _explained(path):
                for row, task, run in self._base.execute(
                    "SELECT rowid, task, run FROM runs WHERE teacher = ?", (teacher.fingerprint,)
                ):
                    if task in ids:
                        self._rows[ids[task], run] = row
                for task, run, agent, reason, message, cost in self._base.execute(
                    "SELECT task, run, agent, reason, message, cost FROM failures WHERE teacher = ?",
                    (teacher.fingerprint,),
                ):
                    if task in ids and (ids[task], run) not in self._rows:
                        said = Cost.from_record(json.loads(cost))
                        self._failed[ids[task], run] = Failure(ids[task], run, agent, reason, message, said)
        except BaseException:
            self.close()
            raise

    def append(self, batch: Iterable[Trajectory]) -> int:
        """Store those of the batch that are not in the store yet, on disk when this returns; their number.

        Raises:
            TrajectoryError: one has no linear form; then nothing of the batch is stored.
            RunError: the disk refused; then nothing of the batch is stored.
        """
        fresh: dict[Key, bytes] = {}
        for trajectory in batch:
            key = (trajectory.task_id, trajectory.run)
            if key not in self._rows and key not in fresh:
                fresh[key] = self._packed(trajectory)
        evidence = self._required().fingerprint
        with _explained(self.path), self._base:
            self._introduce()
            for key, content in fresh.items():
                self._base.execute(
                    "INSERT OR IGNORE INTO runs (teacher, task, run, task_id, evidence, content) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (*self._row_key(key), key[0], evidence, content),
                )
                self._base.execute(
                    "DELETE FROM failures WHERE teacher = ? AND task = ? AND run = ?", self._row_key(key)
                )
        for key in fresh:
            found = self._base.execute(
                "SELECT rowid FROM runs WHERE teacher = ? AND task = ? AND run = ?", self._row_key(key)
            ).fetchone()
            self._rows[key] = found[0]
            self._failed.pop(key, None)
        return len(fresh)

    def fail(self, batch: Iterable[Failure]) -> int:
        """Store the failures of runs that have no trajectory, on disk when this returns; their number.

        Raises:
            RunError: the disk refused; then nothing of the batch is stored.
        """
        fresh = {failure.key: failure for failure in batch if failure.key not in self._rows}
        self._required()
        with _explained(self.path), self._base:
            self._introduce()
            for key, failure in fresh.items():
                cost = json.dumps(asdict(failure.cost))
                self._base.execute(
                    "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *self._row_key(key),
                        key[0],
                        failure.agent,
                        failure.reason,
                        _holdable(failure.message),
                        cost,
                    ),
                )
        self._failed.update(fresh)
        return len(fresh)

    def done(self) -> set[Key]:
        """The (task_id, run) of every stored trajectory."""
        return set(self._rows)

    def failed(self) -> dict[Key, Failure]:
        """The runs that failed and have not succeeded since, with their last failure."""
        return dict(self._failed)

    @property
    def count(self) -> int:
        """Number of stored trajectories."""
        return len(self._rows)

    def __iter__(self) -> Iterator[Trajectory]:
        place = {task_id: at for at, task_id in enumerate(self.tasks)}
        return self._read_rows(sorted(self._rows, key=lambda key: (place[key[0]], key[1])))

    def of(self, task_id: str) -> list[Trajectory]:
        """The runs over one task, by number."""
        return list(self._read_rows(sorted(key for key in self._rows if key[0] == task_id)))

    def evidence_of(self) -> dict[str, set[Key]]:
        """Which runs were told from which evidence, by its fingerprint."""
        found: dict[str, set[Key]] = {}
        keys = {row: key for key, row in self._rows.items()}
        with _explained(self.path):
            for row, evidence in self._base.execute(
                "SELECT rowid, evidence FROM runs WHERE teacher = ?", (self.teacher.fingerprint,)
            ):
                if row in keys:
                    found.setdefault(evidence, set()).add(keys[row])
        return found

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _required(self) -> EvidenceOrigin:
        if self._evidence is None:
            raise ValueError("the store is open for reading only")
        return self._evidence

    def _introduce(self) -> None:
        teacher, evidence = self.teacher, self._required()
        for table, key, about in (
            ("teachers", teacher.fingerprint, teacher.settings),
            ("evidence", evidence.fingerprint, evidence.origin),
        ):
            self._base.execute(f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", (key, json.dumps(about)))

    def _row_key(self, key: Key) -> tuple[str, str, int]:
        task_id, run = key
        return self.teacher.fingerprint, self.tasks[task_id], run

    def _packed(self, trajectory: Trajectory) -> bytes:
        trajectory.check()
        record = {"trajectory": trajectory.to_record(), "cost": asdict(trajectory.cost)}
        return self._write.compress(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode())

    def _read_rows(self, keys: list[Key]) -> Iterator[Trajectory]:
        for at in range(0, len(keys), _CHUNK):
            chunk = keys[at : at + _CHUNK]
            marks = ",".join("?" * len(chunk))
            with _explained(self.path):
                found = dict(
                    self._base.execute(
                        f"SELECT rowid, content FROM runs WHERE rowid IN ({marks})",
                        [self._rows[key] for key in chunk],
                    ).fetchall()
                )
            for key in chunk:
                yield self._unpacked(key, found[self._rows[key]])

    def _unpacked(self, key: Key, content: bytes) -> Trajectory:
        try:
            record = json.loads(self._read.decompress(content))
            return Trajectory.from_record(record["trajectory"], record["cost"])
        except (zstandard.ZstdError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"Run {key[1]} over task {key[0]} in {self.path} changed after it was written "
                f"({type(error).__name__}: {error}). Restore the file from a copy."
            ) from error


def count_all(path: Path) -> dict[str, int]:
    """How many `runs` and `failures` a file holds, and of how many `teachers`.

    Raises:
        RunError: as `Store`.
    """
    base = _open(path, writable=False)
    with _explained(path):
        counts = {
            table: int(base.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            for table in ("runs", "failures", "teachers")
        }
    base.close()
    return counts


def _open(path: Path, *, writable: bool) -> sqlite3.Connection:
    """The file of the store, checked; made where there is none and it may be written.

    Raises:
        RunError: as `Store`.
    """
    with _explained(path):
        if writable:
            path.parent.mkdir(parents=True, exist_ok=True)
            base = sqlite3.connect(path, timeout=30)
        else:
            base = _readable(path)
        try:
            version = base.execute("PRAGMA user_version").fetchone()[0]
            if writable:
                base.execute("PRAGMA journal_mode = WAL")
                base.execute("PRAGMA synchronous = FULL")
            if writable and version == 0 and not base.execute("SELECT * FROM sqlite_master").fetchall():
                # One transaction: a process killed here leaves an empty file, which is made again.
                base.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {FORMAT};COMMIT;")
                version = FORMAT
            if version != FORMAT:
                raise RunError(
                    f"{path} was written by another release of starrec (its format is {version}, this one's "
                    f"{FORMAT}). It is left as it is: use that release for it, or another run folder."
                )
        except BaseException:
            base.close()
            raise
    return base


def _readable(path: Path) -> sqlite3.Connection:
    """The file for reading, also by an account that may not write in its folder."""
    if not path.is_file():
        raise RunError(f"There is no file {path}. Run `starrec teach` first.")
    where = path.absolute().as_uri()
    base = sqlite3.connect(f"{where}?mode=ro", uri=True, timeout=30)
    try:
        base.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        base.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        # Nobody writes, and the index beside the log cannot be made here: the file alone is all there is.
        base = sqlite3.connect(f"{where}?immutable=1", uri=True)
    return base


class _explained:
    """SQLite's errors as the user's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.Error):
            raise RunError(
                f"The trajectories in {self._path} cannot be read or written ({error}). What is stored is "
                "whole: mend that (room on the disk, permissions, another process) and run the command again."
            ) from error


def _holdable(text: str) -> str:
    """The text without lone surrogates, which no file can hold as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
