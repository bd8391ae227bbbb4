"""The `data` step: from a source's files to the dataset that the run keeps.

The run holds a copy of what it read and works from that copy: a download that moved, or a file that was edited
since, changes nothing half-way. An edited file is reported, and read again with `--update-data`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starrec.data import (
    DataConfig,
    Dataset,
    describe,
    file_sha256,
    load_movielens_100k,
    load_saved_dataset,
    load_tables,
    save_dataset,
)
from starrec.errors import DataError
from starrec.pipeline.fingerprints import data_inputs
from starrec.pipeline.session import Session
from starrec.runs import Product


@dataclass(frozen=True)
class _Stamp:
    """A source file as it was read. While size and time (ns) stay, it is not hashed again."""

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
    if product.done:
        dataset = load_saved_dataset(product.folder)
        session.run.use(product)
        session.announce(f"data: {describe(dataset)} (done before)")
        return dataset
    _require_as_stamped(config, stamps)
    dataset = _read(config, session.announce)
    product.begin()
    save_dataset(dataset, product.folder)
    product.complete(sha256=dataset.sha256, files={name: asdict(stamp) for name, stamp in stamps.items()})
    session.run.use(product)
    session.announce(f"data: {describe(dataset)}")
    return dataset


def _read(config: DataConfig, announce: Callable[[str], None]) -> Dataset:
    if config.source == "movielens-100k":
        return load_movielens_100k(_cache(), local=config.local, notify=announce)
    if config.interactions is None or config.items is None:
        raise DataError(
            "Your own data needs two files: give --interactions FILE and --items FILE (or set both in the "
            "`[data]` section of the configuration)."
        )
    held_out = {"validation": config.validation_interactions, "test": config.test_interactions}
    dataset, report = load_tables(
        config.interactions,
        config.items,
        config.users,
        options=config,
        held_out={part: path for part, path in held_out.items() if path is not None},
    )
    if report.bad:
        announce(f"data: left out {report}")
    for note in report.notes:
        announce(f"data: {note}")
    return dataset


def _stamps(session: Session, current: Product | None, update: bool) -> dict[str, _Stamp]:
    """Each source file as it is now; as it was read where it is gone, or was edited and is not to be read."""
    config = session.config.data
    recorded: Mapping[str, Any] = current.facts["files"] if current else {}
    stamps = {}
    for name, path in config.files.items():
        before = _Stamp(**recorded[name]) if name in recorded else None
        if not path.is_file():
            if before is None:
                raise DataError(f"There is no file {path}. Check the path.")
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
    about = path.stat()
    if before is not None and (before.path, before.size, before.mtime_ns) == (
        str(path),
        about.st_size,
        about.st_mtime_ns,
    ):
        return before
    return _Stamp(str(path), file_sha256(path), about.st_size, about.st_mtime_ns)


def _require_as_stamped(config: DataConfig, stamps: Mapping[str, _Stamp]) -> None:
    """Raise where the files to be read are not those whose hashes name the product."""
    for name, path in config.files.items():
        if not path.is_file():
            raise DataError(
                f"There is no file {path} any more, and the run's own copy was read with other settings of "
                "`[data]`. Name the file again, or set them as they were."
            )
        if _stamp(path, stamps[name]) != stamps[name]:
            raise DataError(
                f"{path} was edited since this run read it, and settings of `[data]` changed too. Give "
                "--update-data to read it as it is, or restore the file."
            )


def _cache() -> Path:
    return Path.home() / ".cache" / "starrec"
