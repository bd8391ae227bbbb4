"""A model asked with patience: through every failure that real endpoints have, and no faster than it allows.

Time-outs, 429, 5xx, lost connections and bodies that are no chat completion are followed by another attempt,
after a wait that doubles, is drawn at random below its bound (so that many clients do not come back at once)
and is never shorter than the server's `Retry-After`. `Pace` bounds the speed, `Breaker` stops everybody when
the model is down. What is wrong with the request itself is never repeated.

Errors come out without the keys of the environment in them, and so do responses.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias

import httpx2
from pydantic_ai import ModelSettings
from pydantic_ai.exceptions import (
    AgentRunError,
    ContentFilterError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelRequestTimeout,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ThinkingPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from starrec.llm.breaker import Breaker, StillDown
from starrec.llm.config import LimitsConfig
from starrec.llm.pace import MINUTE, Pace
from starrec.llm.secrets import hide
from starrec.llm.tokens import prompt_tokens

_LONGEST_MESSAGE: Final = 400
_BUSY: Final = (408, 409, 425, 429)
"""Statuses of a request that may succeed later, beside 5xx."""


Problem: TypeAlias = Literal[
    "key", "name", "quota", "busy", "timeout", "unreachable", "server", "refused", "no completion", "other"
]
"""Why a model could not be asked: its key or name is wrong, its quota is spent, it asks to be left alone for
a while, does not answer in time or at all, fails, refuses the request, or answers with no chat completion."""


class EndpointError(ModelAPIError):
    """A model could not be asked, and further attempts are pointless or were in vain."""

    def __init__(self, model_name: str, message: str, problem: Problem = "other") -> None:
        super().__init__(model_name, message)
        self.problem = problem


class Patient(WrapperModel):
    """A model with attempts, speed limits and a breaker of its own; who shares them shares this object."""

    def __init__(self, wrapped: Model, limits: LimitsConfig, minute: float = MINUTE) -> None:
        """
        Args:
            minute: seconds that the limits a minute are for.
        """
        super().__init__(wrapped)
        self.first_contact = False
        """Whether a server that cannot be reached is given up at once: it was never there."""
        self._limits = limits
        self._pace = Pace(limits.concurrency, limits.requests_per_minute, limits.tokens_per_minute, minute)
        self._breaker = Breaker(limits.failures_to_open, limits.cool_down)
        self._backoff = wait_random_exponential(multiplier=limits.first_wait, max=limits.longest_wait)

    @property
    def settings(self) -> ModelSettings | None:
        """Those of the model, but its time limit is for one attempt, and the client makes only one."""
        settings = dict(self.wrapped.settings or {})
        settings.pop("request_timeout", None)
        limited: ModelSettings = {**settings, "max_retries": 0}  # type: ignore[typeddict-item]
        return limited

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """
        Raises:
            EndpointError: the model could not be asked.
            ModelContextWindowExceededError: the prompt is too long; by estimate, before it is sent.
        """
        tokens = prompt_tokens(messages, model_request_parameters)
        room = self._limits.context - self._limits.output_tokens
        if tokens > room:
            raise ModelContextWindowExceededError(
                self.model_name,
                f"A prompt of about {tokens} tokens does not fit: `limits.context` less `limits.output_tokens` "
                f"leaves {room}",
            )
        attempts = AsyncRetrying(
            retry=retry_if_exception(_may_pass), stop=self._gives_up, wait=self._wait, reraise=True
        )
        try:
            return await attempts(self._attempt, tokens, messages, model_settings, model_request_parameters)
        except (AgentRunError, OSError, IndexError, StillDown) as error:
            failure = self._plain(error)
        # Raised out here, so that the original error, whose body may repeat a key, does not hang on it.
        raise failure

    async def _attempt(
        self,
        tokens: int,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        probe = await self._breaker.enter()
        alive: bool | None = None
        try:
            async with self._pace.turn(tokens) as taken, asyncio.timeout(self._time_limit):
                response = await self.wrapped.request(messages, model_settings, model_request_parameters)
            taken.amount = response.usage.total_tokens or tokens
            alive = True
            return _clean(response)
        except Exception as error:
            # A server that says it is busy, or that this request is wrong, is there.
            alive = isinstance(error, ModelRateLimitError) or not _may_pass(error)
            raise
        finally:
            self._breaker.leave(probe, alive)

    @property
    def _time_limit(self) -> float | None:
        return (self.wrapped.settings or {}).get("request_timeout")

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, StillDown):
            return 0.0
        return max(self._backoff(state), getattr(error, "retry_after", None) or 0.0)

    def _gives_up(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if self.first_contact and _never_connected(error):
            return True
        asked = getattr(error, "retry_after", None) or 0.0
        return stop_after_attempt(self._limits.attempts)(state) or asked > self._limits.longest_wait

    def _plain(self, error: BaseException) -> ModelAPIError:
        said = hide(str(error)) or type(error).__name__
        if len(said) > _LONGEST_MESSAGE:
            said = said[:_LONGEST_MESSAGE] + "…"
        if isinstance(error, ModelContextWindowExceededError):
            return ModelContextWindowExceededError(self.model_name, said)
        if isinstance(error, StillDown):
            said = "it was down whenever it was tried"
        elif isinstance(error, TimeoutError):
            said = f"no answer within `timeout`, {self._time_limit:g} s"
        elif isinstance(error, IndexError | UnexpectedModelBehavior):
            said = f"what it answers is no chat completion ({said})"
        return EndpointError(self.model_name, said, _problem(error))


def _never_connected(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, httpx2.ConnectError | httpx2.UnsupportedProtocol):
        error = error.__cause__
    return error is not None


def _problem(error: BaseException) -> Problem:
    match error:
        case ModelAuthenticationError():
            return "key"
        case ModelNotFoundError():
            return "name"
        case ModelQuotaExceededError():
            return "quota"
        case ModelRateLimitError():
            return "busy"
        case ModelRequestTimeout() | ModelTimeoutError() | TimeoutError():
            return "timeout"
        case ModelConnectionError() | OSError() | StillDown():
            return "unreachable"
        case ModelServerError() | ModelUnavailableError():
            return "server"
        case ModelHTTPError():
            return "server" if error.status_code >= 500 else "refused"
        case IndexError() | UnexpectedModelBehavior() | ModelAPIError():
            return "no completion"
    return "other"


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    match error:
        case ModelRequestRejectedError() | ModelQuotaExceededError() | ContentFilterError():
            return False
        case ModelHTTPError():
            return error.status_code in _BUSY or error.status_code >= 500
    # IndexError is what a completion without choices gives.
    return isinstance(error, ModelAPIError | UnexpectedModelBehavior | OSError | IndexError | StillDown)


def _clean(response: ModelResponse) -> ModelResponse:
    """The response without keys, and without lone surrogates, which nothing can be written down with."""
    parts: list[Any] = []
    for part in response.parts:
        match part:
            case TextPart() | ThinkingPart():
                parts.append(replace(part, content=_text(part.content)))
            case ToolCallPart():
                parts.append(replace(part, args=_value(part.args)))
            case _:
                parts.append(part)
    return replace(response, parts=parts)


def _value(value: Any) -> Any:
    match value:
        case str():
            return _text(value)
        case list():
            return [_value(entry) for entry in value]
        case dict():
            return {_value(key): _value(entry) for key, entry in value.items()}
    return value


def _text(text: str) -> str:
    return hide(text.encode("utf-8", "replace").decode("utf-8"))
