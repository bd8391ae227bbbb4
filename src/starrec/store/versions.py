"""Versions of the evidence: each a folder of its own, one of them named by `CURRENT`.

    evidence/v00001/data.mdb     what is read: written once, then never again
    evidence/v00001/about.json   where it came from
    evidence/v00001/retired      when it stopped being the current one
    evidence/CURRENT             "v00002": renamed into place, last of all

Readers open a version without any lock and keep it as long as they like: Linux keeps the pages of a file that
was removed while it is mapped. Writers hold `.writer` and only ever add a folder. So whatever happens while one
is made (a crash, a full disk, `kill -9`), the version before it stays whole, and the next writer removes what
was left half done.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lmdb
from filelock import FileLock, Timeout

from starrec.errors import RunError
from starrec.runs import current_product, write_atomic

GRACE_SECONDS: Final = 600.0
"""How long a version stays after another took its place, unless told: readers that have its name must have
opened it by then."""

_NAME: Final = re.compile(r"v\d{5,}")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""LMDB reports a write that came out short as EIO."""


@dataclass(frozen=True)
class Versions:
    """A folder of versions."""

    folder: Path
    grace: float = GRACE_SECONDS
    """Seconds."""

    def current(self) -> Path | None:
        """The folder of the current version; None where none was ever finished.

        Raises:
            RunError: CURRENT names nothing that is there.
        """
        try:
            name = (self.folder / "CURRENT").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        found = self.folder / name
        if not _NAME.fullmatch(name) or not (found / "data.mdb").is_file():
            raise RunError(
                f"{self.folder / 'CURRENT'} names {name!r}, which is not there. Build the evidence again with "
                "`starrec signals build --fresh`."
            )
        return found

    def require(self) -> Path:
        """The folder of the current version.

        Raises:
            RunError: there is none.
        """
        found = self.current()
        if found is None:
            raise RunError(f"{self.folder} holds no evidence yet. Build it with `starrec signals build`.")
        return found

    def all(self) -> list[Path]:
        """All versions that are there, oldest first; the last may be half done."""
        if not self.folder.is_dir():
            return []
        named = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(named, key=_number)

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Hold the folder as its only writer, and remove what others left half done.

        Raises:
            RunError: another process writes.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".writer", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise RunError(
                f"Another process is building or updating {self.folder}. Wait for it to end."
            ) from error
        with lock:
            self.clean()
            yield
        lock.release()

    def clean(self) -> None:
        """Remove what is half done, and versions whose time is over. For the writer."""
        current = self._number_of_current()
        for version in self.all():
            if _number(version) > current:
                shutil.rmtree(version, ignore_errors=True)
            elif _number(version) < current:
                retired = version / "retired"
                if not retired.exists():
                    # Its successor's writer ended between the two.
                    retired.touch()
                if time.time() - retired.stat().st_mtime >= self.grace:
                    shutil.rmtree(version, ignore_errors=True)

    @contextmanager
    def adding(self, what: str, needed: int, about: Callable[[], Mapping[str, Any]]) -> Iterator[Path]:
        """A folder to write the next version into; it becomes the current one when the block ends well, and
        goes when it does not. For the writer.

        Args:
            what: is being written, for errors.
            needed: bytes, about.
            about: what goes into about.json, asked in the end.

        Raises:
            RunError: the disk is full; nothing was lost.
        """
        before = self._number_of_current()
        folder = self.folder / f"v{before + 1:05}"
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise self._full(what, needed, before)
        folder.mkdir()
        try:
            yield folder
            write_atomic(folder / "about.json", json.dumps(about(), indent=1) + "\n")
            write_atomic(self.folder / "CURRENT", folder.name + "\n")
        except BaseException as error:
            if self._number_of_current() == before:
                shutil.rmtree(folder, ignore_errors=True)
            code = error.code if isinstance(error, lmdb.Error) else getattr(error, "errno", None)
            if isinstance(error, (lmdb.Error, OSError)) and code in _FULL:
                raise self._full(what, needed, before, error) from error
            raise
        if before:
            (self.folder / f"v{before:05}" / "retired").touch()
        self.clean()

    def _full(self, what: str, needed: int, before: int, error: Exception | None = None) -> RunError:
        free = shutil.disk_usage(self.folder).free
        kept = f"The evidence before it (v{before:05}) is untouched" if before else "Nothing was left behind"
        reason = f" ({error})" if error else ""
        return RunError(
            f"No space in {self.folder} to write {what}{reason}: it needs about {readable_size(needed)}, and "
            f"{readable_size(free)} are free. {kept}. Make room and run the same command again."
        )

    def _number_of_current(self) -> int:
        path = self.folder / "CURRENT"
        if not path.exists():
            return 0
        name = path.read_text(encoding="utf-8", errors="replace").strip()
        if not _NAME.fullmatch(name):
            # Taking it for none would remove whole versions.
            raise RunError(f"{path} is unreadable ({name[:20]!r}): it should name one of {self._names()}.")
        return int(name[1:])

    def _names(self) -> str:
        return ", ".join(path.name for path in self.all()) or "the versions there (there are none)"


def evidence_folder(run: Path) -> Path:
    """Where the versions of the evidence are that the last call over a run folder used.

    Raises:
        RunError: none was built.
    """
    product = current_product(run, "evidence", complete=False)
    if product is None:
        raise RunError(f"{run} holds no evidence yet. Build it with `starrec signals build --run {run}`.")
    return product.folder


def readable_size(size: float) -> str:
    """A size for people."""
    if size < 1e6:
        return f"{size / 1e3:,.1f} kB"
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.2f} GB"


def _number(version: Path) -> int:
    return int(version.name[1:])
