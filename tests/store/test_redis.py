"""The store on Redis, against a real server on loopback: the same answers, whole uploads, nothing damaged
served."""

import pickle
import socket

import numpy as np
import polars as pl
import pytest
import redis

from starrec.engines import Workers
from starrec.errors import RunError, StarrecError
from starrec.store import FORMAT, Kind, LmdbStore, update
from starrec.store.redis_store import RedisStore, push, record_key

NEW = pl.DataFrame({"user_id": ["u1", "u-new"], "item_id": ["i3", "i4"], "time": [6_000_000, 6_000_001]})


@pytest.fixture(scope="module")
def server(redis_url):
    return redis_url


@pytest.fixture
def client(server):
    """An empty Redis."""
    client = redis.Redis.from_url(server)
    client.flushall()
    client.config_set("maxmemory", 0)
    return client


def test_it_answers_as_the_counts(server, client, source, counts, answers_like):
    push(source, server)
    answers_like(RedisStore(server), counts)


def test_what_is_pushed_are_the_records(server, client, source):
    name = push(source, server, prefix="shop")
    index = np.flatnonzero(source.popularity)[0]
    for kind, number in ((Kind.META, 0), (Kind.POSTINGS, index), (Kind.CATALOGUE, 0)):
        (raw,) = source._fetch(kind, [int(number)])
        assert client.get(record_key("shop", name, kind, int(number))) == bytes(raw)
    remote = RedisStore(server, prefix="shop")
    assert remote.user_ids == source.user_ids and remote.catalogue.equals(source.catalogue)
    assert remote.log().sha256() == source.meta.sha256


def test_it_pickles_by_its_address_and_version(server, client, source, counts):
    push(source, server)
    remote = RedisStore(server)
    assert pickle.loads(pickle.dumps(remote)).version == remote.version
    with Workers(remote, 2) as workers:
        found = list(workers.map(_popularity, [None] * 4))
    assert all(np.array_equal(values, counts.popularity) for values in found)


def _popularity(source, _):
    return source.popularity


def test_many_values_come_in_several_requests(server, client, source, counts):
    push(source, server)
    remote = RedisStore(server, values_per_request=7)
    items = np.arange(25, dtype=np.int32)
    before = client.info("commandstats")["cmdstat_mget"]["calls"]
    found = remote.postings(items)
    assert all(map(np.array_equal, found, counts.postings(items)))
    # 25 values, 7 at a time.
    assert client.info("commandstats")["cmdstat_mget"]["calls"] - before == 4
    assert pickle.loads(pickle.dumps(remote)).values_per_request == 7


def test_a_new_version_replaces_the_old_one_which_expires(server, client, versions, source):
    old = push(source, server)
    reader = RedisStore(server)
    update(versions, NEW)
    latest = LmdbStore.open(versions.folder)
    new = push(latest, server, grace=1000)
    assert old != new and client.get("starrec:current").decode() == new
    kept = [key.decode() for key in client.keys(f"starrec:{old}:*")]
    assert len(kept) == source.count - 1, "all but the Gram matrix"
    assert all(0 < client.ttl(key) <= 1000 for key in kept), "a key of the old version does not expire"
    assert all(client.ttl(key) == -1 for key in client.keys(f"starrec:{new}:*"))
    # A reader goes on with its version until it has expired.
    assert np.array_equal(reader.lengths, source.lengths)
    # Who goes back takes the expiry off.
    assert push(source, server) == old
    assert all(client.ttl(key) == -1 for key in client.keys(f"starrec:{old}:*"))
    assert RedisStore(server).meta == source.meta


def test_an_upload_that_was_stopped_goes_on(server, client, source, counts, answers_like):
    class Stopped(Exception):
        pass

    def stop_after(limit):
        def bar(name, total):
            done = 0

            def advance(count):
                nonlocal done
                done += count
                if done >= limit:
                    raise Stopped

            return advance

        return bar

    with pytest.raises(Stopped):
        push(source, server, bar=stop_after(60), batch_records=10)
    assert client.get("starrec:current") is None, "half an upload must not be read"
    with pytest.raises(RunError, match="holds no evidence"):
        RedisStore(server)
    before = client.info("commandstats")["cmdstat_set"]["calls"]
    told = []
    push(source, server, bar=lambda name, total: told.append)
    written = client.info("commandstats")["cmdstat_set"]["calls"] - before
    # `current` besides, and not the Gram matrix, which only updates need.
    assert written == source.count - 1 - 60 + 1 and sum(told) == source.count - 1
    answers_like(RedisStore(server), counts)
    push(source, server)
    assert client.info("commandstats")["cmdstat_set"]["calls"] - before == written + 1, "all was there"


