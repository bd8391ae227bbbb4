"""Two modes of one model: always a permutation, always a trace that parses, whatever the model would write."""

import re

import numpy as np
import polars as pl
import pytest
import torch

from starrec.data import RankingTask, build, leave_one_out
from starrec.errors import RunError
from starrec.ranking import from_scores
from starrec.signals import FactNumbers, Graph, check_citations
from starrec.student import Star
from starrec.student.engine import TIE_SEED
from starrec.teacher import readable
from starrec.tools import World, read_orders
from starrec.trajectories import linear, parse


def encode(star, text):
    return star.tokenizer(text, add_special_tokens=False)["input_ids"]


def think_aloud(star, task):
    """The thought, the token ids that stand in the cache at its end, and the state after the last of them."""
    ids, states = [], []

    def before(_, __, given):
        past = given.get("past_key_values")
        if past is not None:
            # What was taken back is no longer in the cache; whatever follows stands in its place.
            del ids[past.get_seq_length() :]
            ids.extend(given["input_ids"][0].tolist())

    def after(_, __, output):
        states.append(output.last_hidden_state[0, -1])

    hooks = [
        star.model.base_model.register_forward_pre_hook(before, with_kwargs=True),
        star.model.base_model.register_forward_hook(after),
    ]
    try:
        thought = star.think(task)
    finally:
        for hook in hooks:
            hook.remove()
    return thought, ids, states[-1]


def fond_of(star, token, place):
    """The student, made to want this token at the end of this text more than any other."""
    with torch.no_grad():
        state = star.model.base_model(input_ids=torch.tensor([encode(star, place)])).last_hidden_state[0, -1]
        at = star.tokenizer.convert_tokens_to_ids(token)
        star.model.get_output_embeddings().weight[at] = 20 * state / state.norm()
    return star


def is_permutation(ranking, task):
    return sorted(ranking.items) == sorted(task.candidates.tolist())


def test_fast_mode_gives_permutations_and_the_same_ones_alone_and_in_batches(newborn, lessons, task):
    star = newborn()
    tasks = [
        *lessons[0],
        task(-1, [], range(6)),
        task(-1, [47], range(40, 46)),
        task(3, list(range(48)), [5, 3, 1, 0, 2, 4]),
    ]
    together = star.rank_many(tasks)
    assert len(together) == len(tasks)
    for each, ranking in zip(tasks, together, strict=True):
        assert is_permutation(ranking, each) and not ranking.repairs
        assert star.rank(each) == ranking
    assert (
        len({tuple(r.items.index(i) for i in t.candidates) for t, r in zip(tasks, together, strict=True)}) > 1
    )
    assert star.rank_many([]) == []


@pytest.mark.parametrize("n", [1, 2, 26])
def test_any_number_of_candidates_that_has_labels(newborn, task, n):
    star = newborn()
    each = task(-1, [40], range(n))
    assert is_permutation(star.rank(each), each)
    assert star.rank_many([each])[0] == star.rank(each)


@pytest.mark.parametrize("seed", range(4))
def test_an_untrained_model_writes_a_trace_that_parses(newborn, world, lessons, seed):
    star = newborn(seed)
    each = lessons[0][seed]
    thought = star.think(each)
    assert is_permutation(thought.ranking, each)
    written = parse(thought.text, world.toolbox(each).labels)
    column = {name: at for at, name in enumerate(world.toolbox(each).labels)}
    assert [int(each.candidates[column[name]]) for name in written.ranking] == list(thought.ranking.items)
    assert thought.steps[0].tag == "plan" and thought.steps[-1].tag == "recommend"
    assert star.think(each) == thought


def test_a_trace_ends_within_the_context_and_an_element(newborn, lessons):
    for seed in range(4):
        star = newborn(seed)
        thought = star.think(lessons[0][0])
        # Another element may begin just before the context's end, and is then closed.
        assert thought.tokens_read + thought.tokens_written <= star.model.config.max_position_embeddings + 210


@pytest.mark.parametrize("mark", ["<", ">"])
def test_a_model_that_would_write_a_raw_bracket_cannot(newborn, world, lessons, mark):
    each = lessons[0][0]
    star = newborn(1)
    opened = f"<task>{star.think(each).task}</task><plan>"
    thought = fond_of(star, mark, opened).think(each)
    assert mark not in thought.steps[0].text
    parse(thought.text, world.toolbox(each).labels)


