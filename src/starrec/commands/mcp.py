"""`starrec mcp`: a run as tools for any agent, by the Model Context Protocol.

What a command needs is imported when it runs.
"""

from __future__ import annotations

import signal
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from starrec.commands.options import DEMO
from starrec.commands.recommend import RunOption, SystemOption
from starrec.terminal import announce


class CountsChoice(StrEnum):
    """What `--counts` takes."""

    all = "all"
    train = "train"


def mcp(
    run: RunOption = DEMO,
    counts: Annotated[
        CountsChoice,
        typer.Option("--counts", help="Count all interactions, or those alone that the evaluation asked."),
    ] = CountsChoice.all,
    system: SystemOption = None,
    http: Annotated[
        int | None,
        typer.Option(
            "--http",
            metavar="PORT",
            min=0,
            max=65535,
            help="Over HTTP on this machine instead, at /mcp; 0 for any port that is free.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Offer a run to agents as an MCP server over stdio: rank, recommend, similar, items, and the CST tools.

    An agent starts it by itself: give it this command. It answers as of its start; start it again for a new
    student or new counts. docs/mcp.md has the tools and the configuration of agents.

    \b
    Examples:
      starrec mcp --run runs/demo
      starrec mcp --run runs/mine --counts train
      starrec mcp --run runs/mine --http 8765
    """
    import anyio

    from starrec.recommender import load
    from starrec.server.mcp import PATH, answer_stdio, mcp_server

    server = mcp_server(load(run, counts=counts.value, system=system))
    tell = partial(announce, Console(stderr=True))
    if http is None:
        tell(f"answering for {run} on stdio")
        # Ctrl+C ends it at once: nothing is to be ended well, and a thread that reads would wait for its input.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        anyio.run(answer_stdio, server)
        return
    from starrec.server.listening import base_url, listen, serve

    with listen("127.0.0.1", http) as listening:
        tell(f"answering for {run} at {base_url(listening).removesuffix('/v1')}{PATH} (Ctrl+C stops it)")
        # Loopback names alone are let in by the SDK (Host, Origin); a call needs nothing of those before it.
        serve(server.streamable_http_app(streamable_http_path=PATH, stateless_http=True), listening)
