"""What a process is handed is what this one has, whatever it is made of."""

import subprocess
import sys

import numpy as np

from starrec.engines import Workers


def taken(value, what):
    """Of the value that a process holds, kind and content of an array, or what is left when overwritten."""
    at, overwritten = what
    array = value[at]
    if overwritten:
        array[...] = np.zeros(1, dtype=array.dtype)[0]
    return array.dtype.str, array.shape, array.tolist(), array.flags.writeable, array.flags.f_contiguous


def test_arrays_arrive_as_they_are():
    random = np.random.default_rng(0)
    locked = random.random(100)
    locked.flags.writeable = False
    whole = random.integers(0, 100, (7, 5, 3))
    values = [
        *(whole.astype(dtype) for dtype in "?bBhHiIlLqQefdFDSUO"),
        *(whole[:0], whole[0, 0, 0], whole[:, ::2], whole.T, np.asfortranarray(whole), whole[:, :0], locked),
        *(
            whole.astype(">i4"),
            whole.astype("datetime64[s]"),
            np.array(["", "ä", "item"]),
            np.array([None, "x"]),
        ),
    ]
    asked = [(at, False) for at in range(len(values))]
    with Workers(values, 2) as workers:
        assert list(workers.map(taken, asked)) == [taken(values, what) for what in asked]


def test_what_a_process_writes_stays_its_own():
    values = [np.arange(100_000), np.arange(3)]
    with Workers(values, 2) as workers:
        found = list(workers.map(taken, [(0, True)] * 4))
        assert all(of[2] == [0] * 100_000 for of in found)
    assert values[0].tolist() == list(range(100_000))
    with Workers(values, 2) as workers:
        assert list(workers.map(taken, [(0, False)] * 2)) == [taken(values, (0, False))] * 2


def test_no_room_is_said_with_what_to_do():
    program = (
        "import resource, signal\nimport numpy as np\nfrom starrec.engines import Workers\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n"
        "    with Workers(np.zeros(2**18), 2) as workers:\n"
        "        list(workers.map(np.add, [1, 2]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "RunError: Worker processes share 2 MiB" in done.stderr and "TMPDIR" in done.stderr, done.stderr
