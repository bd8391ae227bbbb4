"""Peers in the `evaluate` step: tuned on validation half B, trained, and asked for the test tasks.

What was tuned lies in the product folder of the evaluation (`peers/NAME/`), so an evaluation that was killed
tunes nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from starrec.data import RankingTask
from starrec.evaluation import measure, rank_by_scores
from starrec.evaluation.peers import PEERS, FittedPeer, tune
from starrec.pipeline.memory import gives_back
from starrec.pipeline.session import Session
from starrec.pipeline.signals import Prepared
from starrec.pipeline.tasks import Tasks
from starrec.ranking import Ranking


@dataclass(frozen=True)
class PeersRecord:
    """What the peers answered."""

    rankings: dict[tuple[str, int], list[Ranking]]
    """By peer and training seed, aligned with the tasks that were asked."""
    record: dict[str, dict[str, Any]]
    """For results.json, by peer: `settings`, `tries`, `validation_avg_hr` (half B), `converged` (of all seeds),
    `version`, and `unscored`, the candidates without a score, over all seeds."""
    latency: dict[str, dict[str, float]]
    """Milliseconds of one request in this process (`measure`), by peer; not of peers in another environment."""


@gives_back
def rank_with_peers(
    session: Session,
    prepared: Prepared,
    tasks: Tasks,
    names: Sequence[str],
    folder: Path,
    asked: Sequence[RankingTask],
) -> PeersRecord:
    """Tune, train and ask these peers.

    Args:
        folder: of the evaluation's product, where tuning is kept.
        asked: the tasks to rank.

    Raises:
        StarrecError: a peer's library is not installed, or it cannot be trained on these data.
    """
    half_a, half_b = tasks.validation("A"), tasks.validation("B")
    split, dataset = prepared.split, prepared.dataset
    rankings: dict[tuple[str, int], list[Ranking]] = {}
    record: dict[str, dict[str, Any]] = {}
    latency: dict[str, dict[str, float]] = {}
    for name in names:
        peer, kept = PEERS[name], folder / "peers" / name
        with session.bar(name, len(peer.grid)) as advance:
            tuned = tune(
                peer,
                split,
                dataset,
                half_b,
                half_a=half_a,
                folder=kept,
                announce=_each(advance),
            )
        converged: list[bool | None] = []
        missing = 0
        for seed in peer.seeds:
            fitted = peer.fit(split, dataset, tuned.settings, seed, half_a=half_a, folder=kept, final=True)
            rankings[name, seed], unscored = rank_by_scores(fitted, asked)
            missing += unscored
            converged.append(fitted.converged)
            if peer.in_process and name not in latency:
                timed = tasks.test[0][: session.config.evaluation.latency_requests]
                latency[name] = measure(partial(_one, fitted), timed)
        record[name] = {
            "settings": dict(tuned.settings),
            "tries": [asdict(found) for found in tuned.tries],
            "validation_avg_hr": tuned.validation_avg_hr,
            "converged": None if None in converged else all(converged),
            "version": peer.version(),
            "unscored": missing,
        }
        session.announce(f"evaluate: {name}: {tuned.validation_avg_hr:.3f} on validation half B")
    return PeersRecord(rankings, record, latency)


def _each(advance: Callable[[int], None]) -> Callable[[str], None]:
    """Advances a bar by one for each line that is announced."""
    return lambda line: advance(1)


def _one(fitted: FittedPeer, task: RankingTask) -> None:
    rank_by_scores(fitted, [task])
