"""Rewards of a ranking as a loss: sampled groups (GRPO), and in closed form.

The scores of a task's candidates are, by Plackett and Luce, a distribution over rankings; a ranking is rewarded
by where it puts the target (`rewards.outcome_reward`). No decoding and no teacher take part, so candidates are
drawn anew every epoch and tasks that the teacher failed count as well.

`grpo_loss` samples G rankings by the Gumbel trick (add Gumbel noise, sort), and pushes the log-probability of
each by its group-relative advantage (STAR, section 3.4; on-policy policy gradients over rankings: PG-Rank, Gao
et al., 2023). The reward looks at the first five places only; whatever stands below cannot change it, so the
log-probability of a sample is that of its first five places: the same expected gradient with less variance.

`expected_reward` needs no samples. The reward depends on one item's place, and given the target's own Gumbel
value the others beat it independently of each other: their number is Poisson-binomial, and the expectation a
one-dimensional integral. (PL-Rank, Oosterhuis, SIGIR 2021, estimates the gradient of any sum over placed items
from samples; one relevant item allows this form.)
"""

from __future__ import annotations

from typing import Final

import torch
from torch.nn import functional

from starrec.student.config import GRPOConfig
from starrec.student.rewards import TIERS, advantages, outcome_reward

PLACES: Final = TIERS[-1][0]
"""Places of a sampled ranking that its reward depends on."""
_NODES: Final = 64
_FROM, _TO = -25.0, 4.0
"""Logarithms of the target's exponential race time that are integrated over: outside lies less than 1e-11."""


def sample_rankings(logits: torch.Tensor, group: int, generator: torch.Generator) -> torch.Tensor:
    """G rankings of each row from the Plackett-Luce distribution of its logits, `(n, G, c)` columns.

    Sorting logits plus independent Gumbel noise samples exactly from it (Yellott 1977).
    """
    noise = torch.rand((logits.shape[0], group, logits.shape[1]), generator=generator)
    gumbel = -torch.log(-torch.log(noise.clamp(1e-9, 1 - 1e-7)))
    return (logits.detach()[:, None, :] + gumbel.to(logits.device)).argsort(dim=2, descending=True)


def log_probability(logits: torch.Tensor, rankings: torch.Tensor, places: int) -> torch.Tensor:
    """Log-probability of the first places of each ranking, `(n, G)`.

    log p = sum_i [ z_(i) - log sum_{j >= i} exp z_(j) ] over i = 1..places (Plackett-Luce).
    """
    ordered = logits[:, None, :].expand(rankings.shape).gather(2, rankings)
    # log-sum-exp of what is still to be placed, from the last place to the first
    remaining = ordered.flip(2).logcumsumexp(2).flip(2)
    return (ordered - remaining)[:, :, :places].sum(dim=2)


def grpo_loss(
    logits: torch.Tensor,
    reference: torch.Tensor | None,
    target: torch.Tensor,
    *,
    group: int,
    kl: float,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of each task `(n,)`, and mean outcome reward of the samples.

    Strictly on-policy: one update a sample, so the importance ratio of GRPO's equation 3 is 1 and its clipping
    never acts; what is left is the policy gradient with group-relative advantages and the KL term.

    Args:
        logits: `(n, c)` scores of the candidates, -inf where there is none.
        reference: the same under star_sft, for the KL term; None leaves the term out.
        target: `(n,)` column of the true next item.
    """
    rankings = sample_rankings(logits, group, generator)
    ranks = (rankings == target[:, None, None]).int().argmax(dim=2) + 1
    reward = outcome_reward(ranks)
    places = min(PLACES, int(torch.isfinite(logits).sum(dim=1).min()))
    loss = -(advantages(reward) * log_probability(logits, rankings, places)).mean(dim=1)
    return loss + _divergence(logits, reference, kl), reward.mean()


def expected_reward_loss(
    logits: torch.Tensor, reference: torch.Tensor | None, target: torch.Tensor, *, kl: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Minus the expected outcome reward of each task `(n,)`, and its mean over tasks; arguments as in
    `grpo_loss`, whose gradient this has on average but for the division by the standard deviation of a group's
    rewards. In a task that is all but decided that is near 0: the samples of a group are then alike and teach
    nothing, an exact expectation would teach without bound.
    """
    chances = placing(logits, target)
    reward = chances @ outcome_reward(torch.arange(1, PLACES + 1)).to(chances)
    return _divergence(logits, reference, kl) - reward, reward.detach().mean()


def placing(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The probability that the target is ranked at each of the first five places, `(n, 5)`.

    A Plackett-Luce ranking is the order of independent exponential race times with rates exp z. Given the
    target's time e / exp z_t, another candidate is earlier with probability 1 - exp(-e exp(z_j - z_t)); e is
    exponential with rate 1. The number of earlier ones is counted candidate by candidate, and e is integrated
    over its logarithm by the trapezoidal rule, which converges exponentially for an integrand that vanishes at
    both ends.

    Args:
        logits: `(n, c)`, -inf where there is no candidate.
        target: `(n,)` column of the target.
    """
    own = logits.gather(1, target[:, None])
    steps = torch.linspace(_FROM, _TO, _NODES, dtype=logits.dtype, device=logits.device)
    weight = torch.exp(steps - steps.exp()) * (_TO - _FROM) / (_NODES - 1)
    hazard = torch.exp((logits - own).clamp(max=60.0))
    not_own = torch.ones_like(logits).scatter(1, target[:, None], 0.0)
    later = torch.exp(-(hazard * not_own).T[:, :, None] * steps.exp())  # (c, n, nodes)
    nowhere = torch.zeros_like(later[:1])
    # All counts at once: of a hundred candidates, thousands of small products would take longer than a pass.
    counts = torch.cat([torch.ones_like(nowhere), *[nowhere] * (PLACES - 1)])
    for stays, passes in zip(later.unbind(), (1 - later).unbind(), strict=True):
        counts = torch.addcmul(counts * stays, torch.cat([nowhere, counts[:-1]]), passes)
    return (counts @ weight).T


def cross_entropy_loss(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of the target over the candidates (ListNet's top-one loss; Cao et al., ICML 2007) of each
    task `(n,)`, and mean outcome reward of the likeliest rankings, ties against the target; arguments as in
    `grpo_loss`."""
    own = logits.gather(1, target[:, None])
    reward = outcome_reward((logits >= own).sum(dim=1))
    return functional.cross_entropy(logits, target, reduction="none"), reward.mean()


def reward_loss(
    logits: torch.Tensor, reference: torch.Tensor | None, target: torch.Tensor, config: GRPOConfig, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Stage 2's loss of each task `(n,)`, by the settings: of the reward, from samples or in closed form, and
    of the target's likelihood; and the mean reward. Arguments as in `grpo_loss`.

    Args:
        seed: of samples.
    """
    likelihood, _ = cross_entropy_loss(logits, target)
    if config.gradient == "exact":
        each, reward = expected_reward_loss(logits, reference, target, kl=config.kl)
    else:
        each, reward = grpo_loss(
            logits,
            reference,
            target,
            group=config.group,
            kl=config.kl,
            generator=torch.Generator().manual_seed(seed),
        )
    return each + config.likelihood * likelihood, reward


def _divergence(logits: torch.Tensor, reference: torch.Tensor | None, kl: float) -> torch.Tensor:
    """KL divergence of each task's distribution from the reference, times its weight."""
    if reference is None or kl == 0:
        return torch.zeros(len(logits), device=logits.device)
    absent = torch.isinf(logits)
    log_p, log_q = (scores.log_softmax(1).masked_fill(absent, 0.0) for scores in (logits, reference))
    return kl * (log_p.exp() * (log_p - log_q)).sum(dim=1)