def test_a_model_that_knows_no_json_still_calls_tools_and_looks_at_all_signals(newborn, world, lessons):
    star = newborn(5)
    for each in lessons[0][:3]:
        plain = star.think(each)
        # Untrained, it would write no JSON: every call that it begins is made one.
        fond_of(star, "<tool_call>", f"<task>{plain.task}</task><plan>{plain.steps[0].text}</plan>")
        thought, ids, state = think_aloud(star, each)
        written = parse(thought.text, world.toolbox(each).labels)
        assert written.calls
        # Where the context is full of answers, it ranks by what it has.
        full = thought.tokens_read + thought.tokens_written > star.model.config.max_position_embeddings
        assert full or "compare" in [call.name for call in written.calls]
        assert len(ids) == thought.tokens_read + thought.tokens_written
        with torch.inference_mode():
            fresh = star.model.base_model(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[
                0, -1
            ]
            head = star.model.get_output_embeddings()
            assert torch.allclose(head(state), head(fresh), atol=2e-3, rtol=1e-3)
            labels = star.tokenizer.convert_tokens_to_ids(list(world.toolbox(each).labels))
            again = from_scores(each.candidates, head(fresh)[labels].numpy(), TIE_SEED)
        assert again.items == thought.ranking.items
        parse(thought.text, world.toolbox(each).labels)


def test_what_was_taught_is_thought(taught, lessons, world):
    star, progress = taught
    losses = [point["think"] for point in progress.curve]
    assert losses[-1] < 0.5 < losses[0] * 2
    asked = 0
    for each, run in zip(lessons[0][:6], lessons[2], strict=False):
        thought = star.think(each)
        calls = [step.text for step in thought.steps if step.tag == "tool_call"]
        answers = [step.text for step in thought.steps if step.tag == "tool_response"]
        asked += len(calls)
        written = parse(thought.text, thought.labels)
        toolbox = world.toolbox(each)
        # Answers are looked up for real.
        facts = FactNumbers()
        assert [toolbox.call(call.name, call.arguments, facts) for call in written.calls] == answers
        assert list(facts) == list(thought.facts)
        assert [step.written for step in thought.steps] == [s.tag != "tool_response" for s in thought.steps]
        assert thought.task == run.messages[0].content
    assert asked >= 12


def test_the_engine_reads_and_writes_the_ids_of_the_sample_and_the_template(taught, lessons, samples):
    """One text, one sequence of ids: SFT's sample, the chat template, and what the engine's model saw."""
    star, _ = taught
    compared = 0
    for each, run, sample in zip(lessons[0], lessons[2], samples, strict=False):
        template = star.tokenizer.apply_chat_template(run.openai_messages(), tokenize=True)["input_ids"]
        assert sample.ids.tolist() == template == encode(star, linear(run))
        thought, ids, _ = think_aloud(star, each)
        if thought.repairs:
            continue
        before_ranking = thought.text[: thought.text.index("<recommend>") + len("<recommend>")]
        assert encode(star, before_ranking) == ids
        assert len(ids) == thought.tokens_read + thought.tokens_written
        compared += 1
    assert compared >= 3


def test_whatever_a_student_would_write_its_citations_hold_and_no_figure_stands_without_one(
    taught, newborn, lessons, world
):
    cited = 0
    for star in (taught[0], newborn(2), newborn(3)):
        for each in lessons[0][:6]:
            thought = star.think(each)
            subjects = dict(zip(thought.labels, each.candidates.tolist(), strict=True))
            for step in thought.steps:
                if step.tag in ("plan", "reflection"):
                    found = check_citations(step.text, thought.facts, subjects, world.mentions)
                    assert not found.uncited, step.text
                    assert {citation.verdict for citation in found.citations} <= {"holds"}, step.text
                    cited += len(found.citations)
    assert cited > 5


def test_the_fast_order_is_asked_of_fast_mode_and_read(newborn, lessons):
    star = newborn(5)
    each = lessons[0][0]
    toolbox = star.world.toolbox(each)
    best_first = star.rank(each).items
    (order,) = read_orders(star.fast_order(toolbox))
    column = {item: at for at, item in enumerate(each.candidates.tolist())}
    assert [label for group in order.groups for label in group] == [
        toolbox.labels[column[item]] for item in best_first
    ]


def test_an_edited_answer_is_what_is_read(taught, lessons):
    star, _ = taught
    thought = star.think(lessons[0][0], edit=lambda answer: "Nothing is known.")
    answers = {step.text for step in thought.steps if step.tag == "tool_response"}
    assert answers == {"Nothing is known."}
    assert not any("#" in step.text for step in thought.steps)


def test_nothing_held_out_can_change_an_answer(small, newborn, lessons):
    """Other last two items for every user: the same training part, so the same answers."""
    star = newborn()
    rows = small.interactions.sort("user", "time")
    held = pl.len().over("user") >= 3
    place_from_end = (pl.len() - 1 - pl.int_range(pl.len())).over("user")
    random = np.random.default_rng(0)
    taken = [set(items) for items in rows.group_by("user", maintain_order=True).agg("item")["item"].to_list()]
    others = []
    for user, item, changes in zip(
        rows["user"], rows["item"], rows.select(held & (place_from_end < 2)).to_series(), strict=True
    ):
        free = sorted(set(range(48)) - taken[user])
        if changes:
            item = int(random.choice(free))
            taken[user].add(item)
        others.append((small.user_ids[user], f"i{item}"))
    frame = pl.DataFrame(others, schema=["user_id", "item_id"], orient="row").with_columns(time=rows["time"])
    changed = build("changed", "position", frame, small.items)
    assert changed.user_ids == small.user_ids
    one, two = (leave_one_out(data.sequences(0)) for data in (small, changed))
    assert (one.test != two.test).sum() > 60
    other = Star(star.model, star.tokenizer, World.of(changed, Graph.build(two.train, 48)))
    tasks = lessons[0][:20]
    assert other.rank_many(tasks) == star.rank_many(tasks)
    assert other.think(tasks[0]) == star.think(tasks[0])
    # The comparison can fail: with a held-out item in the graph, answers change.
    leaky = Star(star.model, star.tokenizer, World.of(small, Graph.build(small.sequences(0), 48)))
    assert leaky.rank_many(tasks) != star.rank_many(tasks)


def test_a_student_on_disk_answers_as_it_did(newborn, world, lessons, tmp_path):
    star = newborn()
    star.save(tmp_path)
    again = Star.load(tmp_path, world)
    assert again.rank_many(lessons[0]) == star.rank_many(lessons[0])
    assert again.think(lessons[0][0]) == star.think(lessons[0][0])


def test_no_student_is_an_error_that_says_how_to_train_one(world, tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunError, match=r"no student in .*starrec distill"):
            Star.load(folder, world)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "gone"])
