"""The probes tell a reader of evidence from a student that pays it no heed."""

import numpy as np
import pytest
import torch

from starrec.evaluation import probe
from starrec.ranking import avg_hr, ranks_of_targets
from starrec.student import NUMBERS


@pytest.fixture(scope="module")
def asked(lessons):
    return lessons[0], lessons[1]


def test_the_same_seed_gives_the_same(newborn, asked):
    tasks, targets = asked
    found = probe(newborn(), tasks, targets, seed=0)
    assert found["n"] == len(tasks)
    assert probe(newborn(), tasks, targets, seed=0) == found


def test_accuracy_is_that_of_fast_mode(newborn, asked):
    tasks, targets = asked
    star = newborn()
    ranks = [
        ranking.rank_of(targets[task.task_id])
        for task, ranking in zip(tasks, star.rank_many(tasks), strict=True)
    ]
    assert probe(star, tasks, targets, seed=0)["avg_hr"] == pytest.approx(avg_hr(ranks).mean())


def test_a_reader_is_recognised(newborn, asked):
    """Whoever weighs what a row says, and nothing else, is right where the truth is what the evidence says."""
    star = newborn()
    tasks = asked[0][:40]
    first = [ranking.items[0] for ranking in star.rank_many(tasks)]
    targets = {task.task_id: item for task, item in zip(tasks, first, strict=True)}
    found = probe(star, tasks, targets, seed=0)
    assert found["exchange_turns"] == found["avg_hr"] == 1
    # With no evidence all are equal, and the order is the one of ties.
    candidates = np.stack([task.candidates for task in tasks])
    column = (candidates == np.array(first)[:, None]).argmax(axis=1)
    tied = avg_hr(ranks_of_targets(candidates, np.zeros(candidates.shape), column, 0)).mean()
    assert found["avg_hr_without_evidence"] == pytest.approx(tied) and tied < 0.8
    assert found["none_costs"] == pytest.approx(1 - tied)


def test_a_student_that_cannot_tell_numbers_apart_is_found_out(newborn, asked):
    """Where all rows are one to the model, no evidence can turn an order or cost anything."""
    star = newborn()
    with torch.no_grad():
        star.model.reader.enter.weight.zero_()
    found = probe(star, *asked, seed=0)
    assert found["exchange_turns"] == 0
    assert found["none_costs"] == 0


def test_a_student_that_reads_one_number_alone_is_turned_where_it_differs(newborn, asked):
    star = newborn()
    with torch.no_grad():
        others = [at for at, name in enumerate(NUMBERS) if name != "category above"]
        star.model.reader.enter.weight[:, others] = 0
    assert 0 < probe(star, *asked, seed=0)["exchange_turns"] < 1
