"""What a peer is: a recommender of another library, or of a paper, asked for scores of the project's
candidates.

A peer is trained on the training part of the split and asked with the history of each task. Splits, candidates,
ranks and ties stay the project's own: what libraries do there differs too much to be compared
(docs/evaluation.md). Users and items go to a peer as the dataset's contiguous numbers, never as ids or text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.data import Dataset, RankingTask, Sequences, Split, Targets
from starrec.evaluation.scorer import Scorer

Settings: TypeAlias = Mapping[str, int | float]
Drawn: TypeAlias = tuple[Sequence[RankingTask], Targets]
"""Tasks, and their targets kept apart by task id."""


class FittedPeer(Scorer, Protocol):
    """A trained peer."""

    @property
    def converged(self) -> bool | None:
        """Whether training had stopped improving; None for a fixed number of steps that nobody watched, True
        where the model is counted or solved."""
        ...


class Fit(Protocol):
    """Trains a peer."""

    def __call__(
        self,
        split: Split,
        dataset: Dataset,
        settings: Settings,
        seed: int,
        *,
        half_a: Drawn,
        folder: Path,
        final: bool,
    ) -> FittedPeer:
        """Args:
        half_a: validation tasks that may stop training early.
        folder: where training may keep what it needs to go on after an interruption.
        final: train to the end. Otherwise as much as a try of the settings deserves.
        """
        ...


@dataclass(frozen=True)
class Peer:
    """One peer, and the settings that are tried before it is compared."""

    name: str
    about: str
    """What it is, for people."""
    grid: tuple[Settings, ...]
    """Settings to try on validation half B; every peer has `tuning.TRIES` of them."""
    fit: Fit
    version: Callable[[], str]
    """Version of the library. Raises `StarrecError`, naming the command, where it is not installed."""
    seeds: tuple[int, ...] = (0,)
    """Training seeds that are compared; one where the model has no randomness, or is too dear for more."""
    in_process: bool = True
    """Whether a single request can be timed."""


def trained_items(train: Sequences, n_items: int) -> NDArray[np.bool_]:
    """`(n_items,)` whether an item has a training interaction; a peer has no score for any other."""
    known = np.zeros(n_items, dtype=np.bool_)
    known[train.items] = True
    return known


def recent(history: NDArray[np.int32], known: NDArray[np.bool_], window: int) -> NDArray[np.int32]:
    """The last `window` items (0: all) of a history that the peer knows, oldest first."""
    items = history[known[history]]
    return items[-window:] if window else items
