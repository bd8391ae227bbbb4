"""Tools answer what they were asked, in words that can be checked, and refuse what they cannot answer."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.data import mention
from starrec.signals import SIGNALS, FactNumbers, Graph, SignalsConfig, sentence
from starrec.tools import TOOLS, ToolError, World, read_levels, read_orders, think_task

CANDIDATES = [30, 2, 13, 45, 0, 26, 7, 12, 37, 18]
LABEL = re.compile("‹[A-Z]+›")
# A label, then what is stated of it: facts under their numbers, or that there are none.
STATED = re.compile(r"(‹[A-Z]+›) ((?:#\d+ )?(?:⟦[^⟦⟧]*⟧|[^‹⟦])+)")
USER = 3
COLD = [[], [47, 46, 45]]


@pytest.fixture(scope="session")
def toolbox(world, split, task):
    def toolbox(user=USER, history=None, candidates=CANDIDATES):
        if history is None:
            history = split.train.of(user)
        return world.toolbox(task(user, history, candidates))

    return toolbox


def ask(tools, name, facts=None, **arguments):
    """A tool's answer, in a trace that has these facts so far."""
    return tools.call(name, arguments, FactNumbers() if facts is None else facts)


def statements(answer):
    """What an answer states of single candidates, in its order: label and text of each."""
    return [(label, text.strip()) for label, text in STATED.findall(answer)]


