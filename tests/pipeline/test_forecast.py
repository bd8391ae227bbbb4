"""The forecast of a run: proportional to what there is to do, corrected by what was measured."""

import pytest

from starrec.config import load_toml
from starrec.pipeline import RunConfig
from starrec.pipeline.forecast import Forecast, expected_seconds


def test_the_demo_is_expected_to_take_what_it_takes():
    found = expected_seconds(RunConfig(), taught=5658, tested=2829)
    assert list(found) == ["teach", "distill", "evaluate"]
    # Of benchmarks/results/demo.json: 28, 255 and 177 seconds.
    assert found == pytest.approx({"teach": 28, "distill": 255, "evaluate": 177}, abs=0.5)


def test_a_language_model_that_teaches_is_not_guessed(tmp_path):
    (tmp_path / "config.toml").write_text("[teacher.model]\nbase_url = 'http://localhost:1/v1'\nmodel = 'm'\n")
    config = load_toml(tmp_path / "config.toml", RunConfig)
    assert expected_seconds(config, taught=5658, tested=2829)["teach"] == 0


def test_what_is_left_follows_the_pace_of_this_run():
    lines, times = [], iter([100.0, 160.0, 360.0])
    forecast = Forecast({"teach": 30, "distill": 200, "evaluate": 100}, lines.append, lambda: next(times))
    for step in ("teach", "distill", "evaluate"):
        forecast.begin(step)
    assert lines == [
        "run: about 6 min left, by the pace of two idle cores (teach 30 s, distill 3 min, evaluate 2 min)",
        # Teaching took 60 seconds, twice what was expected.
        "run: about 10 min left, at this run's pace (distill 7 min, evaluate 3 min)",
        # 260 seconds for what was expected to take 230.
        "run: about 2 min left, at this run's pace (evaluate 2 min)",
    ]
