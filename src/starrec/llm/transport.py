"""HTTP transport to one model: a single attempt at a request, within the rate limit and the time limit.

pydantic-ai and the providers' clients accept any httpx2 transport. Requests to an OpenAI-compatible endpoint
are written in the ways of its server, and its responses are read into what the standard says (`llm.protocol`),
so that the client sees a server that keeps to the standard. A body that is no completion (empty, HTML, cut off)
becomes a 502 with the code `NO_COMPLETION`, so that retries see it.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final
from weakref import WeakKeyDictionary

import httpx2
from pydantic_ai.models import create_async_httpx2_client

from starrec.llm.protocol import ServerError, completion, request_body
from starrec.llm.rate_limit import RateLimit
from starrec.llm.ways import Ways

NO_COMPLETION: Final = "no_completion"
"""Code of the error that stands for a body that is no completion."""
_BAD_GATEWAY: Final = 502
_IDLE: Final = 60.0
"""Seconds that a connection without a request stays open: while other agents' answers are decoded, most of them
have none. httpx closes such after five, and each next request would make a new one."""
_EXCERPT: Final = 120
"""Characters of such a body that the error repeats."""
_PATH: Final = "/chat/completions"
_OF_THE_BODY: Final = ("content-length", "content-encoding", "transfer-encoding", "content-type")
"""Headers that describe a body as it was sent."""


class Transport(httpx2.AsyncBaseTransport):
    """Transport to one model. Each event loop has connections of its own, because a connection dies with its
    loop."""

    def __init__(self, timeout: float, rate_limit: RateLimit, ways: Ways | None = None) -> None:
        """
        Args:
            timeout: seconds of one attempt, the whole response included.
            ways: how an OpenAI-compatible endpoint is asked; None for a provider with a protocol of its own.
        """
        self.ways = ways
        """May be exchanged between requests."""
        self.first_contact = False
        """Whether a server that cannot be reached is given up at once: it was never there."""
        self._timeout, self._rate_limit = timeout, rate_limit
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx2.AsyncClient] = WeakKeyDictionary()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request once.

        Raises:
            httpx2.TransportError: no whole response came in time.
        """
        content = await request.aread()
        standard = self.ways is not None and request.url.path.endswith(_PATH)
        if self.ways is not None and standard:
            content = json.dumps(request_body(json.loads(content), self.ways)).encode()
        headers = [pair for pair in request.headers.multi_items() if pair[0].lower() != "content-length"]
        sent = httpx2.Request(
            request.method, request.url, headers=headers, content=content, extensions=request.extensions
        )
        async with self._rate_limit.attempt():
            try:
                # The client's own time limits are for a connection and for each piece of a response.
                async with asyncio.timeout(self._timeout):
                    response = await self._client.send(sent)
            except TimeoutError as error:
                raise httpx2.ReadTimeout(f"no response within {self._timeout:g} s", request=request) from error
        return _read(response, standard=standard)

    @property
    def _client(self) -> httpx2.AsyncClient:
        # A client and no transport of httpx2's own: it knows the proxies that the environment names.
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            # How many there are is bounded by the requests under way.
            self._clients[loop] = create_async_httpx2_client(limits=httpx2.Limits(keepalive_expiry=_IDLE))
        return self._clients[loop]

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        if client := self._clients.pop(asyncio.get_running_loop(), None):
            await client.aclose()


def _read(response: httpx2.Response, *, standard: bool) -> httpx2.Response:
    """The response with its whole body, as a chat completion where `standard`, or as an error."""
    headers = [pair for pair in response.headers.multi_items() if pair[0].lower() not in _OF_THE_BODY]
    if response.is_success:
        try:
            text = response.content.decode("utf-8", "replace")
            body = completion(text) if standard else json.loads(text)
            if not isinstance(body, dict):
                raise ValueError("no JSON object")
        except ServerError as error:
            return _error(error.status, headers, str(error), "")
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            # No JSON, or none that is built like an answer.
            excerpt = " ".join(text.split())[:_EXCERPT] or "nothing"
            message = f"what it answers is no chat completion: {excerpt}"
            return _error(_BAD_GATEWAY, headers, message, NO_COMPLETION)
        if standard:
            return httpx2.Response(response.status_code, headers=headers, json=body)
    kept = [*headers, ("content-type", response.headers.get("content-type", ""))]
    return httpx2.Response(response.status_code, headers=kept, content=response.content)


def _error(status: int, headers: list[tuple[str, str]], message: str, code: str) -> httpx2.Response:
    return httpx2.Response(status, headers=headers, json={"error": {"message": message, "code": code}})
