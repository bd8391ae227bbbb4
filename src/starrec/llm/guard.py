"""Checks around a model: prompts fit its context window, responses hold no keys, failures say what is wrong.

Retries are made below, by the transport (`llm.retries`), so what fails here has failed for good.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias

from pydantic_ai import ModelSettings
from pydantic_ai.exceptions import (
    AgentRunError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ThinkingPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel

from starrec.llm.config import LimitsConfig
from starrec.llm.rate_limit import RateLimit
from starrec.llm.secrets import hide
from starrec.llm.tokens import prompt_tokens
from starrec.llm.transport import NO_COMPLETION

_LONGEST_MESSAGE: Final = 400

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


class GuardedModel(WrapperModel):
    """A model held to its context window and to its tokens a minute. Neither its responses nor its errors hold
    a key of the environment."""

    def __init__(
        self, wrapped: Model, limits: LimitsConfig, rate_limit: RateLimit, *, limits_attempts: bool
    ) -> None:
        """
        Args:
            limits_attempts: whether the model's transport holds its attempts to the rate limit. If not, each
                request is held to it here.
        """
        super().__init__(wrapped)
        self._limits, self._rate_limit, self._limits_attempts = limits, rate_limit, limits_attempts

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
        await self._rate_limit.spend(tokens)
        try:
            async with nullcontext() if self._limits_attempts else self._rate_limit.attempt():
                response = await self.wrapped.request(messages, model_settings, model_request_parameters)
        except (AgentRunError, OSError, IndexError) as error:
            failure = self._plain(error)
        else:
            self._rate_limit.correct((response.usage.total_tokens or tokens) - tokens)
            return _clean(response)
        # Raised out here, so that the original error, whose body may repeat a key, does not hang on it.
        raise failure

    def _plain(self, error: BaseException) -> ModelAPIError:
        message, problem = hide(str(error)) or type(error).__name__, _problem(error)
        if len(message) > _LONGEST_MESSAGE:
            message = message[:_LONGEST_MESSAGE] + "…"
        if isinstance(error, ModelContextWindowExceededError):
            return ModelContextWindowExceededError(self.model_name, message)
        if problem == "timeout":
            message = f"no answer within `timeout`, {(self.settings or {}).get('timeout', 0):g} s"
        elif problem == "no completion" and not isinstance(error, ModelHTTPError):
            message = f"what it answers is no chat completion ({message})"
        return EndpointError(self.model_name, message, problem)


def _problem(error: BaseException) -> Problem:
    match error:
        case ModelHTTPError() if NO_COMPLETION in str(error.body):
            return "no completion"
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
        case ModelConnectionError() | OSError():
            return "unreachable"
        case ModelServerError() | ModelUnavailableError():
            return "server"
        case ModelHTTPError():
            return "server" if error.status_code >= 500 else "refused"
        # IndexError is what a completion without choices gives.
        case IndexError() | UnexpectedModelBehavior() | ModelAPIError():
            return "no completion"
    return "other"


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
