"""The setting that names a language model, and what it refuses without repeating a secret."""

import pytest

from starrec.config import dump_toml, parse_toml
from starrec.errors import ConfigError
from starrec.llm import ModelConfig

SECRET = "sk-proj-abc123"


def test_by_default_no_language_model_is_asked() -> None:
    assert ModelConfig().embedded
    assert not ModelConfig(model="openai:gpt-4o").embedded


def test_it_is_saved_and_read_back() -> None:
    config = ModelConfig(
        model="llama3.2:1b", base_url="http://127.0.0.1:8000/v1", api_key_env="GATEWAY_KEY", timeout=5
    )
    assert parse_toml(dump_toml(config), ModelConfig, "test") == config


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f'api_key_env = "{SECRET}"', "api_key_env"),
        ('api_key_env = "gsk_abc123"', "api_key_env"),
        (f'base_url = "http://user:{SECRET}@host/v1"', "base_url"),
        (f'base_url = "https://host/v1?key={SECRET}"', "base_url"),
        (f'base_url = "{SECRET}"', "base_url"),
        ('base_url = "localhost:8000/v1"', "base_url"),
        ('base_url = "http://[::1/v1"', "base_url"),
        ('base_url = "http://host:999999/v1"', "base_url"),
        ("timeout = 0", "timeout"),
        ('model = ""', "model"),
        ('key = "x"', "key"),
    ],
)
def test_what_it_cannot_be_is_refused_and_no_secret_is_repeated(text: str, names: str) -> None:
    with pytest.raises(ConfigError, match=f"`{names}`") as caught:
        parse_toml(text, ModelConfig, "starrec.toml")
    told = str(caught.value) + str(caught.value.__cause__)
    assert SECRET not in told and "gsk_" not in told
