"""The samples behind the distributions of signals are tasks of training, of evaluation, and of `recommend`."""

import math

import numpy as np
import pytest

from starrec.engines import Workers
from starrec.pipeline import RunConfig
from starrec.pipeline.practice import Practice
from starrec.pipeline.signal_samples import distributions_of_signals
from starrec.pipeline.tasks import Tasks
from starrec.signals import SCORED
from starrec.student import GRPOConfig, StudentConfig
from starrec.tools import NOMINATED, retrieve

LATE_NOTHING = StudentConfig(grpo=GRPOConfig(batch=16, late=0.0, tasks_per_user=3))


@pytest.fixture(scope="module")
def tasks(prepared):
    return Tasks(prepared, RunConfig(student=LATE_NOTHING))


@pytest.fixture(scope="module")
def found(tasks):
    with Workers(tasks.prepared.world, 1) as workers:
        return distributions_of_signals(tasks, workers)


def test_each_kind_of_tasks_has_its_sample(found):
    # At least 500 practice tasks: 3 times 11 usual batches, 2 with short histories, 1 with few candidates, of
    # 16 tasks each; of batches with retrieved candidates as many as make 250. 60 users are tested and live.
    assert found["tasks"] == {
        "trained_random": 3 * (11 + 2 + 1) * 16,
        "trained_retrieved": math.ceil(250 / 32) * 32,
        "evaluated": 60,
        "live": 60,
    }
    assert list(found["signals"]) == list(SCORED)
    for of in found["signals"].values():
        assert [kind for kind in of if "shift" in of[kind]] == ["evaluated", "live"]


def test_what_is_evaluated_and_live_is_the_evidence_of_those_tasks(tasks, found, task):
    prepared = tasks.prepared
    evaluated = [each for each in tasks.test[0] if each.draw == 0]
    live = []
    for each in evaluated:
        # The whole sequence, the held-out items too, and without her own edges.
        whole = prepared.sequences.of(each.user)
        assert len(whole) == len(each.history) + 1
        live.append(task(each.user, whole, retrieve(prepared.world.graph, each.user, whole, NOMINATED)))
    for kind, asked in (("evaluated", evaluated), ("live", live)):
        scores = np.concatenate([prepared.world.toolbox(each).evidence.scores for each in asked], axis=1)
        for row, signal in enumerate(SCORED):
            of = found["signals"][signal][kind]
            unknown = np.isnan(scores[row])
            assert of["unknown"] == unknown.mean()
            if unknown.all():
                assert of["quantiles"] is None
            else:
                expected = np.quantile(scores[row][~unknown], (0.1, 0.5, 0.9))
                assert of["quantiles"] == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_without_a_clock_the_trend_is_unknown_everywhere_and_not_shifted(found):
    of = found["signals"]["trend"]
    assert {each["unknown"] for each in of.values()} == {1.0}
    assert of["evaluated"]["shift"] == of["live"]["shift"] == 0.0


def test_late_positions_weigh_as_in_training(prepared, found):
    """The longest histories of all count most: what they know of candidates is less often nothing."""
    late = StudentConfig(grpo=LATE_NOTHING.grpo.model_copy(update={"late": 50.0}))
    tasks = Tasks(prepared, RunConfig(student=late))
    with Workers(prepared.world, 1) as workers:
        other = distributions_of_signals(tasks, workers)
        [batch] = Practice(tasks, workers, late, tasks.practice).first("usual", 1)
    assert batch.weights.max() > 2 * batch.weights.min()
    for kind in ("trained_random", "trained_retrieved"):
        assert other["signals"]["ease"][kind] != found["signals"]["ease"][kind]
    assert other["signals"]["ease"]["live"]["quantiles"] == found["signals"]["ease"]["live"]["quantiles"]
