"""What is learned is what agents wrote, and the ids are the chat template's."""

import re

import numpy as np
import pytest
import torch
from torch.nn import functional

from starrec.student import make_samples, read_samples
from starrec.student.samples import Augmentation
from starrec.trajectories import judge, linear, segments


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


def test_text_and_ranking_are_read_alike_however_samples_are_padded(newborn, samples):
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
            places.append(logits[sample.recommend][torch.from_numpy(sample.ranking)])
        text, ranked = read_samples(star.model, [short, long], star.tokenizer.pad_token_id)
    assert text.item() == pytest.approx(torch.cat(each).mean().item(), rel=1e-4)
    assert torch.allclose(ranked, torch.stack(places), atol=1e-4)


def test_of_a_run_that_is_not_imitated_only_the_ranking_is_read(newborn, tokenizer, lessons, samples):
    star = newborn()
    context = make_samples(tokenizer, lessons[2], context=10_000, imitated=False)
    assert not any(sample.learn.any() for sample in context)
    with torch.inference_mode():
        text, ranked = read_samples(star.model, context[:2], star.tokenizer.pad_token_id)
        _, as_imitated = read_samples(star.model, samples[:2], star.tokenizer.pad_token_id)
    assert text.item() == 0 and torch.equal(ranked, as_imitated)


def test_the_target_is_the_run_s_outcome(tokenizer, lessons):
    tasks, targets, runs = lessons
    columns = {task.task_id: task.candidates.tolist().index(targets[task.task_id]) for task in tasks}
    for run, sample in zip(runs, make_samples(tokenizer, judge(runs, columns), 10_000), strict=True):
        label = run.labels[columns[run.task_id]]
        assert tokenizer.convert_ids_to_tokens(int(sample.ranking[sample.target])) == label


def test_augmentation_renames_labels_throughout_and_withholds_listed_items(tokenizer, small, lessons, samples):
    run, sample = lessons[2][0], samples[0]
    text = linear(run)
    listed = {text[: text.index("</task>")], text[text.rindex('"compare"') : text.rindex("<recommend>")]}
    found = Augmentation(tokenizer, 0.5)(sample, np.random.default_rng(0))
    again = tokenizer.decode(found.ids.tolist())
    # Labels are exchanged one for one, in the ranking too.
    before, after = (re.findall("‹[A-Z]+›", each) for each in (text, again))
    names = dict(zip(before, after, strict=True))
    assert len(set(names.values())) == len(names) and [names[label] for label in before] == after
    assert names != {label: label for label in names}
    assert tokenizer.convert_ids_to_tokens(found.ranking.tolist()) == [names[label] for label in run.ranking]
    # What is withheld stands in the task or in the rows of `compare`, and about half of that is.
    hidden = found.ids == tokenizer.convert_tokens_to_ids("<item>")
    items = tokenizer.convert_tokens_to_ids(small.mentions)
    assert np.isin(sample.ids[hidden], items).all() and not found.learn[hidden].any()
    count = sum(len(re.findall("⟦[^⟦⟧]*⟧", part)) for part in listed)
    assert sample.listed.sum() == count and 0.2 * count < hidden.sum() < 0.8 * count


def test_what_tools_answered_carries_no_loss(newborn, samples):
    """The gradient of the loss is zero at the logits of every token that is context."""
    star = newborn()
    sample = samples[0]
    seen = []
    hook = star.model.get_output_embeddings().register_forward_hook(lambda _, given, __: seen.append(given[0]))
    with torch.inference_mode():
        read_samples(star.model, [sample], star.tokenizer.pad_token_id)
    hook.remove()
    assert len(seen[0]) == np.count_nonzero(sample.learn[1 : sample.recommend + 1])
