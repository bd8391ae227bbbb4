"""Before a run a real task is played, so that what is wrong is one clear error."""

import asyncio
import json
import threading

import pytest

from starrec.errors import ConfigError
from starrec.llm import ModelConfig
from starrec.teacher import TeacherConfig
from starrec.teacher.llm import LLMAgents
from starrec.teacher.tryout import TryOut

KEY = "sk-very-secret"


@pytest.fixture
def check(world, lessons):
    """Tries a model out at an address; what that took."""
    task = lessons[0][0]

    def tried(url, **how):
        model = ModelConfig(model="small", base_url=url, **{"timeout": 2.0, **how})
        limits = {"attempts": 2, "first_wait": 0.01}
        agents = LLMAgents(TeacherConfig(model=model, limits=limits))
        return asyncio.run(TryOut(agents).play(world.toolbox(task), 0, True))

    return tried


def failure(message):
    return json.dumps({"error": {"message": message, "type": "x", "code": None}}).encode()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, failure("bad key")), "'small' at .* refuses the key.*api_key_env"),
        ((404, failure("no model")), "is not there. Look at the name in `model`.*/v1"),
        ((402, failure("pay")), "has no quota left"),
        ((400, failure("what?")), "refuses what the agents ask.*what\\?"),
        ((500, failure("oops")), "fails. Look at its server"),
        ((200, failure("oops")), "fails. Look at its server"),
        ((200, b"<!DOCTYPE html><html>Sign in</html>"), "no chat completion. Look at `base_url`"),
        ((200, b"{}"), "no chat completion. Look at `base_url`"),
        ((200, b""), "no chat completion. Look at `base_url`"),
    ],
    ids=["401", "404", "402", "400", "500", "error under 200", "html", "other json", "empty"],
)
def test_what_is_wrong_is_one_error_that_names_the_fix(endpoint, check, monkeypatch, answer, said):
    monkeypatch.setenv("SOME_KEY", KEY)
    server = endpoint(lambda body: answer)
    with pytest.raises(ConfigError, match=f"(?s){said}") as caught:
        check(server.url, api_key_env="SOME_KEY")
    # Other ways of asking are tried where that can help, and never for long.
    assert len(server.requests) <= 2 * 25
    assert KEY not in str(caught.value) and caught.value.__cause__ is None


def test_a_model_that_is_busy_is_there(endpoint, check):
    check(endpoint(lambda body: (429, failure("slow down"))).url)


def test_a_server_that_is_not_there_or_says_nothing(endpoint, check):
    with pytest.raises(ConfigError, match=r"cannot be reached. Start its server, or correct `base_url`"):
        check("http://127.0.0.1:9/v1")
    wait = threading.Event()
    server = endpoint(lambda body: wait.wait(20) or "late")
    try:
        with pytest.raises(ConfigError, match=r"did not answer within `timeout`, 0.3 s"):
            check(server.url, timeout=0.3)
    finally:
        wait.set()


def test_a_key_that_is_echoed_is_not_repeated(endpoint, check, monkeypatch):
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
