"""What is known of a request afterwards: its id, a line of the log, the metrics; and that no failure gets out.

The log is one JSON object a line. It names the route and not the path, which can hold a user's id, and nothing
of query, headers or body. Of a failure that is a bug it has the kind and the lines of code, and not the
message, which can repeat what was asked. The caller gets the request's id.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from pydantic_core import to_json

from starrec.server.asgi import HOLDER, REQUEST_ID, App, Message, Receive, Scope, Send, header, refuse
from starrec.server.metrics import Metrics

_LOG: Final = logging.getLogger("starrec.server")
_METHODS: Final = frozenset({"GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"})
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FAILED: Final = (
    "The server failed at this request, which is a bug. Its log has the details under the id in `request_id`."
)


class Observed:
    """Gives each request an id (its own `X-Request-ID`, if that is plain), logs and counts it, and answers 500
    where the application fails. The outermost of all."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, b"x-request-id") or ""
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope[REQUEST_ID] = request_id
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            await send(message)

        started = time.perf_counter()
        self._metrics.under_way.inc()
        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            _LOG.error("failed", extra={"fields": {"request_id": request_id, **_without_values(error)}})
            if not status:
                await refuse(scope, noted, 500, "internal", _FAILED)
        finally:
            self._metrics.under_way.dec()
            self._metrics.note_queue()
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if _LOG.isEnabledFor(logging.INFO):
            fields = {
                "request_id": scope[REQUEST_ID],
                "method": method,
                "route": route,
                "status": status,
                "ms": round(1000 * seconds, 2),
                "key": scope.get(HOLDER),
            }
            _LOG.info("request", extra={"fields": fields})


class JsonLines(logging.Formatter):
    """A record as one JSON object: time, level, logger, message, and the mapping in its `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= _without_values(record.exc_info[1])
        return to_json(line).decode()


def log_json(stream: TextIO | None = None) -> None:
    """Write all logs of this process as JSON lines, to stderr unless told: warnings, and requests."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("starrec").setLevel(logging.INFO)


def _without_values(error: BaseException) -> dict[str, Any]:
    """Kind of an error and where it came from; its message may repeat what was asked."""
    at = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return {"error": type(error).__name__, "at": at[-12:]}
