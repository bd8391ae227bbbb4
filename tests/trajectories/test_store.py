"""The store: nothing lost, nothing doubled, whatever was killed, and nothing taken away."""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from starrec.errors import RunError
from starrec.trajectories import (
    Cost,
    EvidenceOrigin,
    Failure,
    Spent,
    Store,
    Teacher,
    TrajectoryError,
    count_all,
)

TEACHER, EVIDENCE = Teacher("t1", {"model": "rules"}), EvidenceOrigin("e1", {"dataset": "abc"})
TASKS = {"train/é0/0": "k0", "train/é1/0": "k1"}


@pytest.fixture
def batch(make):
    return [make(task_id=f"train/é{n // 4}/0", run=n % 4, seconds=float(n)) for n in range(8)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "trajectories.sqlite"


def opened(path, teacher=TEACHER, tasks=TASKS, evidence=EVIDENCE):
    return Store(path, teacher, tasks, evidence)


def stored(path, **other):
    with opened(path, **{"evidence": None, **other}) as store:
        return list(store)


def keys(trajectories):
    return {(t.task_id, t.run) for t in trajectories}


def test_what_was_appended_is_read_back_equal_with_its_cost(path, batch):
    with opened(path) as store:
        assert store.append(batch[5:]) == 3 and store.append(batch[:5]) == 5 and store.append([]) == 0
        # In the order of tasks and runs, whatever came first.
        assert list(store) == batch and [t.cost for t in store] == [t.cost for t in batch]
        assert store.done() == keys(batch) and store.count == 8
    assert stored(path) == batch


def test_nothing_is_stored_twice(path, batch, make):
    with opened(path) as store:
        second_thought = make(task_id=batch[0].task_id, says="A second thought.")
        assert store.append([batch[0], second_thought, batch[1]]) == 2
        assert store.append([second_thought, batch[2]]) == 1
    with opened(path) as store:
        assert store.append(batch) == 5
        assert list(store) == batch and store.count == 8


def test_two_writers_at_a_time_store_each_run_once(path, batch):
    with opened(path) as one, opened(path) as other:
        one.append(batch[:3])
        other.append(batch)
    assert stored(path) == batch
    assert count_all(path) == {"runs": 8, "failures": 0, "teachers": 1}


def test_another_teacher_another_task_content_and_other_evidence_lie_beside(path, batch):
    with opened(path) as store:
        store.append(batch)
    other_teacher, changed = Teacher("t2"), {**TASKS, "train/é1/0": "k1, with another candidate"}
    assert stored(path, teacher=other_teacher) == [] and stored(path, tasks=changed) == batch[:4]
    with opened(path, teacher=other_teacher) as store:
        store.append(batch[:2])
    with opened(path, tasks=changed, evidence=EvidenceOrigin("e2")) as store:
        store.append(batch)
        assert store.evidence_of() == {"e1": keys(batch[:4]), "e2": keys(batch[4:])}
    assert stored(path) == batch and stored(path, tasks=changed) == batch
    assert stored(path, teacher=other_teacher) == batch[:2]
    assert count_all(path) == {"runs": 8 + 2 + 4, "failures": 0, "teachers": 2}


def test_a_task_that_goes_by_another_name_keeps_its_runs(path, batch):
    with opened(path) as store:
        store.append(batch)
    with opened(path, tasks={"renamed": "k1"}) as store:
        assert store.done() == {("renamed", run) for run in range(4)}


def test_a_changed_trajectory_is_an_error_naming_it(path, batch):
    with opened(path) as store:
        store.append(batch)
    base = sqlite3.connect(path)
    with base:
        content = base.execute("SELECT content FROM runs WHERE rowid = 3").fetchone()[0]
        at = len(content) // 2
        base.execute(
            "UPDATE runs SET content = ? WHERE rowid = 3",
            (content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],),
        )
    base.close()
    with pytest.raises(RunError, match=r"Run 2 over task train/é0/0 in .* changed after it was written"):
        stored(path)
    with opened(path) as store:
        assert store.of("train/é1/0") == batch[4:]


def test_a_file_of_another_format_or_none_is_left_alone(path, batch):
    with opened(path) as store:
        store.append(batch)
    base = sqlite3.connect(path)
    base.execute("PRAGMA user_version = 99")
    base.close()
    for evidence in (EVIDENCE, None):
        with pytest.raises(RunError, match=r"another release.*99"):
            opened(path, evidence=evidence)
    rubbish = path.with_name("rubbish")
    rubbish.write_bytes(b"not a database, but long enough to be looked at" * 30)
    with pytest.raises(RunError, match="cannot be read or written"):
        opened(rubbish)
    assert rubbish.read_bytes().startswith(b"not a database")
    with pytest.raises(RunError, match="no file"):
        opened(path.with_name("none"), evidence=None)
    assert not path.with_name("none").exists()


def test_readers_any_time_and_no_writing_by_them(path, batch):
    with opened(path) as store:
        store.append(batch[:2])
        reading = opened(path, evidence=None)
        assert list(reading) == batch[:2]
        store.append(batch)
        with pytest.raises(ValueError, match="reading only"):
            reading.append(batch)
        reading.close()
    assert stored(path) == batch


