"""Peers in a run: tuned in its folder, ranked with their seeds, refused before work is spent."""

import os

import pytest

from starrec.errors import ConfigError, StarrecError
from starrec.evaluation import EvaluationConfig
from starrec.pipeline import RunConfig
from starrec.pipeline.peers import rank_with_peers
from starrec.pipeline.session import Session
from starrec.pipeline.signals import split_and_count
from starrec.pipeline.tasks import Tasks
from starrec.runs import Run


@pytest.fixture
def opened(small, tmp_path):
    """A session with the tasks of `small`."""
    config = RunConfig(evaluation=EvaluationConfig(latency_requests=20))
    prepared = split_and_count(small, config.data, 0, config.signals)
    with Run.open(tmp_path / "run", "") as run:
        yield Session(run, config, lambda line: None, None), prepared, Tasks(prepared, config)


def test_peers_rank_the_test_tasks_with_every_seed(opened, tmp_path):
    session, prepared, tasks = opened
    names = ("ease_decayed", "lenskit_als")
    test, _ = tasks.test
    found = rank_with_peers(session, prepared, tasks, names, tmp_path, test)
    assert list(found.rankings) == [("ease_decayed", 0), *(("lenskit_als", seed) for seed in range(3))]
    for rankings in found.rankings.values():
        for task, ranking in zip(test, rankings, strict=True):
            assert sorted(ranking.items) == sorted(task.candidates.tolist())
    for name in names:
        record = found.record[name]
        assert set(record) == {"settings", "tries", "validation_avg_hr", "converged", "version", "unscored"}
        assert len(record["tries"]) == 8
        best = max(record["tries"], key=lambda tried: tried["validation_avg_hr"])
        assert record["settings"] == best["settings"]
        assert (tmp_path / "peers" / name / "tries.json").exists()
    assert (found.record["ease_decayed"]["converged"], found.record["lenskit_als"]["converged"]) == (True, None)
    assert set(found.latency) == set(names)

    again = rank_with_peers(session, prepared, tasks, names[:1], tmp_path, test[:7])
    assert again.rankings["ease_decayed", 0] == found.rankings["ease_decayed", 0][:7]
    assert again.record["ease_decayed"]["tries"] == found.record["ease_decayed"]["tries"]


def test_a_peer_that_cannot_run_is_refused_before_anything_is_spent(open_run, monkeypatch, tmp_path):
    monkeypatch.setitem(os.environ, "STARREC_RECBOLE", str(tmp_path))
    rows = [(f"u{user}", item, 1_500_000_000 + item) for user in range(4) for item in range(4)]
    with open_run(rows, evaluation=EvaluationConfig(peers=("recbole_sasrec",))) as pipeline:
        with pytest.raises(StarrecError, match=r"environment\.sh"):
            pipeline.evaluate()
        assert not (tmp_path / "run" / "data").exists()


def test_an_unknown_peer_is_refused_with_the_names(tmp_path):
    from starrec.config import load_toml

    (tmp_path / "run.toml").write_text("[evaluation]\npeers = ['lenskit_ease', 'easy']\n")
    with pytest.raises(ConfigError, match="ease_decayed"):
        load_toml(tmp_path / "run.toml", RunConfig)
