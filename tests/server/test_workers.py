"""`starrec serve --workers 2`: one store, one socket; a worker that is killed loses nothing and is replaced."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import httpx
import psutil
import pytest
from tests.server.conftest import Server

from starrec.server.events import Events

PROGRAM = "from starrec.cli import main; main()"


class Servers(Server):
    """The processes of `starrec serve --workers 2` over a run."""

    def __init__(self, folder):
        super().__init__("--workers", 2, "--no-auth", "--run", folder)
        assert " with 2 workers " in self.first_line, self.first_line

    def workers(self):
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]

    def ask(self, method, path, **request):
        """Over a connection of its own, so that any worker may take it."""
        return httpx.request(method, f"{self.url}{path}", timeout=30, **request)

    def metric(self, line):
        found = [row for row in self.ask("GET", "/metrics").text.splitlines() if row.startswith(line + " ")]
        return float(found[0].rsplit(" ", 1)[1]) if found else None

    def until_both_are_ready(self):
        deadline = time.monotonic() + 120
        while sum('"message":"loaded"' in line for line in self.lines) < 2:
            assert self.process.poll() is None and time.monotonic() < deadline, "".join(self.lines)
            time.sleep(0.05)

    @contextmanager
    def alone(self, worker):
        """Only this one answers."""
        others = [other for other in self.workers() if other.pid != worker.pid]
        for other in others:
            other.suspend()
        try:
            yield
        finally:
            for other in others:
                other.resume()


@pytest.fixture(scope="module")
def served(run_folder):
    folder = run_folder()
    with Servers(folder) as servers:
        servers.until_both_are_ready()
        yield servers, folder


def test_an_event_that_one_worker_took_is_used_by_both(served):
    servers, _ = served
    taken = []
    for number, worker in enumerate(servers.workers()):
        taken.append(f"i{number}")
        with servers.alone(worker):
            event = {"user": "newcomer", "item": taken[-1]}
            assert servers.ask("POST", "/v1/events", json=event).status_code == 201
        for each in servers.workers():
            with servers.alone(each):
                asked = {"user": "newcomer", "candidates": ["i30", "i31"]}
                answer = servers.ask("POST", "/v1/rank", json=asked).json()
            assert [item["item_id"] for item in answer["history"]] == taken
    # Whoever is asked says what both counted: 2 events, 4 rankings.
    for worker in servers.workers():
        with servers.alone(worker):
            assert servers.metric("starrec_events_total") == 2
            ranked = 'starrec_requests_total{method="POST",route="/v1/rank",status="200"}'
            assert servers.metric(ranked) == 4
            assert servers.metric("starrec_queue_requests") == 0
            assert servers.metric("starrec_loaded_timestamp_seconds") > time.time() - 600


def test_a_worker_that_is_killed_loses_no_acknowledged_event_and_is_replaced(served):
    servers, folder = served
    acknowledged, stop = [], threading.Event()

    def send(sender):
        number = 0
        while not stop.is_set():
            number += 1
            key = f"{sender}-{number}"
            event = {"user": f"sender {sender}", "item": f"i{number % 48}"}
            while True:
                try:
                    answer = servers.ask("POST", "/v1/events", json=event, headers={"Idempotency-Key": key})
                except httpx.HTTPError:
                    continue
                if answer.status_code == 201:
                    acknowledged.append(key)
                    break

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(3)]
    for thread in senders:
        thread.start()
    while len(acknowledged) < 30:
        time.sleep(0.01)
    killed, other = servers.workers()
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(10)
    before = len(acknowledged)
    while len(acknowledged) < before + 30:  # the other one goes on alone
        time.sleep(0.01)
    while len(servers.workers()) < 2:
        time.sleep(0.05)
    stop.set()
    for thread in senders:
        thread.join()
    now = {worker.pid for worker in servers.workers()}
    assert len(now) == 2 and other.pid in now and killed.pid not in now
    assert any('"a worker died and is replaced"' in line for line in servers.lines)
    events = Events.of_run(folder)
    stored = [event.key for event in events.after(0, 100_000) if event.user_id.startswith("sender ")]
    events.close()
    assert len(stored) == len(set(stored)) and set(acknowledged) <= set(stored)


def test_workers_end_with_the_one_that_watches_them(served):
    servers, _ = served
    workers = servers.workers()
    servers.process.send_signal(signal.SIGTERM)
    assert servers.process.wait(60) == 0
    assert psutil.wait_procs(workers, timeout=1)[1] == []


def test_workers_that_lost_the_one_that_watches_them_end(run_folder):
    with Servers(run_folder()) as servers:
        while len(workers := servers.workers()) < 2:
            time.sleep(0.02)
        servers.process.kill()
        assert psutil.wait_procs(workers, timeout=60)[1] == []
