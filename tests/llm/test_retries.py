"""A request is tried again where that may help, as often as allowed and no sooner than the server says."""

import asyncio
import itertools
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest
from pydantic_ai import Agent

from starrec.llm import LimitsConfig, ModelConfig
from starrec.llm.guard import EndpointError
from starrec.llm.models import Models
from starrec.llm.retries import retrying

QUICK = {"first_wait": 0.01, "longest_wait": 0.5}
HTML = (200, b"<html>502 Bad Gateway</html>")
GOOD = "Well."


def model(server, timeout=20.0, **limits):
    config = ModelConfig(model="small", base_url=server.url, timeout=timeout)
    return Models(LimitsConfig(**{**QUICK, **limits})).of(config).model


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
    [
        (429, b"{}"),
        (500, b"{}"),
        (503, b"busy"),
        HTML,
        (200, b'{"id": "1", "choi'),
        (200, b""),
        (200, b"{}"),
        (200, b'{"choices": []}'),
        (200, b"null"),
        (200, b'{"error": {"message": "overloaded"}}'),
    ],
    ids=["429", "500", "503", "html", "cut", "empty", "no choice", "no choices", "null", "error under 200"],
)
def test_what_may_pass_is_asked_again(endpoint, fault):
    server = endpoint(rule(fault, fault, GOOD))
    assert ask(model(server)) == GOOD and len(server.requests) == 3


def test_a_server_that_hangs_is_left_and_asked_again(endpoint):
    answered = threading.Event()
    server = endpoint(rule(lambda: "Late." if answered.wait(60) else "Never.", GOOD))
    assert ask(model(server, timeout=0.3)) == GOOD and len(server.requests) == 2
    answered.set()


def test_a_server_that_never_answers_is_given_up(endpoint):
    answered = threading.Event()
    server = endpoint(rule(lambda: "Late." if answered.wait(60) else "Never."))
    with pytest.raises(EndpointError, match=r"no answer within `timeout`, 0.2 s") as caught:
        ask(model(server, timeout=0.2, attempts=2))
    answered.set()
    assert caught.value.problem == "timeout" and len(server.requests) == 2


@pytest.fixture
def dripping():
    """A server that sends a byte of its answer every 0.1 s: no read is slow, and the whole never comes."""

    async def drip(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.1)

    asked = []
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(drip, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", asked
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def test_an_answer_that_drips_is_no_answer(dripping):
    url, asked = dripping
    config = ModelConfig(model="small", base_url=url, timeout=1.0)
    with pytest.raises(EndpointError, match=r"no answer within `timeout`, 1 s"):
        ask(Models(LimitsConfig(**QUICK, attempts=2)).of(config).model)
    assert len(asked) == 2


def test_a_connection_that_cannot_be_made_is_tried_again_but_not_at_first_contact():
    tried = []

    class Nowhere(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request):
            tried.append(request)
            raise httpx2.ConnectError("refused")

    async def send(first_contact):
        transport = retrying(Nowhere(), LimitsConfig(**QUICK, attempts=3), lambda: first_contact)
        with pytest.raises(httpx2.ConnectError):
            await transport.handle_async_request(httpx2.Request("POST", "http://127.0.0.1:9/v1"))
        return len(tried)

    assert asyncio.run(send(False)) == 3
    assert asyncio.run(send(True)) == 3 + 1


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_is_wrong_with_the_request_is_never_repeated(endpoint, status):
    server = endpoint(rule((status, b'{"error": {"message": "no"}}')))
    with pytest.raises(EndpointError):
        ask(model(server))
    assert len(server.requests) == 1


def test_a_quota_that_is_spent_is_not_waited_for(endpoint):
    server = endpoint(rule((429, b'{"error": {"message": "pay", "code": "insufficient_quota"}}')))
    with pytest.raises(EndpointError) as caught:
        ask(model(server))
    assert caught.value.problem == "quota" and len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "problem", "message"),
    [
        ((500, b'{"error": {"message": "the disk of secret-of-mine is full"}}'), "server", r"500.*disk"),
        ((429, b'{"error": {"message": "slow down, secret-of-mine"}}'), "busy", r"429.*slow down"),
        ((200, b"<p>secret-of-mine, sign in</p>"), "no completion", r"no chat completion: <p>"),
    ],
)
def test_attempts_run_out_with_the_last_message(endpoint, monkeypatch, answer, problem, message):
    monkeypatch.setenv("GATEWAY_KEY", "secret-of-mine")
    server = endpoint(rule(answer))
    with pytest.raises(EndpointError, match=message) as raised:
        ask(model(server, attempts=3))
    assert len(server.requests) == 3 and raised.value.problem == problem
    assert "secret-of-mine" not in str(raised.value) and raised.value.__cause__ is None


def test_the_same_model_is_asked_from_one_event_loop_after_another(endpoint):
    server = endpoint(rule((500, b"{}"), GOOD))
    asked = model(server, concurrency=1, requests_per_minute=60_000, tokens_per_minute=6_000_000)
    assert [ask(asked) for _ in range(3)] == [GOOD] * 3


@pytest.fixture
def arrivals(run_on_virtual_clock):
    """The seconds at which attempts arrive at a server that answers 429 once with these headers."""

    def arrive(headers, **limits):
        times = []

        class Busy(httpx2.AsyncBaseTransport):
            async def handle_async_request(self, request):
                times.append(asyncio.get_running_loop().time())
                return httpx2.Response(429 if len(times) == 1 else 200, headers=headers, content=b"{}")

        async def send():
            transport = retrying(Busy(), LimitsConfig(**limits), lambda: False)
            return await transport.handle_async_request(httpx2.Request("POST", "http://127.0.0.1:9/v1"))

        response = run_on_virtual_clock(send())
        return times, response.status_code

    return arrive


def test_a_wait_is_as_long_as_the_server_says(arrivals):
    (first, second), status = arrivals({"retry-after": "70"}, first_wait=2.0)
    # At least as long, and at most `first_wait` longer.
    assert first == 0 and 70 <= second <= 72 and status == 200
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    (_, second), _ = arrivals({"retry-after": in_a_minute}, first_wait=0.001)
    assert 30 < second < 61
    (_, second), _ = arrivals({}, first_wait=2.0)
    assert 0 <= second <= 2


def test_a_server_that_asks_for_too_long_a_wait_is_given_up(arrivals):
    assert arrivals({"retry-after": "121"}, longest_wait=120.0) == ([0.0], 429)


def test_waits_double_up_to_a_bound(run_on_virtual_clock):
    times = []

    class Down(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request):
            times.append(asyncio.get_running_loop().time())
            return httpx2.Response(503, content=b"{}")

    async def send():
        transport = retrying(Down(), LimitsConfig(attempts=6, first_wait=1.0, longest_wait=3.0), lambda: False)
        return await transport.handle_async_request(httpx2.Request("POST", "http://127.0.0.1:9/v1"))

    assert run_on_virtual_clock(send()).status_code == 503
    waits = [after - before for before, after in itertools.pairwise(times)]
    assert len(waits) == 5 and all(wait <= bound for wait, bound in zip(waits, [1, 2, 3, 3, 3], strict=True))
