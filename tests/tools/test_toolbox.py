"""Tools answer what they were asked, in words that can be checked, and refuse what they cannot answer."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.data import mention
from starrec.signals import SIGNALS, Graph, SignalsConfig, sentence
from starrec.tools import TOOLS, ToolError, World, fast_task, think_task

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
        (
            "item_dog",
            {},
            "no tool 'item_dog'.*profile, item_facts, item_cf, user_cf, transitions, ease, contrary, compare",
        ),
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
        ("ease", {"window": "whole"}, "ease takes no argument 'window'"),
        ("contrary", {"candidates": ["Z"]}, "no candidate 'Z'"),
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


@pytest.mark.parametrize("name", ["item_facts", "item_cf", "user_cf", "transitions", "ease"])
def test_an_answer_speaks_of_the_asked_labels_only_and_in_their_order(toolbox, name):
    bare, marked = (toolbox().call(name, {"candidates": asked}).text for asked in (["D", "B"], ["‹D›", "‹B›"]))
    assert bare == marked
    assert LABEL.findall(bare) == ["‹D›", "‹B›"]
    assert toolbox().call(name, {"candidates": "D"}).text == bare.split(" ‹B›")[0]


def test_contrary_speaks_of_those_that_something_speaks_against(toolbox, world):
    tools = toolbox()
    against = [tools.evidence.contrary(at) for at in range(len(CANDIDATES))]
    said = {tools.labels[at]: world.sentence(fact) for at, fact in enumerate(against) if fact is not None}
    assert 1 < len(said) < len(CANDIDATES)
    last, first = list(said)[-1], next(iter(said))
    # Of those asked about, in their order; of whom nothing is to be said, nothing is.
    asked = tools.call("contrary", {"candidates": [last, *(set(tools.labels) - set(said)), first]}).text
    assert asked == f"{last} {said[last]} {first} {said[first]}"
    quiet = sorted(set(tools.labels) - set(said))
    assert tools.call("contrary", {"candidates": quiet}).text == "Nothing speaks against them."
    assert tools.call("contrary", {}).scores is None


def test_an_open_question_about_what_speaks_against_is_answered_for_the_surest(world, split, task):
    tools = world.toolbox(task(2, split.train.of(2), CANDIDATES))
    against = [(at, fact) for at in range(10) if (fact := tools.evidence.contrary(at)) is not None]
    assert len(against) > world.config.budget
    surest = sorted(against, key=lambda pair: pair[1].significance)[: world.config.budget]
    expected = " ".join(f"{tools.labels[at]} {world.sentence(fact)}" for at, fact in surest)
    assert tools.call("contrary", {}).text == expected


@pytest.mark.parametrize("name", ["item_cf", "user_cf"])
def test_an_open_question_is_answered_for_the_strongest(toolbox, world, name):
    tools = toolbox()
    answer = tools.call(name, {"window": "whole"})
    strongest = np.argsort(-answer.scores)[: world.config.budget]
    assert LABEL.findall(answer.text) == [tools.labels[at] for at in strongest]
    np.testing.assert_array_equal(answer.scores, tools.evidence.scores[SIGNALS.index(f"{name}.whole")])
    assert tools.call(name, {}).text == tools.call(name, {"window": "recent"}).text
    assert tools.call(name, {}).text != answer.text


@pytest.mark.parametrize("name", ["transitions", "ease"])
def test_a_tool_scores_by_its_signal(toolbox, name):
    tools = toolbox()
    answer = tools.call(name, {})
    np.testing.assert_array_equal(answer.scores, tools.evidence.scores[SIGNALS.index(name)])
    first = int(np.argmax(answer.scores))
    assert answer.text.startswith(f"{tools.labels[first]} ")


def said_of(world, tools, name):
    """The sentences of all facts that a tool may speak of, by label."""
    signals = {
        "item_facts": ["popularity", "trend", "category", "semantic"],
        "item_cf": ["item_cf.recent"],
        "user_cf": ["user_cf.recent"],
    }.get(name, [name])
    facts = {
        label: [tools.evidence.contrary(at)]
        if name == "contrary"
        else [tools.evidence.fact(signal, at) for signal in signals]
        for at, label in enumerate(tools.labels)
    }
    return {label: [world.sentence(fact) for fact in known if fact] for label, known in facts.items()}


def test_every_answer_is_made_of_the_sentences_of_facts_and_nothing_else(toolbox, world):
    tools = toolbox()
    for name, spec in TOOLS.items():
        if not spec.candidates:
            continue
        told, sentences = said_of(world, tools, name), 0
        for part in re.split(" (?=‹)", tools.call(name, {"candidates": list(tools.labels)}).text):
            label, text = part.split(" ", 1)
            for expected in told[label]:
                sentences += expected in text
                text = text.replace(expected, "")
            assert text.strip() in ("", "Nothing is known.")
        assert sentences >= 2
    profile = tools.call("profile", {}).text
    assert profile == " ".join(map(world.sentence, tools.evidence.profile)) and len(tools.evidence.profile) > 2


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
        assert tools.call("profile", {}).text.startswith("There is no history yet")
        assert tools.call("item_cf", {}).text.startswith("There is no history yet")
        assert tools.call("item_cf", {"candidates": ["B"]}).text == "‹B› Nothing is known."
        assert "‹item_cf.recent=none›" in fast_task(tools) and "‹popularity=none›" not in fast_task(tools)
    assert think_task(tools).startswith("History: ⟦" if history else "History:  Candidates: ‹A›")


def test_silence_says_why(small, sequences, task):
    # Two people took items 0 and 1, nobody anything after them, and nobody item 2.
    world = World.of(small, Graph.build(sequences([[0, 1], [0, 1]]), small.n_items))
    alone, shared = (world.toolbox(task(-1, history, [3, 4])) for history in ([2], [1]))
    assert alone.call("item_cf", {}).text.startswith("This history stands alone so far")
    assert alone.call("transitions", {}).text.startswith("This history stands alone so far")
    assert shared.call("transitions", {}).text == "Nothing is known."


def test_prompts_show_the_latest_items_and_all_candidates(toolbox, small):
    history = list(range(20, 40))
    tools = toolbox(-1, history, [1, 3])
    latest = "".join(mention(f"i{item}", small.titles[item]) for item in range(24, 40))
    first, second = (mention(f"i{item}", small.titles[item]) for item in (1, 3))
    # Those before them, 20 to 23, are remembered by their strongest taste.
    earlier = "Earlier: 80s &#124; 90s."
    assert think_task(tools) == f"{earlier} History: {latest} Candidates: ‹A›{first}‹B›{second}"
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
        for name in ("item_cf", "user_cf", "transitions", "ease", "item_facts"):
            one, two = plain.call(name, {}), permuted.call(name, {})
            np.testing.assert_array_equal(two.scores, one.scores[order])
            assert LABEL.sub("", two.text) == LABEL.sub("", one.text)
        one, two = plain.call("contrary", {}), permuted.call("contrary", {})
        assert LABEL.sub("", two.text) == LABEL.sub("", one.text)


def test_of_equal_candidates_the_same_are_spoken_of_wherever_they_stand(world, toolbox):
    equal = np.flatnonzero(world.graph.counts.popularity == 5).tolist()
    assert len(equal) > world.config.budget + 1
    asked = (equal, equal[::-1], equal[2:] + equal[:2])
    said = {LABEL.sub("", toolbox(-1, [], candidates).call("item_facts", {}).text) for candidates in asked}
    assert len(said) == 1 and said != {"Nothing is known."}


class TestConfiguredWorld:
    """What is said depends on settings, and on what the data knows."""

    def toolbox(self, small, split, task, **settings):
        config = SignalsConfig(**settings)
        world = World.of(small, Graph.build(split.train, small.n_items), config)
        return world.toolbox(task(USER, split.train.of(USER), CANDIDATES))

    @pytest.mark.parametrize("budget", [1, 2, 5])
    def test_the_budget_is_how_many_an_open_question_is_answered_for(self, small, split, task, budget):
        tools = self.toolbox(small, split, task, budget=budget)
        for name in ("item_facts", "item_cf", "user_cf", "transitions"):
            assert len(LABEL.findall(tools.call(name, {}).text)) == budget

    def test_the_operator_may_hear_of_few(self, small, split, task):
        thin = [self.toolbox(small, split, task, support=support) for support in (0, 3, 6)]
        said = [tools.call("transitions", {"candidates": list(tools.labels)}).text for tools in thin]
        assert "ewer than" not in said[0] and "Fewer than 3 " in said[1] and "Fewer than 6 " in said[2]
        fact = next(
            fact
            for at in range(10)
            if (fact := thin[0].evidence.fact("transitions", at)) is not None and fact.both < 3
        )
        assert sentence(fact, small.mentions, support=0) in said[0]

    def test_item_facts_speak_of_a_trend_where_there_is_a_clock(self, small, sequences, task):
        # 60 people took item 0 long ago; lately 20 others all took item 1.
        rows, days = [[0]] * 60 + [[1]] * 20, [[0]] * 60 + [[95]] * 20
        world = World.of(small, Graph.build(sequences(rows, days), small.n_items))
        tools = world.toolbox(task(-1, [2], [0, 1], days=[100]))
        # A quarter of all choices, and all of the recent ones.
        said = tools.call("item_facts", {"candidates": ["B"]}).text
        assert said == (
            f"‹B› 20 of 80 people took {small.mentions[1]}. 20 of the 20 choices in the 14 days before were "
            f"{small.mentions[1]}, 4.0 times its usual share."
        )
        # The popular one has no trend to speak of; shared categories are said instead.
        assert "choices" not in tools.call("item_facts", {"candidates": ["A"]}).text
        assert "‹trend=15›" in fast_task(tools)
        undated = World.of(small, Graph.build(sequences(rows), small.n_items)).toolbox(task(-1, [2], [0, 1]))
        assert "choices" not in undated.call("item_facts", {}).text and "‹trend=none›" in fast_task(undated)

    @pytest.mark.parametrize(
        ("support", "beside"), [(2, "2 of the 2 choices"), (3, "1 of the last 1 item shares")]
    )
    def test_what_is_said_beside_popularity_has_support_too(self, small, sequences, task, support, beside):
        # Two people took item 1 lately; like item 2, it is of the first topic.
        graph = Graph.build(sequences([[0]] * 60 + [[1]] * 2, [[0]] * 60 + [[95]] * 2), small.n_items)
        world = World.of(small, graph, SignalsConfig(support=support))
        said = world.toolbox(task(-1, [2], [0, 1], days=[100])).call("item_facts", {"candidates": ["B"]}).text
        assert beside in said

    def test_the_profile_says_how_the_history_was_spread_and_rated(self, world, task):
        asked = task(-1, [1, 13], CANDIDATES, days=[-3, 6], ratings=[2.0, 5.0])
        said = world.toolbox(asked).call("profile", {}).text
        assert "The last 2 items were taken within 10 days." in said
        assert "1 of the 2 rated items got more than their own mean rating." in said
