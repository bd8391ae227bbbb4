"""The database of a server: its tables, and transactions that are on disk when they end.

SQLite, one file with a write-ahead log that is flushed at each commit, or PostgreSQL by URL, where several
machines serve. Nothing is opened before the first transaction, so that a database that is down keeps nobody
from starting.

Needs the extra `serve` (SQLAlchemy); PostgreSQL needs `postgresql` (psycopg) as well.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.schema import CreateIndex, CreateTable

from starrec.errors import ConfigError, StarrecError

_LOG: Final = logging.getLogger(__name__)
_BUSY_SECONDS: Final = 10
"""For another process that writes to the file of SQLite."""
_WAIT_SECONDS: Final = 3
"""For a connection to PostgreSQL, and for the network to acknowledge what was sent there."""
_LOCK: Final = 0x57A22EC
"""Advisory lock of PostgreSQL: shared while an event is stored, alone while events are fed on."""

_METADATA: Final = MetaData()
_NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")
EVENTS: Final = Table(
    "events",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("time", BigInteger, nullable=False),  # microseconds since 1970
    Column("key", Text, nullable=False, unique=True),
    Column("body", Text, nullable=False),  # SHA-256 of what was sent with the key
    # By hash: a user's id may be longer than what a tree of PostgreSQL's can hold.
    Index("events_of_user", "user_id", postgresql_using="hash"),
    sqlite_autoincrement=True,
)
DELETIONS: Final = Table(
    "deletions",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("rebuilt", BigInteger),  # when the counts were built again without the user
    Index("deletions_of_user", "user_id", postgresql_using="hash"),
    sqlite_autoincrement=True,
)
FED: Final = Table(
    "fed", _METADATA, Column("evidence", Text, primary_key=True), Column("number", _NUMBER, nullable=False)
)


class _FileGone(Exception):
    """The file of SQLite is not the one that was opened."""


class EventsUnavailable(StarrecError):
    """The database does not answer; nothing was acknowledged."""


class Database:
    """The tables at a URL. May be used from several threads, and beside other processes."""

    def __init__(self, url: str | URL) -> None:
        """Args:
        url: as SQLAlchemy reads it: `sqlite:////path/events.sqlite`, `postgresql://user@host/database`.

        Raises:
            ConfigError: it is no such URL, or the driver is missing.
        """
        self._engine = _engine(url)
        self.postgresql = self._engine.dialect.name == "postgresql"
        path = self._engine.url.database
        self._file = None if self.postgresql or not path else Path(path)
        self._made: tuple[int, int] | None = None
        """The file with the tables, by device and inode."""
        self._making, self._writing = Lock(), Lock()

    def insert(self, table: Table) -> Any:
        """An INSERT that knows ON CONFLICT."""
        return (postgresql if self.postgresql else sqlite).insert(table)

    @contextmanager
    def transaction(self, *, writes: bool = False, alone: bool = False) -> Iterator[Connection]:
        """A transaction, committed at its end.

        Numbers of PostgreSQL are given out before what has them can be seen. So whoever writes holds a lock
        that others may share, and whoever reads on from a number holds it alone: nothing is under way then.
        SQLite has one writer at a time anyway; those of this process queue here, because SQLite lets them sleep
        and try again.

        Args:
            writes: whether it writes.
            alone: whether it must see all numbers that were given out.

        Raises:
            EventsUnavailable: the database does not answer.
        """
        try:
            if self._made is None:
                self._make()
            one_writer = self._writing if writes and not self.postgresql else nullcontext()
            self._require_file()
            with one_writer, self._engine.begin() as connection:
                if self.postgresql and (writes or alone):
                    take = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
                    connection.execute(select(take(_LOCK)))
                yield connection
            if writes:
                self._require_file()
        except (DBAPIError, NoConnection, _FileGone) as error:
            reason = str(getattr(error, "orig", None) or error)
            _LOG.error("the database of events does not answer", extra={"fields": {"reason": reason}})
            raise EventsUnavailable(
                "The database of events does not answer. Nothing was stored: ask again later, an event with "
                "the same key."
            ) from error

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _make(self) -> None:
        """Make the tables unless they are there."""
        with self._making, self._engine.begin() as connection:
            if self.postgresql:
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            for table in _METADATA.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))
            self._made = self._identity()

    def _identity(self) -> tuple[int, int] | None:
        if self._file is None:
            return (0, 0)
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _require_file(self) -> None:
        """Open connections go on with a file that was deleted, and what is committed there is gone with it."""
        if self._identity() != self._made:
            raise _FileGone(f"{self._file} is gone or another file. Put it back, or start the server again.")


def _engine(url: str | URL) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        kind = parsed.get_backend_name()
        if kind not in ("sqlite", "postgresql"):
            raise ConfigError(
                f"[serving] events names a database of kind {kind!r}. Give sqlite:////path/to/file or "
                "postgresql://user@host/database, or leave it empty for a file in the run folder."
            )
        waits = {"connect_timeout": _WAIT_SECONDS, "tcp_user_timeout": 1000 * _WAIT_SECONDS}
        engine = create_engine(
            parsed,
            connect_args={"timeout": _BUSY_SECONDS} if kind == "sqlite" else waits,
            pool_pre_ping=kind == "postgresql",
        )
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigError(
            "[serving] events is no URL of a database. Give one such as postgresql://user@host/database, or "
            "leave it empty for a file in the run folder."
        ) from error
    except ImportError as error:
        raise ConfigError(
            f"PostgreSQL needs the extra `postgresql` ({error}): pip install 'starrec[postgresql]'."
        ) from error

    @event.listens_for(engine, "connect")
    def durable(connection: Any, _: object) -> None:
        settings = (
            ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
            if kind == "sqlite"
            else ("SET synchronous_commit TO on",)
        )
        cursor = connection.cursor()
        for setting in settings:
            cursor.execute(setting)
        cursor.close()
        connection.commit()

    return engine
