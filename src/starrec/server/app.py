"""The HTTP API of a run: FastAPI's routes over `Service`, and what stands around them.

    /v1/rank, /v1/recommend, /v1/similar       rankings
    /v1/explain, /v1/teach                     traces as Server-Sent Events, step by step
    /v1/catalogue, /v1/items                   what the run is about; items by what is typed
    /v1/items/{item_id}/evidence               what is counted of an item
    /v1/events, /v1/users/{user}               what users took since, and forgetting them
    /healthz, /readyz, /metrics                for whoever runs it
    /, /assets, /report                        the page and the run's report (`page_files`)

Needs the extra `serve`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path as Folder
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, FastAPI, Header, Path, Query, Request, Response
from pydantic import TypeAdapter
from pydantic_core import to_json
from sse_starlette import EventSourceResponse, ServerSentEvent

from starrec.errors import StarrecError
from starrec.pipeline.serving_config import ServingConfig
from starrec.recommender import Item, Recommendations, Row
from starrec.server.about import CatalogueBody, about
from starrec.server.access import OPEN, Access
from starrec.server.asgi import App
from starrec.server.events import KEY_LENGTH
from starrec.server.evidence import EvidenceBody, evidence
from starrec.server.keys import Keys
from starrec.server.loaded import Person
from starrec.server.metrics import CONTENT_TYPE, Metrics
from starrec.server.observing import Observed
from starrec.server.page_files import has_report, page_files
from starrec.server.problems import DOCUMENTED, CallerGone, answer_problems, problem_of
from starrec.server.protection import BodyLimit, SecurityHeaders
from starrec.server.schema import (
    MOST,
    AskingRequest,
    DeletedBody,
    EventBody,
    EventRequest,
    ExplainRequest,
    ItemsBody,
    RankingBody,
    RankRequest,
    RecommendRequest,
    SimilarRequest,
    StatusBody,
    Text,
)
from starrec.server.service import Service
from starrec.version import __version__

T = TypeVar("T")

_LOOK_SECONDS: Final = 0.5
"""How often a request that waits looks whether its caller is still there."""
_EVENT: Final = {
    "type": "object",
    "properties": {
        "event": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
"""Of each event of a trace, for the OpenAPI document."""
_KEPT_IN_COUNTS: Final = (
    "The counts hold what the user took until they are built again without her (`rebuild`), which `starrec "
    "events feed` does. What the run knows of her is not used from now on. Take her out of your own files too."
)
_NOT_UNLEARNED: Final = (
    "Weights of the student and stored trajectories are not unlearned; train again for that."
)


@dataclass(frozen=True, slots=True)
class _Ranking:
    """A `RankingBody` as it is sent."""

    rows: tuple[Row, ...]
    history: tuple[Item, ...]
    system: str
    notes: tuple[str, ...]


_RANKING: Final = TypeAdapter(_Ranking)
"""Writes it 4 times as fast as a writer that looks at each value's type."""


def application(run: Folder, config: ServingConfig, keys: Keys | None, *, system: str | None = None) -> App:
    """The application that serves a run; it loads the run when it starts, and answers 503 until then.

    Args:
        keys: None where it is for this machine alone (`access`).
        system: what ranks, as of `starrec.load`.

    Raises:
        ConfigError: `[serving]` names a database that cannot be.
    """
    metrics = Metrics()
    service = Service(run, config, metrics=metrics, system=system)
    inner = BodyLimit(_routes(service, secured=keys is not None), config.body_bytes)
    limited = metrics.refused.labels("rate").inc
    guarded = Access(inner, keys, requests_per_minute=config.requests_per_minute, limited=limited)
    return Observed(SecurityHeaders(guarded), metrics)


def document() -> dict[str, Any]:
    """The OpenAPI document, of no run in particular: the page's types are made of it."""
    return _routes(Service(Folder(), ServingConfig()), secured=True).openapi()


def _routes(service: Service, secured: bool) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service:
            yield

    app = FastAPI(
        title="starrec",
        version=__version__,
        description="A recommender that reasons like a team of agents and answers like a single model.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=DOCUMENTED,
    )
    answer_problems(app)
    app.include_router(_rankings(service))
    app.include_router(_catalogue(service))
    app.include_router(_people(service))
    app.include_router(_operating(service))
    app.include_router(page_files(service.run))
    if secured:
        # `Access` asks for the key; here the document says so.
        document = app.openapi()
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
        for path in OPEN:
            document["paths"][path]["get"]["security"] = []
    return app


