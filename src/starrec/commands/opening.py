"""The pipeline over the run folder that a command means, with the configuration that counts there.

A command finds its configuration in the file that it is given, else in the run folder, else in the defaults;
options for a user's own files set keys of `[data]` over it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from starrec.errors import DataError
from starrec.terminal import announce, progress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from starrec.config import Section
    from starrec.data import DataConfig
    from starrec.pipeline import Pipeline, RunConfig
    from starrec.store.build import Bar

S = TypeVar("S", bound="Section")


@contextmanager
def open_pipeline(
    folder: Path, config: Path | None, update_data: bool, overrides: Mapping[str, Any] | None = None
) -> Iterator[Pipeline]:
    from starrec.pipeline import Pipeline

    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    with progress() as bars:
        resolved = _configuration(folder, config, overrides or {}, partial(announce, bars.console))
        try:
            with Pipeline.open(
                folder,
                resolved,
                update_data=update_data,
                announce=partial(announce, bars.console),
                progress=bars,
            ) as pipeline:
                yield pipeline
        except DataError:
            _discard_unstarted(missing)
            raise


def _configuration(
    folder: Path, config: Path | None, overrides: Mapping[str, Any], notify: Callable[[str], None]
) -> RunConfig:
    """The configuration in a file, or of an existing run folder, or the default one; with overrides of
    `[data]`."""
    from starrec.config import dump_toml, load_recorded, load_toml, parse_toml
    from starrec.pipeline import RunConfig

    recorded = folder / "config.toml"
    if config is not None:
        base = load_toml(config, RunConfig)
    elif recorded.is_file():
        base, unknown = load_recorded(recorded, RunConfig)
        if unknown:
            notify(f"{recorded}: left out what this release does not know: {', '.join(unknown)}")
    else:
        base = RunConfig()
    if not overrides:
        return base
    section = with_overrides(base.data, overrides)
    # Through TOML and back, so that what was typed is checked like what is written in a file.
    return parse_toml(dump_toml(base.model_copy(update={"data": section})), RunConfig, "The command line")


def with_overrides(data: DataConfig, overrides: Mapping[str, Any]) -> DataConfig:
    """The section with what was set on the command line; not checked yet."""
    columns = data.columns.updated(overrides.get("columns", {}))
    names = data.names.model_copy(update=overrides.get("names", {}))
    return data.model_copy(update={**overrides, "columns": columns, "names": names})


def _discard_unstarted(missing: Sequence[Path]) -> None:
    """Remove a run folder that this command made and in which nothing was completed, with the parents made
    for it: data that were refused leave nothing behind that would refuse their mended form."""
    folder = missing[0] if missing else None
    if folder is None or (folder / "data").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    for parent in missing[1:]:
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()


def recorded_section(run: Path, name: str, section: type[S]) -> S:
    """A section of a run's configuration; the rest of it is no matter of evidence."""
    from pydantic import create_model

    from starrec.config import load_recorded

    path = run / "config.toml"
    if not path.exists():
        return section()
    only: dict[str, Any] = {name: (section, section())}
    wrapper = create_model("Recorded", **only)
    found: S = getattr(load_recorded(path, wrapper)[0], name)
    return found


def data_settings(run: Path, overrides: Mapping[str, Any]) -> DataConfig:
    """The `[data]` section of a run, with what was set on the command line."""
    from starrec.config import dump_toml, parse_toml
    from starrec.data import DataConfig

    settings = with_overrides(recorded_section(run, "data", DataConfig), overrides)
    return parse_toml(dump_toml(settings), DataConfig, "The command line")


@contextmanager
def counting_bars(shown: Progress) -> Iterator[Bar]:
    """Bars one after the other: the next one ends the one before."""
    tasks: list[TaskID] = []

    def begin(name: str, total: int) -> Callable[[int], None]:
        while tasks:
            shown.remove_task(tasks.pop())
        task = shown.add_task(name, total=total)
        tasks.append(task)
        return lambda count: shown.advance(task, count)

    yield begin