def test_a_corrupt_student_is_named_with_what_to_do(newborn, world, tmp_path, name, damage):
    newborn().save(tmp_path)
    path = tmp_path / name
    if damage == "gone":
        path.unlink()
    else:
        whole = path.read_bytes()
        path.write_bytes({"cut": whole[: len(whole) // 2], "garbage": b"\xff\0{]" * 50, "empty": b""}[damage])
    with pytest.raises(RunError, match=r"student in .*starrec distill") as raised:
        Star.load(tmp_path, world)
    assert str(tmp_path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_task_holds_no_target():
    assert not [name for name in RankingTask.__slots__ if "target" in name or "label" in name]


def test_a_student_of_another_catalogue_is_refused(newborn, world, small, tmp_path):
    newborn().save(tmp_path)
    renamed = World([*world.mentions[:-1], "⟦new|Never seen⟧"], world.graph, world.semantics)
    with pytest.raises(RunError, match=r"another catalogue.*Never seen.*starrec distill"):
        Star.load(tmp_path, renamed)


def test_a_students_trace_is_readable(newborn, lessons):
    """Whatever an untrained student writes: each label stands behind its title, and what decided is said."""
    for seed, each in enumerate(lessons[0][:4]):
        thought = newborn(seed).think(each)
        text = "\n".join("\n".join((entry.text, *entry.lines)) for entry in readable(thought.elements))
        items = dict(
            zip(thought.labels, newborn(seed).world.toolbox(each).mentions(each.candidates), strict=True)
        )
        for label, item in items.items():
            assert text.count(label) == text.count(f"{item} {label}") <= 1
        first = re.search(r"^First place: (⟦[^⟦⟧]*⟧)", text, re.MULTILINE)
        assert first[1] == items[parse(thought.text).ranking[0]]
