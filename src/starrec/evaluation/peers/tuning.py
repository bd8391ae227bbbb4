"""Settings of a peer, chosen by avg_hr on validation half B; every peer gets the same number of tries.

Nothing is chosen on test. Each try is written down when it ends, so tuning that was killed goes on, and an
evaluation made again finds what was chosen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from starrec.data import Dataset, Split
from starrec.errors import StarrecError
from starrec.evaluation.peers.peer import Drawn, Peer, Settings
from starrec.evaluation.ranks import mean_avg_hr
from starrec.evaluation.scorer import rank_by_scores
from starrec.runs import write_atomic

TRIES: Final = 8
"""Tries of every peer."""


@dataclass(frozen=True)
class Try:
    """One setting and what it gave."""

    settings: Mapping[str, int | float]
    validation_avg_hr: float
    """On validation half B."""
    unscored: int
    """Candidates of it that had no score."""
    converged: bool | None
    seconds: float


@dataclass(frozen=True)
class Tuned:
    """The chosen settings of a peer, and how they were found."""

    settings: Settings
    tries: tuple[Try, ...]

    @property
    def validation_avg_hr(self) -> float:
        """Of the chosen settings."""
        return max(found.validation_avg_hr for found in self.tries)


def tune(
    peer: Peer,
    split: Split,
    dataset: Dataset,
    half_b: Drawn,
    *,
    half_a: Drawn,
    folder: Path,
    announce: Callable[[str], None] = lambda line: None,
) -> Tuned:
    """Fit every setting of the peer's grid (seed 0), and choose the best on half B; the first of equal ones.

    Args:
        half_b: validation tasks that choose.
        half_a: validation tasks that may stop training early.
        folder: keeps `tries.json` and what the peer keeps of its training; to be used for one dataset and
        split. announce: called with a line for every try.

    Raises:
        StarrecError: half B has no tasks; `tries.json` cannot be read; or the peer cannot be trained.
    """
    tasks, targets = half_b
    if not tasks:
        raise StarrecError(
            f"The settings of {peer.name} are chosen on validation half B, which has no tasks. Leave the "
            "peer out of `[evaluation] peers`, or add users with a validation item."
        )
    kept = _read(folder / "tries.json")
    tries: list[Try] = []
    for number, settings in enumerate(peer.grid, start=1):
        found = next((before for before in kept if before.settings == settings), None)
        if found is None:
            started = time.monotonic()
            fitted = peer.fit(split, dataset, settings, 0, half_a=half_a, folder=folder, final=False)
            rankings, unscored = rank_by_scores(fitted, tasks)
            value = mean_avg_hr(tasks, rankings, targets)
            found = Try(dict(settings), value, unscored, fitted.converged, time.monotonic() - started)
        tries.append(found)
        write_atomic(folder / "tries.json", json.dumps([asdict(done) for done in tries], indent=1) + "\n")
        shown = ", ".join(f"{name} {value:g}" for name, value in settings.items())
        announce(f"{peer.name} {number} of {len(peer.grid)}: {shown}: {found.validation_avg_hr:.3f}")
    best = max(tries, key=lambda found: found.validation_avg_hr)
    return Tuned(best.settings, tuple(tries))


def _read(path: Path) -> list[Try]:
    if not path.exists():
        return []
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return [Try(**row) for row in rows]
    except (OSError, ValueError, TypeError) as error:
        raise StarrecError(f"{path} holds no record of tries ({error}). Delete it to tune anew.") from error
