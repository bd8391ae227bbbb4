"""What a server does, without HTTP: the recommender of a run, in batches, with the events that came since.

One thread asks the recommender, batch by batch (`batching`); traces have threads of their own (`streams`). A
known user is asked about with what the run knows of her and what she took since; who was deleted, with the
latter alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from starrec.errors import ConfigError, StarrecError
from starrec.pipeline.serving import redis_stores
from starrec.pipeline.serving_config import ServingConfig
from starrec.recommender import Item, Recommendations, UnknownUser, load
from starrec.server.batching import Batcher, Overloaded
from starrec.server.database import EventsUnavailable
from starrec.server.events import Deletion, Event, Events, UserEvents
from starrec.server.live import Live
from starrec.server.loaded import Loaded, Person
from starrec.server.metrics import Metrics
from starrec.server.streams import Streams
from starrec.server.traces import TraceEvent, trace_events
from starrec.store import StoreUnavailable

A = TypeVar("A")

_WITHOUT_EVENTS: Final = "The database of events does not answer: what the user took since is left out."
_CONNECTIONS: Final = 4
"""To the database of events, a thread each: as many as it keeps open."""
_UNKNOWN: Final = "The run does not know this user: the answer goes by the history alone."


@dataclass(frozen=True, slots=True)
class _Ranking:
    """A request that can be computed with others of its kind."""

    person: Person
    candidates: Sequence[str]


_Request = _Ranking | Callable[[Loaded], Any]


class Service:
    """A run that is served. Belongs to the event loop that entered it as a context."""

    def __init__(
        self, run: Path, config: ServingConfig, *, metrics: Metrics | None = None, system: str | None = None
    ) -> None:
        """Args:
        system: what ranks, as of `starrec.load`.

        Raises:
            ConfigError: `[serving]` names a database that cannot be, or the extra for it is missing.
        """
        if config.redis:
            redis_stores()
        self.run, self.config, self.metrics = run, config, metrics or Metrics()
        self.events = Events.of_run(run, config.events_url)
        self.live: Live[Loaded] = Live(
            lambda: Loaded.of(load(run, system=system), config.in_memory),
            lambda: _state(run, config),
            loaded=self.metrics.loaded.set_to_current_time,
            failed=self.metrics.failed_loads.inc,
        )
        self._streams = Streams(config.streams)
        self._stored = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="starrec-events")
        self._batcher: Batcher[_Request, Any]
        self._lookups: Batcher[str, UserEvents]
        self._watching: asyncio.Task[None]

    async def __aenter__(self) -> Service:
        self._batcher = Batcher(
            self._compute, queue=self.config.queue, batch=self.config.batch, computed=self._count
        )
        self._lookups = Batcher(self._look_up, queue=self.config.queue, batch=self.config.batch)
        self.metrics.queue_length = self._batcher.__len__
        self._watching = asyncio.create_task(self._load_and_watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()
        await self._lookups.close()
        await self._batcher.close()
        self._stored.shutdown()
        self.events.close()

    async def rank(self, person: Person, candidates: Sequence[str], *, reasons: bool) -> Recommendations:
        """Candidates of the caller's, ranked. Errors as of `Recommender.rank`."""
        person = await self._with_events(person)
        if not reasons:
            return _noted(await self._ask(_Ranking(person, candidates)), person)

        def asked(loaded: Loaded) -> Recommendations:
            user, history = loaded.asked(person)
            return loaded.model.rank(candidates, user=user, history=history, reasons=True)

        return _noted(await self._ask(asked), person)

    async def recommend(
        self, person: Person, n: int, *, where: dict[str, Any], exclude: Sequence[str], reasons: bool
    ) -> Recommendations:
        """The best of the catalogue. Errors as of `Recommender.recommend`."""
        person = await self._with_events(person)

        def asked(loaded: Loaded) -> Recommendations:
            user, history = loaded.asked(person)
            return loaded.model.recommend(user, history, n, where=where, exclude=exclude, reasons=reasons)

        return _noted(await self._ask(asked), person)

    async def similar(
        self, item: str, n: int, *, where: dict[str, Any], exclude: Sequence[str]
    ) -> Recommendations:
        """What is like an item. Errors as of `Recommender.similar`."""
        found: Recommendations = await self._ask(
            lambda loaded: loaded.model.similar(item, n, where=where, exclude=exclude)
        )
        return found

    async def explain(
        self, person: Person, candidates: Sequence[str] | None, by: Literal["star", "teacher"]
    ) -> AsyncIterator[TraceEvent]:
        """The events of a trace, as they are written. Errors as of `Recommender.explain`, and before the first
        one."""
        person, loaded = await self._with_events(person), self.live.model

        def steps() -> Iterator[TraceEvent]:
            user, history = loaded.asked(person)
            serving = loaded.model.serving
            try:
                trace = loaded.model.explain(candidates, user=user, history=history, by=by)
            except ImportError as error:
                raise ConfigError(f"Think mode needs the extra `train` ({error}).") from error
            return trace_events(trace, serving.fast.world, serving.catalogue)

        with self._counting("streams"):
            return await self._streams.open(steps)

    async def items(self, query: str, n: int) -> list[Item]:
        """Items by what was typed of their titles."""
        return await asyncio.to_thread(self.live.model.model.items, query, n)

    async def ask(self, question: Callable[[Loaded], A]) -> A:
        """What the recommender answers to something else, asked by the thread that asks it everything."""
        found: A = await self._ask(question)
        return found

    async def add(self, user: str, item: str, time: datetime | None, key: str) -> tuple[Event, Item]:
        """Store an event; it is on disk when this returns, and counts in the user's next request.

        Raises:
            UnknownItem: the catalogue has no such item.
            KeyReused, EventsUnavailable: as of `Events.add`.
        """
        loaded = self.live.model

        def stored() -> tuple[Event, Item]:
            found = loaded.item(item)
            return self.events.add(user, found.item_id, time, key=key), found

        answer = await self._in_events(stored)
        self.metrics.events.inc()
        return answer

    async def forget(self, user: str) -> tuple[Deletion, int]:
        """Delete a user's events, and mark that she must be left out of the counts.

        Raises:
            UnknownUser: neither the run nor the events know her.
            EventsUnavailable: the database does not answer.
        """
        loaded = self.live.model

        def deleted() -> tuple[Deletion, int]:
            since = self.events.of_user(user)
            if not since.events and not since.forgotten and user not in loaded.users:
                raise UnknownUser(f"There is no user {user[:100]!r}: nothing was deleted.")
            done = self.events.forget(user)
            self.metrics.rebuilds_due.set(len(self.events.rebuilds_due()))
            return done

        return await self._in_events(deleted)

    async def parts(self) -> dict[str, str]:
        """What the server consists of, and whether it works: `ok`, or what is the matter."""
        try:
            due = await self._in_events(self.events.rebuilds_due)
        except EventsUnavailable:
            events = "unavailable"
        else:
            events = "ok"
            self.metrics.rebuilds_due.set(len(due))
        return {"run": self.live.status, "events": events}

    async def _with_events(self, person: Person) -> Person:
        if person.user is None:
            return person
        if person.history is not None:
            unknown = person.user not in self.live.model.users
            return replace(person, notes=(_UNKNOWN,)) if unknown else person
        try:
            # 0.1 ms from a file; a thread would take longer to wake up.
            with self._counting("queue"):
                since = await self._lookups.ask(person.user, quick=self.events.in_file)
        except EventsUnavailable:
            return Person(person.user, None, notes=(_WITHOUT_EVENTS,))
        return Person(person.user, None, since)

    def _look_up(self, users: list[str]) -> Sequence[UserEvents | StarrecError]:
        try:
            return self.events.of_users(users)
        except EventsUnavailable as error:
            return [error] * len(users)  # a database that is down is asked once, not once a user

    def _in_events(self, work: Callable[[], A]) -> asyncio.Future[A]:
        return asyncio.get_running_loop().run_in_executor(self._stored, work)

    async def _ask(self, request: _Request) -> Any:
        _ = self.live.model  # refused before it waits
        with self._counting("queue"):
            return await self._batcher.ask(request, quick=isinstance(request, _Ranking))

    @contextmanager
    def _counting(self, reason: str) -> Iterator[None]:
        try:
            yield
        except Overloaded:
            self.metrics.refused.labels(reason).inc()
            raise

    def _compute(self, batch: list[_Request]) -> list[Any]:
        loaded = self.live.model
        answers: list[Any] = [None] * len(batch)
        ranked: list[int] = []
        tasks = []
        for at, request in enumerate(batch):
            try:
                if isinstance(request, _Ranking):
                    tasks.append((*loaded.asked(request.person), request.candidates))
                    ranked.append(at)
                else:
                    answers[at] = request(loaded)
            except StarrecError as error:
                answers[at] = error
        for at, answer in zip(ranked, loaded.model.rank_many(tasks) if tasks else (), strict=True):
            answers[at] = answer
        return answers

    def _count(self, requests: int, seconds: float) -> None:
        self.metrics.batches.observe(requests)
        self.metrics.batch_seconds.observe(seconds)

    async def _load_and_watch(self) -> None:
        await self.parts()  # makes the tables where they are not there yet
        await self.live.reload()
        if self.config.reload_seconds:
            await self.live.watch(self.config.reload_seconds)


def _noted(found: Recommendations, person: Person) -> Recommendations:
    return replace(found, notes=(*found.notes, *person.notes)) if person.notes else found


def _state(run: Path, config: ServingConfig) -> object:
    """What tells whether a run has another student, other settings or other counts than before."""
    seen: list[object] = []
    for path in (run / "run.json", run / "config.toml", *sorted(run.glob("evidence/*/CURRENT"))):
        try:
            status = path.stat()
        except OSError:
            seen.append(str(path))
        else:
            seen.append((str(path), status.st_mtime_ns, status.st_ino))
    if config.redis:
        try:
            seen.append(redis_stores().current_version(config.redis_url, prefix=config.redis_prefix))
        except StoreUnavailable:
            seen.append("unavailable")
    return seen
