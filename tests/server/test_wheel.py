"""The built wheel in an environment of its own: what whoever installed it does, on the package's own files.

What starrec depends on is taken from the environment of the tests, after the new one; starrec is the wheel's.
"""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import httpx
import polars as pl
import pytest
from tests.server.conftest import title

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A new environment with the wheel in it; a function that runs its programs."""
    folder = tmp_path_factory.mktemp("new") / "venv"
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True, capture_output=True)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(program, *arguments, process=subprocess.run, **settings):
        command = [str(folder / "bin" / program), *map(str, arguments)]
        return process(command, cwd=folder.parent, env=clean, text=True, **settings)

    return run


def told(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_files_of_the_package_are_in_the_wheel(wheel):
    files = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "starrec").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert any(not path.endswith(".py") for path in files)
    with zipfile.ZipFile(wheel) as held:
        held = set(held.namelist())
    assert files <= held
    assert not [path for path in held - files if not path.startswith("starrec-")]


def test_the_installed_wheel_answers(environment, folder, tmp_path):
    code = "import starrec, sys; print(starrec.__file__); print(*sys.path, sep='\\n')"
    place, *paths = told(environment("python", "-c", code, capture_output=True)).splitlines()
    assert Path(place).is_relative_to(paths[-2]) and not Path(place).is_relative_to(ROOT)
    assert str(ROOT / "src") not in paths

    def answer(*arguments):
        command = [*arguments, "--run", folder, "--json"]
        return json.loads(told(environment("starrec", *command, capture_output=True)))

    def ids(found):
        return [row["item_id"] for row in found["recommendations"]]

    where = ["--where", "categories=Vol. 2.", "--exclude", title(40)]
    found = ids(answer("recommend", "--user", "u5", "--top", "30", *where))
    # The last of the four topics is items 36 to 47, and u5 has some of them.
    assert found and set(found) <= {f"i{item}" for item in range(36, 48)} - {"i40"}
    shelf = tmp_path / "shelf.txt"
    shelf.write_text(f"{title(30)}\ni31\ni32\n")
    assert sorted(ids(answer("recommend", "--user", "u5", "--candidates", shelf))) == ["i30", "i31", "i32"]
    assert len(ids(answer("similar", title(3), "--top", "4"))) == 4
    out = tmp_path / "recs.parquet"
    everybody = ["recommend-all", "--run", folder, "--top", "3", "--out", out]
    told(environment("starrec", *everybody, capture_output=True))
    table = pl.read_parquet(out)
    assert table["user_id"].n_unique() == 80 and table.height == 240


def test_the_installed_wheel_serves(environment, folder):
    serve = ["serve", "--run", folder, "--no-auth", "--port", "0"]
    with environment("starrec", *serve, process=subprocess.Popen, stderr=subprocess.PIPE) as server:
        try:
            line = server.stderr.readline()
            assert line.startswith("serving "), line
            url = line.split(" at ")[1].split(" ")[0]
            assert httpx.get(f"{url}/healthz", timeout=30).json()["status"] == "ok"
            page = httpx.get(url, timeout=30)
            assert page.status_code == 200 and "<title>starrec</title>" in page.text
            described = httpx.get(f"{url}/openapi.json", timeout=30).json()["paths"]
            assert "/v1/recommend" in described
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=30)
