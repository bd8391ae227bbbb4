"""Traces without constraints, what they are worth, and that training on them does what it is for."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from starrec.signals import Cited
from starrec.signals.citations import Citation
from starrec.student import Attempted, ExplorationConfig, explore, read_samples, sample_rollouts
from starrec.student.rewards import citation_reward
from starrec.student.rollouts import Rollout
from starrec.student.samples import spoken
from starrec.student.tokenizer import Names
from starrec.trajectories import target_columns

LEARNED = 4


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def attempted(lessons):
    tasks, targets, _ = lessons
    columns = target_columns(tasks, targets)
    learned = tasks[:LEARNED]
    return Attempted(learned, [columns[task.task_id] for task in learned])


@pytest.fixture(scope="module")
def fluent(taught, samples):
    """The taught student when it knows the text of these runs by heart."""
    star = taught[0]
    model = copy.deepcopy(star.model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for _ in range(120):
        nll, _ = read_samples(model, samples[:LEARNED], star.tokenizer.pad_token_id)
        optimizer.zero_grad()
        nll.mean().backward()
        optimizer.step()
    assert nll.mean() < 0.05
    return type(star)(model, star.tokenizer, star.world)


@pytest.fixture(scope="module")
def greedy(fluent, attempted):
    """One attempt at each learned task."""
    return [found for (found,) in sample_rollouts(fluent, *attempted, group=1, temperature=0, seed=0)]


def test_what_a_student_has_learned_needs_no_constraints(greedy, fluent):
    """It knows these runs by heart, and greedy decoding takes what is likeliest of all tokens."""
    ranked = [rollout for rollout in greedy if rollout.thought is not None]
    assert ranked
    model, pad = fluent.model, fluent.tokenizer.pad_token_id
    for rollout in ranked:
        assert rollout.broken == ""
        with torch.inference_mode():
            nll, scores = read_samples(model, [rollout.sample], pad)
        # Each token that was sampled is the likeliest in one pass over the whole text, too.
        assert len(nll) == rollout.sample.learn.sum() and (nll < np.log(2)).all()
        order = rollout.sample.ranking
        assert (np.diff(scores.numpy()[0][order]) <= 1e-4).all()


def test_the_sampled_tokens_are_all_that_the_student_wrote(greedy, fluent):
    star = fluent
    for rollout in greedy:
        if rollout.thought is None:
            continue
        names, written, text, call = Names(), [], "", ""
        for element in rollout.thought.elements:
            call = element.text.split('"')[3] if element.tag == "tool_call" else call
            short = names.short(spoken(element, call)) if element.tag != "recommend" else "<recommend>"
            text += short
            written += [short] * (element.tag not in ("task", "tool_response"))
        decoded = star.tokenizer.decode(rollout.sample.ids, skip_special_tokens=False)
        assert decoded == text
        own = star.tokenizer.decode(rollout.sample.ids[rollout.sample.learn], skip_special_tokens=False)
        assert own == "".join(written)


def test_rewards_by_hand(greedy):
    ranked = next(rollout for rollout in greedy if rollout.thought is not None)
    order = ranked.thought.steps[-1].text
    best, third, last = order[:3], order[6:9], order[-3:]
    nothing = replace(ranked, cited=())
    assert replace(nothing, target=best).reward(0.5) == pytest.approx(1 + 1)
    assert replace(nothing, target=third).reward(0.5) == pytest.approx(1 + 2 / 3)
    assert replace(nothing, target=last).reward(0.5) == pytest.approx(1)
    cited = (Cited((Citation("‹A›", 1, "holds"), Citation("‹B›", 9, "unknown")), ("12",)), Cited())
    assert citation_reward(cited) == pytest.approx(1 / 3) and citation_reward((Cited(),)) == 0
    assert replace(ranked, cited=cited, target=last).reward(0.5) == pytest.approx(1 + 0.5 / 3)
    assert replace(ranked, thought=None).reward(0.5) == -1


def test_who_knows_nothing_breaks_the_form_and_is_told_where(newborn, attempted):
    found = sample_rollouts(newborn(), *attempted, group=2, temperature=1.0, seed=0)
    flat: list[Rollout] = [rollout for group in found for rollout in group]
    assert all(rollout.thought is None and rollout.broken for rollout in flat)
    # Its own tokens are what it is taught by.
    assert all(rollout.sample.learn.any() for rollout in flat)


def test_the_same_seed_samples_the_same(fluent, attempted):
    def texts(seed):
        found = sample_rollouts(fluent, *attempted, group=3, temperature=1.5, seed=seed)
        return [rollout.sample.ids.tolist() for group in found for rollout in group]

    assert texts(1) == texts(1) != texts(2)


@pytest.fixture(scope="module")
def explored(stage, fluent, labelled, attempted, samples):
    """Stage 3 on a copy of the student."""
    star = fluent

    def explored(checkpoint, *report, **options):
        model = copy.deepcopy(star.model)
        staged = stage(model, checkpoint, *report, **options)
        settings = ExplorationConfig(
            steps=4, learning_rate=1e-3, tasks=4, group=3, together=2, evaluate_every=2
        )
        staged = replace(staged, config=staged.config.model_copy(update={"exploration": settings}))
        own = type(star)(model, star.tokenizer, star.world)
        progress = explore(
            staged, own, lambda step: attempted, attempted, lambda step: labelled[np.arange(4)], samples
        )
        return progress, model

    return explored


def test_exploration_killed_and_resumed_equals_uninterrupted(explored, tmp_path):
    def kill(progress):
        if progress.step == 3:
            raise Killed

    whole, model = explored(tmp_path / "whole")
    with pytest.raises(Killed):
        explored(tmp_path / "checkpoint", kill, checkpoint_seconds=0)
    resumed, again = explored(tmp_path / "checkpoint")
    assert whole.curve == resumed.curve
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    assert whole.step == 4 and {"rollout_reward", "rollout_broken", "reward"} <= set(whole.curve[-1])
