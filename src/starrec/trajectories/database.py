"""The SQLite file of the store of trajectories: its tables, how it is opened, and its errors.

Write-ahead logging with full synchronisation keeps every committed row when the process is killed or the
machine stops. A file of another release is refused and left as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from starrec.errors import RunError

FORMAT: Final = 1
"""Version of the tables (`PRAGMA user_version`)."""
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


def count_all(path: Path) -> dict[str, int]:
    """Numbers of `runs`, `failures` and `teachers` in a file.

    Raises:
        RunError: as `open_file`.
    """
    base = open_file(path, writable=False)
    with explained(path):
        counts = {
            table: int(base.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            for table in ("runs", "failures", "teachers")
        }
    base.close()
    return counts


def open_file(path: Path, *, writable: bool) -> sqlite3.Connection:
    """A connection to the file, checked. A writable file that is not there is made.

    Raises:
        RunError: the file is no store, of another format, or cannot be opened.
    """
    with explained(path):
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
    """A connection for reading, also for an account that may not write in the folder."""
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


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise SQLite's errors about this file as `RunError`s that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise RunError(
            f"The trajectories in {path} cannot be read or written ({error}). What is stored is whole: mend "
            "that (room on the disk, permissions, another process) and run the command again."
        ) from error
