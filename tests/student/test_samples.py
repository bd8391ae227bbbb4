"""What is learned is what agents wrote, and the ids are the chat template's."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from starrec.student import make_samples, sample_loss
from starrec.student.samples import RANKING_WEIGHT
from starrec.trajectories import linear, segments


@pytest.fixture(scope="module")
def samples(tokenizer, lessons):
    """Of all runs."""
    return make_samples(tokenizer, lessons[2], context=10_000)


def test_ids_and_mask_are_those_of_the_chat_template(tokenizer, lessons, samples):
    assert len(samples) == len(lessons[2])
    for run, sample in zip(lessons[2], samples, strict=True):
        template = tokenizer.apply_chat_template(
            run.openai_messages(), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        assert sample.ids.tolist() == template["input_ids"]
        assert sample.learn.tolist() == list(map(bool, template["assistant_masks"]))
        assert sample.ids.tolist() == tokenizer(linear(run), add_special_tokens=False)["input_ids"]


def test_only_what_agents_wrote_is_learned(tokenizer, lessons, samples):
    for run, sample in zip(lessons[2], samples, strict=True):
        pieces = segments(run)
        learned = tokenizer.decode(sample.ids[sample.learn].tolist())
        context = tokenizer.decode(sample.ids[~sample.learn].tolist())
        assert learned == "".join(piece.text for piece in pieces if piece.written)
        assert context == "".join(piece.text for piece in pieces if not piece.written)
        for tag in ("<task>", "<tool_response>"):
            assert tag in context and tag not in learned


def test_what_is_too_long_is_left_out(tokenizer, lessons, samples):
    lengths = [len(sample.ids) for sample in samples]
    middle = sorted(lengths)[len(lengths) // 2]
    kept = make_samples(tokenizer, lessons[2], context=middle)
    assert [len(sample.ids) for sample in kept] == [length for length in lengths if length <= middle]
    assert make_samples(tokenizer, [], context=100) == []


def test_the_ranking_stands_after_the_recommend_tag(tokenizer, lessons, samples):
    for run, sample in zip(lessons[2], samples, strict=True):
        tag = tokenizer.convert_tokens_to_ids("<recommend>")
        assert sample.ids[sample.recommend] == tag and (sample.ids == tag).sum() == 1
        assert sample.ids[sample.recommend + 1 : -1].tolist() == sample.ranking.tolist()
        assert tokenizer.convert_ids_to_tokens(sample.ranking.tolist()) == list(run.ranking)


def test_the_loss_is_that_of_what_was_written_and_of_the_ranking_however_they_are_padded(newborn, samples):
    star = newborn()
    short, *_, long = sorted(samples[:10], key=lambda sample: len(sample.ids))
    assert len(short.ids) < len(long.ids)
    with torch.inference_mode():
        each, places = [], []
        for sample in (short, long):
            logits = star.model(torch.from_numpy(sample.ids)[None]).logits[0, :-1]
            learned = torch.from_numpy(sample.learn)[1:]
            learned[sample.recommend :] = False
            each.append(
                functional.cross_entropy(
                    logits[learned], torch.from_numpy(sample.ids)[1:][learned], reduction="none"
                )
            )
            # Plackett-Luce by hand: each of five places takes its label from those that are left.
            left = logits[sample.recommend][torch.from_numpy(sample.ranking)]
            places += [left[place:].log_softmax(0)[0] for place in range(5)]
        expected = torch.cat(each).mean() - RANKING_WEIGHT * torch.stack(places).mean()
        found = sample_loss(star.model, [short, long], star.tokenizer.pad_token_id)
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_what_tools_answered_carries_no_loss(newborn, samples):
    """The gradient of the loss is zero at the logits of every token that is context."""
    star = newborn()
    sample = samples[0]
    seen = []
    hook = star.model.get_output_embeddings().register_forward_hook(lambda _, given, __: seen.append(given[0]))
    with torch.inference_mode():
        sample_loss(star.model, [sample], star.tokenizer.pad_token_id)
    hook.remove()
    assert len(seen[0]) == np.count_nonzero(sample.learn[1 : sample.recommend + 1])
