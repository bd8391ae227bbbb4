"""The store of trajectories: one SQLite file a run folder, from which nothing is ever deleted.

The key of a run is its teacher (a fingerprint of all that decides its answers), the content of its task, and
its number. A run ends as a trajectory or as a failure, and both are stored: together they account for every
run, and `done` and `failed` tell what remains to be made. A trajectory appended twice is stored once. A failed
run may be tried again: then its last failure counts, and none once it succeeded. More data, other settings or
another model add rows beside the existing ones.

Each trajectory is a Zstandard frame with a checksum, so one that changed on disk is an error and is never
learned from. The tables and how the file is opened are in `database.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias, get_args

import zstandard

from starrec.errors import RunError
from starrec.trajectories.database import explained, open_file
from starrec.trajectories.schema import Cost, Trajectory

Key: TypeAlias = tuple[str, int]
"""(task_id, run)."""
Reason: TypeAlias = Literal["limit", "invalid", "endpoint"]
"""Why a run failed: an agent reached the limit of its requests, tool calls or tokens; its answers stayed
invalid after every correction; the model could not be asked."""
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

_CHUNK: Final = 200
"""Trajectories read at once."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that ended without a ranking."""

    task_id: str
    run: int
    agent: str
    """The agent that failed."""
    reason: Reason
    message: str
    """For a person to read. It may quote a model or an endpoint, so it is untrusted text."""
    cost: Cost = field(default=Cost(), compare=False)
    """Spent until the failure."""

    @property
    def key(self) -> Key:
        return self.task_id, self.run


@dataclass(frozen=True)
class Teacher:
    """The teacher of a run, as the store keys it."""

    fingerprint: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The settings that decide its runs, for people to read; JSON."""


@dataclass(frozen=True)
class EvidenceOrigin:
    """The counts from which a run's tools answered."""

    fingerprint: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    """The inputs of the counts, so that they can be counted again; JSON."""


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
            evidence: the counts behind the runs to be appended.

        Raises:
            RunError: the file is no store, of another format, or cannot be opened.
        """
        self.path, self.teacher, self.tasks = path, teacher, dict(tasks)
        self._evidence = evidence
        self._base = open_file(path, writable=evidence is not None)
        self._read = zstandard.ZstdDecompressor()
        self._write = zstandard.ZstdCompressor(level=9, write_checksum=True)
        try:
            ids = {key: task_id for task_id, key in self.tasks.items()}
            self._rows: dict[Key, int] = {}
            self._failed: dict[Key, Failure] = {}
            with explained(path):
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
                        spent = Cost.from_record(json.loads(cost))
                        self._failed[ids[task], run] = Failure(ids[task], run, agent, reason, message, spent)
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
        with explained(self.path), self._base:
            self._register()
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
        with explained(self.path), self._base:
            self._register()
            for key, failure in fresh.items():
                cost = json.dumps(asdict(failure.cost))
                self._base.execute(
                    "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *self._row_key(key),
                        key[0],
                        failure.agent,
                        failure.reason,
                        _encodable(failure.message),
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
        """The runs by the fingerprint of the evidence that their tools answered from."""
        found: dict[str, set[Key]] = {}
        keys = {row: key for key, row in self._rows.items()}
        with explained(self.path):
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

    def _register(self) -> None:
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
            with explained(self.path):
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


def _encodable(text: str) -> str:
    """The text with lone surrogates replaced, which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode("utf-8")
