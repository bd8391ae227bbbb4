"""What a call may be: all that the teacher asks, its beginnings, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.hashing import text_keys
from starrec.signals import labels
from starrec.student import build_tokenizer
from starrec.student.call_grammar import CallGrammar
from starrec.student.calls import STUDENT_TOOLS, fast_order, with_fast_order
from starrec.tools import TOOLS, read_orders
from starrec.trajectories import ToolCall, linear, parse_call

LABELS = labels(6)
TOKENIZER = build_tokenizer([ToolCall(name, {"window": "recent"}).json() for name in STUDENT_TOOLS])
WORDS = TOKENIZER.batch_decode([[at] for at in range(len(TOKENIZER))])
GRAMMAR = CallGrammar(TOKENIZER)


def follows(text, tools=tuple(STUDENT_TOOLS), labels=LABELS):
    """What may follow this beginning of a call, as texts; none if the beginning itself is shut."""
    call = GRAMMAR.begin(labels, tools)
    for token in TOKENIZER.encode(text, add_special_tokens=False):
        if call.shut()[token]:
            return []
        call.add(token)
    return [WORDS[token] for token in np.flatnonzero(~call.shut())]


@st.composite
def calls(draw):
    spec = STUDENT_TOOLS[draw(st.sampled_from(sorted(STUDENT_TOOLS)))]
    arguments = {}
    if spec.windows and draw(st.booleans()):
        arguments["window"] = draw(st.sampled_from(["recent", "whole"]))
    if spec.candidates and draw(st.booleans()):
        arguments["candidates"] = draw(st.lists(st.sampled_from(LABELS), min_size=1, unique=True))
    return ToolCall(spec.name, arguments)


@given(calls())
def test_every_call_can_be_written_and_ends_where_it_ends(call):
    text = call.json()
    assert follows(text) == ["</tool_call>"] and parse_call(text) == call
    written = GRAMMAR.begin(LABELS)
    for token in TOKENIZER.encode(text, add_special_tokens=False):
        assert written.shut()[TOKENIZER.convert_tokens_to_ids("</tool_call>")] and not written.shut()[token]
        written.add(token)


@pytest.mark.parametrize(
    "text",
    [
        "{ ",
        '{"name":"item_d',
        '{"name":"profile","arguments":{"',
        '{"name":"item_cf","arguments":{"window":"f',
        '{"name":"item_cf","arguments":{"candidates":[]',
        '{"name":"item_cf","arguments":{"candidates":["‹A›"],',
        '{"name":"transitions","arguments":{"w',
    ],
)
def test_what_no_tool_could_answer_is_never_begun(text):
    following = follows(text[:-1])
    assert following and not any(word.startswith(text[-1]) for word in following)


def test_a_label_is_its_token_and_written_once():
    assert set(follows('{"name":"item_cf","arguments":{"candidates":["')) == set(LABELS)
    following = follows('{"name":"item_cf","arguments":{"candidates":["‹B›","')
    assert set(following) == set(LABELS) - {"‹B›"}


def test_some_tools_only():
    assert follows(ToolCall("compare").json(), ["compare"]) == ["</tool_call>"]
    assert not any(word.startswith("p") for word in follows('{"name":"', ["compare"]))


def test_all_that_the_teacher_asked_is_a_call(lessons):
    for run in lessons[2]:
        asked = [message.tool_call for message in run.messages if message.tool_call is not None]
        assert asked
        assert all(follows(call.json(), labels=run.labels) == ["</tool_call>"] for call in asked)


def test_only_the_student_has_its_fast_order():
    assert follows(ToolCall("fast_order").json()) == ["</tool_call>"]
    assert not any(word.startswith("f") for word in follows('{"name":"', tuple(TOOLS)))


def test_the_fast_order_is_that_of_the_log_probabilities():
    ties = text_keys(LABELS, 0, "ties")
    answer = fast_order(np.log([0.1, 0.3, 0.05, 0.4, 0.05, 0.1], dtype=np.float32), LABELS, ties)
    assert answer.startswith("star ‹D›‹B›")
    (order,) = read_orders(answer)
    assert order.signal == "star"
    assert [set(group) for group in order.groups] == [{"‹D›"}, {"‹B›"}, {"‹A›", "‹F›"}, {"‹C›", "‹E›"}]


def test_a_run_that_asks_its_fast_order_asks_it_before_compare(lessons):
    for run in lessons[2][:5]:
        asking = with_fast_order(run, "star ‹A›‹B›.")
        compare = '<tool_call>{"name":"compare","arguments":{}}</tool_call>'
        asked = '<tool_call>{"name":"fast_order","arguments":{}}</tool_call>'
        assert linear(asking) == linear(run).replace(
            compare, f"{asked}<tool_response>star ‹A›‹B›.</tool_response>{compare}"
        )
