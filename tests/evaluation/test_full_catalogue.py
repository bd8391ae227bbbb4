"""Lists from the whole catalogue: their metrics by hand, nothing of the history, ties by hash."""

import math

import numpy as np
import pytest

from starrec.data import RankingTask
from starrec.engines import Workers
from starrec.errors import StarrecError
from starrec.evaluation import rank_catalogue, rank_retrieved, retrieve_all
from starrec.evaluation.full_catalogue import CatalogueLists, full_catalogue
from starrec.ranking import Ranking
from starrec.signals import Graph
from starrec.tools import retrieve


def asked(name, history, user=-1):
    return RankingTask(name, user, name, np.array(history, np.int32), np.array([0, 1], np.int32))


def lists(*rows):
    return [np.array(row, np.int32) for row in rows]


def test_the_record_by_hand(sequences):
    # Items 0 to 3 were taken by 4, 2, 1 and 1 of four users.
    graph = Graph.build(sequences([[0, 1], [0, 1, 2], [0, 3], [0]]), 5)
    tasks, targets = [asked("u", [0]), asked("v", [1])], {"u": 2, "v": 4}
    system = CatalogueLists(ranked=lists([1, 2], [0, 3]), nominated=lists([2, 1], [0, 3, 4]))
    # u finds 2 at rank 2; v does not find 4, which was nominated. Items 1, 2, 0, 3 of five are recommended:
    # log2(4/2) + log2(4/1) + log2(4/4) + log2(4/1) = 1 + 2 + 0 + 2 bits.
    assert full_catalogue({"star": system}, tasks, targets, graph)["star"] == pytest.approx(
        {
            "recall@10": 1 / 2,
            "ndcg@10": 1 / math.log2(3) / 2,
            "coverage@10": 4 / 5,
            "novelty@10": 5 / 4,
            "ceiling@100": 1,
            "n_users": 2,
        }
    )


def test_all_items_but_the_history_by_score():
    scores = np.array([0.5, 0.9, np.nan, 0.1, 0.7])
    found = rank_catalogue(lambda _task: scores, [asked("u", [1]), asked("v", [])])
    assert [row.tolist() for row in found.ranked] == [[4, 0, 3, 2], [1, 4, 0, 3, 2]]
    assert found.nominated is found.ranked


def test_equal_scores_of_all_items_are_ordered_by_task():
    found = rank_catalogue(lambda _task: np.zeros(300), [asked("u", [5]), asked("v", [5])])
    one, other = (row.tolist() for row in found.ranked)
    assert len(one) == len(other) == 100 and one != other and one != sorted(one)
    again = rank_catalogue(lambda _task: np.full(300, np.nan), [asked("u", [5])])
    assert again.ranked[0].tolist() == one


def test_a_score_too_few_is_an_error_that_names_the_task():
    given = {"u": np.zeros(5), "v": np.zeros(4)}
    with pytest.raises(StarrecError, match=r"task v .*one score for each item"):
        rank_catalogue(lambda task: given[task.task_id], [asked("u", []), asked("v", [])])
    with pytest.raises(StarrecError, match="task w"):
        rank_catalogue(lambda _task: np.zeros(3), [asked("w", [3])])


def test_the_retriever_nominates_and_all_of_it_is_ranked_in_one_pass(world, split):
    users = np.flatnonzero(split.test >= 0)[:6].tolist()
    tasks = [asked(f"test/{user}", split.train.of(user), user) for user in users]
    # Nearly everything is known to the last: few items are left.
    tasks.append(asked("test/few", np.arange(40), -1))
    with Workers(world, 1) as workers:
        found = retrieve_all(workers, tasks)
    for task, row in zip(tasks, found.nominated, strict=True):
        np.testing.assert_array_equal(row, retrieve(world.graph, task.user, task.history, 100))
    passes = []

    def backwards(given):
        passes.append(given)
        return [Ranking(tuple(sorted(task.candidates.tolist(), reverse=True))) for task in given]

    ranked = rank_retrieved(backwards, tasks, found)
    (given,) = passes
    for task, each, nominated in zip(tasks, given, found.nominated, strict=True):
        assert (each.task_id, each.user) == (task.task_id, task.user)
        np.testing.assert_array_equal(each.history, task.history)
        np.testing.assert_array_equal(each.candidates, nominated)
    assert ranked.nominated is found.nominated
    for row, nominated in zip(ranked.ranked, found.nominated, strict=True):
        assert row.tolist() == sorted(nominated.tolist(), reverse=True)
    assert len(ranked.ranked[-1]) == 8


def test_the_student_ranks_what_was_retrieved(newborn, world, split):
    star = newborn()
    tasks = [asked(f"test/{user}", split.train.of(user), user) for user in range(6)]
    with Workers(world, 1) as workers:
        found = retrieve_all(workers, tasks)
    ranked = rank_retrieved(star.rank_many, tasks, found)
    for row, nominated in zip(ranked.ranked, found.nominated, strict=True):
        assert sorted(row.tolist()) == sorted(nominated.tolist())
