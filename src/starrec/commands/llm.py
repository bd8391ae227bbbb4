"""`starrec llm`: language models for the teacher, served on this machine.

What a command needs is imported when it runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console

from starrec.commands.options import DEMO
from starrec.errors import StarrecError
from starrec.terminal import announce

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_TICK_SECONDS = 10.0

Loading: TypeAlias = Callable[[], tuple[str, Any]]
"""Loads a model; its name, and the application that answers for it."""


@app.callback()
def llm() -> None:
    """Language models that run on this machine."""


@app.command()
def serve(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="smollm2 (a small real model), the path of a GGUF file, or embedded (the embedded policy "
            "over a run's tasks).",
        ),
    ] = "smollm2",
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="FOLDER",
            help=f"For embedded: the run whose tasks are asked. Left out: {DEMO}.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 for any that is free.")
    ] = 8001,
    context: Annotated[
        int | None,
        typer.Option(
            "--context",
            min=256,
            metavar="TOKENS",
            help="Window of a local model, of prompt and answer together. Left out: 8192.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve a model over OpenAI's protocol, until it is stopped. Nothing leaves this machine.

    What it prints is the `base_url` that the configuration wants (`[teacher.model]`).

    \b
    Examples:
      starrec llm serve
      starrec llm serve --model models/qwen3-8b-q4.gguf --context 16384
      starrec llm serve --model embedded --run runs/demo --port 8001
    """
    from starrec.llm import EMBEDDED

    if model == EMBEDDED and context is not None:
        raise StarrecError("--context is of a local model; the embedded policy has no window. Leave it out.")
    if model != EMBEDDED and run is not None:
        raise StarrecError(f"--run is for `--model embedded`; {model!r} is asked about no run. Leave it out.")
    console = Console(stderr=True)
    load = _policy(console, run or DEMO) if model == EMBEDDED else _local(console, model, context)
    from starrec.server.listening import base_url, listen, serve

    # The address first: nobody should wait for a model that cannot be asked.
    with listen(host, port) as listening:
        name, served = load()
        url = base_url(listening)
        announce(console, f'answering as model = "{name}", base_url = "{url}" (Ctrl+C stops it)')
        serve(served, listening)


def _policy(console: Console, run: Path) -> Loading:
    def load() -> tuple[str, Any]:
        from starrec.pipeline.tasks import reopen
        from starrec.server.policy import NAME, policy_app

        with _waiting(console, f"counting {run}"):
            tasks = reopen(run)
            asked = tasks.by_id()
        announce(console, f"{run}: {len(asked):,} tasks can be asked")
        return NAME, policy_app(tasks.prepared.world, asked)

    return load


def _local(console: Console, model: str, context: int | None) -> Loading:
    from starrec.server.local_model import CONTEXT, SMOLLM2, local_app, model_file

    file = model_file(model)
    name = model if model == SMOLLM2 else file.stem

    def load() -> tuple[str, Any]:
        with _waiting(console, f"loading {file.name}"):
            return name, local_app(file, name, context or CONTEXT)

    return load


@contextmanager
def _waiting(console: Console, what: str) -> Iterator[None]:
    """Says what is being done, and for how long: turning on a terminal, a line now and then elsewhere."""
    started = time.monotonic()
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        announce(console, f"{what} ...")
        ended = threading.Event()

        def tick() -> None:
            while not ended.wait(_TICK_SECONDS):
                announce(console, f"  {what}: {time.monotonic() - started:.0f} s")

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            ended.set()
            ticker.join()
    announce(console, f"{what} took {time.monotonic() - started:.1f} s")
