"""The probes tell a reader from a memoriser."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from starrec.evaluation import probe
from starrec.ranking import avg_hr, ranks_of_targets
from starrec.signals import N_LEVELS, SIGNALS, compact, labels
from starrec.student import Star


@pytest.fixture(scope="module")
def asked(lessons):
    return lessons[0], lessons[1]


def test_the_same_seed_gives_the_same(newborn, asked):
    tasks, targets = asked
    found = probe(newborn(), tasks, targets, seed=0)
    assert found["n"] == len(tasks)
    assert probe(newborn(), tasks, targets, seed=0) == found


def test_accuracy_is_that_of_fast_mode(newborn, asked):
    tasks, targets = asked
    star = newborn()
    ranks = [
        ranking.rank_of(targets[task.task_id])
        for task, ranking in zip(tasks, star.rank_many(tasks), strict=True)
    ]
    assert probe(star, tasks, targets, seed=0)["avg_hr"] == pytest.approx(avg_hr(ranks).mean())


class Reader(torch.nn.Module):
    """Not a language model, but what one should become: a label's logit weighs the levels of its row."""

    def __init__(self, tokenizer):
        super().__init__()
        size = len(tokenizer)
        self.head = torch.nn.Embedding.from_pretrained(torch.eye(size))
        self.value = torch.zeros(size)
        weights = torch.rand(len(SIGNALS), generator=torch.Generator().manual_seed(0)) + 0.5
        for signal, weight in zip(SIGNALS, weights, strict=True):
            for level in range(-1, N_LEVELS):
                self.value[tokenizer.convert_tokens_to_ids(compact(signal, level))] = weight * level
        self.labels = torch.tensor(tokenizer.convert_tokens_to_ids(list(labels(26))))

    def base_model(self, input_ids, use_cache=False):
        hidden = torch.zeros(*input_ids.shape, len(self.value))
        for row, ids in enumerate(input_ids):
            for at in torch.isin(ids, self.labels).nonzero()[:, 0].tolist():
                hidden[row, :, ids[at]] = self.value[ids[at - len(SIGNALS) : at]].sum()
        return SimpleNamespace(last_hidden_state=hidden)

    def get_output_embeddings(self):
        return self.head


def test_a_reader_is_recognised(world, tokenizer, asked):
    star = Star(Reader(tokenizer), tokenizer, world)
    tasks = asked[0][:40]
    # The truth is what the evidence says, so that reading it is always right.
    first = [ranking.items[0] for ranking in star.rank_many(tasks)]
    targets = {task.task_id: item for task, item in zip(tasks, first, strict=True)}
    found = probe(star, tasks, targets, seed=0)
    assert found["exchange_turns"] == found["labels_keep_first"] == found["avg_hr"] == 1
    # With no evidence all are equal, and the order is the one of ties.
    candidates = np.stack([task.candidates for task in tasks])
    column = (candidates == np.array(first)[:, None]).argmax(axis=1)
    tied = avg_hr(ranks_of_targets(candidates, np.zeros(candidates.shape), column, 0)).mean()
    assert found["avg_hr_without_evidence"] == pytest.approx(tied) and tied < 0.8


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
    """Labels far apart in size: the largest one that is used wins, whoever stands there."""
    star = newborn()
    names = star.tokenizer.convert_tokens_to_ids([f"‹{chr(65 + at)}›" for at in range(26)])
    with torch.no_grad():
        embedding = star.model.get_input_embeddings().weight
        direction = torch.randn(embedding.shape[1], generator=torch.Generator().manual_seed(0))
        embedding[names] = direction * torch.linspace(0, 5, 26)[:, None]
    # Six candidates: the same one stays first by chance only.
    assert probe(star, *asked, seed=0)["labels_keep_first"] < 0.5
