"""What a trace cites is held against its tools and a graph of seven people, by hand."""

import asyncio

import pytest

from starrec.data import mention
from starrec.evaluation import TraceCitations, check_trace, steps_of
from starrec.evaluation.faithfulness import faithfulness
from starrec.evaluation.wording import citation_lines
from starrec.signals import FactNumbers, Graph, Semantics
from starrec.teacher import EmbeddedPolicy, run
from starrec.tools import CUT, World

FARGO, PULP, HEAT = MENTIONS = [
    mention("1", "Fargo (1996)"),
    mention("2", "Pulp Fiction (1994)"),
    mention("3", "Heat, #2 of 9 people took it (1995)"),
]
# Seven others, then the task's own user. Of the 5 who took Fargo 3 took Pulp Fiction, as 4 of all 7 did:
# lift 3 / 5 · 7 / 4 = 1.05. With the user it would be 4 of 6, and 5 of 8.
ROWS = [[0, 1], [0, 1], [0, 1, 2], [0, 2], [0], [1], [2], [0, 1]]
ITEM_CF = '{"name":"item_cf","arguments":{"candidates":["A"]}}'
FACTS = '{"name":"item_facts","arguments":{"candidates":["B"]}}'
# #1 is of the first call, #2 of the second.
TOGETHER = f"3 of the 5 people who took {FARGO} also took {PULP}, 1.0 times what its popularity predicts."
POPULAR = f"3 of 7 people took {HEAT}."
ANSWERS = [f"item_cf.recent ‹A›. ‹A› #1 {TOGETHER}", f"popularity ‹B›. ‹B› #2 {POPULAR}"]


@pytest.fixture
def films(sequences):
    return World(MENTIONS, Graph.build(sequences(ROWS), 3), Semantics([[], ["Xbox 360"], []]))


@pytest.fixture
def asked(task):
    return task(7, [0], [1, 2])


def trace(*reflections, plan="Long history. Trust recent_interest 5.", answers=ANSWERS, calls=(ITEM_CF, FACTS)):
    steps = [("plan", plan)]
    for call, answer in zip(calls, answers, strict=True):
        steps += [("tool_call", call), ("tool_response", answer)]
    return [*steps, *(("reflection", text) for text in reflections), ("recommend", "‹B›‹A›")]


def test_the_answers_are_those_of_the_tools(films, asked):
    """What the cases below write by hand."""
    toolbox, facts = films.toolbox(asked), FactNumbers()
    assert toolbox.call("item_cf", {"candidates": ["A"]}, facts) == ANSWERS[0]
    assert toolbox.call("item_facts", {"candidates": ["B"]}, facts) == ANSWERS[1]


@pytest.mark.parametrize(
    ("text", "verdicts", "uncited"),
    [
        (f"Ahead: ‹A› #1 {TOGETHER} ‹B› #2", {"holds": 2}, 0),
        (f"‹B› #2 {POPULAR}", {"holds": 1}, 0),
        # The user's own edge: 4 of 6 took both with her.
        (f"‹A› #1 {TOGETHER.replace('3 of the 5', '4 of the 6')}", {"wrong_figure": 1}, 0),
        ("‹A› #2 ‹B› #1", {"misused": 2}, 0),
        ("‹A› #3 ‹B› #2", {"unknown": 1, "holds": 1}, 0),
        (f"‹A› {TOGETHER}", {}, 3),
        # Figures of titles and of categories are none.
        (f"I prefer {HEAT} to Xbox 360.", {}, 0),
        ("They disagree: check ‹A›‹B›. Trust user_profile 4.", {}, 0),
    ],
)
def test_citations_by_hand(films, asked, text, verdicts, uncited):
    found = check_trace(trace(text), films, asked)
    assert (dict(found.verdicts), found.uncited) == (verdicts, uncited)
    assert (found.altered, found.recounted_wrong, found.parses, found.reflections) == (0, 0, True, 1)
    # No fact was stated before the plan.
    first = check_trace(trace(plan=text), films, asked)
    assert set(first.verdicts) <= {"unknown"} and first.reflections == 0
    assert sum(first.verdicts.values()) == sum(verdicts.values()) and first.uncited == uncited


