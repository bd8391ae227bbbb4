"""A served run, driven from other processes over loopback: what HTTP costs, overload, kills, reloads.

    .venv/bin/python benchmarks/serving.py rank [--run runs/demo]
    .venv/bin/python benchmarks/serving.py saturation [--run runs/demo]
    .venv/bin/python benchmarks/serving.py overload [--run runs/demo]
    .venv/bin/python benchmarks/serving.py recommend [--run runs/demo]
    .venv/bin/python benchmarks/serving.py events [--run runs/demo]
    .venv/bin/python benchmarks/serving.py reload [--run runs/demo]
    .venv/bin/python benchmarks/serving.py schema [--run runs/demo]

Load comes from hey (Debian's package of that name), a compiled generator; `schema` needs schemathesis (pip).
Each row starts `starrec serve --no-auth` over a folder of links to the run, so that no event gets into it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import httpx
import numpy as np
import psutil
import typer

import starrec
from record import keep
from starrec.config import dump_toml
from starrec.pipeline.config import RunConfig, recorded_config
from starrec.server.events import Events

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True, rich_markup_mode=None)

Run = Annotated[Path, typer.Option(help="A finished run, such as the demo.")]
Name = Annotated[str, typer.Option(help="Of another run's result.")]
_DEMO: Final = Path("runs/demo")
_ROUNDS: Final = 3
_PACE: Final = 50
"""Requests a second of the rows that measure latency."""
_SLOW: Final = 0.25
"""Seconds of the 99th percentile at which a server counts as saturated."""
_CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def _kept(row: str, name: str) -> str:
    return f"serving_{row}" + (f"_{name}" if name else "")


@dataclass
class Server:
    """`starrec serve` over a run."""

    folder: Path
    process: subprocess.Popen[str]
    url: str

    @classmethod
    def start(cls, folder: Path) -> Server:
        main = "from starrec.cli import main; main()"
        command = [sys.executable, "-c", main, "serve", "--no-auth", "--port", "0", "--run", str(folder)]
        log = (folder / "serve.log").open("w")
        # A file, not a pipe: nobody reads while it is driven.
        process = subprocess.Popen(command, stderr=log, text=True)
        while not (found := re.search(r" at (http://\S+)", (folder / "serve.log").read_text())):
            assert process.poll() is None, (folder / "serve.log").read_text()
            time.sleep(0.02)
        server = cls(folder, process, found[1])
        while httpx.get(f"{server.url}/readyz").status_code != 200:
            time.sleep(0.05)
        return server

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(60)

    @property
    def memory(self) -> float:
        """MiB that are resident."""
        return psutil.Process(self.process.pid).memory_info().rss / 2**20


@contextmanager
def _links(run: Path, **settings: float) -> Iterator[Path]:
    """A folder that leads to all of a run, with a configuration and events of its own."""
    with tempfile.TemporaryDirectory(prefix="starrec-serving-") as name:
        folder = Path(name)
        for path in run.absolute().iterdir():
            if path.name not in ("config.toml", "keys.json") and not path.name.startswith("events.sqlite"):
                (folder / path.name).symlink_to(path)
        config = recorded_config(run) or RunConfig()
        serving = config.serving.model_copy(update=settings)
        toml = dump_toml(config.model_copy(update={"serving": serving}))
        (folder / "config.toml").write_text(toml, encoding="utf-8")
        yield folder


@contextmanager
def served(run: Path, **settings: float) -> Iterator[Server]:
    with _links(run, **settings) as folder:
        server = Server.start(folder)
        try:
            yield server
        finally:
            server.stop()


@dataclass(frozen=True)
class Driven:
    """What hey saw."""

    seconds: Sequence[float]
    codes: Counter[int]
    per_second: float

    def quantile(self, share: float) -> float:
        return float(np.quantile(self.seconds, share))


def _drive(url: str, body: Any, seconds: float, connections: int, pace: float = 0) -> Driven:
    """Load from hey: as fast as answers come on so many connections, or at a pace (requests a second)."""
    hey = shutil.which("hey")
    if hey is None:
        raise typer.BadParameter("hey is missing: apt-get install hey")
    command = [hey, "-z", f"{seconds}s", "-c", str(connections), "-t", "30", "-o", "csv"]
    if pace:
        command += ["-q", f"{pace / connections:g}"]
    if body is not None:
        command += ["-m", "POST", "-T", "application/json", "-d", json.dumps(body)]
    started = time.perf_counter()
    output = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    took = time.perf_counter() - started
    rows = list(csv.DictReader(io.StringIO(output)))
    codes = Counter(int(row["status-code"]) for row in rows)
    return Driven([float(row["response-time"]) for row in rows], codes, codes[200] / took)


@dataclass(frozen=True)
class Asked:
    """A request about a user, over HTTP and in this process."""

    body: dict[str, Any]
    alone: Callable[[], object]


def _requests(run: Path, seed: int = 0) -> tuple[Asked, Asked]:
    """Ranking 20 random candidates for a user, and recommending to her with reasons."""
    model = starrec.load(run)
    drawn = np.random.default_rng(seed)
    user = model.serving.user_ids[int(drawn.integers(len(model.serving.user_ids)))]
    ids = model.serving.catalogue.item_ids
    candidates = [ids[at] for at in drawn.permutation(len(ids))[:20].tolist()]
    return (
        Asked({"user": user, "candidates": candidates}, lambda: model.rank(candidates, user=user)),
        Asked({"user": user, "n": 10}, lambda: model.recommend(user=user, n=10)),
    )


def _alone(asked: Asked, times: int = 300, pace: float = 0) -> float:
    """Median seconds of a request in this process, one after the other, or so many a second."""
    for _ in range(20):
        asked.alone()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        asked.alone()
        taken.append(time.perf_counter() - started)
        if pace:
            time.sleep(max(0.0, 1 / pace - taken[-1]))
    return median(taken)


@app.command()
def rank(run: Run = _DEMO, name: Name = "", seconds: float = 20) -> None:
    """`POST /v1/rank` at 50 a second: its p50 over that in process plus three times an empty endpoint's, all
    at this pace (one after the other, caches stay warm: `in_process_hot`)."""
    rounds, codes = [], Counter[int]()
    with served(run, requests_per_minute=0) as server:
        for seed in range(_ROUNDS):
            asked, _ = _requests(run, seed)
            found = _drive(f"{server.url}/v1/rank", asked.body, seconds, 5, _PACE)
            empty = _drive(f"{server.url}/healthz", None, seconds / 2, 5, _PACE)
            codes += found.codes
            ms = {
                "rank": found.quantile(0.5),
                "empty": empty.quantile(0.5),
                "in_process": _alone(asked, pace=_PACE),
                "in_process_hot": _alone(asked),
            }
            rounds.append({key: round(1000 * value, 3) for key, value in ms.items()})
    share = median(each["rank"] / (each["in_process"] + 3 * each["empty"]) for each in rounds)
    keep(_kept("rank", name), {"p50_ms": rounds, "codes": codes}, {"rank_overhead": share})


@app.command()
def saturation(run: Run = _DEMO, name: Name = "", seconds: float = 8) -> None:
    """Requests a second at which p99 passes 250 ms, over what one process does without HTTP."""
    asked, _ = _requests(run)
    shares, rounds = [], []
    with served(run, queue=4096) as server:
        for _ in range(_ROUNDS):
            best, steps = 0.0, []
            for connections in (4, 8, 16, 32, 64, 128):
                found = _drive(f"{server.url}/v1/rank", asked.body, seconds, connections)
                p99 = found.quantile(0.99)
                steps.append([connections, round(found.per_second, 1), round(1000 * p99, 1)])
                if p99 > _SLOW:
                    break
                best = max(best, found.per_second)
            alone = _alone(asked)
            shares.append(best * alone)
            rounds.append({"in_process_ms": 1000 * alone, "connections_per_s_p99_ms": steps})
    keep(_kept("saturation", name), {"rounds": rounds}, {"saturation_share": median(shares)})


@app.command()
def overload(run: Run = _DEMO, name: Name = "", seconds: float = 60) -> None:
    """Four times what it can do: which answers, and p50 and memory afterwards over those before."""
    asked, _ = _requests(run)
    with served(run) as server:
        url = f"{server.url}/v1/rank"
        most = _drive(url, asked.body, 10, 32).per_second
        before, warm = _drive(url, asked.body, 10, 5, _PACE).quantile(0.5), server.memory
        flood = _drive(url, asked.body, seconds, 1000, 4 * most)
        after, later = _drive(url, asked.body, 10, 5, _PACE).quantile(0.5), server.memory
    content = {
        "per_s": {"saturated": most, "sent": len(flood.seconds) / seconds, "answered": flood.per_second},
        "codes": flood.codes,
        "p50_ms": {"before": 1000 * before, "after": 1000 * after},
        "mib": {"warm": warm, "after": later},
    }
    other = sum(count for code, count in flood.codes.items() if code not in (200, 429))
    bars = {"overload_other": other, "overload_p50": after / before, "overload_memory": later / warm}
    keep(_kept("overload", name), content, bars)


@app.command()
def recommend(run: Run = _DEMO, name: Name = "", seconds: float = 15) -> None:
    """`POST /v1/recommend` with reasons: p50 over that of ranking 20 candidates, both 20 a second."""
    rounds = []
    with served(run, requests_per_minute=0) as server:
        for seed in range(_ROUNDS):
            ranking, recommending = _requests(run, seed)
            found = _drive(f"{server.url}/v1/recommend", recommending.body, seconds, 4, 20).quantile(0.5)
            ranked = _drive(f"{server.url}/v1/rank", ranking.body, seconds, 4, 20).quantile(0.5)
            rounds.append({"recommend": 1000 * found, "rank": 1000 * ranked})
    share = median(each["recommend"] / each["rank"] for each in rounds)
    keep(_kept("recommend", name), {"p50_ms": rounds}, {"recommend_over_rank": share})


@app.command()
def events(run: Run = _DEMO, name: Name = "", count: int = 20_000, kills: int = 5) -> None:
    """Events sent by 8 senders, each until it is acknowledged, while the server is killed: which are lost or
    there twice, and whether each sender's last one is in the next request."""
    randomness = random.Random(0)
    ids = starrec.load(run).serving.catalogue.item_ids
    acknowledged: Counter[str] = Counter()
    lock = threading.Lock()
    with _links(run) as folder:
        running = [Server.start(folder)]

        def send(sender: int) -> None:
            client = httpx.Client(timeout=30)
            for number in range(sender, count, 8):
                key = f"k{number}"
                body = {"user": f"sender-{number}", "item": ids[number % len(ids)]}
                while True:
                    try:
                        url = f"{running[0].url}/v1/events"
                        answer = client.post(url, json=body, headers={"Idempotency-Key": key})
                    except httpx.HTTPError:
                        time.sleep(0.05)
                        continue
                    if answer.status_code == 201:
                        break
                    assert answer.status_code in (429, 503), answer.text
                    time.sleep(0.05)
                with lock:
                    acknowledged[key] += 1

        senders = [threading.Thread(target=send, args=(at,)) for at in range(8)]
        for thread in senders:
            thread.start()
        for at in range(1, kills + 1):
            while sum(acknowledged.values()) < at * count // (kills + 1) and any(
                map(threading.Thread.is_alive, senders)
            ):
                time.sleep(0.01)
            time.sleep(randomness.uniform(0, 0.2))
            running[0].stop(signal.SIGKILL)
            running[0] = Server.start(folder)
        for thread in senders:
            thread.join()
        used = 0
        for number in range(count - 8, count):
            body = {"user": f"sender-{number}", "candidates": ids[:2]}
            found = httpx.post(f"{running[0].url}/v1/rank", json=body).json()
            used += [item["item_id"] for item in found["history"]] == [ids[number % len(ids)]]
        running[0].stop()
        store = Events.of_run(folder)
        stored = Counter(event.key for event in store.after(0, limit=2 * count))
        store.close()
    lost = sum(stored[key] != 1 for key in acknowledged) + len(stored.keys() - acknowledged.keys())
    content = {
        "acknowledged": len(acknowledged),
        "stored": sum(stored.values()),
        "kills": kills,
        "used_next": used,
    }
    keep(_kept("events", name), content, {"events_lost": lost + (8 - used)})


