"""What stands around an application: keys, rates, limits, headers, logs, metrics. Over a real socket."""

import io
import json
import logging
import re
import socket
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from starrec.server.access import Access, is_loopback
from starrec.server.keys import Keys
from starrec.server.listening import served
from starrec.server.metrics import Metrics
from starrec.server.observing import JsonLines, Observed
from starrec.server.problems import answer_problems
from starrec.server.protection import BodyLimit, SecurityHeaders

SECRET = "Fargo (1996)"


def _application():
    app = FastAPI()
    answer_problems(app)

    @app.post("/v1/echo/{user}")
    async def echo(user: str, request: Request):
        return {"bytes": len(await request.body())}

    @app.get("/v1/bug")
    async def bug(title: str = SECRET):
        raise KeyError(title)

    @app.get("/v1/stream")
    async def stream():
        async def parts():
            yield b"one"
            raise KeyError(SECRET)

        return StreamingResponse(parts())

    @app.get("/healthz")
    async def healthz():
        return {}

    return app


@contextmanager
def _client(keys=None, metrics=None, rate=0, most=1000, **headers):
    app = BodyLimit(_application(), most)
    app = Observed(SecurityHeaders(Access(app, keys, requests_per_minute=rate)), metrics or Metrics())
    with served(app) as url, httpx.Client(base_url=url.removesuffix("/v1"), headers=headers) as client:
        yield client


