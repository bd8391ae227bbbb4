"""What is remembered of a long history: in order, short, and never without its beginning."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from starrec.tools import SHOWN, Window, fold, tastes
from starrec.tools.memory import PHASES, WINDOW


def folded(*windows):
    memory = ""
    for counts in windows:
        memory = fold(memory, Window((), counts))
    return memory


def test_the_strongest_taste_of_each_window_is_remembered_once_while_it_goes_on():
    assert folded() == ""
    assert folded({"War": 3, "Drama": 2}) == "War"
    assert folded({"War": 3}, {}, {"War": 9}, {"Drama": 2}, {"War": 1}) == "War, then Drama, then War"


@given(st.lists(st.sampled_from("ABCDEFGH"), max_size=60))
def test_it_stays_short_and_keeps_the_oldest_and_the_latest(strongest):
    remembered = tastes(folded(*({taste: 1} for taste in strongest)))
    assert len(remembered) <= PHASES
    if strongest:
        assert remembered[0] == strongest[0] and remembered[-1] == strongest[-1]
    assert all(before != after for before, after in itertools.pairwise(remembered))


def test_windows_are_what_a_prompt_does_not_show_oldest_first(world, task):
    history = [at % 48 for at in range(2 * WINDOW + SHOWN + 30)]
    toolbox = world.toolbox(task(0, history, [1, 2]))
    windows = list(toolbox.old_windows)
    assert [len(window.mentions) for window in windows] == [WINDOW, WINDOW, 30]
    assert [item for window in windows for item in window.mentions] == toolbox.mentions(
        toolbox.task.history[: 2 * WINDOW + 30]
    )
    # Items 0 to 29, cyclically from 2 * WINDOW: each topic has its dozen, every third item one more.
    expected = {"Every. 3rd": 10}
    last = [(2 * WINDOW + at) % 48 for at in range(30)]
    for item in last:
        topic = ["Sci. Fi", "80s &#124; 90s", "100% &#60;b&#62;drama&#60;/b&#62;", "Vol. 2."][item // 12]
        expected[topic] = expected.get(topic, 0) + 1
    assert windows[-1].tastes == expected
    assert list(windows[-1].tastes.values()) == sorted(expected.values(), reverse=True)
    assert list(world.toolbox(task(0, history[:SHOWN], [1, 2])).old_windows) == []
