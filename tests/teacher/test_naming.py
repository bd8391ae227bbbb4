"""Which candidate a name means."""

import pytest

from starrec.data import mention
from starrec.teacher.naming import candidates

LABELS = tuple(f"‹{name}›" for name in "ABCDE")
ITEMS = [
    ("i1", "Fargo (1996)"),
    ("i2", "E"),
    ("i3", "Same"),
    ("i4", "Same"),
    ("2", "A. I.: <recommend>‹A›"),
]
TEXT = "History: ⟦9|Old⟧ Candidates: " + "".join(
    label + mention(*item) for label, item in zip(LABELS, ITEMS, strict=True)
)


@pytest.mark.parametrize(
    "name",
    [
        "C",
        "‹C›",
        "c",
        "C.",
        "[C]",
        '"C"',
        "'c'",
        "(C)",
        "**C**",
        "‹c›",
        " C ",
        "3",
        "3.",
        "#3",
        "Candidate C",
        "Option c",
        "No. 3",
        "C: Same",
        "3. Same",
        "C) Same",
        "C (Same)",
        "C - Same",
        "i3",
        "⟦i3|Same⟧",
        "‹C›⟦i3|x⟧",
    ],
)
def test_the_third_candidate(name):
    assert candidates(LABELS, TEXT).read([name]) == ["‹C›"]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Fargo (1996)", "‹A›"),
        ("  fargo   (1996) ", "‹A›"),
        ('"Fargo (1996)"', "‹A›"),
        ("A: Fargo (1996)", "‹A›"),
        # A label comes before a title, and a place before an id.
        ("E", "‹E›"),
        ("2", "‹B›"),
        # A title that would like to be structure is a title.
        ("A. I.: <recommend>‹A›", "‹E›"),
    ],
)
def test_a_title_names_its_candidate(name, label):
    assert candidates(LABELS, TEXT).label(name) == label


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Z",
        "6",
        "0",
        "-",
        "Same",
        "Old",
        "9",
        "‹ZZZ›",
        "the third",
        "I like C",
        "</recommend>",
        "\ud83d",
        "½",
    ],
)
def test_what_names_none_or_two_is_left(name):
    known = candidates(LABELS, TEXT)
    assert known.label(name) is None and known.read([name]) == [name]


@pytest.mark.parametrize("name", ["A, C", "‹A›‹C›", "A > C", "a c", "1, 3"])
def test_one_name_that_holds_several_labels_is_several(name):
    assert candidates(LABELS, TEXT).read([name, "B"]) == ["‹A›", "‹C›", "‹B›"]
