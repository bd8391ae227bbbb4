"""Work gives the same results, in the same order, wherever it runs."""

import asyncio
import operator
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from starrec.engines import Workers, run_async
from starrec.teacher import rank_with_teacher

# Functions travel to spawned processes by name, so these are of modules that every process can import.


@pytest.fixture(scope="module")
def two():
    with Workers(3, 2) as workers:
        yield workers


def test_results_come_in_order_even_if_the_first_takes_longest(two):
    batches = [2_000_000, *range(200)]
    found = list(two.map(pow, batches))
    with Workers(3, 1) as here:
        assert found == list(here.map(pow, batches))
    assert found[1:4] == [1, 3, 9]


def test_work_runs_in_spawned_processes_beside_this_one():
    os.environ["STARREC_TEST_MARK"] = "here"
    try:
        with Workers(os.getenv, 2) as workers:
            elsewhere = set(workers.map(operator.call, ["STARREC_TEST_MARK"] * 4))
            # The environment was copied at the start; a change here does not reach a process beside.
            os.environ["STARREC_TEST_MARK"] = "changed"
            assert elsewhere == set(workers.map(operator.call, ["STARREC_TEST_MARK"] * 4)) == {"here"}
            # One batch alone is not worth a process.
            assert list(workers.map(operator.call, ["STARREC_TEST_MARK"])) == ["changed"]
        with Workers(os.getenv, 1) as workers:
            assert list(workers.map(operator.call, ["STARREC_TEST_MARK"] * 2)) == ["changed"] * 2
    finally:
        del os.environ["STARREC_TEST_MARK"]


def here_slowly(numbered):
    """Pairs turned around, so that results come out of order; what was done here is negative."""
    numbered = iter(numbered)
    for number, item in numbered:
        time.sleep(0.01)
        following = next(numbered, None)
        yield from [(each[0], -each[1]) for each in (following, (number, item)) if each is not None]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_shared_work_begins_here_and_its_end_is_done_beside(processes):
    with Workers(1, processes) as workers:
        items = range(1, 101 if processes == 1 else 1001)
        found = list(workers.share(operator.mul, items, here_slowly))
        assert list(workers.share(operator.mul, [], here_slowly)) == []
    assert [abs(item) for item in found] == list(items)
    own = sum(item < 0 for item in found)
    assert all(item < 0 for item in found[:own])
    assert own == 100 if processes == 1 else 0 < own < 1000


def test_shared_work_that_fails_is_raised_wherever_it_was_done():
    with Workers(1, 2) as workers, pytest.raises(TypeError):
        list(workers.share(operator.truediv, range(1, 1001), here_slowly))
    with Workers(1, 2) as workers, pytest.raises(TypeError):
        list(workers.share(operator.mul, [2, "one"], here_slowly))


def test_a_mistake_in_a_batch_reaches_the_caller_and_the_pool_goes_on(two):
    with pytest.raises(ZeroDivisionError):
        list(two.map(operator.truediv, [1, 2, 0, 4]))
    assert list(two.map(operator.add, [1, 2])) == [4, 5]


def test_batches_are_taken_as_they_are_needed(two):
    taken = []

    def batches():
        for number in range(100):
            taken.append(number)
            yield number

    results = two.map(operator.add, batches())
    assert next(results) == 3
    # Two in flight for each of two workers; not all hundred are made at once.
    assert len(taken) <= 5
    assert list(results) == [3 + number for number in range(1, 100)]
    assert list(two.map(operator.add, [])) == []


def test_the_teacher_ranks_alike_here_and_in_processes(world, lessons):
    tasks = lessons[0]
    assert len(tasks) > 64
    with Workers(world, 1) as here, Workers(world, 2) as beside:
        assert rank_with_teacher(beside, tasks, 0) == rank_with_teacher(here, tasks, 0)


