"""The tables of benchmarks/README.md are what the kept results say, and nothing else is touched."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tables
from starrec.errors import StarrecError

ROOT = Path(__file__).resolve().parent.parent.parent
EMPTY = "before\n<!-- suites -->\nx\n<!-- /suites -->\nbetween\n<!-- index -->\nx\n<!-- /index -->\nafter\n"


def system(avg_hr, **more):
    figures = dict.fromkeys(("hr@1", "hr@3", "hr@5", "ndcg@10", "mrr"), 0.5)
    counts = {"n_users": 943, "n_tasks": 2829}
    return {"avg_hr": avg_hr, "avg_hr_ci95": [avg_hr - 0.1, avg_hr + 0.1], **figures, **counts, **more}


OUTCOME = {
    "bench": {
        "suite": "small",
        "row": "shop",
        "title": "A shop | of things",
        "made_of": [
            {"row": "shop", "seed": 0, "seconds": 90.0, "commit": "1" * 40, "date": "2026-01-02"},
            {"row": "shop", "seed": 1, "seconds": 60.0, "commit": "1" * 40, "date": "2026-01-03"},
            {"row": "more", "seed": 0, "seconds": 30.0, "commit": "2" * 40, "date": "2026-01-01"},
        ],
    },
    "evaluations": [
        {
            "dataset": "tiny",
            "split": "test",
            "scenario": "classic",
            "negatives": 19,
            "seeds": [0, 1],
            "systems": {"star": system(0.7, by_seed={"0": 0.69, "1": 0.71}), "teacher": system(0.6)},
            "comparisons": [
                {
                    "a": "star", "b": "teacher", "metric": "avg_hr", "ratio": 1.1666, "ci95": [1.01, 1.3],
                    "p": 0.0123, "headline": True, "n_users": 943, "n_tasks": 2829,
                },
                {
                    "a": "teacher", "b": "star", "metric": "avg_hr", "ratio": 0.857, "ci95": [0.77, 0.99],
                    "p": 0.01, "p_corrected": 0.02, "n_users": 943, "n_tasks": 2829,
                },
            ],
        }
    ],
    "protocol": {},
    "teacher_kind": "embedded policy",
    "worked_examples": ["a text of a stranger"],
    "left_out": [],
    "environment": {"cpus": 2, "machine": "x86_64", "python": "3.11.7"},
}  # fmt: skip


def test_the_committed_tables_are_those_of_the_committed_results():
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert text == tables.fill(text, tables.kept_rows()), "write it anew with `benchmarks/tables.py`"


def test_only_what_stands_between_the_markers_is_written():
    rows = {
        "data_x": {"command": "benchmarks/data.py x", "commit": "abc", "machine": "2 cores, Python 3.11.7"},
        "policy": {
            "command": ".venv/bin/python benchmarks/policy.py a|b",
            "commit": "0123456789abcdef",
            "date": "2026-01-02",
            "environment": {"cpus": 8, "machine": "aarch64"},
            "bars": {"one": 0.25, "two": 3},
        },
    }
    filled = tables.fill(EMPTY, rows)
    assert filled.startswith(
        "before\n<!-- suites -->\nNo suite's outcome is kept yet.\n<!-- /suites -->\nbetween\n"
    )
    assert filled.endswith("<!-- /index -->\nafter\n") and "\nx\n" not in filled
    assert filled.splitlines()[8:11] == [
        "| [data_x](results/data_x.json) |  |  | `benchmarks/data.py x` |  | `abc` | 2 cores |",
        "| [policy](results/policy.json) | `one` | 0.25 | `.venv/bin/python benchmarks/policy.py a\\|b` "
        "| 2026-01-02 | `0123456789ab` | 8 × aarch64 |",
        "|  | `two` | 3 |  |  |  |  |",
    ]
    assert tables.fill(filled, rows) == filled
    with pytest.raises(StarrecError, match="<!-- index -->"):
        tables.fill(EMPTY.replace("<!-- index -->", ""), rows)


def test_a_suites_outcomes_are_kept_and_shown(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "README.md").write_text(EMPTY)
    for row, made_of in (("shop", OUTCOME["bench"]["made_of"]), ("more", OUTCOME["bench"]["made_of"][2:])):
        folder = tmp_path / "small" / row
        folder.mkdir(parents=True)
        outcome = OUTCOME | {"bench": OUTCOME["bench"] | {"row": row, "made_of": made_of}}
        (folder / "results.json").write_text(json.dumps(outcome))
    places = ["--results", str(tmp_path / "results"), "--readme", str(tmp_path / "README.md")]
    said = CliRunner().invoke(tables.app, ["keep", str(tmp_path / "small"), *places])
    assert said.exit_code == 0, said.output
    # What `more` added to `shop` stands there, and not once more.
    [path] = (tmp_path / "results").glob("*.json")
    assert path.name == "suite_small_shop.json" and "stranger" not in path.read_text()
    kept = json.loads(path.read_text())
    assert kept["bars"] == {"small_shop_minutes": 2.5, "small_more_minutes": 0.5}
    assert said.output.splitlines()[-2:] == ["bar small_shop_minutes 2.5", "bar small_more_minutes 0.5"]
    assert kept["date"] == "2026-01-03" and kept["commit"] == f"{'1' * 40} {'2' * 40}"
    shown = (tmp_path / "README.md").read_text()
    for line in (
        "### A shop \\| of things: shop",
        "`.venv/bin/starrec bench configs/suites/small.toml`; 2026-01-03, commit `111111111111`, "
        "`222222222222`, 2 × x86_64. Teacher: embedded policy.",
        "#### tiny, test, classic",
        "| `star` | 0.700 | 0.600–0.800 | 0.690, 0.710 | 0.500 | 0.500 | 0.500 | 0.500 | 943 | 2,829 |",
        "| `teacher` | 0.600 | 0.500–0.700 |  | 0.500 | 0.500 | 0.500 | 0.500 | 943 | 2,829 |",
        "| **`star` over `teacher`** (the headline) | 1.167 | 1.010–1.300 | 0.012 |  | 943 | 2,829 |",
        "| `teacher` over `star` | 0.857 | 0.770–0.990 | 0.01 | 0.02 | 943 | 2,829 |",
    ):
        assert f"\n{line}\n" in shown, line
