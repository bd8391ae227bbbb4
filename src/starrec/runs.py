"""A run folder: everything one run of the pipeline made, resumable after any interruption.

    config.toml   the configuration as resolved; another one is refused, so that a folder is never a mixture
    steps.json    what is done: each step with the fingerprint of its inputs, its outputs and some facts
    log.jsonl     what happened, one JSON object a line
    …             the outputs themselves, in folders that their steps choose

Files appear whole or not at all (`write_atomic`: a temporary file beside the final one, flushed to disk,
renamed), and a step counts as done only after its outputs do. So `kill -9` at any moment costs at most the
step that was under way. Whether a step must be run again is a question of content, not of dates.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from starrec.config import fingerprint
from starrec.errors import RunError

_TEMPORARY = ".tmp-"


def write_atomic(path: Path, content: bytes | str | Callable[[Path], object]) -> Path:
    """Put content at path whole or not at all, and return path; missing folders are made.

    A callable receives a temporary path with the same suffix in the same folder and must create a file there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{path.name}")
    try:
        if callable(content):
            content(temporary)
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


@dataclass
class Run:
    """An open run folder, held by one process at a time; use as a context manager or `close` it."""

    folder: Path
    _lock: IO[str] = field(repr=False)

    @classmethod
    def open(cls, folder: Path, config_toml: str, *, fresh: bool = False) -> Self:
        """Create the folder, or go on with one that the same configuration made.

        Args:
            config_toml: the configuration as resolved (`config.dump_toml`); comments and order do not matter.
            fresh: delete what the folder holds first; only ever a folder that a run made.

        Raises:
            RunError: the folder is in use, holds something else, or was made by another configuration.
        """
        config_file = folder / "config.toml"
        if folder.exists() and not config_file.exists() and (not folder.is_dir() or _foreign(folder)):
            raise RunError(f"{folder} exists but is not a run folder. Choose another with --run.")
        folder.mkdir(parents=True, exist_ok=True)
        lock = _acquire(folder)
        try:
            if fresh:
                _empty(folder)
            elif config_file.exists():
                _require_same(config_file, config_toml)
            for leftover in list(folder.rglob(f"{_TEMPORARY}*")):
                if leftover.is_dir():
                    shutil.rmtree(leftover)
                else:
                    leftover.unlink(missing_ok=True)
            if not config_file.exists():
                write_atomic(config_file, config_toml)
        except BaseException:
            lock.close()
            raise
        return cls(folder, lock)

    def close(self) -> None:
        """Let another process have the folder."""
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def path(self, *parts: str) -> Path:
        """A path inside the folder."""
        return self.folder.joinpath(*parts)

    def step(self, name: str, inputs: Mapping[str, object]) -> Step:
        """The step of that name for these inputs (anything `config.fingerprint` takes), done or not."""
        return Step(self, name, fingerprint(inputs))

    def log(self, event: str, **fields: object) -> None:
        """Append one line to log.jsonl: the time (UTC), the event and its fields (anything JSON can say)."""
        entry = {"time": datetime.now(UTC).isoformat(), "event": event, **fields}
        line = json.dumps(entry, ensure_ascii=False)
        with self.path("log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _steps(self) -> dict[str, dict[str, object]]:
        path = self.path("steps.json")
        if not path.exists():
            return {}
        try:
            steps = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path} is unreadable ({error}). Delete it to have all steps done again, or use --fresh."
            ) from error
        return dict(steps)


@dataclass(frozen=True)
class Step:
    """A piece of the pipeline with recorded inputs and outputs."""

    run: Run
    name: str
    inputs: str
    """Fingerprint of the inputs."""

    @property
    def done(self) -> bool:
        """Whether it was completed with the same inputs and all its outputs are still there."""
        record = self._record()
        if record is None:
            return False
        return all(self.run.path(output).exists() for output in _strings(record["outputs"]))

    @property
    def facts(self) -> dict[str, object]:
        """What `complete` recorded about it; empty while it is not done."""
        record = self._record() if self.done else None
        facts = record["facts"] if record else {}
        return dict(facts) if isinstance(facts, dict) else {}

    def complete(self, outputs: Iterable[Path], **facts: object) -> None:
        """Record that it is done; to be called once all outputs (files or folders inside the run) are in
        place.

        Raises:
            FileNotFoundError: an output does not exist.
        """
        paths = list(outputs)
        for path in paths:
            if not path.exists():
                raise FileNotFoundError(path)
        relative = [str(path.relative_to(self.run.folder)) for path in paths]
        steps = self.run._steps()
        steps[self.name] = {"inputs": self.inputs, "outputs": relative, "facts": facts}
        write_atomic(self.run.path("steps.json"), json.dumps(steps, indent=1, ensure_ascii=False) + "\n")
        self.run.log("step completed", step=self.name, inputs=self.inputs, **facts)

    def _record(self) -> dict[str, object] | None:
        record = self.run._steps().get(self.name)
        return record if record is not None and record["inputs"] == self.inputs else None


def _strings(values: object) -> list[str]:
    return [str(value) for value in values] if isinstance(values, list) else []


def _acquire(folder: Path) -> IO[str]:
    lock = (folder / ".lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        holder = lock.read().strip() or "another process"
        lock.close()
        raise RunError(
            f"Run folder {folder} is in use by {holder}. Wait for it to end, or choose another with --run."
        ) from error
    lock.truncate(0)
    lock.write(f"process {os.getpid()}")
    lock.flush()
    return lock


def _foreign(folder: Path) -> bool:
    # A process killed between making the folder and writing config.toml leaves these behind.
    return any(entry.name != ".lock" and not entry.name.startswith(_TEMPORARY) for entry in folder.iterdir())


def _empty(folder: Path) -> None:
    # config.toml goes last: until then an interrupted deletion still is a run folder.
    entries = [entry for entry in folder.iterdir() if entry.name not in (".lock", "config.toml")]
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    (folder / "config.toml").unlink(missing_ok=True)


def _require_same(config_file: Path, config_toml: str) -> None:
    try:
        recorded = _flat(tomllib.loads(config_file.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunError(
            f"{config_file} is unreadable ({error}). Choose another folder with --run, or --fresh."
        ) from error
    wanted = _flat(tomllib.loads(config_toml))
    differing = sorted(key for key in recorded.keys() | wanted.keys() if recorded.get(key) != wanted.get(key))
    if differing:
        shown = "; ".join(
            f"`{key}` was {recorded.get(key, 'unset')!r}, now {wanted.get(key, 'unset')!r}"
            for key in differing[:5]
        )
        more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
        raise RunError(
            f"Run folder {config_file.parent} was made by another configuration: {shown}{more}. "
            "Choose another folder with --run, or start this one over with --fresh."
        )


def _flat(table: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
