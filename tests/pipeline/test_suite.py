"""What a suite's rows are made of: layers of settings, paths of data, seeds; and the project's own suites."""

import tomllib
from pathlib import Path

import pytest

from starrec.config import load_toml
from starrec.pipeline import load_suite
from starrec.pipeline.suite import SuiteConfig

SUITES = Path(__file__).resolve().parent.parent.parent / "configs" / "suites"

SUITE = """
title = "x"
[datasets.games]
source = "somewhere"
[[rows]]
name = "a"
config = "base.toml"
seeds = [3, 5]
overrides.data.draws = 2
overrides.evaluation.tie_seeds = 2
further_seeds.evaluation.tie_seeds = 1
[[rows]]
name = "b"
config = "base.toml"
needs = "games"
overrides.data = { source = "tables", interactions = "log.csv", items = "/elsewhere/items.csv" }
"""


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "base.toml").write_text("[data]\ndraws = 5\nnegatives = 9\nlocal = 'ml'\n")
    (tmp_path / "suite.toml").write_text(SUITE)
    return tmp_path / "suite.toml"


def test_overrides_lie_over_the_base_and_further_seeds_over_both(suite):
    row = load_suite(suite).row("a")
    first, second = row.configs
    assert [config.student.seed for config in row.configs] == [3, 5]
    assert (first.data.draws, first.data.negatives) == (second.data.draws, second.data.negatives) == (2, 9)
    assert (first.evaluation.tie_seeds, second.evaluation.tie_seeds) == (2, 1)
    assert first.evaluation.think_users == 300  # the default
    assert row.missing is None


def test_paths_are_of_the_dataset_that_a_row_needs(suite, monkeypatch):
    monkeypatch.setenv("STARREC_DATA", str(suite.parent / "data"))
    missing = load_suite(suite).row("b")
    assert "STARREC_DATA" in missing.missing and "somewhere" in missing.missing
    (suite.parent / "data" / "games").mkdir(parents=True)
    row = load_suite(suite).row("b")
    assert row.missing is None
    data = row.configs[0].data
    assert data.interactions == suite.parent / "data" / "games" / "log.csv"
    assert data.items == Path("/elsewhere/items.csv")
    # What the base names is found as `starrec run --config` finds it.
    assert data.local == Path("ml")


def test_paths_are_relative_to_the_suite_where_nothing_is_needed(suite):
    suite.write_text(SUITE.replace('needs = "games"\n', ""))
    assert load_suite(suite).row("b").configs[0].data.interactions == suite.parent / "log.csv"


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_projects_suites_are_well_formed(path):
    """Structure alone; `test_the_smallest_suite_is_valid` resolves one."""
    config = load_toml(path, SuiteConfig)
    names = [row.name for row in config.rows]
    assert len(set(names)) == len(names)
    for at, row in enumerate(config.rows):
        assert row.adds_to is None or row.adds_to in names[:at]
        assert row.needs is None or row.needs in config.datasets
        assert tomllib.loads((path.parent / row.config).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["smoke", "movielens", "games"])
def test_every_suite_resolves_to_configurations(name, monkeypatch, tmp_path):
    monkeypatch.setenv("STARREC_DATA", str(tmp_path))
    suite = load_suite(SUITES / f"{name}.toml")
    # The data of the Games rows are not there: the rows say so, and the others can be run.
    assert [row.missing is None for row in suite.rows] == [name != "games"] * len(suite.rows)


def test_the_smallest_suite_is_valid():
    suite = load_suite(SUITES / "smoke.toml")
    assert [row.missing for row in suite.rows] == [None] * len(suite.rows)
    assert len(suite.rows[0].seeds) == 2 and suite.rows[1].home == suite.rows[0].name
