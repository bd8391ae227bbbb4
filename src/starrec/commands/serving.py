"""`starrec serve`, `starrec keys`, `starrec events`: a run as an HTTP server, its keys, what was taken since.

What a command needs is imported when it runs.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from starrec.commands.options import DEMO
from starrec.errors import ConfigError, RunError, StarrecError
from starrec.terminal import announce

if TYPE_CHECKING:
    from starrec.pipeline.serving_config import ServingConfig
    from starrec.server.events import Events
    from starrec.server.keys import Keys

keys = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
events = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

ServedRunOption = Annotated[Path, typer.Option("--run", metavar="FOLDER", help="Folder of a finished run.")]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="Hashes of the API keys. Left out: keys.json in the run folder.",
        show_default=False,
    ),
]
KeyNameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Who has the key; stands in the log.")]


def serve(
    run: ServedRunOption = DEMO,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 for any that is free.")
    ] = 8000,
    workers: Annotated[
        int,
        typer.Option("--workers", min=1, metavar="N", help="Processes that answer, each about one core."),
    ] = 1,
    no_auth: Annotated[
        bool,
        typer.Option(
            "--no-auth",
            help="Without API keys, for this machine alone (a loopback address).",
            show_default=False,
        ),
    ] = False,
    key_file: KeyFileOption = None,
    open_page: Annotated[
        bool,
        typer.Option("--open", help="Open the page in a browser when the run is loaded.", show_default=False),
    ] = False,
    system: Annotated[
        str | None,
        typer.Option(
            "--system",
            metavar="NAME",
            help="What ranks: star, teacher or a tool. Left out: what the run chose on validation.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve a run over HTTP until it is stopped: its page, rankings, recommendations, traces, events.

    Its limits are the run's `[serving]` settings. A new student or new counts in the run folder are taken in
    while it answers. The log on stderr is one JSON object a line. docs/serving.md has the rest.

    \b
    Examples:
      starrec serve --no-auth --open
      starrec keys add shop --run runs/mine && starrec serve --run runs/mine --port 9000
      starrec serve --run runs/mine --host 0.0.0.0 --key-file /etc/starrec/keys.json --workers 4
    """
    from starrec.runs import current_product
    from starrec.server.access import is_loopback

    if current_product(run, "distill") is None:
        raise RunError(f"{run} holds no finished student. Make one with `starrec run --run {run}`.")
    if no_auth and key_file is not None:
        raise StarrecError("--no-auth asks for no keys. Give it without --key-file.")
    if no_auth and not is_loopback(host):
        raise StarrecError(
            f"--no-auth serves this machine alone, and {host} is no loopback address. Leave --host out, or "
            f"make a key with `starrec keys add NAME --run {run}` and leave --no-auth out."
        )
    known = None if no_auth else _keys(run, key_file)
    if known is not None and not len(known):
        raise ConfigError(
            f"{known.path} holds no API key, so nobody could ask. Make one with `starrec keys add NAME --run "
            f"{run}`, or start with --no-auth, which answers this machine alone."
        )
    try:
        from starrec.server.listening import base_url, listen
        from starrec.server.listening import serve as answer
    except ImportError as error:
        raise ConfigError(
            f"Serving needs the extra `serve` ({error}): pip install 'starrec[serve,train]'."
        ) from error

    # The address first: nobody should wait for a run that cannot be asked.
    with listen(host, port) as listening:
        from starrec.server.app import application
        from starrec.server.browser import open_when_loaded
        from starrec.server.observing import log_json

        config = _config(run)
        build = partial(application, run, config, known, system=system)
        url = base_url(listening).removesuffix("/v1")
        told = f" with {workers} workers" if workers > 1 else ""
        settings: dict[str, Any] = {
            "grace": config.stop_seconds,
            "log_config": None,
            "server_header": False,
        }
        if workers == 1:
            app = build()
        announce(Console(stderr=True), f"serving {run} at {url}{told} (Ctrl+C stops it)")
        if open_page:
            open_when_loaded(url)
        log_json()
        if workers == 1:
            answer(app, listening, **settings)
        else:
            from starrec.server.workers import serve_with_workers

            serve_with_workers(build, listening, workers, **settings)


@keys.callback()
def _keys_group() -> None:
    """API keys: who may ask a server. Servers read them again while they run.

    \b
    Examples:
      starrec keys add shop
      starrec keys list --run runs/mine
      starrec keys revoke shop --run runs/mine
    """


@keys.command("add")
def add_key(name: KeyNameArgument, run: ServedRunOption = DEMO, key_file: KeyFileOption = None) -> None:
    """Make a key and print it, once: only its hash is kept.

    \b
    Examples:
      starrec keys add shop --run runs/mine
    """
    print(_keys(run, key_file).add(name))


@keys.command("list")
def list_keys(run: ServedRunOption = DEMO, key_file: KeyFileOption = None) -> None:
    """Who has a key, and since when.

    \b
    Examples:
      starrec keys list --run runs/mine
    """
    for key in _keys(run, key_file).all():
        print(f"{key.made}  {key.name}")


@keys.command("revoke")
def revoke_key(name: KeyNameArgument, run: ServedRunOption = DEMO, key_file: KeyFileOption = None) -> None:
    """Take a key away; it opens nothing from now on.

    \b
    Examples:
      starrec keys revoke shop --run runs/mine
    """
    _keys(run, key_file).revoke(name)


@events.callback()
def _events_group() -> None:
    """What users took since the run was fitted, as a server stored it.

    \b
    Examples:
      starrec events feed --run runs/mine
      starrec events forget "user 42" --run runs/mine
    """


@events.command("feed")
def feed_events(run: ServedRunOption = DEMO) -> None:
    """Count new events in the evidence, and take deleted users out of it: for a timer.

    \b
    Examples:
      starrec events feed --run runs/mine
    """
    from starrec.server.feeding import feed
    from starrec.store import Versions, evidence_folder

    done = feed(_events(run), Versions(evidence_folder(run)))
    removed = f", {len(done.removed)} deleted users taken out" if done.removed else ""
    announce(
        Console(stderr=True),
        f"evidence: {done.events:,} new events, {done.added:,} of them new interactions{removed}; "
        f"{done.version}",
    )


@events.command("forget")
def forget_user(
    user: Annotated[str, typer.Argument(metavar="USER", help="Id of a user.")], run: ServedRunOption = DEMO
) -> None:
    """Delete a user's events; the next `feed` takes her out of the evidence.

    Weights of the student and stored trajectories are not unlearned.

    \b
    Examples:
      starrec events forget "user 42" --run runs/mine
    """
    _, count = _events(run).forget(user)
    announce(Console(stderr=True), f"deleted {count:,} events; `starrec events feed --run {run}` does the rest")


def _keys(run: Path, key_file: Path | None) -> Keys:
    from starrec.server.keys import FILE, Keys

    return Keys(key_file or run / FILE)


def _events(run: Path) -> Events:
    from starrec.server.events import Events

    return Events.of_run(run, _config(run).events_url)


def _config(run: Path) -> ServingConfig:
    from starrec.pipeline.config import recorded_config
    from starrec.pipeline.serving_config import ServingConfig

    recorded = recorded_config(run)
    return recorded.serving if recorded is not None else ServingConfig()
