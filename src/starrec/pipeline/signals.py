"""The `signals` step: the split, and all counts of its training part.

Everything offline happens here: whatever a task, a tool or a prompt later looks up was counted in this module.
The graph holds the training part only; which of its counts a task may see is the graph's own rule.
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
    """The data of a run as every later step uses them."""

    dataset: Dataset
    sequences: Sequences
    split: Split
    world: World


def prepare(session: Session, dataset: Dataset) -> Prepared:
    """Split and count for this run, and report what was counted.

    Raises:
        DataError: no user can be tested, or every user took too much of the catalogue.
    """
    tie_seed = session.config.data.tie_seed
    prepared = split_and_count(dataset, tie_seed, session.config.signals, _embeddings(session, dataset))
    graph = prepared.world.graph
    source = graph.counts
    model = source.ease()
    session.announce(
        f"signals: {graph.n_users:,} users, {graph.n_interactions:,} training interactions, an EASE model of "
        f"{0 if model is None else len(model.items):,} of {graph.n_items:,} items"
    )
    _report_left_out(session, prepared)
    if not (prepared.split.validation >= 0).any():
        session.announce("signals: no user has a validation item, and `distill` will need some")
    return prepared


def split_and_count(
    dataset: Dataset, tie_seed: int, config: SignalsConfig, embeddings: NDArray[np.float32] | None = None
) -> Prepared:
    """Split, and count the graph of the training part.

    Args:
        tie_seed: orders interactions of a user that have the same time.
        embeddings: of the items, as in `Semantics`.

    Raises:
        DataError: no user can be tested.
    """
    sequences = dataset.sequences(tie_seed)
    split = hold_out(sequences)
    if not (split.test >= 0).any():
        raise DataError(_no_test_user(sequences))
    graph = Graph(count_signals(split.train, dataset.n_items, config))
    graph.counts.ease()  # once here, not once in every worker
    return Prepared(dataset, sequences, split, World.of(dataset, graph, config, embeddings))


def _no_test_user(sequences: Sequences) -> str:
    if sequences.parts is None:
        return (
            "No user has 3 or more interactions, so nobody can be tested: the last two of a user are held out. "
            "Add interactions."
        )
    return (
        "Nobody can be tested: by your own split, no user has a test interaction that comes after a training "
        "or validation interaction of the same user. Check the column or the files of the split, and the times."
    )


def _report_left_out(session: Session, prepared: Prepared) -> None:
    """Users who took so much of the catalogue that no task can be made; reported before anything is spent."""
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
    """Embeddings of the catalogue where they are configured; computed once a catalogue."""
    if not session.config.signals.embeddings:
        return None
    with session.bar("embedding titles", dataset.n_items, 0) as advance:
        return item_embeddings(
            dataset, session.run.path("embeddings"), advance=advance, announce=session.announce
        )
