"""Configuration files: what they say, what they refuse, and how they read back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from starrec.config import Section, dump_toml, fingerprint, load_recorded, load_toml, parse_toml
from starrec.errors import ConfigError


class Columns(Section):
    user_id: str = Field("user_id", description="Column of the user's id.")


class Data(Section):
    source: str = Field("movielens-100k", description="Where interactions come from.")
    local: Path | None = Field(None, description="A local copy.")
    draws: int = Field(3, ge=1, description="Candidate draws a user.")
    weights: dict[str, float] = Field({"a b": 0.5}, description="By tool.")
    cutoffs: tuple[int, ...] = Field((1, 3), description="Ranks.")
    columns: Columns = Field(Columns(), description="Names of columns.")


class Root(Section):
    seed: int = Field(0, description="Seed of everything.\nTwo lines.")
    data: Data = Field(Data(), description="The data.")


def write(folder, text):
    path = folder / "run.toml"
    path.write_text(text)
    return path


def test_reads_what_it_says_and_defaults_the_rest(tmp_path):
    config = load_toml(write(tmp_path, '[data]\nsource = "tables"\n'), Root)
    assert config.data.source == "tables" and config.data.draws == 3


@pytest.mark.parametrize(
    "text, parts",
    [
        ("[data]\nsourc = 1", ["`data.sourc`", "did you mean `source`?", "columns, cutoffs, draws"]),
        ("[data.columns]\nxyz = 1", ["`data.columns.xyz`", "Allowed here: user_id."]),
        ("sead = 1", ["`sead`", "did you mean `seed`?"]),
        ("[data]\ndraws = 0", ["`data.draws`", "greater than or equal to 1", "got 0"]),
        ('seed = "x"', ["`seed`", "valid integer"]),
        ("seed = = 1", ["not valid TOML", "line 1"]),
    ],
)
def test_refuses_with_file_key_and_fix(tmp_path, text, parts):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_toml(path, Root)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_toml(tmp_path / "nowhere.toml", Root)


def test_dump_documents_every_key():
    text = dump_toml(Root())
    assert "# Seed of everything.\n# Two lines.\nseed = 0\n" in text
    assert "# A local copy.\n# local =\n" in text
    assert "# Names of columns.\n[data.columns]\n# Column of the user's id.\nuser_id = " in text


@given(st.text(), st.integers(), st.dictionaries(st.text(), st.floats(allow_nan=False)))
def test_dump_reads_back_equal(source, seed, weights):
    seed %= 2**62
    config = Root(seed=seed, data=Data(source=source, weights=weights, local=Path("a b/c")))
    assert parse_toml(dump_toml(config), Root, "dump") == config


def test_fingerprint_depends_on_content_only():
    assert fingerprint({"a": 1, "b": [Root()]}) == fingerprint({"b": (Root(seed=0),), "a": 1})
    assert fingerprint(Root()) != fingerprint(Root(seed=1))
    assert len(fingerprint("x")) == 16
    with pytest.raises(TypeError, match="set"):
        fingerprint({"a": {1}})


def test_a_recorded_configuration_of_another_release_is_read_without_what_is_unknown(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("gone = 1\n[data]\ndraws = 7\nolder = true\n[dropped]\nx = 1\n")
    config, unknown = load_recorded(path, Root)
    assert config == Root(data=Data(draws=7)) and sorted(unknown) == ["data.older", "dropped", "gone"]
    path.write_text("[data]\ndraws = 0\nolder = true\n")
    with pytest.raises(ConfigError, match=r"config\.toml.*data\.draws"):
        load_recorded(path, Root)
    path.write_text("[part\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_recorded(path, Root)
