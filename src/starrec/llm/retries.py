"""Retries of an HTTP request to a model, by pydantic-ai's retrying transport (tenacity).

Another attempt follows time-outs, lost connections, 408, 409, 425, 429, 5xx, and bodies that are no completion
(502 from `llm.transport`). It waits as long as `Retry-After` says, and then at random up to a bound that
doubles with each attempt, so that many clients do not come back at once. When the attempts are used up, the
last response is returned: through an exception its body is lost, which says why (`findings`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import httpx2
from pydantic_ai.retries import AsyncHTTPX2TenacityTransport, RetryConfig, wait_retry_after
from tenacity import (
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_combine,
    wait_none,
    wait_random_exponential,
)

from starrec.llm.config import LimitsConfig

_TEMPORARY: Final = (408, 409, 425, 429)
"""Statuses of a request that may succeed later, beside 5xx."""
_NO_QUOTA: Final = "insufficient_quota"
"""OpenAI's code in a 429 that no wait can change."""

_retry_after: Final = wait_retry_after(wait_none(), max_wait=math.inf)


def retrying(
    transport: httpx2.AsyncBaseTransport, limits: LimitsConfig, is_first_contact: Callable[[], bool]
) -> AsyncHTTPX2TenacityTransport:
    """The transport with `limits.attempts` attempts at each request. A server that asks for a longer wait than
    `limits.longest_wait` is given up.

    Args:
        transport: makes one attempt, and returns responses that have been read.
        is_first_contact: whether a server that cannot be reached is given up at once: it was never there.
    """

    attempts = stop_after_attempt(limits.attempts)

    def gives_up(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        is_not_there = is_first_contact() and isinstance(error, httpx2.ConnectError)
        return is_not_there or attempts(state) or _retry_after(state) > limits.longest_wait

    backoff = wait_random_exponential(multiplier=limits.first_wait, max=limits.longest_wait)
    config = RetryConfig(
        retry=retry_if_exception(_is_temporary),
        wait=wait_combine(_retry_after, backoff),
        stop=gives_up,
        retry_error_callback=_last_response,
    )
    return AsyncHTTPX2TenacityTransport(config, transport, _raise_temporary)


def _raise_temporary(response: httpx2.Response) -> None:
    busy = response.status_code in _TEMPORARY or response.status_code >= 500
    if busy and _NO_QUOTA not in response.text:
        response.raise_for_status()


def _is_temporary(error: BaseException) -> bool:
    if isinstance(error, httpx2.HTTPStatusError):
        return True
    return isinstance(error, httpx2.TransportError) and not isinstance(error, httpx2.UnsupportedProtocol)


def _last_response(state: RetryCallState) -> httpx2.Response:
    assert state.outcome is not None
    error = state.outcome.exception()
    if isinstance(error, httpx2.HTTPStatusError):
        return error.response
    assert error is not None
    raise error
