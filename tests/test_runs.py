"""Run folders: any configuration, one process, whole files, products by content."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from pydantic import Field

from starrec.config import Section
from starrec.errors import RunError
from starrec.runs import Run, current_product, products, write_atomic

CONFIG = '[data]\nseed = 1 # a comment\nname = "x"\n'


OTHER = "[data]\nseed = 2\n"


def test_any_configuration_goes_on_and_the_last_one_is_kept(tmp_path):
    with Run.open(tmp_path / "r", CONFIG) as run:
        product = run.product("data", {"seed": 1})
        product.begin()
        write_atomic(product.path("x"), b"first")
        product.complete(rows=3)
        run.use(product)
    with Run.open(tmp_path / "r", OTHER) as run:
        assert run.current("data").facts == {"rows": 3}
        other = run.product("data", {"seed": 2})
        assert not other.done and other.folder != product.folder
        run.use(other)
        assert run.current("data") is None, "begun, and not complete"
        assert current_product(run.folder, "data", complete=False).fingerprint == other.fingerprint
        other.complete()
        run.use(product)
        assert run.current("data").fingerprint == product.fingerprint
    assert (tmp_path / "r" / "config.toml").read_text() == OTHER
    assert product.path("x").read_bytes() == b"first"
    assert [(p.fingerprint, used) for p, used in products(tmp_path / "r")] == [
        (product.fingerprint, True),
        (other.fingerprint, False),
    ]


def test_a_setting_that_a_release_adds_changes_no_fingerprint(tmp_path):
    class Before(Section):
        k: int = Field(50, description="K.")

    class After(Before):
        new: str = Field("as ever", description="New.")

    with Run.open(tmp_path, CONFIG) as run:
        same = run.product("a", {"settings": Before(k=7)})
        assert run.product("a", {"settings": After(k=7)}) == same
        assert run.product("a", {"settings": After(k=7, new="other")}).folder != same.folder


def test_a_run_of_the_first_release_is_refused_and_left_alone(tmp_path):
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "steps.json").write_text("{}")
    (tmp_path / "trajectories").mkdir()
    for use in (lambda: Run.open(tmp_path, CONFIG), lambda: current_product(tmp_path, "data")):
        with pytest.raises(RunError, match=r"does not read.*Nothing in it was touched.*--run"):
            use()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["config.toml", "steps.json", "trajectories"]


def test_a_run_of_a_later_release_is_refused_and_left_alone(tmp_path):
    Run.open(tmp_path, CONFIG).close()
    (tmp_path / "run.json").write_text('{"format": 99, "current": {}}')
    with pytest.raises(RunError, match=r"another release.*99"):
        Run.open(tmp_path, OTHER)
    assert (tmp_path / "config.toml").read_text() == CONFIG


def test_a_strangers_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match="not a run folder"):
        Run.open(tmp_path, CONFIG)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_one_process_at_a_time(tmp_path):
    with Run.open(tmp_path, CONFIG), pytest.raises(RunError, match=f"in use by process {os.getpid()}"):
        Run.open(tmp_path, CONFIG)
    Run.open(tmp_path, CONFIG).close()


def test_a_product_is_done_for_its_inputs_once_it_is_complete(tmp_path):
    with Run.open(tmp_path, CONFIG) as run:
        product = run.product("graph", {"data": "abc", "k": 50})
        assert not product.done and product.facts == {}
        write_atomic(product.path("graph.bin"), b"1234")
        assert not product.done
        product.complete(edges=4)
        assert product.done and product.facts == {"edges": 4}
        assert not run.product("graph", {"data": "abc", "k": 51}).done
    with Run.open(tmp_path, CONFIG) as run:
        assert run.product("graph", {"k": 50, "data": "abc"}).facts == {"edges": 4}


def test_an_unreadable_record_is_an_error_with_a_fix(tmp_path):
    with Run.open(tmp_path, CONFIG) as run:
        product = run.product("data", {})
        product.complete()
        product.path("product.json").write_text("{ cut")
        with pytest.raises(RunError, match=r"product\.json is unreadable.*run the same command"):
            _ = product.facts
        run.path("run.json").write_text("[]")
        with pytest.raises(RunError, match=r"run\.json is unreadable"):
            run.use(product)


def test_what_others_write_privately_gets_the_accounts_permissions(tmp_path):
    def private(path):
        path.write_bytes(b"weights")
        path.chmod(0o600)

    before = os.umask(0o022)
    try:
        with Run.open(tmp_path, CONFIG) as run:
            product = run.product("distill", {})
            folder = product.publish("star", lambda folder: private(folder / "model.safetensors"))
            alone = write_atomic(product.path("alone"), private)
    finally:
        os.umask(before)
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == 0o644
    assert alone.stat().st_mode & 0o777 == 0o644


def test_an_account_that_may_not_write_is_told_so():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        Run.open(folder, CONFIG).close()
        folder.parent.chmod(0o755)
        program = (
            "import os, sys\n"
            "from pathlib import Path\n"
            "from starrec.errors import RunError\n"
            "from starrec.runs import Run\n"
            "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            f"try: Run.open(Path(sys.argv[1]), {CONFIG!r})\n"
            "except RunError as error: print(error)\n"
        )
        if os.geteuid():
            folder.chmod(0o555)
        said = subprocess.run(
            [sys.executable, "-c", program, folder], capture_output=True, text=True, check=False
        )
        folder.chmod(0o755)
    assert "cannot be written by this account" in said.stdout and "--run" in said.stdout, said.stderr


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
