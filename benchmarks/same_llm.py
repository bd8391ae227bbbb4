"""The teacher's team and STAR, played by the same language model: SmolLM2-135M under llama.cpp for both.

    .venv/bin/python benchmarks/same_llm.py [--run runs/demo] [--tasks 5]

Needs `make .venv/.installed-llm`. One server answers everybody, one request at a time, and keeps what it has
read of a prompt that begins as the one before. Task after task, in turns:

    mars   the team over this model: planner, analysts with their tools, reflector, ranker
    think  one dialogue of the same model, as a student holds it in think mode
    fast   one prompt of the candidates' rows, of which one position is read

What a model writes decides how long it takes, and these weights were never trained for either part: the team
calls tools and does not decide. So each answer of the team is held to what the embedded policy says in its
place, and each turn of the dialogue to that of the kept run of this task, by a grammar that admits nothing
else: both end as the teacher's run does, and the model computes every token of it. In fast mode nothing is
written.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient
from openai import OpenAI

from llm_student import kept_runs
from record import keep
from starrec.llm import LimitsConfig, ModelConfig
from starrec.pipeline.tasks import reopen
from starrec.server.listening import served as served_here
from starrec.server.policy import policy_app
from starrec.student import gather_tasks
from starrec.student.config import TracesConfig
from starrec.student.lm.bases import load_tokenizer
from starrec.student.lm.chat import Chat, ChatSettings, as_user
from starrec.student.lm.text import TextRendering
from starrec.teacher import TeacherConfig
from starrec.teacher import run as run_team
from starrec.teacher.llm import LLMAgents
from starrec.tools import Toolbox
from starrec.trajectories import Trajectory

_CONTEXT: Final = 8192
_COUNTED: Final = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens")
_TURN: Final = 2048
"""Tokens of a turn that is forced, at most."""


@contextmanager
def served(context: int) -> Iterator[str]:
    """`starrec llm serve` on this machine, as its base URL.

    Args:
        context: tokens of its window.
    """
    command = [sys.executable, "-c", "from starrec.cli import main; main()", "llm", "serve"]
    arguments = ["--port", "0", "--context", str(context)]
    process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(r'model = "smollm2", base_url = "([^"]+)"', line):
                yield found.group(1)
                return
        raise SystemExit(f"The server did not start:\n{said}")
    finally:
        process.terminate()
        process.communicate(timeout=60)


def literal(text: str) -> str:
    """A grammar of llama.cpp that admits this text alone."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'root ::= "{escaped}"'


def forced(url: str, policy: FastAPI) -> FastAPI:
    """An endpoint at which a model writes, token by token, what the embedded policy answers.

    Args:
        url: of the server of the model.
    """
    app = FastAPI()
    answers = AsyncClient(transport=ASGITransport(policy), base_url="http://policy/v1", timeout=600)
    model = AsyncClient(base_url=url, timeout=600)

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Any:
        asked = await request.json()
        told = {name: value for name, value in request.headers.items() if name.startswith("x-starrec-")}
        answered = await answers.post("/chat/completions", json=asked, headers=told)
        content = answered.raise_for_status().json()["choices"][0]["message"]["content"]
        del asked["response_format"]
        written = await model.post("/chat/completions", json={**asked, "grammar": literal(content)})
        _as_forced(written.raise_for_status().json()["choices"][0]["message"]["content"], content)
        return written.json()

    return app


def team(loop: asyncio.Runner, agents: LLMAgents, toolbox: Toolbox) -> dict[str, Any]:
    """A run of the team; what it took."""
    total = loop.run(run_team(agents, toolbox)).trajectory.cost.total
    return {name: getattr(total, name) for name in _COUNTED}


def think(client: OpenAI, chat: Chat, run: Trajectory) -> dict[str, Any]:
    """The dialogue of a run, each turn asked for; what it took."""
    found = dict.fromkeys(_COUNTED, 0)
    said: list[dict[str, str]] = []
    for message in chat.conversation(run).messages:
        if message["role"] != "assistant":
            role = "system" if message["role"] == "system" else "user"
            content = as_user(message["content"]) if message["role"] == "tool" else message["content"]
            said.append({"role": role, "content": content})
            continue
        asked: Any = said
        answer = client.chat.completions.create(
            model="smollm2",
            messages=asked,
            temperature=0,
            max_tokens=_TURN,
            extra_body={"grammar": literal(message["content"])},
        )
        _as_forced(answer.choices[0].message.content, message["content"])
        said.append({"role": "assistant", "content": message["content"]})
        _add(found, answer.usage)
    return found


def fast(client: OpenAI, prompt: str) -> dict[str, Any]:
    """One prompt, one token; what it took."""
    answer = client.completions.create(model="smollm2", prompt=prompt, temperature=0, max_tokens=1)
    found = dict.fromkeys(_COUNTED, 0)
    _add(found, answer.usage)
    return found


def _as_forced(written: str | None, text: str) -> None:
    if written != text:
        raise SystemExit(f"Not written as it was forced: {written!r} in place of {text!r}")


def _add(found: dict[str, int], usage: Any) -> None:
    found["requests"] += 1
    found["prompt_tokens"] += usage.prompt_tokens
    found["completion_tokens"] += usage.completion_tokens
    details = getattr(usage, "prompt_tokens_details", None)
    found["cached_tokens"] += (details.cached_tokens or 0) if details is not None else 0


def main(
    run: Annotated[Path, typer.Option("--run", help="A finished run, such as the demo.")] = Path("runs/demo"),
    tasks: Annotated[int, typer.Option(min=1, help="Tasks that everybody is asked.")] = 5,
) -> None:
    """Seconds, requests and tokens of a task, and the ratios."""
    opened = reopen(run)
    world = opened.prepared.world
    by_id = {task.task_id: task for task in opened.taught[0]}
    tokenizer = load_tokenizer("smollm2")
    chat, rendering = Chat.of(tokenizer, ChatSettings.of(TracesConfig())), TextRendering(tokenizer, _CONTEXT)
    rows: list[dict[str, Any]] = []
    policy = policy_app(world, by_id)
    with served(_CONTEXT) as url, served_here(forced(url, policy)) as team_url, asyncio.Runner() as loop:
        # As llama.cpp's Python server is asked, which holds a model to a schema and calls no tools.
        model = ModelConfig(model="smollm2", base_url=team_url, output="json_object", tools=False, timeout=600)
        limits = LimitsConfig(concurrency=1, context=_CONTEXT, output_tokens=_TURN, attempts=1)
        agents = LLMAgents(TeacherConfig(model=model, limits=limits))
        client = OpenAI(base_url=url, api_key="none", timeout=600, max_retries=0)
        for kept in kept_runs(run, opened)[:tasks]:
            task = by_id[kept.task_id]
            prompt = rendering.text(gather_tasks(world, [task]), 0)
            row = {
                "mars": timed(partial(team, loop, agents, world.toolbox(task))),
                "think": timed(partial(think, client, chat, kept)),
                "fast": timed(partial(fast, client, prompt)),
            }
            rows.append(row)
            print(task.task_id, row, flush=True)
        loop.run(agents.close())
    over = {name: [row["mars"]["seconds"] / row[name]["seconds"] for row in rows] for name in ("think", "fast")}
    keep(
        "same_llm",
        {"tasks": len(rows), "rows": rows, "ratios": over},
        {f"same_llm_{name}": float(np.median(ratios)) for name, ratios in over.items()},
    )


def timed(what: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a call took, with its seconds."""
    started = time.perf_counter()
    return {**what(), "seconds": time.perf_counter() - started}


if __name__ == "__main__":
    typer.run(main)
