"""What is learned is what agents wrote; items go by names, and the answer of compare by its rows."""

import re

import numpy as np
import pytest
import torch
from torch.nn import functional

from starrec.student import (
    Asked,
    gather_tasks,
    make_samples,
    read_samples,
    renewed,
    scores_of_rows,
    with_fast_order,
)
from starrec.student.reading import read_together
from starrec.student.rows import trace_rows
from starrec.student.samples import Augmentation, spoken
from starrec.student.tokenizer import Names
from starrec.student.trace import Trace
from starrec.trajectories import elements, judge, linear, parse_call


@pytest.fixture(scope="module")
def samples(tokenizer, lessons):
    """Of all runs."""
    return make_samples(tokenizer, lessons[2], context=10_000)


def read_of(run):
    """What the student reads of a run, and what is written of that: by hand from the linear form."""
    compare = '<tool_call>{"name":"compare","arguments":{}}</tool_call><tool_response>'
    before, after = linear(run).split(compare)
    _, end = after.split("</tool_response>", 1)
    text = Names().short(f"{before}{compare}<rows></tool_response>{end}")
    return text[: text.index("<recommend>") + len("<recommend>")]


def answers_of(run):
    calls = [parse_call(part.text).name for part in elements(run) if part.tag == "tool_call"]
    return list(zip(calls, [part.text for part in elements(run) if part.tag == "tool_response"], strict=True))


def test_a_sample_is_the_run_up_to_its_ranking(tokenizer, lessons, samples):
    assert len(samples) == len(lessons[2])
    for run, sample in zip(lessons[2], samples, strict=True):
        text = read_of(run)
        assert tokenizer.decode(sample.ids.tolist()) == text
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == sample.ids.tolist()
        assert text.count("<rows>") == 1 and "|Title" not in text


def test_only_what_agents_wrote_is_learned(tokenizer, lessons, samples):
    for run, sample in zip(lessons[2], samples, strict=True):
        pieces = [f"<{part}" for part in read_of(run).split("<") if part]
        written, rest, inside = [], [], False
        for piece in pieces:
            tag = re.match("</?([a-z_]+)>", piece)[1]
            inside = tag not in ("task", "tool_response", "rows") or (tag == "rows" and inside)
            (written if inside else rest).append(piece)
        assert tokenizer.decode(sample.ids[sample.learn].tolist()) == "".join(written)
        assert tokenizer.decode(sample.ids[~sample.learn].tolist()) == "".join(rest)
        assert sample.learn[-1], "that it recommends now is learned"


def test_the_rows_are_what_compare_answered(tokenizer, lessons, samples):
    for run, sample in zip(lessons[2][:10], samples, strict=False):
        np.testing.assert_array_equal(sample.numbers, trace_rows(answers_of(run), run.labels))
        assert tokenizer.convert_ids_to_tokens(sample.label_ids.tolist()) == list(run.labels)
        assert [run.labels[row] for row in sample.ranking] == list(run.ranking)


def test_many_runs_give_the_samples_that_they_give_alone(tokenizer, lessons, samples):
    few = 3
    many = make_samples(tokenizer, lessons[2][:few] * 200, context=10_000)
    assert len(many) == few * 200
    for at, sample in enumerate(many):
        own = samples[at % few]
        assert np.array_equal(sample.ids, own.ids) and np.array_equal(sample.learn, own.learn)
        assert np.array_equal(sample.numbers, own.numbers) and sample.target == own.target