@app.command()
def reload(run: Run = _DEMO, name: Name = "", times: int = 5) -> None:
    """The run is taken in again and again while 8 connections ask: requests that failed."""
    asked, _ = _requests(run)
    with served(run, reload_seconds=0.2) as server:
        found: list[Driven] = []
        url = f"{server.url}/v1/rank"
        driver = threading.Thread(target=lambda: found.append(_drive(url, asked.body, 8 * times, 8)))
        driver.start()
        for _ in range(times):
            time.sleep(6)
            os.utime(server.folder / "config.toml")
        driver.join()
        log = (server.folder / "serve.log").read_text()
    loads = log.count('"message":"loaded"') - 1
    failed = sum(count for code, count in found[0].codes.items() if code != 200)
    content = {"loads": loads, "codes": found[0].codes, "p99_ms": 1000 * found[0].quantile(0.99)}
    keep(_kept("reload", name), content, {"reload_failed": failed})


@app.command()
def schema(run: Run = _DEMO, name: Name = "", examples: int = 200, program: str = "schemathesis") -> None:
    """schemathesis over the OpenAPI document, fixed seed: answers of 5xx, or not as documented."""
    if shutil.which(program) is None:
        raise typer.BadParameter(
            f"{program} is missing: pip install schemathesis (in an environment of its own)"
        )
    command = [program, "run", "--max-examples", str(examples), "--seed", "1", "--continue-on-failure"]
    command += ["--checks", ",".join(_CHECKS)]
    with served(run, requests_per_minute=0) as server:
        document = f"{server.url}/openapi.json"
        done = subprocess.run([*command, document], capture_output=True, text=True, cwd=server.folder)
    cases = re.search(r"([\d,]+) generated", done.stdout)
    failures = re.search(r"(\d+) unique failures?", done.stdout)
    assert cases is not None, done.stdout + done.stderr
    found = int(failures[1]) if failures else 0
    if found:
        print(done.stdout, file=sys.stderr)
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split()[-1]
    content = {"cases": int(cases[1].replace(",", "")), "checks": _CHECKS, "schemathesis": version}
    keep(_kept("schema", name), content, {"schemathesis_failures": found})


if __name__ == "__main__":
    app()
