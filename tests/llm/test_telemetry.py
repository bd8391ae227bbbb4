"""Traces go where the environment says, and hold nobody's history."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

TRACED = """
import asyncio, sys
from opentelemetry import trace
from pydantic_ai import Agent
from starrec.llm import LimitsConfig, ModelConfig
from starrec.llm.models import Models
models = Models(LimitsConfig(), telemetry=True)
model = models.of(ModelConfig(model="small", base_url=sys.argv[1])).model
agent = Agent(model, name="planner")
agent.instrument = models.instrumentation
print(asyncio.run(agent.run("She likes Fargo.")).output)
trace.get_tracer_provider().force_flush()
"""


@pytest.fixture
def collector():
    """An OTLP collector on loopback: what was posted to it, by path."""
    got = []

    class Collect(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Collect)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()


def test_an_agents_run_is_traced_without_what_was_said(endpoint, collector):
    url, got = collector
    server = endpoint(lambda body: "She likes it cold.")
    # A process of its own: tracing is set up once a process.
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": url}
    ran = subprocess.run(
        [sys.executable, "-c", TRACED, server.url], env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.stdout == "She likes it cold.\n", ran.stderr
    assert [path for path, _ in got] == ["/v1/traces"] * len(got) and got
    traced = b"".join(body for _, body in got)
    assert b"planner" in traced and b"starrec" in traced and b"gen_ai" in traced
    assert b"Fargo" not in traced and b"cold" not in traced
