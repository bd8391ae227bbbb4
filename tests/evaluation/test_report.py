"""The report is one file that loads nothing, shows the results, and treats all data as text."""

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


def written(folder, results, ranks):
    return write_report(folder / "report.html", results, ranks, run=folder / "demo")


@pytest.fixture
def report(tmp_path, results, ranks):
    path = written(tmp_path, results, ranks)
    assert path == tmp_path / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_anywhere(report):
    assert all(name not in LOADING for name, _ in report.attributes)
    # Markers of the pictures are named within the page.
    links = [value for name, value in report.attributes if name == "xlink:href"]
    assert all(link.startswith("#") for link in links)
    assert {"link", "img", "iframe", "object", "embed", "base", "form"}.isdisjoint(report.tags)
    for style in report.styles:
        assert "url(" not in style and "@import" not in style
    # Whatever a part of the page might try, the browser is told to load nothing and to run nothing.
    [policy] = [value for _, value in report.attributes if value and value.startswith("default-src")]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not report.scripts and not any(name.startswith("on") for name, _ in report.attributes)


def test_the_page_names_the_run_and_not_the_folder_that_it_lies_in(tmp_path, results, ranks):
    product = tmp_path / "evaluate" / "74375aa4386d548b"
    path = write_report(product / "report.html", results, ranks, run=tmp_path / "demo")
    text = path.read_text(encoding="utf-8")
    assert "<title>starrec: demo</title>" in text and "starrec · demo" in text and product.name not in text


def test_the_page_is_small(tmp_path, results, ranks):
    assert written(tmp_path, results, ranks).stat().st_size < 1_500_000


def test_hostile_text_is_shown_as_text(report):
    assert not report.scripts and "img" not in report.tags
    # User, history, entry, line, agent, kind, step, ranking, target: wherever the data spoke.
    shown = "\n".join(report.text)
    assert shown.count("<script>alert(1)</script>") >= 9
    assert any(name == "class" and value == "step" for name, value in report.attributes)


def test_hostile_names_of_systems_and_datasets_are_text(tmp_path, answers, hostile):
    ranks = answers(hostile, {"u": [1], "v": [2]})
    results = summarise(ranks, dataset=hostile, comparisons=[], seed=0, n_resamples=10)
    found = Page(written(tmp_path, results, ranks).read_text(encoding="utf-8"))
    assert not found.scripts and "img" not in found.tags
    # In the table, and as the name of a row of the picture.
    assert "".join(found.text).count(hostile) >= 2


def test_messages_are_shown_as_people_read_them(report):
    shown = "".join(report.text)
    assert "Asks about Fargo (1996) ‹A›." in shown and "see <i>Tag" in shown
    # Below them the steps as they were written.
    assert shown.index("see <i>Tag") < shown.index("As it was written") < shown.index("Ask about Fargo (1996).")
    assert "see <b>Tag" in shown
    assert "⟦9|" not in shown


def test_the_headline_says_gain_interval_teacher_and_tasks(report, results):
    shown = " ".join(" ".join(report.text).split())
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


def test_pictures_say_what_they_show_and_take_colours_from_the_page(report):
    labels = [value for name, value in report.attributes if name == "aria-label"]
    assert labels == [
        "Accuracy of each system with its interval",
        "Share of true items among the first k",
        "Difference of accuracy by length",
        "Accuracy against the time of a request",
        "sft: loss",
        "grpo: reward",
        "grpo: validation_avg_hr",
        "How far each signal is shifted from training",
    ]
    styles = " ".join(value for name, value in report.attributes if name == "style")
    assert "var(--accent)" in styles and "var(--teacher)" in styles and "#d55e00" not in styles


