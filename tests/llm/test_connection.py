"""From the setting to a model that answers, in process and over a socket."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError, ModelAuthenticationError, ModelTimeoutError

from starrec.errors import ConfigError
from starrec.llm import LimitsConfig, ModelConfig
from starrec.llm.connection import connect

ONCE = LimitsConfig(attempts=1)
Start = Callable[[Callable[[dict[str, Any]], Any]], Any]


def ask(config: ModelConfig, question: str = "How are you?") -> str:
    return asyncio.run(Agent(connect(config, ONCE).model).run(question)).output


@pytest.mark.parametrize("model", ["small", "a/b:1b", "openai:small", "vllm:small", "ollama:small"])
def test_an_endpoint_is_asked_for_chat_completions_and_never_gets_the_key_of_openai(
    model: str, endpoint: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "for-openai-only")
    server = endpoint(lambda body: f"I am {body['model']}.")
    answer = ask(ModelConfig(model=model, base_url=server.url))
    assert answer == f"I am {model if '/' in model else 'small'}."
    ((path, headers, _),) = server.requests
    assert path == "/v1/chat/completions"
    assert "for-openai-only" not in repr(headers)


@pytest.mark.parametrize("model", ["small", "vllm:small"])
def test_a_key_comes_from_the_variable_that_is_named(
    model: str, endpoint: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "secret-1")
    server = endpoint(lambda body: "Well.")
    ask(ModelConfig(model=model, base_url=server.url, api_key_env="GATEWAY_KEY"))
    assert server.requests[0][1]["authorization"] == "Bearer secret-1"


def test_the_usual_provider_takes_the_named_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("MY_KEY", "secret-2")
    model = connect(ModelConfig(model="openai:gpt-4o", api_key_env="MY_KEY"), ONCE).model
    assert (model.model_name, model.system) == ("gpt-4o", "openai")
    assert "secret-2" not in repr(model)


def test_a_request_ends_in_time(endpoint: Start) -> None:
    ended = threading.Event()
    server = endpoint(lambda body: "Late." if ended.wait(60) else "Never.")
    with pytest.raises(ModelTimeoutError):
        ask(ModelConfig(model="slow", base_url=server.url, timeout=0.3))
    ended.set()


@pytest.mark.parametrize(
    ("model", "variable"),
    [("openai:gpt-4o", "OPENAI"), ("openai-responses:gpt-5", "OPENAI"), ("ollama:small", "OLLAMA")],
)
def test_the_requests_of_a_provider_are_retried(
    model: str, variable: str, endpoint: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 500, HTML, cut JSON, and a refusal, which ends it: four attempts, none of them by the provider's client.
    answers = iter([(500, b"{}"), (200, b"<html>"), (200, b'{"id": "1", "choi'), (403, b"{}")])
    server = endpoint(lambda body: next(answers))
    monkeypatch.setenv(f"{variable}_BASE_URL", server.url)
    monkeypatch.setenv(f"{variable}_API_KEY", "secret-4")
    connection = connect(ModelConfig(model=model), LimitsConfig(attempts=9, first_wait=0.01))
    with pytest.raises(ModelAuthenticationError):
        asyncio.run(Agent(connection.model).run("How are you?"))
    assert len(server.requests) == 4


def test_an_endpoint_that_refuses_connections_is_an_error_of_the_request(endpoint: Start) -> None:
    with pytest.raises(AgentRunError, match=r"(?i)connection"):
        ask(ModelConfig(model="small", base_url="http://127.0.0.1:9/v1"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ModelConfig(), "no language model"),
        (ModelConfig(model="gpt4o"), "Unknown model.*`provider:model`"),
        (ModelConfig(model="opnai:gpt-4o"), "opnai"),
        (ModelConfig(model="opnai:gpt-4o", api_key_env="SOME_KEY"), "opnai"),
        (ModelConfig(model="sentence-transformers:x"), "sentence-transformers"),
        (ModelConfig(model="openai:gpt-4o"), "environment variable OPENAI_API_KEY"),
        (ModelConfig(model="openai:gpt-4o", api_key_env="ABSENT_KEY"), "environment variable ABSENT_KEY"),
        (ModelConfig(model="x", base_url="http://h/v1", api_key_env="ABSENT_KEY"), "ABSENT_KEY"),
        (ModelConfig(model="ollama:llama3.2"), "set `base_url`"),
        (ModelConfig(model="vllm:qwen"), "set `base_url`"),
    ],
)
def test_what_cannot_be_connected_says_why(
    config: ModelConfig, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OLLAMA_BASE_URL", "VLLM_BASE_URL", "ABSENT_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOME_KEY", "secret-3")
    with pytest.raises(ConfigError, match=message) as caught:
        connect(config, ONCE)
    assert "secret-3" not in str(caught.value)


@pytest.mark.parametrize("missing", ["pydantic_ai", "openai", "tenacity", "aiolimiter"])
def test_without_the_extra_the_error_names_it(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import starrec.llm.connection"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ConfigError" in ended.stderr and "starrec[llm]" in ended.stderr


def test_the_setting_itself_needs_no_extra() -> None:
    code = "import sys; sys.modules['pydantic_ai'] = None; import starrec.llm; starrec.llm.ModelConfig()"
    subprocess.run([sys.executable, "-c", code], check=True)