def _rankings(service: Service) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["rankings"])

    @router.post("/rank", response_model=RankingBody)
    async def rank(body: RankRequest, request: Request) -> Response:
        """Rank candidates of your own."""
        asking = service.rank(_person(body), body.candidates, reasons=body.reasons)
        return _ranking(await _while_connected(request, asking))

    @router.post("/recommend", response_model=RankingBody)
    async def recommend(body: RecommendRequest, request: Request) -> Response:
        """Recommend from the whole catalogue, each item with its reason."""
        asking = service.recommend(
            _person(body), body.n, where=body.where.conditions(), exclude=body.exclude, reasons=body.reasons
        )
        return _ranking(await _while_connected(request, asking))

    @router.post("/similar", response_model=RankingBody)
    async def similar(body: SimilarRequest, request: Request) -> Response:
        """What the people of an item took as well."""
        asking = service.similar(body.item, body.n, where=body.where.conditions(), exclude=body.exclude)
        return _ranking(await _while_connected(request, asking))

    stream: dict[int | str, dict[str, Any]] = {
        200: {
            "description": "Server-Sent Events, each with JSON: `task` with the candidates; plan, tool_call, "
            "tool_response, reflection, recommend, each as it was written (`text`), as a person reads it "
            "(`entries`, after the first `kept` of those before) and with the facts that it states first; in "
            "the end `end`, or `error`.",
            "content": {"text/event-stream": {"schema": _EVENT}},
        }
    }

    @router.post("/explain", response_class=EventSourceResponse, responses=stream)
    async def explain(body: ExplainRequest, request: Request) -> Response:
        """Think aloud: the steps of the student's trace, as they are written."""
        return await _trace(service, body, request, "star")

    @router.post("/teach", response_class=EventSourceResponse, responses=stream)
    async def teach(body: ExplainRequest, request: Request) -> Response:
        """The same of the teacher, over the same task."""
        return await _trace(service, body, request, "teacher")

    return router


def _catalogue(service: Service) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["catalogue"])

    @router.get("/catalogue", response_model=CatalogueBody)
    async def catalogue() -> Response:
        """What the run is about, for whoever does not know it."""
        report = has_report(service.run)
        return _json(await service.ask(lambda loaded: about(loaded, report=report)))

    @router.get("/items", response_model=ItemsBody)
    async def items(query: Annotated[Text, Query()], n: Annotated[int, Query(ge=1, le=100)] = 10) -> Response:
        """Find items by what somebody has typed of their titles."""
        return _json({"items": await service.items(query, n)})

    @router.get("/items/{item_id:path}/evidence", response_model=EvidenceBody)
    async def item_evidence(
        item_id: Annotated[Text, Path()], n: Annotated[int, Query(ge=1, le=MOST)] = 5
    ) -> Response:
        """What the counts say of an item; no fact of fewer than three people."""
        return _json(await service.ask(lambda loaded: evidence(loaded, item_id, n)))

    return router


def _people(service: Service) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["people"])

    @router.post("/events", response_model=EventBody, status_code=201)
    async def events(
        body: EventRequest,
        idempotency_key: Annotated[
            str | None,
            Header(
                min_length=1,
                max_length=KEY_LENGTH,
                pattern=r"^[\x21-\x7e]+$",
                description="Another one for each event: sent again with it, the event is stored once.",
            ),
        ] = None,
    ) -> Response:
        """Store that a user took an item: on disk before this answers, and used in her next request."""
        key = idempotency_key or uuid.uuid4().hex
        event, item = await service.add(body.user, body.item, body.time, key)
        stored = {"number": event.number, "user": event.user_id, "item": item, "time": event.time, "key": key}
        return _json(stored, 201)

    @router.delete("/users/{user:path}", response_model=DeletedBody)
    async def forget(user: Annotated[Text, Path()]) -> Response:
        """Delete a user's events, and have her left out of the counts."""
        mark, count = await service.forget(user)
        notes = [_KEPT_IN_COUNTS, _NOT_UNLEARNED]
        return _json({"user": user, "events": count, "rebuild": mark.number, "notes": notes})

    return router


def _operating(service: Service) -> APIRouter:
    router = APIRouter(tags=["operating"])

    @router.get("/healthz", response_model=StatusBody)
    async def healthz() -> Response:
        """Whether the process lives."""
        return _json({"status": "ok", "parts": {}})

    @router.get("/readyz", response_model=StatusBody, responses={503: {"model": StatusBody}})
    async def readyz() -> Response:
        """Whether it can answer, and what it consists of."""
        parts = await service.parts()
        status = parts["run"] if parts["run"] != "ok" else "ok" if parts["events"] == "ok" else "failed"
        return _json({"status": status, "parts": parts}, 200 if status == "ok" else 503)

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    return router


def _person(body: AskingRequest) -> Person:
    return Person(body.user, body.history)


def _json(content: object, status: int = 200) -> Response:
    return Response(to_json(content, inf_nan_mode="null"), status, media_type="application/json")


def _ranking(found: Recommendations) -> Response:
    answer = _Ranking(found.rows, found.history, found.system, found.notes)
    return Response(_RANKING.dump_json(answer), media_type="application/json")


async def _trace(
    service: Service, body: ExplainRequest, request: Request, by: Literal["star", "teacher"]
) -> Response:
    opening = service.explain(_person(body), body.candidates, by)
    steps = await _while_connected(request, opening)

    async def sent() -> AsyncIterator[ServerSentEvent]:
        try:
            async for each in steps:
                yield ServerSentEvent(to_json(each.content).decode(), event=each.event)
        except StarrecError as error:
            yield ServerSentEvent(problem_of(request, error).decode(), event="error")
        else:
            yield ServerSentEvent("{}", event="end")

    return EventSourceResponse(sent())


async def _while_connected(request: Request, asking: Coroutine[Any, Any, T]) -> T:
    """What is asked for, unless the caller goes away first: then it is cancelled."""
    task = asyncio.ensure_future(asking)
    try:
        while not task.done():
            await asyncio.wait((task,), timeout=_LOOK_SECONDS)
            if not task.done() and await request.is_disconnected():
                raise CallerGone
        return task.result()
    finally:
        task.cancel()