@pytest.fixture
def log():
    """The lines that were logged, as objects."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("starrec")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(level)


# Keys, rates, Host


def test_without_a_key_only_health_is_answered(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    key = keys.add("anna")
    with _client(keys) as client:
        assert client.get("/healthz").status_code == 200
        for authorization in (None, key, "Basic abc", f"Bearer {key}x", "Bearer \xff"):
            headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
            refused = client.post("/v1/echo/1", headers=headers)
            assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
            assert refused.json()["error"]["code"] == "unauthorized" and key not in refused.text
        assert client.post("/v1/echo/1", headers={"Authorization": f"bearer {key}"}).status_code == 200
        keys.revoke("anna")
        assert client.post("/v1/echo/1", headers={"Authorization": f"Bearer {key}"}).status_code == 401


def test_the_page_is_open_and_its_report_takes_the_key_that_the_page_lends_it(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    own = {"Cookie": f"theme=dark; starrec_key={keys.add('anna')}"}
    with _client(keys) as client:
        # This application has no such files: 404 comes from behind the door.
        assert [client.get(path).status_code for path in ("/", "/assets/page.js")] == [404, 404]
        assert client.get("/report", headers=own).status_code == 404
        for path in ("/report", "/report/", "/assets", "/nowhere"):
            assert client.get(path).status_code == 401
        assert client.get("/report", headers={"Cookie": "starrec_key=wrong"}).status_code == 401
        # Nothing else takes it: another site's page can make a browser send cookies.
        assert client.post("/v1/echo/1", headers=own).status_code == 401


def test_each_key_has_a_rate_of_its_own(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    anna, ben = ({"Authorization": f"Bearer {keys.add(name)}"} for name in ("anna", "ben"))
    with _client(keys, rate=3) as client:
        assert [client.post("/v1/echo/1", headers=anna).status_code for _ in range(3)] == [200] * 3
        refused = client.post("/v1/echo/1", headers=anna)
        # Three a minute: the next one is let through after 20 s at most.
        assert refused.status_code == 429 and refused.headers["retry-after"] == "20"
        assert client.post("/v1/echo/1", headers=ben).status_code == 200
        assert client.get("/healthz", headers=anna).status_code == 200


def test_a_file_of_keys_that_was_broken_meanwhile_opens_nothing(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    key = keys.add("anna")
    (tmp_path / "keys.json").write_text("{}")
    with _client(keys) as client:
        answer = client.post("/v1/echo/1", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 503 and answer.json()["error"]["code"] == "keys_unreadable"
        assert str(tmp_path) not in answer.text


def test_without_keys_only_this_machines_own_pages_are_answered():
    with _client() as client:
        port = client.base_url.port
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "127.0.0.9", "LOCALHOST"):
            assert client.post("/v1/echo/1", headers={"Host": host}).status_code == 200
            own = {"Host": host, "Origin": f"http://{host}"}
            assert client.post("/v1/echo/1", headers=own).status_code == 200
        for host in ("evil.example", f"localhost.evil.example:{port}", "127.0.0.1.evil.example", "", "[::1"):
            assert client.post("/v1/echo/1", headers={"Host": host}).status_code == 403
        for origin in ("https://evil.example", "null", "http://localhost:1", f"http://127.0.0.1:{port + 1}"):
            assert client.post("/v1/echo/1", headers={"Origin": origin}).status_code == 403


def test_what_is_a_loopback_address():
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org", "")))


# Bodies and headers


def test_bodies_are_bounded_whether_their_length_is_announced_or_not():
    with _client() as client:
        assert client.post("/v1/echo/1", content=b"x" * 1000).json() == {"bytes": 1000}
        assert client.post("/v1/echo/1", content=iter([b"x" * 500] * 2)).json() == {"bytes": 1000}
        for content in (b"x" * 1001, iter([b"x" * 500, b"x" * 501])):
            refused = client.post("/v1/echo/1", content=content)
            assert refused.status_code == 413 and "1,000 bytes at most" in refused.text


def test_a_body_that_announces_too_much_is_not_waited_for():
    with _client() as client, socket.create_connection(("127.0.0.1", client.base_url.port), 10) as raw:
        raw.sendall(
            b"POST /v1/echo/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n"
        )
        assert raw.recv(1000).split(b" ")[1] in (b"413", b"400")


def test_every_answer_has_security_headers_and_no_cors():
    with _client() as client:
        answers = [
            client.post("/v1/echo/1"),
            client.get("/nowhere"),
            client.get("/v1/bug"),
            client.get("/healthz", headers={"Host": "evil.example"}),
            client.options("/v1/echo/1", headers={"Access-Control-Request-Method": "POST"}),
        ]
    for answer in answers:
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answers[0].headers["cache-control"] == "no-store"
    assert "cache-control" not in answers[3].headers


# Logs, failures, metrics


def test_a_failure_is_500_with_the_request_id_and_no_trace_of_the_code(log):
    with _client() as client:
        answer = client.get("/v1/bug")
    error = answer.json()["error"]
    assert answer.status_code == 500 and error["code"] == "internal"
    assert error["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text and "KeyError" not in answer.text and SECRET not in answer.text
    (failed,) = [line for line in log() if line["level"] == "error"]
    assert failed["request_id"] == error["request_id"] and failed["error"] == "KeyError"
    assert failed["at"][-1].startswith("test_around.py:") and failed["at"][-1].endswith(" bug")
    assert SECRET not in json.dumps(log())


def test_a_stream_that_fails_is_cut_off_and_logged(log):
    with _client() as client, pytest.raises(httpx.RemoteProtocolError):
        client.get("/v1/stream")
    assert "KeyError" in [line.get("error") for line in log()] and SECRET not in json.dumps(log())


def test_requests_are_logged_with_their_route_and_nothing_of_theirs(tmp_path, log):
    keys = Keys(tmp_path / "keys.json")
    key = keys.add("anna")
    with _client(keys, Authorization=f"Bearer {key}") as client:
        client.post("/v1/echo/somebody?q=asked", content=b"taken", headers={"X-Request-ID": "abc-1"})
        client.get("/nowhere/somebody")
    first, second = [line for line in log() if line["message"] == "request"]
    assert first.items() >= {
        "request_id": "abc-1", "method": "POST", "route": "/v1/echo/{user}", "status": 200, "key": "anna"
    }.items()  # fmt: skip
    assert second["route"] == "unmatched" and second["status"] == 404
    for said in ("somebody", "asked", "taken", key):
        assert said not in json.dumps(log())


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"b'])
def test_a_request_id_that_is_not_plain_is_replaced(given):
    with _client() as client:
        found = client.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert found != given and len(found) == 32


def test_requests_are_counted_by_route():
    metrics = Metrics()
    with _client(metrics=metrics) as client:
        for user in range(3):
            client.post(f"/v1/echo/{user}")
        client.request("PROPFIND", "/v1/echo/0")
    text = metrics.text().decode()
    assert 'starrec_requests_total{method="POST",route="/v1/echo/{user}",status="200"} 3.0' in text
    assert 'method="other"' in text and "PROPFIND" not in text
    assert 'starrec_request_seconds_count{route="/v1/echo/{user}"}' in text
    assert "starrec_requests_under_way 0.0" in text


def test_alerts_of_the_documentation_are_about_metrics_that_there_are():
    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:starrec|process)_[a-z_]+(?=[\[{`( ])", page))
    assert {"starrec_refused_total", "starrec_request_seconds_bucket", "starrec_rebuilds_due"} <= named
    metrics = Metrics()
    metrics.seconds.labels("/v1/rank").observe(0.1)
    metrics.requests.labels("POST", "/v1/rank", "200").inc()
    metrics.failed_loads.inc()
    text = metrics.text().decode()
    assert [name for name in named if not re.search(rf"^{name}[ {{]", text, re.MULTILINE)] == []
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^### (.*)$", page, re.MULTILINE)}
    assert set(re.findall(r"\(#([a-z-]+)\)", page)) == headings
