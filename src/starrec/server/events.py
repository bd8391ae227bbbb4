"""Events: which user took which item since the run was fitted; on disk before they are acknowledged.

SQLite by default, one file in the run folder (write-ahead log, flushed at each commit); PostgreSQL by URL,
where several machines serve. An event has a key of its sender's: whoever was cut off sends the same event with
the same key again, and it is stored once. Events have numbers that only grow, so that whoever feeds them on
asks for those after the last one it had.

Deleting a user removes her events and leaves a mark: until the counts are built again (`rebuilds_due`), and
after that, what the run itself knows of her is not to be used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic_core import to_json
from sqlalchemy import BindParameter, bindparam, delete, select, update
from sqlalchemy.engine import URL

from starrec.errors import StarrecError
from starrec.server.database import DELETIONS, EVENTS, FED, Database

FILE: Final = "events.sqlite"
"""In the run folder."""
KEY_LENGTH: Final = 255
"""Characters of a key at most: it is indexed."""
AT_ONCE: Final = 10_000
"""Events that `Events.after` reads at most, unless told."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_USERS: Final[BindParameter[str]] = bindparam("users", expanding=True)
# Made once: each request about a user asks them.
_OF_USERS: Final = select(EVENTS).where(EVENTS.c.user_id.in_(_USERS)).order_by(EVENTS.c.time, EVENTS.c.number)
_FORGOTTEN: Final = select(DELETIONS.c.user_id).where(DELETIONS.c.user_id.in_(_USERS)).distinct()


class KeyReused(StarrecError):
    """A key came with another event than the first time."""


@dataclass(frozen=True, slots=True)
class Event:
    """A user took an item."""

    number: int
    user_id: str
    item_id: str
    time: datetime
    """In UTC."""
    key: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """The mark that deleting a user left."""

    number: int
    user_id: str
    time: datetime


@dataclass(frozen=True, slots=True)
class UserEvents:
    """What is known of one user beside the run."""

    events: tuple[Event, ...]
    """By time, those of one time as they came."""
    forgotten: bool
    """Whether she was deleted: what the run knows of her is not to be used."""


