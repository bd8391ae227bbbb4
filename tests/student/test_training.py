"""A training run that was killed ends as if it had not been, and keeps its best weights."""

import copy
import re
from dataclasses import replace
from functools import partial

import pytest
import torch

from starrec.errors import RunError
from starrec.student.training import Schedule, fit

SCHEDULE = Schedule(steps=24, learning_rate=0.05, warmup=3, evaluate_every=5)
EVERY_STEP = replace(SCHEDULE, checkpoint_seconds=0)


class Killed(Exception):
    pass


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


class Regression:
    """A real little problem, with the steps and looks that it was asked for."""

    def __init__(self, model, worse_from=1000):
        self.model = model
        self.worse_from = worse_from
        self.steps = []
        self.looks = []

    def _error(self, seed):
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(seed))
        return ((self.model(x) - x.sum(dim=1, keepdim=True)) ** 2).mean()

    def losses(self, step):
        self.steps.append(step)

        def part(seed):
            error = self._error(seed) / 2
            return error if step < self.worse_from else -error, {"half": error.item() / 2}

        return [partial(part, step), partial(part, 1000 + step)]

    def evaluate(self):
        assert not self.model.training
        with torch.no_grad():
            self.looks.append((-self._error(999).item(), copy.deepcopy(self.model.state_dict())))
        return self.looks[-1][0]


def train(model, checkpoint, fingerprint="a", killed_at=None, schedule=SCHEDULE, **kind):
    problem = Regression(model, **kind)

    def report(progress):
        if progress.step == killed_at:
            raise Killed

    progress = fit(
        model, problem.losses, problem.evaluate, schedule, checkpoint, fingerprint=fingerprint, report=report
    )
    return progress, problem


def facts(progress):
    return {name: value for name, value in vars(progress).items() if name != "seconds"}


def equal(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("killed_at", [2, 5, 13, 24])
def test_killed_and_resumed_equals_uninterrupted(model, tmp_path, killed_at):
    whole = copy.deepcopy(model)
    expected, _ = train(whole, tmp_path / "whole")
    first = copy.deepcopy(model)
    with pytest.raises(Killed):
        train(first, tmp_path / "checkpoint", killed_at=killed_at, schedule=EVERY_STEP)
    # What stands on disk is enough: weights in memory are gone with the process.
    resumed = copy.deepcopy(model)
    found, problem = train(resumed, tmp_path / "checkpoint")
    # A step is on disk once its report has come back.
    assert problem.steps == list(range(killed_at - 1, 24))
    assert equal(resumed.state_dict(), whole.state_dict())
    assert facts(found) == facts(expected)


def test_a_finished_stage_is_not_trained_again(model, tmp_path):
    again = copy.deepcopy(model)
    expected, _ = train(model, tmp_path / "checkpoint")
    found, problem = train(again, tmp_path / "checkpoint")
    assert problem.steps == [] and problem.looks == []
    assert equal(again.state_dict(), model.state_dict())
    assert facts(found) == facts(expected)


def test_a_checkpoint_of_other_inputs_is_started_over(model, tmp_path):
    alone, other = copy.deepcopy(model), copy.deepcopy(model)
    train(alone, tmp_path / "alone")
    with pytest.raises(Killed):
        train(other, tmp_path / "checkpoint", fingerprint="b", killed_at=10, schedule=EVERY_STEP)
    _, problem = train(model, tmp_path / "checkpoint", fingerprint="a")
    assert problem.steps == list(range(24))
    assert equal(model.state_dict(), alone.state_dict())


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: b"",
        lambda whole: b"not a checkpoint",
        lambda whole: whole[:-200] + b"\0" * 200,
    ],
    ids=["cut", "empty", "text", "zeroed end"],
)
def test_a_corrupt_checkpoint_is_named_and_left_alone(model, tmp_path, damage):
    checkpoint = tmp_path / "grpo.checkpoint"
    train(copy.deepcopy(model), checkpoint)
    checkpoint.write_bytes(damaged := damage(checkpoint.read_bytes()))
    with pytest.raises(RunError, match=re.escape(str(checkpoint)) + r" is corrupt .*Delete it"):
        train(model, checkpoint)
    assert checkpoint.read_bytes() == damaged


@pytest.mark.parametrize("kept", [[], ["fingerprint", "progress", "model", "optimizer"]])
def test_a_checkpoint_that_lacks_a_part_is_corrupt(model, tmp_path, kept):
    checkpoint = tmp_path / "checkpoint"
    train(copy.deepcopy(model), checkpoint)
    state = torch.load(checkpoint, weights_only=True)
    torch.save({name: state[name] for name in kept}, checkpoint)
    with pytest.raises(RunError, match="corrupt"):
        train(model, checkpoint)


def test_the_weights_that_did_best_are_kept(model, tmp_path):
    progress, problem = train(model, tmp_path / "checkpoint", worse_from=11)
    assert [point["step"] for point in progress.curve] == [5, 10, 15, 20, 24]
    scores = [score for score, _ in problem.looks]
    # The first look is before any step.
    best = max(range(6), key=lambda look: scores[look])
    assert 0 < best < 5 and scores[5] < scores[best]
    assert (progress.best, progress.best_step) == (scores[best], progress.curve[best - 1]["step"])
    assert progress.evaluations == 6
    assert [point["validation_avg_hr"] for point in progress.curve] == scores[1:]
    assert equal(model.state_dict(), problem.looks[best][1])
    assert not model.training


def test_a_stage_that_only_does_harm_returns_the_weights_that_it_got(model, tmp_path):
    given = copy.deepcopy(model.state_dict())
    progress, problem = train(model, tmp_path / "checkpoint", worse_from=0)
    assert max(score for score, _ in problem.looks[1:]) < problem.looks[0][0] == progress.best
    assert equal(model.state_dict(), given) and progress.best_step == 0
    # Also after a kill: what it got is in the checkpoint.
    with pytest.raises(Killed):
        train(model, tmp_path / "again", worse_from=0, killed_at=8, schedule=EVERY_STEP)
    model.load_state_dict(problem.looks[-1][1])
    progress, _ = train(model, tmp_path / "again", worse_from=0)
    assert equal(model.state_dict(), given) and progress.best_step == 0


def test_training_that_diverges_is_stopped_and_says_so(model, tmp_path):
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("inf"))
    with pytest.raises(RunError, match=r"diverged at step 1: .*learning_rate"):
        train(model, tmp_path / "checkpoint")


def test_the_rate_rises_and_falls():
    rates = [SCHEDULE.rate(step) for step in range(24)]
    assert max(rates) == pytest.approx(0.05)
    assert rates[0] < rates[1] < rates[2]
    assert rates[-1] < rates[-2] < rates[-3] < 0.05 and rates[-1] > 0
