"""The probes tell a reader from a memoriser."""

import pytest
import torch

from starrec.evaluation import probe
from starrec.ranking import avg_hr
from starrec.signals import N_LEVELS, SIGNALS, compact

RATES = ("exchange_turns", "labels_keep_first", "avg_hr", "avg_hr_without_evidence")


@pytest.fixture(scope="module")
def asked(lessons):
    return lessons[0], lessons[1]


def test_rates_are_rates_and_the_same_seed_gives_the_same(newborn, asked):
    tasks, targets = asked
    found = probe(newborn(), tasks, targets, seed=0)
    assert found["n"] == len(tasks)
    assert all(0 <= found[name] <= 1 for name in RATES)
    assert found["none_costs"] == pytest.approx(found["avg_hr"] - found["avg_hr_without_evidence"])
    assert probe(newborn(), tasks, targets, seed=0) == found


def test_accuracy_is_that_of_fast_mode(newborn, asked):
    tasks, targets = asked
    star = newborn()
    ranks = [
        ranking.rank_of(targets[task.task_id])
        for task, ranking in zip(tasks, star.rank_many(tasks), strict=True)
    ]
    assert probe(star, tasks, targets, seed=0)["avg_hr"] == pytest.approx(avg_hr(ranks).mean())


def test_a_student_that_cannot_tell_levels_apart_is_found_out(newborn, asked):
    """Where all levels are one to the model, no evidence can turn an order or cost anything."""
    star = newborn()
    levels = [compact(signal, level) for signal in SIGNALS for level in range(-1, N_LEVELS)]
    with torch.no_grad():
        embedding = star.model.get_input_embeddings().weight
        embedding[star.tokenizer.convert_tokens_to_ids(levels)] = embedding[5].clone()
    found = probe(star, *asked, seed=0)
    assert found["exchange_turns"] == 0
    assert found["none_costs"] == 0


def test_a_student_that_goes_by_the_label_is_found_out(newborn, asked):
    """Labels far apart in size: the largest one that was dealt wins, whoever stands there."""
    star = newborn()
    names = star.tokenizer.convert_tokens_to_ids([f"‹{chr(65 + at)}›" for at in range(26)])
    with torch.no_grad():
        embedding = star.model.get_input_embeddings().weight
        direction = torch.randn(embedding.shape[1], generator=torch.Generator().manual_seed(0))
        embedding[names] = direction * torch.linspace(0, 5, 26)[:, None]
    # Six candidates: the same one stays first by chance only.
    assert probe(star, *asked, seed=0)["labels_keep_first"] < 0.5