def test_a_reflection_may_cite_what_was_stated_before_it_only(films, asked):
    early = [("reflection", "‹A› #1 ‹B› #2 3 of 7")]
    steps = trace("‹B› #2 3 of 7")
    found = check_trace([*steps[:3], *early, *steps[3:]], films, asked)
    assert dict(found.verdicts) == {"holds": 2, "unknown": 1}
    assert (found.reflections, found.with_figure) == (2, 1)


def test_plan_and_every_reflection_count_and_nothing_else(films, asked):
    found = check_trace(trace("‹A› #1", "‹B› #1 99", plan="Of 12 items #1"), films, asked)
    assert dict(found.verdicts) == {"unknown": 1, "holds": 1, "misused": 1}
    assert (found.reflections, found.with_figure, found.uncited) == (2, 0, 0)
    # #1 is counted again, once; what no tool stated has nothing to count.
    assert (found.recounted, found.recounted_wrong) == (1, 0)
    nothing = check_trace(trace(), films, asked)
    assert nothing == TraceCitations(True, 0, {}, 0, 0, 0, 0, 0)


class TestAlteredAnswers:
    """The tools are called again: what a trace holds as their answers is not believed."""

    def test_a_forged_figure_is_seen_and_does_not_hold(self, films, asked):
        forged = [ANSWERS[0].replace("3 of the 5", "5 of the 5"), ANSWERS[1]]
        found = check_trace(trace("‹A› #1 5 of the 5", "‹A› #1 3 of the 5", answers=forged), films, asked)
        assert found.altered == 1
        assert dict(found.verdicts) == {"holds": 2}  # 5 is a figure of the fact, alone
        found = check_trace(trace("‹A› #1 4 of the 5", answers=[forged[0].replace("5 of", "4 of"), ANSWERS[1]]),
                            films, asked)  # fmt: skip
        assert found.altered == 1 and dict(found.verdicts) == {"wrong_figure": 1}

    def test_a_forged_number_is_seen(self, films, asked):
        forged = [ANSWERS[0].replace("#1", "#7"), ANSWERS[1]]
        found = check_trace(trace("‹A› #7", answers=forged), films, asked)
        assert found.altered == 1 and dict(found.verdicts) == {"unknown": 1}

    @pytest.mark.parametrize(
        "call",
        [
            '{"name":"item_cf","arguments":{"candidates":["Q"]}}',
            '{"name":"no_such_tool","arguments":{}}',
            "no call",
        ],
    )
    def test_an_answer_to_a_call_that_has_none_is_altered(self, films, asked, call):
        found = check_trace(trace("‹A› #1", calls=(call, FACTS), answers=ANSWERS), films, asked)
        # The second call states #1 now, and it is about ‹B›.
        assert found.altered == 2 and dict(found.verdicts) == {"misused": 1}
        assert found.parses == (call != "no call")

    def test_a_refusal_states_nothing(self, films, asked):
        refused = "error: planner has no tool 'item_cf'; it has profile."
        answers = [refused, ANSWERS[1].replace("#2 3", "#1 3")]
        found = check_trace(trace("‹B› #1 3 of 7", answers=answers), films, asked)
        assert found.altered == 0 and dict(found.verdicts) == {"holds": 1}

    def test_an_answer_may_be_cut_where_it_says_so(self, films, asked):
        cut = [f"{ANSWERS[0].partition(' ‹A› #1')[0]}{CUT}", ANSWERS[1]]
        assert check_trace(trace(answers=cut), films, asked).altered == 0
        assert check_trace(trace(answers=[CUT.strip(), ANSWERS[1]]), films, asked).altered == 0
        assert check_trace(trace(answers=[cut[0].removesuffix(CUT), ANSWERS[1]]), films, asked).altered == 1
        assert check_trace(trace(answers=[f"user_cf{CUT}", ANSWERS[1]]), films, asked).altered == 1

    def test_a_response_without_a_call_is_altered(self, films, asked):
        steps = trace("‹A› #1")
        found = check_trace([step for step in steps if step[0] != "tool_call"], films, asked)
        assert found.altered == 2 and not found.parses

    def test_tools_of_the_writers_own_are_asked_too(self, films, asked):
        own = {"fast_order": lambda toolbox: f"fast {''.join(toolbox.labels)}."}
        call = '{"name":"fast_order","arguments":{}}'
        steps = trace("‹A› #1", calls=(call, ITEM_CF), answers=["fast ‹A›‹B›.", ANSWERS[0]])
        assert check_trace(steps, films, asked, own).altered == 0
        assert check_trace(steps, films, asked).altered == 1
        changed = trace(calls=(call, ITEM_CF), answers=["fast ‹B›‹A›.", ANSWERS[0]])
        assert check_trace(changed, films, asked, own).altered == 1


