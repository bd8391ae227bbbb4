"""The headline is a pair of systems."""

import pytest

from starrec.config import parse_toml
from starrec.errors import ConfigError
from starrec.evaluation import EvaluationConfig


def test_the_headline_is_two_different_systems():
    assert EvaluationConfig().headline == ("star", "teacher")
    found = parse_toml('headline = ["star", "lenskit_ease"]', EvaluationConfig, "a test")
    assert found.headline == ("star", "lenskit_ease")
    for wrong, said in (('["star", "star"]', "two different systems"), ('["star"]', "headline")):
        with pytest.raises(ConfigError, match=said):
            parse_toml(f"headline = {wrong}", EvaluationConfig, "a test")
