"""Rankings are sampled, weighed and rewarded as the formulas say: three items, all by hand."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from starrec.student.grpo import (
    cross_entropy_loss,
    expected_reward_loss,
    grpo_loss,
    log_probability,
    placing,
    sample_rankings,
)
from starrec.student.rewards import advantages, outcome_reward, trajectory_reward
from starrec.trajectories import linear

WEIGHTS = torch.tensor([[1.0, 2.0, 3.0]])
ALL = torch.tensor([list(itertools.permutations(range(3)))])
# Plackett-Luce: first by weight of all, second by weight of what is left.
BY_HAND = {
    (0, 1, 2): 1 / 6 * 2 / 5,
    (0, 2, 1): 1 / 6 * 3 / 5,
    (1, 0, 2): 2 / 6 * 1 / 4,
    (1, 2, 0): 2 / 6 * 3 / 4,
    (2, 0, 1): 3 / 6 * 1 / 3,
    (2, 1, 0): 3 / 6 * 2 / 3,
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_log_probability_by_hand():
    found = log_probability(WEIGHTS.log(), ALL, 3).exp()[0].tolist()
    assert found == pytest.approx([BY_HAND[tuple(order)] for order in ALL[0].tolist()], rel=1e-5)
    assert sum(found) == pytest.approx(1)
    # Of the first place alone: its weight's share, whatever follows. Two places decide the third.
    assert log_probability(WEIGHTS.log(), ALL, 1).exp()[0].tolist() == pytest.approx(
        [(order[0] + 1) / 6 for order in ALL[0].tolist()]
    )
    assert torch.allclose(log_probability(WEIGHTS.log(), ALL, 2), log_probability(WEIGHTS.log(), ALL, 3))


def test_log_probability_is_that_of_each_row_and_stays_finite():
    logits = torch.stack([WEIGHTS.log()[0], torch.tensor([300.0, -300.0, 0.0])])
    found = log_probability(logits, ALL.expand(2, 6, 3), 3)
    assert found[0].exp().tolist() == pytest.approx(
        [BY_HAND[tuple(order)] for order in ALL[0].tolist()], rel=1e-5
    )
    # (0, 2, 1) is certain; (1, 2, 0) costs 600 to put 1 first and 300 to put 2 before 0.
    assert found[1, 1].item() == pytest.approx(0, abs=1e-5)
    assert found[1, 3].item() == pytest.approx(-900)


def test_rankings_are_sampled_as_often_as_plackett_and_luce_say():
    n = 60_000
    found = sample_rankings(WEIGHTS.log(), n, seeded())[0]
    assert (found.sort(dim=1).values == torch.arange(3)).all()
    orders, counts = found.unique(dim=0, return_counts=True)
    observed = dict(zip(map(tuple, orders.tolist()), counts.tolist(), strict=True))
    chi_square = sum((observed[order] - n * p) ** 2 / (n * p) for order, p in BY_HAND.items())
    # 5 degrees of freedom: above 20.5 once in a thousand seeds.
    assert chi_square < 20.5


def test_rewards_by_hand():
    ranks = torch.tensor([[1, 2, 3, 4], [5, 6, 20, 1]])
    expected = torch.tensor([[1, 2 / 3, 2 / 3, 1 / 3], [1 / 3, 0, 0, 1]])
    assert torch.allclose(outcome_reward(ranks), expected)


def test_advantages_by_hand():
    # Mean 1/3, deviations 2/3, -1/3, -1/3, 0: variance (4 + 1 + 1) / 9 / 4 = 1/6.
    found = advantages(torch.tensor([[1, 0, 0, 1 / 3], [2 / 3, 2 / 3, 2 / 3, 2 / 3]]))
    spread = math.sqrt(1 / 6) + 1e-4
    expected = [2 / 3 / spread, -1 / 3 / spread, -1 / 3 / spread, 0]
    assert found[0].tolist() == pytest.approx(expected, abs=1e-6)
    assert found[1].tolist() == [0, 0, 0, 0]


def test_a_written_trajectory_is_rewarded_for_its_form_and_its_outcome(lessons):
    run = lessons[2][0]
    text = linear(run)
    earned = [trajectory_reward(text, run.labels, label) for label in run.ranking]
    assert earned == pytest.approx([2, 1 + 2 / 3, 1 + 2 / 3, 1 + 1 / 3, 1 + 1 / 3, 1])
    first = run.ranking[0]
    for broken in (
        text.removesuffix("</recommend>"),
        text + " ",
        text.replace("<plan>", "<plan><plan>", 1),
        text.replace(f"<recommend>{first}", "<recommend>"),
        text.replace(f"<recommend>{first}", f"<recommend>{first}{first}"),
        "",
    ):
        assert trajectory_reward(broken, run.labels, first) == -1
    assert trajectory_reward(text, (*run.labels[:-1], "‹Z›"), first) == -1
    assert trajectory_reward(linear(replace(run, run=7)), run.labels, first) == 2


def test_the_loss_is_its_formula():
    logits, target = torch.tensor([[0.3, -1.0, 0.5, 0.0, 2.0, 1.0]]).repeat(4, 1), torch.tensor([0, 1, 2, 5])
    loss, reward = grpo_loss(logits, None, target, group=16, kl=0.0, generator=seeded(3))
    rankings = sample_rankings(logits, 16, seeded(3))
    earned = []
    for row in range(4):
        total = 0.0
        places = [order.index(int(target[row])) + 1 for order in rankings[row].tolist()]
        gained = [{1: 1.0, 2: 2 / 3, 3: 2 / 3, 4: 1 / 3, 5: 1 / 3, 6: 0.0}[place] for place in places]
        mean = sum(gained) / 16
        spread = math.sqrt(sum((value - mean) ** 2 for value in gained) / 16) + 1e-4
        for order, value in zip(rankings[row].tolist(), gained, strict=True):
            weights = [math.exp(logits[row, column]) for column in order]
            log_p = sum(math.log(weights[at] / sum(weights[at:])) for at in range(5))
            total -= (value - mean) / spread * log_p
        earned += gained
        assert loss[row].item() == pytest.approx(total / 16, rel=1e-4)
    assert reward.item() == pytest.approx(sum(earned) / 64)


def test_the_divergence_by_hand():
    # p = (1/2, 1/2), q = (1/4, 3/4): KL(p || q) = 1/2 ln 2 + 1/2 ln 2/3 = 1/2 ln 4/3.
    logits, before = torch.zeros(1, 2), torch.tensor([[1.0, 3.0]]).log()
    expected = 0.5 * 0.5 * math.log(4 / 3)
    for loss in (
        lambda kl: grpo_loss(logits, before, torch.tensor([0]), group=8, kl=kl, generator=seeded())[0].item(),
        lambda kl: expected_reward_loss(logits, before, torch.tensor([0]), kl=kl)[0].item(),
    ):
        assert loss(0.5) - loss(0.0) == pytest.approx(expected, abs=1e-5)
    # Where there is no candidate there is nothing to diverge.
    padded = [torch.cat([scores, torch.tensor([[-math.inf]])], dim=1) for scores in (logits, before)]
    found = [expected_reward_loss(*padded, torch.tensor([0]), kl=kl)[0].item() for kl in (0.0, 0.5)]
    assert found[1] - found[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("gradient", ["sampled", "exact"])
def test_steps_down_the_loss_put_the_target_first(gradient):
    logits, target = torch.zeros(8, 20, requires_grad=True), torch.arange(8)
    optimizer = torch.optim.SGD([logits], lr=20.0)
    generator = seeded()
    rewards = []
    for _ in range(60):
        if gradient == "exact":
            loss, reward = expected_reward_loss(logits, None, target, kl=0.0)
        else:
            loss, reward = grpo_loss(logits, None, target, group=32, kl=0.0, generator=generator)
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
        rewards.append(reward.item())
    # By chance 1/20 · 1 + 2/20 · 2/3 + 2/20 · 1/3 = 0.15.
    assert rewards[0] < 0.3
    assert (logits.argmax(dim=1) == target).all()


def test_equal_rewards_teach_nothing():
    logits = torch.zeros(2, 4, requires_grad=True)
    sure = logits + torch.tensor([100.0, 0.0, 0.0, 0.0])
    loss, reward = grpo_loss(sure, None, torch.tensor([0, 0]), group=8, kl=0.0, generator=seeded())
    loss.sum().backward()
    assert reward.item() == 1
    assert logits.grad.abs().max() == 0


def test_cross_entropy_by_hand():
    logits = torch.cat([WEIGHTS, WEIGHTS, torch.ones(1, 3)]).log()
    loss, reward = cross_entropy_loss(logits, torch.tensor([2, 0, 1]))
    # The target has 3 of 6, 1 of 6 and 1 of 3; it stands first, third, and, where all are equal, last of three.
    assert loss.tolist() == pytest.approx([math.log(2), math.log(6), math.log(3)])
    assert reward.item() == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)


def test_places_of_the_target_by_hand():
    for target in range(3):
        chances = [sum(p for order, p in BY_HAND.items() if order[place] == target) for place in range(3)]
        found = placing(WEIGHTS.log(), torch.tensor([target]))[0].tolist()
        # Of three, none is fourth or fifth.
        assert found == pytest.approx([*chances, 0, 0], abs=1e-6)
        _, reward = expected_reward_loss(WEIGHTS.log(), None, torch.tensor([target]), kl=0.0)
        assert reward.item() == pytest.approx(chances[0] + 2 / 3 * (chances[1] + chances[2]), abs=1e-6)


def test_places_among_many_are_those_of_samples():
    logits = torch.randn(3, 20, generator=seeded(4)) * 2
    target = torch.tensor([0, 7, 19])
    n = 40_000
    rankings = sample_rankings(logits, n, seeded(5))
    ranks = (rankings == target[:, None, None]).int().argmax(dim=2)
    for row in range(3):
        chances = placing(logits, target)[row]
        for place in range(5):
            p = chances[place].item()
            found = (ranks[row] == place).double().mean().item()
            assert abs(found - p) < 4 * math.sqrt(p * (1 - p) / n) + 1e-4
    # Equal ones are equally likely at each place.
    assert placing(torch.zeros(1, 20), torch.tensor([3]))[0].tolist() == pytest.approx([1 / 20] * 5, abs=1e-6)


def test_the_exact_gradient_is_the_mean_of_the_sampled_one():
    """Of the policy gradient with the group's mean as its baseline, not divided by the deviation."""
    group, n = 64, 600
    logits = (torch.randn(1, 8, generator=seeded(6)) * 1.5).requires_grad_()
    target = torch.tensor([2])
    loss, _ = expected_reward_loss(logits, None, target, kl=0.0)
    loss.sum().backward()
    exact = logits.grad[0].clone()

    rankings = sample_rankings(logits, group * n, seeded(7)).reshape(n, group, 8)
    reward = outcome_reward((rankings == 2).int().argmax(dim=2) + 1)
    gain = (reward - reward.mean(dim=1, keepdim=True)).detach()
    log_p = log_probability(logits.expand(n, 8), rankings, 5)
    # A group's own mean is correlated with each of its rewards: that shrinks the expectation by (G - 1) / G.
    each = -(gain * log_p).mean(dim=1) * group / (group - 1)
    per_group = torch.stack(
        [torch.autograd.grad(part.mean(), logits, retain_graph=True)[0][0] for part in each.chunk(50)]
    )
    mean, spread = per_group.mean(dim=0), per_group.std(dim=0) / math.sqrt(50)
    assert exact.abs().max() > 0.02
    assert ((mean - exact).abs() < 4.5 * spread + 1e-5).all()
    # Raising all scores changes no ranking.
    assert exact.sum().abs() < 1e-5


