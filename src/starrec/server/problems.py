"""Errors as answers: each kind its status and its code, and none of what was asked repeated without need."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from starrec.data import UnknownItem
from starrec.errors import ConfigError, RunError, StarrecError
from starrec.recommender import FilterLeavesNothing, UnknownUser
from starrec.server.asgi import REQUEST_ID, ErrorBody, error_body
from starrec.server.batching import Closed, Overloaded
from starrec.server.database import EventsUnavailable
from starrec.server.events import KeyReused
from starrec.server.live import NotLoaded
from starrec.server.privacy import without_ids
from starrec.server.schema import faults
from starrec.store import StoreUnavailable

_LOG: Final = logging.getLogger(__name__)
_KINDS: Final[tuple[tuple[type[StarrecError], int, str], ...]] = (
    (UnknownItem, 404, "unknown_item"),
    (UnknownUser, 404, "unknown_user"),
    (FilterLeavesNothing, 404, "nothing_left"),
    (KeyReused, 409, "key_reused"),
    (Overloaded, 429, "overloaded"),
    (NotLoaded, 503, "loading"),
    (Closed, 503, "stopping"),
    (EventsUnavailable, 503, "events_unavailable"),
    (StoreUnavailable, 503, "evidence_unavailable"),
    (RunError, 503, "run_unreadable"),
    (ConfigError, 503, "misconfigured"),
    (StarrecError, 422, "invalid"),
)
"""The first kind that fits counts."""
_LOADING_SECONDS: Final = 5
"""After which it is worth asking again, where nothing says better."""
_UNHEARD: Final = 499
"""In the log, of a request whose caller went away."""
_INTERNAL: Final = (StoreUnavailable, RunError, ConfigError)
"""The operator's matter: their messages name paths and addresses."""
DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorBody, "description": HTTPStatus(status).phrase}
    for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 503)
}
"""For the OpenAPI document."""


class CallerGone(Exception):
    """Whoever asked does not listen any more."""


def answer_problems(app: FastAPI) -> None:
    """Make an application answer every error with an `ErrorBody`."""

    @app.exception_handler(StarrecError)
    async def refused(request: Request, error: StarrecError) -> Response:
        wait = error.retry_after if isinstance(error, Overloaded) else _LOADING_SECONDS
        status, _ = _kind(error)
        headers = {"Retry-After": str(wait)} if status in (429, 503) else {}
        return Response(problem_of(request, error), status, headers, media_type="application/json")

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        message = f"The request is not as documented (/openapi.json): {faults(error.errors())}."
        return _answer(request, 422, "malformed", message)

    @app.exception_handler(HTTPException)
    async def answered(request: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).name.lower()
        return _answer(request, error.status_code, code, str(error.detail), error.headers or {})

    @app.exception_handler(CallerGone)
    async def unheard(_: Request, __: Exception) -> Response:
        return Response(status_code=_UNHEARD)

    @app.exception_handler(Exception)
    async def failed(request: Request, _: Exception) -> Response:
        message = "The server failed at this request, which is a bug. Its log has more under the `request_id`."
        return _answer(request, 500, "internal", message)


def problem_of(request: Request, error: StarrecError) -> bytes:
    """An error as an `ErrorBody`."""
    near, message = error.near if isinstance(error, UnknownItem) else (), without_ids(error)
    if isinstance(error, _INTERNAL):
        fields = {"request_id": request.scope.get(REQUEST_ID), "reason": message}
        _LOG.error("cannot answer", extra={"fields": fields})
        message = "The server cannot answer this now. Its log says why, under the `request_id`."
    return error_body(request.scope, _kind(error)[1], message, near)


def _kind(error: StarrecError) -> tuple[int, str]:
    return next((status, code) for kind, status, code in _KINDS if isinstance(error, kind))


def _answer(
    request: Request, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(error_body(request.scope, code, message), status, headers, media_type="application/json")
