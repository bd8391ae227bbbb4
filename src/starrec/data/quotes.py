"""Rows of delimited text, and the quotes that may stand around a field (RFC 4180).

A quote at the start of a field opens it, and everything up to the closing quote belongs to the field, line
breaks too. So one lone quote, an inch or a careless copy, can swallow thousands of rows without an error
anywhere. Here a field whose closing quote is not followed by a separator or the end of the line is refused with
the line where it began, and so is one that would swallow lines which all look like rows; reading goes on in the
line after, so that a lone quote costs its own row and no other. A quote in the middle of an unquoted field is
text.

`regular_rows` tells blocks of text that no reader can misread, which are most; `split_rows` reads the rest with
care.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from starrec.data.files import DEFAULT_LIMITS

_NUMBER: Final = re.compile(r"\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\s*")
_NEWLINE: Final = ord("\n")
_RETURN: Final = ord("\r")


@dataclass(frozen=True)
class Dialect:
    """How rows are written."""

    separator: str
    quote: str
    """Empty: no quotes."""
    n_fields: int
    names: tuple[str, ...] = ()
    """Of the fields, for messages."""
    longest_field: int = DEFAULT_LIMITS.field_characters
    """Characters of a quoted field at most."""


class Row(NamedTuple):
    """A row as read: its fields, or what is wrong with it."""

    line: int
    """The line where it begins, from 0 at the start of the text."""
    fields: list[str]
    problem: str = ""
    column: int = 0
    """The field that the problem is about."""


def regular_rows(block: bytes, dialect: Dialect) -> bool | None:
    """Whether the block uses quotes; None where it needs care.

    Args:
        block: whole rows of UTF-8, each with its line break; a separator of one byte.

    Regular means: each line is a row with all its fields, and every quote stands where RFC 4180 puts it.
    """
    separator, quote = dialect.separator.encode(), dialect.quote.encode()
    lines = block.count(b"\n")
    if block.startswith((b"\n", b"\r\n")) or b"\n\n" in block or b"\n\r\n" in block:
        return None
    quoted = bool(quote) and (block.startswith(quote) or separator + quote in block or b"\n" + quote in block)
    text = np.frombuffer(block, np.uint8)
    structure = np.flatnonzero((text == separator[0]) | (text == _NEWLINE))
    if quoted:
        quotes = np.flatnonzero(text == quote[0])
        if len(quotes) % 2 or not _well_formed(text, quotes, separator[0], quote[0]):
            return None
        # Outside of quotes an even number of them stands before.
        structure = structure[np.searchsorted(quotes, structure) % 2 == 0]
    if len(structure) != lines * dialect.n_fields:
        return None
    return quoted if (text[structure[dialect.n_fields - 1 :: dialect.n_fields]] == _NEWLINE).all() else None


def last_row_end(block: bytes, dialect: Dialect) -> int:
    """Where the last whole row of a block ends, after its line break; 0 where there is none. Where quotes are
    not regular this is the end of a line."""
    quote = dialect.quote.encode()
    if not quote or quote not in block:
        return block.rfind(b"\n") + 1
    text = np.frombuffer(block, np.uint8)
    quotes = np.flatnonzero(text == quote[0])
    if not _well_formed(text, quotes, ord(dialect.separator), quote[0]):
        return block.rfind(b"\n") + 1
    ends = np.flatnonzero(text == _NEWLINE)
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def split_rows(text: str, dialect: Dialect, final: bool) -> Iterator[Row | int]:
    """The rows of a text; in the end the position up to which it was read, for the rest may go on in what
    follows where the text is not final."""
    position, line = 0, 0
    while position < len(text):
        end = text.find("\n", position)
        if end < 0:
            if not final:
                break
            end = len(text)
        raw = text[position:end].removesuffix("\r")
        after, lines = end + 1, 1
        if not dialect.quote or dialect.quote not in raw:
            if raw:
                yield _checked(line, raw.split(dialect.separator), dialect)
        else:
            found = _quoted_row(text, position, dialect, final)
            if found is None:
                break
            fields, stop, problem = found
            if not problem and stop > end:
                lines = text.count("\n", position, stop) + 1
                if _swallowed(text[position:stop], fields, dialect):
                    problem = (
                        f"the quoted field that begins here goes on over {lines} lines, and there are rows "
                        f"among them; {_mend(dialect)}"
                    )
                after = stop + 1
            if problem:
                # Its own row and no other: the lines after it are read as if it had ended here.
                at = min(len(fields), dialect.n_fields - 1) if stop < 0 else _first_broken(fields)
                yield Row(line, [], problem, at)
                after, lines = end + 1, 1
            else:
                yield _checked(line, fields, dialect)
        position, line = after, line + lines
    yield min(position, len(text))


def first_row(text: str, separator: str, quote: str) -> tuple[Row, int]:
    """The first row of a text whose number of fields is not known yet, empty lines passed over, and where the
    next line begins."""
    position = line = 0
    while text.startswith(("\n", "\r\n"), position):
        position, line = text.index("\n", position) + 1, line + 1
    fields, stop, problem = _quoted_row(text, position, Dialect(separator, quote, 1), final=True) or (
        [],
        -1,
        "",
    )
    end = text.find("\n", position) if stop < 0 else stop
    return Row(line, fields, problem), len(text) if end < 0 else min(end + 1, len(text))


def field_counts(text: str, separator: str, quote: str, limit: int) -> list[int]:
    """How many fields each of the first rows of a text has; 0 for one whose quotes do not close."""
    counts: list[int] = []
    while text and len(counts) < limit:
        row, end = first_row(text, separator, quote)
        counts.append(0 if row.problem else len(row.fields))
        text = text[end:]
    return counts or [0]


def _well_formed(text: NDArray[np.uint8], quotes: NDArray[np.int64], separator: int, quote: int) -> bool:
    """Whether each quote opens a field at its start, closes it at its end, or is one of a pair inside."""
    opening, closing = quotes[0::2], quotes[1::2]
    before = text[np.maximum(opening - 1, 0)]
    starts = (opening == 0) | (before == separator) | (before == _NEWLINE) | (before == quote)
    following = text[np.minimum(closing + 1, len(text) - 1)]
    later = text[np.minimum(closing + 2, len(text) - 1)]
    ends = (following == separator) | (following == _NEWLINE) | (following == quote)
    ends |= (following == _RETURN) & (later == _NEWLINE)
    return bool(starts.all() and ends.all())


def _quoted_row(text: str, position: int, dialect: Dialect, final: bool) -> tuple[list[str], int, str] | None:
    """Fields of the row at a position, where its line break is, and what is wrong (then -1 for the position);
    None where the text ends before the row does."""
    separator, quote = dialect.separator, dialect.quote
    fields: list[str] = []
    at = position
    while True:
        if not quote or not text.startswith(quote, at):
            cut, end = text.find(separator, at), text.find("\n", at)
            end = len(text) if end < 0 else end
            if 0 <= cut < end:
                fields.append(text[at:cut])
                at = cut + len(separator)
                continue
            if end == len(text) and not final:
                return None
            fields.append(text[at:end].removesuffix("\r"))
            return fields, end, ""
        closing = _closing(text, at + 1, quote)
        if (closing < 0 or closing + 2 >= len(text)) and not final and len(text) - at <= dialect.longest_field:
            return None
        if closing < 0 or closing - at > dialect.longest_field:
            return fields, -1, f"the quoted field that begins here is never closed; {_mend(dialect)}"
        fields.append(text[at + 1 : closing].replace(quote * 2, quote))
        at = closing + 1
        if text.startswith(separator, at):
            at += len(separator)
        elif at == len(text) or text.startswith(("\n", "\r\n"), at):
            return fields, text.find("\n", at) if at < len(text) else at, ""
        else:
            fields.pop()
            problem = (
                "the quoted field that begins here closes where neither a separator nor the end of the line "
                f"follows; {_mend(dialect)}"
            )
            return fields, -1, problem


def _closing(text: str, start: int, quote: str) -> int:
    """The quote that closes a field; two of them are one that is text."""
    at = text.find(quote, start)
    while at >= 0 and text.startswith(quote, at + 1):
        at = text.find(quote, at + 2)
    return at


def _checked(line: int, fields: list[str], dialect: Dialect) -> Row:
    wanted = dialect.n_fields
    if len(fields) == wanted:
        return Row(line, fields)
    problem = f"{len(fields)} field{'s' if len(fields) != 1 else ''} where the header has {wanted}"
    return Row(line, [], problem, min(len(fields), wanted) - 1)


def _swallowed(raw: str, fields: list[str], dialect: Dialect) -> bool:
    """Whether a row that goes over several lines holds rows: lines with all their fields and numbers in the
    same places. The first line of a good one may look like a row, and so may the last, but no line between
    them. A quote within an unquoted field of such a row is the other end of a lone one: whoever writes quotes
    would quote it."""
    if len(fields) != dialect.n_fields or dialect.n_fields < 2:
        return len(fields) != dialect.n_fields
    rows = [_fields_of_line(line.removesuffix("\r"), dialect) for line in raw.split("\n")]
    numeric = [at for at, value in enumerate(fields) if _NUMBER.fullmatch(value)]
    alike = [len(row) == dialect.n_fields and all(_NUMBER.fullmatch(row[at]) for at in numeric) for row in rows]
    return all(alike) or (bool(numeric) and any(alike[1:-1])) or _loose_quote(raw, dialect)


def _fields_of_line(line: str, dialect: Dialect) -> list[str]:
    """The fields of one line, if a quote that closes nowhere in it is text."""
    fields, at = [], 0
    while True:
        if line.startswith(dialect.quote, at):
            closing = _closing(line, at + 1, dialect.quote)
            after = closing + 1
            if closing >= 0 and (after == len(line) or line.startswith(dialect.separator, after)):
                fields.append(line[at + 1 : closing])
                if after == len(line):
                    return fields
                at = after + len(dialect.separator)
                continue
        end = line.find(dialect.separator, at)
        fields.append(line[at:] if end < 0 else line[at:end])
        if end < 0:
            return fields
        at = end + len(dialect.separator)


def _loose_quote(raw: str, dialect: Dialect) -> bool:
    """Whether an unquoted field of a row holds a quote."""
    quote, separator = re.escape(dialect.quote), re.escape(dialect.separator)
    quoted = rf"(?:(?<={separator})|^){quote}(?:[^{quote}]|{quote}{quote})*{quote}(?={separator}|\r?$)"
    return dialect.quote in re.sub(quoted, "", raw)


def _first_broken(fields: list[str]) -> int:
    return next((at for at, value in enumerate(fields) if "\n" in value), 0)


def _mend(dialect: Dialect) -> str:
    return (
        f"a {dialect.quote} inside quotes is written twice; where it is text and quotes nothing, switch quotes "
        'off with `--quote ""` (`quote = ""` under `[data]`)'
    )
