"""Stage 2: listwise GRPO over the label distribution.

One prefill gives a distribution over the candidates' labels, and with it, by Plackett and Luce, a distribution
over rankings. G rankings are sampled from it by the Gumbel trick (perturb the logits, sort), each is rewarded
by where it put the target, and its log-probability is pushed by its group-relative advantage. No decoding and
no teacher take part, so candidates are drawn anew every epoch and tasks the teacher failed count as well.

The reward looks at the first five places only; whatever stands below cannot change it, so the log-probability
of a sample is that of its first five places: the same expected gradient with less variance.
"""

from __future__ import annotations

from typing import Final

import torch
from torch.nn import functional

from starrec.student.rewards import TIERS, advantages, outcome_reward

PLACES: Final = TIERS[-1][0]
"""Places of a sampled ranking that its reward depends on."""


def sample_rankings(logits: torch.Tensor, group: int, generator: torch.Generator) -> torch.Tensor:
    """G rankings of each row from the Plackett-Luce distribution of its logits, `(n, G, c)` columns.

    Sorting logits plus independent Gumbel noise samples exactly from it (Yellott 1977).
    """
    noise = torch.rand((logits.shape[0], group, logits.shape[1]), generator=generator)
    gumbel = -torch.log(-torch.log(noise.clamp(1e-9, 1 - 1e-7)))
    return (logits.detach()[:, None, :] + gumbel).argsort(dim=2, descending=True)


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
    """Loss and mean outcome reward of a batch.

    Strictly on-policy: one update a sample, so the importance ratio of GRPO's equation 3 is 1 and its clipping
    never acts; what is left is the policy gradient with group-relative advantages and the KL term.

    Args:
        logits: `(n, c)` of the candidates' labels.
        reference: the same under star_sft, for the KL term; None leaves the term out.
        target: `(n,)` column of the true next item.
    """
    rankings = sample_rankings(logits, group, generator)
    ranks = (rankings == target[:, None, None]).int().argmax(dim=2) + 1
    reward = outcome_reward(ranks)
    loss = -(advantages(reward) * log_probability(logits, rankings, PLACES)).mean()
    if reference is not None and kl > 0:
        log_p, log_q = logits.log_softmax(1), reference.log_softmax(1)
        loss = loss + kl * (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()
    return loss, reward.mean()


def cross_entropy_loss(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of the target over the candidates (ListNet's top-one loss; Cao et al., ICML 2007), and mean
    outcome reward of the likeliest rankings, ties against the target; arguments as in `grpo_loss`."""
    own = logits.gather(1, target[:, None])
    reward = outcome_reward((logits >= own).sum(dim=1))
    return functional.cross_entropy(logits, target), reward.mean()
