"""A user's files as bytes: what they hold is told by their content, never by their suffix alone.

Whatever the encoding, what comes out is UTF-8 without a byte order mark, in pieces, so that a file of any size
takes the memory of one piece. Bytes that the encoding does not know stay as they are: the row that holds them
is refused by its line, not the file by an offset.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias, cast

from starrec.errors import DataError

Format: TypeAlias = Literal["parquet", "json", "delimited"]
_SAMPLE: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_NO_TABLE: Final = {
    b"PK\x03\x04": "a zip archive (or a spreadsheet); unpack it or save it as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet; save it as CSV",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it",
    b"BZh": "compressed with bzip2; unpack it",
    b"\xfd7zXZ": "compressed with xz; unpack it",
    b"ARROW1": "an Arrow file; save it as Parquet",
    b"SQLite format 3": "a database; export its tables as CSV",
}
_BYTE_ORDER_MARKS: Final = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class ReadLimits:
    """How much of a text file is held at once, and how long its parts may be."""

    piece_bytes: int = 1 << 24
    """Read at once."""
    field_characters: int = 4_000_000
    """Of a quoted field; one that is longer was never closed."""
    line_bytes: int = 1 << 26


DEFAULT_LIMITS: Final = ReadLimits()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def format_of(path: Path, encoding: str | None) -> Format:
    """What a file holds, by its first bytes.

    Raises:
        DataError: there is no such file, it is empty, or it is of a kind that is not read.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}. Check the path.")
    with reading(path, "a file"), path.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"PAR1"):
        return "parquet"
    for magic, what in _NO_TABLE.items():
        if start.startswith(magic):
            raise DataError(f"{path} is {what}. CSV, TSV, JSON Lines (each also gzipped) and Parquet are read.")
    with reading(path, "text"):
        sample = head(path, encoding).lstrip()
    if not sample:
        raise DataError(f"{path} is empty. It needs a header and rows.")
    named_json = any(suffix.lower() in (".json", ".jsonl", ".ndjson") for suffix in path.suffixes)
    if sample.startswith((b'{"', b'[{"', b"{}")) or (named_json and sample[:1] in (b"{", b"[")):
        return "json"
    if named_json and b"\n{" in sample:
        return "json"
    if b"\x00" in sample[:1024]:
        raise DataError(
            f"{path} is no text that can be read. CSV, TSV, JSON Lines (each also gzipped) and Parquet are; "
            "text in UTF-16 without a byte order mark needs `--encoding utf-16-le`."
        )
    return "delimited"


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Failures to read a file as `DataError`s that name it."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as {what}: {error}.") from error
    except UnicodeError as error:
        raise DataError(
            f"{path} cannot be read as {what}: {error}. It has another encoding: name it with `--encoding`, or "
            "`encoding` under `[data]`."
        ) from error


def text_pieces(path: Path, encoding: str | None, piece_bytes: int) -> Iterator[bytes]:
    """The text of a file, gzipped or not, as UTF-8 without a byte order mark.

    Args:
        piece_bytes: of the file (unpacked) that are read at once; each piece is what they hold, in UTF-8.
    """
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
        first = file.read(piece_bytes)
        marked = next((name for mark, name in _BYTE_ORDER_MARKS.items() if first.startswith(mark)), None)
        codec = codecs.lookup(encoding or marked or "utf-8").name
        if codec in ("utf-8", "utf-8-sig", "ascii"):
            yield first.removeprefix(codecs.BOM_UTF8)
            while piece := file.read(piece_bytes):
                yield piece
            return
        decoder = codecs.getincrementaldecoder(codec)("surrogateescape")
        piece = first
        while piece:
            yield decoder.decode(piece).removeprefix("\ufeff").encode("utf-8", "surrogateescape")
            piece = file.read(piece_bytes)
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogateescape")


def head(path: Path, encoding: str | None) -> bytes:
    """The first part of a file's text, which tells how it is written."""
    found = b""
    for piece in text_pieces(path, encoding, _SAMPLE):
        found += piece
        if len(found) >= _SAMPLE:
            break
    return found[:_SAMPLE]


def undecodable(text: str, encoding: str | None) -> str:
    """What to say of text with bytes that its encoding does not know; empty where there are none."""
    if text.isascii():
        return ""
    byte = next((character for character in text if "\udc80" <= character <= "\udcff"), None)
    if byte is None:
        return ""
    name = "UTF-8" if encoding is None else encoding
    return (
        f"byte 0x{ord(byte) - 0xDC00:02x} is not {name}: the file has another encoding; name it with "
        "`--encoding`, such as `--encoding latin-1`, or `encoding` under `[data]`"
    )
