"""Two modes of one model: always a permutation, always a trace that parses, whatever the model would write."""

import re
import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from starrec.data import RankingTask, build, leave_one_out
from starrec.errors import RunError, StarrecError
from starrec.signals import FactNumbers, Graph, check_citations
from starrec.student import Sample, Star, engine, gather_tasks, read_samples, trace
from starrec.student.grounding import Grounding
from starrec.student.reading import read_alone
from starrec.student.rows import trace_rows
from starrec.student.tokenizer import Names
from starrec.teacher import readable
from starrec.tools import World, read_orders
from starrec.trajectories import parse, parse_call


def encode(star, text):
    return star.tokenizer(text, add_special_tokens=False)["input_ids"]


def think_aloud(star, task):
    """The thought, and the token ids that were read when it ranked."""
    ids = []

    def before(_, given):
        # Tokens are read as a batch of one, in the end with places for the candidates behind them.
        if given[0].ndim == 2:
            ids.extend(given[0][0].tolist())

    hook = star.model.lm.get_input_embeddings().register_forward_pre_hook(before)
    try:
        thought = star.think(task)
    finally:
        hook.remove()
    return thought, ids[: len(ids) - len(thought.labels)]


def answers_of(thought):
    """Names of the tools that a thought asked, and what they answered."""
    calls = [parse_call(step.text).name for step in thought.steps if step.tag == "tool_call"]
    return list(zip(calls, [step.text for step in thought.steps if step.tag == "tool_response"], strict=True))


def elements_read(thought):
    """Tag and text of each element as the student reads it: items by their names, rows in place of levels."""
    names, calls = Names(), iter(name for name, _ in answers_of(thought))
    for element in thought.elements[:-1]:
        call = next(calls) if element.tag == "tool_response" else ""
        rows = "<tool_response><rows></tool_response>"
        yield element.tag, names.short(rows if call == "compare" else element.linear)
    yield "", "<recommend>"


def fond_of(star, token, place):
    """The student, made to want this token at the end of this text more than any other."""
    with torch.no_grad():
        state = star.model.lm.base_model(input_ids=torch.tensor([encode(star, place)])).last_hidden_state[0, -1]
        at = star.tokenizer.convert_tokens_to_ids(token)
        star.model.lm.get_output_embeddings().weight[at] = 20 * state / state.norm()
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


def test_traces_written_side_by_side_are_those_written_alone(newborn, lessons, monkeypatch):
    """More tasks than are written at a time, of different lengths, with few candidates and many."""
    # The untrained write on and on; a call needs so much.
    monkeypatch.setattr(trace, "MAX_ELEMENT", 60)
    star = newborn(2)
    tasks = [*lessons[0], *(replace(task, candidates=task.candidates[:3]) for task in lessons[0][:9])]
    alone = [star.think(task) for task in tasks]
    assert len({thought.tokens_written for thought in alone}) > 3
    for slots in (1, 7, 64):
        monkeypatch.setattr(engine, "TOGETHER", slots)
        assert list(star.think_many(tasks)) == alone
    assert list(star.think_many([])) == []


@pytest.mark.parametrize("grounded", [True, False])
def test_traces_written_by_processes_are_those_written_here(taught, lessons, monkeypatch, grounded):
    star, _ = taught
    tasks, taken = lessons[0][:24], []
    here = list(star.think_many(tasks, grounded=grounded))
    monkeypatch.setattr(engine, "_ALONE", 3)
    at_once = star._side_by_side

    def slowly(numbered, **given):
        def waiting():
            for number, asked in numbered:
                taken.append(number)
                time.sleep(1)
                yield number, asked

        return at_once(waiting(), **given)

    # Another process has the time to start.
    monkeypatch.setattr(star, "_side_by_side", slowly)
    beside = list(star.think_many(tasks, grounded=grounded, processes=2))
    assert len(taken) < len(tasks)
    assert beside == here
    assert [list(thought.facts) for thought in beside] == [list(thought.facts) for thought in here]


def test_whoever_stops_asking_for_thoughts_waits_for_no_more(newborn, lessons, monkeypatch):
    monkeypatch.setattr(engine, "TOGETHER", 2)
    star, begun = newborn(2), []
    monkeypatch.setattr(star, "_trace", lambda *given: begun.append(1) or Star._trace(star, *given))
    thoughts = star.think_many(lessons[0], processes=1)
    assert next(thoughts) == star.think(lessons[0][0])
    thoughts.close()
    assert len(begun) < len(lessons[0])


def test_what_fails_in_one_trace_is_raised(newborn, lessons, task):
    star = newborn()
    with pytest.raises(StarrecError, match="names a candidate twice"):
        list(star.think_many([*lessons[0][:3], task(-1, [], [1, 1])]))
    star.world = replace(star.world, mentions=())
    with pytest.raises(IndexError):
        list(star.think_many(lessons[0][:3]))


def test_a_trace_ends_within_the_context_and_an_element(newborn, lessons):
    for seed in range(4):
        star = newborn(seed)
        thought = star.think(lessons[0][0])
        # Another element may begin just before the context's end, and is then closed.
        assert thought.tokens_read + thought.tokens_written <= star.model.context + 210