def test_an_upload_that_was_given_up_expires(server, client, versions, source):
    def bar(name, total):
        def advance(count):
            if count:
                raise KeyboardInterrupt

        return advance

    with pytest.raises(KeyboardInterrupt):
        push(source, server, bar=bar, batch_records=10)
    update(versions, NEW)
    name = push(LmdbStore.open(versions.folder), server, grace=5)
    others = [key for key in client.keys("starrec:*:*:*") if name not in key.decode()]
    assert len(others) == 10 and all(0 < client.ttl(key) <= 5 for key in others)


DAMAGE = {
    "flipped": lambda value: value[:-1] + bytes([value[-1] ^ 1]),
    "cut": lambda value: value[:-3],
    "of another format": lambda value: value[:4] + bytes([FORMAT + 1, 0]) + value[6:],
    "nonsense": lambda value: b"hello",
    "evicted": lambda value: None,
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_values_are_reported_and_counted_again(server, client, source, counts, answers_like, how):
    name = push(source, server)
    hurt = [(Kind.POPULARITY, 0), (Kind.PRECISION, 0)]
    hurt += [(kind, item) for kind in (Kind.POSTINGS, Kind.NEIGHBOURS) for item in (3, 7)]
    for kind, index in hurt:
        key = record_key("starrec", name, kind, index)
        changed = DAMAGE[how](client.get(key))
        client.delete(key) if changed is None else client.set(key, changed)
    reports = []
    answers_like(RedisStore(server, report=reports.append), counts)
    assert len(reports) == len(hurt) and all("counted again, not served" in line for line in reports)
    assert any(f"{server} (starrec:{name}): record postings 3" in line for line in reports)


def test_a_value_that_changes_while_it_is_read_is_found_out(server, client, source, counts):
    name = push(source, server)
    reports = []
    remote = RedisStore(server, report=reports.append)
    item = np.array([7], dtype=np.int32)
    assert np.array_equal(remote.postings(item)[0], counts.postings(item)[0]) and not reports
    client.set(
        record_key("starrec", name, Kind.POSTINGS, 7), client.get(record_key("starrec", name, Kind.POSTINGS, 3))
    )
    assert np.array_equal(remote.postings(item)[0], counts.postings(item)[0]) and len(reports) == 1


def test_a_damaged_history_comes_from_the_fallback(server, client, source, counts):
    name = push(source, server)
    client.delete(record_key("starrec", name, Kind.HISTORY, 5))
    with pytest.raises(RunError, match="history of user 5"):
        RedisStore(server, report=lambda line: None).sequence(5)
    remote = RedisStore(server, report=lambda line: None, fallback=source)
    assert np.array_equal(remote.sequence(5)[0], counts.sequence(5)[0])
    assert np.array_equal(remote.sequences(np.array([4, 5])).values, counts.sequences(np.array([4, 5])).values)


def test_a_newer_format_names_both_versions(server, client, source):
    name = push(source, server)
    key = record_key("starrec", name, Kind.META, 0)
    client.set(key, DAMAGE["of another format"](client.get(key)))
    with pytest.raises(RunError, match=f"format {FORMAT + 1}.*reads format {FORMAT}.*Install"):
        RedisStore(server)


def test_a_server_that_does_not_answer_and_no_address(source):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"redis://somebody:secret@127.0.0.1:{free.getsockname()[1]}/0"
    with pytest.raises(StarrecError, match="does not answer") as raised:
        push(source, url)
    assert "secret" not in str(raised.value)
    with pytest.raises(StarrecError, match="no address of a Redis"):
        RedisStore("localhost:6379")


def test_a_full_server_keeps_the_version_before(server, client, versions, source, counts, answers_like):
    push(source, server)
    update(versions, NEW)
    client.config_set("maxmemory", 1)
    with pytest.raises(StarrecError, match=r"is full.*goes on from where it stopped"):
        push(LmdbStore.open(versions.folder), server)
    client.config_set("maxmemory", 0)
    answers_like(RedisStore(server), counts)


def test_an_empty_server_says_how_to_fill_it(server, client):
    with pytest.raises(RunError, match=r"holds no evidence under 'starrec'.*starrec signals push --redis"):
        RedisStore(server)
