"""CSV, TSV and their kin: any separator, read in blocks of whole rows.

A block that no reader can misread (`quotes.regular_rows`), which nearly all are, goes to Polars; any other is
split row by row in Python, which knows the line and the fault of each row that it leaves out. Cells are text,
but where every cell of a column of times or ratings is a number at sight.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from starrec.data.config import FileRole, TableOptions
from starrec.data.files import DEFAULT_LIMITS, ReadLimits, head, reading, text_pieces, undecodable
from starrec.data.quotes import Dialect, field_counts, first_row, last_row_end, regular_rows, split_rows
from starrec.data.report import LINE, Report
from starrec.errors import DataError

_NAMES: Final = {
    ",": "commas",
    "\t": "tabs",
    ";": "semicolons",
    "|": "vertical bars",
    "::": "double colons",
}
_SUFFIXES: Final = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_STAND_INS: Final = "\x1f\x1e\x1d\x1c\x01\x02"
_SAMPLE_ROWS: Final = 50
_MOST: Final = 0.9
_CHUNK: Final = 1 << 16


@dataclass(frozen=True)
class DelimitedFile:
    """A delimited file whose first line was looked at."""

    path: Path
    dialect: Dialect
    columns: list[str]
    has_header: bool
    options: TableOptions
    note: str
    """What was decided about it and should be known."""
    limits: ReadLimits = DEFAULT_LIMITS


def open_delimited(
    path: Path, role: FileRole, options: TableOptions, limits: ReadLimits = DEFAULT_LIMITS
) -> DelimitedFile:
    """Decide how a file is written and what its columns are called.

    Raises:
        DataError: it has one column only, or a header that cannot be meant.
    """
    with reading(path, "text"):
        start = head(path, options.encoding)
    lines = [line for line in start.split(b"\n")[:200] if line.strip()]
    text = "\n".join(line.decode("utf-8", "surrogateescape").removesuffix("\r") for line in lines)
    if not text:
        raise DataError(f"{path} is empty. It needs a header and rows.")
    given: list[str] = getattr(options.names, role)
    delimiter, note = _delimiter(path, text, len(given), options)
    quote = _quote(delimiter, options)
    first, _ = first_row(text, delimiter, quote)
    if first.problem:
        raise DataError(f"{path}, line {first.line + 1}: {first.problem}.")
    fields = first.fields
    has_header = options.header and not given
    columns = (
        [name.strip() for name in fields] if has_header else given or [str(at + 1) for at in range(len(fields))]
    )
    if has_header and (problem := undecodable(" ".join(columns), options.encoding)):
        raise DataError(f"{path}, line 1: {problem}.")
    if len(columns) != len(fields):
        raise DataError(
            f"{path} has {len(fields)} columns, and {len(columns)} names were given for its {role} "
            f"({', '.join(map(repr, columns))}). Name all of them, from the left."
        )
    dialect = Dialect(delimiter, quote, len(columns), tuple(columns), limits.field_characters)
    return DelimitedFile(path, dialect, columns, has_header, options, note, limits)


def read_delimited(file: DelimitedFile, wanted: Mapping[str, str], report: Report) -> pl.DataFrame:
    """The wanted columns.

    Args:
        wanted: our names by the file's column.
        report: gets rows that cannot be read, and how many there were.

    Returns:
        `LINE` and the wanted columns under our names: text, or numbers where all cells of a time or rating are.
    """
    places = {name: file.columns.index(column) for name, column in wanted.items()}
    blocks: list[pl.DataFrame] = []
    with reading(file.path, "text"):
        for block in _Blocks(file, places, report):
            blocks.append(block)
    return _joined(blocks, list(wanted))


class _Blocks:
    """The frames of a file's blocks."""

    def __init__(self, file: DelimitedFile, places: Mapping[str, int], report: Report) -> None:
        self.file, self.places, self.report = file, places, report
        self.line = 1
        self.header = file.has_header
        self.dialect = file.dialect
        self.as_text: set[str] = set()

    def __iter__(self) -> Iterator[pl.DataFrame]:
        limits = self.file.limits
        pieces = text_pieces(self.file.path, self.file.options.encoding, limits.piece_bytes)
        rest, ended = b"", False
        while not ended:
            piece = next(pieces, None)
            ended = piece is None
            block = rest + (piece or b"")
            if ended and block and not block.endswith(b"\n"):
                block += b"\n"
            end = len(block) if ended else last_row_end(block, self._byte_dialect())
            if not end and len(block) > limits.line_bytes:
                raise DataError(
                    f"{self.file.path} has a line of more than {limits.line_bytes:,} bytes. Is it text?"
                )
            whole = block[:end]
            if self.header and whole:
                whole = self._without_header(whole)
            frame, used = self._read(whole, final=ended)
            rest = whole[used:] + block[end:]
            if frame is not None:
                yield frame

    def _byte_dialect(self) -> Dialect:
        dialect = self.dialect
        plain = len(dialect.separator) == 1 and dialect.separator.isascii()
        return dialect if plain else Dialect("\x1f", "", dialect.n_fields)

    def _without_header(self, block: bytes) -> bytes:
        text = block[: 1 << 20].decode("utf-8", "surrogateescape")
        _, end = first_row(text, self.dialect.separator, self.dialect.quote)
        self.header = False
        self.line += text.count("\n", 0, end)
        return block[len(text[:end].encode("utf-8", "surrogateescape")) :]

    def _read(self, block: bytes, final: bool) -> tuple[pl.DataFrame | None, int]:
        """The frame of a block, and how many of its bytes were read."""
        if not block:
            return None, 0
        known = self._regular(block)
        if known is not None:
            self.line += block.count(b"\n")
            self.report.read[self.file.path] += known.height
            return known, len(block)
        return self._careful(block, final)

    def _regular(self, block: bytes) -> pl.DataFrame | None:
        dialect = self.dialect
        if not block.isascii() and not _is_utf8(block):
            return None
        if not (len(dialect.separator) == 1 and dialect.separator.isascii()):
            if dialect.quote and dialect.quote.encode() in block:
                return None
            stand_in = next((one for one in _STAND_INS if one.encode() not in block), None)
            if stand_in is None:
                return None
            block = block.replace(dialect.separator.encode(), stand_in.encode())
            dialect = Dialect(stand_in, "", dialect.n_fields)
        if dialect.quote and not dialect.quote.isascii():
            return None
        quoted = regular_rows(block, dialect)
        frame = None if quoted is None else self._by_polars(block, dialect, quoted)
        return None if frame is None else frame.with_row_index(LINE, offset=self.line)

    def _by_polars(self, block: bytes, dialect: Dialect, quoted: bool) -> pl.DataFrame | None:
        numeric = {"timestamp": pl.Int64(), "position": pl.Int64(), "rating": pl.Float64()}
        while True:
            schema: dict[str, pl.DataType] = {str(at): pl.String() for at in range(dialect.n_fields)}
            tried = [name for name in self.places if name in numeric and name not in self.as_text]
            schema |= {str(self.places[name]): numeric[name] for name in tried}
            try:
                frame = pl.read_csv(
                    io.BytesIO(block),
                    has_header=False,
                    separator=dialect.separator,
                    quote_char=dialect.quote if quoted else None,
                    schema=schema,
                )
            except pl.exceptions.PolarsError:
                if not tried:
                    return None
                # Some cell is no number: read as text, which the checks look at cell by cell.
                self.as_text.update(tried)
                continue
            return frame.select(pl.col(str(at)).alias(name) for name, at in self.places.items())

    def _careful(self, block: bytes, final: bool) -> tuple[pl.DataFrame | None, int]:
        text = block.decode("utf-8", "surrogateescape")
        doubtful = any("\udc80" <= character <= "\udcff" for character in text) if not text.isascii() else False
        frames: list[pl.DataFrame] = []
        lines: list[int] = []
        cells: list[list[str | None]] = [[] for _ in self.places]
        used = len(text)
        for row in split_rows(text, self.dialect, final):
            if isinstance(row, int):
                used = row
                break
            self.report.read[self.file.path] += 1
            problem, column = row.problem, row.column
            if doubtful and not problem:
                found = (
                    (at, undecodable(value, self.file.options.encoding)) for at, value in enumerate(row.fields)
                )
                column, problem = next(((at, what) for at, what in found if what), (0, ""))
            if problem:
                name = self.file.columns[min(column, len(self.file.columns) - 1)]
                self.report.add(self.file.path, self.line + row.line, name, problem)
                continue
            lines.append(self.line + row.line)
            for values, at in zip(cells, self.places.values(), strict=True):
                values.append(row.fields[at] or None)
            if len(lines) == _CHUNK:
                frames.append(self._frame(lines, cells))
                lines, cells = [], [[] for _ in self.places]
        frames.append(self._frame(lines, cells))
        self.line += text.count("\n", 0, used)
        consumed = len(block) if used == len(text) else len(text[:used].encode("utf-8", "surrogateescape"))
        return pl.concat(frames), consumed

    def _frame(self, lines: Sequence[int], cells: Iterable[Sequence[str | None]]) -> pl.DataFrame:
        columns = [
            pl.Series(name, list(values), pl.String) for name, values in zip(self.places, cells, strict=True)
        ]
        return pl.DataFrame([pl.Series(LINE, lines, pl.UInt32), *columns])


