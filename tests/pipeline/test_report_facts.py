"""What the report says beside accuracy, by hand."""

from pathlib import Path

import numpy as np

from starrec.data import RankingTask, leave_one_out
from starrec.pipeline import RunConfig
from starrec.pipeline.report_facts import changed_settings, data_summary, recommended, task_numbers


def task(user_id, history, name="test/u/0"):
    return RankingTask(name, 0, user_id, np.array(history, np.int32), np.arange(5, dtype=np.int32))


def test_settings_at_their_default_and_paths_are_not_told():
    config = RunConfig.model_validate(
        {
            "data": {"source": "tables", "interactions": Path("/home/me/secret/log.csv"), "draws": 2},
            "teacher": {"model": {"model": "m", "base_url": "http://10.0.0.7/v1"}, "runs": 3},
        }
    )
    assert changed_settings(config) == {
        "data.source": "tables",
        "data.interactions": "log.csv",
        "data.draws": "2",
        "teacher.model.model": "m",
        "teacher.runs": "3",
    }
    assert changed_settings(RunConfig()) == {}


def test_counts_of_the_data(small):
    split = leave_one_out(small.sequences(0))
    summary = data_summary(small, split, [task("a", [1]), task("a", [2]), task("b", [3])])
    assert summary["users"] == small.n_users and summary["items"] == small.n_items
    assert summary["interactions"] == small.interactions.height
    # Two interactions of every user with three or more are held out.
    tested = int((split.sequences.lengths >= 3).sum())
    assert summary["training interactions"] == small.interactions.height - 2 * tested
    assert summary["users tested"] == 2
    share = small.interactions.height / (small.n_users * small.n_items)
    assert summary["density"] == f"{share:.2%}"


def test_numbers_of_a_task_are_its_history_and_how_many_took_the_true_item(small):
    split = leave_one_out(small.sequences(0))
    item = int(split.train.items[0])
    numbers = task_numbers(split, [task("a", [1, 2, 3])], {"test/u/0": item})
    length, taken = numbers.values()
    assert length == {"test/u/0": 3}
    assert taken == {"test/u/0": int((split.train.items == item).sum())}


def test_recommended_titles_mark_the_true_item(small):
    tasks = [task("a\x1b", [0, 1, 2], "test/a/0"), task("b", [3], "test/b/0")]
    lists = [np.array([7, 5, 9], np.int32), np.array([4, 6, 8], np.int32)]
    targets = {"test/a/0": 5, "test/b/0": 8}
    first, second = recommended(small, tasks, lists, targets, examples=2, shown=2)
    assert first["titles"] == [small.titles[7], small.titles[5]] and first["target_place"] == 2
    assert first["history"] == [small.titles[1], small.titles[2]] and "\x1b" not in first["user_id"]
    assert second["target_place"] is None and second["history"] == [small.titles[3]]
    assert len(recommended(small, tasks, lists, targets, examples=1)) == 1
