"""A run folder: everything one run of the pipeline made, resumable after any interruption.

    config.toml              the configuration of the last call
    run.json                 the format of the folder, and which products the last call used
    STEP/FINGERPRINT/        the product of a step: inputs.json, its files, and product.json once it is complete
    trajectories.sqlite      the teacher's runs, keyed by task and teacher (`trajectories.Store`)
    log.jsonl                what happened, one JSON object a line

A product lies in a folder named by the fingerprint of the step's own inputs: the settings that matter to it,
the data that matters by content, and a format version that is raised on purpose when the code gives something
else. So any setting may change: what depends on it gets a sibling, what does not is found again, and nothing is
deleted but by `starrec runs clean`.

Files appear whole or not at all (`write_atomic`: a temporary file beside the final one, flushed to disk,
renamed), and a product counts only once its product.json is there. So `kill -9` at any moment costs at most the
step that was under way.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from filelock import FileLock, Timeout

from starrec.config import canonical, fingerprint
from starrec.errors import RunError
from starrec.version import __version__

FORMAT: Final = 2
"""Of the folder. 1 was that of the first releases, which kept one product a step beside steps.json."""
STEPS: Final = ("data", "evidence", "teach", "distill", "controls", "evaluate")
"""Steps that make products, in their order."""

_TEMPORARY: Final = ".tmp-"
_PRODUCT: Final = "product.json"
_INPUTS: Final = "inputs.json"
_LOCK: Final = ".lock"
_HOLDER: Final = ".holder"


def write_atomic(path: Path, content: bytes | str | Callable[[Path], object]) -> Path:
    """Put content at path whole or not at all, and return path; missing folders are made.

    A callable receives a temporary path with the same suffix in the same folder and must create a file there.
    The file gets the permissions that the account gives new files, whatever the callable gave it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{path.name}")
    try:
        if callable(content):
            # Made here first: the account's mask decides its permissions, and some writers make private files.
            temporary.touch()
            mode = temporary.stat().st_mode
            content(temporary)
            temporary.chmod(mode)
        else:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path


