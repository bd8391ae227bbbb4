"""API keys: only a hash is kept, a key counts from when it is made until it is revoked."""

import pytest

from starrec.errors import ConfigError
from starrec.server.keys import Keys


def test_a_key_opens_until_it_is_revoked(tmp_path):
    server, operator = Keys(tmp_path / "keys.json"), Keys(tmp_path / "keys.json")
    assert server.holder("starrec_x_y") is None and len(server) == 0
    anna, ben = operator.add("anna"), operator.add("ben")
    assert (server.holder(anna), server.holder(ben)) == ("anna", "ben")
    operator.revoke("anna")
    assert (server.holder(anna), server.holder(ben)) == (None, "ben")
    assert [key.name for key in server.all()] == ["ben"]


def test_the_file_holds_no_key(tmp_path):
    key = Keys(tmp_path / "keys.json").add("anna")
    secret = key.split("_", 2)[2]
    assert len(secret) >= 43 and secret not in (tmp_path / "keys.json").read_text()


def test_a_key_with_anothers_id_does_not_open(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    anna, ben = keys.add("anna"), keys.add("ben")
    mixed = "_".join([*anna.split("_", 2)[:2], ben.split("_", 2)[2]])
    for wrong in (mixed, anna[:-1], anna + "x", "", "_", "__", "starrec", "\ud800"):
        assert keys.holder(wrong) is None


def test_names_are_checked(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    keys.add("anna")
    for name in ("anna", "", " ", "a\nb", "a\x1b[1m", "x" * 65):
        with pytest.raises(ConfigError):
            keys.add(name)
    with pytest.raises(ConfigError, match=r"no key of 'ben'\. Keys have: anna"):
        keys.revoke("ben")


def test_a_file_that_is_none_of_keys_is_refused(tmp_path):
    path = tmp_path / "keys.json"
    path.write_text('{"anna": "secret"}')
    with pytest.raises(ConfigError, match=r"keys\.json cannot be read as a file of API keys"):
        Keys(path)
