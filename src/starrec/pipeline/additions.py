"""New interactions for the evidence of a run, from files."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from starrec.data import TableOptions, described, in_resolution, load_additions
from starrec.errors import DataError
from starrec.store import LmdbStore, Versions, evidence_folder, update
from starrec.store.build import Bar, no_bar


def add_interactions(
    run: Path,
    interactions: Path,
    items: Path | None,
    options: TableOptions,
    *,
    grace: float,
    announce: Callable[[str], None],
    bar: Bar = no_bar,
) -> None:
    """Add new interactions to the evidence: what they touch is counted anew, as a full build would.

    Args:
        items: those that the evidence does not know yet.
        options: how the files are read.
        grace: seconds for which the version before stays.
        announce: called with a line for what was read, and for what was counted.

    Raises:
        DataError: the files are wrong, or have times where the evidence has positions, or the reverse.
        RunError: there is no evidence, another process writes, or the disk is full.
    """
    versions = Versions(evidence_folder(run), grace)
    source = LmdbStore(versions.require())
    known, span, order = source.catalogue["item_id"].to_list(), source.span, source.meta.order
    given = load_additions(interactions, items, known, options=options, span=span)
    if given.order != order:
        has = {"clock": "times (a column timestamp)", "position": "positions (a column position)"}
        raise DataError(
            f"{interactions} has {has[given.order]}, and the evidence in {run} has {has[order]}. Give the same."
        )
    new = given.interactions
    if given.times is not None:
        times = in_resolution(new["time"], given.times.resolution, source.meta.resolution)
        new = new.with_columns(times.alias("time"))
    del source
    started = time.monotonic()
    if given.report.bad:
        announce(f"data: left out {given.report}")
    for note in (*given.report.notes, described(given)):
        announce(f"data: {note}")
    done = update(versions, new, given.items, bar=bar)
    before = f" (known before: {done.given - done.added:,})" if done.given > done.added else ""
    announce(
        f"evidence: {_count(done.added, 'new interaction')}{before}, {_count(done.new_users, 'new user')}, "
        f"{_count(done.new_items, 'new item')}; {_count(done.rows, 'neighbour list')} changed; {done.version}, "
        f"in {time.monotonic() - started:.1f} s"
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