@pytest.mark.parametrize("mark", ["<", ">"])
def test_a_model_that_would_write_a_raw_bracket_cannot(newborn, world, lessons, mark):
    each = lessons[0][0]
    star = newborn(1)
    opened = Names().short(f"<task>{star.think(each).task}</task><plan>")
    thought = fond_of(star, mark, opened).think(each)
    assert mark not in thought.steps[0].text
    parse(thought.text, world.toolbox(each).labels)


def test_a_model_that_knows_no_json_still_calls_tools_and_looks_at_all_signals(newborn, world, lessons):
    star = newborn(0)  # one whose plan is text: the bytes of others are none
    for each in lessons[0][:3]:
        plain = star.think(each)
        # Untrained, it would write no JSON: every call that it begins is made one.
        text = Names().short(f"<task>{plain.task}</task><plan>{plain.steps[0].text}</plan>")
        fond_of(star, "<tool_call>", text)
        thought, ids = think_aloud(star, each)
        written = parse(thought.text, world.toolbox(each).labels)
        assert written.calls
        # Where the context is full of answers, it ranks by what it has.
        full = thought.tokens_read + thought.tokens_written > star.model.context
        assert full or "compare" in [call.name for call in written.calls]
        assert len(ids) == thought.tokens_read + thought.tokens_written
        # Its ranking is what one pass over the whole text and the rows of its answers gives.
        labels = thought.labels
        sample = Sample(
            np.array(ids),
            np.zeros(len(ids), dtype=np.bool_),
            trace_rows(answers_of(thought), labels),
            np.array(star.tokenizer.convert_tokens_to_ids(list(labels))),
            np.arange(6),
            -1,
        )
        with torch.inference_mode():
            _, scores = read_samples(star.model, [sample], star.tokenizer.pad_token_id)
        by_item = dict(zip(each.candidates.tolist(), scores[0].tolist(), strict=True))
        assert np.diff([by_item[item] for item in thought.ranking.items]).max() < 1e-3


def test_what_was_taught_is_thought(taught, lessons, world):
    star, progress = taught
    losses = [point["think"] for point in progress.curve]
    assert losses[-1] < 0.5 * losses[0]
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


def test_the_engine_reads_and_writes_the_ids_of_its_text(taught, lessons):
    """As `make_samples` reads a run's text, element by element: items by name, rows in place of levels."""
    star, _ = taught
    compared = spelled_out = 0
    for each in lessons[0][:6]:
        thought, ids = think_aloud(star, each)
        assert len(ids) == thought.tokens_read + thought.tokens_written
        if thought.repairs:
            continue
        compared += 1
        *parts, (_, last) = elements_read(thought)
        for tag, text in parts:
            end = ids.index(star.tags[f"</{tag}>"]) + 1
            own, ids = ids[:end], ids[end:]
            wanted = encode(star, text)
            if own != wanted and tag in ("plan", "reflection"):
                # A student that learned so little may spell a token out in several: . and . for ..
                spelled_out += 1
                own = encode(star, star.tokenizer.decode(own))
            assert own == wanted
        assert ids == encode(star, last)
    assert compared >= 3 and spelled_out <= compared


def fond_of_citing(star, task, random):
    """The thought of one that half of the time cites, names a candidate or reflects wherever it may."""
    ids = np.arange(len(star.tokenizer))
    texts = star.tokenizer.convert_ids_to_tokens(ids.tolist())
    fond = [
        ids[[bool(re.fullmatch(form, text)) for text in texts]]
        for form in (r" #\d+", "‹[A-Z]+›", "<reflection>")
    ]

    def pick(logits):
        for tokens in fond:
            if len(open_ := tokens[np.isfinite(logits[tokens])]) and random.random() < 0.5:
                return int(random.choice(open_))
        return trace.likeliest(logits)

    toolbox = star.world.toolbox(task)
    written = trace.Trace(star, toolbox, Grounding(star.tokenizer, toolbox.labels), pick=pick)
    with torch.inference_mode():
        return trace.ended(read_alone(star.model, written.run()))


def test_whatever_a_student_would_write_its_citations_hold_and_no_figure_stands_without_one(
    taught, newborn, lessons, world, monkeypatch
):
    monkeypatch.setattr(trace, "MAX_ELEMENT", 60)
    thoughts = [
        (each, star.think(each))
        for star in (taught[0], newborn(2), newborn(3), newborn(4))
        for each in lessons[0][:8]
    ]
    random = np.random.default_rng(0)
    thoughts += [(each, fond_of_citing(taught[0], each, random)) for each in lessons[0][:8]]
    cited = 0
    for each, thought in thoughts:
        subjects = dict(zip(thought.labels, each.candidates.tolist(), strict=True))
        for step in thought.steps:
            if step.tag in ("plan", "reflection"):
                found = check_citations(step.text, thought.facts, subjects, world.mentions)
                assert not found.uncited, step.text
                assert {citation.verdict for citation in found.citations} <= {"holds"}, step.text
                cited += len(found.citations)
    assert cited >= 3


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


