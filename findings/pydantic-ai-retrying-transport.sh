#!/usr/bin/env bash
# What one would guess: an agent whose model goes through pydantic-ai's retrying transport, set up as its documentation
# shows (`raise_for_status` as the validator, `reraise`), fails at last with the same error as without it: the status, and
# what the endpoint said about it.
#
# What it does (pydantic-ai-slim 2.68.0): the status is there, what the endpoint said is gone. The validator closes the
# response before anybody has read it, so the error's body is None, where it is OpenAI's error object without the
# transport. The module does not import beside `pydantic-ai-slim[openai]` either, whose client is httpx2: it wants the
# older httpx too (extra `retries`).
#
# Why it matters: OpenAI answers 429 both for a rate limit, which passes, and for a spent quota, which does not
# (`insufficient_quota`); only the body tells them apart, and only it says which limit was met. starrec hands back the
# last response when the attempts are used up, so that the client reads it (src/starrec/llm/retries.py).
#
# Source: https://ai.pydantic.dev/retries/ (its examples; nothing there speaks of the body).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" "pydantic-ai-slim[openai]==2.68.0" tenacity==9.2.1

"$folder/venv/bin/python" - <<'PYTHON'
import pydantic_ai.models.openai  # the client itself is there

try:
    import pydantic_ai.retries
except ImportError as error:
    print("without the extra `retries`:", error)
else:
    raise SystemExit("pydantic_ai.retries imports without httpx now")
PYTHON

"${pip[@]}" "pydantic-ai-slim[openai,retries]==2.68.0" tenacity==9.2.1
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import httpx2
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.retries import AsyncHTTPX2TenacityTransport, RetryConfig
from tenacity import retry_if_exception_type, stop_after_attempt, wait_none

print("pydantic-ai-slim", version("pydantic-ai-slim"), "openai", version("openai"))
requests = []


class Busy(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        requests.append(self.path)
        body = b'{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
        self.send_response(429)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"


async def ask(transport):
    requests.clear()
    async with httpx2.AsyncClient(transport=transport) as http:
        client = AsyncOpenAI(base_url=url, api_key="none", http_client=http, max_retries=0)
        model = OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client))
        try:
            await Agent(model).run("Hello")
        except ModelHTTPError as error:
            return len(requests), error.status_code, error.body
    raise SystemExit("no error was raised")


retrying = AsyncHTTPX2TenacityTransport(
    RetryConfig(
        retry=retry_if_exception_type(httpx2.HTTPStatusError),
        wait=wait_none(),
        stop=stop_after_attempt(3),
        reraise=True,
    ),
    validate_response=lambda response: response.raise_for_status(),
)
plain = asyncio.run(ask(None))
print("without the transport: requests, status, body:", plain)
assert plain[:2] == (1, 429) and plain[2]["code"] == "insufficient_quota", plain
through = asyncio.run(ask(retrying))
print("with the transport:    requests, status, body:", through)
assert through == (3, 429, None), through
PYTHON
