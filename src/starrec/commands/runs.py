"""`starrec runs`: which runs there are, what they hold, and what of it may go.

Nothing else deletes anything of a run. What a command needs is imported when it runs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from starrec.commands.options import DEMO
from starrec.errors import RunError, StarrecError
from starrec.terminal import output, text

if TYPE_CHECKING:
    from starrec.runs import Product

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
RunFolderOption = Annotated[Path, typer.Option("--run", metavar="FOLDER", help="Run folder that is meant.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead.", show_default=False)]
_SHOWN: Final = 6


@app.callback()
def runs() -> None:
    """See what runs hold, and clean up. Nothing but `clean` ever deletes anything of a run.

    \b
    Examples:
      starrec runs list
      starrec runs show --run runs/mine
      starrec runs clean --run runs/mine
    """


@app.command("list")
def list_(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the runs are.")] = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """List the runs in a folder: which steps are done, how large each is.

    \b
    Examples:
      starrec runs list
      starrec runs list experiments --json
    """
    from rich.table import Table

    from starrec.runs import STEPS, current_product, is_run

    found = sorted(path for path in folder.iterdir() if is_run(path)) if folder.is_dir() else []
    if is_run(folder):
        found = [folder]
    if not found:
        raise StarrecError(f"There is no run in {folder}. Make one with `starrec run`, or name another folder.")
    rows: list[dict[str, Any]] = [
        {
            "run": str(path),
            "done": [step for step in STEPS if current_product(path, step)],
            "bytes": _size(path),
        }
        for path in found
    ]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("run", "done", "size"):
        table.add_column(column, justify="right" if column == "size" else "left")
    for row in rows:
        table.add_row(text(row["run"]), text(", ".join(row["done"]) or "nothing"), _readable(row["bytes"]))
    output().print(table)


@app.command()
def show(run: RunFolderOption = DEMO, as_json: JsonOption = False) -> None:
    """Show the products of a run: those that its last call used, and older ones that other settings or data
    made, with what differs.

    \b
    Examples:
      starrec runs show
      starrec runs show --run runs/mine --json
    """
    from rich.table import Table

    from starrec.runs import made

    rows: list[dict[str, Any]] = [
        {
            "step": product.step,
            "fingerprint": product.fingerprint,
            "current": current,
            "done": product.done,
            "made": made(product),
            "bytes": _size(product.folder),
            "differs": _difference(product, found),
        }
        for found in (_products(run),)
        for product, current in found
    ]
    stored = _trajectories(run)
    if as_json:
        print(json.dumps({"products": rows, "trajectories": stored}, ensure_ascii=False, indent=1))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("step", "product", "", "made", "size", "differs from the current one in"):
        table.add_column(column, justify="right" if column == "size" else "left")
    for row in rows:
        state = "current" if row["current"] and row["done"] else "not complete" if not row["done"] else "older"
        table.add_row(
            row["step"],
            row["fingerprint"],
            state,
            row["made"].replace("T", " ").removesuffix("+00:00"),
            _readable(row["bytes"]),
            text(", ".join(row["differs"][:_SHOWN])),
        )
    output().print(table)
    if stored:
        output().print(
            text(f"trajectories: {stored['runs']:,} runs and {stored['failures']:,} failures of ")
            .append(f"{stored['teachers']:,} teacher{'' if stored['teachers'] == 1 else 's'}, ")
            .append(f"{_readable(stored['bytes'])}")
        )


@app.command()
def clean(
    run: RunFolderOption = DEMO,
    everything: Annotated[
        bool,
        typer.Option("--everything", help="The whole run, trajectories too.", show_default=False),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", show_default=False)] = False,
) -> None:
    """Delete the products of a run that its last call did not use. Trajectories stay, whoever made them.

    It says what would go and how much that is, and asks.

    \b
    Examples:
      starrec runs clean --run runs/mine
      starrec runs clean --run runs/mine --yes
      starrec runs clean --run runs/old --everything
    """
    from starrec.runs import Run

    found = _products(run)
    with Run.open(run, (run / "config.toml").read_text(encoding="utf-8")):
        chosen = [run] if everything else [product.folder for product, current in found if not current]
        if not chosen:
            output().print(text(f"{run} holds nothing that its last call did not use."))
            return
        for path in chosen:
            output().print(text(f"{path}  {_readable(_size(path))}"))
        stored = _trajectories(run)
        if everything and stored:
            output().print(text(f"with {stored['runs']:,} trajectories, which would have to be made again"))
        total = _readable(sum(map(_size, chosen)))
        if not yes and not typer.confirm(f"Delete {total}?"):
            raise typer.Exit(1)
        for path in chosen:
            shutil.rmtree(path)
    output().print(text(f"deleted {total}"))


def _products(run: Path) -> list[tuple[Product, bool]]:
    from starrec.runs import current_product, is_run, products

    if not is_run(run):
        current_product(run, "data")  # raises for a folder that is something else
        raise RunError(f"There is no run in {run}. Make one with `starrec run --run {run}`.")
    return products(run)


def _difference(product: Product, found: list[tuple[Product, bool]]) -> list[str]:
    """Keys of the inputs in which a product differs from the one that the last call used."""
    current = next((other for other, used in found if used and other.step == product.step), None)
    if current is None or current.fingerprint == product.fingerprint:
        return []
    mine, its = _flat(product.inputs), _flat(current.inputs)
    return sorted(key for key in mine.keys() | its.keys() if mine.get(key) != its.get(key))


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _trajectories(run: Path) -> dict[str, int]:
    """What the store of the run holds, of all teachers."""
    from starrec.trajectories import STORE, count_all

    path = run / STORE
    return {**count_all(path), "bytes": _size(path)} if path.is_file() else {}


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(inside.stat().st_size for inside in path.rglob("*") if inside.is_file())


def _readable(size: int) -> str:
    return f"{size / 1e3:,.1f} kB" if size < 1e6 else f"{size / 1e6:,.1f} MB"
