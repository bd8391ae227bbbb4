"""The `signals` step: the split, and what is counted on its training part alone.

Everything offline happens here: what a task, a tool or a prompt later looks up was counted in this module. The
graph holds the training split only; which of its counts a task may see is the graph's own rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from starrec.data import Dataset, Sequences, Split, hold_out, took_too_much
from starrec.errors import DataError
from starrec.pipeline.session import Session
from starrec.signals import Graph, SignalsConfig, count_signals
from starrec.signals.embeddings import item_embeddings
from starrec.tools import World


@dataclass(frozen=True, eq=False)
class Prepared:
    """The data of a run as every later step uses it."""

    dataset: Dataset
    sequences: Sequences
    split: Split
    world: World


def prepare(session: Session, dataset: Dataset) -> Prepared:
    """Count for this run, say what was counted, and keep what an answering run needs to count the same.

    Raises:
        DataError: nobody has enough interactions to be tested.
    """
    tie_seed = session.config.data.tie_seed
    prepared = count(dataset, tie_seed, session.config.signals, _embeddings(session, dataset))
    graph = prepared.world.graph
    source = graph.counts
    model = source.ease()
    session.announce(
        f"signals: {graph.n_users:,} users, {graph.n_interactions:,} training interactions, an EASE model of "
        f"{0 if model is None else len(model.items):,} of {graph.n_items:,} items"
    )
    _say_who_is_left_out(session, prepared)
    return prepared


def count(
    dataset: Dataset, tie_seed: int, config: SignalsConfig, embeddings: NDArray[np.float32] | None = None
) -> Prepared:
    """Split, and count the graph of the training split, with equal times ordered by this seed.

    Args:
        embeddings: as in `Semantics`.

    Raises:
        DataError: nobody has enough interactions to be tested.
    """
    sequences = dataset.sequences(tie_seed)
    split = hold_out(sequences)
    if not (split.test >= 0).any():
        raise DataError(
            "No user has 3 or more interactions, so nobody can be tested: the last two of a user "
            "are held out. Add interactions."
        )
    graph = Graph(count_signals(split.train, dataset.n_items, config))
    graph.counts.ease()  # once here, not once in every worker
    return Prepared(dataset, sequences, split, World.of(dataset, graph, config, embeddings))


def _say_who_is_left_out(session: Session, prepared: Prepared) -> None:
    """Users who took so much of the catalogue that no task can be made; told before anything is spent."""
    negatives = session.config.data.negatives
    short = took_too_much(prepared.dataset, prepared.sequences, negatives) & (prepared.split.test >= 0)
    if not short.any():
        return
    if short.sum() == (prepared.split.test >= 0).sum():
        most = int((prepared.dataset.n_items - prepared.sequences.lengths).max())
        raise DataError(
            f"Every user took so much of the catalogue of {prepared.dataset.n_items:,} items that {negatives} "
            f"negatives cannot be drawn. Add items, or set `[data] negatives` to at most {most}."
        )
    count, first = int(short.sum()), prepared.dataset.user_ids[int(short.argmax())]
    session.announce(
        f"signals: no task for {count:,} user{'s' if count > 1 else ''} who took so much of the catalogue that "
        f"{negatives} negatives cannot be drawn, such as {first!r}; their interactions count all the same"
    )


def _embeddings(session: Session, dataset: Dataset) -> NDArray[np.float32] | None:
    """Of the catalogue, where they are wanted; computed once a catalogue."""
    if not session.config.signals.embeddings:
        return None
    with session.bar("embedding titles", dataset.n_items, 0) as advance:
        return item_embeddings(
            dataset, session.run.path("embeddings"), advance=advance, announce=session.announce
        )
