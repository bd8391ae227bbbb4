"""The `signals` step: the split, and all counts of its training part.

Everything offline happens here: whatever a task, a tool or a prompt later looks up was counted in this module.
The graph holds the training part only; which of its counts a task may see is the graph's own rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from starrec.data import (
    MIN_TASKS,
    SECONDS_A_DAY,
    Dataset,
    Sequences,
    Split,
    SplitRule,
    date_of,
    hold_out,
    took_too_much,
)
from starrec.errors import DataError
from starrec.pipeline.session import Session
from starrec.signals import Graph, SignalsConfig, count_pairs, count_signals
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
    data = session.config.data
    prepared = split_and_count(
        dataset, data, data.tie_seed, session.config.signals, _embeddings(session, dataset)
    )
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
    dataset: Dataset,
    rule: SplitRule,
    tie_seed: int,
    config: SignalsConfig,
    embeddings: NDArray[np.float32] | None = None,
) -> Prepared:
    """Split, and count the graph of the training part.

    Args:
        rule: what is held out, where the data bring no split of their own.
        tie_seed: orders interactions of a user that have the same time.
        embeddings: of the items, as in `Semantics`.

    Raises:
        DataError: no user can be tested, or the rule does not fit the data.
    """
    split = hold_out(dataset, tie_seed, rule)
    if not (split.test >= 0).any():
        raise DataError(_no_test_user(split))
    counts = count_signals(split.train, dataset.n_items, config, dataset.user_ids)
    graph = Graph(counts, count_pairs(counts))
    graph.counts.ease()  # once here, not once in every worker
    graph.counts.factors()
    return Prepared(dataset, split.sequences, split, World.of(dataset.catalogue, graph, config, embeddings))


def _no_test_user(split: Split) -> str:
    match split.kind:
        case "leave-one-out":
            return (
                "No user has 3 or more interactions, so nobody can be tested: the last two of a user are held "
                "out. Add interactions."
            )
        case "global-time":
            return (
                "Nobody can be tested: no user has an interaction in the test part and one before that part. "
                'Raise `[data] test_share`, or use `split = "leave-one-out"`.'
            )
        case "item_cold_start":
            return (
                "Nobody can be tested: no user has an interaction with an item of at most 5 interactions that "
                "comes after another one. Leave `[data] hold_out` at its default."
            )
        case "own":
            return (
                "Nobody can be tested: by your own split, no user has a test interaction that comes after a "
                "training or validation interaction of the same user. Check the column or the files of the "
                "split, and the times."
            )


def _report_left_out(session: Session, prepared: Prepared) -> None:
    """Users for whom no task can be made, and why; reported before anything is spent."""
    split = prepared.split
    if split.cuts is not None:
        ticks = SECONDS_A_DAY * prepared.dataset.resolution
        validation, test = (date_of(moment // ticks) for moment in split.cuts)
        session.announce(f"signals: validation from {validation}, test from {test} (UTC)")
    for which, count in split.without_history.items():
        if count:
            why = (
                "whose only cold item is their first item"
                if split.kind == "item_cold_start"
                else "with held-out interactions but none before them"
            )
            session.announce(f"signals: no {which} task for {_users(count)} {why}")
    if split.kind == "own" and (count := split.trained_after):
        session.announce(
            f"signals: by your own split, {_users(count)} took training items after the test target; they are "
            "not in the history of that task, but are counted for all other users"
        )
    negatives = session.config.data.negatives
    short = took_too_much(prepared.dataset, prepared.sequences, negatives) & (prepared.split.test >= 0)
    asked = int(((prepared.split.test >= 0) & ~short).sum())
    tasks = asked * session.config.data.draws
    if 0 < tasks < MIN_TASKS:
        session.announce(
            f"signals: {tasks:,} test tasks of {_users(asked)}, and {MIN_TASKS} are needed: their figures are "
            "for orientation only"
        )
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
        f"signals: no task for {_users(count)} who took so much of the catalogue that {negatives} negatives "
        f"cannot be drawn, such as {first!r}; their interactions count all the same"
    )


def _users(count: int) -> str:
    return f"{count:,} user{'' if count == 1 else 's'}"


def _embeddings(session: Session, dataset: Dataset) -> NDArray[np.float32] | None:
    """Embeddings of the catalogue where they are configured; computed once a catalogue."""
    if not session.config.signals.embeddings:
        return None
    with session.bar("embedding titles", dataset.n_items, 0) as advance:
        return item_embeddings(
            dataset.catalogue, session.run.path("embeddings"), advance=advance, announce=session.announce
        )
