"""A model is asked until it answers, as often as it may help and no oftener."""

import asyncio
import threading
import time

import pytest
from pydantic_ai import Agent

from starrec.llm import LimitsConfig, ModelConfig
from starrec.llm.connection import connect
from starrec.llm.patience import EndpointError, Patient

QUICK = {"first_wait": 0.01, "longest_wait": 0.5, "cool_down": 0.05}
HTML = (200, b"<html>502 Bad Gateway</html>")
GOOD = "Well."


def patient(server, timeout=2.0, **limits):
    model = connect(ModelConfig(model="small", base_url=server.url, timeout=timeout))
    return Patient(model, LimitsConfig(**{**QUICK, **limits}))


def ask(model):
    return asyncio.run(Agent(model).run("How are you?")).output


def rule(*answers):
    """Answers with these in turn, and with the last one from then on."""
    left = list(answers)

    def answer(_):
        given = left.pop(0) if len(left) > 1 else left[0]
        return given() if callable(given) else given

    return answer


@pytest.mark.parametrize(
    "fault",
    [(429, b"{}"), (500, b"{}"), (503, b"busy"), HTML, (200, b'{"id": "1", "choi'), (200, b""), (200, b"{}")],
    ids=["429", "500", "503", "html", "cut", "empty", "no completion"],
)
def test_what_may_pass_is_asked_again(endpoint, fault):
    server = endpoint(rule(fault, fault, GOOD))
    assert ask(patient(server)) == GOOD and len(server.requests) == 3


def test_a_server_that_hangs_is_left_and_asked_again(endpoint):
    server = endpoint(rule(lambda: time.sleep(1.5) or GOOD, GOOD))
    began = time.monotonic()
    assert ask(patient(server, timeout=0.2)) == GOOD
    assert len(server.requests) == 2 and time.monotonic() - began < 1.4


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_is_wrong_with_the_request_is_never_repeated(endpoint, status):
    server = endpoint(rule((status, b'{"error": {"message": "no"}}')))
    with pytest.raises(EndpointError):
        ask(patient(server))
    assert len(server.requests) == 1


def test_attempts_run_out_with_what_was_said(endpoint, monkeypatch):
    monkeypatch.setenv("GATEWAY_KEY", "secret-of-mine")
    server = endpoint(rule((500, b'{"error": {"message": "the disk of secret-of-mine is full"}}')))
    with pytest.raises(EndpointError, match="500") as raised:
        ask(patient(server, attempts=3))
    assert len(server.requests) == 3
    assert "secret-of-mine" not in str(raised.value) and raised.value.__cause__ is None


def test_a_model_that_is_down_is_tried_by_one_while_the_others_wait(endpoint):
    down = threading.Event()
    down.set()
    server = endpoint(lambda _: (500, b"{}") if down.is_set() else GOOD)
    model = patient(server, failures_to_open=2, attempts=50, cool_down=0.2)

    async def many():
        asked = [asyncio.create_task(Agent(model).run("How are you?")) for _ in range(6)]
        await asyncio.sleep(0.5)
        while_down = len(server.requests)
        down.clear()
        return while_down, [result.output for result in await asyncio.gather(*asked)]

    while_down, answers = asyncio.run(many())
    assert answers == [GOOD] * 6
    # Six at first, then one for each cool-down: without a breaker they would be hundreds.
    assert while_down <= 6 + 3


def test_no_more_requests_are_under_way_than_may_be(endpoint):
    busy, most, guard = [0], [0], threading.Lock()

    def answer(_):
        with guard:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.05)
        with guard:
            busy[0] -= 1
        return GOOD

    model = patient(endpoint(answer), concurrency=2)

    async def many():
        await asyncio.gather(*(Agent(model).run("How are you?") for _ in range(8)))

    asyncio.run(many())
    assert most[0] == 2


def test_requests_a_minute_are_bounded(endpoint):
    server = endpoint(rule(GOOD))
    wrapped = connect(ModelConfig(model="small", base_url=server.url))
    # A minute of 0.4 s.
    model = Patient(wrapped, LimitsConfig(**QUICK, requests_per_minute=4), minute=0.4)

    async def many():
        began = time.monotonic()
        await asyncio.gather(*(Agent(model).run("How are you?") for _ in range(12)))
        return time.monotonic() - began

    # Four at once at most, and then one each tenth of a second.
    assert asyncio.run(many()) > 0.6
