"""Who may ask, and how often: API keys, a rate limit for each, and the check of Host where there are no keys.

Without keys a server answers on a loopback address alone. What a browser of this machine is told by a
stranger's page is kept out by the Host header (a name of the stranger's that leads to 127.0.0.1 is none of
ours) and by Origin (which a browser sends along with what a page of another origin asks).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from aiolimiter import AsyncLimiter
from starlette.requests import cookie_parser

from starrec.errors import ConfigError
from starrec.server.asgi import HOLDER, App, Receive, Scope, Send, header, refuse
from starrec.server.keys import Keys

_LOG: Final = logging.getLogger(__name__)
OPEN: Final = frozenset({"/healthz", "/readyz"})
"""Paths of the API that need no key: they say nothing about data."""
PAGE: Final = "/"
ASSETS: Final = "/assets/"
"""The page and its files need no key either: they are the same for every run."""
REPORT: Final = "/report"
COOKIE: Final = "starrec_key"
"""Whoever opens the report follows a link, which sends no header: the page lends its key to this path."""
_MINUTE: Final = 60.0


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Access:
    """Lets through who may ask; 401 without a key, 429 beyond the rate, 403 for a stranger's page."""

    def __init__(
        self,
        app: App,
        keys: Keys | None,
        *,
        requests_per_minute: int,
        limited: Callable[[], None] = lambda: None,
    ) -> None:
        """Args:
        keys: None where everybody on this machine may ask.
        requests_per_minute: of one key; 0 for no limit. So many may come at once, and then one each time
            that its share of the minute has passed.
        limited: is called for each request beyond the rate.
        """
        self._app, self._keys, self._rate, self._limited = app, keys, requests_per_minute, limited
        self._limiters: dict[str, AsyncLimiter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._keys is None:
            if _from_this_machine(scope):
                await self._app(scope, receive, send)
            else:
                await refuse(scope, send, 403, "forbidden", _STRANGE)
        elif _is_open(scope["path"]) or await self._admitted(self._keys, scope, send):
            await self._app(scope, receive, send)

    async def _admitted(self, keys: Keys, scope: Scope, send: Send) -> bool:
        kind, _, key = (header(scope, b"authorization") or "").partition(" ")
        if not key and scope["path"] == REPORT:
            kind, key = "bearer", cookie_parser(header(scope, b"cookie") or "").get(COOKIE, "")
        try:
            holder = keys.holder(key.strip()) if kind.lower() == "bearer" else None
        except ConfigError as error:
            _LOG.error("no key can be checked", extra={"fields": {"reason": str(error)}})
            await refuse(scope, send, 503, "keys_unreadable", "The server's file of API keys cannot be read.")
            return False
        if holder is None:
            message = "Give an API key of this server: `Authorization: Bearer starrec_...`."
            if key:
                message = f"This API key is not one of this server's. {message}"
            await refuse(scope, send, 401, "unauthorized", message, {"www-authenticate": "Bearer"})
            return False
        scope[HOLDER] = holder
        if not self._rate:
            return True
        limiter = self._limiters.setdefault(holder, AsyncLimiter(self._rate, _MINUTE))
        if limiter.has_capacity():
            await limiter.acquire()
            return True
        self._limited()
        message = f"This key may ask {self._rate:,} times a minute. Ask again later, or ask for a higher limit."
        wait = str(math.ceil(_MINUTE / self._rate))
        await refuse(scope, send, 429, "rate_limited", message, {"retry-after": wait})
        return False


_STRANGE: Final = (
    "This server runs without API keys and answers requests of this machine alone, addressed to localhost or a "
    "loopback address, and of no other site's page."
)


def _is_open(path: str) -> bool:
    return path in OPEN or path == PAGE or path.startswith(ASSETS)


def _from_this_machine(scope: Scope) -> bool:
    host, origin = header(scope, b"host"), header(scope, b"origin")
    try:
        named = urlsplit(f"//{host}").hostname or ""
        return is_loopback(named) and (origin is None or urlsplit(origin).netloc == host)
    except ValueError:
        return False
