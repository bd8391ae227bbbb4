"""The store: nothing lost, nothing doubled, whatever was killed."""

import json
import resource
import signal
import subprocess
import sys
import time

import pytest
import zstandard

from starrec.errors import RunError
from starrec.trajectories import (
    Cost,
    Failure,
    Spent,
    Store,
    TrajectoryError,
    find,
    read,
    read_failures,
)


@pytest.fixture
def batch(make):
    return [make(task_id=f"train/é{n // 4}/0", run=n % 4, seconds=float(n)) for n in range(8)]


def keys(trajectories):
    return [(t.task_id, t.run) for t in trajectories]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_was_appended_is_read_back_equal_with_its_cost(tmp_path, batch):
    with Store(tmp_path / "new" / "trajectories") as store:
        assert store.append(batch[:5]) == 5 and store.append(batch[5:]) == 3 and store.append([]) == 0
        assert list(store) == batch and [t.cost for t in store] == [t.cost for t in batch]
        assert store.done() == set(keys(batch)) and store.count == 8
    with Store(tmp_path / "new" / "trajectories") as again:
        assert list(again) == batch and again.done() == set(keys(batch)) and again.dropped_bytes == 0
    assert list(read(tmp_path / "new" / "trajectories")) == batch


def test_nothing_is_stored_twice(tmp_path, batch, make):
    with Store(tmp_path) as store:
        second_thought = make(task_id=batch[0].task_id, says="A second thought.")
        assert store.append([batch[0], second_thought, batch[1]]) == 2
        assert store.append([second_thought, batch[2]]) == 1
    with Store(tmp_path) as store:
        assert store.append(batch) == 5
        assert list(store) == batch and store.count == 8


def test_a_line_copied_by_hand_counts_once(tmp_path, batch):
    with Store(tmp_path) as store:
        store.append(batch)
    part = tmp_path / "part-00000.jsonl"
    part.write_bytes(part.read_bytes() * 2)
    with Store(tmp_path) as store:
        assert list(store) == batch and store.count == 8


def test_each_line_is_json(tmp_path, batch):
    with Store(tmp_path) as store:
        store.append(batch)
    lines = (tmp_path / "part-00000.jsonl").read_text(encoding="utf-8").splitlines()
    assert [tuple(json.loads(line)["key"]) for line in lines] == keys(batch)
    assert "é" in lines[0]


def test_cut_anywhere_in_the_last_lines_it_resumes_to_the_same_bytes(tmp_path, batch):
    with Store(tmp_path / "whole") as store:
        store.append(batch[:3])
    whole = (tmp_path / "whole" / "part-00000.jsonl").read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    assert len(ends) == 3
    folder = tmp_path / "cut"
    folder.mkdir()
    for cut in {*range(0, len(whole), 37), *ends, *(end - 1 for end in ends), *(end + 1 for end in ends[:-1])}:
        (folder / "part-00000.jsonl").write_bytes(whole[:cut])
        left = sum(end <= cut for end in ends)
        assert keys(read(folder)) == keys(batch[:left])
        with Store(folder) as store:
            assert store.count == left and list(store) == batch[:left]
            assert store.dropped_bytes == cut - ([0, *ends][left])
            assert store.append(batch[:3]) == 3 - left
        assert files(folder) == {"part-00000.jsonl": whole}


def test_a_last_line_of_rubbish_is_dropped(tmp_path, batch):
    with Store(tmp_path) as store:
        store.append(batch)
    part = tmp_path / "part-00000.jsonl"
    whole = part.read_bytes()
    for rubbish in (
        b"\x00" * 500,
        b"\x00" * 500 + b"\n",
        b"\n",
        b'{"crc32":"00000000","key":["x",0],"a":{}}\n',
    ):
        part.write_bytes(whole + rubbish)
        with Store(tmp_path) as store:
            assert list(store) == batch and store.dropped_bytes == len(rubbish)
        assert part.read_bytes() == whole


def test_a_changed_line_in_the_middle_is_an_error_naming_it_and_is_left_alone(tmp_path, batch):
    with Store(tmp_path) as store:
        store.append(batch)
    part = tmp_path / "part-00000.jsonl"
    lines = part.read_bytes().splitlines(keepends=True)
    for changed in (lines[2].replace(b"61%", b"16%"), lines[2][:40], b"\n"):
        part.write_bytes(b"".join([*lines[:2], changed, *lines[3:]]))
        before = part.read_bytes()
        for use in (lambda: Store(tmp_path), lambda: list(read(tmp_path))):
            with pytest.raises(RunError, match=r"part-00000\.jsonl, line 3 .*Restore the file"):
                use()
        assert part.read_bytes() == before
    # The fix that the message names works.
    part.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with Store(tmp_path) as store:
        assert store.append(batch) == 1 and sorted(keys(store)) == sorted(keys(batch))


