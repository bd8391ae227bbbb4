"""Both stages do what they are for, and the second one resumes as the first."""

import copy

import numpy as np
import pytest
import torch

from starrec.student import Labelled, reinforce
from starrec.student.listwise import label_logits


class Killed(Exception):
    pass


def test_supervision_teaches_both_modes(taught, stage, labelled, tmp_path):
    star, progress = taught
    first, *_, last = progress.curve
    assert last["think"] < first["think"] and last["fast"] < first["fast"]
    # Six labels: chance is (1/6 + 3/6 + 5/6) / 3 = 0.5.
    assert progress.best > 0.7
    assert stage(star.model, tmp_path / "checkpoint").evaluate() == progress.best


def test_evaluation_is_the_accuracy_with_the_tasks_own_labels(taught, stage, labelled, tmp_path):
    star, _ = taught
    hits = []
    for row, column in enumerate(labelled.columns.tolist()):
        with torch.inference_mode():
            logits = label_logits(star.model, star.prompts.batch(labelled.tasks[np.array([row])]))[0]
        rank = 1 + int((logits > logits[column]).sum())
        hits.append(((rank <= 1) + (rank <= 3) + (rank <= 5)) / 3)
    assert stage(star.model, tmp_path / "checkpoint").evaluate() == pytest.approx(np.mean(hits))


def test_reinforcement_killed_and_resumed_equals_uninterrupted(taught, stage, labelled, samples, tmp_path):
    start = taught[0].model
    epochs = []

    def epoch(number):
        epochs.append(number)
        rows = np.random.default_rng(number).permutation(len(labelled))
        return Labelled(labelled.tasks[rows], labelled.columns[rows])

    def kill(progress):
        if progress.step == 6:
            raise Killed

    whole, killed, resumed = (copy.deepcopy(start) for _ in range(3))
    expected = reinforce(stage(whole, tmp_path / "whole"), len(labelled), epoch, samples)
    # 6 tasks in batches of 4: one step an epoch, eight steps.
    assert epochs == list(range(8))
    with pytest.raises(Killed):
        reinforce(
            stage(killed, tmp_path / "checkpoint", kill, checkpoint_seconds=0), len(labelled), epoch, samples
        )
    epochs.clear()
    found = reinforce(stage(resumed, tmp_path / "checkpoint"), len(labelled), epoch, samples)
    assert epochs == [5, 6, 7]
    for one, two in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(one, two)
    assert found.curve == expected.curve and found.best == expected.best
    assert 0 <= expected.curve[-1]["reward"] <= 1 and 0 <= expected.curve[-1]["think_reward"] <= 1


def test_cross_entropy_takes_grpos_place_and_needs_no_runs(taught, stage, labelled, samples, tmp_path):
    def trained(name, *how):
        model = copy.deepcopy(taught[0].model)
        progress = reinforce(stage(model, tmp_path / name), len(labelled), lambda number: labelled, *how)
        return progress.curve[-1], torch.cat([weight.flatten() for weight in model.parameters()])

    labels, by_labels = trained("labels", [], "cross_entropy")
    replayed, by_replay = trained("replayed", samples, "cross_entropy")
    rewarded, by_reward = trained("rewarded", samples)
    assert "think" not in labels and "think" in replayed and "think" in rewarded
    # A cross-entropy, not an advantage-weighted log-probability.
    assert labels["loss"] > 0 and rewarded["loss"] != replayed["loss"]
    assert not torch.equal(by_labels, by_replay) and not torch.equal(by_replay, by_reward)
