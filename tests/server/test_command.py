"""`starrec serve`, `keys` and `events` as an operator uses them: real processes, signals, files."""

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from typer.testing import CliRunner

from starrec.cli import app
from starrec.data import load_saved_dataset
from starrec.runs import Run, current_product
from starrec.server.keys import Keys
from starrec.server.listening import listen
from starrec.store import Log, Settings, Versions, build

CANDIDATES = [f"i{item}" for item in range(30, 40)]


def starrec(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_server_answers_who_has_a_key_and_ends_what_it_began(run_folder, started):
    folder = run_folder()
    added = starrec("keys", "add", "shop", "--run", folder)
    key = added.stdout.strip()
    assert added.exit_code == 0 and starrec("keys", "list", "--run", folder).stdout.endswith("  shop\n")
    with started("--run", folder) as server, httpx.Client(timeout=30) as client, ThreadPoolExecutor(16) as pool:
        server.until_ready(client)

        def ask(headers):
            return client.post(f"{server.url}/v1/recommend", json={"user": "u5"}, headers=headers)

        assert ask({}).status_code == 401
        own = {"Authorization": f"Bearer {key}"}
        assert ask(own).status_code == 200
        under_way = [pool.submit(ask, own) for _ in range(16)]
        while not any(future.running() for future in under_way):
            time.sleep(0.001)
        assert server.stop() in (0, -signal.SIGTERM)
        ended = [future.exception() or future.result().status_code for future in under_way]
    # What it began it answered in full; what found its connection closed had not reached it.
    answered = [end for end in ended if isinstance(end, int)]
    assert set(answered) <= {200, 503}
    assert all(isinstance(end, httpx.TransportError) for end in ended if end not in answered), ended
    began = [line["status"] for line in map(json.loads, server.lines) if line.get("method") == "POST"]
    assert sorted(began) == sorted([401, 200, *answered])
    assert key not in "".join(server.lines) and "u5" not in "".join(server.lines)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["holds no API key", "starrec keys add", "--no-auth"]),
        (["--no-auth", "--host", "0.0.0.0"], ["no loopback address"]),
        (["--no-auth", "--key-file", "x"], ["without --key-file"]),
        (["--no-auth", "--host", "no such host"], ["no loopback address"]),
    ],
)
def test_a_server_that_would_be_open_or_closed_to_all_does_not_start(folder, arguments, parts):
    refused = starrec("serve", "--run", folder, *arguments)
    assert refused.exit_code == 2 and all(part in refused.stderr for part in parts), refused.stderr


def test_a_run_that_is_gone_and_a_port_in_use_are_told_at_once(folder, tmp_path):
    gone = starrec("serve", "--run", tmp_path / "gone", "--no-auth")
    assert gone.exit_code == 2 and "holds no finished student" in gone.stderr
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        refused = starrec("serve", "--run", folder, "--no-auth", "--port", port)
    assert refused.exit_code == 2 and f"Port {port} of 127.0.0.1 is in use" in refused.stderr


def test_keys_are_kept_where_they_are_told(tmp_path):
    place = tmp_path / "etc" / "keys.json"
    key = starrec("keys", "add", "shop", "--key-file", place).stdout.strip()
    assert Keys(place).holder(key) == "shop"
    assert starrec("keys", "revoke", "shop", "--key-file", place).exit_code == 0
    assert Keys(place).holder(key) is None
    assert "no key of 'shop'" in starrec("keys", "revoke", "shop", "--key-file", place).stderr


def test_events_become_evidence_that_the_server_takes_in_and_deleted_users_leave_it(run_folder, serving):
    folder = run_folder()
    data = current_product(folder, "data")
    with Run.open(folder, "") as run:
        evidence = run.product("evidence", {})
        log = Log.of(load_saved_dataset(data.folder), 3)
        build(Versions(evidence.folder), log, Settings().inputs("data", 3))
        evidence.complete()
        run.use(evidence)
    with serving(folder) as client:

        def taken():
            (said, *_) = client.get("/items/i0/evidence").json()["facts"]
            return int(said.split(" of ")[0])

        def until(number):
            deadline = time.monotonic() + 20
            while taken() != number and time.monotonic() < deadline:
                time.sleep(0.05)
            return taken()

        popularity = taken()
        for user in range(3):
            event = {"user": f"new{user}", "item": "i0"}
            assert client.post("/events", json=event).status_code == 201
        fed = starrec("events", "feed", "--run", folder)
        assert fed.exit_code == 0 and "3 new events, 3 of them new interactions" in fed.stderr
        assert until(popularity + 3) == popularity + 3
        # Counted, she is a user of the evidence: her own edges stay out of it, and her history is hers.
        answer = client.post("/rank", json={"user": "new0", "candidates": CANDIDATES}).json()
        assert [item["item_id"] for item in answer["history"]] == ["i0"]
        assert client.delete("/users/new0").status_code == 200
        assert starrec("events", "forget", "new1", "--run", folder).exit_code == 0
        fed = starrec("events", "feed", "--run", folder)
        assert "2 deleted users taken out" in fed.stderr
        assert until(popularity + 1) == popularity + 1
        gone = client.post("/rank", json={"user": "new0", "candidates": CANDIDATES})
        assert gone.status_code == 404


def test_the_page_opens_when_the_run_is_loaded(folder, started, tmp_path, monkeypatch):
    # What BROWSER names is what `webbrowser` asks to open an address.
    seen, browser = tmp_path / "seen", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}.new && mv {seen}.new {seen}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    with started("--run", folder, "--no-auth", "--open") as server:
        deadline = time.monotonic() + 60
        while not seen.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert seen.read_text().strip() == server.url
        assert httpx.get(f"{server.url}/readyz").status_code == 200
