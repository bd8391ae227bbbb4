"""Pairs of files as people have them, with what they mean: some valid by construction, some with faults put in.

`make(seed, folder)` writes an interactions and an items file in some format, encoding, dialect and wording, and
returns what a reader must find in them. `judge` reads them and says what went wrong. A valid pair must come
back as it was meant: ids, titles, years, categories, times to the nanosecond, order. Of a pair with faults
every row must be kept or reported, and each row that no fault touches must be kept.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import polars as pl

from starrec.data import ColumnMap, FieldNames, TableOptions, load_tables
from starrec.data.files import ReadLimits
from starrec.errors import DataError

VALID_SHARE: Final = 0.65
NANO: Final = 10**9
UNITS: Final = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_WORDS: Final = ("Fargo", "Dune", "Café", "Amélie", "Seven", "Up", "M", "Alien", "Brazil", "12 Monkeys", "Ran")
_ODD: Final = (
    "|",
    ", ",
    "::",
    ";",
    "'",
    "é",
    "[1]",
    "{x}",
    "\\",
    " - ",
    "&",
    "<b>",
    "#",
    "1,000",
    "nan",
    "NaN x",
)
_NAMES: Final = {
    "user_id": ("user_id", "userId", "reviewer", "User ID", "user"),
    "item_id": ("item_id", "movieId", "asin", "id", "Item"),
    "timestamp": ("timestamp", "time", "when", "ts", "Date"),
    "position": ("position", "pos"),
    "rating": ("rating", "stars", "overall"),
    "title": ("title", "name", "Movie Title"),
    "categories": ("categories", "genres", "tags"),
    "year": ("year", "released"),
}
_EXTRA: Final = ("note", "comment", "source")


@dataclass
class Pair:
    """A written pair of files and what it means."""

    seed: int
    interactions: Path
    items: Path
    options: TableOptions
    faults: list[str]
    """Empty: valid by construction."""
    rows: dict[str, int]
    """Rows written, by role."""
    edges: dict[tuple[str, str], int]
    """Nanoseconds since 1970, or the position, of each kept interaction by user and item; what no fault
    touches."""
    catalogue: dict[str, tuple[str, tuple[str, ...], int | None]]
    """Title, categories and year of each item that no fault touches."""
    clock: bool
    piece: int
    """Bytes that are read at once."""
    repeats: int = 0
    below: int = 0
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Style:
    """How one file is written."""

    kind: str
    delimiter: str
    quote: str
    quoting: str
    encoding: str
    newline: str
    packed: bool
    header: bool
    blank_lines: bool
    last_newline: bool
    suffix: str


def make(seed: int, folder: Path) -> Pair:
    """Write the pair of this seed into a folder."""
    draw = random.Random(seed)
    valid = draw.random() < VALID_SHARE
    wanted_quote = draw.choice([None, None, None, '"', "'", ""])
    encoding = draw.choice(["utf-8", "utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16"])
    header = draw.random() < 0.85
    styles = {role: _style(draw, wanted_quote, encoding, header) for role in ("interactions", "items")}
    delimiters = {style.delimiter for style in styles.values() if style.kind == "delimited"}
    clock = draw.random() < 0.85
    # What separates columns that no quotes protect stands in no id.
    bare = "".join(
        style.delimiter for style in styles.values() if style.kind == "delimited" and not style.quote
    )
    ids = {
        "user_id": _ids(draw, draw.randint(4, 25), "u", bare),
        "item_id": _ids(draw, draw.randint(20, 40), "i", bare),
    }
    options: dict[str, Any] = {}

    catalogue, item_rows, item_columns = _catalogue(draw, ids["item_id"], styles["items"])
    edge_rows, edge_columns, facts = _interactions(draw, ids, clock, styles["interactions"])
    if facts["min_rating"] is not None:
        options["min_rating"] = facts["min_rating"]
    if facts["repeats"] == "last":
        options["repeats"] = "last"

    columns, names = {}, {}
    for role, own in (("interactions", edge_columns), ("items", item_columns)):
        used: set[str] = set()
        for name in own:
            if name in _EXTRA:
                continue
            called = draw.choice([one for one in _NAMES[name] if one not in used])
            used.add(called)
            columns[f"{role}.{name}"] = called
    options["columns"] = ColumnMap().updated(columns)
    if delimiters and (len(delimiters) == 1) and draw.random() < 0.5:
        options["delimiter"] = delimiters.pop()
    if wanted_quote is not None:
        options["quote"] = wanted_quote
    if encoding == "latin-1" and any(style.kind != "parquet" for style in styles.values()):
        options["encoding"] = "latin-1"
    if not header:
        for role, own in (("interactions", edge_columns), ("items", item_columns)):
            if styles[role].kind == "delimited":
                names[role] = [columns.get(f"{role}.{name}", name) for name in own]
        options["header"] = False
        options["names"] = FieldNames(**names)

    faults: list[str] = []
    tables = {"interactions": (edge_columns, edge_rows), "items": (item_columns, item_rows)}
    touched: dict[str, set[int]] = {"interactions": set(), "items": set()}
    written: dict[str, list[Any]] = {}
    for role, (own, rows) in tables.items():
        called = [columns.get(f"{role}.{name}", name) for name in own]
        written[role] = [dict(zip(called, row, strict=True)) for row in rows]
    if not valid:
        faults = _spoil(draw, written, columns, styles, touched, options)
    paths = {}
    for role in tables:
        own = [columns.get(f"{role}.{name}", name) for name in tables[role][0]]
        path = folder / f"{seed}_{role}{styles[role].suffix}"
        _write(draw, path, own, written[role], styles[role])
        paths[role] = path

    if touched["items"]:
        lost = {item_rows[at][item_columns.index("item_id")] for at in touched["items"] if at < len(item_rows)}
        lost_ids = {_plain(value) for value in lost}
        catalogue = {item: value for item, value in catalogue.items() if item not in lost_ids}
        touched["interactions"] |= {at for at, edge in enumerate(facts["rows"]) if edge[1] in lost_ids}
    kept = _counted([edge for at, edge in enumerate(facts["rows"]) if at not in touched["interactions"]], facts)
    return Pair(
        seed,
        paths["interactions"],
        paths["items"],
        TableOptions(**options),
        faults,
        {role: len(rows) for role, rows in written.items()},
        kept[0],
        catalogue,
        clock,
        draw.choice([7, 64, 300, 1 << 24, 1 << 24]),
        kept[1],
        kept[2],
        {"styles": styles, "columns": columns, "unit": facts["unit"]},
    )


def judge(pair: Pair) -> tuple[int, list[str]]:
    """Rows that went without a word, and whatever else is wrong; a pair that is read as meant gives 0 and
    nothing.

    Valid pairs are read strictly, the others strictly (which must refuse them) and leaving bad rows out.
    """
    wrong: list[str] = []
    if not pair.faults:
        return _compare(pair, skip=False, wrong=wrong), wrong
    try:
        load_tables(pair.interactions, pair.items, options=pair.options)
        wrong.append("a pair with faults was not refused")
    except DataError as error:
        if pair.interactions.name not in str(error) and pair.items.name not in str(error):
            wrong.append(f"the refusal names no file: {error}")
    return _compare(pair, skip=True, wrong=wrong), wrong


def _compare(pair: Pair, skip: bool, wrong: list[str]) -> int:
    options = pair.options.model_copy(update={"skip_bad_rows": skip})
    try:
        # Small pieces, so that rows, quotes and characters lie across their borders.
        limits = ReadLimits(piece_bytes=pair.piece)
        dataset, report = load_tables(pair.interactions, pair.items, options=options, limits=limits)
    except DataError as error:
        if not pair.faults or "usable" not in str(error):
            wrong.append(f"refused: {error}")
        return 0
    edges = dataset.interactions.height + dataset.repeats + dataset.below_min_rating
    accounted = {"interactions": edges + report.counts[pair.interactions]}
    accounted["items"] = dataset.n_items + report.counts[pair.items]
    lost = sum(abs(pair.rows[role] - accounted[role]) for role in accounted)
    if lost:
        wrong.append(f"rows written {pair.rows}, accounted for {accounted}")
    found = {
        item: (title, tuple(categories), year)
        for item, title, categories, year in dataset.items.select(
            "item_id", "title", "categories", "year"
        ).iter_rows()
    }
    per_tick = NANO // dataset.resolution if pair.clock else 1
    taken = {
        (dataset.user_ids[user], dataset.item_ids[item]): time * per_tick
        for user, item, time in dataset.interactions.select("user", "item", "time").iter_rows()
    }
    for what, meant, read in (("item", pair.catalogue, found), ("interaction", pair.edges, taken)):
        if not pair.faults and len(read) != len(meant):
            wrong.append(f"{len(read)} {what}s where {len(meant)} were meant")
        for key, value in meant.items():
            if read.get(key) != value:
                wrong.append(f"{what} {key!r} is {read.get(key)!r}, and {value!r} was meant")
                break
    sequences = dataset.sequences(0)
    for user, user_id in enumerate(dataset.user_ids):
        times = [taken[user_id, dataset.item_ids[item]] for item in sequences.of(user).tolist()]
        if times != sorted(times):
            wrong.append(f"the items of {user_id!r} are out of order")
    if not pair.faults and list(found) != list(pair.catalogue):
        wrong.append("the items are in another order")
    counted, meant_counts = (dataset.repeats, dataset.below_min_rating), (pair.repeats, pair.below)
    if not pair.faults and counted != meant_counts:
        wrong.append(f"repeats and low ratings are {counted}, and {meant_counts} were meant")
    return lost


def _style(draw: random.Random, quote: str | None, encoding: str, header: bool) -> _Style:
    kind = draw.choices(["delimited", "json", "array", "parquet"], [10, 4, 1, 3])[0]
    delimiter = draw.choice([",", ",", ",", "\t", ";", "|", "::"]) if kind == "delimited" else ""
    own = quote if quote is not None else "" if delimiter in ("\t", "::") else '"'
    packed = kind != "parquet" and draw.random() < 0.2
    suffixes = {
        "delimited": {",": [".csv", ".csv", ".txt", ".dat"], "\t": [".tsv", ".txt", ".csv"]}.get(
            delimiter, [".dat", ".txt", ".csv"]
        ),
        "json": [".jsonl", ".json", ".ndjson", ".txt"],
        "array": [".json"],
        "parquet": [".parquet", ".pq"],
    }[kind]
    return _Style(
        kind,
        delimiter,
        own,
        draw.choice(["minimal", "all"]),
        encoding,
        draw.choice(["\n", "\n", "\r\n"]),
        packed,
        header,
        draw.random() < 0.15,
        draw.random() < 0.8,
        draw.choice(suffixes) + (draw.choice([".gz", ""]) if packed else ""),
    )


def _ids(draw: random.Random, count: int, prefix: str, without: str) -> list[str]:
    kind = draw.choice(["small", "long", "text", "padded", "odd", "asin"])
    ends = [end for end in ("é", "a", ",", ";", "x y") if end not in without]
    made: dict[str, None] = {}
    while len(made) < count:
        number = draw.randrange(10_000)
        made[
            {
                "small": str(number),
                "long": str(10**15 + draw.randrange(9 * 10**15)),
                "text": f"{prefix}{number}",
                "padded": f"{number:07d}",
                "odd": f"{prefix} {number}-{draw.choice(ends)}",
                "asin": f"B{number:09d}",
            }[kind]
        ] = None
    return list(made)


def _plain(value: Any) -> str:
    text = str(value)
    return text.removesuffix(".0") if isinstance(value, (str, float)) else text


def _text(draw: random.Random, style: _Style) -> str:
    parts = [draw.choice(_WORDS)]
    for _ in range(draw.choice([0, 0, 1, 2])):
        parts.append(draw.choice(_ODD) if draw.random() < 0.6 else draw.choice(_WORDS))
    text = " ".join(parts) if draw.random() < 0.5 else "".join(parts)
    if style.kind != "delimited" or style.quote:
        if draw.random() < 0.08:
            text += "\n" + draw.choice(_WORDS)
        if draw.random() < 0.1:
            text += f" {style.quote or chr(34)}{draw.choice(_WORDS)}{style.quote or chr(34)}"
        if draw.random() < 0.05:
            text = f"{style.quote or chr(34)}{text}"
    else:
        text = text.replace(style.delimiter, "/").replace("\n", " ")
        if draw.random() < 0.05:
            text += draw.choice(['"', ' 7" single'])
        # What separates must not arise from what stands side by side.
        text = text.strip(style.delimiter[0])
    return text.strip() or "M"


def _catalogue(
    draw: random.Random, ids: list[str], style: _Style
) -> tuple[dict[str, tuple[str, tuple[str, ...], int | None]], list[list[Any]], list[str]]:
    columns = ["item_id", "title"]
    with_categories, with_year = draw.random() < 0.8, draw.random() < 0.6
    form = (
        draw.choice(["pipe", "python", "json", "numpy"])
        if style.kind == "delimited"
        else draw.choice(["list", "list", "pipe", "nested", "mixed"])
    )
    if style.kind == "parquet" and form in ("nested", "mixed"):
        form = "list"
    if style.kind == "delimited" and ((not style.quote) or style.delimiter == "|"):
        form = "pipe" if style.quote or style.delimiter != "|" else "none"
    if form == "none":
        with_categories = False
    columns += ["categories"] * with_categories + ["year"] * with_year
    pool = ["Drama", "Sci-Fi", "Film Noir", "Children's", "A & B", "80s", "Tv: live"]
    if form not in ("pipe", "mixed"):
        pool += ["Arts, Crafts", "x|y"] if form != "mixed" else ["Arts, Crafts"]
    if style.kind == "delimited" and not style.quote:
        pool = [name for name in pool if style.delimiter not in name]
    whole_floats = all(item.isdigit() and not item.startswith("0") for item in ids) and draw.random() < 0.3
    catalogue: dict[str, tuple[str, tuple[str, ...], int | None]] = {}
    rows: list[list[Any]] = []
    for item in ids:
        title = _text(draw, style)
        categories = tuple(draw.sample(pool, draw.randint(0, 3))) if with_categories else ()
        year = draw.choice([None, draw.randint(1920, 2024)]) if with_year else None
        catalogue[item] = (title, categories, year)
        row: list[Any] = [_written_id(draw, item, style, whole_floats), title]
        if with_categories:
            row.append(_written_categories(draw, categories, form, style))
        if with_year:
            row.append(year if year is None or draw.random() < 0.8 or style.kind == "parquet" else float(year))
        rows.append(row)
    if style.kind == "parquet" and whole_floats and all(int(item) < 2**53 for item in ids):
        for row in rows:
            row[0] = float(row[0])
    if draw.random() < 0.3:
        columns.append("note")
        for row in rows:
            row.append(_text(draw, style))
    return catalogue, rows, columns


def _written_id(draw: random.Random, item: str, style: _Style, whole_floats: bool) -> Any:
    if style.kind == "parquet":
        return item
    numeric = item.isdigit() and not item.startswith("0")
    if style.kind in ("json", "array"):
        if numeric and int(item) < 2**53 and whole_floats and draw.random() < 0.1:
            return float(item)
        return int(item) if numeric and draw.random() < 0.9 else item
    return f"{item}.0" if numeric and whole_floats and draw.random() < 0.5 else item


def _written_categories(draw: random.Random, categories: tuple[str, ...], form: str, style: _Style) -> Any:
    if form == "python":
        return repr(list(categories))
    if form == "json":
        return json.dumps(list(categories), ensure_ascii=False)
    if form == "numpy":
        return "[" + " ".join(map(repr, categories)) + "]"
    if form == "pipe" or (form == "mixed" and draw.random() < 0.5):
        joined = draw.choice(["|", " | "]).join(categories)
        return joined or draw.choice([None, "(no genres listed)", ""])
    if form == "nested":
        return [[name] if draw.random() < 0.5 else name for name in categories]
    listed: list[Any] = list(categories)
    if style.kind != "delimited" and draw.random() < 0.2:
        listed.insert(draw.randint(0, len(listed)), None)
    return listed


def _interactions(
    draw: random.Random, ids: dict[str, list[str]], clock: bool, style: _Style
) -> tuple[list[list[Any]], list[str], dict[str, Any]]:
    unit = draw.choice([*UNITS, *UNITS, "iso", "floats", "dates"]) if clock else "position"
    if unit == "dates" and style.kind != "parquet":
        unit = "iso"
    if unit == "floats" and style.kind == "parquet":
        unit = "seconds"
    fine = draw.random() < 0.5
    with_rating = draw.random() < 0.6
    columns = ["user_id", "item_id", "timestamp" if clock else "position"] + ["rating"] * with_rating
    repeats = draw.choice(["first", "last"])
    min_rating = draw.choice([None, 3]) if with_rating else None
    start = datetime(draw.randint(1996, 2022), draw.randint(1, 12), draw.randint(1, 28), tzinfo=UTC)
    span = draw.choice([3, 200, 3000]) * 86_400
    whole_floats = {
        name: all(one.isdigit() and not one.startswith("0") for one in ids[name]) and draw.random() < 0.2
        for name in ids
    }
    zone = draw.choice(["Z", "", "+00:00", "+02:00", "-0530"])
    form = draw.choice(["T", " "])
    written: list[list[Any]] = []
    rows: list[tuple[str, str, int, float | None]] = []
    for user in ids["user_id"]:
        for item in draw.choices(ids["item_id"], k=draw.randint(1, 12)):
            seconds = int(start.timestamp()) + draw.randrange(span)
            nanos = _fraction(draw, unit, fine)
            rating = draw.choice([None, 1, 2, 3, 4.5, 5]) if with_rating else None
            time = seconds * NANO + nanos if clock else draw.randrange(50)
            when = _written_time(time, unit, zone, form, style)
            row: list[Any] = [
                _written_id(draw, user, style, whole_floats["user_id"]),
                _written_id(draw, item, style, whole_floats["item_id"]),
                when,
            ]
            written.append([*row, rating] if with_rating else row)
            rows.append((user, item, time, rating))
    order = list(range(len(rows)))
    draw.shuffle(order)
    rows, written = [rows[at] for at in order], [written[at] for at in order]
    if draw.random() < 0.3:
        columns.append("comment")
        for row in written:
            row.append(_text(draw, style))
    facts = {"rows": rows, "repeats": repeats, "min_rating": min_rating, "unit": unit}
    return written, columns, facts


def _counted(
    rows: list[tuple[str, str, int, float | None]], facts: dict[str, Any]
) -> tuple[dict[tuple[str, str], int], int, int]:
    """What counts: low ratings go first, then of repeats all but one."""
    least = facts["min_rating"]
    high = [row for row in rows if least is None or row[3] is None or row[3] >= least]
    edges: dict[tuple[str, str], int] = {}
    for user, item, time, _ in high:
        known = edges.get((user, item), time)
        edges[user, item] = min(known, time) if facts["repeats"] == "first" else max(known, time)
    return edges, len(high) - len(edges), len(rows) - len(high)


def _fraction(draw: random.Random, unit: str, fine: bool) -> int:
    if not fine or unit == "seconds":
        return 0
    digits = {
        "milliseconds": 3,
        "microseconds": 6,
        "nanoseconds": 9,
        "iso": draw.choice([3, 6, 9]),
        "floats": 3,
    }.get(unit, 6)
    return draw.randrange(10**digits) * 10 ** (9 - digits)


def _written_time(time: int, unit: str, zone: str, form: str, style: _Style) -> Any:
    if unit == "position":
        return time
    seconds, nanos = divmod(time, NANO)
    if unit in UNITS:
        return time // (NANO // UNITS[unit])
    if unit == "floats":
        return f"{seconds}.{nanos // 10**6:03d}" if style.kind == "delimited" else seconds + nanos / NANO
    if unit == "dates":
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=nanos // 1000)
    offsets = {"+02:00": 120, "-0530": -330}
    local = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=offsets.get(zone, 0))))
    text = local.strftime(f"%Y-%m-%d{form}%H:%M:%S")
    fraction = f"{nanos:09d}".rstrip("0")
    return text + (f".{fraction}" if fraction else "") + zone


def _spoil(
    draw: random.Random,
    written: dict[str, list[Any]],
    columns: dict[str, str],
    styles: dict[str, _Style],
    touched: dict[str, set[int]],
    options: dict[str, Any],
) -> list[str]:
    """Put 1 to 3 faults in; the names of those that were."""
    put: list[str] = []
    for _ in range(draw.randint(1, 3)):
        role = draw.choice(["interactions", "interactions", "items"])
        style, rows = styles[role], written[role]
        at = draw.randrange(len(rows))
        if at in touched[role] or not isinstance(rows[at], dict):
            continue
        row = dict(rows[at])
        called = {key.split(".")[1]: name for key, name in columns.items() if key.startswith(f"{role}.")}
        choices = ["no id"]
        if role == "interactions":
            choices += ["unknown item"]
            if style.kind != "parquet":
                choices += ["bad time", "no time"] + (["far time"] if "timestamp" in called else [])
        else:
            choices += (
                ["no title", "same id"] if style.kind == "parquet" else ["no title", "same id", "nan title"]
            )
        if style.kind == "delimited":
            choices += ["short", "long"] + (["lone quote"] * 3 if style.quote else [])
            if style.encoding in ("utf-8", "utf-8-sig") and not options.get("encoding"):
                choices += ["bytes"]
        if style.kind == "json":
            choices += ["cut", "no object", "list id"]
        if style.kind in ("json", "array") and "categories" in called:
            choices += ["object categories"]
        fault = draw.choice(choices)
        time = called.get("timestamp", called.get("position", ""))
        # Faults that begin a line of their own must not lie in a row of several.
        single = not any(isinstance(value, str) and "\n" in value for value in row.values())
        if fault in ("lone quote", "short", "long", "bytes") and not single:
            continue
        if fault == "no id":
            row[called["item_id"]] = None
        elif fault == "unknown item":
            row[called["item_id"]] = "nowhere 77"
        elif fault == "bad time":
            row[time] = "noon"
        elif fault == "no time":
            row[time] = None
        elif fault == "far time":
            if not str(row[time]).isdigit():
                continue
            row[time] = int(row[time]) * draw.choice([10**6, 10**4])
            if row[time] > 2**63:
                row[time] = "99999999999999999999"
        elif fault == "no title":
            row[called["title"]] = None
        elif fault == "nan title":
            row[called["title"]] = float("nan") if style.kind != "delimited" else "nan"
        elif fault == "same id":
            if at == 0 or 0 in touched[role]:
                continue
            row[called["item_id"]] = rows[0][called["item_id"]]
        elif fault == "object categories":
            row[called["categories"]] = draw.choice([{"main": "Drama"}, [{"name": "Drama"}]])
        elif fault == "list id":
            row[called["item_id"]] = [1, 2]
        rows[at] = {
            "short": lambda row=row: _Broken("short", row),
            "long": lambda row=row: _Broken("long", row),
            "lone quote": lambda row=row: _Broken("lone quote", row),
            "bytes": lambda row=row: _Broken("bytes", row),
            "cut": lambda row=row: _Broken("cut", row),
            "no object": lambda row=row: _Broken("no object", row),
        }.get(fault, lambda row=row: row)()
        touched[role].add(at)
        put.append(f"{role} row {at}: {fault}")
    if not put:
        rows = written["interactions"]
        called = columns["interactions.item_id"]
        rows[0] = {**rows[0], called: "nowhere 77"}
        touched["interactions"].add(0)
        put.append("interactions row 0: unknown item")
    return put


@dataclass
class _Broken:
    """A row that is written wrongly."""

    how: str
    row: dict[str, Any]


def _write(draw: random.Random, path: Path, columns: list[str], rows: list[Any], style: _Style) -> None:
    if style.kind == "parquet":
        frame = {name: [row[name] for row in rows] for name in columns}
        pl.DataFrame(frame, strict=False).write_parquet(path)
        return
    if style.kind == "array":
        objects = [
            json.dumps({name: row[name] for name in columns}, ensure_ascii=draw.random() < 0.5) for row in rows
        ]
        content = ("[\n" + ",\n".join(objects) + "\n]").encode(style.encoding, "strict")
    elif style.kind == "json":
        content = style.newline.join(_json_line(draw, columns, row) for row in rows).encode(style.encoding)
    else:
        content = _delimited(draw, columns, rows, style)
    path.write_bytes(gzip.compress(content, mtime=0) if style.packed else content)


def _json_line(draw: random.Random, columns: list[str], row: Any) -> str:
    broken = row.how if isinstance(row, _Broken) else ""
    row = row.row if isinstance(row, _Broken) else row
    text = json.dumps({name: row[name] for name in columns if row[name] is not None or draw.random() < 0.5})
    return {"cut": text[: len(text) // 2], "no object": json.dumps(list(map(str, columns)))}.get(broken, text)


def _delimited(draw: random.Random, columns: list[str], rows: list[Any], style: _Style) -> bytes:
    lines = [_line(columns, style)] if style.header else []
    marks: list[tuple[int, bytes]] = []
    for row in rows:
        broken = row if isinstance(row, _Broken) else None
        values = [(broken.row if broken else row)[name] for name in columns]
        if broken and broken.how == "short":
            lines.append(style.delimiter.join(_line([value], style) for value in values[:-1]))
        elif broken and broken.how == "long":
            lines.append(_line([*values, "x"], style))
        elif broken and broken.how == "lone quote":
            cells = [_line([value], style) for value in values]
            at = draw.randrange(len(cells))
            cells[at] = style.quote + str(values[at] or "x").replace(style.quote, "").replace(
                style.delimiter, "/"
            )
            if at + 1 < len(cells) or draw.random() < 0.5:
                lines.append(style.delimiter.join(cells))
            else:
                lines.append(style.delimiter.join([*cells[:-1], cells[-1] + style.quote + "x"]))
        else:
            lines.append(_line(values, style))
            if broken and broken.how == "bytes":
                marks.append((len(lines) - 1, b"\xff\xfe"))
        if style.blank_lines and draw.random() < 0.1:
            lines.append("")
    codec = style.encoding
    if not marks:
        text = style.newline.join(lines) + (style.newline if style.last_newline else "")
        return text.encode(codec)
    packed = [line.encode("utf-8") for line in lines]
    for at, mark in marks:
        packed[at] += mark if not packed[at].endswith(style.quote.encode() or b"\x00") else b""
        if not packed[at].endswith(mark):
            packed[at] = packed[at][:-1] + mark + packed[at][-1:]
    return (b"\xef\xbb\xbf" if codec == "utf-8-sig" else b"") + style.newline.encode().join(packed)


def _line(values: list[Any], style: _Style) -> str:
    cells = ["" if value is None else str(value) for value in values]
    if not style.quote:
        return style.delimiter.join(cells)
    if len(style.delimiter) == 1:
        out = io.StringIO()
        quoting = csv.QUOTE_ALL if style.quoting == "all" else csv.QUOTE_MINIMAL
        writer = csv.writer(
            out, delimiter=style.delimiter, quotechar=style.quote, quoting=quoting, lineterminator="\r\n"
        )
        writer.writerow(cells)
        return out.getvalue().removesuffix("\r\n")

    def quoted(cell: str) -> str:
        odd = style.quoting == "all" or any(mark in cell for mark in (style.delimiter, style.quote, "\n", "\r"))
        return style.quote + cell.replace(style.quote, style.quote * 2) + style.quote if odd else cell

    return style.delimiter.join(map(quoted, cells))


def main() -> None:
    """`python benchmarks/file_fuzz.py SEED`: the pair of one seed, in the current folder, and its judgement."""
    import sys

    for seed in map(int, sys.argv[1:]):
        pair = make(seed, Path.cwd())
        print(pair.faults, pair.notes, pair.options, *judge(pair), sep="\n")


__all__ = ["Counter", "Pair", "judge", "make"]

if __name__ == "__main__":
    main()
