"""The HTTP transport of an OpenAI-compatible endpoint: requests go out in the ways of its server, and its
responses come in as the standard says (`llm.protocol`).

pydantic-ai and the OpenAI client accept any httpx2 transport, so behind this one they see a server that keeps
to the standard.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final
from weakref import WeakKeyDictionary

import httpx2
from pydantic_ai.models import create_async_httpx2_client

from starrec.llm.protocol import ServerError, completion, request_body
from starrec.llm.ways import Ways

_PATH: Final = "/chat/completions"
_OF_THE_BODY: Final = ("content-length", "content-encoding", "transfer-encoding", "content-type")
"""Headers that describe a body as it was sent."""


class Wire(httpx2.AsyncBaseTransport):
    """Transport to one endpoint. Each event loop has connections of its own, because a connection dies with its
    loop."""

    def __init__(self, ways: Ways) -> None:
        self.ways = ways
        """How its model is asked; may be exchanged between requests."""
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx2.AsyncClient] = WeakKeyDictionary()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not request.url.path.endswith(_PATH):
            return await self._client.send(request)
        body = request_body(json.loads(await request.aread()), self.ways)
        headers = [pair for pair in request.headers.multi_items() if pair[0].lower() not in _OF_THE_BODY]
        sent = httpx2.Request(
            request.method, request.url, headers=headers, json=body, extensions=request.extensions
        )
        return _standard(await self._client.send(sent))

    @property
    def _client(self) -> httpx2.AsyncClient:
        # A client and no transport of httpx2's own: it knows the proxies that the environment names.
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = create_async_httpx2_client()
        return self._clients[loop]

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        if client := self._clients.pop(asyncio.get_running_loop(), None):
            await client.aclose()


def _standard(response: httpx2.Response) -> httpx2.Response:
    """The response with its body as a chat completion, or as an error; as it is where it is neither."""
    headers = [pair for pair in response.headers.multi_items() if pair[0].lower() not in _OF_THE_BODY]
    if not response.is_success:
        kept = [*headers, ("content-type", response.headers.get("content-type", ""))]
        return httpx2.Response(response.status_code, headers=kept, content=response.content)
    try:
        body = completion(response.content.decode("utf-8", "replace"))
    except ServerError as error:
        return httpx2.Response(error.status, headers=headers, json={"error": {"message": str(error)}})
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        # No JSON, or none that is built like an answer: whoever asked says what came.
        kept = [*headers, ("content-type", response.headers.get("content-type", "text/plain"))]
        return httpx2.Response(response.status_code, headers=kept, content=response.content)
    return httpx2.Response(response.status_code, headers=headers, json=body)
