"""A trace for people: by hand, and for whatever titles and runs there are."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starrec.data import escape, mention, plain
from starrec.teacher import EmbeddedPolicy, readable, run
from starrec.teacher.replay import replay
from starrec.trajectories import Element, elements

HOSTILE = "[bold]</b>‹A› #1"
PULP = "61% of the 214 people who took ⟦9|Alien⟧ also took ⟦2|Pulp Fiction⟧, 2.3 times what was expected."
TASK = f"History: ⟦9|Alien⟧⟦8|Heat⟧ Candidates: ‹A›⟦1|Fargo⟧‹B›⟦2|Pulp Fiction⟧‹C›{mention('3', HOSTILE)}"
TRACE = [
    Element("task", TASK),
    Element("plan", "Short history. Trust recent_interest 6, interest_divergence 6, user_profile 1."),
    Element("tool_call", '{"name":"item_cf","arguments":{"window":"recent"}}'),
    Element("tool_response", f"item_cf.recent ‹B›‹A›=‹C›. ‹B› #1 {PULP} ‹C› Nothing is known."),
    Element("tool_call", '{"name":"transitions","arguments":{}}'),
    Element(
        "tool_response", "transitions ‹A›. ‹A› #2 3 of the 7 people who took ⟦8|Heat⟧ took ⟦1|Fargo⟧ within 3."
    ),
    Element("reflection", "They disagree: check ‹A›‹B›. Trust user_profile 7."),
    Element("tool_call", '{"name":"content","arguments":{"candidates":["‹A›","‹B›"]}}'),
    Element(
        "tool_response",
        "category ‹B›. ‹A› Nothing is known. ‹B› #3 2 of the last 2 items fit ⟦2|Pulp Fiction⟧.",
    ),
    Element("reflection", f"Ahead: ‹B› #1 {PULP} ‹A› #2 ‹C›"),
    Element("tool_call", '{"name":"compare","arguments":{}}'),
    Element(
        "tool_response",
        "⟦1|Fargo⟧‹ease=0›‹transitions=4›‹A›⟦2|Pulp Fiction⟧‹ease=1›‹transitions=none›‹B›"
        f"{mention('3', HOSTILE)}‹ease=none›‹C›",
    ),
    Element("recommend", "‹B›‹A›‹C›"),
]
# Item-CF gives B 6/3 and A and C 6/4.5 each, transitions A 6/3: A 3.33, B 2, C 1.33. Category gives B 7/3, so
# 4.33; compare gives A .05 · 2 · 4 = .4 and B .05 · 3 · 1 = .15: B 4.48, A 3.73, C 1.33. Without content A
# leads, and that is what reflection asked. Without item_cf B still leads, by 2.48 to 2.4.


def shown(trace):
    return [(entry.who, plain(entry.text), *map(plain, entry.lines)) for entry in readable(trace)]


def raw(trace):
    return "\n".join("\n".join((entry.text, *entry.lines)) for entry in readable(trace))


def test_by_hand():
    pulp = plain(PULP)
    assert shown(TRACE) == [
        ("Task", "History: Alien; Heat. 3 candidates to rank."),
        (
            "Planner",
            "Short history. Trusts recent interest and interest divergence most (6 of 9 each), "
            "then user profile (1).",
        ),
        (
            "Recent interest",
            "What else did people take who took one of the latest items? (item_cf.recent, all 3)",
            f"Order: Pulp Fiction ‹B› > Fargo ‹A› = {HOSTILE} ‹C›.",
            f"#1 {pulp}",
        ),
        (
            "Interest divergence",
            "What do people take soon after the latest items? (transitions, all 3)",
            "Order: Fargo; no evidence on 2.",
            "#2 3 of the 7 people who took Heat took Fargo within 3.",
        ),
        (
            "Reflector",
            "They disagree: check Fargo; Pulp Fiction. From now on trusts user profile more (7 of 9, was 1).",
            "First places so far: Pulp Fiction by item_cf.recent; Fargo by transitions.",
        ),
        (
            "User profile",
            "Which candidates resemble the history in category and wording? (content, 2 of 3)",
            "By category: Pulp Fiction; no evidence on 1.",
            "#3 2 of the last 2 items fit Pulp Fiction.",
        ),
        ("After that", "Pulp Fiction takes the first place from Fargo."),
        (
            "Reflector",
            f"Ahead: Pulp Fiction #1; Fargo #2; {HOSTILE}.",
            f"#1 {pulp}",
            "#2 3 of the 7 people who took Heat took Fargo within 3.",
        ),
        (
            "Ranker",
            "How strong is every signal for every candidate? (compare)",
            "Strongest, by ease, transitions and item_cf.recent in levels from 0 to 15: "
            "Fargo (0, 4, none); Pulp Fiction (1, none, none).",
        ),
        ("Ranker", f"Ranks Pulp Fiction > Fargo > {HOSTILE}."),
        (
            "What decided",
            "First place: Pulp Fiction, ahead of Fargo. The ranking follows from the text: without what "
            "content said, Fargo would lead. Without the reflection, Fargo would lead.",
        ),
    ]


def test_what_decided_holds_where_that_answer_is_edited():
    text = "".join(part.linear for part in TRACE)
    assert replay(text) == ("‹B›", "‹A›", "‹C›")
    assert replay(text.replace("category ‹B›.", "category ‹A›."))[0] == "‹A›"
    # And the readable form follows the edit: no more is asked of a trace than its text.
    edited = [Element(*[part.replace("category ‹B›.", "category ‹A›.") for part in each]) for each in TRACE]
    assert shown(edited)[-1] == (
        "What decided",
        "First place: Pulp Fiction. The ranking differs from what its text gives: there, Fargo leads.",
    )


def test_a_students_ranking_and_its_fast_order():
    asked = [
        Element("tool_call", '{"name":"fast_order","arguments":{}}'),
        Element("tool_response", "star ‹C›‹B›‹A›."),
    ]
    student = [*TRACE[:10], *asked, *TRACE[10:12]]
    first = shown([*student, Element("recommend", "‹C›‹B›‹A›")])
    assert first[-4] == (
        "Ranker",
        "How would the student rank without thinking? (fast_order)",
        f"Order: {HOSTILE} > Pulp Fiction > Fargo.",
    )
    assert first[-1][1] == (
        f"First place: {HOSTILE}. The ranking differs from what its text gives: there, Pulp Fiction leads. "
        "The student's fast order has the same first."
    )
    below = shown([*student, Element("recommend", "‹B›‹C›‹A›")])[-1][1]
    assert below.startswith(
        f"First place: Pulp Fiction, ahead of {HOSTILE}. The first place follows from the text: without "
    )


def test_what_moved_and_long_orders():
    """Of more than three, three are named: here the trust of a reflection moves the second and the third, or
    nothing."""
    listed = "".join(f"‹{name}›⟦{at}|{name.lower()}⟧" for at, name in enumerate("ABCDE"))
    asked = [
        Element("task", f"History:  Candidates: {listed}"),
        Element("plan", "Trust historical_interest 9, user_profile 1."),
        *(
            Element("tool_call", '{"name":"ease","arguments":{}}'),
            Element("tool_response", "ease ‹A›=‹B›‹C›=‹D›."),
        ),
        Element("tool_call", '{"name":"item_facts","arguments":{}}'),
        Element("tool_response", "popularity ‹E›‹D›‹C›‹B›‹A›. trend ‹E›."),
    ]
    found = shown(asked)
    assert found[0][1] == "No history. 5 candidates to rank."
    assert found[2][2] == "Order: a ‹A› = b ‹B› > c ‹C› > 1 more; no evidence on 1."
    assert found[3][2:] == ("Most popular: e ‹E› > d ‹D› > c > 2 more.", "Rising most: e; no evidence on 4.")
    # ease gives A and B 9/3.5 = 2.57 each, C and D 9/5.5 = 1.64; popularity at trust 1 gives E .33, D .25,
    # C .2, B .17, A .14: B 2.74, A 2.71, D 1.89. At trust 2 the same order; at 9 B 4.07, D 3.89, A 3.86.
    for degree, moved in ((2, "The first 3 stay b > a > d."), (9, "The first 3 are now b > d > a.")):
        reflected = shown([*asked, Element("reflection", f"Trust user_profile {degree}.")])
        assert reflected[-3:-1] == [
            ("Reflector", f"From now on trusts user profile more ({degree} of 9, was 1)."),
            ("After that", moved),
        ]


@pytest.mark.parametrize("length", range(len(TRACE)))
def test_an_unfinished_trace_says_so(length):
    found = shown(TRACE[:length])
    assert bool(found) == (length > 0)
    if found:
        assert found[0][0] == "Task" and found[-1][0] == "What decided"
        assert found[-1][1].startswith("Unfinished: no ranking.")
    leads = {4: "Pulp Fiction", 6: "Fargo", 7: "Fargo", 9: "Pulp Fiction", 12: "Pulp Fiction"}
    if length in leads:
        assert found[-1][1] == f"Unfinished: no ranking. By what stands here, {leads[length]} leads."
    if length == 3:
        assert found[-2][-1] == "No answer."


def test_what_a_language_model_writes():
    """Free prose, a label beside its title, a fact that was never stated, a label that no candidate has, a
    refused call."""
    trace = [
        *TRACE[:1],
        Element("plan", "Look at ‹A›⟦1|Fargo⟧ and at &#60;all&#62; others. Trust user_profile 5.", "planner"),
        Element("tool_call", '{"name":"buy","arguments":{"window":"‹A›"}}', "user_profile"),
        Element("tool_response", "error: There is no tool 'buy'. #1 ‹A›.", "user_profile"),
        Element("tool_call", '{"name":"item_cf","arguments":{"window":"‹A›"}}', "historical_interest"),
        Element("tool_response", "error: `window` of item_cf is another.", "historical_interest"),
        Element("reflection", "‹Z› beats ‹A› by #7!", "reflector"),
    ]
    assert shown(trace)[1:-1] == [
        ("Planner", "Look at Fargo ‹A› and at <all> others. Trusts user profile (5 of 9)."),
        ("User profile", "Asks a tool that there is not. (buy)", "error: There is no tool 'buy'. #1 Fargo."),
        (
            "Historical interest",
            "Asks a tool that there is not. (item_cf.‹A›, all 3)",
            "error: `window` of item_cf is another.",
        ),
        ("Reflector", "‹Z› (no candidate) beats Fargo by #7!", "#7 No tool stated this."),
    ]


titles = st.one_of(st.sampled_from([HOSTILE, "⟦1|x⟧", "#1 x. #2 ", "Candidates: ‹B›"]), st.text(max_size=12))


@given(st.lists(titles, min_size=3, max_size=3, unique=True), st.data())
def test_every_label_stands_once_behind_its_title(names, data):
    """Whatever titles say, and whatever labels a model writes where."""
    labels = ["‹A›", "‹B›", "‹C›"]
    items = [mention(str(at), name) for at, name in enumerate(names)]
    prose = st.lists(st.sampled_from([*labels, " ", "and", "#1", *items]), max_size=8).map("".join)
    listed = "".join(label + item for label, item in zip(labels, items, strict=True))
    trace = [
        Element("task", f"History:  Candidates: {listed}"),
        Element("plan", data.draw(prose)),
        *TRACE[2:6],
        Element("reflection", data.draw(prose)),
        *TRACE[7:9],
        Element("recommend", "‹C›‹A›‹B›"),
    ]
    text = raw(trace)
    for label, item in zip(labels, items, strict=True):
        assert text.count(label) == 1
        assert f"{item} {label}" in text


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_runs_of_the_policy(world, task, data):
    """On a catalogue whose titles try to be labels, tags and figures: every label is resolved, every citation
    is one that a tool stated, and the ranking follows."""
    history = data.draw(st.lists(st.integers(0, 29), unique=True, max_size=24))
    candidates = data.draw(st.lists(st.integers(30, 47), unique=True, min_size=2, max_size=9))
    number = data.draw(st.integers(0, 5))
    toolbox = world.toolbox(task(data.draw(st.integers(-1, 79)), history, candidates))
    found = asyncio.run(run(EmbeddedPolicy(), toolbox, number=number, explore=number > 0)).trajectory
    text = raw(elements(found))
    for label, item in zip(found.labels, toolbox.mentions(toolbox.task.candidates), strict=True):
        assert text.count(label) == text.count(f"{item} {label}") <= 1
    assert "(no candidate)" not in text and "No tool stated this" not in text
    assert "The ranking follows from the text: " in text


def test_categories_that_look_like_facts():
    """A category may be named `#5 hits`; only a number that begins a sentence is a fact's."""
    answer = f"#1 2 of the last 2 items are {escape('#5 hits')}. #2 The last 2 items span 1 category."
    trace = [
        TRACE[0],
        Element("tool_call", '{"name":"profile","arguments":{}}'),
        Element("tool_response", answer),
    ]
    assert shown(trace)[1] == ("User profile", "What is this history like? (profile)", answer)
    cited = shown([*trace, Element("reflection", "So #2 and #5.")])[2]
    assert cited[2:] == ("#2 The last 2 items span 1 category.", "#5 No tool stated this.")
