"""Evidence on Redis: one store for several servers, the same records, the same contract.

    PREFIX:current                        the version that is read
    PREFIX:versions                       hash: version -> what it holds and how far its upload came (JSON)
    PREFIX:VERSION:KIND:INDEX             a record, byte for byte as in LMDB

A version is named by its content, so pushing the same evidence twice is pushing it once, and an upload that was
stopped goes on where it was: the mark of how far it came is set together with the records before it. `current`
is set last. Redis is shared and its values can be evicted or overwritten by anybody, so every value is checked
at every fetch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, cast
from urllib.parse import urlsplit, urlunsplit

import redis

from starrec.errors import RunError, StarrecError
from starrec.signals.count_store import CountStore
from starrec.store.build import Bar, no_bar
from starrec.store.lmdb_store import LmdbStore
from starrec.store.records import BY_ITEM, Kind, Raw, parse_key
from starrec.store.stored import Report, StoredCounts, StoreUnavailable
from starrec.store.versions import GRACE_SECONDS

PREFIX: Final = "starrec"
_BATCH_BYTES: Final = 4 << 20
BATCH_RECORDS: Final = 2000
"""Records, or keys that expire, of one pipeline."""
_NOT_SERVED: Final = (Kind.GRAM,)
VALUES_PER_REQUEST: Final = 1000
"""Of one MGET: larger ones would hold up the server's other clients."""
_TIMEOUT_SECONDS: Final = 10.0