def _joined(blocks: list[pl.DataFrame], names: list[str]) -> pl.DataFrame:
    if not blocks:
        return pl.DataFrame(schema={LINE: pl.UInt32, **dict.fromkeys(names, pl.String)})
    mixed = [name for name in names if len({block.schema[name] for block in blocks}) > 1]
    if mixed:
        blocks = [block.with_columns(pl.col(mixed).cast(pl.String)) for block in blocks]
    return pl.concat(blocks)


def _delimiter(path: Path, text: str, n_names: int, options: TableOptions) -> tuple[str, str]:
    """What separates the columns, and what to say about it.

    That of the suffix if it splits the sample into rows of one length, else the one that does; with the length
    of the names that were given, or of the header.
    """
    header = text.split("\n", 1)[0]
    if options.delimiter is not None:
        if options.delimiter not in header:
            raise _single_column(path, header, options.delimiter)
        return options.delimiter, ""
    suffix = next((_SUFFIXES[one.lower()] for one in reversed(path.suffixes) if one.lower() in _SUFFIXES), None)

    def fitness(delimiter: str) -> tuple[bool, bool, float, int, int]:
        counts = field_counts(text, delimiter, _quote(delimiter, options), _SAMPLE_ROWS)
        wanted = n_names or counts[0]
        share = counts.count(wanted) / len(counts) if wanted > 1 else 0.0
        return share >= _MOST, delimiter == suffix and share > 0, share, wanted, len(delimiter)

    best = max(_NAMES, key=fitness)
    if not fitness(best)[2]:
        if n_names:
            # Another number of columns than names: said with both numbers.
            return _delimiter(path, text, 0, options)
        raise _single_column(path, header, suffix or ",")
    return best, "" if suffix in (None, best) else f"{path.name}: columns are separated by {_NAMES[best]}"


def _quote(delimiter: str, options: TableOptions) -> str:
    if options.quote is not None:
        return options.quote
    return '"' if len(delimiter) == 1 and delimiter != "\t" else ""


def _single_column(path: Path, header: str, delimiter: str) -> DataError:
    found = (
        f"{path} has only one column, {header[:200]!r}, when split by {_NAMES.get(delimiter, repr(delimiter))}"
    )
    other = max(_NAMES, key=lambda one: header.count(one))
    if header.count(other):
        return DataError(
            f"{found}; {_NAMES[other]} would give {header.count(other) + 1}. Set `--delimiter {other!r}`, or "
            "`delimiter` under `[data]`."
        )
    return DataError(f"{found}. It needs a header that names its columns.")


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True