def spoken_of(answer):
    return [label for label, _ in statements(answer)]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        (
            "item_dog",
            {},
            f"no tool 'item_dog'.*{', '.join(TOOLS)}",
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
        ask(toolbox(), name, **arguments)


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
        assert toolbox().call(name, arguments, FactNumbers())
    except ToolError as error:
        assert str(error)


def test_schemas_name_exactly_the_arguments_that_are_taken(toolbox):
    examples = {"window": "whole", "candidates": ["A"]}
    for name, spec in TOOLS.items():
        assert spec.parameters["additionalProperties"] is False
        for argument, value in examples.items():
            if argument in spec.parameters["properties"]:
                assert ask(toolbox(), name, **{argument: value})
            else:
                with pytest.raises(ToolError):
                    ask(toolbox(), name, **{argument: value})


SPEAKING = [name for name, spec in TOOLS.items() if spec.candidates and name != "contrary"]


@pytest.mark.parametrize("name", SPEAKING)
def test_an_answer_speaks_of_the_asked_labels_only_and_in_their_order(toolbox, name):
    bare, marked = (ask(toolbox(), name, candidates=asked) for asked in (["D", "B"], ["‹D›", "‹B›"]))
    assert bare == marked
    assert spoken_of(bare) == ["‹D›", "‹B›"]
    assert {label for order in read_orders(bare) for group in order.groups for label in group} <= {"‹B›", "‹D›"}
    assert spoken_of(ask(toolbox(), name, candidates="D")) == ["‹D›"]


@pytest.mark.parametrize("name", SPEAKING)
@pytest.mark.parametrize("window", ["recent", "whole"])
def test_orders_are_those_of_the_signals(toolbox, name, window):
    """All candidates with evidence, by score; equal ones in one group."""
    tools = toolbox()
    windows = {"window": window} if TOOLS[name].windows else {}
    orders = read_orders(ask(tools, name, **windows))
    if windows:
        assert [order.signal for order in orders] == [f"{name}.{window}"]
    elif name in SIGNALS:
        assert [order.signal for order in orders] == [name]
    assert orders
    for signal, groups in orders:
        scores = dict(zip(tools.labels, tools.evidence.scores[SIGNALS.index(signal)], strict=True))
        of_groups = [{scores[label] for label in group} for group in groups]
        assert all(len(equal) == 1 for equal in of_groups)
        falling = [next(iter(equal)) for equal in of_groups]
        assert falling == sorted({score for score in scores.values() if score > 0}, reverse=True)
        assert sum(map(len, groups)) == sum(score > 0 for score in scores.values())


def test_contrary_speaks_of_those_that_something_speaks_against(toolbox, world):
    tools = toolbox()
    found = {tools.labels[at]: tools.evidence.contrary(at) for at in range(len(CANDIDATES))}
    against = {label: fact for label, fact in found.items() if fact is not None}
    assert 1 < len(against) < len(CANDIDATES)
    # The surest first, wherever it stands among those asked about; of whom nothing is to be said, nothing is.
    surest = sorted(against, key=lambda label: against[label].significance)
    quiet = sorted(set(tools.labels) - set(against))
    answer = ask(tools, "contrary", candidates=[*reversed(surest), *quiet])
    assert statements(answer) == [
        (label, f"#{number} {world.sentence(against[label])}") for number, label in enumerate(surest, start=1)
    ]
    [order] = read_orders(answer)
    assert order.signal == "contrary" and [label for group in order.groups for label in group] == surest
    assert ask(tools, "contrary", candidates=quiet) == "Nothing speaks against them."


def test_an_open_question_about_what_speaks_against_is_answered_for_the_surest(world, split, task):
    tools = world.toolbox(task(2, split.train.of(2), CANDIDATES))
    against = [(at, fact) for at in range(10) if (fact := tools.evidence.contrary(at)) is not None]
    assert len(against) > world.config.budget
    surest = sorted(against, key=lambda pair: pair[1].significance)
    answer = ask(tools, "contrary")
    assert statements(answer) == [
        (tools.labels[at], f"#{number} {world.sentence(fact)}")
        for number, (at, fact) in enumerate(surest[: world.config.budget], start=1)
    ]
    # The order has them all.
    [order] = read_orders(answer)
    assert [label for group in order.groups for label in group] == [tools.labels[at] for at, _ in surest]


@pytest.mark.parametrize("name", ["item_cf", "user_cf"])
def test_an_open_question_is_answered_for_the_strongest(toolbox, world, name):
    tools = toolbox()
    answer = ask(tools, name, window="whole")
    strongest = np.argsort(-tools.evidence.scores[SIGNALS.index(f"{name}.whole")])[: world.config.budget]
    assert spoken_of(answer) == [tools.labels[at] for at in strongest]
    assert ask(tools, name) == ask(tools, name, window="recent") != answer


class TestNumberedFacts:
    def test_every_statement_is_a_fact_of_the_candidate_under_its_number(self, toolbox, world):
        tools = toolbox()
        for name in SPEAKING:
            facts = FactNumbers()
            answer = ask(tools, name, facts, candidates=list(tools.labels[:5]))
            numbered = 0
            for label, text in statements(answer):
                if text == "Nothing is known.":
                    continue
                numbered += 1
                number, words = text.removeprefix("#").split(" ", 1)
                fact = facts.get(int(number))
                assert words == world.sentence(fact)
                assert fact.subject == CANDIDATES[tools.labels.index(label)]
                assert fact in [tools.evidence.fact(signal, tools.labels.index(label)) for signal in SIGNALS]
            assert numbered == len(facts) >= 2

    def test_an_answer_is_orders_and_statements_and_nothing_else(self, toolbox):
        tools = toolbox()
        for name in SPEAKING:
            answer = ask(tools, name, candidates=list(tools.labels[:5]))
            signals = [order.signal for order in read_orders(answer)]
            # Facts without a label would be taken for those of the last one.
            rest = STATED.sub("", answer)
            for signal in signals:
                rest = re.sub(rf"{re.escape(signal)} [‹›=A-Z]+\. ?", "", rest)
            assert rest.strip() == ""

    def test_the_profile_numbers_what_it_states_of_the_history(self, toolbox, world):
        tools, facts = toolbox(), FactNumbers()
        profile = tools.evidence.profile
        assert len(profile) > 2
        assert ask(tools, "profile", facts) == " ".join(
            f"#{number} {world.sentence(fact)}" for number, fact in enumerate(profile, start=1)
        )
        assert tuple(facts) == profile

    def test_numbers_go_on_through_a_trace_and_a_fact_keeps_its_own(self, toolbox):
        tools, facts = toolbox(), FactNumbers()
        first = ask(tools, "ease", facts)
        n = len(facts)
        second = ask(tools, "transitions", facts)
        assert n >= 2 and len(facts) > n
        assert [text.split(" ")[0] for _, text in [*statements(first), *statements(second)]] == [
            f"#{number}" for number in range(1, len(facts) + 1)
        ]
        # Asked again, nothing is new; asked otherwise, the same facts have the same numbers.
        known = len(facts)
        assert ask(tools, "ease", facts) == first and len(facts) == known
        [(label, text)] = statements(ask(tools, "ease", facts, candidates=spoken_of(first)[-1]))
        assert (label, text) == statements(first)[-1] and len(facts) == known

    def test_another_trace_numbers_its_facts_anew(self, toolbox):
        tools, facts = toolbox(), FactNumbers()
        ask(tools, "transitions", facts)
        assert ask(tools, "ease", facts) != ask(tools, "ease")
        assert re.sub(r"#\d+", "#", ask(tools, "ease", facts)) == re.sub(r"#\d+", "#", ask(tools, "ease"))

    def test_compare_states_no_fact(self, toolbox):
        facts = FactNumbers()
        assert "#" not in LABEL.sub("", re.sub("⟦[^⟧]*⟧", "", ask(toolbox(), "compare", facts)))
        assert len(facts) == 0


def test_compare_has_a_row_for_each_candidate_and_a_level_for_each_signal(toolbox, small):
    tools = toolbox()
    rows = tools.rows()
    assert ask(tools, "compare") == "".join(rows)
    assert list(read_levels(ask(tools, "compare"))) == list(tools.labels)
    for at, item in enumerate(CANDIDATES):
        levels = tools.evidence.levels[:, at].tolist()
        expected = "".join(f"‹{s}={v if v >= 0 else 'none'}›" for s, v in zip(SIGNALS, levels, strict=True))
        assert rows[at] == mention(f"i{item}", small.titles[item]) + expected + f"‹{chr(65 + at)}›"


@pytest.mark.parametrize("history", COLD)
@pytest.mark.parametrize("user", [-1, USER])
def test_a_cold_user_gets_answers_everywhere(toolbox, user, history):
    tools = toolbox(user, history)
    for name in TOOLS:
        assert ask(tools, name)
    if not history:
        assert ask(tools, "profile").startswith("There is no history yet")
        assert ask(tools, "item_cf").startswith("There is no history yet")
        assert ask(tools, "item_cf", candidates=["B"]) == "‹B› Nothing is known."
        rows = ask(tools, "compare")
        assert "‹item_cf.recent=none›" in rows and "‹popularity=none›" not in rows
    assert think_task(tools).startswith("History: ⟦" if history else "History:  Candidates: ‹A›")


def test_silence_says_why(small, sequences, task):
    # Two people took items 0 and 1, nobody anything after them, and nobody item 2.
    world = World.of(small.catalogue, Graph.build(sequences([[0, 1], [0, 1]]), small.n_items))
    alone, shared = (world.toolbox(task(-1, history, [3, 4])) for history in ([2], [1]))
    assert ask(alone, "item_cf").startswith("This history stands alone so far")
    assert ask(alone, "transitions").startswith("This history stands alone so far")
    assert ask(shared, "transitions") == "Nothing is known."


def test_prompts_show_the_latest_items_and_all_candidates(toolbox, small):
    history = list(range(20, 40))
    tools = toolbox(-1, history, [1, 3])
    latest = "".join(mention(f"i{item}", small.titles[item]) for item in range(24, 40))
    first, second = (mention(f"i{item}", small.titles[item]) for item in (1, 3))
    # Those before them, 20 to 23, are remembered by their strongest taste.
    earlier = "Earlier: 80s &#124; 90s."
    assert think_task(tools) == f"{earlier} History: {latest} Candidates: ‹A›{first}‹B›{second}"


def test_titles_cannot_become_structure(toolbox):
    for text in (think_task(toolbox()), ask(toolbox(), "compare")):
        assert "<" not in text and ">" not in text
    assert LABEL.findall(think_task(toolbox())) == list(toolbox().labels)


def test_labels_go_on_after_z(toolbox):
    tools = toolbox(candidates=list(range(28)))
    assert tools.labels[25:] == ("‹Z›", "‹AA›", "‹AB›")
    assert spoken_of(ask(tools, "item_facts", candidates=["AB"])) == ["‹AB›"]
    with pytest.raises(ToolError, match="labels go from A to AB"):
        ask(tools, "item_facts", candidates=["AC"])


def test_permuting_candidates_permutes_rows_and_answers(toolbox):
    # Few people behind the evidence, so that many candidates are equal and ties are put to the test.
    for seed in range(20):
        random = np.random.default_rng(seed)
        order = random.permutation(len(CANDIDATES))
        history = random.permutation(48)[:3]
        plain = toolbox(-1, history)
        permuted = toolbox(-1, history, [CANDIDATES[at] for at in order])
        unlabelled = [LABEL.sub("", row) for row in plain.rows()]
        assert [LABEL.sub("", row) for row in permuted.rows()] == [unlabelled[at] for at in order]
        new_name = {plain.labels[at]: permuted.labels[to] for to, at in enumerate(order)}
        for name in (*SPEAKING, "contrary"):
            answer = ask(plain, name)
            renamed = LABEL.sub(lambda found, new=new_name: new[found.group()], answer)
            assert ask(permuted, name) == renamed
        asked = [plain.labels[at] for at in random.permutation(len(CANDIDATES))[:4]]
        for name in SPEAKING:
            answer = ask(plain, name, candidates=asked)
            renamed = LABEL.sub(lambda found, new=new_name: new[found.group()], answer)
            assert ask(permuted, name, candidates=[new_name[label] for label in asked]) == renamed


def test_of_equal_candidates_the_same_are_spoken_of_wherever_they_stand(world, toolbox):
    equal = np.flatnonzero(world.graph.counts.popularity == 5).tolist()
    assert len(equal) > world.config.budget + 1
    asked = (equal, equal[::-1], equal[2:] + equal[:2])
    said = {LABEL.sub("", ask(toolbox(-1, [], candidates), "item_facts")) for candidates in asked}
    assert len(said) == 1 and said != {"Nothing is known."}
    [order] = [
        found for found in read_orders(ask(toolbox(-1, [], equal), "item_facts")) if len(found.groups) == 1
    ]
    assert order.signal == "popularity" and len(order.groups[0]) == len(equal)


class TestConfiguredWorld:
    """What is said depends on settings, and on what the data knows."""

    def toolbox(self, small, split, task, **settings):
        config = SignalsConfig(**settings)
        world = World.of(small.catalogue, Graph.build(split.train, small.n_items), config)
        return world.toolbox(task(USER, split.train.of(USER), CANDIDATES))

    @pytest.mark.parametrize("budget", [1, 2, 5])
    def test_the_budget_is_how_many_an_open_question_is_answered_for(self, small, split, task, budget):
        tools = self.toolbox(small, split, task, budget=budget)
        for name in ("item_facts", "item_cf", "user_cf", "transitions"):
            assert len(statements(ask(tools, name))) == budget

    def test_what_few_did_is_stated_to_the_operator_only(self, small, split, task):
        for_all, operator = (self.toolbox(small, split, task, support=support) for support in (3, 0))
        followed = {label: for_all.evidence.fact("transitions", at) for at, label in enumerate(for_all.labels)}
        few = [label for label, fact in followed.items() if fact is not None and fact.both < 3][:5]
        assert few
        sentences = [sentence(followed[label], small.mentions, support=0) for label in few]
        assert [said for _, said in statements(ask(for_all, "transitions", candidates=few))] == [
            "Nothing is known."
        ] * len(few)
        assert [said for _, said in statements(ask(operator, "transitions", candidates=few))] == [
            f"#{number} {text}" for number, text in enumerate(sentences, start=1)
        ]

    def test_item_facts_speak_of_a_trend_where_there_is_a_clock(self, small, sequences, task):
        # 60 people took item 0 long ago; lately 20 others all took item 1.
        rows, days = [[0]] * 60 + [[1]] * 20, [[0]] * 60 + [[95]] * 20
        world = World.of(small.catalogue, Graph.build(sequences(rows, days), small.n_items))
        tools = world.toolbox(task(-1, [2], [0, 1], days=[100]))
        # A quarter of all choices, and all of the recent ones: that tells more than 20 of 80 people.
        [(label, said)] = statements(ask(tools, "item_facts", candidates=["B"]))
        assert (label, said) == (
            "‹B›",
            f"#1 20 of the 20 choices in the 14 days before were {small.mentions[1]}, "
            "4.0 times its usual share.",
        )
        # The popular one has no trend to speak of.
        [(label, said)] = statements(ask(tools, "item_facts", candidates=["A"]))
        assert (label, said) == ("‹A›", f"#1 60 of 80 people took {small.mentions[0]}.")
        assert [order[:1] + order.groups[0] for order in read_orders(ask(tools, "item_facts"))][:2] == [
            ("popularity", "‹A›"),
            ("trend", "‹B›"),
        ]
        assert "‹trend=15›" in ask(tools, "compare")
        undated = World.of(small.catalogue, Graph.build(sequences(rows), small.n_items)).toolbox(
            task(-1, [2], [0, 1])
        )
        assert "choices" not in ask(undated, "item_facts") and "‹trend=none›" in ask(undated, "compare")

    @pytest.mark.parametrize("support", [2, 3])
    def test_what_too_few_people_did_is_not_stated(self, small, sequences, task, support):
        # Two people took item 1, lately.
        graph = Graph.build(sequences([[0]] * 60 + [[1]] * 2, [[0]] * 60 + [[95]] * 2), small.n_items)
        world = World.of(small.catalogue, graph, SignalsConfig(support=support))
        said = ask(world.toolbox(task(-1, [2], [0, 1], days=[100])), "item_facts", candidates=["B"])
        assert ("2 of the 2 choices" in said) == ("choices" in said) == (support == 2)
        assert "people took" not in said

    def test_the_profile_says_how_the_history_was_spread_and_rated(self, world, task):
        asked = task(-1, [1, 13], CANDIDATES, days=[-3, 6], ratings=[2.0, 5.0])
        said = ask(world.toolbox(asked), "profile")
        assert "The last 2 items were taken within 10 days." in said
        assert "1 of the 2 rated items got more than their own mean rating." in said
