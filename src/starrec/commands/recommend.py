"""`starrec recommend`, `similar` and `recommend-all`: what a finished run answers.

What a command needs is imported when it runs. On the command line a name is a title first, as people type
them; only what is no title is read as an id.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from starrec.commands.options import DEMO
from starrec.errors import StarrecError
from starrec.terminal import output, progress, text

if TYPE_CHECKING:
    from starrec.recommender import Recommendations, Recommender

_LATEST: Final = 5
"""Items of a history that are shown."""

RunOption = Annotated[Path, typer.Option("--run", metavar="FOLDER", help="Folder of a finished run.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="KEY=VALUE",
        help="Only items with this: categories=Comedy, year=1996 or year=1990..1999. Repeat to narrow.",
        show_default=False,
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="TITLE", help="Leave this item out. Repeat for more.", show_default=False
    ),
]
SystemOption = Annotated[
    str | None,
    typer.Option(
        "--system",
        metavar="NAME",
        help="What ranks: star, teacher or a tool such as item_cf. Default: what ranked validation best.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.", show_default=False)]


def recommend(
    history: Annotated[
        list[str] | None,
        typer.Option(
            "--history",
            metavar="TITLE",
            help="What the person took, oldest first. Repeat for each item.",
            show_default=False,
        ),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="A user of the data.", show_default=False)
    ] = None,
    candidates: Annotated[
        Path | None,
        typer.Option(
            "--candidates",
            metavar="FILE",
            help="Rank these alone: a text file with an item's id or title a line.",
            show_default=False,
        ),
    ] = None,
    run: RunOption = DEMO,
    top: Annotated[int, typer.Option("--top", metavar="N", help="How many items to recommend.")] = 10,
    where: WhereOption = None,
    exclude: ExcludeOption = None,
    system: SystemOption = None,
    think: Annotated[
        bool,
        typer.Option(
            "--think",
            help="Think aloud: who asked what, what came back, and what decided.",
            show_default=False,
        ),
    ] = False,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="With --think: the trace in linear form.", show_default=False),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Recommend items for anyone's history or for a user of the data, each with its reason.

    \b
    Examples:
      starrec recommend --run runs/demo --history "Star Wars" --history "Fargo" --top 10
      starrec recommend --run runs/demo --user 42
      starrec recommend --run runs/demo
      starrec recommend --run runs/demo --history "Star Wars" --where categories=Comedy --where year=1990..1999
      starrec recommend --run runs/demo --user 42 --candidates shelf.txt
      starrec recommend --run runs/demo --history "Star Wars" --think
      starrec recommend --run runs/demo --history "Star Wars" --think --raw
      starrec recommend --run runs/mine --history "Blue mug" --json
    """
    if raw and not think:
        raise StarrecError("--raw shows what was thought. Give --think with it.")
    if candidates is not None and (think or where or exclude):
        raise StarrecError(
            "--candidates ranks what the file names. Give it without --think, --where, --exclude."
        )
    model = _load(run, system)
    # Who says nothing of herself is answered by popularity.
    taken = None if history is None and user is not None else [_id(model, title) for title in history or ()]
    if candidates is not None:
        answer = model.rank(_lines(candidates), user=user, history=taken, reasons=True)
    else:
        left_out = [_id(model, title) for title in exclude or ()]
        answer = model.recommend(user, taken, top, where=_where(where), exclude=left_out, think=think)
    _show(answer, user, served=model.why_served, as_json=as_json, raw=raw)


