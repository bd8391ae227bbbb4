"""`starrec signals`: count the graph of a run, and keep, update, look into and share its evidence.

What a command needs is imported when it runs.
"""

from __future__ import annotations

import time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from starrec.commands.opening import counting_bars, data_settings, open_pipeline, recorded_section
from starrec.commands.options import (
    DEMO,
    GRACE,
    ConfigOption,
    GraceOption,
    RunOption,
    UpdateDataOption,
    data_options,
    file_options,
    run_folder,
)
from starrec.errors import StarrecError
from starrec.terminal import announce, progress, show_inventory, show_item_summary, show_signals

if TYPE_CHECKING:
    from starrec.store import StoredCounts

app = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class EngineChoice(StrEnum):
    """Where blocks of neighbours are counted."""

    threads = "threads"
    processes = "processes"
    ray = "ray"


FinishedRunOption = Annotated[
    Path, typer.Option("--run", metavar="FOLDER", help="Run folder whose evidence is meant.")
]
RedisOption = Annotated[
    str, typer.Option("--redis", metavar="URL", help="Redis, such as redis://localhost:6379/0.")
]
PrefixOption = Annotated[str, typer.Option("--prefix", metavar="NAME", help="Prefix of all keys in Redis.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.", show_default=False)]


@app.callback()
def signals(
    context: typer.Context,
    config: ConfigOption = None,
    run: RunOption = None,
    update_data: UpdateDataOption = False,
) -> None:
    """Build the interaction graph and say some of what it holds. Its commands keep evidence for answering.

    \b
    Examples:
      starrec signals --config configs/demo.toml
      starrec signals --run runs/mine
      starrec signals build --run runs/mine
      starrec signals show "Fargo (1996)" --run runs/mine
    """
    if context.invoked_subcommand is not None:
        if config or run or update_data:
            raise StarrecError(
                f"Options go after the command: starrec signals {context.invoked_subcommand} --run FOLDER."
            )
        return
    with open_pipeline(run_folder(config, run), config, update_data) as pipeline:
        prepared = pipeline.signals()
    show_signals(prepared)


@app.command()
@data_options
def build(
    config: ConfigOption = None,
    run: RunOption = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Count anew also where that was done, and without what updates added.",
            show_default=False,
        ),
    ] = False,
    update_data: UpdateDataOption = False,
    engine: Annotated[
        EngineChoice, typer.Option("--engine", help="Where neighbours are counted.")
    ] = EngineChoice.threads,
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="HOST:PORT", help="Of a Ray cluster.", show_default=False),
    ] = None,
    grace: GraceOption = GRACE,
    *,
    overrides: dict[str, Any],
) -> None:
    """Count all interactions of a run and keep them as evidence, for answering.

    Readers go on with the version before; nothing is lost if this is stopped.

    \b
    Examples:
      starrec signals build --run runs/demo
      starrec signals build --interactions my.csv --items my_items.csv
      starrec signals build --run runs/mine --engine ray --address auto
    """
    with open_pipeline(
        run_folder(config, run, overrides.get("interactions")), config, update_data, overrides
    ) as pipeline:
        pipeline.build_store(engine.value, address, fresh=fresh, grace=grace)


@app.command()
@file_options
def update(
    interactions: Annotated[
        Path, typer.Option("--interactions", metavar="FILE", help="New interactions, in any known format.")
    ],
    run: FinishedRunOption = DEMO,
    items: Annotated[
        Path | None,
        typer.Option(
            "--items", metavar="FILE", help="Items that the evidence does not know yet.", show_default=False
        ),
    ] = None,
    grace: GraceOption = GRACE,
    *,
    overrides: dict[str, Any],
) -> None:
    """Add new interactions to the evidence: what they touch is counted anew, as a full build would.

    Interactions that are known already change nothing. The run itself, and what was measured on it, stay as
    they are.

    \b
    Examples:
      starrec signals update --run runs/mine --interactions new.csv
      starrec signals update --run runs/mine --interactions new.csv --items new_items.csv
    """
    from starrec.pipeline.additions import add_interactions

    with progress() as shown, counting_bars(shown) as bar:
        # The run's own settings of files, and the flags over them.
        options = data_settings(run, overrides)
        add_interactions(
            run, interactions, items, options, grace=grace, announce=partial(announce, shown.console), bar=bar
        )


@app.command()
def show(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="A title, or an item's id.")],
    run: FinishedRunOption = DEMO,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="Facts of a kind.")] = 5,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Also facts about fewer people than `[signals] support`: for you as operator.",
            show_default=False,
        ),
    ] = False,
    redis: Annotated[
        str | None,
        typer.Option("--redis", metavar="URL", help="Read a Redis instead.", show_default=False),
    ] = None,
    prefix: PrefixOption = "starrec",
    as_json: JsonOption = False,
) -> None:
    """Say what the evidence knows of an item: who takes it, with what, before what, and against what.

    \b
    Examples:
      starrec signals show "Fargo (1996)"
      starrec signals show fargo --run runs/mine --top 10 --all
      starrec signals show "Fargo (1996)" --redis redis://localhost:6379/0
    """
    from starrec.data import Titles, display_titles
    from starrec.signals import Graph, SignalsConfig
    from starrec.signals.item_summary import item_summary

    source = _source(run, redis, prefix)
    titles = display_titles(source.catalogue)
    item_ids = source.catalogue["item_id"].to_list()
    support = 0 if everything else recorded_section(run, "signals", SignalsConfig).support
    found = item_summary(Graph(source), Titles(titles, item_ids).match(item), top=top, support=support)
    show_item_summary(found, titles, item_ids, support, as_json=as_json)


@app.command()
def stats(run: FinishedRunOption = DEMO, as_json: JsonOption = False) -> None:
    """Count what the evidence holds: sizes, quantiles and versions.

    \b
    Examples:
      starrec signals stats --run runs/mine
      starrec signals stats --json
    """
    from starrec.store import evidence_folder
    from starrec.store.inventory import inventory

    show_inventory(inventory(evidence_folder(run)), as_json=as_json)


@app.command()
def push(
    redis: RedisOption,
    run: FinishedRunOption = DEMO,
    prefix: PrefixOption = "starrec",
    grace: GraceOption = GRACE,
) -> None:
    """Put the evidence into a Redis, for several servers. What was stopped goes on where it was.

    \b
    Examples:
      starrec signals push --redis redis://localhost:6379/0
      starrec signals push --run runs/mine --redis rediss://user:password@cache:6380/0 --prefix shop
    """
    from starrec.store import LmdbStore, evidence_folder
    from starrec.store.redis_store import push as upload

    source = LmdbStore.open(evidence_folder(run))
    started = time.monotonic()
    with progress() as shown:
        with counting_bars(shown) as bar:
            name = upload(source, redis, prefix=prefix, grace=grace, bar=bar)
        announce(
            shown.console,
            f"evidence: {source.version} is {prefix}:{name} there, {source.count:,} records, in "
            f"{time.monotonic() - started:.1f} s",
        )


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _source(run: Path, redis: str | None, prefix: str) -> StoredCounts:
    if redis is not None:
        from starrec.store.redis_store import RedisStore

        return RedisStore(redis, prefix=prefix)
    from starrec.store import LmdbStore, evidence_folder

    return LmdbStore.open(evidence_folder(run))