class Events:
    """The store of one run. May be used from several threads, and beside other processes.

    Nothing is opened before the first call, so that a database that is down keeps nobody from starting.
    """

    def __init__(self, url: str | URL) -> None:
        """Args:
        url: as SQLAlchemy reads it: `sqlite:////path/events.sqlite`, `postgresql://user@host/database`.

        Raises:
            ConfigError: it is no such URL, or the driver is missing.
        """
        self._database = Database(url)

    @classmethod
    def of_run(cls, folder: Path, url: str = "") -> Events:
        """The events of a run: at the URL, or in a file of its folder where that is empty."""
        return cls(url or URL.create("sqlite", database=str(folder.absolute() / FILE)))

    @property
    def in_file(self) -> bool:
        """Whether reading waits for no writer and no other machine."""
        return not self._database.postgresql

    def add(self, user_id: str, item_id: str, time: datetime | None = None, *, key: str) -> Event:
        """Store an event; it is on disk when this returns. Sent again with its key, it is the first one.

        Args:
            time: with a time zone; now if left out.
            key: chosen by the sender, another for each event; at most `KEY_LENGTH` characters.

        Raises:
            KeyReused: the key was used for another event.
            EventsUnavailable: the database does not answer.
        """
        body = hashlib.sha256(to_json([user_id, item_id, time])).hexdigest()
        row = {"user_id": user_id, "item_id": item_id, "key": key, "body": body}
        insert = self._database.insert(EVENTS).on_conflict_do_nothing(index_elements=["key"]).returning(EVENTS)
        known = select(EVENTS).where(EVENTS.c.key == key)
        found = None
        while found is None:  # again only where what held the key was deleted between the two statements
            with self._database.transaction(writes=True) as connection:
                stored = connection.execute(insert, row | {"time": _ticks(time or datetime.now(UTC))})
                found = stored.one_or_none() or connection.execute(known).one_or_none()
        if found.body != body:
            raise KeyReused(
                "This idempotency key came with another event before. Give each event a key of its own, and "
                "send it again only with the same user, item and time."
            )
        return _event(found)

    def of_user(self, user_id: str) -> UserEvents:
        """A user's events, by time.

        Raises:
            EventsUnavailable: the database does not answer.
        """
        return self.of_users([user_id])[0]

    def of_users(self, user_ids: Sequence[str]) -> list[UserEvents]:
        """As `of_user`, for each of at most a thousand users."""
        asked = {"users": list(dict.fromkeys(user_ids))}
        with self._database.transaction() as connection:
            rows = connection.execute(_OF_USERS, asked).all()
            forgotten = frozenset(connection.execute(_FORGOTTEN, asked).scalars())
        events: dict[str, list[Event]] = {}
        for row in rows:
            events.setdefault(row.user_id, []).append(_event(row))
        return [UserEvents(tuple(events.get(user, ())), user in forgotten) for user in user_ids]

    def after(self, number: int, limit: int = AT_ONCE) -> list[Event]:
        """The events with greater numbers, by number: none with a smaller one can appear later.

        Raises:
            EventsUnavailable: the database does not answer.
        """
        later = select(EVENTS).where(EVENTS.c.number > number).order_by(EVENTS.c.number).limit(limit)
        with self._database.transaction(alone=True) as connection:
            return list(map(_event, connection.execute(later)))

    def forget(self, user_id: str) -> tuple[Deletion, int]:
        """Delete a user's events and mark that counts must be built again; how many events there were.

        A key of a deleted event is free again.

        Raises:
            EventsUnavailable: the database does not answer.
        """
        now = _ticks(datetime.now(UTC))
        with self._database.transaction(writes=True) as connection:
            events = connection.execute(delete(EVENTS).where(EVENTS.c.user_id == user_id)).rowcount
            connection.execute(delete(DELETIONS).where(DELETIONS.c.user_id == user_id))
            mark = self._database.insert(DELETIONS).returning(DELETIONS)
            row = connection.execute(mark, {"user_id": user_id, "time": now}).one()
        return _deletion(row), events

    def rebuilds_due(self) -> list[Deletion]:
        """Deletions that the counts still hold, oldest first.

        Raises:
            EventsUnavailable: the database does not answer.
        """
        due = select(DELETIONS).where(DELETIONS.c.rebuilt.is_(None)).order_by(DELETIONS.c.number)
        with self._database.transaction() as connection:
            return list(map(_deletion, connection.execute(due)))

    def forgotten(self) -> dict[str, list[Event]]:
        """Everybody who was deleted, with what she took since.

        Raises:
            EventsUnavailable: the database does not answer.
        """
        gone = select(DELETIONS.c.user_id)
        theirs = select(EVENTS).where(EVENTS.c.user_id.in_(gone)).order_by(EVENTS.c.time, EVENTS.c.number)
        with self._database.transaction() as connection:
            found: dict[str, list[Event]] = {user: [] for user in connection.execute(gone).scalars()}
            for event in map(_event, connection.execute(theirs)):
                if event.user_id in found:
                    found[event.user_id].append(event)
        return found

    def rebuilt(self, number: int) -> None:
        """Record that the counts were built again, without whoever was deleted up to this mark.

        Raises:
            EventsUnavailable: the database does not answer.
        """
        mine = (DELETIONS.c.number <= number) & DELETIONS.c.rebuilt.is_(None)
        with self._database.transaction(writes=True) as connection:
            connection.execute(update(DELETIONS).where(mine).values(rebuilt=_ticks(datetime.now(UTC))))

    def fed(self, evidence: str) -> int:
        """Number of the last event that this evidence was given; 0 for none.

        Raises:
            EventsUnavailable: the database does not answer.
        """
        with self._database.transaction() as connection:
            found = connection.execute(select(FED.c.number).where(FED.c.evidence == evidence))
            return int(found.scalar_one_or_none() or 0)

    def note_fed(self, evidence: str, number: int) -> None:
        """Record that this evidence was given the events up to this number.

        Raises:
            EventsUnavailable: the database does not answer.
        """
        upsert = self._database.insert(FED).on_conflict_do_update(
            index_elements=["evidence"], set_={"number": number}
        )
        with self._database.transaction(writes=True) as connection:
            connection.execute(upsert, {"evidence": evidence, "number": number})

    def close(self) -> None:
        """Close all connections."""
        self._database.close()


def _ticks(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _time(ticks: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ticks)


def _event(row: Any) -> Event:
    return Event(row.number, row.user_id, row.item_id, _time(row.time), row.key)


def _deletion(row: Any) -> Deletion:
    return Deletion(row.number, row.user_id, _time(row.time))
