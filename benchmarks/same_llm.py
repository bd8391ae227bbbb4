"""The teacher's team and STAR, played by the same language model: SmolLM2-135M under llama.cpp for both.

    .venv/bin/python benchmarks/same_llm.py [--run runs/demo] [--tasks 5]

Needs `make .venv/.installed-llm`. One server answers everybody, one request at a time, and keeps what it has
read of a prompt that begins as the one before. Task after task, in turns:

    mars   the team over this model: planner, analysts with their tools, reflector, ranker
    think  one dialogue of the same model, as a student holds it in think mode
    fast   one prompt of the candidates' rows, of which one position is read

What a model writes in think mode decides how long it takes, and these weights were never trained to. So each
turn is held to that of the teacher's kept run of this task, which is what a student learns to write, by a
grammar that admits nothing else; the model still computes every token of it. In fast mode nothing is written.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from openai import OpenAI

from llm_student import kept_runs
from record import keep
from starrec.llm import LimitsConfig, ModelConfig
from starrec.pipeline.tasks import reopen
from starrec.student import gather_tasks
from starrec.student.config import TracesConfig
from starrec.student.lm.bases import load_tokenizer
from starrec.student.lm.chat import Chat, ChatSettings, as_user
from starrec.student.lm.text import TextRendering
from starrec.teacher import AgentError, TeacherConfig
from starrec.teacher import run as run_team
from starrec.teacher.llm import LLMAgents
from starrec.trajectories import Trajectory

_CONTEXT: Final = 8192
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


def think(client: OpenAI, chat: Chat, run: Trajectory) -> dict[str, float]:
    """The dialogue of a run, each turn asked for; what it took."""
    found = {"requests": 0.0, "prompt_tokens": 0.0, "cached_tokens": 0.0, "completion_tokens": 0.0}
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
        if answer.choices[0].message.content != message["content"]:
            raise SystemExit(f"A turn was not written as it was forced: {answer.choices[0]}")
        said.append({"role": "assistant", "content": message["content"]})
        found["requests"] += 1
        _add(found, answer.usage)
    return found


def fast(client: OpenAI, prompt: str) -> dict[str, float]:
    """One prompt, one token; what it took."""
    answer = client.completions.create(model="smollm2", prompt=prompt, temperature=0, max_tokens=1)
    found = {"requests": 1.0, "prompt_tokens": 0.0, "cached_tokens": 0.0, "completion_tokens": 0.0}
    _add(found, answer.usage)
    return found


def _add(found: dict[str, float], usage: Any) -> None:
    found["prompt_tokens"] += usage.prompt_tokens
    found["completion_tokens"] += usage.completion_tokens
    details = getattr(usage, "prompt_tokens_details", None)
    found["cached_tokens"] += (details.cached_tokens or 0) if details is not None else 0


def main(
    run: Annotated[Path, typer.Option("--run", help="A finished run, such as the demo.")] = Path("runs/demo"),
    tasks: Annotated[int, typer.Option(min=2, help="Tasks that the team must bring to an end.")] = 5,
) -> None:
    """Seconds, requests and tokens of a task, and the ratios."""
    opened = reopen(run)
    world = opened.prepared.world
    by_id = {task.task_id: task for task in opened.taught[0]}
    tokenizer = load_tokenizer("smollm2")
    chat, rendering = Chat.of(tokenizer, ChatSettings.of(TracesConfig())), TextRendering(tokenizer, _CONTEXT)
    rows: list[dict[str, dict[str, float]]] = []
    failed: list[str] = []
    with served(_CONTEXT) as url:
        # llama.cpp's Python server holds a model to a schema beside `json_object`, and calls no tools.
        model = ModelConfig(model="smollm2", base_url=url, output="json_object", tools=False, timeout=600)
        limits = LimitsConfig(concurrency=1, context=_CONTEXT, output_tokens=512, attempts=2)
        client = OpenAI(base_url=url, api_key="none", timeout=600, max_retries=0)
        with asyncio.Runner() as loop:
            agents = LLMAgents(TeacherConfig(model=model, limits=limits))
            for kept in kept_runs(run, opened):
                if len(rows) == tasks:
                    break
                task = by_id[kept.task_id]
                started = time.perf_counter()
                try:
                    outcome = loop.run(run_team(agents, world.toolbox(task)))
                except AgentError as error:
                    failed.append(str(error))
                    print(f"{task.task_id}: the team came to a limit: {error}", flush=True)
                    continue
                total = outcome.trajectory.cost.total
                seconds = [time.perf_counter() - started]
                measured = {
                    "mars": {
                        "requests": float(total.requests),
                        "prompt_tokens": float(total.prompt_tokens),
                        "cached_tokens": float(total.cached_tokens),
                        "completion_tokens": float(total.completion_tokens),
                    }
                }
                started = time.perf_counter()
                measured["think"] = think(client, chat, kept)
                seconds.append(time.perf_counter() - started)
                started = time.perf_counter()
                measured["fast"] = fast(client, rendering.text(gather_tasks(world, [task]), 0))
                seconds.append(time.perf_counter() - started)
                for found, taken in zip(measured.values(), seconds, strict=True):
                    found["seconds"] = taken
                rows.append(measured)
                print(task.task_id, {name: found["seconds"] for name, found in measured.items()}, flush=True)
            loop.run(agents.close())
    names = ("mars", "think", "fast")
    means = {
        name: {key: float(np.mean([row[name][key] for row in rows])) for key in rows[0][name]} for name in names
    }
    over = {name: [row["mars"]["seconds"] / row[name]["seconds"] for row in rows] for name in ("think", "fast")}
    keep(
        "same_llm",
        {"tasks": len(rows), "failed": failed, "a_task": means, "ratios": over},
        {
            "same_llm_think": float(np.median(over["think"])),
            "same_llm_fast": float(np.median(over["fast"])),
        },
    )


if __name__ == "__main__":
    typer.run(main)
