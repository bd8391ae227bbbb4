"""Append-only files of JSON lines that survive `kill -9` and are gone on with afterwards.

    part-00000.jsonl.zst, part-00001.jsonl.zst, …, part-00007.jsonl      one JSON object a line:
    {"crc32":"9ae0daaf","key":["train/5/12/0",3],…}

A batch is one write at the end of the last file, flushed to disk, so a process killed on the way leaves at
most one torn line, the last one; opening cuts it off. The checksum covers everything after itself, so that a
line that changed on disk is an error and never a lesson.

A file that is full is followed by a new one and compressed (Zstandard): runs over one task tell the same
history and much of the same evidence. The compressed file appears whole beside the plain one before that goes,
so at every moment all lines are there, and readers take the compressed one where both are.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias
from zlib import crc32

import zstandard

from starrec.errors import RunError
from starrec.runs import write_atomic

Key: TypeAlias = tuple[str, int]
"""(task_id, run)."""

SEGMENT_BYTES: Final = 16 * 2**20
"""Size at which a file is full: compressed in about a tenth of a second."""

_HEAD: Final = re.compile(rb'\{"crc32":"([0-9a-f]{8})",("key":(\["(?:[^"\\]|\\.)*",-?\d+\]),.*\})\n')
_PACKED: Final = ".zst"
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class Line(NamedTuple):
    """One whole line of a journal."""

    path: Path
    number: int
    """In its file, from 1."""
    end: int
    """Offset of the byte after the line, in the file's plain form."""
    key: Key
    content: bytes


class Journal:
    """The files of one name in a folder, for its one writer; who that is, the caller sees to."""

    def __init__(self, folder: Path, name: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._name = name
        self._segment_bytes = segment_bytes

    def recover(self) -> int:
        """Cut off a torn last line, and end a compression that was cut short; bytes that were cut off.

        Raises:
            RunError: a line that is not the last one is unreadable.
        """
        for plain in self._folder.glob(f"{self._name}-*.jsonl"):
            if _packed(plain).exists():
                plain.unlink()
        path, end = None, 0
        for line in lines(self._folder, self._name):
            path, end = line.path, line.end
        segments = _segments(self._folder, self._name)
        if not segments or segments[-1].suffix == _PACKED:
            return 0
        last = segments[-1]
        end = end if path == last else 0
        dropped = last.stat().st_size - end
        if dropped:
            os.truncate(last, end)
        return dropped

    def append(self, data: bytes) -> None:
        """Add lines (`encoded`), on disk when this returns; `RunError` where the disk refused them, and then
        none is added."""
        segments = _segments(self._folder, self._name)
        path = segments[-1] if segments else self._folder / f"{self._name}-00000.jsonl"
        if segments and (path.suffix == _PACKED or path.stat().st_size >= self._segment_bytes):
            self.pack()
            index = int(path.name.removeprefix(f"{self._name}-").partition(".")[0]) + 1
            path = self._folder / f"{self._name}-{index:05d}.jsonl"
        try:
            _append(path, data)
        except OSError as error:
            raise RunError(
                f"Cannot append to {path}: {error.strerror}. What is stored is whole; make room and run again."
            ) from error

    def pack(self) -> None:
        """Compress what is not compressed yet; the next lines go to a new file."""
        for path in self._folder.glob(f"{self._name}-*.jsonl"):
            packed = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(path.read_bytes())
            write_atomic(_packed(path), packed)
            path.unlink()


_LEVEL: Final = 3
"""Of Zstandard."""


def encoded(key: Key, fields: Mapping[str, object]) -> bytes:
    """A line of a journal; `ValueError` for what JSON cannot say."""
    body = ",".join(f'"{name}":{_encode(value)}' for name, value in {"key": list(key), **fields}.items())
    data = f"{body}}}".encode()
    return b'{"crc32":"%08x",%b\n' % (crc32(data), data)


def lines(folder: Path, name: str) -> Iterator[Line]:
    """Every whole line of the files of that name, also while a writer is at work. A line that is not whole ends
    the reading if it is the very last, and is an error elsewhere.

    Raises:
        RunError: a line other than the last is unreadable.
    """
    segments = _segments(folder, name)
    for path in segments:
        content, size = _open(path)
        with content:
            end = 0
            for number, line in enumerate(iter(content.readline, b""), start=1):
                end += len(line)
                head = _HEAD.fullmatch(line)
                if head is not None and crc32(head.group(2)) == int(head.group(1), 16):
                    task_id, run = json.loads(head.group(3))
                    yield Line(path, number, end, (task_id, run), line)
                elif end < size or path != segments[-1] or path.suffix == _PACKED:
                    raise RunError(f"{path}, line {number} {_CHANGED}")
                # What a writer appends from here on is for the next reading.
                if end >= size:
                    break


_CHANGED: Final = (
    "changed after it was written. Restore the file, or delete its folder to have all trajectories made again."
)


def _open(path: Path) -> tuple[io.BufferedIOBase, int]:
    """A segment's plain bytes, and how many there are."""
    if path.suffix != _PACKED:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            # The writer has compressed it meanwhile.
            return _open(_packed(path))
        return file, os.fstat(file.fileno()).st_size
    try:
        content = zstandard.ZstdDecompressor().decompress(path.read_bytes())
    except zstandard.ZstdError as error:
        raise RunError(f"{path} {_CHANGED}") from error
    return io.BytesIO(content), len(content)


def _append(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(file).st_size
        try:
            written = 0
            while written < len(data):
                written += os.write(file, data[written:])
            os.fsync(file)
        except BaseException:
            # Also for an interrupt: whoever goes on must not append to half a line.
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)
    if size == 0:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _segments(folder: Path, name: str) -> list[Path]:
    """In order; of a file that is there in both forms, the compressed one."""
    found = {path.name.partition(".")[0]: path for path in folder.glob(f"{name}-*.jsonl")}
    found |= {path.name.partition(".")[0]: path for path in folder.glob(f"{name}-*.jsonl{_PACKED}")}
    return [found[stem] for stem in sorted(found)]


def _packed(path: Path) -> Path:
    return path.with_name(path.name + _PACKED)