class RedisStore(StoredCounts):
    """The evidence in a Redis. Pickles by its address; stays with the version that it was opened with."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str = PREFIX,
        version: str | None = None,
        report: Report | None = None,
        fallback: CountStore | None = None,
        values_per_request: int = VALUES_PER_REQUEST,
    ) -> None:
        """Args:
        url: such as `redis://localhost:6379/0`; `rediss://` for TLS, with user and password where needed.
        prefix: of all keys.
        version: None for the current one.
        report, fallback: as of `StoredCounts`.
        values_per_request: fetched by one MGET at most.

        Raises:
            StoreUnavailable: Redis does not answer.
            RunError: it holds no evidence, or of another format.
        """
        self.url, self.prefix, self.values_per_request = url, prefix, values_per_request
        self._client = _connect(url)
        current = version or current_version(url, prefix=prefix)
        if current is None:
            raise RunError(
                f"{_shown(url)} holds no evidence under {prefix!r}. Put it there with `starrec signals push "
                f"--redis {_shown(url)}`."
            )
        self.version = current
        (meta,) = self._fetch(Kind.META, [0])
        super().__init__(f"{_shown(url)} ({prefix}:{self.version})", meta, report, fallback)

    def __reduce__(self) -> tuple[Callable[..., RedisStore], tuple[str, str, str, int]]:
        return _reopen, (self.url, self.prefix, self.version, self.values_per_request)

    def _fetch(self, kind: Kind, indices: Sequence[int]) -> list[Raw | None]:
        found: list[Raw | None] = []
        keys = [record_key(self.prefix, self.version, kind, index) for index in indices]
        with _answering(self.url):
            for first in range(0, len(keys), self.values_per_request):
                asked = keys[first : first + self.values_per_request]
                # Bytes: nothing is decoded unless the client is told to.
                found += cast(list[bytes | None], self._client.mget(asked))
        return found


def current_version(url: str, *, prefix: str = PREFIX) -> str | None:
    """Name of the version that is read; None where none was pushed.

    Raises:
        StoreUnavailable: Redis does not answer.
    """
    with _answering(url):
        found = cast(bytes | None, _connect(url).get(f"{prefix}:current"))
    return None if found is None else found.decode()


def push(
    source: LmdbStore,
    url: str,
    *,
    prefix: str = PREFIX,
    grace: float = GRACE_SECONDS,
    bar: Bar = no_bar,
    batch_records: int = BATCH_RECORDS,
) -> str:
    """Put a version into a Redis and make it the current one; its name there.

    Args:
        grace: seconds until versions that were there before expire.
        batch_records: written in one transaction at most.

    Raises:
        StarrecError: Redis does not answer, or takes no more (out of memory); what was pushed stays, and the
            same command goes on from there.
    """
    client = _connect(url)
    name = hashlib.sha256(source.meta.record()).hexdigest()[:16]
    table = f"{prefix}:versions"
    with _answering(url):
        state = json.loads(client.hget(table, name) or "{}")
        done = bytes.fromhex(state.get("done", ""))
        advance = bar("pushing", source.count - len(_NOT_SERVED))
        advance(state.get("records", 0))
        records = state.get("records", 0)
        for batch in _batches(source, done, batch_records):
            records += len(batch)
            state = {
                "done": batch[-1][0].hex(),
                "records": records,
                "n_users": source.meta.n_users,
                "n_items": source.meta.n_items,
            }
            # One transaction: the mark is never ahead of the records.
            with client.pipeline(transaction=True) as pipeline:
                for raw_key, value in batch:
                    pipeline.set(record_key(prefix, name, *parse_key(raw_key)), value)
                pipeline.hset(table, name, json.dumps(state))
                pipeline.execute()
            advance(len(batch))
        client.set(f"{prefix}:current", name)
        _expire_others(client, prefix, name, grace)
    return name


def record_key(prefix: str, version: str, kind: Kind, index: int) -> str:
    """The key of a record."""
    return f"{prefix}:{version}:{kind.name.lower()}:{index}"


def _expire_others(client: redis.Redis, prefix: str, name: str, grace: float) -> None:
    """Let all other versions go after the grace period, uploads that were given up included."""
    table = f"{prefix}:versions"
    for other, state in cast(dict[bytes, bytes], client.hgetall(table)).items():
        version, about = other.decode(), json.loads(state)
        if version == name:
            continue
        for keys in _keys(prefix, version, about["n_users"], about["n_items"]):
            with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.pexpire(key, max(1, int(1000 * grace)))
                pipeline.execute()
        # Forgotten at once: pushed again, it is uploaded anew, which takes the expiry off.
        client.hdel(table, version)


def _keys(prefix: str, version: str, n_users: int, n_items: int) -> Iterator[list[str]]:
    """All keys that a version may have, in batches."""
    single = [kind for kind in Kind if kind not in (*BY_ITEM, Kind.HISTORY)]
    yield [record_key(prefix, version, kind, 0) for kind in single]
    for kind, count in ((Kind.HISTORY, n_users), *((kind, n_items) for kind in BY_ITEM)):
        for first in range(0, count, BATCH_RECORDS):
            last = min(first + BATCH_RECORDS, count)
            yield [record_key(prefix, version, kind, index) for index in range(first, last)]


def _batches(source: LmdbStore, done: bytes, records: int) -> Iterator[list[tuple[bytes, bytes]]]:
    batch: list[tuple[bytes, bytes]] = []
    size = 0
    for raw_key, value in source.records(after=done):
        if parse_key(raw_key)[0] in _NOT_SERVED:
            continue
        batch.append((raw_key, bytes(value)))
        size += len(value)
        if size >= _BATCH_BYTES or len(batch) >= records:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _reopen(url: str, prefix: str, version: str, values_per_request: int) -> RedisStore:
    return RedisStore(url, prefix=prefix, version=version, values_per_request=values_per_request)


def _connect(url: str) -> redis.Redis:
    try:
        client: redis.Redis = redis.Redis.from_url(
            url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
        )
    except ValueError as error:
        raise StarrecError(
            f"{_shown(url)!r} is no address of a Redis ({error}). Give one like redis://localhost:6379/0."
        ) from error
    return client


@contextmanager
def _answering(url: str) -> Iterator[None]:
    try:
        yield
    except redis.OutOfMemoryError as error:
        raise StarrecError(
            f"The Redis at {_shown(url)} is full ({error}). The version before is untouched. Give it more "
            "memory (maxmemory) and run the same command again: it goes on from where it stopped."
        ) from error
    except redis.RedisError as error:
        raise StoreUnavailable(
            f"The Redis at {_shown(url)} does not answer as it should ({error}). Check the address, and that "
            "the server runs."
        ) from error


def _shown(url: str) -> str:
    """The address without its password."""
    parts = urlsplit(url)
    host = re.sub(r"^.*@", "***@", parts.netloc)
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


__all__ = ["BATCH_RECORDS", "PREFIX", "VALUES_PER_REQUEST", "RedisStore", "push", "record_key"]
