"""The nano base is a function of its tokenizer, its shape and a seed."""

import torch

from starrec.student import NanoConfig, build_nano

SHAPE = NanoConfig(width=32, intermediate=32, heads=2)


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before(tokenizer):
    first = build_nano(tokenizer, SHAPE, 7)
    torch.rand(100)
    assert same(first, build_nano(tokenizer, SHAPE, 7))
    assert not same(first, build_nano(tokenizer, SHAPE, 8))


def test_building_one_leaves_the_callers_random_numbers_alone(tokenizer):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    build_nano(tokenizer, SHAPE, 7)
    assert torch.equal(torch.rand(3), expected)


def test_it_has_the_asked_shape_and_every_weight_can_learn(tokenizer):
    model = build_nano(tokenizer, NanoConfig(width=48, intermediate=40, heads=3, layers=3, context=600), 0)
    assert model.get_input_embeddings().weight.shape == (len(tokenizer), 48)
    assert len(model.model.layers) == 3 and model.config.max_position_embeddings == 600
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    ids = torch.tensor([tokenizer("<task>History: ", add_special_tokens=False)["input_ids"]])
    model(ids, labels=ids).loss.backward()
    assert all(weight.grad is not None for weight in model.parameters())
