"""A run over the AgentSociety layout keeps its own copy of data and tasks, and notices what changed."""

import shutil

import pytest
from tests import challenge

from starrec.data import DataConfig, load_tasks
from starrec.errors import DataError
from starrec.pipeline import Pipeline, RunConfig
from starrec.runs import current_product

REVIEWS = challenge.reviews_of()


@pytest.fixture
def root(tmp_path):
    challenge.write_data(tmp_path / "data", REVIEWS)
    challenge.write_tasks(tmp_path / "tasks", challenge.tasks_of(REVIEWS))
    return tmp_path


def data(root, update=False, **settings):
    """The data step: the given tasks that the run has after it, and its lines."""
    settings = {"folder": root / "data", "tasks": root / "tasks"} | settings
    lines = []
    config = RunConfig(data=DataConfig(source="agentsociety", **settings))
    with Pipeline.open(root / "run", config, update_data=update, announce=lines.append) as pipeline:
        dataset = pipeline.data()
    folder = current_product(root / "run", "data").folder
    tasks, _, report = load_tasks(folder, dataset, dataset.sequences(0), seed=0)
    return [task.task_id for task in tasks], [*report.notes, *lines]


def test_what_was_left_out_is_announced_and_kept(root):
    challenge.edit(root / "tasks" / "task_3.json", user_id="nobody")
    tasks, lines = data(root, skip_bad_rows=True)
    assert tasks == [f"agentsociety/{number}" for number in range(50) if number != 3]
    left = [line for line in lines if "left out 1 bad row: " in line and "task_3.json" in line]
    assert len(left) == 2, "one in the task's report, one announced"
    again, lines = data(root, skip_bad_rows=True)
    assert again == tasks and any("done before" in line for line in lines)


def test_a_task_that_changed_is_noticed_and_taken_in_on_demand(root):
    assert len(data(root)[0]) == 50
    (root / "tasks" / "task_0.json").unlink()
    tasks, lines = data(root)
    assert len(tasks) == 50 and any("tasks differs from what this run read" in line for line in lines)
    assert len(data(root, update=True)[0]) == 49
    challenge.edit(root / "tasks" / "groundtruth_1.json", **{"ground truth": "i00"})
    with pytest.raises(DataError, match=r"groundtruth_1.json"):
        data(root, update=True)


def test_a_folder_that_is_gone_is_not_needed(root):
    before, _ = data(root)
    shutil.rmtree(root / "data")
    shutil.rmtree(root / "tasks")
    tasks, lines = data(root)
    assert tasks == before and sum("the run's own copy answers" in line for line in lines) == 2


def test_what_is_missing_is_said(root):
    with pytest.raises(DataError, match=r"set `\[data\] folder`"):
        data(root, folder=None)
    with pytest.raises(DataError, match=r"There is no file or folder .*nowhere"):
        data(root, tasks=root / "nowhere")
    with pytest.raises(DataError, match=r"There is no file .*user.json, item.json and review.json"):
        data(root, folder=root / "tasks")
