"""What a call may be: all that the teacher asks, its beginnings, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.hashing import text_keys
from starrec.signals import labels
from starrec.student.calls import STUDENT_TOOLS, CallForm, fast_order, with_fast_order
from starrec.tools import TOOLS, read_orders
from starrec.trajectories import ToolCall, linear, parse_call

LABELS = labels(6)
FORM = CallForm(LABELS)


@st.composite
def calls(draw):
    spec = STUDENT_TOOLS[draw(st.sampled_from(sorted(STUDENT_TOOLS)))]
    arguments = {}
    if spec.windows and draw(st.booleans()):
        arguments["window"] = draw(st.sampled_from(["recent", "whole"]))
    if spec.candidates and draw(st.booleans()):
        arguments["candidates"] = draw(st.lists(st.sampled_from(LABELS), min_size=1, unique=True))
    return ToolCall(spec.name, arguments)


@given(calls(), st.data())
def test_every_call_and_every_beginning_of_one_is_open_and_only_the_end_is_whole(call, data):
    text = call.json()
    cut = data.draw(st.integers(0, len(text) - 1))
    assert FORM.whole(text) and FORM.open(text) and parse_call(text) == call
    assert FORM.open(text[:cut]) and not FORM.whole(text[:cut])
    # A call ends where it ends.
    assert not FORM.open(text + data.draw(st.characters()))


@pytest.mark.parametrize(
    "text",
    [
        "{ ",
        '{"name":"item_d',
        '{"name":"profile","arguments":{"',
        '{"name":"item_cf","arguments":{"window":"f',
        '{"name":"item_cf","arguments":{"candidates":["‹G',
        '{"name":"item_cf","arguments":{"candidates":[]',
        '{"name":"item_cf","arguments":{"candidates":["‹A›"],',
        '{"name":"item_cf","arguments":{"candidates":["‹A›","‹A›',
        '{"name":"transitions","arguments":{"w',
    ],
)
def test_what_no_tool_could_answer_is_never_begun(text):
    assert FORM.open(text[:-1]) and not FORM.open(text)


def test_some_tools_only():
    form = CallForm(LABELS, ["compare"])
    assert form.whole(ToolCall("compare").json()) and not form.open('{"name":"p')


def test_all_that_the_teacher_asked_is_a_call(lessons):
    for run in lessons[2]:
        form = CallForm(run.labels)
        asked = [message.tool_call for message in run.messages if message.tool_call is not None]
        assert asked and all(form.whole(call.json()) for call in asked)


def test_only_the_student_has_its_fast_order():
    assert CallForm(LABELS).whole(ToolCall("fast_order").json())
    assert not CallForm(LABELS, TOOLS).open('{"name":"fast')


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