def test_a_killed_run_leaves_no_workers_behind():
    program = (
        "import operator, os, signal\n"
        "from starrec.engines import Workers, run_async\n"
        "if __name__ == '__main__':\n"
        "    workers = Workers(os.getenv, 2)\n"
        "    list(workers.map(operator.call, ['HOME'] * 8))\n"
        "    import multiprocessing\n"
        "    print(*[child.pid for child in multiprocessing.active_children()], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    children = [int(pid) for pid in killed.stdout.split()]
    assert killed.returncode == -signal.SIGKILL and children
    deadline = time.monotonic() + 10
    while any(_alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in children)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ctrl_c_stops_workers_that_only_start_and_none_of_them_speaks(tmp_path):
    (tmp_path / "late.py").write_text(
        "import multiprocessing, os, pathlib, time\n"
        "def batch_of(_, batch):\n    return batch\n"
        "if multiprocessing.current_process().name != 'MainProcess':\n"
        "    pathlib.Path(str(os.getpid())).touch()\n"
        "    time.sleep(3)\n"
    )
    program = (
        "import late\nfrom starrec.engines import Workers\n"
        "try:\n"
        "    with Workers(late.batch_of, 2) as workers:\n"
        "        print(list(workers.map(late.batch_of, range(9))))\n"
        "except KeyboardInterrupt:\n    print('stopped')\n"
    )
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "program.py"]
    out = subprocess.PIPE
    run = subprocess.Popen(
        command, stdout=out, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while len(started := [path for path in tmp_path.iterdir() if path.name.isdecimal()]) < 2:
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)
    assert run.communicate(timeout=60)[0] == "stopped\n"
    assert not any(_alive(int(path.name)) for path in started)


@contextmanager
def started(*arguments, cwd=None):
    """A Python program in a process group of its own, which does not outlive its test."""
    command, out = [sys.executable, *arguments], subprocess.PIPE
    with subprocess.Popen(command, stdout=out, text=True, cwd=cwd, start_new_session=True) as run:
        try:
            yield run
        finally:
            run.kill()


@pytest.mark.parametrize("moment", range(4))
def test_ctrl_c_ends_a_run_whose_workers_are_sending_results(tmp_path, moment):
    """Half a result would be waited for by who reads it, for ever."""
    (tmp_path / "large.py").write_text("def result_of(_, batch):\n    return bytes(50_000_000)\n")
    (tmp_path / "program.py").write_text(
        "import large\nfrom starrec.engines import Workers\n"
        "try:\n"
        "    with Workers(None, 2) as workers:\n"
        "        for number, _ in enumerate(workers.map(large.result_of, range(10**6))):\n"
        "            if number == 3:\n                print('under way', flush=True)\n"
        "except KeyboardInterrupt:\n    print('stopped')\n"
    )
    with started("program.py", cwd=tmp_path) as run:
        assert run.stdout.readline() == "under way\n"
        time.sleep(0.05 * moment)
        os.killpg(run.pid, signal.SIGINT)
        assert run.communicate(timeout=60)[0] == "stopped\n"


def test_an_interrupt_ends_a_wait_where_polars_is_loaded():
    """Sent to the process that waits, not to those that it waits for."""
    program = (
        "import operator, os, time\nimport polars\nfrom starrec.engines import Workers\n"
        "if __name__ == '__main__':\n"
        "    workers = Workers(time.sleep, 2)\n"
        "    try:\n"
        "        for _ in workers.map(operator.call, [0, 0, 60, 60]):\n"
        "            print('under way', flush=True)\n"
        "    except KeyboardInterrupt:\n"
        "        print('stopped', flush=True)\n"
        "        os._exit(0)\n"
    )
    with started("-c", program) as run:
        assert [run.stdout.readline() for _ in range(2)] == ["under way\n"] * 2
        run.send_signal(signal.SIGINT)
        assert run.communicate(timeout=30)[0] == "stopped\n"


def test_a_script_is_not_run_again_by_its_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import operator\nfrom starrec.engines import Workers, run_async\nprint('begun')\n"
        "with Workers(bytes(1_000_000), 2) as workers:\n"
        "    print(list(workers.map(operator.getitem, [0, 5, 9])))\n"
    )
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "begun\n[0, 0, 0]\n", done.stderr


def test_a_coroutine_is_waited_for_with_and_without_a_loop():
    async def doubled(number):
        await asyncio.sleep(0)
        return 2 * number

    async def inside():
        return run_async(doubled(3))

    assert run_async(doubled(2)) == 4 and asyncio.run(inside()) == 6


def test_an_interrupt_ends_a_coroutine_that_a_notebook_waits_for():
    program = (
        "import asyncio, signal\nimport polars\nfrom starrec.engines import run_async\n"
        "async def forever():\n"
        "    print('under way', flush=True)\n"
        "    try:\n        await asyncio.sleep(60)\n"
        "    finally:\n        print('cleaned up', flush=True)\n"
        "async def cell():\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)  # as ipykernel does\n"
        "    try:\n        run_async(forever())\n"
        "    except KeyboardInterrupt:\n        print('stopped', flush=True)\n"
        "asyncio.run(cell())\n"
    )
    with started("-c", program) as run:
        assert run.stdout.readline() == "under way\n"
        run.send_signal(signal.SIGINT)
        assert run.communicate(timeout=30)[0] == "cleaned up\nstopped\n"
