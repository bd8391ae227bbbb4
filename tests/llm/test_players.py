"""Before a run each model is asked for a word, so that what is wrong is one clear error."""

import asyncio
import json
import threading

import pytest

from starrec.errors import ConfigError
from starrec.llm import ModelConfig
from starrec.teacher import TeacherConfig
from starrec.teacher.llm import LLMAgents

KEY = "sk-very-secret"


def check(url, **how):
    model = ModelConfig(model="small", base_url=url, **{"timeout": 2.0, **how})
    asyncio.run(LLMAgents(TeacherConfig(model=model)).check())


def failure(message):
    return json.dumps({"error": {"message": message, "type": "x", "code": None}}).encode()


def test_a_model_that_answers_is_asked_once_and_little(endpoint):
    server = endpoint(lambda body: "ready")
    check(server.url)
    ((path, _, body),) = server.requests
    assert path.endswith("/chat/completions") and "history" not in json.dumps(body)
    assert body.get("max_completion_tokens", body.get("max_tokens")) == 16


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, failure("bad key")), "'small' at .* refuses the key.*api_key_env"),
        ((404, failure("no model")), "is not there. Look at the name in `model`.*/v1"),
        ((400, failure("what?")), "refuses a simple question"),
        ((500, failure("oops")), "fails. Look at its server"),
        ((200, b"<!DOCTYPE html><html>Sign in</html>"), "no chat completion. Look at `base_url`"),
        ((200, b"{}"), "no chat completion. Look at `base_url`"),
        ((200, b""), "no chat completion. Look at `base_url`"),
    ],
    ids=["401", "404", "400", "500", "html", "other json", "empty"],
)
def test_what_is_wrong_is_one_error_that_names_the_fix(endpoint, monkeypatch, answer, said):
    monkeypatch.setenv("SOME_KEY", KEY)
    server = endpoint(lambda body: answer)
    with pytest.raises(ConfigError, match=f"(?s){said}") as caught:
        check(server.url, api_key_env="SOME_KEY")
    assert len(server.requests) == 1, "a question that fails is not repeated"
    assert KEY not in str(caught.value) and caught.value.__cause__ is None


def test_a_model_that_is_busy_is_there(endpoint):
    check(endpoint(lambda body: (429, failure("slow down"))).url)


def test_a_server_that_is_not_there_or_says_nothing(endpoint):
    with pytest.raises(ConfigError, match=r"cannot be reached. Start its server, or correct `base_url`"):
        check("http://127.0.0.1:9/v1")
    wait = threading.Event()
    server = endpoint(lambda body: wait.wait(20) or "late")
    try:
        with pytest.raises(ConfigError, match=r"did not answer within `timeout`, 0.3 s"):
            check(server.url, timeout=0.3)
    finally:
        wait.set()


def test_a_key_that_is_echoed_is_not_repeated(endpoint, monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    server = endpoint(lambda body: (401, failure(f"Incorrect API key provided: {KEY}")))
    with pytest.raises(ConfigError) as caught:
        check(server.url, api_key_env="SOME_KEY")
    assert KEY not in str(caught.value)


def test_a_window_too_small_is_said_before_anything_is_sent(endpoint):
    server = endpoint(lambda body: "ready")
    model = ModelConfig(model="small", base_url=server.url)
    with pytest.raises(ConfigError, match=r"leaves the agent `\w+` -?\d+ tokens.*limits.context"):
        LLMAgents(TeacherConfig(model=model, limits={"context": 512, "output_tokens": 256}))
    assert not server.requests
