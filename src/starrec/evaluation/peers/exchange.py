"""Files between the project and a peer that lives in another Python environment.

    training.npz        ptr, items           each user's training items, oldest first
    settings.json       settings, seed
    tasks-NAME.npz      history_ptr, history, candidates_ptr, candidates, digest
    scores-NAME.npz     scores, digest       one score for each of `candidates`, NaN for none; written by the
    peer

Only numbers travel: users and items as the dataset's contiguous numbers, never ids, titles or targets. NumPy's
own format, for every environment reads it; nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask, Sequences
from starrec.errors import StarrecError
from starrec.evaluation.peers.peer import Settings
from starrec.runs import write_atomic


def training_digest(train: Sequences) -> str:
    """16 hex digits that name the training sequences."""
    digest = hashlib.sha256(train.ptr.astype("<i8").tobytes())
    digest.update(train.items.astype("<i4").tobytes())
    return digest.hexdigest()[:16]


def write_training(folder: Path, train: Sequences, settings: Settings, seed: int) -> None:
    """Write what the peer trains on."""
    _save(folder / "training.npz", ptr=train.ptr, items=train.items)
    write_atomic(folder / "settings.json", json.dumps({"settings": dict(settings), "seed": seed}) + "\n")


def write_tasks(path: Path, tasks: Sequence[RankingTask]) -> None:
    """Write what the peer is asked: histories and candidates, in order; no targets, no users."""
    history_ptr, history = _ragged([task.history for task in tasks])
    candidates_ptr, candidates = _ragged([task.candidates for task in tasks])
    _save(
        path,
        history_ptr=history_ptr,
        history=history,
        candidates_ptr=candidates_ptr,
        candidates=candidates,
        digest=np.frombuffer(_digest(tasks), dtype=np.uint8),
    )


def read_scores(path: Path, tasks: Sequence[RankingTask]) -> list[NDArray[np.float64]]:
    """The peer's scores of these tasks, one `(c,)` array a task, in the order of its candidates.

    Raises:
        StarrecError: there is no such file, or it cannot be read; it answers other tasks; the number of scores
            is another; a score is infinite.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            scores, digest = np.asarray(stored["scores"], dtype=np.float64), stored["digest"].tobytes()
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StarrecError(
            f"{path} holds no scores ({error}). See what the peer printed, and run it again."
        ) from error
    if digest != _digest(tasks):
        raise StarrecError(f"{path} holds scores of other tasks. Delete it, and run the peer again.")
    lengths = [len(task.candidates) for task in tasks]
    if scores.shape != (sum(lengths),):
        raise StarrecError(
            f"{path} holds scores of shape {scores.shape} for {sum(lengths)} candidates. The peer must "
            "write one score a candidate."
        )
    if np.isinf(scores).any():
        raise StarrecError(
            f"{path} holds {int(np.isinf(scores).sum())} infinite scores. The peer's training has diverged; "
            "lower its learning rate. A missing score is NaN."
        )
    return [part.copy() for part in np.split(scores, np.cumsum(lengths)[:-1])] if lengths else []


def _ragged(parts: Sequence[NDArray[np.int32]]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    ptr = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    return ptr, np.concatenate([np.zeros(0, dtype=np.int32), *parts])


def _digest(tasks: Sequence[RankingTask]) -> bytes:
    digest = hashlib.sha256()
    for task in tasks:
        for items in (task.history, task.candidates):
            digest.update(len(items).to_bytes(8, "little"))
            digest.update(items.astype("<i4").tobytes())
    return digest.digest()


def _save(path: Path, **arrays: NDArray[np.generic]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    write_atomic(path, write)
