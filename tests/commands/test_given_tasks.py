"""Tasks that come with the data and cannot be ranked: one paragraph with file and reason, and code 2."""

import pytest
from tests import challenge
from tests.commands.conftest import refused, starrec

REVIEWS = challenge.reviews_of()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data and tasks of the AgentSociety layout, and a configuration that names them."""
    folder = tmp_path_factory.mktemp("challenge")
    challenge.write_data(folder / "data", REVIEWS)
    challenge.write_tasks(folder / "tasks", challenge.tasks_of(REVIEWS))
    (folder / "config.toml").write_text('[data]\nsource = "agentsociety"\nfolder = "data"\ntasks = "tasks"\n')
    return folder


@pytest.mark.parametrize(
    ("candidates", "reason"),
    [
        (["i01"], "it has 1 candidates; a task has 2 to 200"),
        ([f"i{number}" for number in range(201)], "it has 201 candidates; a task has 2 to 200"),
        (["i01", "i02", "i01"], "candidate 'i01' stands twice"),
        (["i01", "x\x1b[2J"], "is not among the items"),
    ],
    ids=["one", "201", "twice", "unknown"],
)
def test_a_task_that_cannot_be_ranked_is_refused(folder, monkeypatch, tmp_path, candidates, reason):
    monkeypatch.chdir(folder)
    path = folder / "tasks" / "task_3.json"
    before = path.read_bytes()
    challenge.edit(path, candidate_list=candidates)
    try:
        said = refused(
            starrec("data", "--config", "config.toml", "--run", tmp_path / "run"), "task_3.json", reason
        )
    finally:
        path.write_bytes(before)
    assert "\x1b" not in said
