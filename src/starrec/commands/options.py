"""The options that commands share, and the run folder and keys of `[data]` that they stand for."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, cast

import typer

from starrec.errors import StarrecError

F = TypeVar("F", bound=Callable[..., Any])

_RUNS: Final = Path("runs")
DEMO: Final = _RUNS / "demo"
"""The run of commands that name none."""
GRACE: Final = 600.0
"""Seconds that the version of the evidence before stays."""


class TimeUnitChoice(StrEnum):
    """`[data] time_unit`"""

    seconds = "seconds"
    milliseconds = "milliseconds"
    microseconds = "microseconds"
    nanoseconds = "nanoseconds"


class SplitChoice(StrEnum):
    """`[data] split`"""

    leave_one_out = "leave-one-out"
    global_time = "global-time"


class RepeatsChoice(StrEnum):
    """`[data] repeats`"""

    first = "first"
    last = "last"


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration (TOML). Left out: the run folder's own, or the defaults.",
        show_default=False,
    ),
]
RunOption = Annotated[
    Path | None,
    typer.Option(
        "--run",
        metavar="FOLDER",
        help="Run folder. Left out: runs/NAME after --config or --interactions, else runs/demo.",
        show_default=False,
    ),
]
UpdateDataOption = Annotated[
    bool,
    typer.Option(
        "--update-data",
        help="Take in your files as they are now, where they changed since the run read them.",
        show_default=False,
    ),
]

GraceOption = Annotated[
    float,
    typer.Option(
        "--grace", min=0, metavar="SECONDS", help="How long the version before stays for its readers."
    ),
]


def _option(*names: str, metavar: str | None = None, help: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=help, show_default=False)


_INTERACTIONS_HELP: Final = (
    "Your interactions: user_id, item_id, timestamp or position, rating if any. CSV, TSV, JSON Lines (or .gz) "
    "or Parquet; the content decides, not the suffix."
)
InteractionsOption = Annotated[Path | None, _option("--interactions", metavar="FILE", help=_INTERACTIONS_HELP)]
ItemsOption = Annotated[
    Path | None,
    _option(
        "--items", metavar="FILE", help="Your items: item_id, title, and categories (a|b) and year if any."
    ),
]
UsersOption = Annotated[
    Path | None, _option("--users", metavar="FILE", help="Your users' attributes; optional.")
]
ColumnOption = Annotated[
    list[str] | None,
    _option(
        "--column",
        metavar="NAME=COLUMN",
        help="What a column is called in your files, such as timestamp=when; in one of them, such as "
        "items.item_id=id. Repeatable.",
    ),
]
DelimiterOption = Annotated[
    str | None,
    _option(
        "--delimiter", metavar="TEXT", help="What separates columns in your files, such as ';', '\\t' or '::'."
    ),
]
QuoteOption = Annotated[
    str | None,
    _option("--quote", metavar="CHARACTER", help='What quotes fields; "" for none, the default of TSV.'),
]
EncodingOption = Annotated[
    str | None, _option("--encoding", metavar="NAME", help="Encoding of your files, such as latin-1.")
]
HeaderOption = Annotated[
    bool | None,
    _option(
        "--header/--no-header",
        help="Whether files begin with the columns' names; else they are called 1, 2, ... or as --names says.",
    ),
]
NamesOption = Annotated[
    list[str] | None,
    _option(
        "--names",
        metavar="FILE=NAME,NAME",
        help="Columns of a file without a header, such as interactions=user_id,item_id,rating,timestamp.",
    ),
]
TimeUnitOption = Annotated[
    TimeUnitChoice | None,
    _option("--time-unit", help="Unit of numeric timestamps; left out, it is recognised, and reported."),
]
RepeatsOption = Annotated[
    RepeatsChoice | None,
    _option("--repeats", help="Which counts where a user has the same item several times: first."),
]
MinRatingOption = Annotated[
    float | None,
    _option("--min-rating", metavar="NUMBER", help="Interactions rated lower do not count as taken."),
]
SplitOption = Annotated[
    SplitChoice | None,
    _option(
        "--split",
        help="What is held out: each user's last items, or what all users took after two moments in time.",
    ),
]
SplitColumnOption = Annotated[
    str | None,
    _option(
        "--split-column", metavar="COLUMN", help="Your own split: a column that says train, validation or test."
    ),
]
ValidationInteractionsOption = Annotated[
    Path | None,
    _option(
        "--validation-interactions",
        metavar="FILE",
        help="Your own split as files: --interactions is the training part.",
    ),
]
TestInteractionsOption = Annotated[
    Path | None,
    _option("--test-interactions", metavar="FILE", help="Your own split as files: the test part."),
]
CategorySeparatorOption = Annotated[
    str | None,
    _option("--category-separator", metavar="TEXT", help="What separates categories within a cell: |."),
]
SkipOption = Annotated[
    bool | None,
    _option(
        "--skip-bad-rows/--refuse-bad-rows",
        help="Leave out rows that cannot be used, and count them, instead of refusing the file.",
    ),
]
LocalOption = Annotated[
    Path | None,
    _option(
        "--local",
        metavar="PATH",
        help="A local copy of MovieLens-100K (folder or zip), instead of fetching it.",
    ),
]


def run_folder(config: Path | None, run: Path | None, interactions: Path | None = None) -> Path:
    """The run folder that was named, or the one that a configuration's or a data file's name stands for."""
    if run is not None:
        return run
    named = config or interactions
    return DEMO if named is None else _RUNS / named.name.split(".")[0]


def file_overrides(
    column: ColumnOption = None,
    delimiter: DelimiterOption = None,
    quote: QuoteOption = None,
    encoding: EncodingOption = None,
    header: HeaderOption = None,
    names: NamesOption = None,
    time_unit: TimeUnitOption = None,
    min_rating: MinRatingOption = None,
    category_separator: CategorySeparatorOption = None,
    skip_bad_rows: SkipOption = None,
) -> dict[str, Any]:
    """The keys of `[data]` that say how files are read, as set on the command line."""
    set_keys: dict[str, Any] = {
        # A tab is hard to type, and `\t` is what people type.
        "delimiter": None if delimiter is None else delimiter.replace("\\t", "\t"),
        "quote": quote,
        "encoding": encoding,
        "header": header,
        "time_unit": None if time_unit is None else time_unit.value,
        "min_rating": min_rating,
        "category_separator": category_separator,
        "skip_bad_rows": skip_bad_rows,
        "columns": column_map(column) if column else None,
        "names": _field_names(names) if names else None,
    }
    return {key: value for key, value in set_keys.items() if value is not None}


def data_overrides(
    interactions: InteractionsOption = None,
    items: ItemsOption = None,
    users: UsersOption = None,
    validation_interactions: ValidationInteractionsOption = None,
    test_interactions: TestInteractionsOption = None,
    split: SplitOption = None,
    split_column: SplitColumnOption = None,
    repeats: RepeatsOption = None,
    local: LocalOption = None,
    **how: Any,
) -> dict[str, Any]:
    """The keys of `[data]` that were set on the command line; the rest are those of `file_overrides`."""
    if (interactions is None) != (items is None):
        given, missing = ("--items", "--interactions") if items else ("--interactions", "--items")
        raise StarrecError(f"{given} needs {missing}: your own data are both, interactions and items.")
    if interactions and local:
        raise StarrecError("--local is a copy of MovieLens-100K; with --interactions there is no use for it.")
    set_keys: dict[str, Any] = {
        "source": "tables" if interactions else None,
        "interactions": interactions,
        "items": items,
        "users": users,
        "validation_interactions": validation_interactions,
        "test_interactions": test_interactions,
        "split": None if split is None else split.value,
        "split_column": split_column,
        "repeats": None if repeats is None else repeats.value,
        "local": local,
    }
    return {key: value for key, value in set_keys.items() if value is not None} | file_overrides(**how)


def options_of(*makers: Callable[..., dict[str, Any]]) -> Callable[[F], F]:
    """Gives a command the options of these functions; what they make of them is its argument `overrides`."""

    def decorate(command: F) -> F:
        own = inspect.signature(command, eval_str=True)
        parameters = [each for each in own.parameters.values() if each.name != "overrides"]
        added = [
            each
            for maker in makers
            for each in inspect.signature(maker, eval_str=True).parameters.values()
            if each.kind is not inspect.Parameter.VAR_KEYWORD
        ]

        @functools.wraps(command)
        def wrapped(**arguments: Any) -> Any:
            given = {each.name: arguments.pop(each.name) for each in added}
            return command(**arguments, overrides=makers[0](**given))

        signature = own.replace(parameters=[*parameters, *added])
        wrapped.__signature__ = signature  # type: ignore[attr-defined]
        wrapped.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
        return cast(F, wrapped)

    return decorate


data_options = options_of(data_overrides, file_overrides)
"""A command that may begin with a user's own files."""
file_options = options_of(file_overrides)
"""A command that reads files for a run that has its data."""


