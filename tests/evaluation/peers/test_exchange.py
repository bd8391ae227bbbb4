"""The files that go to a peer in another environment, and what comes back."""

import json
import os

import numpy as np
import pytest

from starrec.data import evaluation_tasks
from starrec.errors import StarrecError
from starrec.evaluation import mean_avg_hr, rank_by_scores
from starrec.evaluation.peers import PEERS
from starrec.evaluation.peers import recbole as recbole_module
from starrec.evaluation.peers.exchange import read_scores, write_tasks, write_training

nan = float("nan")


@pytest.fixture
def answered(tmp_path):
    """Writes tasks, lets a rule answer them (the arrays that a peer finds to its scores), and returns the path
    of the answer."""

    def answered(tasks, rule):
        write_tasks(tmp_path / "tasks-asked.npz", tasks)
        with np.load(tmp_path / "tasks-asked.npz") as asked:
            scores = rule({name: asked[name] for name in asked.files})
            np.savez(tmp_path / "scores-asked.npz", scores=scores, digest=asked["digest"])
        return tmp_path / "scores-asked.npz"

    return answered


def test_the_peer_is_given_histories_and_candidates_in_order_and_nothing_else(tmp_path, task):
    tasks = [task(3, [5, 2], [9, 1, 4], "test/x/0"), task(0, [], [7, 8], "test/y/0")]
    write_tasks(tmp_path / "tasks-asked.npz", tasks)
    with np.load(tmp_path / "tasks-asked.npz", allow_pickle=False) as given:
        assert set(given.files) == {"history_ptr", "history", "candidates_ptr", "candidates", "digest"}
        assert given["history_ptr"].tolist() == [0, 2, 2]
        assert given["history"].tolist() == [5, 2]
        assert given["candidates_ptr"].tolist() == [0, 3, 5]
        assert given["candidates"].tolist() == [9, 1, 4, 7, 8]


def test_training_is_sequences_in_order_without_times(tmp_path, sequences):
    train = sequences([[4, 0], [], [2]], days=[[18_000, 18_001], [], [17_000]])
    write_training(tmp_path, train, {"width": 64}, seed=3)
    with np.load(tmp_path / "training.npz", allow_pickle=False) as given:
        assert {name: given[name].tolist() for name in given.files} == {"ptr": [0, 2, 2, 3], "items": [4, 0, 2]}
    assert json.loads((tmp_path / "settings.json").read_text()) == {"settings": {"width": 64}, "seed": 3}


def test_scores_come_back_to_the_candidates_they_are_of(answered, task):
    tasks = [task(0, [1], [9, 1, 4], "a"), task(0, [2], [3], "b"), task(0, [], [4, 9], "c")]
    path = answered(tasks, lambda asked: np.where(asked["candidates"] == 4, np.nan, asked["candidates"] / 2))
    found = [values.tolist() for values in read_scores(path, tasks)]
    assert found == [pytest.approx(row, nan_ok=True) for row in ([4.5, 0.5, nan], [1.5], [nan, 4.5])]


@pytest.mark.parametrize("value", [0.0, -3e38, nan])
def test_what_makes_no_difference_stays_at_chance_through_files(answered, strangers, from_chance, value):
    """Recbole's own evaluation puts a constant model at a Hit@10 of .81, not .50: the lowest numbers win."""
    path = answered(strangers[0], lambda asked: np.full(len(asked["candidates"]), value))

    class Written:
        def scores(self, tasks):
            return read_scores(path, tasks)

    rankings, unscored = rank_by_scores(Written(), strangers[0])
    assert from_chance(rankings) < 3
    assert unscored == (12_000 if np.isnan(value) else 0)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda asked: np.zeros(len(asked["candidates"]) - 1), "for 3 candidates"),
        (lambda asked: np.zeros((len(asked["candidates"]), 2)), "for 3 candidates"),
        (lambda asked: np.array([0, np.inf, 0]), "1 infinite"),
        (lambda asked: np.array(["a", "b", "c"]), "holds no scores"),
        (lambda asked: np.array([None, 1, 2], dtype=object), "holds no scores"),
    ],
)
def test_an_answer_that_is_no_answer_is_refused(answered, task, rule, message):
    tasks = [task(0, [1], [9, 1, 4])]
    with pytest.raises(StarrecError, match=message):
        read_scores(answered(tasks, rule), tasks)