def test_a_torn_line_in_any_file_but_the_last_is_an_error(tmp_path, batch):
    with Store(tmp_path, segment_bytes=1) as store:
        store.append(batch[:1])
        store.append(batch[1:2])
    first = tmp_path / "part-00000.jsonl.zst"
    plain = zstandard.decompress(first.read_bytes())
    first.write_bytes(zstandard.compress(plain[:-10]))
    with pytest.raises(RunError, match=r"part-00000\.jsonl\.zst, line 1"):
        Store(tmp_path)
    for damaged in (b"", b"no such thing", zstandard.compress(plain)[:-5]):
        first.write_bytes(damaged)
        with pytest.raises(RunError, match=r"part-00000\.jsonl\.zst changed.*Restore the file"):
            Store(tmp_path)


def test_a_file_that_is_full_is_followed_by_another(tmp_path, batch):
    with Store(tmp_path, segment_bytes=1) as store:
        for trajectory in batch[:3]:
            store.append([trajectory])
    with Store(tmp_path, segment_bytes=1) as store:
        store.append(batch[3:])
        assert list(store) == batch
    assert sorted(files(tmp_path)) == [*(f"part-0000{n}.jsonl.zst" for n in range(3)), "part-00003.jsonl"]
    (tmp_path / "part-00003.jsonl").write_bytes(b"torn")
    with Store(tmp_path, segment_bytes=1) as store:
        assert keys(store) == keys(batch[:3])
        store.append(batch)
        assert list(store) == batch


def test_lines_of_another_version_are_refused(tmp_path, batch):
    class Other(type(batch[0])):
        def to_record(self):
            return {"conversation": []}

    other = Other(*(getattr(batch[0], name) for name in batch[0].__dataclass_fields__))
    with Store(tmp_path) as store:
        store.append([other])
    with pytest.raises(RunError, match=r"line 1 was written by another version.*KeyError"):
        list(read(tmp_path))


def test_one_writer_at_a_time_and_readers_any_time(tmp_path, batch):
    with Store(tmp_path) as store:
        store.append(batch)
        with pytest.raises(RunError, match="another process"):
            Store(tmp_path)
        assert list(read(tmp_path)) == batch
    with pytest.raises(ValueError, match="closed"):
        store.append(batch)
    Store(tmp_path).close()


def test_a_batch_with_one_bad_trajectory_stores_none(tmp_path, batch, make):
    with Store(tmp_path) as store:
        store.append(batch[:1])
        before = files(tmp_path)
        with pytest.raises(TrajectoryError):
            store.append([*batch[1:], make(run=9, says="<plan>")])
        assert files(tmp_path) == before and store.count == 1
        assert store.append(batch) == 7


def test_a_full_disk_stores_nothing_of_the_batch_and_one_can_go_on(tmp_path, batch):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Store(tmp_path) as store:
        store.append(batch[:2])
        before = files(tmp_path)
        # The system then writes a part of the batch and refuses the rest, as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before["part-00000.jsonl"]) + 100, limits[1]))
        try:
            with pytest.raises(RunError, match=r"Cannot append to .*part-00000\.jsonl: File too large"):
                store.append(batch)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert files(tmp_path) == before and store.count == 2
        assert store.append(batch) == 6 and list(store) == batch


def plain(name, content):
    return zstandard.decompress(content) if name.endswith(".zst") else content


WRITER = """
import sys
from pathlib import Path
from starrec.trajectories import Message, Store, Trajectory

def make(n):
    messages = (
        Message("user", "", 0, f"task {n} " * 2000),
        Message("assistant", "planner", 0, "plan"),
        Message("assistant", "ranker", 0, "‹B›‹A›"),
    )
    return Trajectory(f"t{n // 4}", n % 4, "test", messages, ("‹A›", "‹B›"), ("‹B›", "‹A›"))

total = int(sys.argv[2])
with Store(Path(sys.argv[1]), segment_bytes=500_000) as store:
    done = store.done()
    rest = [n for n in range(total) if (f"t{n // 4}", n % 4) not in done]
    for start in range(0, len(rest), 5):
        store.append([make(n) for n in rest[start : start + 5]])
        print(store.count, flush=True)
"""


