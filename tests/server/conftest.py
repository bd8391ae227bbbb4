"""A finished run to serve, and a real PostgreSQL."""

import grp
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from starrec.data import save_dataset
from starrec.pipeline.serving_config import ServingConfig
from starrec.runs import Run
from starrec.server.app import application
from starrec.server.listening import served


@pytest.fixture(scope="session")
def postgresql():
    """URL of an empty database of a real server, which `pgserver` carries, in the environment of the tests."""
    carried = find_spec("pgserver")
    assert carried and carried.origin, "no PostgreSQL: `make test` installs one (pgserver)"
    folder = Path(tempfile.mkdtemp(prefix="starrec-postgresql-"))
    package, account = Path(carried.origin).parent, {}
    if os.geteuid() == 0:  # It refuses to run as root; another account may not reach this environment.
        account = {"user": "nobody", "group": grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name}
        for name in ("pgserver", "pgserver.libs"):  # it looks for its libraries beside it
            shutil.copytree(package.with_name(name), folder / "copy" / name, symlinks=True)
        package = folder / "copy" / "pgserver"
        shutil.chown(folder, *account.values())
    initdb, pg_ctl = (package / "pginstall" / "bin" / name for name in ("initdb", "pg_ctl"))

    def run(*command):
        subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=60, **account)

    data = folder / "data"
    run(initdb, "-D", data, "-U", "starrec", "--auth=trust", "--no-sync")
    # On a socket in the folder: no port can be in use, and nobody else is let in.
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}'"
    run(pg_ctl, "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
    try:
        yield f"postgresql://starrec@/postgres?host={folder}"
    finally:
        run(pg_ctl, "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


HOSTILE = "<img src=x onerror=alert(1)> '; DROP TABLE items; -- \u202e " + "x" * 9000


def title(item):
    return HOSTILE if item == 7 else f"Film {'ABCD'[item // 12]}{item:02}"


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, titled, newborn):
    """Makes a run folder as the steps leave it, with a student that has learned nothing."""

    def make(seed=0, toml="", title=title):
        with Run.open(tmp_path_factory.mktemp("served") / "run", toml) as run:
            data = run.product("data", {})
            save_dataset(titled(title), data.folder)
            data.complete()
            taught = run.product("distill", {"evidence": {"tie_seed": 3, "signals": {}}, "seed": seed})
            taught.publish("star", newborn(seed).save)
            taught.complete(data=data.fingerprint)
            run.use(data)
            run.use(taught)
        return run.folder

    return make


@pytest.fixture(scope="session")
def folder(run_folder):
    return run_folder()


class Server:
    """`starrec serve` on a free port."""

    def __init__(self, *arguments):
        command = [
            sys.executable,
            "-c",
            "from starrec.cli import main; main()",
            "serve",
            "--port",
            "0",
            *arguments,
        ]
        self.process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        self.first_line = self.process.stderr.readline()
        assert self.first_line.startswith("serving "), self.first_line
        self.url = self.first_line.split(" at ")[1].split(" ")[0]
        self.lines = []
        self._reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr))
        self._reader.start()

    def until_ready(self, client=httpx):
        while client.get(f"{self.url}/readyz").json()["status"] == "loading":
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self._reader.join()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._reader.join()


@pytest.fixture(scope="session")
def started():
    """Starts `starrec serve` with further arguments; a context."""
    return Server


@contextmanager
def _serving(folder, keys=None, **settings):
    config = ServingConfig(**{"reload_seconds": 0.02, **settings})
    with served(application(folder, config, keys)) as url, httpx.Client(base_url=url, timeout=30) as client:
        while client.get(url.removesuffix("/v1") + "/readyz").json()["status"] == "loading":
            time.sleep(0.01)
        yield client


@pytest.fixture(scope="session")
def serving():
    """Serves a run folder in this process; a client of it, once the run is loaded or cannot be."""
    return _serving
