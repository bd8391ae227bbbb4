"""The client against a real server: the Python API's answers and errors, and what it does when things fail."""

import threading
import time
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

import starrec
from starrec.data import UnknownItem, plain
from starrec.server.client import Client, ServerError, TraceStep
from starrec.server.keys import Keys
from starrec.server.listening import listen, served

CANDIDATES = [f"i{item}" for item in range(30, 40)]


@pytest.fixture(scope="module")
def model(folder):
    return starrec.load(folder)


@pytest.fixture(scope="module")
def client(folder, serving):
    with serving(folder) as http, Client(str(http.base_url).removesuffix("/v1/")) as client:
        yield client


def test_answers_are_the_python_apis(client, model):
    assert client.rank(CANDIDATES, user="u5") == model.rank(CANDIDATES, user="u5")
    assert client.rank(CANDIDATES, history=["Film A01"], reasons=True) == model.rank(
        CANDIDATES, history=["Film A01"], reasons=True
    )
    where = {"categories": ["Vol. 2."]}
    own = model.recommend(history=["i1", "i2"], n=4, where=where, exclude=["i40"])
    assert client.recommend(history=["i1", "i2"], n=4, where=where, exclude=["i40"]) == own
    assert client.similar("i1", 3) == model.similar("i1", 3)
    assert client.items("film a", 3) == model.items("film a", 3)
    assert client.evidence("Film A01")["item_id"] == "i1"
    steps = list(client.explain(CANDIDATES[:3], user="u5", by="teacher"))
    told = [
        TraceStep(step.tag, plain(step.text), step.written)
        for step in model.explain(CANDIDATES[:3], user="u5", by="teacher")
    ]
    assert steps == told


def test_errors_are_the_python_apis(client):
    with pytest.raises(UnknownItem, match="zzz") as unknown:
        client.rank(["zzz"], history=["i1"])
    assert isinstance(unknown.value.near, tuple)
    with pytest.raises(starrec.UnknownUser, match="u555"):
        client.recommend("u555")
    with pytest.raises(starrec.UnknownUser):
        list(client.explain(user="u555", by="teacher"))
    with pytest.raises(starrec.FilterLeavesNothing):
        client.recommend(history=["i1"], where={"year": 1900})
    with pytest.raises(ServerError, match="openapi") as malformed:
        client.recommend(history=["i1"], n=0)
    assert malformed.value.status == 422 and malformed.value.request_id


def test_events_and_forgetting(client):
    key = client.add_event("some/body?", "Film B13", datetime(2026, 5, 1, tzinfo=UTC))
    assert client.add_event("some/body?", "Film B13", datetime(2026, 5, 1, tzinfo=UTC), key=key) == key
    assert [item.item_id for item in client.recommend("some/body?", n=1).history] == ["i13"]
    with pytest.raises(ServerError) as reused:
        client.add_event("some/body?", "i1", key=key)
    assert reused.value.code == "key_reused"
    gone = client.forget("some/body?")
    assert gone.events == 1 and gone.rebuild and gone.notes


def test_a_key_is_needed_where_there_are_keys(folder, serving, tmp_path):
    keys = Keys(tmp_path / "keys.json")
    with serving(folder, keys) as http:
        url = str(http.base_url).removesuffix("/v1/")
        with Client(url, keys.add("shop")) as known, Client(url, "starrec_x_y") as stranger:
            assert known.items("film", 1)
            with pytest.raises(ServerError) as refused:
                stranger.items("film", 1)
            assert refused.value.status == 401


def _flaky(*answers):
    """An application that gives these answers (status, headers) one after the other, then an item."""
    app, left, keys = FastAPI(), list(answers), []

    @app.api_route("/v1/{path:path}", methods=["GET", "POST"])
    async def answer(request: Request):
        keys.append(request.headers.get("idempotency-key"))
        if left:
            status, headers = left.pop(0)
            problem = {"code": "overloaded", "message": "later", "near": [], "request_id": "r"}
            return JSONResponse({"error": problem}, status, headers)
        return {"items": [{"item_id": "i1", "title": "One"}]}

    return app, keys


def test_what_may_be_asked_again_is_with_the_same_key():
    app, keys = _flaky((503, {}), (429, {"Retry-After": "1"}), (502, {}))
    with served(app) as url, Client(url.removesuffix("/v1")) as client:
        started = time.monotonic()
        key = client.add_event("anna", "i1")
        assert time.monotonic() - started >= 1  # as the server asked
    assert keys == [key] * 4


def test_attempts_end_and_long_waits_are_not_waited_for():
    app, keys = _flaky(*[(503, {})] * 3)
    with served(app) as url, Client(url.removesuffix("/v1"), attempts=2) as client:
        with pytest.raises(ServerError, match="later") as given_up:
            client.items("one")
        assert given_up.value.status == 503 and len(keys) == 2
    app, keys = _flaky((429, {"Retry-After": "3600"}))
    with served(app) as url, Client(url.removesuffix("/v1")) as client:
        with pytest.raises(ServerError):
            client.items("one")
        assert len(keys) == 1


def test_a_server_that_is_not_there_yet_is_asked_again_and_one_that_is_no_starrec_is_told():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", attempts=2) as client, pytest.raises(ServerError, match="reached"):
        client.items("one")
    other = FastAPI()
    with served(other) as url, Client(url.removesuffix("/v1")) as client:
        with pytest.raises(ServerError, match="Is the address right") as refused:
            client.items("one")
        assert refused.value.status == 404


def test_a_client_may_be_used_from_several_threads(client, model):
    own = model.rank(CANDIDATES, user="u5")
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(client.rank(CANDIDATES, user="u5"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [own] * 8