def test_no_id_stands_twice(report):
    ids = [value for name, value in report.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_controls_and_peers_are_put_into_words(tmp_path, ranks, facts, answers):
    more = pl.concat(
        [
            ranks,
            answers("mlp_evidence", {"u": [1, 1], "v": [1, 1], "w": [1, 1]}),
            answers("star_labels", {"u": [20, 3], "v": [20, 20], "w": [20, 20]}),
            answers("lenskit_als", {"u": [9, 4], "v": [20, 20], "w": [5, 20]}),
        ]
    )
    pairs = [("star", name) for name in ("teacher", "mlp_evidence", "star_labels", "lenskit_als")]
    facts |= {
        "controls": {"mlp_evidence": {"tries": 8, "broken": True}, "star_labels": {"tries": 1}},
        "peers": {"lenskit_als": {"tries": 8, "converged": False}},
    }
    results = summarise(more, dataset="tiny", comparisons=pairs, seed=0, n_resamples=200, facts=facts)
    page = Page(written(tmp_path, results, more).read_text(encoding="utf-8"))
    shown = " ".join(page.text)
    # star's values are 1, 2/3, 2/3, 1, 1, 0: 13/18 of a system that always puts the true item first.
    better = "given every number of the evidence ranks better than the student."
    assert f"{better} (star over mlp_evidence: x0.722" in shown
    assert "Trajectories raise accuracy: trained on the labels alone, the same model ranks worse." in shown
    assert "ranks better than the best peer, lenskit_als, which had not stopped improving." in shown
    assert "mlp_evidence does not reach its reference and counts as broken." in shown
    assert "The student is slower than its teacher: 12 ms a request against 4.0 ms." in shown


def test_signals_that_are_shifted_from_training_are_put_into_words(report, hostile):
    shown = "".join(report.text)
    assert "trend, live: unknown for 100% of the candidates, for 0% in training (shift 1.00)." in shown
    assert f"{hostile}, evaluated: median 0.5, in training 0.12 (shift 0.20)." in shown
    # From .2 on; what is below stands in the tables alone, with its quantiles.
    assert f"{hostile}, live:" not in shown and "trend, evaluated:" not in shown
    assert "live (250 tasks)" in shown and "trained, retrieved (256 tasks)" in shown
    for cell in ("0.25 · 0.5 · 2, 3% unknown", "0 · 0.35 · 2.9", "100% unknown", "0.19"):
        assert cell in report.text


def test_without_a_strong_shift_the_largest_is_named(tmp_path, ranks, facts):
    for of in facts["signal_distributions"]["signals"].values():
        of["evaluated"]["shift"], of["live"]["shift"] = 0.11, 0.05
    facts["signal_distributions"]["signals"]["trend"]["live"]["shift"] = 0.17
    results = summarise(ranks, dataset="tiny", comparisons=[], seed=0, n_resamples=10, facts=facts)
    text = Page(written(tmp_path, results, ranks).read_text(encoding="utf-8")).text
    assert "No signal is shifted strongly from training; most is trend (live), by 0.17." in text


def test_parts_of_the_report_show_what_the_run_recorded(report):
    shown = " ".join(report.text)
    for expected in ("users tested", "31", "Where the student wins and loses", "data.draws"):
        assert expected in shown


def test_origin_and_the_command_are_named(report):
    shown = "\n".join(report.text)
    for expected in ("ab" * 32, "0123abcd", "starrec evaluate --run demo --recompute", "polars 2.1.0"):
        assert expected in shown


def test_no_path_of_the_machine_is_told(tmp_path, results, ranks):
    document = written(tmp_path, results, ranks).read_text(encoding="utf-8")
    assert str(tmp_path) not in document


def test_ranks_alone_are_enough(tmp_path, ranks):
    results = summarise(ranks, dataset="tiny", comparisons=[], seed=0, n_resamples=10)
    found = Page(written(tmp_path, results, ranks).read_text(encoding="utf-8"))
    assert "Accuracy" in found.text
    assert {"Latency", "Training", "Worked examples", "Signals, trained and served"}.isdisjoint(found.text)


def test_other_scenarios_have_their_tables(tmp_path, ranks, answers):
    both = pl.concat([ranks, answers("star", {"u": [2]}, scenario="user_cold_start")])
    results = summarise(both, dataset="tiny", comparisons=[], seed=0, n_resamples=10)
    found = Page(written(tmp_path, results, both).read_text(encoding="utf-8"))
    assert "test, user_cold_start" in found.text


def test_scenarios_that_could_not_be_measured_are_named(tmp_path, ranks):
    facts = {
        "not_measurable": {"evolving_long": {"tasks": 17, "needed": 300}},
        "clock_note": {"note": "No claim."},
    }
    results = summarise(ranks, dataset="tiny", comparisons=[], seed=0, n_resamples=10, facts=facts)
    text = Page(written(tmp_path, results, ranks).read_text(encoding="utf-8")).text
    assert "evolving_long: 17 tasks of 300 needed; not measurable." in text and "No claim." in text


@pytest.mark.parametrize("package", ["jinja2", "matplotlib.figure"])
def test_without_its_packages_the_error_names_the_extra(tmp_path, results, ranks, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(StarrecError, match=r"pip install 'starrec\[report\]'"):
        written(tmp_path, results, ranks)
    assert not (tmp_path / "report.html").exists()
