"""A reverse proxy that fails as real endpoints fail: in front of a real server, it spoils a share of the calls.

Which calls, and how, is drawn with a seed. What a fault looks like is what clients have met in the wild: a
status with and without a word on when to come back, a server that holds the line and says nothing, an answer
that ends in the middle, a whole and well-formed answer that is wrong.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Literal, TypeAlias, get_args

import httpx2

Fault: TypeAlias = Literal[
    "429", "429_retry_after", "500", "hang", "cut_json", "wrong_labels", "empty_body", "html"
]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)

_LABEL: Final = re.compile("‹[A-Z]+›")
_NOWHERE: Final = "‹ZZZ›"
"""A label that no task has."""
_HOP: Final = ("host", "content-length", "connection", "transfer-encoding", "accept-encoding")
"""Headers that speak of one connection and not of the request."""
_HTML: Final = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"

_Scope: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Scope]]
_Send: TypeAlias = Callable[[_Scope], Awaitable[None]]


class FaultyProxy:
    """An ASGI application that passes requests on to `upstream`, or spoils them."""

    def __init__(
        self,
        upstream: str,
        *,
        share: float = 0.3,
        seed: int = 0,
        hang: float = 30.0,
        retry_after: int = 1,
        kinds: tuple[Fault, ...] = FAULTS,
    ) -> None:
        """
        Args:
            upstream: base URL of the server, such as "http://127.0.0.1:8001/v1".
            share: of calls that are spoiled, 0 to 1.
            hang: seconds for which a hanging call holds the line; longer than the client's time-out.
            retry_after: seconds that a 429 asks the client to wait, where it says so.
            kinds: of faults, each as likely as the other.
        """
        self._upstream = upstream.removesuffix("/v1")
        self._share, self._hang, self._retry_after, self._kinds = share, hang, retry_after, kinds
        self._random = random.Random(seed)
        self._client: httpx2.AsyncClient | None = None
        self.calls: Counter[str] = Counter()
        """How many calls met which fault; "passed" for those that met none."""

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = bytearray()
        while True:
            message = await receive()
            body.extend(message.get("body", b""))
            if not message.get("more_body"):
                break
        fault = self._random.choice(self._kinds) if self._random.random() < self._share else None
        self.calls[fault or "passed"] += 1
        await self._answer(fault, scope, bytes(body), receive, send)

    async def _answer(
        self, fault: Fault | None, scope: _Scope, body: bytes, receive: _Receive, send: _Send
    ) -> None:
        match fault:
            case "429" | "429_retry_after":
                wait = {"retry-after": str(self._retry_after)} if fault == "429_retry_after" else {}
                await _respond(send, 429, _error("Rate limit reached."), wait)
            case "500":
                await _respond(send, 500, _error("The server had an error."))
            case "hang":
                # Nobody to talk to any more once the client has hung up.
                waiting = asyncio.create_task(_hung_up(receive))
                await asyncio.wait({waiting}, timeout=self._hang)
                waiting.cancel()
                await _respond(send, 504, b"")
            case "empty_body":
                await _respond(send, 200, b"")
            case "html":
                await _respond(send, 200, _HTML, {"content-type": "text/html"})
            case _:
                status, content = await self._ask(scope, body)
                if fault == "cut_json":
                    content = content[: len(content) // 2]
                elif fault == "wrong_labels":
                    content = mislabelled(content)
                await _respond(send, status, content)

    async def _ask(self, scope: _Scope, body: bytes) -> tuple[int, bytes]:
        headers = [(name.decode(), value.decode()) for name, value in scope["headers"]]
        if self._client is None:
            self._client = httpx2.AsyncClient(timeout=60)
        response = await self._client.request(
            scope["method"],
            self._upstream + scope["path"],
            headers=[pair for pair in headers if pair[0].lower() not in _HOP],
            content=body,
        )
        return response.status_code, response.content

    async def _live(self, receive: _Receive, send: _Send) -> None:
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        if self._client is not None:
            await self._client.aclose()
        await send({"type": "lifespan.shutdown.complete"})


def mislabelled(body: bytes) -> bytes:
    """The completion, with every label that it names exchanged for one that no task has."""
    try:
        completion = json.loads(body)
    except ValueError:
        return body

    def spoiled(value: Any) -> Any:
        match value:
            case str():
                return _LABEL.sub(_NOWHERE, value)
            case list():
                return [spoiled(entry) for entry in value]
            case dict():
                return {key: spoiled(entry) for key, entry in value.items()}
        return value

    return json.dumps(spoiled(completion), ensure_ascii=False).encode()


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "server_error"}}).encode()


async def _hung_up(receive: _Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _respond(send: _Send, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    sent = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    pairs = [(name.encode(), value.encode()) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