def test_facts_are_counted_again_in_the_graph(films, asked, monkeypatch):
    """An error of gathering, here of the people behind popularity, is found by counting again."""
    toolbox = films.toolbox(asked)
    toolbox.evidence._popular[1] += 1
    monkeypatch.setattr(World, "toolbox", lambda *_: toolbox)
    wrong = ANSWERS[1].replace("3 of 7", "4 of 7")
    found = check_trace(trace("‹A› #1 ‹B› #2 4 of 7", answers=[ANSWERS[0], wrong]), films, asked)
    assert found.altered == 0 and dict(found.verdicts) == {"holds": 2}
    assert (found.recounted, found.recounted_wrong) == (2, 1)


@pytest.mark.parametrize(
    "steps",
    [
        trace("a < b"),
        trace()[1:],
        [*trace()[:-1], ("recommend", "‹A›")],
        [*trace()[:-1], ("recommend", "‹A›‹C›")],
        trace()[:-2],
    ],
)
def test_what_is_no_trajectory_does_not_parse(films, asked, steps):
    assert not check_trace(steps, films, asked).parses


def test_totals_by_hand():
    traces = [
        TraceCitations(True, 0, {"holds": 3, "misused": 1}, 2, 4, 0, reflections=2, with_figure=1),
        TraceCitations(True, 1, {}, 0, 0, 0, reflections=1, with_figure=0),
        TraceCitations(False, 0, {"holds": 5, "unknown": 2, "wrong_figure": 1}, 1, 6, 1, 3, 2),
    ]
    found = faithfulness(traces)
    assert found == {
        "traces": 3,
        "parsed": 2,
        "altered": 1,
        "citations": 12,
        "holds": 8,
        "unknown": 2,
        "misused": 1,
        "wrong_figure": 1,
        "uncited_numerals": 3,
        "recounted": 10,
        "recounted_wrong": 1,
        "reflections": 6,
        "reflections_with_cited_figure": 3,
    }
    assert set(faithfulness([]).values()) == {0}
    [line] = citation_lines({"faithfulness": {"star_think_ungrounded": found}})
    assert line == (
        "star_think_ungrounded (the same student, decoding unconstrained): 8 of 12 citations hold, 3 figures "
        "without one; 3 of 6 reflections cite a figure; 3 traces"
    )
    [own] = citation_lines({"faithfulness": {"star_think": found}})
    assert own.startswith("star_think (as it learned to cite")
    both = citation_lines({"faithfulness": {"star_think": found, "star_think_ungrounded": found}})
    assert both[0].startswith("star_think (by construction") and both[1] == line


def test_the_teachers_own_citations_hold(world, lessons):
    """Its runs over tasks of a larger catalogue, whose titles try to be labels and citations."""
    cited = []
    for task in lessons[0][:12]:
        trajectory = asyncio.run(run(EmbeddedPolicy(), world.toolbox(task))).trajectory
        steps = steps_of(trajectory)
        assert [text for tag, text in steps if tag == "tool_response"] == [
            message.content for message in trajectory.messages if message.role == "tool"
        ]
        found = check_trace(steps, world, task)
        assert found.parses and (found.altered, found.recounted_wrong, found.uncited) == (0, 0, 0)
        assert set(found.verdicts) <= {"holds"}
        cited.append(found)
    totals = faithfulness(cited)
    assert totals["holds"] >= 12 and totals["reflections_with_cited_figure"] >= 6
