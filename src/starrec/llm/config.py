"""Settings of language models: which one is asked, how it is reached, and within which limits.

A key is never part of it. The setting names the environment variable that holds the key, because a
configuration is saved in every run folder; a key written into it by mistake is refused, and not repeated in
the error.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final, Literal, NoReturn, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from starrec.config import Section

EMBEDDED: Final = "embedded"
"""The model that is none: policy and templates answer by rule."""

Output: TypeAlias = Literal["auto", "tool", "json_schema", "json_object", "prompted"]
"""How an answer is made to fit its schema: as arguments of a tool call, by the provider's own structured output
(`response_format` with `json_schema`), by the `json_object` of llama.cpp's server with a `schema` beside it, or
by asking for it."""
Parameter: TypeAlias = Literal["temperature", "max_tokens", "tool_choice", "response_format"]
"""A parameter of a request that some servers refuse."""
TokenLimit: TypeAlias = Literal["max_tokens", "max_completion_tokens"]


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
        120.0, gt=0, description="Seconds that one attempt at a request may take before it counts as failed."
    )
    output: Output = Field(
        "auto",
        description='How answers are made to fit their schema: "tool" (as a tool call), "json_schema" (the '
        "provider's structured output), \"json_object\" (with a `schema` beside it, as llama.cpp's server "
        'wants it), "prompted" (asked for and corrected). "auto": what is known to suit the model, or else '
        "what it answers to when it is tried out before a run.",
    )
    tools: bool = Field(
        True,
        description="Whether the model can call tools. If not, agents ask for calls in structured answers.",
    )
    temperature: float = Field(
        0.8, ge=0, le=2, description="Of runs that explore; runs that do not have temperature 0."
    )
    leave_out: tuple[Parameter, ...] = Field(
        (),
        description="Parameters of a request that the endpoint refuses: temperature, max_tokens, tool_choice, "
        "response_format. What the try-out finds refused is left out as well.",
    )
    token_limit: TokenLimit = Field(
        "max_tokens",
        description="What the endpoint calls `limits.output_tokens`: max_tokens or max_completion_tokens.",
    )
    force_tools: bool = Field(
        True,
        description='Whether `tool_choice` may say "required". If not it says "auto", and an answer that calls '
        "no tool is sent back.",
    )
    system_role: bool = Field(
        True,
        description="Whether instructions go in a system message. If not they stand before the first message "
        "of the user.",
    )
    input_usd: float | None = Field(
        None,
        ge=0,
        description="US dollars a million tokens of prompt. Unset: the list price, where one is known.",
    )
    output_usd: float | None = Field(
        None,
        ge=0,
        description="US dollars a million tokens of answer. Unset: the list price, where one is known.",
    )
    say_task: bool = Field(
        False,
        description="Whether headers (X-Starrec-...) say which task, run and agent a request is of; a task's "
        "id holds its user's. An endpoint on this machine always gets them.",
    )

    @property
    def embedded(self) -> bool:
        """Whether no language model is asked."""
        return self.model == EMBEDDED

    @property
    def sends_task(self) -> bool:
        """Whether requests name their task in headers: where `say_task` is set, and on this machine."""
        if self.say_task or not self.base_url:
            return self.say_task
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def price(self) -> tuple[float, float] | None:
        """US dollars a token of prompt and of answer, where the configuration gives one."""
        if self.input_usd is None and self.output_usd is None:
            return None
        return (self.input_usd or 0.0) / 1e6, (self.output_usd or 0.0) / 1e6

    @model_validator(mode="after")
    def _can_answer(self) -> ModelConfig:
        if self.output == "tool" and not self.tools:
            _refuse('`output = "tool"` needs a model that can call tools; choose another `output`')
        return self

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


class LimitsConfig(Section):
    """Retries and rate limits of language models, and limits of one answer of one agent."""

    concurrency: int = Field(8, ge=1, description="Requests under way at once to one model.")
    requests_per_minute: int = Field(0, ge=0, description="Requests to one model a minute; 0 for no limit.")
    tokens_per_minute: int = Field(
        0, ge=0, description="Tokens (prompt and answer) of one model a minute; 0 for no limit."
    )
    attempts: int = Field(
        8,
        ge=1,
        description="Attempts at a request. Another one follows time-outs, 429, 5xx, lost connections and "
        "bodies that are no chat completion.",
    )
    first_wait: float = Field(
        1.0, gt=0, description="Seconds before the second attempt, at most; doubled for each further one."
    )
    longest_wait: float = Field(
        120.0,
        gt=0,
        description="Seconds between attempts, at most; a server that asks for more (Retry-After) is given up.",
    )
    requests: int = Field(8, ge=1, description="Requests for one answer of one agent, tool turns included.")
    calls: int = Field(16, ge=1, description="Tool calls for one answer.")
    corrections: int = Field(
        2, ge=0, description="How often in a row an answer, or the calls of one tool, may be sent back."
    )
    output_tokens: int = Field(2048, ge=16, description="Tokens of one response of the model.")
    context: int = Field(
        16_384,
        ge=256,
        description="The model's context window in tokens. A prompt is held to it, less `output_tokens`, by "
        "the cautious estimate of a token for three bytes.",
    )


def _refuse(message: str) -> NoReturn:
    """As a validator's error, but without the value: it may hold a secret."""
    problem = PydanticCustomError("setting", "{message}", {"message": message})
    raise ValidationError.from_exception_data(
        "ModelConfig", [{"type": problem, "input": "a value that is not repeated here"}]
    )
