"""Events become evidence: counted as if they had been data, and those who were deleted as if they had not."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from starrec.data import build as dataset
from starrec.server.events import Events
from starrec.server.feeding import feed
from starrec.store import LmdbStore, Log, Settings, Versions, build

DAY = datetime(2026, 5, 1, tzinfo=UTC)
ITEMS = [f"i{item}" for item in range(9)]


def _log(order, rows):
    """Rows: user, item, day after `DAY` or position."""
    times = [DAY + timedelta(days=place) if order == "clock" else place for *_, place in rows]
    interactions = pl.DataFrame(
        {
            "user_id": [row[0] for row in rows],
            "item_id": [row[1] for row in rows],
            "time": [int(time.timestamp()) for time in times] if order == "clock" else times,
        }
    )
    items = pl.DataFrame({"item_id": ITEMS, "title": ITEMS})
    return Log.of(dataset("few", order, interactions, items), 0)


ROWS = [(f"u{user}", f"i{(user * 2 + at) % 9}", at) for user in range(12) for at in range(4)]


@pytest.fixture(params=["clock", "position"])
def order(request):
    return request.param


@pytest.fixture
def versions(order, tmp_path):
    found = Versions(tmp_path / "evidence")
    build(found, _log(order, ROWS), Settings().inputs("data", 0))
    return found


@pytest.fixture
def events(tmp_path):
    store = Events.of_run(tmp_path)
    yield store
    store.close()


def _of(versions, user):
    store = LmdbStore(versions.require())
    log, ids = store.log(), store.catalogue["item_id"].to_list()
    if user not in log.user_ids:
        return None
    return [ids[item] for item in log.of_user(log.user_ids.index(user)).items.tolist()]


def _same_counts(versions, log, tmp_path):
    other = Versions(tmp_path / "other")
    build(other, log, Settings().inputs("data", 0))
    ours, theirs = LmdbStore(versions.require()), LmdbStore(other.require())
    assert ours.about == theirs.about
    np.testing.assert_array_equal(ours.popularity, theirs.popularity)
    every = np.arange(9, dtype=np.int32)
    np.testing.assert_array_equal(ours.neighbours(every).both, theirs.neighbours(every).both)


def test_events_are_counted_as_if_they_had_been_data(order, versions, events, tmp_path):
    events.add("u0", "i8", DAY + timedelta(days=9), key="2")
    events.add("u0", "i7", DAY + timedelta(days=8), key="1")
    events.add("new", "i1", DAY + timedelta(days=8), key="3")
    events.add("u0", "of another catalogue", key="4")
    done = feed(events, versions)
    assert (done.added, done.events, done.removed) == (3, 4, ())
    assert _of(versions, "u0") == ["i0", "i1", "i2", "i3", "i7", "i8"] and _of(versions, "new") == ["i1"]
    # By day; positions go on from the last, which is 3, or begin with 0.
    places = {"clock": (8, 9, 8), "position": (4, 5, 0)}[order]
    rows = [*ROWS, ("u0", "i7", places[0]), ("u0", "i8", places[1]), ("new", "i1", places[2])]
    _same_counts(versions, _log(order, rows), tmp_path)


def test_each_event_is_fed_once(versions, events):
    events.add("u0", "i8", DAY + timedelta(days=9), key="1")
    assert feed(events, versions).added == 1
    version = versions.require()
    again = feed(events, versions)
    assert (again.added, again.events, again.version) == (0, 0, version)
    events.add("u1", "i8", DAY + timedelta(days=9), key="2")
    assert feed(events, versions).events == 1


def test_evidence_that_was_built_anew_gets_all_events_again(order, versions, events):
    events.add("u0", "i8", DAY + timedelta(days=9), key="1")
    feed(events, versions)
    build(versions, _log(order, ROWS), Settings().inputs("data", 0), fresh=True)
    assert "i8" not in _of(versions, "u0")
    assert feed(events, versions).added == 1 and _of(versions, "u0")[-1] == "i8"


def test_a_deleted_user_is_taken_out_of_the_counts(order, versions, events, tmp_path):
    events.add("u0", "i8", DAY + timedelta(days=8), key="1")
    events.add("gone", "i5", DAY + timedelta(days=8), key="2")
    feed(events, versions)
    for user in ("u0", "gone", "u3"):
        events.forget(user)
    events.add("u3", "i8", DAY + timedelta(days=9), key="3")
    done = feed(events, versions)
    assert done.removed == ("gone", "u0", "u3") and events.rebuilds_due() == []
    assert _of(versions, "u0") is None and _of(versions, "gone") is None and _of(versions, "u3") == ["i8"]
    rows = [row for row in ROWS if row[0] not in ("u0", "u3")]
    _same_counts(versions, _log(order, [*rows, ("u3", "i8", {"clock": 9, "position": 0}[order])]), tmp_path)
    version = versions.require()
    assert feed(events, versions).removed == () and versions.require() == version


def test_a_build_from_the_data_does_not_bring_a_deleted_user_back_for_long(order, versions, events):
    events.forget("u0")
    feed(events, versions)
    build(versions, _log(order, ROWS), Settings().inputs("data", 0), fresh=True)
    assert _of(versions, "u0")
    assert feed(events, versions).removed == ("u0",) and _of(versions, "u0") is None
