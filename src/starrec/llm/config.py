"""Which language model is asked: one setting, shared by the teacher and by the verbaliser of evidence.

A key is never part of it. The setting names the environment variable that holds the key, because a
configuration is saved in every run folder; a key written into it by mistake is refused, and not repeated in
the error.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from starrec.config import Section

EMBEDDED: Final = "embedded"
"""The model that is none: policy and templates answer by rule."""


class ModelConfig(Section):
    """A language model and how it is reached."""

    model: str = Field(
        EMBEDDED,
        min_length=1,
        description='"embedded" for none (rules and templates); a pydantic-ai model name, such as '
        '"anthropic:claude-sonnet-4-5"; or, with `base_url`, what the endpoint calls the model.',
    )
    base_url: str = Field(
        "",
        description="An OpenAI-compatible endpoint (vLLM, Ollama, llama.cpp, a gateway), such as "
        '"http://127.0.0.1:8000/v1". Empty: the model\'s own provider.',
    )
    api_key_env: str = Field(
        "",
        description="Name of the environment variable that holds the key. Empty: the provider's usual one, "
        "and none for an endpoint.",
    )
    timeout: float = Field(
        120.0, gt=0, description="Seconds that one request may take, the client's repetitions included."
    )

    @property
    def embedded(self) -> bool:
        """Whether no language model is asked."""
        return self.model == EMBEDDED

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if re.fullmatch("[A-Z][A-Z0-9_]*|", value) is None:
            _refuse("name an environment variable in capitals, such as OPENAI_API_KEY, never the key itself")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not value:
            return value
        try:
            address = urlsplit(value)
            whole = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
        except ValueError:
            whole = False
        if not whole or "@" in value or "?" in value or "#" in value:
            _refuse(
                'give an address such as "http://127.0.0.1:8000/v1", without user, password or query; '
                "a key goes into the environment variable that `api_key_env` names"
            )
        return value


def _refuse(message: str) -> NoReturn:
    """As a validator's error, but without the value: it may hold a secret."""
    problem = PydanticCustomError("setting", "{message}", {"message": message})
    raise ValidationError.from_exception_data(
        "ModelConfig", [{"type": problem, "input": "a value that is not repeated here"}]
    )