@pytest.mark.parametrize("kind", ["exact", "sampled", "cross-entropy"])
def test_padding_is_no_candidate(kind):
    """Of tasks of one size, and of the same ones padded as the model pads."""
    target = torch.tensor([1, 0])

    def loss(scores):
        if kind == "sampled":
            return grpo_loss(scores, None, target, group=8, kl=0.0, generator=seeded())[0]
        if kind == "exact":
            return expected_reward_loss(scores, None, target, kl=0.0)[0]
        return cross_entropy_loss(scores, target)[0]

    scores = torch.tensor([[0.3, -1.0, 2.0, 0.5], [1.0, 0.0, 0.5, -1.0]], requires_grad=True)
    padded = torch.cat([scores.detach(), torch.zeros(2, 3)], dim=1).requires_grad_()
    absent = torch.tensor([[False] * 4 + [True] * 3]).expand(2, 7)
    one, other = loss(scores), loss(padded.masked_fill(absent, -math.inf))
    (given,), (found,) = torch.autograd.grad(one.sum(), scores), torch.autograd.grad(other.sum(), padded)
    assert torch.isfinite(other).all() and torch.isfinite(found).all() and not found[:, 4:].any()
    # Noise is drawn for padding as well, so samples are others.
    if kind != "sampled":
        assert torch.allclose(one, other, atol=1e-6) and torch.allclose(found[:, :4], given, atol=1e-6)


@pytest.mark.parametrize("target", [0, 1, 2])
def test_scores_far_apart_stay_finite(target):
    logits = torch.tensor([[100.0, -100.0, 0.0, 99.0, -100.0, 100.0, 0.0]], requires_grad=True)
    loss, reward = expected_reward_loss(logits, None, torch.tensor([target]), kl=0.0)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert torch.isfinite(loss).all() and torch.isfinite(gradient).all()
    chances = placing(logits.detach(), torch.tensor([target]))[0]
    assert (chances > -1e-6).all() and chances.sum() < 1 + 1e-5
    # 0 is first or second of two equals, or behind 3 once in a while (1, 1 and 1/e of their weights); 1 is the
    # last but one or last, beyond the fifth place; 2 is fourth or fifth.
    expected = {0: None, 1: 0.0, 2: 1 / 3}[target]
    if expected is None:
        e = math.exp(-1)
        first = 1 / (2 + e)
        assert chances[0].item() == pytest.approx(first, abs=1e-5)
        assert reward.item() == pytest.approx(first + 2 / 3 * (1 - first), abs=1e-5)
    else:
        assert reward.item() == pytest.approx(expected, abs=1e-5)
