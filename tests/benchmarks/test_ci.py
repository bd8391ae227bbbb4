"""The minutes of `.ci/run` are those that it prints, step by step."""

import subprocess
from pathlib import Path

import pytest

import ci

ROOT = Path(__file__).resolve().parent.parent.parent


def test_minutes_of_each_step():
    printed = ["== make test\n", "took 9 s\n", "== make test took 90 s\n", "\n", "== a b.py took 3 s\n"]
    assert ci.steps(printed) == pytest.approx({"make test": 1.5, "a b.py": 0.05})


def test_ci_prints_what_is_read(tmp_path):
    """The lines of `.ci/run` themselves, with steps that do nothing."""
    script = (ROOT / ".ci" / "run").read_text()
    head = script[: script.index("\nstep ")].replace('cd "$(dirname "$0")/.."', "")
    ended = subprocess.run(
        ["bash", "-c", head + "\nstep true a\nstep true b\n"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ci.steps(ended.stdout.splitlines()) == {"true a": 0, "true b": 0}
