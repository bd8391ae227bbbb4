"""The claim checker against the second generator, in a small world (MovieLens: `benchmarks/examination.py`)."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from claim_generator import LIES, RELATIONS, Sentence
from claim_world import small_dataset

from examination import BARS, examine, outcome, report


def _say(truth, lie=None):
    return Sentence("13 people took both.", truth, lie, "both")


def test_a_true_sentence_passes_only_if_all_of_it_is_verified():
    assert outcome(["verified", "verified"]) == "verified"
    assert outcome(["verified", "unverifiable"]) == "unverifiable"
    assert outcome(["unverifiable", "contradicted"]) == "contradicted"
    assert outcome([]) == "no claim"


def test_a_lie_without_a_claim_is_not_caught():
    found = report(
        [
            (_say(True), "verified"),
            (_say(True), "no claim"),
            (_say(False, "off_by_one"), "contradicted"),
            (_say(False, "off_by_one"), "unverifiable"),
            (_say(False, "off_by_one"), "no claim"),
            (_say(False, "own_user"), "verified"),
        ]
    )
    assert (found["true_verified"], found["false_caught"], found["false_contradicted"]) == (1 / 2, 2 / 4, 1 / 4)
    assert found["relations"] == {
        "both": {"false right": 2, "false wrong": 2, "true right": 1, "true wrong": 1}
    }
    assert found["lies"]["own_user"] == {"verified": 1}
    assert [case["said"] for case in found["failures"]["false: both, off_by_one"]] == ["no claim"]


@pytest.fixture(scope="module")
def examined():
    return examine(600, 600, seed=4, dataset=small_dataset())


def test_the_checker_verifies_what_is_true(examined):
    failures = {name: cases for name, cases in examined["failures"].items() if name.startswith("true")}
    assert examined["true_verified"] >= BARS["true_verified"], failures


def test_the_checker_catches_lies(examined):
    failures = {name: cases for name, cases in examined["failures"].items() if name.startswith("false")}
    assert examined["false_caught"] >= BARS["false_caught"], failures


def test_the_examination_is_about_everything(examined):
    assert set(examined["lies"]) == set(LIES)
    assert set(examined["relations"]) == {relation.name for relation in RELATIONS}
