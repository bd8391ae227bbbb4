"""From the setting to a model that can be asked, through pydantic-ai.

With `base_url` the endpoint is spoken to in OpenAI's chat-completions protocol, which is what compatible
servers implement; what pydantic-ai knows about vLLM's and Ollama's ways is used where the model's name begins
with `vllm:` or `ollama:`. Nothing is sent here, so a wrong key or address shows at the first request.

Needs the extra `llm`; without it, importing this module raises a `ConfigError` that says so.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

from starrec.errors import ConfigError
from starrec.llm.config import ModelConfig
from starrec.llm.ways import Ways

try:
    from pydantic_ai import ModelSettings
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.models import Model, create_async_httpx2_client, infer_model
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.models.wrapper import WrapperModel
    from pydantic_ai.providers import Provider, infer_provider, infer_provider_class
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
    from pydantic_ai.settings import merge_model_settings

    from starrec.llm.wire import Wire
except ImportError as error:
    raise ConfigError(
        f"A language model needs the extra `llm` ({error}): pip install 'starrec[llm]'"
    ) from error

_OWN_WAYS: Final = ("vllm", "ollama")
"""Providers whose endpoints always need an address, and of whose ways pydantic-ai knows more."""
_NAMED_KEY: Final = re.compile("`([A-Z][A-Z0-9_]*(?:KEY|TOKEN)[A-Z0-9_]*)`")


def connect(config: ModelConfig, wire: Wire | None = None) -> Model:
    """The model that the setting names, with its time limit.

    Args:
        wire: what an endpoint is spoken to through, where its ways are to be exchanged later.

    Raises:
        ConfigError: there is no such model, its provider's package is missing, or its key is not in the
            environment (the message names the variable).
    """
    if config.embedded:
        raise ConfigError('`model` is "embedded": there is no language model to ask. Name one.')
    key = _key(config)
    try:
        model = _at(config, key, wire) if config.base_url else infer_model(config.model, _giving(key))
    except UserError as error:
        raise ConfigError(_explain(config, str(error))) from error
    except ImportError as error:
        raise ConfigError(f"The model {config.model!r} needs a package that is missing: {error}") from error
    return _Limited(model, ModelSettings(request_timeout=config.timeout))


class _Limited(WrapperModel):
    """A model with settings of ours, whichever agent asks it."""

    def __init__(self, wrapped: Model, limits: ModelSettings) -> None:
        super().__init__(wrapped)
        self._limits = limits

    @property
    def settings(self) -> ModelSettings | None:
        return merge_model_settings(self.wrapped.settings, self._limits)


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


def _giving(key: str | None) -> Any:
    """How pydantic-ai makes a provider: with its usual key, or with this one."""
    if key is None:
        return infer_provider

    def with_key(name: str) -> Provider[Any]:
        try:
            make: Any = infer_provider_class(name)
        except ValueError as error:
            raise UserError(f"Unknown model provider: {name}") from error
        try:
            return make(api_key=key)  # type: ignore[no-any-return]
        except TypeError as error:
            raise UserError(
                f"`api_key_env` cannot be used with {name}: leave it empty and set the variables that "
                f"{name} documents"
            ) from error

    return with_key


def _at(config: ModelConfig, key: str | None, wire: Wire | None) -> Model:
    """The model of an endpoint."""
    transport = wire or Wire(Ways.of(config, "tool", config.tools))
    client = create_async_httpx2_client(transport=transport)
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