@dataclass(frozen=True)
class Product:
    """What a step makes of its inputs: a folder of files."""

    folder: Path
    step: str
    inputs: Mapping[str, Any]
    """As `config.canonical` writes them."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits that name the inputs."""
        return self.folder.name

    @property
    def done(self) -> bool:
        """Whether it was completed."""
        return (self.folder / _PRODUCT).is_file()

    @property
    def facts(self) -> dict[str, Any]:
        """What `complete` recorded about it; empty while it is not done.

        Raises:
            RunError: the record is unreadable.
        """
        return dict(_json(self.folder / _PRODUCT)["facts"]) if self.done else {}

    def path(self, *parts: str) -> Path:
        """A path inside the product's folder."""
        return self.folder.joinpath(*parts)

    def publish(self, name: str, write: Callable[[Path], object]) -> Path:
        """A folder of the product that appears whole: `write` fills a folder beside it, which is then
        renamed."""
        folder, beside = self.path(name), self.path(f"{_TEMPORARY}{name}")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        write(beside)
        # As the account gives new files: some writers make private ones (safetensors: 0600).
        readable = beside.stat().st_mode & 0o666
        for path in beside.iterdir():
            path.chmod(readable)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
        return folder

    def begin(self) -> None:
        """Make the folder and write down the inputs; what an earlier process left in it stays."""
        if not (self.folder / _INPUTS).exists():
            write_atomic(self.folder / _INPUTS, json.dumps(self.inputs, indent=1, ensure_ascii=False) + "\n")

    def complete(self, **facts: object) -> None:
        """Record that it is done, with facts about it; to be called once all its files are in place."""
        self.begin()
        record = {
            "facts": facts,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "starrec": __version__,
        }
        write_atomic(self.folder / _PRODUCT, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


@dataclass
class Run:
    """An open run folder, held by one process at a time; use as a context manager or `close` it."""

    folder: Path
    _lock: FileLock = field(repr=False)

    @classmethod
    def open(cls, folder: Path, config_toml: str) -> Self:
        """Create the folder, or go on with one, under this configuration.

        Args:
            config_toml: the configuration as resolved (`config.dump_toml`), kept as that of the last call.

        Raises:
            RunError: the folder is in use, holds something else, cannot be written, or was made by a release
                whose folders this one does not read; then nothing in it was touched.
        """
        marked = folder / "run.json"
        if folder.exists() and not marked.exists():
            _require_new(folder)
        if marked.exists():
            _current(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = lock_folder(folder, "choose another with --run")
        except PermissionError as error:
            raise RunError(
                f"{folder} cannot be written by this account ({error.strerror}). Reading it (`recommend`, "
                "`signals show`, `trajectories`) works; to make something, choose another folder with --run."
            ) from error
        try:
            for leftover in list(folder.rglob(f"{_TEMPORARY}*")):
                if leftover.is_dir():
                    shutil.rmtree(leftover)
                else:
                    leftover.unlink(missing_ok=True)
            config_file = folder / "config.toml"
            if not config_file.exists() or config_file.read_text(encoding="utf-8") != config_toml:
                write_atomic(config_file, config_toml)
            if not marked.exists():
                _mark(folder, {})
        except BaseException:
            lock.release()
            raise
        return cls(folder, lock)

    def close(self) -> None:
        """Let another process have the folder."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def path(self, *parts: str) -> Path:
        """A path inside the folder."""
        return self.folder.joinpath(*parts)

    def product(self, step: str, inputs: Mapping[str, object]) -> Product:
        """The product of a step for these inputs (anything `config.fingerprint` takes), done or not."""
        return Product(self.path(step, fingerprint(inputs)), step, canonical(inputs))

    def current(self, step: str) -> Product | None:
        """The product of a step that the last call used, if there is one that is complete."""
        return current_product(self.folder, step)

    def use(self, product: Product) -> None:
        """Begin it, or go on with it, and make it the one that the last call used."""
        product.begin()
        used = _current(self.folder)
        if used.get(product.step) != product.fingerprint:
            _mark(self.folder, {**used, product.step: product.fingerprint})
            self.log("product", step=product.step, fingerprint=product.fingerprint, done=product.done)

    def log(self, event: str, **fields: object) -> None:
        """Append one line to log.jsonl: the time (UTC), the event and its fields (anything JSON can say)."""
        entry = {"time": datetime.now(UTC).isoformat(), "event": event, **fields}
        line = json.dumps(entry, ensure_ascii=False)
        with self.path("log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def current_product(folder: Path, step: str, *, complete: bool = True) -> Product | None:
    """The product of a step that the last call over a run folder used, also without holding the folder.

    Args:
        complete: only one that is complete.

    Raises:
        RunError: the folder is of another format, or its records are unreadable.
    """
    if not is_run(folder):
        _require_no_first_release(folder)
        return None
    name = _current(folder).get(step)
    if name is None or not (folder / step / name / (_PRODUCT if complete else _INPUTS)).is_file():
        return None
    return _product(folder / step / name)


def products(folder: Path) -> list[tuple[Product, bool]]:
    """Every product in a run folder, also those that are not complete, by step and age; with each whether the
    last call used it."""
    used = _current(folder)
    found = []
    for step in STEPS:
        inside = [path for path in (folder / step).glob("*") if (path / _INPUTS).is_file()]
        for path in sorted(inside, key=lambda path: (path / _INPUTS).stat().st_mtime):
            found.append((_product(path), used.get(step) == path.name))
    return found


def made(product: Product) -> str:
    """When it was completed (ISO 8601, UTC); empty while it is not."""
    return str(_json(product.folder / _PRODUCT)["made"]) if product.done else ""


def is_run(folder: Path) -> bool:
    """Whether it is a run folder of this format."""
    return (folder / "run.json").is_file()


def _current(folder: Path) -> dict[str, str]:
    path = folder / "run.json"
    content = _json(path)
    if content.get("format") != FORMAT or not isinstance(content.get("current"), dict):
        raise RunError(
            f"{folder} was made by another release of starrec (its format is {content.get('format')!r}, this "
            f"one's {FORMAT}). It is left as it is: use that release for it, or choose another folder with "
            "--run."
        )
    return dict(content["current"])


def _mark(folder: Path, current: Mapping[str, str]) -> None:
    content = {"format": FORMAT, "current": current}
    write_atomic(folder / "run.json", json.dumps(content, indent=1) + "\n")


def _product(folder: Path) -> Product:
    return Product(folder, folder.parent.name, _json(folder / _INPUTS))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} is unreadable ({error}). Restore it, or remove {path.parent} and run the same command "
            "again."
        ) from error
    return content


def _require_new(folder: Path) -> None:
    """Raise unless a folder without run.json is empty, or holds what a killed process left there at once."""
    _require_no_first_release(folder)
    mine = (_LOCK, _HOLDER, "config.toml")
    if not folder.is_dir() or any(
        entry.name not in mine and not entry.name.startswith(_TEMPORARY) for entry in folder.iterdir()
    ):
        raise RunError(f"{folder} exists but is not a run folder. Choose another with --run.")


def _require_no_first_release(folder: Path) -> None:
    if (folder / "steps.json").is_file() and (folder / "config.toml").is_file():
        raise RunError(
            f"{folder} was made by a release of starrec whose run folders this one does not read (0.1, with a "
            "steps.json). Nothing in it was touched. Choose another folder with --run; to keep using this one, "
            "install the release that made it."
        )


def lock_folder(folder: Path, otherwise: str) -> FileLock:
    """Hold a folder against other processes until the lock is released, or this process ends in any way.

    Args:
        otherwise: what one can do instead of waiting, for the error.

    Raises:
        RunError: another process holds it.
    """
    lock = FileLock(folder / _LOCK)
    holder = folder / _HOLDER
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        owner = holder.read_text(encoding="utf-8").strip() if holder.exists() else "another process"
        raise RunError(f"Folder {folder} is in use by {owner}. Wait for it to end, or {otherwise}.") from error
    holder.write_text(f"process {os.getpid()}", encoding="utf-8")
    return lock
