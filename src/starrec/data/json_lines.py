"""JSON Lines, or one JSON array of objects: values of any type, read as what they mean.

Numbers are taken as they are written, digit for digit: one float among the ids must not turn the others into
floats, and a 16-digit id has to survive. Lists and objects stand only where lists are wanted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl

from starrec.data.categories import NotCategories, flat_categories
from starrec.data.config import TableOptions
from starrec.data.files import DEFAULT_LIMITS, ReadLimits, reading, text_pieces, undecodable
from starrec.data.report import LINE, Report, shown
from starrec.errors import DataError

_CHUNK: Final = 1 << 16
_MANY_DIGITS: Final = 40


class Number(str):
    """A number as it is written."""


def json_columns(path: Path, options: TableOptions, limits: ReadLimits = DEFAULT_LIMITS) -> list[str]:
    """The names that the objects of a file use, in order of their first use; of a large file's first part."""
    names: dict[str, None] = {}
    with reading(path, "JSON Lines"):
        for count, (_, row) in enumerate(_objects(path, options.encoding, limits.piece_bytes)):
            if isinstance(row, dict):
                names.update(dict.fromkeys(row))
            if count >= 10_000:
                break
    return list(names)


def read_json(
    path: Path,
    wanted: Mapping[str, str],
    options: TableOptions,
    report: Report,
    *,
    as_json: Collection[str] = (),
    limits: ReadLimits = DEFAULT_LIMITS,
) -> pl.DataFrame:
    """The wanted columns as text (categories as lists of text), and `LINE`; wanted: the file's names by ours.

    Args:
        as_json: columns whose lists and objects stand as JSON text instead of being refused.
    """
    with reading(path, "JSON Lines"):
        objects = _objects(path, options.encoding, limits.piece_bytes)
        return objects_frame(path, objects, wanted, options, report, as_json=as_json)


def objects_frame(
    path: Path,
    objects: Iterable[tuple[int, Mapping[str, Any] | str]],
    wanted: Mapping[str, str],
    options: TableOptions,
    report: Report,
    *,
    as_json: Collection[str] = (),
) -> pl.DataFrame:
    """As `read_json`, from objects with their line numbers, or with what is wrong there.

    Args:
        path: what the report calls their file.
    """
    frames: list[pl.DataFrame] = []
    lines: list[int] = []
    cells: dict[str, list[Any]] = {name: [] for name in wanted}
    types = {name: pl.List(pl.String) if name == "categories" else pl.String() for name in wanted}

    def frame() -> pl.DataFrame:
        columns = [pl.Series(name, values, types[name]) for name, values in cells.items()]
        return pl.DataFrame([*columns, pl.Series(LINE, lines, pl.UInt32)])

    for line, row in objects:
        report.read[path] += 1
        if isinstance(row, str):
            report.add(path, line, "-", row)
            continue
        values: list[Any] = []
        for name, column in wanted.items():
            try:
                values.append(_value(name, row.get(column), options, name in as_json))
            except NotCategories as problem:
                report.add(path, line, column, str(problem))
                break
        else:
            lines.append(line)
            for own, value in zip(cells.values(), values, strict=True):
                own.append(value)
        if len(lines) == _CHUNK:
            frames.append(frame())
            lines, cells = [], {name: [] for name in wanted}
    frames.append(frame())
    return pl.concat(frames)


def _value(name: str, value: Any, options: TableOptions, as_json: bool) -> Any:
    if name == "categories":
        return flat_categories(value, options.category_separator)
    if isinstance(value, (list, dict)):
        if as_json:
            return json.dumps(value, ensure_ascii=False)
        if name == "title" and isinstance(value, list):
            texts = [entry for entry in value if entry is not None]
            if len(texts) == 1 and isinstance(texts[0], str):
                return _clean(texts[0])
            if not texts:
                return None
        kind = "a list" if isinstance(value, list) else "an object"
        raise NotCategories(f"{name.replace('_', ' ')} {shown(value)} is {kind}, not one value")
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    if isinstance(value, Number):
        return _plain_number(value)
    if isinstance(value, float):  # NaN or an infinity: Python reads them, JSON knows neither
        return None if value != value else str(value)
    return _clean(value) if isinstance(value, str) else str(value)


def _plain_number(number: str) -> str:
    """Whole numbers without point or exponent, digit for digit."""
    if "e" in number or "E" in number:
        exact = Decimal(number)
        whole = exact == exact.to_integral_value() if abs(exact.adjusted()) < _MANY_DIGITS else False
        return str(int(exact)) if whole else number
    return number


def _clean(text: str) -> str:
    # A lone surrogate can be written in JSON, and in no UTF-8.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _objects(path: Path, encoding: str | None, piece_bytes: int) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Line numbers with the object there, or with what is wrong with it."""
    for number, raw in enumerate(_lines(path, encoding, piece_bytes), start=1):
        if not raw.strip():
            continue
        if number == 1 and raw.lstrip().startswith(b"[") and _begins_array(raw):
            yield from _array(path, encoding, piece_bytes)
            return
        yield number, _object(raw, encoding)


def _begins_array(line: bytes) -> bool:
    """Whether a file's first line begins an array of its objects, and is not just a line that is no object."""
    try:
        found = json.loads(line)
    except ValueError:
        return True
    return bool(found) and all(isinstance(value, dict) for value in found)


def _array(path: Path, encoding: str | None, piece_bytes: int) -> Iterator[tuple[int, dict[str, Any] | str]]:
    text = b"".join(text_pieces(path, encoding, piece_bytes)).decode("utf-8", "surrogateescape")
    if problem := undecodable(text, encoding):
        raise DataError(f"{path}: {problem}.")
    decoder = json.JSONDecoder(parse_float=Number)
    position, line, counted = text.index("[") + 1, 1, 0
    while True:
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        line += text.count("\n", counted, position)
        counted = position
        if text.startswith("]", position):
            return
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            # Where the next object begins is anybody's guess, so nothing of the file can be trusted.
            raise DataError(
                f"{path}, line {getattr(error, 'lineno', line)}: the array of objects cannot be read from here "
                "on "
                f"({getattr(error, 'msg', error)}). Write one object a line, or mend it."
            ) from error
        yield line, value if isinstance(value, dict) else "not a JSON object"


def _object(raw: bytes, encoding: str | None) -> dict[str, Any] | str:
    text = raw.decode("utf-8", "surrogateescape")
    if problem := undecodable(text, encoding):
        return problem
    try:
        value = json.loads(text, parse_float=Number)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at character {error.colno}"
    except (ValueError, RecursionError) as error:
        return f"not JSON that can be read: {error}"
    return value if isinstance(value, dict) else "not a JSON object"


def _lines(path: Path, encoding: str | None, piece_bytes: int) -> Iterator[bytes]:
    rest = b""
    for piece in text_pieces(path, encoding, piece_bytes):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest
