"""Counts that lie in a store, as counts in memory: for whoever asks about everybody, one after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from starrec.data import Sequences
from starrec.signals.count_store import CountStore
from starrec.signals.counts import Counts


def in_memory(counts: CountStore) -> Counts:
    """The same counts, read once: up to five int32 an interaction, two for each neighbour that is kept, the
    EASE model and the vectors.

    A store checks and copies each record each time it is asked; what is in memory is pointed at.
    """
    if isinstance(counts, Counts):
        return counts
    about = counts.about
    found = [counts.sequence(user) for user in range(about.n_users)]
    none = np.empty(0, dtype=np.int32)
    train = Sequences(
        np.cumsum([0, *(len(items) for items, _ in found)], dtype=np.int64),
        np.concatenate([none, *(items for items, _ in found)]),
        np.concatenate([none, *(days for _, days in found if days is not None)]) if about.clock else None,
    )
    factors = counts.factors()
    counted = Counts.build(
        train,
        about.n_items,
        history_cap=about.history_cap,
        kept=about.kept,
        components=0 if factors is None else factors.vectors.shape[2],
        keys=counts.user_keys,
    )
    nearest = counts.neighbours(np.arange(about.n_items, dtype=np.int32))
    return replace(counted, nearest=nearest, fitted=counts.ease(), factored=factors)