def column_map(given: Sequence[str]) -> dict[str, str]:
    """`--column` options as keys of `ColumnMap.updated`."""
    from starrec.data import COLUMN_KEYS

    mapped = {}
    for pair in given:
        key, equals, column = pair.partition("=")
        if key not in COLUMN_KEYS or not column.strip():
            close = difflib.get_close_matches(key, COLUMN_KEYS, n=1)
            hint = f" Did you mean {close[0]}?" if equals and close and close[0] != key else ""
            plain = ", ".join(name for name in COLUMN_KEYS if "." not in name)
            raise StarrecError(
                f"--column {pair!r} is not of the form NAME=COLUMN or FILE.NAME=COLUMN, with NAME one of "
                f"{plain}, and FILE interactions, items or users.{hint}"
            )
        mapped[key] = column.strip()
    return mapped


def _field_names(given: Sequence[str]) -> dict[str, list[str]]:
    from starrec.data import FieldNames

    found = {}
    for pair in given:
        role, _, names = pair.partition("=")
        listed = [name.strip() for name in names.split(",")]
        if role not in FieldNames.model_fields or not all(listed):
            raise StarrecError(
                f"--names {pair!r} is not of the form FILE=NAME,NAME with FILE one of "
                f"{', '.join(FieldNames.model_fields)}, such as items=item_id,title,categories."
            )
        found[role] = listed
    return found
