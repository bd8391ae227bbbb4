"""The nano base is a function of its tokenizer, its shape and a seed, and computes what transformers would."""

import copy

import numpy as np
import pytest
import torch

from starrec.student import NUMBERS, Nano, NanoConfig, build_nano
from starrec.student.rows import READ, row_numbers

SHAPE = NanoConfig(width=32, intermediate=32, heads=2)


@pytest.fixture(scope="module")
def model(tokenizer):
    """One that attends sharply, so that what it attends to can be seen."""
    model = build_nano(tokenizer, NanoConfig(width=32, intermediate=48, heads=2, layers=3), 0).eval()
    with torch.no_grad():
        for layer in model.lm.model.layers:
            layer.self_attn.q_proj.weight.mul_(10)
            layer.self_attn.o_proj.weight.mul_(5)
    return model


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


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
    assert model.lm.get_input_embeddings().weight.shape == (len(tokenizer), 48)
    assert len(model.lm.model.layers) == 3 and model.context == 600
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    ids = torch.tensor([tokenizer("<task>History: ", add_special_tokens=False)["input_ids"]])
    loss = (
        model.lm(ids, labels=ids).loss + model.candidate_scores(seeded(1, 4, len(NUMBERS))).logsumexp(1).sum()
    )
    loss.backward()
    assert all(weight.grad is not None for weight in model.parameters())
    # Adding a number to all scores changes no ranking.
    silent = [name for name, weight in model.named_parameters() if not weight.grad.any()]
    assert silent in ([], ["reader.score.bias"])


@pytest.mark.parametrize("heads", [2, 4, 8, 16])
def test_heads_of_any_size_start(tokenizer, heads):
    shape = NanoConfig(width=32, intermediate=32, heads=heads)
    model = build_nano(tokenizer, shape, 0)
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    assert torch.isfinite(fast(model)).all() and torch.isfinite(think(model)).all()


@torch.inference_mode()
@pytest.mark.parametrize("seed", range(3))
def test_a_new_model_looks_back_and_copies_what_followed(tokenizer, seed):
    lm = build_nano(tokenizer, NanoConfig(), seed).lm
    lm.set_attn_implementation("eager")
    draws = torch.Generator().manual_seed(seed)
    shares = []
    for _ in range(16):
        # No token twice but for one, which others followed.
        ids = torch.randperm(len(tokenizer), generator=draws)[:300]
        ids[[150, 299]] = int(ids[20])
        first, *_, last = lm(ids[None], output_attentions=True).attentions
        for head, offset in enumerate((1, 2, 3, 5)):
            assert first[0, head].diagonal(-offset).mean() > 0.7
        shares.append(float(last[0, 0, 299, [21, 151]].sum()))
    # Of 300 positions these two get most, on average: tokens that are drawn alike take from each other. By
    # chance they would get less than a hundredth.
    assert np.mean(shares) > 0.5


@torch.inference_mode()
def test_hidden_states_are_those_of_transformers(model):
    inputs = seeded(2, 9, 32)
    causal = torch.ones(9, 9, dtype=torch.bool).tril()
    places = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 9, 10, 11, 12, 20, 500]])
    expected = model.lm.model(inputs_embeds=inputs, position_ids=places).last_hidden_state
    found = model.hidden_states(inputs, causal[None, None], places)
    assert torch.allclose(found, expected, atol=1e-5)
    # Places tell: at others it is another state.
    assert not torch.allclose(model.hidden_states(inputs, causal[None, None]), expected, atol=1e-2)


