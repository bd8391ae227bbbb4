"""The `data` step: from a source's files to the dataset that the run keeps.

The run holds a copy of what it read and works from that copy: a download that moved, or a file that was edited
since, changes nothing half-way. An edited file is reported, and read again with `--update-data`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starrec.data import (
    DataConfig,
    Dataset,
    GivenTask,
    Report,
    describe,
    file_sha256,
    load_agentsociety,
    load_movielens_100k,
    load_saved_dataset,
    load_tables,
    save_dataset,
    save_tasks,
    source_files,
)
from starrec.errors import DataError
from starrec.pipeline.fingerprints import GROWN, data_inputs
from starrec.pipeline.session import Session
from starrec.runs import Product


@dataclass(frozen=True)
class _Stamp:
    """A source file, or a folder of them, as it was read. While size and time (ns) stay, it is not hashed
    again."""

    path: str
    sha256: str
    size: int
    mtime_ns: int


def read_or_load(session: Session, *, update: bool = False) -> Dataset:
    """Read, check and store the interactions, or load what was stored.

    Args:
        update: read source files again that changed since.

    Raises:
        DataError: the data cannot be read.
    """
    config = session.config.data
    current = session.run.current("data")
    stamps = _stamps(session, current, update)
    product = session.run.product(
        "data", data_inputs(config.reading, {name: stamp.sha256 for name, stamp in stamps.items()})
    )
    if current is not None and GROWN in current.inputs:
        session.announce(
            "data: the files as they are; interactions that `starrec refresh` took in besides are left out. "
            "Put them into your files and give --update-data."
        )
    if product.done:
        dataset = load_saved_dataset(product.folder)
        session.run.use(product)
        session.announce(f"data: {describe(dataset)} (done before)")
        return dataset
    _require_as_stamped(config, stamps)
    dataset, given, notes = _read(config, session.announce)
    product.begin()
    save_dataset(dataset, product.folder)
    if config.source == "agentsociety" and config.tasks is not None:
        save_tasks(product.folder, given, notes)
    product.complete(sha256=dataset.sha256, files={name: asdict(stamp) for name, stamp in stamps.items()})
    session.run.use(product)
    session.announce(f"data: {describe(dataset)}")
    return dataset


def _read(
    config: DataConfig, announce: Callable[[str], None]
) -> tuple[Dataset, Sequence[GivenTask], Sequence[str]]:
    """The dataset, the tasks that came with it, and what was left out and decided."""
    if config.source == "movielens-100k":
        return load_movielens_100k(_cache(), local=config.local, notify=announce), (), ()
    given: Sequence[GivenTask] = ()
    if config.source == "agentsociety":
        if config.folder is None:
            raise DataError(
                "The AgentSociety layout is a folder with user.json, item.json and review.json: set `[data] "
                "folder` to it, and `tasks` to the folder of its tasks."
            )
        dataset, given, report = load_agentsociety(
            config.folder, config.tasks, options=config, platform=config.platform
        )
    else:
        dataset, report = _tables(config)
    notes = [f"left out {report}"] if report.bad else []
    notes += report.notes
    if given:
        notes.append(f"{len(given):,} given tasks")
    for note in notes:
        announce(f"data: {note}")
    return dataset, given, notes


def _tables(config: DataConfig) -> tuple[Dataset, Report]:
    if config.interactions is None or config.items is None:
        raise DataError(
            "Your own data needs two files: give --interactions FILE and --items FILE (or set both in the "
            "`[data]` section of the configuration)."
        )
    held_out = {"validation": config.validation_interactions, "test": config.test_interactions}
    return load_tables(
        config.interactions,
        config.items,
        config.users,
        options=config,
        held_out={part: path for part, path in held_out.items() if path is not None},
    )


def _stamps(session: Session, current: Product | None, update: bool) -> dict[str, _Stamp]:
    """Each source file as it is now; as it was read where it is gone, or was edited and is not to be read."""
    config = session.config.data
    recorded: Mapping[str, Any] = current.facts["files"] if current else {}
    stamps = {}
    for name, path in config.files.items():
        before = _Stamp(**recorded[name]) if name in recorded else None
        if not path.exists():
            if before is None:
                raise DataError(f"There is no file or folder {path}. Check the path.")
            session.announce(f"data: {path} is not there (any more); the run's own copy answers")
            stamps[name] = before
            continue
        now = _stamp(path, before)
        edited = before is not None and before.path == now.path and before.sha256 != now.sha256
        if edited and not update:
            assert before is not None
            session.announce(
                f"data: {path} differs from what this run read; the run's own copy answers. "
                "Give --update-data to take it in."
            )
            stamps[name] = before
            continue
        stamps[name] = now
    return stamps


def _stamp(path: Path, before: _Stamp | None) -> _Stamp:
    files = source_files(path) if path.is_dir() else [path]
    # The time of a folder changes where a file comes or goes.
    watched = {path, *files, *(file.parent for file in files)} if path.is_dir() else {path}
    size = sum(file.stat().st_size for file in files)
    time = max(each.stat().st_mtime_ns for each in watched)
    if before is not None and (before.path, before.size, before.mtime_ns) == (str(path), size, time):
        return before
    return _Stamp(str(path), _sha256(path, files), size, time)


def _sha256(path: Path, files: Sequence[Path]) -> str:
    """Of a file's content; of a folder's, the names of its files with theirs."""
    if not path.is_dir():
        return file_sha256(path)
    listed = "".join(f"{file.name} {file_sha256(file)}\n" for file in files)
    return hashlib.sha256(listed.encode()).hexdigest()


def _require_as_stamped(config: DataConfig, stamps: Mapping[str, _Stamp]) -> None:
    """Raise where the files to be read are not those whose hashes name the product."""
    for name, path in config.files.items():
        if not path.exists():
            raise DataError(
                f"There is no file or folder {path} any more, and the run's own copy was read with other "
                "settings of `[data]`. Name it again, or set them as they were."
            )
        if _stamp(path, stamps[name]) != stamps[name]:
            raise DataError(
                f"{path} was edited since this run read it, and settings of `[data]` changed too. Give "
                "--update-data to read it as it is, or restore the file."
            )


def _cache() -> Path:
    return Path.home() / ".cache" / "starrec"
