"""The command line: thin commands around the pipeline. Their options are `commands.options`; how they speak,
and how they end, is `terminal`.

What a command needs is imported when it runs: `starrec --help` must not wait for a tensor library.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from starrec.commands import (
    bench,
    exporting,
    llm,
    mcp,
    recommend,
    refreshing,
    report,
    runs,
    serving,
    signals,
    trajectories,
)
from starrec.commands.opening import open_pipeline
from starrec.commands.options import (
    ConfigOption,
    RunOption,
    UpdateDataOption,
    data_options,
    run_folder,
)
from starrec.errors import StarrecError
from starrec.terminal import Commands, show_next_steps, show_results
from starrec.version import __version__
from starrec.watching import show_estimate, watching

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"starrec {__version__}")
        raise typer.Exit


@app.callback()
def _starrec(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A recommender that reasons like a team of agents and answers like a single model (STAR).

    From raw interactions to a distilled recommender: `starrec run`. Then `starrec recommend`.
    """


@app.command()
@data_options
def run(
    config: ConfigOption = None,
    run: RunOption = None,
    update_data: UpdateDataOption = False,
    *,
    overrides: dict[str, Any],
) -> None:
    """The whole pipeline: data, signals, teach, distill, evaluate, and a report.

    What is done already is skipped; a command that was stopped, or killed, goes on where it was. Any setting
    may change: what depends on it is made anew beside what is there, and `starrec runs` shows and cleans.

    \b
    Examples:
      starrec run --config configs/demo.toml
      starrec run --interactions my.csv --items my_items.csv
      starrec run --interactions log.parquet --items goods.jsonl --run runs/shop
      starrec run --interactions my.csv --items my_items.csv --column timestamp=when
    """
    folder = run_folder(config, run, overrides.get("interactions"))
    with open_pipeline(folder, config, update_data, overrides) as pipeline:
        results = pipeline.run()
    show_results(results, example=True)
    examples = results["worked_examples"]
    show_next_steps(folder, examples[0]["history"][-2:] if examples else ["A title"])


@app.command()
@data_options
def data(
    config: ConfigOption = None,
    run: RunOption = None,
    update_data: UpdateDataOption = False,
    *,
    overrides: dict[str, Any],
) -> None:
    """Read and check the interactions and items.

    \b
    Examples:
      starrec data --config configs/demo.toml
      starrec data --config configs/demo.toml --local ~/Downloads/ml-100k.zip
      starrec data --interactions my.csv --items my_items.csv --delimiter ';' --skip-bad-rows
      starrec data --interactions log.csv --items goods.csv --column items.item_id=id --column title=name
      starrec data --interactions ratings.dat --items movies.dat --no-header --encoding latin-1 \\
        --names interactions=user_id,item_id,rating,timestamp --names items=item_id,title,categories
    """
    with open_pipeline(
        run_folder(config, run, overrides.get("interactions")), config, update_data, overrides
    ) as pipeline:
        pipeline.data()


app.add_typer(signals.app, name="signals")
app.add_typer(llm.app, name="llm")


@app.command()
def teach(
    config: ConfigOption = None,
    run: RunOption = None,
    update_data: UpdateDataOption = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Only estimate calls, tokens, time and money of what is left to do. Nothing is spent.",
            show_default=False,
        ),
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample", min=1, metavar="N", help="Tasks that --dry-run plays: 20.", show_default=False
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="AMOUNT",
            help="Stop when this command has spent so much, such as 5.00usd, 200000tokens or 30min. Runs under "
            "way are finished.",
            show_default=False,
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Try failed runs again. Those whose model could not be asked always are.",
            show_default=False,
        ),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Show how runs end while they do: rates, tokens and latency by agent, the last reflection.",
            show_default=False,
        ),
    ] = False,
) -> None:
    """Let the teacher reason over training tasks, and keep every run as a trajectory.

    What was stopped, or killed, goes on where it was. See `starrec trajectories` for what was thought.

    \b
    Examples:
      starrec teach --config configs/demo.toml
      starrec teach --run runs/mine --watch
      starrec teach --run runs/mine --dry-run --sample 50
      starrec teach --run runs/mine --budget 5.00usd
    """
    from starrec.pipeline import TeachOptions
    from starrec.teacher import Budget

    if sample is not None and not dry_run:
        raise StarrecError("--sample says how many tasks --dry-run plays. Give both, or neither.")
    if dry_run and (budget or retry_failed or watch):
        raise StarrecError("--dry-run only estimates: it goes without --budget, --retry-failed and --watch.")
    limit = Budget.parse(budget) if budget is not None else None
    with open_pipeline(run_folder(config, run), config, update_data) as pipeline:
        if dry_run:
            estimate = pipeline.estimate_teaching(20 if sample is None else sample)
        else:
            pipeline.teach(TeachOptions(limit, retry_failed, watching if watch else None))
    if dry_run:
        show_estimate(estimate)


app.add_typer(trajectories.app, name="trajectories")


@app.command()
def distill(config: ConfigOption = None, run: RunOption = None, update_data: UpdateDataOption = False) -> None:
    """Train the student on what the teacher did well (SFT), then by reward (GRPO).

    \b
    Examples:
      starrec distill --config configs/demo.toml
      starrec distill --run runs/mine
    """
    with open_pipeline(run_folder(config, run), config, update_data) as pipeline:
        pipeline.distill()


@app.command()
def evaluate(
    config: ConfigOption = None,
    run: RunOption = None,
    update_data: UpdateDataOption = False,
    recompute: Annotated[
        bool,
        typer.Option(
            "--recompute",
            help="Only compute results.json again from ranks.parquet; no model is asked.",
            show_default=False,
        ),
    ] = False,
) -> None:
    """Compare student, teacher and simple peers on the test tasks; write results.json and report.html.

    \b
    Examples:
      starrec evaluate --config configs/demo.toml
      starrec evaluate --run runs/demo --recompute
    """
    folder = run_folder(config, run)
    if recompute:
        from starrec.evaluation import recompute as compute_again

        if update_data:
            raise StarrecError("--recompute reads no data. Give it without --update-data.")
        results = compute_again(folder / "results" / "ranks.parquet", folder / "results.json")
    else:
        with open_pipeline(folder, config, update_data) as pipeline:
            results = pipeline.evaluate()
    show_results(results)


app.command()(report.report)
app.command()(bench.bench)
app.command()(refreshing.refresh)
app.command()(exporting.export)
app.add_typer(runs.app, name="runs")


app.command()(recommend.recommend)
app.command()(recommend.similar)
app.command("recommend-all")(recommend.recommend_all)
app.command()(serving.serve)
app.command()(mcp.mcp)
app.add_typer(serving.keys, name="keys")
app.add_typer(serving.events, name="events")


def main() -> None:
    """The `starrec` command."""
    # The libraries' own bars for saving and loading a small model would stand between ours.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # Threads that spin while they wait take the cores from whoever should let them go on: on two cores that
    # something else used as well, the smallest run took 319 s so, and 64 s with threads that sleep. Read when
    # torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    app(prog_name="starrec")
