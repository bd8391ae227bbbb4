"""What the pieces around the application have in common: the types of ASGI, and an error's body.

They are plain ASGI applications that hold another one: a class of Starlette's that offers requests and
responses instead would buffer streams and cost each request a task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from pydantic_core import to_json

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_ID: Final = "starrec.request_id"
"""Where the scope holds the request's id."""
HOLDER: Final = "starrec.holder"
"""Where the scope holds the name of who has the request's key; missing without keys."""


class Near(BaseModel):
    """An item that may have been meant."""

    item_id: str
    title: str


class Problem(BaseModel):
    """What went wrong, and what to do about it."""

    code: str
    """For programs, such as `unknown_item`."""
    message: str
    near: list[Near]
    """Of an unknown item, the likeliest first."""
    request_id: str
    """Stands in the server's log as well."""


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    error: Problem


def header(scope: Scope, name: bytes) -> str | None:
    """A header of a request, by its name in lower case; the first one of several."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def error_body(scope: Scope, code: str, message: str, near: Sequence[tuple[str, str]] = ()) -> bytes:
    """An `ErrorBody` as JSON.

    Args:
        near: ids and titles.
    """
    items = [{"item_id": item_id, "title": title} for item_id, title in near]
    problem = {"code": code, "message": message, "near": items, "request_id": scope.get(REQUEST_ID, "")}
    return to_json({"error": problem})


async def refuse(
    scope: Scope, send: Send, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> None:
    """Answer a request with an error, without asking the application."""
    body = error_body(scope, code, message)
    sent = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
