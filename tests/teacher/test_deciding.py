"""What decided is what happens: an answer that is said to decide is taken away, and the ranking turns."""

import asyncio

import pytest

from starrec.teacher import EmbeddedPolicy, run
from starrec.teacher.deciding import decided, read_asked
from starrec.teacher.replay import replay, standing_of
from starrec.trajectories import Element, elements

TASK = Element("task", "History: Candidates: ‹A›⟦1|a⟧‹B›⟦2|b⟧‹C›⟦3|c⟧")


def call(name, arguments="{}", agent=""):
    return Element("tool_call", f'{{"name":"{name}","arguments":{arguments}}}', agent)


def answer(text):
    return Element("tool_response", text)


def test_parts_of_the_lead_by_hand():
    trace = [
        TASK,
        Element("plan", "Trust interest_divergence 6, historical_interest 3."),
        *(call("transitions"), answer("transitions ‹B›‹A›.")),  # B 6/3, A 6/4
        *(call("ease"), answer("ease ‹A›‹B›.")),  # A 3/3, B 3/4
        *(call("item_cf", '{"window":"whole"}'), answer("item_cf.whole ‹A›.")),  # half of 3: A 1.5/3
        *(call("profile"), answer("#1 Nothing that counts.")),
        Element("recommend", "‹A›‹B›‹C›"),
    ]
    # A 1.5 + 1 + .5 = 3, B 2 + .75 = 2.75: a lead of .25.
    found = decided(trace)
    assert (found.order, found.second, found.alike) == (("‹A›", "‹B›", "‹C›"), "‹B›", False)
    tools = [(source.name, pytest.approx(source.part), source.leader) for source in found.tools]
    # Without item_cf A 2.5, without ease A 2 and B 2: then the hash decides, which here puts one of them first.
    assert tools[0][:2] == ("item_cf.whole", 0.5) and tools[0][2] == "‹B›"
    assert tools[1][:2] == ("ease", 0.25)
    assert tools[2] == ("transitions", -0.5, "‹A›")
    assert len(tools) == 3
    # Both of what historical interest asked: A 1.5, B 2.
    assert [(each.name, each.part, each.leader) for each in found.analysts] == [
        ("historical_interest", pytest.approx(0.75), "‹B›")
    ]
    assert found.unreflected is None and found.fast is None


def test_equal_scores_and_too_few_candidates():
    assert decided([]) is None
    assert decided([Element("task", "History: Candidates: ‹A›⟦1|a⟧")]) is None
    found = decided([TASK, Element("plan", "Trust user_profile 1."), call("ease"), answer("ease ‹A›=‹B›=‹C›.")])
    assert found.alike and found.ranking == () and found.order == replay(TASK.linear)


@pytest.mark.parametrize(
    ("ranking", "second"), [("‹A›", "‹B›"), ("‹A›‹Z›", "‹B›"), ("‹A›‹C›", "‹C›"), ("‹B›‹C›", "‹B›")]
)
def test_a_ranking_that_is_cut_off_or_names_nobody(ranking, second):
    trace = [TASK, call("ease"), answer("ease ‹A›‹B›‹C›."), Element("recommend", ranking)]
    found = decided(trace)
    assert found.order == ("‹A›", "‹B›", "‹C›") and found.second == second
    assert "".join(found.ranking) == ranking


@pytest.mark.parametrize(
    ("asked", "name", "asker"),
    [
        (call("item_cf"), "item_cf.recent", "recent_interest"),
        (call("item_cf", '{"window":"whole"}'), "item_cf.whole", "historical_interest"),
        (call("item_cf", '{"window":"whole"}', "recent_interest"), "item_cf.whole", "recent_interest"),
        (call("contrary"), "contrary", "interest_divergence"),
        (call("profile"), "profile", "user_profile"),
        (call("compare"), "compare", "ranker"),
        (call("fast_order"), "fast_order", "ranker"),
        (Element("tool_call", '{"name":"item_'), "unreadable", "ranker"),
    ],
)
def test_who_asks(asked, name, asker):
    found = read_asked(asked)
    assert (found.name, found.asker) == (name, asker)


@pytest.fixture(scope="module")
def found(lessons):
    """Tasks, each with the policy's run over it."""
    return [(task, elements(trajectory)) for task, trajectory in zip(lessons[0], lessons[2], strict=True)]


class TestRuns:
    def test_a_tool_that_decides_is_missed(self, found):
        """Against the text with that tool's calls and answers cut out."""
        decisive = 0
        for _, trace in found:
            for source in decided(trace).tools:
                left = [
                    part.linear
                    for at, part in enumerate(trace)
                    if not any(
                        each.tag == "tool_call" and read_asked(each).name == source.name
                        for each in (part, trace[at - 1])
                    )
                ]
                assert replay("".join(left))[0] == source.leader
                decisive += source.leader != decided(trace).order[0]
        assert decisive > len(found) / 4

    def test_parts_add_up_to_the_lead(self, found):
        for _, trace in found:
            scores = standing_of(trace).scores()
            each = decided(trace)
            lead = scores[each.order[0]] - scores[each.second]
            assert sum(source.part for source in each.tools) == pytest.approx(lead)

    def test_without_reflection_leads_whom_the_policy_puts_first_without_it(self, found, world):
        changed = 0
        for task, trace in found:
            plain = asyncio.run(run(EmbeddedPolicy(), world.toolbox(task), reflections=1)).trajectory
            assert decided(trace).unreflected == plain.ranking[0]
            changed += plain.ranking[0] != decided(trace).order[0]
        assert changed > 0
