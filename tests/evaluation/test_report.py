"""The report is one file that loads nothing, shows the results, and treats all data as text."""

import base64
import hashlib
import json
import sys
from html.parser import HTMLParser

import polars as pl
import pytest

from starrec.errors import StarrecError
from starrec.evaluation import summarise, write_report

LOADING = {"src", "href", "srcset", "poster", "data", "action", "formaction", "background", "ping"}


class Page(HTMLParser):
    """Visible text, tags, attributes, scripts and style sheets of a document."""

    def __init__(self, document):
        super().__init__()
        self.tags, self.attributes, self.text, self.scripts, self.styles = [], [], [], [], []
        self._inside = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self._inside = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self._inside == "style":
            self.styles.append(data)
        else:
            self.text.append(data)


@pytest.fixture
def report(tmp_path, results, ranks):
    path = write_report(tmp_path / "demo", results, ranks)
    assert path == tmp_path / "demo" / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_anywhere(report):
    assert LOADING.isdisjoint(name for name, _ in report.attributes)
    assert {"link", "img", "iframe", "object", "embed", "base", "form"}.isdisjoint(report.tags)
    for style in report.styles:
        assert "url(" not in style and "@import" not in style
    # Whatever the scripts might try, the browser is told to load nothing.
    [policy] = [value for _, value in report.attributes if value and value.startswith("default-src")]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert not any("http" in sources or "*" in sources for sources in rules.values())
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}


def test_only_the_pages_own_scripts_may_run(report):
    [policy] = [value for _, value in report.attributes if value and value.startswith("default-src")]
    running = [source for attributes, source in report.scripts if "type" not in attributes]
    # plotly.js and report.js, each named by its hash; no inline handlers, no eval.
    assert len(running) == 2
    for source in running:
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    [allowed] = [rule for rule in policy.split("; ") if rule.startswith("script-src")]
    assert "unsafe" not in allowed and len(allowed.split()) == 3
    assert not any(name.startswith("on") for name, _ in report.attributes)


def test_hostile_text_is_shown_as_text(report):
    assert len(report.scripts) == 3
    assert "img" not in report.tags
    # User, history, agent, kind, step, ranking, target: wherever the data spoke.
    shown = "\n".join(report.text)
    assert shown.count("<script>alert(1)</script>") >= 7
    assert any(name == "class" and value == "step" for name, value in report.attributes)


def test_hostile_names_of_systems_and_datasets_are_text(tmp_path, answers, hostile):
    ranks = answers(hostile, {"u": [1], "v": [2]})
    results = summarise(ranks, dataset=hostile, comparisons=[], seed=0, n_resamples=10)
    found = Page(write_report(tmp_path / "demo", results, ranks).read_text(encoding="utf-8"))
    assert len(found.scripts) == 3 and "img" not in found.tags
    assert hostile in "".join(found.text)
    assert "<" not in found.scripts[0][1]


def test_messages_are_shown_as_people_read_them(report):
    shown = "".join(report.text)
    assert "Ask about Fargo (1996)." in shown
    assert "see <b>Tag" in shown
    assert "⟦9|" not in shown


def test_the_headline_says_gain_interval_teacher_and_tasks(report, results):
    shown = " ".join(report.text)
    [compared] = [each for each in results["comparisons"] if each["a"] == "star"]
    # star's values: 1, 2/3, 2/3, 1, 1, 0 and the teacher's 2/3, 2/3, 1/3, 1, 2/3, 0: 13/3 over 10/3 = 1.3.
    assert compared["ratio"] == pytest.approx(1.3, abs=1e-6)
    lo, hi = compared["ci95"]
    assert "+30.0%" in shown
    assert f"95% interval {(lo - 1) * 100:+.1f}% to {(hi - 1) * 100:+.1f}%" in shown
    assert "Teacher: embedded policy, no learned weights." in shown
    assert "the same 6 tasks of 3 users" in shown


def test_what_holds_by_construction_is_said_to(report):
    shown = " ".join(report.text)
    assert "by construction: decoding is constrained" in shown
    assert "the same student, decoding unconstrained" in shown and "uncited numerals" in shown


def test_every_figure_has_its_place(report):
    [data] = [source for attributes, source in report.scripts if attributes.get("id") == "data"]
    figures = json.loads(data)
    places = {value for name, value in report.attributes if name == "id"}
    assert {"figure-accuracy", "figure-hits", "figure-latency", "figure-curve-2"} <= set(figures) <= places


def test_origin_and_the_command_are_named(report):
    shown = "\n".join(report.text)
    for expected in ("ab" * 32, "0123abcd", "starrec evaluate --run demo --recompute", "polars 2.1.0"):
        assert expected in shown


def test_no_path_of_the_machine_is_told(tmp_path, results, ranks):
    document = write_report(tmp_path / "demo", results, ranks).read_text(encoding="utf-8")
    assert str(tmp_path) not in document


def test_ranks_alone_are_enough(tmp_path, ranks):
    results = summarise(ranks, dataset="tiny", comparisons=[], seed=0, n_resamples=10)
    found = Page(write_report(tmp_path / "demo", results, ranks).read_text(encoding="utf-8"))
    assert "Accuracy" in found.text
    assert {"Latency", "Training", "Worked examples"}.isdisjoint(found.text)


def test_other_scenarios_have_their_tables(tmp_path, ranks, answers):
    both = pl.concat([ranks, answers("star", {"u": [2]}, scenario="user_cold_start")])
    results = summarise(both, dataset="tiny", comparisons=[], seed=0, n_resamples=10)
    found = Page(write_report(tmp_path / "demo", results, both).read_text(encoding="utf-8"))
    assert "test, user_cold_start" in found.text


def test_scenarios_that_could_not_be_measured_are_named(tmp_path, ranks):
    facts = {
        "not_measurable": {"evolving_long": {"tasks": 17, "needed": 300}},
        "clock_note": {"note": "No claim."},
    }
    results = summarise(ranks, dataset="tiny", comparisons=[], seed=0, n_resamples=10, facts=facts)
    text = Page(write_report(tmp_path / "demo", results, ranks).read_text(encoding="utf-8")).text
    assert "evolving_long: 17 tasks of 300 needed; not measurable." in text and "No claim." in text


def test_without_plotly_the_error_names_the_extra(tmp_path, results, ranks, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.delitem(sys.modules, "plotly.offline", raising=False)
    with pytest.raises(StarrecError, match=r"pip install 'starrec\[report\]'"):
        write_report(tmp_path / "demo", results, ranks)
    assert not (tmp_path / "demo").exists()
