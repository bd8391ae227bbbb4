"""Settings of serving: no secret gets into a run folder, and they make nothing of a run anew."""

import pytest

from starrec.config import parse_toml
from starrec.errors import ConfigError
from starrec.pipeline import RunConfig
from starrec.pipeline.report_facts import changed_settings


def test_a_password_is_refused_and_not_repeated():
    for key, url in (("events", "postgresql://anna:hush@host/x"), ("redis", "redis://:hush@host")):
        with pytest.raises(ConfigError, match=rf"serving\.{key}.*environment variable") as refused:
            parse_toml(f'[serving]\n{key} = "{url}"', RunConfig, "run.toml")
        assert "hush" not in str(refused.value)


def test_a_url_may_stand_in_the_environment(monkeypatch):
    config = parse_toml(
        '[serving]\nevents = "EVENTS_URL"\nredis = "redis://host"', RunConfig, "run.toml"
    ).serving
    with pytest.raises(ConfigError, match="EVENTS_URL, which is not set"):
        _ = config.events_url
    monkeypatch.setenv("EVENTS_URL", "postgresql://anna:hush@host/x")
    assert config.events_url == "postgresql://anna:hush@host/x" and config.redis_url == "redis://host"
    assert RunConfig().serving.events_url == ""


def test_the_report_says_nothing_of_how_a_run_is_served():
    config = parse_toml('[serving]\nredis = "redis://inner.example"\nqueue = 3', RunConfig, "run.toml")
    assert changed_settings(config) == {}
