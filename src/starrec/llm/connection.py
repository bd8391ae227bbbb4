"""From the setting to a model that can be asked, through pydantic-ai.

With `base_url` the endpoint is asked by OpenAI's chat-completions protocol, which is what compatible servers
implement; what pydantic-ai knows about vLLM's and Ollama's ways is used where the model's name begins with
`vllm:` or `ollama:`. Nothing is sent here, so a wrong key or address shows at the first request.

Requests go through the retrying transport (`llm.retries`). Providers whose client takes no httpx2 client (Groq,
Cohere, Bedrock and a few others) keep the retries of that client, with as many attempts.

Needs the extra `llm`; without it, importing this module raises a `ConfigError` that says so.
"""

from __future__ import annotations

import inspect
import os
import re
from dataclasses import dataclass
from typing import Any, Final

from starrec.errors import ConfigError
from starrec.llm.config import LimitsConfig, ModelConfig
from starrec.llm.ways import Ways

try:
    import httpx2
    from pydantic_ai import ModelSettings
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.models import Model, create_async_httpx2_client, infer_model
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.models.wrapper import WrapperModel
    from pydantic_ai.providers import Provider, infer_provider, infer_provider_class
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
    from pydantic_ai.settings import merge_model_settings

    from starrec.llm.rate_limit import RateLimit
    from starrec.llm.retries import retrying
    from starrec.llm.transport import Transport
except ImportError as error:
    raise ConfigError(
        f"A language model needs the extra `llm` ({error}): pip install 'starrec[llm]'"
    ) from error

_OWN_WAYS: Final = ("vllm", "ollama")
"""Providers whose endpoints always need an address, and of whose ways pydantic-ai knows more."""
_OTHER_CLIENT: Final = ("groq", "cohere", "github", "huggingface")
"""Providers whose `http_client` is of another library, or ignored."""
_NAMED_KEY: Final = re.compile("`([A-Z][A-Z0-9_]*(?:KEY|TOKEN)[A-Z0-9_]*)`")


@dataclass(frozen=True, slots=True)
class Connection:
    """A model and how its requests are sent."""

    model: Model
    transport: Transport | None
    """None for a model of this process and where the provider's client takes no transport."""
    rate_limit: RateLimit


def connect(config: ModelConfig, limits: LimitsConfig) -> Connection:
    """The model that the setting names, with its time limit, retries and rate limit.

    Raises:
        ConfigError: there is no such model, its provider's package is missing, or its key is not in the
            environment (the message names the variable).
    """
    if config.embedded:
        raise ConfigError('`model` is "embedded": there is no language model to ask. Name one.')
    rate_limit = RateLimit(limits)
    ways = Ways.of(config, "tool", config.tools) if config.base_url else None
    transport = Transport(config.timeout, rate_limit, ways)
    client = create_async_httpx2_client(transport=retrying(transport, limits, lambda: transport.first_contact))
    key = _key(config)
    try:
        if config.base_url:
            model, used = _at_address(config, key, client), True
        else:
            model, used = _at_provider(config, key, client)
    except UserError as error:
        raise ConfigError(_explain(config, str(error))) from error
    except ImportError as error:
        raise ConfigError(f"The model {config.model!r} needs a package that is missing: {error}") from error
    # Where the transport makes the attempts, the provider's client makes one.
    settings = ModelSettings(timeout=config.timeout, max_retries=0 if used else limits.attempts - 1)
    return Connection(_WithSettings(model, settings), transport if used else None, rate_limit)


class _WithSettings(WrapperModel):
    """A model with settings of ours, whichever agent asks it."""

    def __init__(self, wrapped: Model, settings: ModelSettings) -> None:
        super().__init__(wrapped)
        self._ours = settings

    @property
    def settings(self) -> ModelSettings | None:
        return merge_model_settings(self.wrapped.settings, self._ours)


def _key(config: ModelConfig) -> str | None:
    if not config.api_key_env:
        return None
    key = os.environ.get(config.api_key_env)
    if not key:
        raise ConfigError(
            f"The model {config.model!r} needs a key, and the environment variable {config.api_key_env}, which "
            "`api_key_env` names, is not set. Set it, or name another."
        )
    return key


def _at_provider(config: ModelConfig, key: str | None, client: httpx2.AsyncClient) -> tuple[Model, bool]:
    """The model of a provider, and whether the provider sends its requests through the client."""
    used = False

    def make(name: str) -> Provider[Any]:
        nonlocal used
        if key is None and name.startswith("gateway/"):
            return infer_provider(name)
        try:
            provider: Any = infer_provider_class(name)
        except ValueError as error:
            raise UserError(f"Unknown model provider: {name}") from error
        arguments: dict[str, Any] = {} if key is None else {"api_key": key}
        used = name not in _OTHER_CLIENT and "http_client" in inspect.signature(provider).parameters
        if used:
            arguments["http_client"] = client
        try:
            return provider(**arguments)  # type: ignore[no-any-return]
        except TypeError as error:
            if key is None:
                raise
            raise UserError(
                f"`api_key_env` cannot be used with {name}: leave it empty and set the variables that "
                f"{name} documents"
            ) from error

    return infer_model(config.model, make), used


def _at_address(config: ModelConfig, key: str | None, client: httpx2.AsyncClient) -> Model:
    """The model of an endpoint."""
    provider, _, name = config.model.partition(":")
    if provider in _OWN_WAYS and name:
        make: Any = infer_provider_class(provider)
        return infer_model(
            config.model, lambda _: make(base_url=config.base_url, api_key=key, http_client=client)
        )
    # A name may well hold a colon of its own, such as Ollama's "llama3.2:1b".
    known = name if provider in ("openai", "openai-chat") and name else config.model
    endpoint = OpenAICompatibleProvider("endpoint", base_url=config.base_url, api_key=key, http_client=client)
    return OpenAIChatModel(known, provider=endpoint)


def _explain(config: ModelConfig, message: str) -> str:
    named = _NAMED_KEY.search(message)
    if named and not config.api_key_env:
        return (
            f"The model {config.model!r} needs a key: set the environment variable {named.group(1)}, or name "
            "another one with `api_key_env`."
        )
    if config.model.partition(":")[0] in _OWN_WAYS and not config.base_url:
        return f"The model {config.model!r} has no address: set `base_url`."
    hint = (
        'A name is `provider:model`, such as "openai:gpt-4o"; with `base_url` it is what the endpoint calls '
        "the model."
    )
    return f"The model {config.model!r} cannot be asked: {message.rstrip('.')}. {hint}"
