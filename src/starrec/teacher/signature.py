"""Which embedded policy the results speak of: a hash of what it does, not of how it is written.

The fixture is arithmetic, so that it is the same everywhere: 60 users walk through 40 items in four groups, and
each of 40 of them is asked about the next item among ten.
"""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl

from starrec.data import RankingTask, build, leave_one_out
from starrec.engines import run_async
from starrec.signals import Graph
from starrec.teacher.policy import EmbeddedPolicy
from starrec.teacher.workflow import run
from starrec.tools import World


def policy_sha(policy: EmbeddedPolicy | None = None) -> str:
    """16 hex digits: the SHA-256 of the policy's greedy rankings on the fixture."""
    rows = [
        (f"u{user}", f"i{(10 * ((user + step // 6) % 4) + (user * 3 + step * step) % 10)}", 86_400 * step)
        for user in range(60)
        for step in range(4 + user % 9)
    ]
    items = pl.DataFrame(
        {
            "item_id": [f"i{item}" for item in range(40)],
            "title": [f"Item {item}" for item in range(40)],
            "categories": [[f"Group {item // 10}"] for item in range(40)],
        }
    )
    interactions = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")
    dataset = build("fixture", "clock", interactions, items)
    split = leave_one_out(dataset.sequences(0))
    world = World.of(dataset.catalogue, Graph.build(split.train, dataset.n_items))
    rankings = []
    for user in np.flatnonzero(split.test >= 0)[:40].tolist():
        history = split.history(user, "test")
        candidates = (int(split.test[user]) + np.arange(10, dtype=np.int32) * 7) % dataset.n_items
        task = RankingTask(
            f"fixture/{user}",
            user,
            dataset.user_ids[user],
            history.items,
            candidates.astype(np.int32),
            days=history.days,
        )
        outcome = run_async(run(policy or EmbeddedPolicy(), world.toolbox(task)))
        rankings.append([int(item) for item in outcome.ranking.items])
    return hashlib.sha256(repr(rankings).encode()).hexdigest()[:16]