def test_an_edited_answer_changes_the_ranking(taught, lessons):
    """The ranking follows from the text: who exchanges two candidates in it turns their order."""
    star, turned = taught[0], 0
    for task in lessons[0][:6]:
        thought = star.think(task)
        if not any(step.text.startswith("⟦") for step in thought.steps):
            continue  # the context was full before `compare`
        first, last = (
            thought.labels[task.candidates.tolist().index(thought.ranking.items[at])] for at in (0, -1)
        )

        def exchange(answer, first=first, last=last):
            if not answer.startswith(("⟦", "star ")):
                return answer
            return answer.replace(first, "@").replace(last, first).replace("@", last)

        edited = star.think(task, edit=exchange)
        places = [edited.ranking.items.index(thought.ranking.items[at]) for at in (0, -1)]
        assert places[1] < places[0]
        turned += 1
    assert turned >= 4


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
    other = Star(star.model, star.tokenizer, World.of(changed.catalogue, Graph.build(two.train, 48)))
    tasks = lessons[0][:20]
    assert other.rank_many(tasks) == star.rank_many(tasks)
    assert other.think(tasks[0]) == star.think(tasks[0])
    # The comparison can fail: with a held-out item in the graph, answers change.
    leaky = Star(star.model, star.tokenizer, World.of(small.catalogue, Graph.build(small.sequences(0), 48)))
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


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "rows.safetensors", "fast.onnx"]
)
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
    if damage == "gone" and name != "model.safetensors":
        assert f"lacks its {name}" in str(raised.value)


def test_a_student_that_reads_other_numbers_is_named(newborn, world, tmp_path):
    """As one is whose training knew other signals."""
    newborn().save(tmp_path)
    weights = load_file(tmp_path / "rows.safetensors")
    of_numbers = ("enter.weight", "mean", "scale")
    fewer = {name: weights[name][..., :-4].contiguous() for name in of_numbers}
    save_file(weights | fewer, tmp_path / "rows.safetensors")
    with pytest.raises(RunError, match=r"student in .* cannot be loaded .*starrec distill") as raised:
        Star.load(tmp_path, world)
    assert "\n" not in str(raised.value)


def test_a_task_holds_no_target():
    assert not [name for name in RankingTask.__slots__ if "target" in name or "label" in name]


def test_an_item_under_another_title_is_ranked_as_before(newborn, world, lessons, tmp_path):
    star = newborn()
    star.save(tmp_path)
    renamed = [*world.mentions[:-3], "⟦i45|Renamed⟧", "⟦i46|‹A› 99%⟧", "⟦i47|Né 👩‍🚀⟧"]
    again = Star.load(tmp_path, World(renamed, world.graph, world.semantics))
    assert again.rank_many(lessons[0]) == star.rank_many(lessons[0])
    asked = replace(lessons[0][0], candidates=np.array([47, 3, 46, 12, 45], dtype=np.int32))
    thought = again.think(asked)
    assert is_permutation(thought.ranking, asked) and "⟦i45|Renamed⟧" in thought.task
    parse(thought.text, thought.labels)


def test_items_that_came_after_training_are_ranked(newborn, small, tmp_path):
    """The same people go on in a catalogue with six more items, one of which many take, under new titles."""
    newborn().save(tmp_path)
    rows = [
        (small.user_ids[user], small.item_ids[item], time)
        for user, item, time in small.interactions.select("user", "item", "time").rows()
    ]
    last = 1 + max(time for *_, time in rows)
    rows += [(user, "i48", last) for user in small.user_ids[:40]]
    rows += [(user, item, last + 1) for user in small.user_ids[:40] for item in ("i0", "i1")]
    more = build(
        "more",
        "position",
        pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row").unique(
            ["user_id", "item_id"], keep="first", maintain_order=True
        ),
        pl.DataFrame(
            {"item_id": [f"i{at}" for at in range(54)], "title": [f"New Title {at}" for at in range(54)]}
        ),
    )
    world = World.of(more.catalogue, Graph.build(leave_one_out(more.sequences(0)).train, more.n_items))
    star = Star.load(tmp_path, world)
    new = more.item_ids.index("i48")
    unknown = [more.item_ids.index(f"i{at}") for at in range(49, 54)]
    history = np.array([more.item_ids.index("i1"), new], dtype=np.int32)
    candidates = np.array([new, *unknown, *range(10, 20)], dtype=np.int32)
    asked = RankingTask("live/new", -1, "", history, candidates)
    ranking = star.rank(asked)
    assert is_permutation(ranking, asked)
    thought = star.think(asked)
    assert is_permutation(thought.ranking, asked) and "New Title 53" in thought.task
    # It is read by its evidence: among those of which nothing is known it stands out.
    scores = dict(zip(candidates.tolist(), star_scores(star, asked), strict=True))
    nothing = [scores[item] for item in unknown]
    assert max(nothing) - min(nothing) < 1e-4 < abs(scores[new] - nothing[0])


def star_scores(star, task):
    found = gather_tasks(star.world, [task])
    return found.as_given(star.fast.scores(found))[0].tolist()


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
