"""SASRec of recbole 1.2.1, which needs a Python environment of its own (`benchmarks/recbole/environment.sh`).

SASRec (Kang, McAuley, ICDM 2018) in recbole's version: a causal transformer over the last items, trained by
softmax over all items on every prefix of every training sequence. It runs as a subprocess and exchanges files
(`exchange`). Whether it still improves is decided here, by avg_hr on validation half A: every `_LOOK_EVERY`
epochs the checkpoint is asked, the best one stays, and training ends when `_PATIENCE` looks brought nothing
better. All of it lies in one folder for each training part, settings and seed, so a killed training goes on,
and a try is carried on where it stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starrec.config import fingerprint
from starrec.data import Dataset, RankingTask, Split
from starrec.errors import StarrecError
from starrec.evaluation.peers.exchange import read_scores, training_digest, write_tasks, write_training
from starrec.evaluation.peers.peer import Drawn, Peer, Settings
from starrec.evaluation.ranks import mean_avg_hr
from starrec.evaluation.scorer import TIE_SEED
from starrec.ranking import from_scores
from starrec.runs import write_atomic

RECBOLE_VERSION: Final = "1.2.1"
MAKE: Final = "bash benchmarks/recbole/environment.sh"
TRY_EPOCHS: Final = 4
"""Epochs of a try of the settings."""
MOST_EPOCHS: Final = 200
MOST_SECONDS: Final = 4 * 3600.0
"""Training time at most; a training that ends here had not converged."""

_LOOK_EVERY: Final = 2
_PATIENCE: Final = 3
_SCRIPT: Final = Path(__file__).resolve().parents[4] / "benchmarks" / "recbole" / "sasrec.py"


def environment() -> Path:
    """Folder of recbole's environment: what STARREC_RECBOLE names, or the one that `environment.sh` makes."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    default = cache / "starrec" / "environments" / f"recbole-{RECBOLE_VERSION}"
    return Path(os.environ.get("STARREC_RECBOLE") or default)


def recbole_version() -> str:
    """The version in the environment.

    Raises:
        StarrecError: there is no environment, it has another version, or this is no checkout of the project, in
            which the script lies that runs there.
    """
    if not _SCRIPT.is_file():
        raise StarrecError(
            f"recbole_sasrec is run by {_SCRIPT.name}, which lies in benchmarks/recbole of a checkout of the "
            "project and not in the installed package. Run starrec from a checkout, or leave the peer out."
        )
    made = environment()
    if not any(made.glob(f"lib/python*/site-packages/recbole-{RECBOLE_VERSION}.dist-info")):
        raise StarrecError(
            f"recbole_sasrec needs recbole {RECBOLE_VERSION} in an environment of its own, and there is none "
            f"in {made}. Run `{MAKE}` in the project's folder, or leave recbole_sasrec out."
        )
    return RECBOLE_VERSION


@dataclass(frozen=True, eq=False)
class RecboleScorer:
    """A trained SASRec in its folder."""

    folder: Path
    converged: bool
    record: dict[str, Any]
    """`looks` (epochs, avg_hr on half A, loss and seconds so far), and `seconds` of training."""

    def scores(self, tasks: Sequence[RankingTask]) -> list[NDArray[np.float64]]:
        return _ask(self.folder, self.folder / "best.pt", tasks)


def fit(
    split: Split,
    dataset: Dataset,
    settings: Settings,
    seed: int,
    *,
    half_a: Drawn,
    folder: Path,
    final: bool,
    most_seconds: float = MOST_SECONDS,
) -> RecboleScorer:
    """Train until half A stops improving, or `MOST_EPOCHS` or `most_seconds` (a try: `TRY_EPOCHS`) are over.

    Raises:
        StarrecError: no environment (`recbole_version`); no tasks of half A; or the other process failed, whose
            last lines the message holds.
    """
    recbole_version()
    asked, targets = half_a
    if not asked:
        raise StarrecError(
            "recbole_sasrec stops training on validation half A, which has no tasks. Leave it out."
        )
    work = folder / fingerprint({"training": training_digest(split.train), "settings": settings, "seed": seed})
    if not (work / "settings.json").exists():
        write_training(work, split.train, settings, seed)
    looks_file = work / "looks.json"
    looks: list[dict[str, float]] = json.loads(looks_file.read_text()) if looks_file.exists() else []
    while True:
        done = int(looks[-1]["epochs"]) if looks else 0
        best = max(looks, key=lambda look: look["avg_hr"], default=None)
        converged = best is not None and done - best["epochs"] >= _LOOK_EVERY * _PATIENCE
        spent = _seconds(looks)
        late = done and spent * (1 + _LOOK_EVERY / done) > most_seconds
        if converged or late or done >= (MOST_EPOCHS if final else TRY_EPOCHS):
            break
        state = _train(work, done + _LOOK_EVERY)
        scores = _ask(work, work / "checkpoint.pt", asked)
        rankings = [from_scores(t.candidates, s, TIE_SEED) for t, s in zip(asked, scores, strict=True)]
        look = {
            "epochs": done + _LOOK_EVERY,
            "avg_hr": mean_avg_hr(asked, rankings, targets),
            "loss": state["losses"][-1],
            "seconds": state["seconds"],
        }
        if best is None or look["avg_hr"] > best["avg_hr"]:
            write_atomic(work / "best.pt", lambda path: shutil.copyfile(work / "checkpoint.pt", path))
        looks.append(look)
        write_atomic(looks_file, json.dumps(looks, indent=1) + "\n")
    return RecboleScorer(work, converged, {"looks": looks, "seconds": _seconds(looks)})


def _seconds(looks: Sequence[dict[str, float]]) -> float:
    return looks[-1]["seconds"] if looks else 0.0


def _train(folder: Path, until: int) -> dict[str, Any]:
    printed = _run(["train", str(folder), "--until", str(until)])
    state: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return state


def _ask(folder: Path, checkpoint: Path, tasks: Sequence[RankingTask]) -> list[NDArray[np.float64]]:
    given, answered = folder / "tasks-asked.npz", folder / "scores-asked.npz"
    answered.unlink(missing_ok=True)
    write_tasks(given, tasks)
    _run(["score", str(folder), str(checkpoint), str(given), str(answered)])
    return read_scores(answered, tasks)


def _run(arguments: list[str]) -> str:
    """What the script printed; its progress goes on to stderr."""
    python = environment() / "bin" / "python"
    # Without PYTHONPATH: the two environments have nothing in common.
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    process = subprocess.Popen(
        [str(python), str(_SCRIPT), *arguments],
        env=own,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        printed, complained = process.communicate()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        last = "\n".join(complained.strip().splitlines()[-5:])
        raise StarrecError(
            f"recbole's process ended with status {process.returncode}: {last}\nIf its environment is broken, "
            f"delete {environment()} and run `{MAKE}`."
        )
    print(printed, end="", file=sys.stderr)
    return printed


PAPER: Final[Settings] = {
    "length": 50,
    "layers": 2,
    "heads": 1,
    "width": 50,
    "dropout": 0.5,
    "learning_rate": 0.001,
    "batch": 128,
}
"""What the SASRec paper (section IV-B) uses for Amazon's data; its loss has one negative, recbole's is a
softmax."""

RECBOLE_SASREC: Final = Peer(
    name="recbole_sasrec",
    about="recbole: SASRec",
    grid=tuple(
        {**PAPER, "length": length, "width": 64, "heads": 2, "dropout": dropout, "batch": 256}
        for length, dropout in ((20, 0.2), (20, 0.5), (50, 0.2))
    ),
    fit=fit,
    version=recbole_version,
    in_process=False,
)
