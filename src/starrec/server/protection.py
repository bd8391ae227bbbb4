"""What every answer and every body is held to: security headers, and a limit on the bytes of a body.

The page is served by this process alone, so its content-security policy allows nothing from elsewhere, no
script or style inside a document, and no text to be parsed as one (trusted types). There is no CORS header on
any answer: a page of another origin cannot read one.
"""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException

from starrec.server.access import REPORT
from starrec.server.asgi import App, Message, Receive, Scope, Send, header

HEADERS: Final = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""On every answer."""
REPORT_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
"""Content-security policy of the report: one file with its style in it, without script, link or form."""
_PAIRS: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_REPORT_PAIRS: Final = [
    (name.encode(), value.encode())
    for name, value in {**HEADERS, "content-security-policy": REPORT_POLICY}.items()
]
_NOT_KEPT: Final = (b"cache-control", b"no-store")
"""Of answers about people and items; files of the page may be kept."""


class SecurityHeaders:
    """Adds `HEADERS` to every answer, and forbids keeping those of `/v1`."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = _REPORT_PAIRS if scope["path"] == REPORT else _PAIRS
        if scope["path"].startswith("/v1/"):
            added = [*added, _NOT_KEPT]
        names = {name for name, _ in added}

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0].lower() not in names]
                message = {**message, "headers": [*kept, *added]}
            await send(message)

        await self._app(scope, receive, with_headers)


class BodyLimit:
    """Refuses bodies of more bytes with 413: by the length that is announced, and by what comes in chunks."""

    def __init__(self, app: App, most: int) -> None:
        """Args: most: bytes of a body."""
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = header(scope, b"content-length") or ""
        too_long = announced.isdecimal() and int(announced[:20]) > self._most
        read = 0

        async def counted() -> Message:
            nonlocal read
            if too_long:
                raise self._refused()
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                raise self._refused()
            return message

        await self._app(scope, counted, send)

    def _refused(self) -> HTTPException:
        # The application's own handler answers it, whoever was reading the body.
        return HTTPException(413, f"A body may have {self._most:,} bytes at most. Send less at once.")
