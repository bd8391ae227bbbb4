"""What processes take is measured with all processes below them, and steps by the lines that they print."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import demo
import releases
from releases import Ended, Line, Pairs

MEASURE = """
import json, os, sys
from dataclasses import asdict
from pathlib import Path

import releases

ended = releases.ran([sys.executable, "worker.py", sys.argv[1]], dict(os.environ), Path.cwd())
print(json.dumps(asdict(ended)))
"""

WORKER = """
import multiprocessing, sys, time

def work():
    held = b"x" * (int(sys.argv[1]) << 20)
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass

if __name__ == "__main__":
    print("first", flush=True)
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
    print("second", flush=True)
"""


def test_memory_and_seconds_are_those_of_workers_too(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    # From a small process: the one of the tests, in whose memory the other begins, can have gigabytes.
    mib = 300
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(mib)],
        env={**os.environ, "PYTHONPATH": str(Path(releases.__file__).parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    ended = json.loads(measured.stdout)
    first, second = ended["lines"]
    assert ended["code"] == 0 and [first["text"], second["text"]] == ["first", "second"]
    assert mib / 1024 < ended["peak_gib"] < (mib + 50) / 1024
    # The clock has steps of a hundredth.
    assert first["cpu"] + 0.3 <= second["cpu"] + 0.02 <= ended["cpu"] + 0.04
    assert first["wall"] < second["wall"] <= ended["wall"]


def test_a_step_ends_with_the_last_line_of_its_name():
    printed = [
        ("data: read", 3, 2),
        ("signals: counted", 5, 4),
        ("  teaching: 1 of 2", 7, 6),
        ("teach: 2 runs", 10, 12),
        ("distill: SFT", 20, 30),
        ("distill: GRPO", 40, 60),
        ("evaluate: latency", 45, 66),
    ]
    ended = Ended(0, 50, 70, 1, [Line(text, wall, cpu) for text, wall, cpu in printed])
    wall = {"data": 3, "signals": 2, "teach": 5, "distill": 30, "evaluate": 10}
    assert demo.seconds_by_step(ended, "wall") == wall
    cpu = {"data": 2, "signals": 2, "teach": 8, "distill": 48, "evaluate": 10}
    assert demo.seconds_by_step(ended, "cpu") == cpu


def test_a_run_that_skipped_a_step_is_no_demo():
    lines = [Line("data: read", 1, 1), Line("teach: 2 runs", 2, 2)]
    with pytest.raises(SystemExit, match="only data, teach were announced"):
        demo.seconds_by_step(Ended(0, 3, 3, 1, lines), "wall")


def test_ratios_are_of_the_two_measured_together():
    pairs = Pairs([2.0, 9.0], [4.0, 3.0])
    assert pairs.ratios(lambda each: each) == [0.5, 3.0]
