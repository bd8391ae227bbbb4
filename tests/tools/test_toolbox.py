"""Tools answer what they were asked, in words that can be checked, and refuse what they cannot answer."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.data import mention
from starrec.signals import SIGNALS, claims
from starrec.tools import TOOLS, ToolError, fast_task, think_task

CANDIDATES = [30, 2, 13, 45, 0, 26, 7, 12, 37, 18]
LABEL = re.compile("‹[A-Z]+›")
USER = 3
COLD = [[], [47, 46, 45]]


@pytest.fixture(scope="session")
def toolbox(world, split, task):
    def toolbox(user=USER, history=None, candidates=CANDIDATES):
        if history is None:
            history = split.train.of(user)
        return world.toolbox(task(user, history, candidates))

    return toolbox


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("item_dog", {}, "no tool 'item_dog'.*profile, item_facts, item_cf, user_cf, transitions, compare"),
        ("item_cf", {"window": "future"}, "`window` of item_cf .*not 'future'"),
        ("user_cf", {"window": ""}, "`window` of user_cf .*not ''"),
        ("item_cf", {"window": None}, "not None"),
        ("item_cf", {"window": ["recent"]}, "window"),
        ("item_cf", {"candidates": ["K"]}, "no candidate 'K'; labels go from A to J"),
        ("item_cf", {"candidates": ["A", "a"]}, "no candidate 'a'"),
        ("item_cf", {"candidates": ["‹A"]}, "no candidate '‹A'"),
        ("item_cf", {"candidates": "AB"}, "no candidate 'AB'"),
        ("item_cf", {"candidates": [0]}, "no candidate 0"),
        ("item_cf", {"candidates": {"A": 1}}, "no candidate"),
        ("item_cf", {"user": 3}, "item_cf takes no argument 'user'"),
        ("transitions", {"window": "recent"}, "transitions takes no argument 'window'"),
        ("profile", {"candidates": ["A"]}, "profile takes no argument 'candidates'"),
        ("compare", {"window": "whole", "k": 1}, "compare takes no argument 'window', 'k'"),
    ],
)
def test_what_cannot_be_answered_is_a_tool_error_that_says_what_to_correct(toolbox, name, arguments, said):
    with pytest.raises(ToolError, match=said):
        toolbox().call(name, arguments)


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.sampled_from("ABK")
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(
    st.one_of(st.sampled_from(list(TOOLS)), st.text(max_size=5)),
    st.dictionaries(st.one_of(st.sampled_from(["window", "candidates"]), st.text(max_size=3)), json_values),
)
def test_any_call_is_answered_or_a_tool_error(toolbox, name, arguments):
    try:
        assert toolbox().call(name, arguments).text
    except ToolError as error:
        assert str(error)


def test_schemas_name_exactly_the_arguments_that_are_taken(toolbox):
    examples = {"window": "whole", "candidates": ["A"]}
    for name, spec in TOOLS.items():
        assert spec.parameters["additionalProperties"] is False
        for argument, value in examples.items():
            if argument in spec.parameters["properties"]:
                assert toolbox().call(name, {argument: value}).text
            else:
                with pytest.raises(ToolError):
                    toolbox().call(name, {argument: value})


@pytest.mark.parametrize("name", [name for name, spec in TOOLS.items() if spec.candidates])
def test_an_answer_speaks_of_the_asked_labels_only_and_in_their_order(toolbox, name):
    bare, marked = (toolbox().call(name, {"candidates": asked}).text for asked in (["D", "B"], ["‹D›", "‹B›"]))
    assert bare == marked
    assert LABEL.findall(bare) == ["‹D›", "‹B›"]
    assert toolbox().call(name, {"candidates": "D"}).text == bare.split(" ‹B›")[0]


@pytest.mark.parametrize("name", ["item_cf", "user_cf"])
def test_an_open_question_is_answered_for_the_strongest(toolbox, name):
    tools = toolbox()
    answer = tools.call(name, {"window": "whole"})
    strongest = np.argsort(-answer.scores)[: world.config.budget]
    assert LABEL.findall(answer.text) == [tools.labels[at] for at in strongest]
    np.testing.assert_array_equal(answer.scores, tools.evidence.scores[SIGNALS.index(f"{name}.whole")])
    assert tools.call(name, {}).text == tools.call(name, {"window": "recent"}).text
    assert tools.call(name, {}).text != answer.text


def test_every_figure_of_every_answer_reads_as_a_claim(toolbox):
    labels = list(toolbox().labels)
    for name, spec in TOOLS.items():
        text = toolbox().call(name, {"candidates": labels} if spec.candidates else {}).text
        assert None not in claims(text)
        if name != "compare":
            assert len(claims(text)) >= 3


def test_compare_has_a_row_for_each_candidate_and_a_level_for_each_signal(toolbox, small):
    tools = toolbox()
    rows = tools.rows()
    assert tools.call("compare", {}).text == "".join(rows)
    for at, item in enumerate(CANDIDATES):
        levels = tools.evidence.levels[:, at].tolist()
        expected = "".join(f"‹{s}={v if v >= 0 else 'none'}›" for s, v in zip(SIGNALS, levels, strict=True))
        assert rows[at] == mention(f"i{item}", small.titles[item]) + expected + f"‹{chr(65 + at)}›"


@pytest.mark.parametrize("history", COLD)
@pytest.mark.parametrize("user", [-1, USER])
def test_a_cold_user_gets_answers_everywhere(toolbox, user, history):
    tools = toolbox(user, history)
    for name in TOOLS:
        assert tools.call(name, {}).text
    if not history:
        assert tools.call("profile", {}).text == "No categories are known."
        assert tools.call("item_cf", {}).text == "Nothing is known."
        assert tools.call("item_cf", {"candidates": ["B"]}).text == "‹B› Nothing is known."
        assert "‹item_cf.recent=none›" in fast_task(tools) and "‹popularity=none›" not in fast_task(tools)
    assert think_task(tools).startswith("History: ⟦" if history else "History:  Candidates: ‹A›")


def test_prompts_show_the_latest_items_and_all_candidates(toolbox, small):
    history = list(range(20, 40))
    tools = toolbox(-1, history, [1, 3])
    latest = "".join(mention(f"i{item}", small.titles[item]) for item in range(24, 40))
    first, second = (mention(f"i{item}", small.titles[item]) for item in (1, 3))
    assert think_task(tools) == f"History: {latest} Candidates: ‹A›{first}‹B›{second}"
    assert fast_task(tools) == f"History: {latest} Candidates: {''.join(tools.rows())}"


def test_titles_cannot_become_structure(toolbox):
    for text in (think_task(toolbox()), fast_task(toolbox()), toolbox().call("compare", {}).text):
        assert "<" not in text and ">" not in text
    assert LABEL.findall(think_task(toolbox())) == list(toolbox().labels)


def test_labels_go_on_after_z(toolbox):
    tools = toolbox(candidates=list(range(28)))
    assert tools.labels[25:] == ("‹Z›", "‹AA›", "‹AB›")
    assert tools.call("item_facts", {"candidates": ["AB"]}).text.startswith("‹AB› ")
    with pytest.raises(ToolError, match="labels go from A to AB"):
        tools.call("item_facts", {"candidates": ["AC"]})


def test_permuting_candidates_permutes_rows_and_keeps_who_is_spoken_of(toolbox):
    # Few people behind the evidence, so that many candidates are equal and ties are put to the test.
    for seed in range(20):
        random = np.random.default_rng(seed)
        order = random.permutation(len(CANDIDATES))
        history = random.permutation(48)[:3]
        plain = toolbox(-1, history)
        permuted = toolbox(-1, history, [CANDIDATES[at] for at in order])
        unlabelled = [LABEL.sub("", row) for row in plain.rows()]
        assert [LABEL.sub("", row) for row in permuted.rows()] == [unlabelled[at] for at in order]
        for name in ("item_cf", "user_cf", "transitions", "item_facts"):
            one, two = plain.call(name, {}), permuted.call(name, {})
            np.testing.assert_array_equal(two.scores, one.scores[order])
            assert LABEL.sub("", two.text) == LABEL.sub("", one.text)


def test_of_equal_candidates_the_same_are_spoken_of_wherever_they_stand(world, toolbox):
    equal = np.flatnonzero(world.graph.popularity == 5).tolist()
    assert len(equal) > world.config.budget + 1
    asked = (equal, equal[::-1], equal[2:] + equal[:2])
    said = {LABEL.sub("", toolbox(-1, [], candidates).call("item_facts", {}).text) for candidates in asked}
    assert len(said) == 1 and said != {"Nothing is known."}
