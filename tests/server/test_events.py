"""Events: what is acknowledged is there, once, in order, and after any death of the process that took it."""

import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from starrec.errors import ConfigError
from starrec.server.database import EventsUnavailable
from starrec.server.events import Events, KeyReused

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)

WRITER = """
import sys, threading
from starrec.server.events import Events
events, begin, said = Events(sys.argv[1]), int(sys.argv[2]), threading.Lock()
def write(thread):
    for number in range(100_000):
        key = f"{begin}-{thread}-{number}"
        events.add(f"u{thread}", f"i{number}", key=key)
        with said:
            print(key, flush=True)
for thread in range(3):
    threading.Thread(target=write, args=(thread,)).start()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/events.sqlite"
    found = request.getfixturevalue("postgresql")
    # Each test an empty schema of its own.
    schema = f"test{os.urandom(8).hex()}"
    import psycopg

    with psycopg.connect(found, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return f"{found}&options=-csearch_path%3D{schema}"


@pytest.fixture
def events(url):
    store = Events(url)
    yield store
    store.close()


def test_a_users_events_are_read_by_time_and_as_they_came(events):
    events.add("anna", "late", NOON + timedelta(hours=1), key="1")
    events.add("anna", "first of noon", NOON, key="2")
    events.add("anna", "second of noon", NOON, key="3")
    events.add("ben", "other", NOON, key="4")
    mine = events.of_user("anna")
    assert [event.item_id for event in mine.events] == ["first of noon", "second of noon", "late"]
    assert mine.events[0].time == NOON and not mine.forgotten
    assert events.of_user("nobody").events == ()


def test_an_event_without_a_time_is_of_now(events):
    before = datetime.now(UTC)
    event = events.add("anna", "x", key="1")
    assert before - timedelta(milliseconds=1) <= event.time <= datetime.now(UTC)


def test_the_same_key_is_answered_as_the_first_time_and_stored_once(events):
    first = events.add("anna", "x", key="k")
    assert events.add("anna", "x", key="k") == first
    assert len(events.after(0)) == 1 and events.of_user("anna").events == (first,)


@pytest.mark.parametrize("other", [("ben", "x", None), ("anna", "y", None), ("anna", "x", NOON)])
def test_a_key_that_comes_with_another_event_is_refused(events, other):
    events.add("anna", "x", key="k")
    with pytest.raises(KeyReused, match="a key of its own"):
        events.add(*other, key="k")
    assert len(events.after(0)) == 1


def test_one_key_sent_by_many_at_once_is_one_event(events):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: events.add("anna", "x", key="k"), range(24)))
    assert len(set(found)) == 1 and len(events.after(0)) == 1


def test_long_ids_are_stored_as_they_are(events):
    # Beyond what an index of PostgreSQL's can hold, and not to be shortened by compressing.
    user = random.Random(0).randbytes(5000).hex()
    events.add(user, "'; DROP TABLE events; --", key="k")
    assert [event.item_id for event in events.of_user(user).events] == ["'; DROP TABLE events; --"]
    events.forget(user)
    assert events.of_user(user).forgotten


def test_events_are_read_on_from_a_number_and_none_is_skipped_while_others_write(events):
    # A number is given out before its event can be seen: reading on past it would lose it for ever.
    seen, ended = [], threading.Event()

    def follow():
        last = 0
        while True:
            over = ended.is_set()
            batch = events.after(last, limit=7)
            if not batch and over:
                return
            seen.extend(batch)
            last = batch[-1].number if batch else last

    reader = threading.Thread(target=follow)
    reader.start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: events.add("anna", f"i{n}", key=str(n)), range(120)))
    ended.set()
    reader.join()
    assert sorted(int(event.key) for event in seen) == list(range(120))
    assert [event.number for event in seen] == sorted(event.number for event in seen)


def test_deleting_a_user_removes_events_and_marks_a_rebuild(events):
    for number in range(3):
        events.add("anna", f"i{number}", key=str(number))
    kept = events.add("ben", "x", key="b")
    mark, count = events.forget("anna")
    assert count == 3 and mark.user_id == "anna"
    assert events.of_user("anna").events == () and events.of_user("anna").forgotten
    assert events.after(0) == [kept]
    assert events.rebuilds_due() == [mark]
    # What she does from then on counts; what the run knew of her before stays out, also after the rebuild.
    events.rebuilt(mark.number)
    again = events.add("anna", "new", key="0")
    assert events.rebuilds_due() == [] and again.number > kept.number
    assert events.of_user("anna").events == (again,) and events.of_user("anna").forgotten


def test_a_rebuild_covers_the_deletions_before_it_alone(events):
    first, _ = events.forget("anna")
    second, _ = events.forget("ben")
    events.rebuilt(first.number)
    assert events.rebuilds_due() == [second]


def test_how_far_evidence_was_fed_is_kept_for_each(events):
    assert events.fed("a") == 0
    events.note_fed("a", 3)
    events.note_fed("b", 9)
    events.note_fed("a", 5)
    assert (events.fed("a"), events.fed("b")) == (5, 9)


def test_several_processes_may_start_at_once(url):
    stores = [Events(url) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda pair: pair[1].add("anna", "x", key=str(pair[0])), enumerate(stores)))
    assert len(stores[0].after(0)) == 6
    for store in stores:
        store.close()


def test_every_acknowledged_event_is_there_once_after_kill_9(url):
    randomness = random.Random(1)
    acknowledged = set()
    for begin in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, str(begin)], stdout=subprocess.PIPE, text=True
        )
        acknowledged.add(writer.stdout.readline().strip())
        threading.Timer(randomness.uniform(0.02, 0.25), os.kill, (writer.pid, signal.SIGKILL)).start()
        # A line that was cut off was not acknowledged.
        acknowledged |= {line.strip() for line in writer.stdout if line.endswith("\n")}
        writer.wait()
    store = Events(url)
    stored = [event.key for event in store.after(0, limit=10**6)]
    assert len(acknowledged) >= 3 and acknowledged <= set(stored) and len(stored) == len(set(stored))
    # What was stored and not acknowledged is sent again, and is there once too.
    for key in stored:
        begin, thread, number = key.split("-")
        store.add(f"u{thread}", f"i{number}", key=key)
    assert len(store.after(0, limit=10**6)) == len(stored)
    store.close()


def test_sqlite_flushes_each_commit(tmp_path):
    store = Events.of_run(tmp_path)
    store.add("anna", "x", key="k")
    with store._database._engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        ]
    assert pragmas == ["wal", 2]  # FULL
    assert (tmp_path / "events.sqlite").is_file()
    store.close()


def test_a_database_that_is_down_is_said_and_answers_again_when_it_is_back(tmp_path):
    store = Events(f"sqlite:///{tmp_path}/later/events.sqlite")
    with pytest.raises(EventsUnavailable, match="Nothing was stored"):
        store.add("anna", "x", key="k")
    with pytest.raises(EventsUnavailable):
        store.of_user("anna")
    (tmp_path / "later").mkdir()
    store.add("anna", "x", key="k")
    assert len(store.after(0)) == 1
    store.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_acknowledged_into_a_file_that_was_deleted(tmp_path, replaced):
    path = tmp_path / "events.sqlite"
    events = Events(f"sqlite:///{path}")
    events.add("anna", "i1", NOON, key="1")
    moved = path.rename(tmp_path / "moved.sqlite")
    if replaced:
        path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(EventsUnavailable, match="Nothing was stored"):
            events.add("anna", "i2", NOON, key="2")
        with pytest.raises(EventsUnavailable):
            events.rebuilds_due()
    moved.replace(path)
    events.add("anna", "i3", NOON, key="3")
    assert [event.item_id for event in events.of_user("anna").events] == ["i1", "i3"]
    events.close()


@pytest.mark.parametrize("url", ["mysql://root@host/x", "events.sqlite", "sqlite+nothing:///x", "oracle:///"])
def test_what_is_no_url_of_a_known_database_is_refused(url):
    with pytest.raises(ConfigError, match=r"\[serving\] events"):
        Events(url)
