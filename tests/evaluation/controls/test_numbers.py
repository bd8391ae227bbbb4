"""The numbers that controls read are the evidence's, whatever the order of candidates, and hold no target."""

from dataclasses import replace

import numpy as np
import pytest

from starrec.engines import Workers
from starrec.evaluation.controls import NAMES, gather_numbers
from starrec.signals import SIGNALS


@pytest.fixture(scope="module")
def numbers(world, lessons, tmp_path_factory):
    with Workers(world, 1) as workers:
        return gather_numbers(workers, lessons[0], tmp_path_factory.mktemp("given") / "numbers")


def test_each_number_is_what_its_name_says(world, lessons, numbers):
    assert len(NAMES) == len(set(NAMES)) == 19 * 5 + 11 * 5 == 150 == numbers.numbers.shape[2]
    facts = 0
    for row, task in enumerate(lessons[0][:20]):
        evidence = world.toolbox(task).evidence
        for at, column in enumerate(numbers.order[row].tolist()):
            found = dict(zip(NAMES, numbers.numbers[row, at].tolist(), strict=True))
            score = evidence.scores[SIGNALS.index("transitions")]
            own = score[column]
            assert found["transitions unknown"] == np.isnan(own)
            if not np.isnan(own):
                assert found["transitions score"] == pytest.approx(own, rel=1e-6)
                assert found["transitions place"] == pytest.approx(np.mean(score > own))
                assert found["transitions z"] == pytest.approx(
                    (own - score.mean()) / (score.std() or 1), abs=1e-5
                )
            for name, fact in (
                ("item_cf.whole", evidence.fact("item_cf.whole", column)),
                ("contrary", evidence.contrary(column)),
            ):
                said = [found[f"{name} {of}"] for of in ("both", "base", "lift", "significance", "weight")]
                if fact is None:
                    assert said == [0] * 5
                    continue
                facts += 1
                sign = np.sign(fact.significance)
                assert said == pytest.approx(
                    [
                        np.log(1 + fact.both),
                        np.log(1 + fact.base),
                        np.log(fact.lift + 0.05),
                        sign * abs(fact.significance) ** 0.5,
                        fact.weight / 1000,
                    ],
                    rel=1e-5,
                )
            assert numbers.levels[row, at].tolist() == evidence.levels[:, column].tolist()
    assert facts > 20


def test_the_order_of_candidates_changes_no_bit(world, lessons, numbers, tmp_path):
    tasks = [replace(task, candidates=task.candidates[::-1].copy()) for task in lessons[0]]
    with Workers(world, 1) as workers:
        turned = gather_numbers(workers, tasks, tmp_path / "turned")
    for name in ("numbers", "levels", "scores", "ties", "users", "lengths"):
        one, other = getattr(numbers, name), getattr(turned, name)
        assert np.array_equal(one, other, equal_nan=name in ("numbers", "scores"))
    # And scores of rows come back in the order in which the candidates were given.
    scores = numbers.scores[:, SIGNALS.index("popularity")]
    for given, reverse in zip(numbers.as_given(scores), turned.as_given(scores), strict=True):
        assert given.tolist() == reverse[::-1].tolist()


def test_targets_are_read_from_targets_alone(lessons, numbers):
    tasks, targets, _ = lessons
    rows = numbers.rows_of(tasks, targets)
    for row, task in enumerate(tasks):
        assert task.candidates[numbers.order[row, rows[row]]] == targets[task.task_id]
