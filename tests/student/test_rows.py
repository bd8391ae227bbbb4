"""A row says what its formulas say: in fast mode of the evidence, in think mode of a trace's text."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.signals import N_LEVELS, SCORED, SIGNALS, FactNumbers, labels, levels, scores_at
from starrec.signals.levels import LEVELS
from starrec.student import NUMBERS, READ, FastTasks, gather_tasks, row_numbers, scores_of_rows, withhold
from starrec.student.rows import trace_rows

EASE = READ.index("ease")
CANDIDATES = [30, 2, 13, 45, 0, 26, 7]


def alone(world, asked):
    """The rows of one task, and which candidate each is about."""
    found = gather_tasks(world, [asked])
    return found.numbers[0], found.order[0]


def scores_of(**known):
    """Scores `(len(READ), 3)` of three candidates, unknown but for those given."""
    scores = np.full((len(READ), 3), np.nan)
    for signal, values in known.items():
        scores[READ.index(signal)] = values
    return scores


def said(row, signal):
    """What a row says of a signal: unknown, logarithm, deviations, above, score."""
    of_signal = ("unknown", "logarithm", "deviations", "above", "score")
    return [float(row[NUMBERS.index(f"{signal} {what}")]) for what in of_signal]


def test_each_number_by_hand():
    found = row_numbers(scores_of(ease=[0.002, math.nan, 0.007], popularity=[0.5, 0.5, 0.5]))
    assert found.shape == (3, len(NUMBERS)) and len(NUMBERS) == 5 * len(READ) == len(set(NUMBERS))
    # 2, 0 (as unknown counts) and 7 thousandths: mean 3, variance (1 + 9 + 16) / 3.
    spread = math.sqrt(26 / 3)
    assert said(found[0], "ease") == pytest.approx([0, math.asinh(2), -1 / spread, 1 / 3, 0.002])
    assert said(found[1], "ease") == pytest.approx([1, 0, -3 / spread, 2 / 3, 0])
    assert said(found[2], "ease") == pytest.approx([0, math.asinh(7), 4 / spread, 0, 0.007])
    for row in found:
        # Where all score alike nobody stands out, and nobody stands above.
        assert said(row, "popularity") == pytest.approx([0, math.asinh(500), 0, 0, 0.5])
        assert said(row, "transitions") == [1, 0, 0, 0, 0]


def test_the_scores_of_rows_are_those_that_made_them():
    scores = scores_of(ease=[0.002, math.nan, -0.007], popularity=[0.5, 0.0, 12.0])
    np.testing.assert_allclose(scores_of_rows(row_numbers(scores)), scores, rtol=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_no_bit_of_a_row_depends_on_the_order_of_candidates(seed, n):
    random = np.random.default_rng(seed)
    scores = random.lognormal(-3, 2, (len(READ), n)).round(random.integers(1, 6))
    scores[random.random(scores.shape) < 0.2] = np.nan
    order = random.permutation(n)
    found = row_numbers(scores)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(row_numbers(scores[:, order].copy()), found[order])


def test_what_is_withheld_is_as_if_nobody_knew_it():
    random = np.random.default_rng(0)
    scores = random.random((4, len(READ), 5))
    withheld = random.random((4, len(READ))) < 0.3
    withheld[0] = False
    unknown = np.where(withheld[:, :, None], np.nan, scores)
    rows, expected = (np.stack(list(map(row_numbers, each))) for each in (scores, unknown))
    np.testing.assert_array_equal(withhold(rows, withheld), expected)
    assert withheld[1:].any() and not np.array_equal(rows, expected)


def test_fast_mode_reads_the_evidence(world, task):
    for history in (list(range(20, 44)), [5, 17], []):
        asked = task(-1, history, CANDIDATES)
        scores = world.toolbox(asked).evidence.scores
        numbers, order = alone(world, asked)
        assert sorted(order.tolist()) == list(range(7))
        for row, column in zip(numbers, order.tolist(), strict=True):
            for at, signal in enumerate(SCORED):
                unknown, logarithm, _, above, score = said(row, signal)
                own = 0.0 if np.isnan(scores[at, column]) else scores[at, column]
                assert unknown == np.isnan(scores[at, column])
                assert logarithm == pytest.approx(math.asinh(1000 * own), rel=1e-6)
                assert score == pytest.approx(own, rel=1e-6)
                assert above == pytest.approx(np.mean(np.nan_to_num(scores[at]) > own))
            # Fast mode cannot have asked itself.
            assert said(row, "star") == [1, 0, 0, 0, 0]


def test_rows_stand_in_an_order_of_their_items(world, task):
    one, two = (alone(world, task(3, [1, 14], given)) for given in (CANDIDATES, CANDIDATES[::-1]))
    np.testing.assert_array_equal(one[0], two[0])
    assert [CANDIDATES[at] for at in one[1]] == [CANDIDATES[::-1][at] for at in two[1]]
    assert [CANDIDATES[at] for at in one[1]] not in (CANDIDATES, sorted(CANDIDATES))


COMPARED = (
    "⟦i1|Heat. ‹B› 15⟧‹popularity=3›‹ease=none›‹transitions=15›‹A›"
    "⟦i2|Title 2⟧‹popularity=0›‹ease=2›‹transitions=1›‹B›"
    "⟦i3|Title 3⟧‹popularity=3›‹ease=1›‹transitions=none›‹C›"
)
SHOWN = {"‹A›": (3, -1, 15), "‹B›": (0, 2, 1), "‹C›": (3, 1, -1)}


def read(level, signal):
    """The score that a level stands for: 0, the geometric middle between two cuts, or the last cut."""
    cuts = LEVELS[signal]
    if level == -1:
        return math.nan
    return 0.0 if level == 0 else cuts[14] if level == 15 else math.sqrt(cuts[level - 1] * cuts[level])


@pytest.mark.parametrize("order", [("‹A›", "‹B›", "‹C›"), ("‹C›", "‹A›", "‹B›")])
def test_think_mode_reads_what_compare_answered(order):
    found = trace_rows([("profile", "#1 What it says of A."), ("compare", COMPARED)], order)
    expected = scores_of(
        popularity=[read(SHOWN[label][0], "popularity") for label in order],
        ease=[read(SHOWN[label][1], "ease") for label in order],
        transitions=[read(SHOWN[label][2], "transitions") for label in order],
    )
    np.testing.assert_array_equal(found, row_numbers(expected))


def test_an_edited_level_changes_the_row_and_the_last_answer_counts():
    edited = COMPARED.replace("‹ease=1›", "‹ease=12›")
    before, after = (trace_rows([("compare", text)], labels(3)) for text in (COMPARED, edited))
    assert said(after[2], "ease")[1] == pytest.approx(math.asinh(1000 * read(12, "ease")), rel=1e-6)
    # B stood above C before, and C above B now; of other signals nothing changed.
    assert (said(before[1], "ease")[3], said(before[2], "ease")[3]) == (0, pytest.approx(1 / 3))
    assert (said(after[1], "ease")[3], said(after[2], "ease")[3]) == (pytest.approx(1 / 3), 0)
    other = [at for at, name in enumerate(NUMBERS) if not name.startswith("ease ")]
    np.testing.assert_array_equal(before[:, other], after[:, other])
    np.testing.assert_array_equal(trace_rows([("compare", COMPARED), ("compare", edited)], labels(3)), after)


def test_think_mode_reads_the_fast_order():
    # Three candidates, B first, then A, then C: 1, 2/3 and 1/3. Among equals, in the order in which they stand.
    for text in ("star ‹B›‹A›‹C›.", "star ‹B›=‹A›‹C›."):
        found = trace_rows([("fast_order", text)], labels(3))
        np.testing.assert_allclose(found, row_numbers(scores_of(star=[2 / 3, 1, 1 / 3])), atol=1e-6)
        assert [said(row, "star")[1] for row in found] == pytest.approx(
            [math.asinh(1000 * share) for share in (2 / 3, 1, 1 / 3)], rel=1e-6
        )
    assert not np.array_equal(found, trace_rows([("fast_order", "star ‹C›‹A›‹B›.")], labels(3)))


@pytest.mark.parametrize(
    "answers", [[], [("compare", "Nothing is known.")], [("compare", "")], [("fast_order", "star ‹Z›.")]]
)
def test_what_a_trace_does_not_say_is_unknown(answers):
    found = trace_rows(answers, labels(3))
    np.testing.assert_array_equal(found, row_numbers(scores_of()))
    # Labels of no candidate are passed over.
    strange = trace_rows([("compare", COMPARED.replace("‹B›⟦", "‹Z›⟦"))], labels(3))
    assert said(strange[1], "ease") == [
        1,
        0,
        pytest.approx(said(strange[1], "ease")[2]),
        pytest.approx(1 / 3),
        0,
    ]


def test_levels_of_the_worlds_own_compare_are_those_of_its_evidence(world, lessons):
    for asked in lessons[0][:10]:
        toolbox = world.toolbox(asked)
        found = trace_rows([("compare", toolbox.call("compare", {}, FactNumbers()))], toolbox.labels)
        scores = np.full((len(READ), len(asked.candidates)), np.nan)
        scores[: len(SIGNALS)] = scores_at(toolbox.evidence.levels)
        np.testing.assert_array_equal(found, row_numbers(scores))
        np.testing.assert_array_equal(levels(scores[: len(SIGNALS)]), toolbox.evidence.levels)


@pytest.fixture
def mixed(world, task):
    """Three tasks of 2, 7 and 4 candidates, and the batch of them."""
    tasks = [task(at, [at], CANDIDATES[:size]) for at, size in enumerate((2, 7, 4))]
    return tasks, gather_tasks(world, tasks)


def test_tasks_of_several_sizes_stand_in_one_batch(world, mixed):
    tasks, batch = mixed
    assert len(batch) == 3 and batch.numbers.shape == (3, 7, len(NUMBERS))
    assert batch.present.sum(axis=1).tolist() == [2, 7, 4]
    for row, asked in enumerate(tasks):
        size = len(asked.candidates)
        numbers, order = alone(world, asked)
        np.testing.assert_array_equal(batch.numbers[row, :size], numbers)
        assert batch.order[row].tolist() == order.tolist() + [-1] * (7 - size)
        assert not batch.numbers[row, size:].any()


def test_many_tasks_have_the_rows_that_they_have_alone(world, mixed):
    tasks, batch = mixed
    many = gather_tasks(world, tasks * 100, threads=2)
    np.testing.assert_array_equal(many.numbers, np.tile(batch.numbers, (100, 1, 1)))
    np.testing.assert_array_equal(many.order, np.tile(batch.order, (100, 1)))


def test_tasks_are_chosen_and_joined_by_row(mixed):
    _, batch = mixed
    joined = FastTasks.concatenate([batch[np.array([2, 1])], batch[np.array([0])]])
    np.testing.assert_array_equal(joined.numbers, batch.numbers[[2, 1, 0]])
    np.testing.assert_array_equal(joined.order, batch.order[[2, 1, 0]])


def test_rows_and_columns_translate_into_each_other(mixed):
    tasks, batch = mixed
    scores = np.arange(21, dtype=np.float32).reshape(3, 7)
    given = batch.as_given(scores)
    assert [len(each) for each in given] == [2, 7, 4]
    for column in (0, 1):
        rows = batch.rows_of(np.full(3, column))
        assert [scores[at, row] for at, row in enumerate(rows)] == [each[column] for each in given]
        assert [batch.order[at, row] for at, row in enumerate(rows)] == [column] * 3
    many = batch[np.array([1])].rows_of(np.array([[6, 0, 3]]))
    assert [batch.order[1, row] for row in many[0]] == [6, 0, 3]
    assert len(tasks) == 3


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_level_has_its_score(signal):
    given = np.full((len(SIGNALS), N_LEVELS + 1), -1, dtype=np.int8)
    given[SIGNALS.index(signal)] = np.arange(-1, N_LEVELS)
    found = scores_at(given)
    np.testing.assert_array_equal(levels(found), given)
    own = found[SIGNALS.index(signal)]
    assert np.isnan(own[0]) and own[1] == 0 and (np.diff(own[1:]) > 0).all()
    assert own[2:].tolist() == pytest.approx([read(level, signal) for level in range(1, N_LEVELS)])