def test_killed_while_appending_then_again(tmp_path):
    def write(folder, total):
        return subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(total)], stdout=subprocess.PIPE, text=True
        )

    promised = 0
    folder = tmp_path / "killed"
    for moment in (0.0, 0.003, 0.011):
        with write(folder, 10**6) as writer:
            for _ in range(6):
                promised = int(writer.stdout.readline())
            time.sleep(moment)
            writer.send_signal(signal.SIGKILL)
            promised = max([promised, *(int(line) for line in writer.stdout if line.endswith("\n"))])
        assert writer.returncode == -signal.SIGKILL
        stored = keys(read(folder))
        assert len(stored) >= promised, "what append has returned from is on disk"
        assert stored == [(f"t{n // 4}", n % 4) for n in range(len(stored))]

    total = promised + 50
    for name in (folder, tmp_path / "undisturbed"):
        with write(name, total) as writer:
            writer.stdout.read()
        assert writer.returncode == 0
    with Store(folder) as resumed, Store(tmp_path / "undisturbed") as undisturbed:
        assert resumed.dropped_bytes == 0 and resumed.count == total
        assert list(resumed) == list(undisturbed)
    lines = b"".join(plain(name, content) for name, content in sorted(files(folder).items())).splitlines()
    assert len(lines) == total == len(set(lines))
    assert len(plain("part-00000.jsonl.zst", files(folder)["part-00000.jsonl.zst"])) >= 500_000


def test_a_compression_cut_short_at_any_point_loses_and_doubles_nothing(tmp_path, batch):
    with Store(tmp_path) as store:
        store.append(batch[:5])
        whole = (tmp_path / "part-00000.jsonl").read_bytes()
        store.pack()
        assert list(files(tmp_path)) == ["part-00000.jsonl.zst"] and list(store) == batch[:5]
        store.pack()
    # Killed after the compressed file appeared, and before the plain one went.
    (tmp_path / "part-00000.jsonl").write_bytes(whole)
    assert list(read(tmp_path)) == batch[:5]
    with Store(tmp_path) as store:
        assert list(files(tmp_path)) == ["part-00000.jsonl.zst"] and store.count == 5
        assert store.append(batch) == 3 and list(store) == batch
    assert sorted(files(tmp_path)) == ["part-00000.jsonl.zst", "part-00001.jsonl"]


def test_a_reader_goes_on_where_its_file_was_compressed_meanwhile(tmp_path, batch):
    with Store(tmp_path, segment_bytes=1) as store:
        store.append(batch[:1])
        store.append(batch[1:2])
        reading = read(tmp_path)
        assert next(reading) == batch[0]
        store.pack()
        assert list(reading) == batch[1:2]


def failure(reason="limit", message="It reached its limit.", run=9):
    return Failure("train/é0/0", run, "planner", reason, message, Cost({"planner": Spent(requests=3)}))


def test_failures_are_kept_beside_the_trajectories_and_the_last_one_counts(tmp_path, batch, make):
    with Store(tmp_path) as store:
        store.append(batch[:2])
        assert store.fail([failure("endpoint"), failure("endpoint", run=10)]) == 2
        assert store.fail([failure("limit", "No end: \ud800 <plan>")]) == 1
        # A run that has a trajectory did not fail.
        assert store.fail([failure(run=0)]) == 0
    with Store(tmp_path) as store:
        assert store.failed() == {
            ("train/é0/0", 9): failure("limit", "No end: ? <plan>"),
            ("train/é0/0", 10): failure("endpoint", run=10),
        }
        assert store.failed()["train/é0/0", 9].cost.total.requests == 3
        assert store.append([make(task_id="train/é0/0", run=9)]) == 1
        assert list(store.failed()) == [("train/é0/0", 10)] and store.count == 3
    assert [found.run for found in read_failures(tmp_path)] == [10]


def test_a_torn_failure_is_cut_off_and_a_changed_one_refused(tmp_path):
    with Store(tmp_path) as store:
        store.fail([failure()])
        store.fail([failure(run=10)])
    path = tmp_path / "failures-00000.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with Store(tmp_path) as store:
        assert list(store.failed()) == [("train/é0/0", 9)] and store.dropped_bytes > 0
    path.write_bytes(whole.replace(b"limit", b"tilim", 1))
    with pytest.raises(RunError, match=r"failures-00000\.jsonl, line 1 changed"):
        Store(tmp_path)


def test_the_runs_of_one_task_are_found(tmp_path, batch):
    with Store(tmp_path) as store:
        store.append(reversed(batch))
    assert find(tmp_path, "train/é1/0") == batch[4:] and find(tmp_path, "train/7") == []