@pytest.mark.parametrize(("history", "candidates"), [([1], [1, 9, 4]), ([2], [9, 1, 4]), ([1, 9], [1, 4])])
def test_scores_of_other_tasks_are_refused(answered, task, history, candidates):
    path = answered([task(0, [1], [9, 1, 4])], lambda asked: np.zeros(3))
    with pytest.raises(StarrecError, match="other tasks"):
        read_scores(path, [task(0, history, candidates)])


def test_a_missing_or_broken_file_is_named(tmp_path, task):
    path = tmp_path / "scores-asked.npz"
    for content in (None, b"", b"PK\x03\x04 cut short"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(StarrecError, match=r"scores-asked\.npz holds no scores"):
            read_scores(path, [task(0, [1], [9])])


def test_a_process_that_fails_is_quoted(small, split, tmp_path, monkeypatch):
    """An environment whose python ends with a complaint."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 3\n")
    python.chmod(0o755)
    (tmp_path / "lib" / "python3" / "site-packages" / "recbole-1.2.1.dist-info").mkdir(parents=True)
    monkeypatch.setitem(os.environ, "STARREC_RECBOLE", str(tmp_path))
    tasks = evaluation_tasks(small, split.sequences, split, "validation", seed=0)
    peer = PEERS["recbole_sasrec"]
    with pytest.raises(StarrecError, match="status 3: no space left"):
        peer.fit(split, small, peer.grid[0], 0, half_a=tasks, folder=tmp_path / "work", final=False)
    with pytest.raises(StarrecError, match="half A, which has no tasks"):
        peer.fit(split, small, peer.grid[0], 0, half_a=([], {}), folder=tmp_path / "work", final=False)


@pytest.mark.recbole
def test_recbole_answers(small, split, task, tmp_path, monkeypatch):
    """The real thing: trained, killed, carried on, asked."""
    monkeypatch.setattr(recbole_module, "TRY_EPOCHS", 20)
    monkeypatch.setattr(recbole_module, "_LOOK_EVERY", 10)
    half_a = evaluation_tasks(small, split.sequences, split, "validation", seed=0)
    settings = {**recbole_module.PAPER, "width": 32, "batch": 64, "learning_rate": 0.005, "dropout": 0.1}

    def fit(folder):
        return PEERS["recbole_sasrec"].fit(
            split, small, settings, 0, half_a=half_a, folder=tmp_path / folder, final=False
        )

    fitted = fit("a")
    assert [look["epochs"] for look in fitted.record["looks"]] == [10, 20]
    assert not fitted.converged

    # Better than popularity on the planted topics.
    tasks, targets = evaluation_tasks(small, split.sequences, split, "test", seed=0)
    popularity = np.bincount(split.train.items, minlength=small.n_items).astype(np.float64)
    rankings, unscored = rank_by_scores(fitted, tasks)
    untrained = np.setdiff1d(np.arange(small.n_items), split.train.items)
    assert unscored == sum(int(np.isin(t.candidates, untrained).sum()) for t in tasks)

    class Popular:
        def scores(self, tasks):
            return [popularity[task.candidates] for task in tasks]

    popular, _ = rank_by_scores(Popular(), tasks)
    assert mean_avg_hr(tasks, rankings, targets) > mean_avg_hr(tasks, popular, targets) + 0.03

    # Order of candidates, unknown items, an empty history.
    known = split.train.items[0]
    one, other, empty = fitted.scores(
        [task(0, [known], range(20)), task(0, [known], range(19, -1, -1)), task(0, [], range(20))]
    )
    assert one.tolist() == pytest.approx(other[::-1].tolist(), rel=1e-5, nan_ok=True)
    assert np.isnan(empty).all()

    # Killed after the first look, and carried on: the same model.
    monkeypatch.setattr(recbole_module, "TRY_EPOCHS", 10)
    fit("b")
    monkeypatch.setattr(recbole_module, "TRY_EPOCHS", 20)
    again = fit("b")
    assert again.record["looks"][-1]["avg_hr"] == pytest.approx(fitted.record["looks"][-1]["avg_hr"], abs=0.02)
    for a, b in zip(fitted.scores(tasks[:5]), again.scores(tasks[:5]), strict=True):
        assert a.tolist() == pytest.approx(b.tolist(), rel=1e-3, abs=1e-4, nan_ok=True)