def test_an_account_that_may_not_write_there_can_read(batch):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "trajectories.sqlite"
        with opened(path) as store:
            store.append(batch)
        folder.chmod(0o555)
        program = (
            "import os, sys\n"
            "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "from pathlib import Path\n"
            "from starrec.trajectories import Store, Teacher\n"
            "with Store(Path(sys.argv[1]), Teacher('t1'), {'train/é0/0': 'k0'}) as store:\n"
            "    print(sum(1 for _ in store))\n"
        )
        # The modules are read before the account changes: what it may see of this checkout is no matter here.
        program = "import starrec.trajectories, starrec.trajectories.store\n" + program
        ended = subprocess.run(
            [sys.executable, "-c", program, path], capture_output=True, text=True, check=False
        )
        folder.chmod(0o755)
    assert ended.stdout == "4\n", ended.stderr


def test_files_have_the_permissions_of_the_account(tmp_path, batch):
    before = os.umask(0o027)
    try:
        with opened(tmp_path / "t.sqlite") as store:
            store.append(batch)
    finally:
        os.umask(before)
    assert (tmp_path / "t.sqlite").stat().st_mode & 0o777 == 0o640


def test_a_batch_with_one_bad_trajectory_stores_none(path, batch, make):
    with opened(path) as store:
        store.append(batch[:1])
        with pytest.raises(TrajectoryError):
            store.append([*batch[1:], make(task_id="train/é0/0", run=9, says="<plan>")])
        assert store.count == 1 and list(store) == batch[:1]
        assert store.append(batch) == 7


def test_a_full_disk_stores_nothing_of_the_batch_and_one_can_go_on(path, batch, make):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    large = [make(task_id=t.task_id, run=t.run, says=os.urandom(200_000).hex()) for t in batch[2:]]
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with opened(path) as store:
        store.append(batch[:2])
        # The system then writes a part of the batch and refuses the rest, as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
        try:
            with pytest.raises(RunError, match=r"cannot be read or written.*What is stored is whole"):
                store.append(large)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        assert store.count == 2 and list(store) == batch[:2]
        assert store.append(large) == 6
    assert stored(path) == [*batch[:2], *large]


WRITER = """
import sys
from pathlib import Path
from starrec.trajectories import EvidenceOrigin, Message, Store, Teacher, Trajectory

def make(n):
    messages = (
        Message("user", "", 0, f"task {n} " * 2000),
        Message("assistant", "planner", 0, "plan"),
        Message("assistant", "ranker", 0, "‹B›‹A›"),
    )
    return Trajectory(f"t{n // 4}", n % 4, "test", messages, ("‹A›", "‹B›"), ("‹B›", "‹A›"))

total = int(sys.argv[2])
tasks = {f"t{n}": f"k{n}" for n in range(100_000)}
with Store(Path(sys.argv[1]), Teacher("t1"), tasks, EvidenceOrigin("e1")) as store:
    done = store.done()
    rest = [n for n in range(total) if (f"t{n // 4}", n % 4) not in done]
    for start in range(0, len(rest), 5):
        store.append([make(n) for n in rest[start : start + 5]])
        print(store.count, flush=True)
"""


def test_killed_while_appending_then_again(tmp_path):
    def write(path, total):
        return subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(total)], stdout=subprocess.PIPE, text=True
        )

    tasks = {f"t{n}": f"k{n}" for n in range(100_000)}
    promised = 0
    killed = tmp_path / "killed.sqlite"
    for moment in (0.0, 0.003, 0.011):
        with write(killed, 10**5) as writer:
            for _ in range(6):
                promised = int(writer.stdout.readline())
            time.sleep(moment)
            writer.send_signal(signal.SIGKILL)
            promised = max([promised, *(int(line) for line in writer.stdout if line.endswith("\n"))])
        assert writer.returncode == -signal.SIGKILL
        found = [(t.task_id, t.run) for t in stored(killed, tasks=tasks)]
        assert len(found) >= promised, "what append has returned from is on disk"
        assert found == [(f"t{n // 4}", n % 4) for n in range(len(found))]

    total = len(found) + 50
    undisturbed = tmp_path / "undisturbed.sqlite"
    for path in (killed, undisturbed):
        with write(path, total) as writer:
            writer.stdout.read()
        assert writer.returncode == 0
    assert count_all(killed)["runs"] == count_all(undisturbed)["runs"] == total
    assert stored(killed, tasks=tasks) == stored(undisturbed, tasks=tasks)


def failure(reason="limit", message="It reached its limit.", run=9):
    return Failure("train/é0/0", run, "planner", reason, message, Cost({"planner": Spent(requests=3)}))


def test_failures_are_kept_beside_the_trajectories_and_the_last_one_counts(path, batch, make):
    with opened(path) as store:
        store.append(batch[:2])
        assert store.fail([failure("endpoint"), failure("endpoint", run=10)]) == 2
        assert store.fail([failure("limit", "No end: \ud800 <plan>")]) == 1
        # A run that has a trajectory did not fail.
        assert store.fail([failure(run=0)]) == 0
    with opened(path) as store:
        assert store.failed() == {
            ("train/é0/0", 9): failure("limit", "No end: ? <plan>"),
            ("train/é0/0", 10): failure("endpoint", run=10),
        }
        assert store.failed()["train/é0/0", 9].cost.total.requests == 3
        assert store.append([make(task_id="train/é0/0", run=9)]) == 1
        assert list(store.failed()) == [("train/é0/0", 10)] and store.count == 3
    with opened(path, evidence=None) as store:
        assert [found.run for found in store.failed().values()] == [10]


def test_the_store_says_who_taught_from_what(path, batch):
    with opened(path) as store:
        store.append(batch)
    base = sqlite3.connect(path)
    assert base.execute("SELECT * FROM teachers").fetchall() == [("t1", json.dumps({"model": "rules"}))]
    assert base.execute("SELECT * FROM evidence").fetchall() == [("e1", json.dumps({"dataset": "abc"}))]
    base.close()