def similar(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="A title, or an item's id.")],
    run: RunOption = DEMO,
    top: Annotated[int, typer.Option("--top", metavar="N", help="How many items.")] = 10,
    where: WhereOption = None,
    exclude: ExcludeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the items that the same people take, those of like description below them.

    \b
    Examples:
      starrec similar "Fargo (1996)" --run runs/demo
      starrec similar fargo --where year=1990..1999 --top 20 --json
    """
    model = _load(run, None)
    left_out = [_id(model, title) for title in exclude or ()]
    answer = model.similar(_id(model, item), top, where=_where(where), exclude=left_out)
    _show(answer, None, as_json=as_json)


def recommend_all(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Parquet file to write.")],
    run: RunOption = DEMO,
    top: Annotated[int, typer.Option("--top", metavar="N", help="How many items for each user.")] = 10,
    where: WhereOption = None,
    exclude: ExcludeOption = None,
) -> None:
    """Recommend items for every user of the data, in batches, to a file.

    \b
    Examples:
      starrec recommend-all --run runs/demo --out recs.parquet
      starrec recommend-all --run runs/mine --top 20 --where categories=Books --out recs.parquet
    """
    model = _load(run, None)
    left_out = [_id(model, title) for title in exclude or ()]
    with progress() as shown:
        bar = shown.add_task("users", total=len(model.serving.user_ids))
        table = model.recommend_all(
            top,
            where=_where(where),
            exclude=left_out,
            out=out,
            advance=lambda users: shown.advance(bar, users),
        )
    users = table["user_id"].n_unique()
    print(f"{out}: {table.height:,} recommendations for {users:,} users")


def _load(run: Path, system: str | None) -> Recommender:
    from starrec.recommender import load

    return load(run, system=system)


def _id(model: Recommender, title: str) -> str:
    return model.serving.catalogue.item_ids[model.requests.titles.match(title)]


def _where(given: list[str] | None) -> dict[str, Any]:
    """`--where` as the API takes it."""
    found: dict[str, Any] = {}
    for each in given or ():
        key, equals, value = each.partition("=")
        if not equals or not value:
            raise StarrecError(f"--where takes KEY=VALUE, such as categories=Comedy, not {each!r}.")
        if key == "year":
            ends = value.split("..")
            if not 1 <= len(ends) <= 2 or not all(end.strip().isdecimal() for end in ends):
                raise StarrecError(f"--where year takes a year or FIRST..LAST, not {value!r}.")
            found[key] = (int(ends[0]), int(ends[-1]))
        else:
            found.setdefault(key, []).append(value)
    return found


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise StarrecError(f"{path} cannot be read as a text file ({error}).") from error


def _show(
    answer: Recommendations, user: str | None, *, served: str = "", as_json: bool, raw: bool = False
) -> None:
    """Rows with their reasons; before them what was thought.

    Args:
        user: whose own history it is, for a line of its own.
        served: another system than the student serves; empty where the student does.
        raw: the trace in linear form, not as entries for people.
    """
    from starrec.data import plain
    from starrec.teacher import readable

    thought = answer.thought
    entries = readable(thought.elements) if thought is not None else ()
    if as_json:
        content = {
            "user": user,
            "history": [item.title for item in answer.history],
            "system": answer.system,
            "recommendations": [asdict(row) for row in answer],
            "notes": list(answer.notes),
            "readable": [
                {"who": entry.who, "text": plain(entry.text), "lines": [plain(line) for line in entry.lines]}
                for entry in entries
            ],
            "trace": [
                {"kind": step.tag, "text": plain(step.text)} for step in (thought.steps if thought else ())
            ],
            "repairs": list(thought.repairs if thought else ()),
        }
        print(json.dumps(content, ensure_ascii=False, indent=1))
        return
    from rich.table import Table

    console = output()
    latest = [item.title for item in answer.history[-_LATEST:]]
    others = len(answer.history) - len(latest)
    more = f"{others:,} other{'s' if others > 1 else ''} and " if others else ""
    whose = f"User {user}, after {more}" if user is not None else f"After {more}"
    console.print(text(whose).append(text(", ".join(latest) or "nothing", "bold")))
    for note in (*answer.notes, served):
        if note:
            console.print(text(note, "dim"))
    if thought is not None:
        from starrec.evaluation import trace_table

        console.print()
        console.print(text(thought.text) if raw else trace_table(entries), soft_wrap=raw)
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("recommendation", style="bold")
    table.add_column("because")
    for row in answer:
        why = row.reason
        table.add_row(str(row.rank), text(row.title), text(why.text if why else "Nothing is known of it."))
        if why:
            table.add_row("", "", text(why.counts, "dim"))
    console.print()
    console.print(table)
    for repair in thought.repairs if thought else ():
        console.print(text(f"repaired: {repair}", "dim"))
