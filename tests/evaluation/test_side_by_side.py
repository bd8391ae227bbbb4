"""Evaluations side by side: paired by task by hand, and said where they cannot be."""

import html.parser
import re

import polars as pl
import pytest

from starrec.errors import RunError
from starrec.evaluation import save_ranks, summarise, write_results
from starrec.evaluation.side_by_side import Evaluation, compare, write_side_by_side


@pytest.fixture
def evaluated(tmp_path):
    """Writes an evaluation as a run leaves it (`outcome`: as a suite's row does); its folder."""

    def evaluated(name, *frames, outcome=False, **facts):
        ranks = pl.concat(frames)
        folder = tmp_path / name
        save_ranks(folder / ("" if outcome else "results") / "ranks.parquet", ranks)
        facts = {"data_sha256": "ab" * 32, "commit": "0123", **facts}
        results = summarise(ranks, dataset="tiny", comparisons=[], seed=0, n_resamples=100, facts=facts)
        write_results(folder / "results.json", results)
        return folder

    return evaluated


def compared(first, other):
    return compare(Evaluation.read(first, "A"), Evaluation.read(other, "B"))


def test_the_same_tasks_are_paired(evaluated, answers):
    # Common are u's draws and v's: avg_hr 1, 2/3 and 1/3 (ranks 1, 2, 4) in A, and 1/3, 2/3, 1/3 in B.
    first = evaluated("a", answers("star", {"u": [1, 2], "v": [4], "w": [1]}), answers("teacher", {"u": [1]}))
    other = evaluated("b", answers("star", {"u": [4, 2], "v": [5]}), outcome=True)
    [row], reasons = compared(first, other)
    assert (row.split, row.scenario, row.system) == ("test", "classic", "star")
    assert row.ratio == pytest.approx((1 / 3 + 2 / 3 + 1 / 3) / (1 + 2 / 3 + 1 / 3))
    # Extremes: u alone (1 over 5/3) and v alone (1/3 over 1/3).
    assert row.ci95 == pytest.approx((3 / 5, 1))
    assert (row.n_users, row.n_tasks) == (2, 3) and reasons == []


def test_seeds_of_a_system_count_as_one_answer(evaluated, answers):
    # Seeds score 1 and 1/3 on the task: 2/3, half of it in B.
    first = evaluated("a", answers("star", {"u": [1]}), answers("star", {"u": [4]}, seed=1))
    [row], _ = compared(first, evaluated("b", answers("star", {"u": [5]})))
    assert row.ratio == pytest.approx(0.5) and row.n_tasks == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"n_candidates": 19}, "test, classic: 2 of 2 common tasks had other candidates or another target."),
        ({"scenario": "user_cold_start"}, "test, classic: B has no such tasks."),
        ({"split": "validation"}, "validation, classic: A has no such tasks."),
    ],
)
def test_other_tasks_are_not_compared_and_why_is_said(evaluated, answers, options, reason):
    first = evaluated("a", answers("star", {"u": [1, 2]}))
    other = evaluated("b", answers("star", {"u": [1, 2]}, **options))
    rows, reasons = compared(first, other)
    assert rows == [] and reason in reasons
    other_users = evaluated("c", answers("star", {"x": [1, 2]}))
    assert compared(first, other_users) == ([], ["test, classic: they have no task in common."])
    other_data = evaluated("d", answers("star", {"u": [1, 2]}), data_sha256="cd" * 32)
    assert compared(first, other_data) == (
        [],
        ["Their data differ (abababababab and cdcdcdcdcdcd), so no task is the same."],
    )


def test_only_tasks_that_were_asked_alike_count(evaluated, answers):
    first = evaluated("a", answers("star", {"u": [1], "v": [1]}))
    swapped = answers("star", {"u": [4], "v": [1]}).with_columns(
        candidates=pl.when(user_id="v")
        .then(pl.col("candidates").list.eval(pl.when(pl.element() == 3).then(99).otherwise(pl.element())))
        .otherwise("candidates")
    )
    [row], [reason] = compared(first, evaluated("b", swapped))
    assert (row.n_tasks, row.ratio) == (1, pytest.approx(1 / 3))
    assert reason.startswith("test, classic: 1 of 2 common tasks had other candidates")


class _Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.words = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_needs_nothing_else_and_shows_text_as_text(evaluated, answers, hostile, tmp_path):
    first = evaluated(
        "a", answers("star", {"u": [1, 2]}), answers("teacher", {"u": [2, 3]}), teacher_kind=hostile
    )
    other = evaluated("b", answers("star", {"u": [4, 2]}), answers(hostile, {"u": [2, 3]}), outcome=True)
    third = evaluated("c", answers("star", {"x": [1, 1]}))
    path = write_side_by_side(tmp_path / "page.html", [first, other, third])
    text = path.read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    names = {tag for tag, _ in page.tags}
    assert "img" not in names and "link" not in names and not any("src" in attrs for _, attrs in page.tags)
    assert "script" not in names
    assert page.words.count(hostile) >= 2
    shown = re.sub(r"\s+", " ", " ".join(page.words))
    # avg_hr of star: (1 + 2/3) / 2 in A, (1/3 + 2/3) / 2 in B: 3/5 of it.
    assert "0.833 (" in shown and "0.500 (" in shown and "−40.0%" in shown
    assert "B over A, on the same tasks" in shown and "C over A, on the same tasks" in shown
    assert "test, classic: they have no task in common." in shown


def test_folders_that_cannot_be_put_side_by_side_are_refused(evaluated, answers, tmp_path):
    first = evaluated("a", answers("star", {"u": [1]}))
    with pytest.raises(RunError, match="two or more folders"):
        write_side_by_side(tmp_path / "page.html", [first])
    with pytest.raises(RunError, match=r"holds no results\.json"):
        write_side_by_side(tmp_path / "page.html", [first, tmp_path])
    (first / "results" / "ranks.parquet").unlink()
    with pytest.raises(RunError, match="Cannot read ranks"):
        write_side_by_side(tmp_path / "page.html", [first, first])
    assert not (tmp_path / "page.html").exists()
