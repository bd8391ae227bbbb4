"""Rank many candidates as `recommend` of commit 728a73c does: in windows of 20, one after the other.

Run by `student.py one-pass`, in a process of its own, with the interpreter and the demo of that commit
(`baseline.sh`), which it imports from. Reads a JSON list of {"user_id", "history", "candidates"}, ids of items,
and prints a JSON object: the rankings, and hashes of the data and of the training part that they rest on.

    python benchmarks/student_windows.py RUN TASKS.json
"""

import hashlib
import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np


def training_sha256(prepared) -> str:
    """SHA-256 of who took what in the training part, in order, by id; the same code for either release."""
    train, dataset = prepared.split.train, prepared.dataset
    digest = hashlib.sha256()
    for user, user_id in enumerate(dataset.user_ids):
        items = train.items[train.ptr[user] : train.ptr[user + 1]].tolist()
        digest.update(json.dumps([user_id, [dataset.item_ids[item] for item in items]]).encode())
    return digest.hexdigest()


def main(run: Path, given: Path) -> None:
    """Rank the candidates of each given task, which must be that of a test user of the run. Days and ratings of
    the history are known and the user is left out of the graph, as in the other release's tasks; `recommend`
    itself is given neither."""
    # Here, because this checkout, whose benchmark imports this file, has no such modules.
    combine = importlib.import_module("starrec.data.hashing").combine
    window_size = importlib.import_module("starrec.serving.recommender").WINDOW
    tasks = importlib.import_module("starrec.pipeline.reopening").reopen(run)
    prepared = tasks.prepared
    dataset = prepared.dataset
    star = importlib.import_module("starrec.student").Star.load(run / "student" / "star", prepared.world)
    column = {item_id: item for item, item_id in enumerate(dataset.item_ids)}
    own = {task.user_id: task for task in tasks.test[0] if task.draw == 0}
    rankings = []
    for asked in json.loads(given.read_text()):
        task = own[asked["user_id"]]
        if [dataset.item_ids[item] for item in task.history.tolist()] != asked["history"]:
            raise SystemExit(f"The history of user {asked['user_id']} is another one in {run}.")
        found = np.array([column[item_id] for item_id in asked["candidates"]], dtype=np.int32)
        ranked: list[str] = []
        for start in range(0, len(found), window_size):
            # As `Recommender.recommend`: labels must not repeat the retriever's order.
            window = found[start : start + window_size]
            window = window[np.argsort(combine(11, window))]
            items = star.rank(replace(task, candidates=window)).items
            ranked += [dataset.item_ids[item] for item in items]
        rankings.append(ranked)
    hashes = {"data_sha256": dataset.sha256, "training_sha256": training_sha256(prepared)}
    print(json.dumps({**hashes, "rankings": rankings}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
