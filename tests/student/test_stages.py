"""Both stages do what they are for, and the second one resumes as the first."""

import copy
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from starrec.signals import labels
from starrec.student import FastTasks, Labelled, reinforce
from starrec.student.rows import trace_rows


class Killed(Exception):
    pass


def weights(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def test_supervision_teaches_both_modes(taught, stage, labelled, tmp_path):
    star, progress = taught
    first, *_, last = progress.curve
    for what in ("think", "fast", "think_ranking"):
        assert last[what] < first[what]
    # Six candidates: chance is (1/6 + 3/6 + 5/6) / 3 = 0.5.
    assert progress.best > 0.7
    assert stage(star.model, tmp_path / "checkpoint").evaluate() == progress.best


def test_evaluation_is_the_accuracy_of_fast_mode(taught, stage, labelled, lessons, tmp_path):
    star, _ = taught
    hits = []
    for task, run in zip(lessons[0], lessons[2][: len(labelled)], strict=False):
        target = int(task.candidates[run.labels.index(run.ranking[0])])
        rank = 1 + star.rank(task).items.index(target)
        hits.append(((rank <= 1) + (rank <= 3) + (rank <= 5)) / 3)
    assert len(hits) == len(labelled)
    assert stage(star.model, tmp_path / "checkpoint").evaluate() == pytest.approx(np.mean(hits))


def test_equal_scores_count_against_the_target(stage, taught, tmp_path):
    model = copy.deepcopy(taught[0].model)
    with torch.no_grad():
        model.reader.score.weight.zero_()
    # Last of six: no hit.
    assert stage(model, tmp_path / "checkpoint").evaluate() == 0


def with_grpo(stage, **settings):
    grpo = stage.config.grpo.model_copy(update=settings)
    return replace(stage, config=stage.config.model_copy(update={"grpo": grpo}))


def practice_of(labelled, asked):
    """Four of the learned tasks a step, noting which step was asked."""

    def practice(step):
        asked.append(step)
        return labelled[np.random.default_rng(step).permutation(len(labelled))[:4]]

    return practice


@pytest.mark.parametrize("gradient", ["exact", "sampled"])
def test_reinforcement_killed_and_resumed_equals_uninterrupted(
    taught, stage, labelled, samples, tmp_path, gradient
):
    start, asked = taught[0].model, []
    practice = practice_of(labelled, asked)

    def kill(progress):
        if progress.step == 6:
            raise Killed

    def staged(model, name, *report, **options):
        return with_grpo(stage(model, tmp_path / name, *report, **options), gradient=gradient)

    whole, killed, resumed = (copy.deepcopy(start) for _ in range(3))
    expected = reinforce(staged(whole, "whole"), practice, samples)
    assert asked == list(range(8))
    with pytest.raises(Killed):
        reinforce(staged(killed, "checkpoint", kill, checkpoint_seconds=0), practice, samples)
    asked.clear()
    found = reinforce(staged(resumed, "checkpoint"), practice, samples)
    assert asked == [5, 6, 7]
    assert torch.equal(weights(resumed), weights(whole))
    assert found.curve == expected.curve and found.best == expected.best
    assert 0 <= expected.curve[-1]["reward"] <= 1 and 0 <= expected.curve[-1]["think_reward"] <= 1


def trained(stage, taught, labelled, folder, name, samples, objective="reward", **settings):
    """The weights after stage 2, whether or not they are better, and its curve's end."""
    model, last = copy.deepcopy(taught[0].model), []

    def report(progress):
        last[:] = [weights(model)]

    progress = reinforce(
        with_grpo(stage(model, folder / name, report), **settings),
        practice_of(labelled, []),
        samples,
        objective,
    )
    return progress.curve[-1], last[0]


def test_objectives_are_different_ones_and_need_no_runs(taught, stage, labelled, samples, tmp_path):
    def run(name, *how, **settings):
        return trained(stage, taught, labelled, tmp_path, name, *how, **settings)

    labels, by_labels = run("labels", [], "cross_entropy")
    replayed, by_replay = run("replayed", samples, "cross_entropy")
    rewarded, by_reward = run("rewarded", samples)
    _, by_samples = run("sampled", samples, gradient="sampled")
    assert "think" not in labels and "think" in replayed and "think" in rewarded
    # A cross-entropy is above 0, minus a reward is not.
    assert labels["loss"] > 0
    alone, by_alone = run("alone", [], likelihood=0.0)
    assert alone["loss"] == pytest.approx(-alone["reward"], abs=1e-5)
    both, by_both = run("both", [], likelihood=0.5)
    assert both["loss"] > alone["loss"]
    every = [by_labels, by_replay, by_reward, by_samples, by_alone, by_both]
    assert not any(torch.equal(one, other) for one, other in combinations(every, 2))


def test_the_reference_holds_the_weights_back(taught, stage, labelled, tmp_path):
    """Where the divergence outweighs every reward, the distribution stays closer to where it was."""
    _, free = trained(stage, taught, labelled, tmp_path, "free", [], learning_rate=1e-3)
    _, held = trained(stage, taught, labelled, tmp_path, "held", [], learning_rate=1e-3, kl=1e4)
    one, other = copy.deepcopy(taught[0].model), copy.deepcopy(taught[0].model)
    for model, vector in ((one, free), (other, held)):
        torch.nn.utils.vector_to_parameters(vector, model.parameters())
    with torch.inference_mode():
        numbers = torch.from_numpy(labelled.tasks.numbers)
        before, freely, closely = (
            model.candidate_scores(numbers).log_softmax(1) for model in (taught[0].model, one, other)
        )
    assert 0 < (closely - before).abs().mean() < (freely - before).abs().mean()


def test_a_task_of_no_weight_teaches_nothing(taught, stage, labelled, tmp_path):
    """Two practices that differ in a task that does not count come to the same weights."""
    changed = labelled.tasks.numbers.copy()
    changed[0] = changed[0, ::-1]
    weight = np.array([0, 1, 1, 1, 1, 1], dtype=np.float32)
    ends = []
    for numbers, weighing in ((labelled.tasks.numbers, weight), (changed, weight), (changed, weight + 1)):
        model = copy.deepcopy(taught[0].model)
        given = Labelled(replace(labelled.tasks, numbers=numbers), labelled.rows, weighing)
        seen = []
        reinforce(
            with_grpo(
                stage(model, tmp_path / str(len(ends)), lambda _, m=model, s=seen: s.append(weights(m))),
                steps=1,
            ),
            lambda step, given=given: given,
            [],
        )
        ends.append(seen[-1])
    assert torch.allclose(ends[0], ends[1], atol=1e-7) and not torch.allclose(ends[1], ends[2], atol=1e-7)


def test_tasks_of_several_sizes_are_practised_together(taught, stage, labelled, tmp_path):
    small = Labelled(
        FastTasks(labelled.tasks.numbers[:, :3], np.tile(np.arange(3), (6, 1)), labelled.tasks.items[:, :3]),
        labelled.rows % 3,
        labelled.weights,
    )
    batch = Labelled(
        FastTasks.concatenate([labelled.tasks, small.tasks]),
        np.concatenate([labelled.rows, small.rows]),
        np.concatenate([labelled.weights, small.weights]),
    )
    for gradient in ("exact", "sampled"):
        model = copy.deepcopy(taught[0].model)
        progress = reinforce(
            with_grpo(stage(model, tmp_path / gradient), gradient=gradient), lambda step: batch, []
        )
        assert np.isfinite(progress.curve[-1]["loss"]) and torch.isfinite(weights(model)).all()


def test_every_place_of_the_fast_order_is_read_apart(taught):
    """Stage 1 has no run that asks fast mode, so its numbers never move there; stage 2 replays runs that do."""
    rows = trace_rows([("fast_order", f"star {''.join(labels(6))}.")], labels(6))
    with torch.inference_mode():
        read = taught[0].model.reader.read(torch.from_numpy(rows))
    apart = torch.pdist(read)
    assert apart.min() > 0.01