def test_what_is_too_long_is_left_out(tokenizer, lessons, samples):
    # The candidates stand behind the text.
    lengths = [len(sample.ids) + len(sample.label_ids) for sample in samples]
    middle = sorted(lengths)[len(lengths) // 2]
    kept = make_samples(tokenizer, lessons[2], context=middle)
    assert [len(sample.ids) + 6 for sample in kept] == [length for length in lengths if length <= middle]
    assert make_samples(tokenizer, [], context=100) == []


def test_text_and_ranking_are_read_alike_however_samples_are_padded(newborn, samples):
    """And as transformers reads them: the text causally, then all candidates side by side."""
    star = newborn()
    short, *_, long = sorted(samples[:10], key=lambda sample: len(sample.ids))
    assert len(short.ids) < len(long.ids)
    lm = star.model.lm
    with torch.inference_mode():
        each, scores = [], []
        for sample in (short, long):
            ids, n = torch.from_numpy(sample.ids), len(sample.ids)
            learned = torch.from_numpy(sample.learn)[1:]
            logits = lm(ids[None]).logits[0, :-1]
            each.append(functional.cross_entropy(logits[learned], ids[1:][learned], reduction="none"))
            rows = star.model.labelled_rows(
                torch.from_numpy(sample.numbers), torch.from_numpy(sample.label_ids)
            )
            mask = torch.full((1, 1, n + 6, n + 6), float("-inf")).triu(1)
            mask[:, :, n:] = 0
            hidden = lm.model(
                inputs_embeds=torch.cat([lm.get_input_embeddings()(ids), rows])[None],
                attention_mask=mask,
                position_ids=torch.cat([torch.arange(n), torch.full((6,), n)])[None],
            ).last_hidden_state
            scores.append(star.model.scores(hidden[0, n:]))
        text, ranked = read_samples(star.model, [short, long], star.tokenizer.pad_token_id)
    assert torch.allclose(text, torch.cat(each), rtol=1e-3, atol=1e-4)
    assert torch.allclose(ranked, torch.stack(scores), atol=1e-4)


@pytest.mark.parametrize("asks_fast", [False, True])
def test_the_engine_scores_a_trace_as_training_does(newborn, world, lessons, asks_fast):
    """A run read again element by element over the cache, as think mode does, and at once, as training does."""
    star = newborn(1)
    for task, run in list(zip(lessons[0], lessons[2], strict=True))[:4]:
        toolbox = world.toolbox(task)
        if asks_fast:
            run = with_fast_order(run, star.fast_order(toolbox))
        trace = Trace(star, toolbox, None)

        def again(trace=trace, run=run):
            call = ""
            for element in elements(run)[:-1]:
                if element.tag == "tool_call":
                    call = parse_call(element.text).name
                elif element.tag == "tool_response":
                    trace.answers.append((call, element.text))
                trace.read(spoken(element, call))
                yield from trace.logits()
            return (yield from trace.rank())

        with torch.inference_mode():
            ((_, scores),) = read_together(star.model, [(0, again())], 1)
            (sample,) = make_samples(star.tokenizer, [run], 10_000)
            _, expected = read_samples(star.model, [sample], star.tokenizer.pad_token_id)
        np.testing.assert_allclose(scores, expected[0].numpy(), atol=1e-4)
        assert scores.std() > 1e-3


def test_a_fast_order_is_renewed_as_the_model_ranks_that_reads_it(newborn, world, lessons):
    """Also under other labels; to the token and the number as if the run had asked this model."""
    before, after = newborn(1), newborn(2)
    tasks, _, runs = lessons
    tasks, runs = tasks[:4], runs[:4]
    boxes = [world.toolbox(task) for task in tasks]
    found = gather_tasks(world, tasks)
    asked = [
        Asked(scores_of_rows(rows[np.argsort(order)]).astype(np.float32), box.ties)
        for rows, order, box in zip(found.numbers, found.order, boxes, strict=True)
    ]

    def samples_of(star, asked=None):
        asking = [with_fast_order(run, star.fast_order(box)) for run, box in zip(runs, boxes, strict=True)]
        return make_samples(star.tokenizer, asking, 10_000, asked=asked)

    old, expected = samples_of(before, asked), samples_of(after)
    renamed = [
        Augmentation(before.tokenizer)(sample, np.random.default_rng(at)) for at, sample in enumerate(old)
    ]
    assert any(not np.array_equal(one.ids, two.ids) for one, two in zip(old, expected, strict=True))
    for given in (old, renamed):
        for sample, found, wanted in zip(
            given, renewed(after.model, given, after.tokenizer), expected, strict=True
        ):
            name = dict(zip(wanted.label_ids.tolist(), sample.label_ids.tolist(), strict=True))
            assert found.ids.tolist() == [name.get(token, token) for token in wanted.ids.tolist()]
            assert np.array_equal(found.learn, wanted.learn) and not found.learn[slice(*found.answer)].any()
            np.testing.assert_array_equal(found.numbers, wanted.numbers)
            assert np.array_equal(found.label_ids, sample.label_ids) and found.target == wanted.target
    # A run that asks for none has none to renew.
    plain = make_samples(before.tokenizer, runs, 10_000, asked=asked)
    assert renewed(after.model, plain, after.tokenizer) == plain


def test_of_a_run_that_is_not_imitated_only_the_ranking_is_read(newborn, tokenizer, lessons, samples):
    star = newborn()
    context = make_samples(tokenizer, lessons[2], context=10_000, imitated=[False] * len(lessons[2]))
    assert not any(sample.learn.any() for sample in context)
    with torch.inference_mode():
        text, ranked = read_samples(star.model, context[:2], star.tokenizer.pad_token_id)
        _, as_imitated = read_samples(star.model, samples[:2], star.tokenizer.pad_token_id)
    assert len(text) == 0 and torch.equal(ranked, as_imitated)


def test_the_target_is_the_run_s_outcome(tokenizer, lessons):
    tasks, targets, runs = lessons
    columns = {task.task_id: task.candidates.tolist().index(targets[task.task_id]) for task in tasks}
    for run, sample in zip(runs, make_samples(tokenizer, judge(runs, columns), 10_000), strict=True):
        label = run.labels[columns[run.task_id]]
        assert run.labels[sample.target] == label


def test_augmentation_renames_labels_throughout(tokenizer, samples):
    sample = samples[0]
    found = Augmentation(tokenizer)(sample, np.random.default_rng(0))
    # Labels are exchanged one for one, in the text and beside the rows.
    before, after = (re.findall("‹[A-Z]+›", tokenizer.decode(each.ids.tolist())) for each in (sample, found))
    names = dict(zip(before, after, strict=True))
    assert len(set(names.values())) == len(names) and [names[label] for label in before] == after
    assert names != {label: label for label in names}
    labels = [tokenizer.convert_ids_to_tokens(each.label_ids.tolist()) for each in (sample, found)]
    assert labels[1] == [names[label] for label in labels[0]]
    # Nothing else changes: who a row is about, how it was ranked, what is learned.
    for name in ("learn", "numbers", "ranking"):
        np.testing.assert_array_equal(getattr(found, name), getattr(sample, name))
    text = [re.sub("‹[A-Z]+›", "", tokenizer.decode(each.ids.tolist())) for each in (sample, found)]
    assert text[0] == text[1] and found.target == sample.target
    again = Augmentation(tokenizer)(sample, np.random.default_rng(0))
    np.testing.assert_array_equal(again.ids, found.ids)


def test_what_tools_answered_carries_no_loss(newborn, samples):
    """The output matrix is multiplied at the tokens that are learned, and there alone."""
    star = newborn()
    sample = samples[0]
    seen = []
    head = star.model.lm.get_output_embeddings()
    hook = head.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    with torch.inference_mode():
        read_samples(star.model, [sample], star.tokenizer.pad_token_id)
    hook.remove()
    assert len(seen) == 1 and len(seen[0]) == np.count_nonzero(sample.learn[1:])