@torch.inference_mode()
@pytest.mark.parametrize("place", [0, 7, 1500])
def test_positions_at_one_place_are_read_as_transformers_reads_them(model, place):
    inputs = seeded(2, 9, 32)
    expected = model.lm.model(
        inputs_embeds=inputs,
        attention_mask=torch.zeros(2, 1, 9, 9),
        position_ids=torch.full((2, 9), place),
    ).last_hidden_state
    assert torch.allclose(model.hidden_states(inputs, None), expected, atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("length", [1, 7, 127, 128, 129, 300])
def test_text_is_read_as_under_a_mask_of_what_comes_after(model, length):
    """Text of a length that its blocks divide or not, and three positions behind it that see some of it."""
    inputs = seeded(2, length + 3, 32)
    places = torch.arange(length + 3).clamp(max=length).expand(2, -1)
    seen = torch.ones(2, length + 3, dtype=torch.bool)
    seen[1, max(1, length - 5) : length] = False
    mask = torch.ones(length + 3, length + 3, dtype=torch.bool).tril()[None, None].repeat(2, 1, 1, 1)
    mask[:, :, length:] = seen[:, None, None]
    expected = model.hidden_states(inputs, mask, places)
    found = model.hidden_states(inputs, seen[:, None, None], places, text=length)
    assert torch.allclose(found, expected, atol=1e-4)
    unseen = model.hidden_states(inputs, None, places, text=length)
    assert torch.equal(unseen[:, :length], found[:, :length])
    assert length == 1 or not torch.allclose(unseen[1, length:], expected[1, length:], atol=1e-3)


@torch.inference_mode()
@pytest.mark.parametrize("wanted", [[[0], [8]], [[2, 3, 3, 7], [0, 0, 1, 8]], [[*range(9)]] * 2])
def test_only_what_is_read_is_computed_and_the_same(model, wanted):
    """Under a mask, a row of which is each position's own."""
    inputs, read = seeded(2, 9, 32), torch.tensor(wanted)
    places = torch.arange(9).expand(2, -1)
    mask = torch.ones(9, 9, dtype=torch.bool).tril()[None, None]
    every = model.hidden_states(inputs, mask, places)
    found = model.hidden_states(inputs, mask, places, read=read)
    assert torch.allclose(found, every[torch.arange(2)[:, None], read], atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("wanted", [0, 1, 130, 300])
def test_of_text_only_what_is_read_is_computed_and_the_same(model, wanted):
    """Places of each text drawn by itself, and all of the three positions behind it."""
    length, drawn = 300, np.random.default_rng(wanted)
    inputs = seeded(2, length + 3, 32)
    places = torch.arange(length + 3).clamp(max=length).expand(2, -1)
    mask = torch.ones(2, 1, 1, length + 3, dtype=torch.bool)
    mask[1, :, :, length - 5 : length] = False
    chosen = [np.sort(drawn.choice(length, wanted, replace=False)) for _ in range(2)]
    read = torch.tensor([[*row, *range(length, length + 3)] for row in chosen])
    every = model.hidden_states(inputs, mask, places, text=length)
    found = model.hidden_states(inputs, mask, places, text=length, read=read)
    assert found.shape[1] == wanted + 3
    assert torch.allclose(found, every[torch.arange(2)[:, None], read], atol=1e-4)


@torch.inference_mode()
def test_what_is_masked_is_not_read(model):
    inputs, present = seeded(1, 6, 32), torch.tensor([[True] * 4 + [False] * 2])
    found = model.hidden_states(inputs, present[:, None, None, :])
    assert torch.allclose(found[:, :4], model.hidden_states(inputs[:, :4], None), atol=1e-5)


def fast(model):
    with torch.inference_mode():
        return model.candidate_scores(seeded(1, 5, len(NUMBERS), seed=1))


def think(model):
    with torch.inference_mode():
        return model.lm(torch.arange(40, 60)[None]).logits


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("projection", ["self_attn.o_proj", "mlp.down_proj"])
def test_fast_and_think_mode_are_one_set_of_weights(model, layer, projection):
    zeroed = copy.deepcopy(model)
    output = zeroed.lm.model.layers[layer].get_submodule(projection)
    with torch.no_grad():
        output.weight.zero_()
        if output.bias is not None:
            output.bias.zero_()
    assert not torch.allclose(fast(zeroed), fast(model), atol=1e-5)
    assert not torch.allclose(think(zeroed), think(model), atol=1e-5)


def test_numbers_are_read_in_the_scale_of_training(model):
    rows = np.random.default_rng(0).normal(3, 2, (500, len(NUMBERS))).astype(np.float32)
    rows[:, 5] = 7.0
    one, other = copy.deepcopy(model), copy.deepcopy(model)
    one.reader.standardise(rows)
    with torch.no_grad():
        one.reader.enter.weight.copy_(torch.eye(32, len(NUMBERS)))
        one.reader.enter.bias.zero_()
        read = one.reader.read(torch.from_numpy(rows))
    # One number a column, as the weights pass on: mean 0, variance 1; and 0 where it never moved.
    moving = [at for at in range(32) if at != 5]
    assert read.mean(0).abs().max() < 1e-3
    assert torch.allclose(read[:, moving].std(0), torch.ones(31), atol=1e-2) and not read[:, 5].any()
    # What never moved in training, and does now, is cut off instead of swamping the rest.
    with torch.no_grad():
        assert one.reader.read(torch.full((1, len(NUMBERS)), 1e9)).abs().max() == 8
    other.reader.standardise_as(one.reader)
    assert torch.equal(other.reader.mean, one.reader.mean) and torch.equal(other.reader.scale, one.reader.scale)


def test_a_fast_order_which_no_evidence_has_enters_in_the_size_of_other_numbers(model):
    scores = np.random.default_rng(0).random((50, len(READ), 20))
    scores[:, -1] = np.nan
    told = scores[0].copy()
    told[-1] = 1 - np.arange(20) / 20
    reader = copy.deepcopy(model.reader)
    reader.standardise(row_numbers(scores).reshape(-1, len(NUMBERS)))
    entered = ((torch.from_numpy(row_numbers(told)) - reader.mean) / reader.scale).numpy()
    of_order = entered[:, len(READ) - 1 :: len(READ)]
    # Unknown or not, its score, deviations, share above: the first moves by 1, the others reach 1.
    assert np.array_equal(of_order[:, 0], np.full(20, -1.0))
    np.testing.assert_allclose(np.abs(of_order[:, 1:]).max(axis=0), 1, rtol=1e-6)


def test_it_is_saved_as_transformers_saves_and_comes_back_bit_for_bit(model, tmp_path):
    from transformers import AutoModelForCausalLM

    saved = copy.deepcopy(model)
    saved.reader.standardise(np.random.default_rng(0).random((9, len(NUMBERS)), dtype=np.float32))
    saved.save(tmp_path)
    again = Nano.load(tmp_path)
    assert torch.equal(fast(again), fast(saved)) and not torch.equal(fast(saved), fast(model))
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(plain(torch.arange(40, 60)[None]).logits, think(saved))
