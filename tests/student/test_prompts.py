"""Prompts made of arrays are the prompts made of text, and what is varied in training stays consistent."""

import numpy as np
import pytest

from starrec.signals import SIGNALS, compact, labels
from starrec.student import FastPrompts, FastTasks, gather_tasks
from starrec.tools import SHOWN, fast_task

CANDIDATES = [30, 2, 13, 45, 0, 26, 7]
HISTORIES = {"long": list(range(20, 44)), "exactly shown": list(range(16)), "short": [5, 17], "empty": []}


@pytest.fixture(scope="module")
def prompts(tokenizer, world):
    return FastPrompts(tokenizer, list(world.mentions))


@pytest.mark.parametrize(
    "lengths", [list(HISTORIES), list(HISTORIES)[::-1], ["short"], ["empty", "empty"], ["short", "long"]]
)
def test_a_batch_is_the_encoded_text_of_its_tasks(prompts, tokenizer, world, task, lengths):
    tasks = [task(-1, HISTORIES[name], np.roll(CANDIDATES, at)) for at, name in enumerate(lengths)]
    batch = prompts.batch(gather_tasks(world, tasks))
    texts = [f"<task>{fast_task(world.toolbox(each))}</task><recommend>" for each in tasks]
    expected = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert batch.ids.shape == (len(tasks), max(map(len, expected)))
    for row, ids in enumerate(expected):
        assert batch.ids[row, : len(ids)].tolist() == ids
        assert (batch.ids[row, len(ids) :] == tokenizer.pad_token_id).all()
        assert batch.last[row] == len(ids) - 1
        assert tokenizer.convert_ids_to_tokens(batch.label_ids[row].tolist()) == list(labels(7))


def said(tokenizer, batch, row):
    return tokenizer.decode(batch.ids[row, : batch.last[row] + 1].tolist())


def test_permuted_labels_are_those_that_stand_behind_the_candidates(prompts, tokenizer, small, world, task):
    tasks = [task(-1, [3, 9, 11], np.random.default_rng(at).permutation(48)[:7]) for at in range(12)]
    given = gather_tasks(world, tasks)
    batch = prompts.batch(given, random=np.random.default_rng(1))
    history = "".join(small.mentions[item] for item in (3, 9, 11))
    seen = set()
    for row, each in enumerate(tasks):
        names = tokenizer.convert_ids_to_tokens(batch.label_ids[row].tolist())
        assert len(set(names)) == 7 and set(names) <= set(labels(26))
        rows = "".join(
            small.mentions[item]
            + "".join(compact(s, v) for s, v in zip(SIGNALS, given.levels[row, :, at].tolist(), strict=True))
            + names[at]
            for at, item in enumerate(each.candidates.tolist())
        )
        assert said(tokenizer, batch, row) == f"<task>History: {history} Candidates: {rows}</task><recommend>"
        seen.add(tuple(names))
    assert len(seen) == 12
    again = prompts.batch(given, random=np.random.default_rng(1))
    np.testing.assert_array_equal(again.ids, batch.ids)


def test_withheld_items_and_signals_leave_everything_else(prompts, tokenizer, world, task):
    given = gather_tasks(world, [task(3, [3, 9, 11], CANDIDATES), task(4, [1], CANDIDATES[::-1])])
    seeded = {"random": np.random.default_rng(0)}
    batch = prompts.batch(given, **seeded, drop_items=1.0, drop_signals=1.0)
    for row, length in ((0, 3), (1, 1)):
        names = tokenizer.convert_ids_to_tokens(batch.label_ids[row].tolist())
        none = "".join(compact(signal, -1) for signal in SIGNALS)
        rows = "".join(f"<item>{none}{name}" for name in names)
        expected = f"<task>History: {'<item>' * length} Candidates: {rows}</task><recommend>"
        assert said(tokenizer, batch, row) == expected


def test_items_are_withheld_as_often_as_asked(prompts, tokenizer, world, task):
    given = gather_tasks(world, [task(-1, list(range(16)), CANDIDATES)] * 200)
    batch = prompts.batch(given, random=np.random.default_rng(0), drop_items=0.25)
    withheld = batch.ids == tokenizer.convert_tokens_to_ids("<item>")
    # 200 prompts of 16 + 7 items: 1150 expected, standard deviation sqrt(4600 · 0.25 · 0.75) = 29.
    assert abs(int(withheld.sum()) - 1150) < 4 * 29


def test_tasks_are_chosen_and_joined_by_row(world, task):
    given = gather_tasks(world, [task(at, [at], CANDIDATES) for at in range(4)])
    assert given.histories.shape == (4, SHOWN) and given.histories[:, -1].tolist() == [0, 1, 2, 3]
    assert (given.histories[:, :-1] == -1).all()
    joined = FastTasks.concatenate([given[np.array([2, 3])], given[np.array([0])]])
    assert len(joined) == 3 and joined.histories[:, -1].tolist() == [2, 3, 0]
    np.testing.assert_array_equal(joined.levels, given.levels[[2, 3, 0]])
