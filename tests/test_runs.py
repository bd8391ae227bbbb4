"""Run folders: one configuration, one process, whole files, steps by content."""

import json
import os
import signal
import subprocess
import sys

import pytest

from starrec.errors import RunError
from starrec.runs import Run, write_atomic

CONFIG = '[data]\nseed = 1 # a comment\nname = "x"\n'


def test_same_configuration_goes_on_another_is_refused(tmp_path):
    Run.open(tmp_path / "r", CONFIG).close()
    Run.open(tmp_path / "r", '[data]\nname = "x"\nseed = 1\n').close()
    with pytest.raises(RunError) as caught:
        Run.open(tmp_path / "r", '[data]\nseed = 2\nname = "x"\nextra = true\n')
    for part in ["`data.seed` was 1, now 2", "`data.extra` was 'unset', now True", "--run", "--fresh"]:
        assert part in str(caught.value)
    assert "data.name" not in str(caught.value)


def test_fresh_starts_over(tmp_path):
    with Run.open(tmp_path, CONFIG) as run:
        write_atomic(run.path("data", "x"), b"old")
        run.step("a", {}).complete([run.path("data")])
    with Run.open(tmp_path, "[data]\nseed = 2\n", fresh=True) as run:
        assert not run.path("data").exists() and not run.step("a", {}).done


def test_a_strangers_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    for fresh in (False, True):
        with pytest.raises(RunError, match="not a run folder"):
            Run.open(tmp_path, CONFIG, fresh=fresh)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_one_process_at_a_time(tmp_path):
    with Run.open(tmp_path, CONFIG), pytest.raises(RunError, match=f"in use by process {os.getpid()}"):
        Run.open(tmp_path, CONFIG)
    Run.open(tmp_path, CONFIG).close()


def test_a_step_is_done_for_its_inputs_and_while_its_outputs_exist(tmp_path):
    with Run.open(tmp_path, CONFIG) as run:
        step = run.step("graph", {"data": "abc", "k": 50})
        assert not step.done and step.facts == {}
        output = write_atomic(run.path("evidence", "graph.bin"), b"1234")
        step.complete([output], edges=4)
        assert step.done and step.facts == {"edges": 4}
        assert not run.step("graph", {"data": "abc", "k": 51}).done
    with Run.open(tmp_path, CONFIG) as run:
        again = run.step("graph", {"k": 50, "data": "abc"})
        assert again.done
        output.unlink()
        assert not again.done
        with pytest.raises(FileNotFoundError):
            again.complete([output])


def test_unreadable_steps_are_an_error_with_a_fix(tmp_path):
    with Run.open(tmp_path, CONFIG) as run:
        run.path("steps.json").write_text("{ cut")
        with pytest.raises(RunError, match=r"steps\.json is unreadable.*Delete it"):
            _ = run.step("a", {}).done


def test_log_appends_lines(tmp_path):
    with Run.open(tmp_path, CONFIG) as run:
        run.log("started", tasks=3)
        run.log("ended", note="é")
        events = [json.loads(line) for line in run.path("log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["started", "ended"]
    assert events[0]["tasks"] == 3 and events[1]["note"] == "é" and "time" in events[0]


def test_a_failing_writer_leaves_the_old_file_and_no_other(tmp_path):
    path = write_atomic(tmp_path / "a.npz", b"old")

    def fail(temporary):
        assert temporary.suffix == ".npz"
        temporary.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, fail)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_killed_in_the_middle_of_a_write(tmp_path):
    script = (
        "import os, pathlib, signal, sys\n"
        "from starrec.runs import Run, write_atomic\n"
        f"run = Run.open(pathlib.Path(sys.argv[1]), {CONFIG!r})\n"
        "def writer(path):\n"
        "    path.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomic(run.path('student', 'model.bin'), writer)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "student").iterdir())) == 1
    with Run.open(tmp_path, CONFIG) as run:
        assert list(run.path("student").iterdir()) == []


def test_a_folder_that_a_kill_left_half_written_goes_when_the_run_is_opened_again(tmp_path):
    Run.open(tmp_path, CONFIG).close()
    half = tmp_path / "student" / ".tmp-sft"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    with Run.open(tmp_path, CONFIG):
        assert not half.exists()
