"""Habits of model servers: does teaching through the command end in all of its runs behind each of them?

    STARREC_INPUTS=FOLDER .venv/bin/python benchmarks/quirks.py [--only NAME]

FOLDER holds `llm-endpoint-quirks.py`, a proxy that answers as the server that QUIRK names (each name that it
compares QUIRK with is one), and `llm-endpoint.toml` with `llm-data`, the configuration of six tasks. For each
name and for `output = "auto"` and `"prompted"`, `starrec llm serve --model embedded` answers behind the
proxy, and `starrec teach` asks it. A quirk passes if both end in 6 of 6 runs. If a try-out ends in a refusal
that names settings, teaching is done again with these. The result is `benchmarks/results/quirks.json`.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from record import keep
from teacher import serving

_TASKS: Final = 6
_COMPARED: Final = re.compile(r'\bQ\s*(?:==\s*("\w+")|in\s*\(([^)]*)\))')
_ADVICE: Final = re.compile(r"With (.*) in \[teacher\.model\] it answers")
_RUNS: Final = re.compile(r"teach: (\d+) runs over")
_CHOSE: Final = re.compile(r"is asked with (.*?): otherwise")
_STARREC: Final = (sys.executable, "-c", "from starrec.cli import main; main()")


def quirks(proxy: Path) -> list[str]:
    """Every name that the proxy compares QUIRK with."""
    found = _COMPARED.findall(proxy.read_text(encoding="utf-8"))
    return sorted({name for pair in found for name in re.findall(r'"(\w+)"', " ".join(pair))})


def main(
    inputs: Annotated[
        Path, typer.Option(envvar="STARREC_INPUTS", help="Folder of the proxy, the configuration and the data.")
    ],
    only: Annotated[str, typer.Option(help="One quirk.")] = "",
) -> None:
    """Ask behind each quirk, in each form of answers."""
    proxy = inputs.resolve() / "llm-endpoint-quirks.py"
    names = [only] if only else quirks(proxy)
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copytree(inputs / "llm-data", folder / "llm-data")
        written = (inputs / "llm-endpoint.toml").read_text(encoding="utf-8")
        (folder / "data.toml").write_text(written.partition("[teacher]")[0] + "[teacher]\ntasks_per_user = 1\n")
        _starrec(folder, "data", "--config", "data.toml", "--run", "served")
        with serving("--model", "embedded", "--run", str(folder / "served")) as url:
            for name in names:
                rows[name] = {}
                with _behind(proxy, name, url, folder) as base_url:
                    for output in ("auto", "prompted"):
                        rows[name][output] = _taught(folder, written, base_url, output)
                print(f"{name}: {rows[name]}", flush=True)
    failed = [name for name, row in rows.items() if any(end["runs"] != _TASKS for end in row.values())]
    if not only:
        keep("quirks", {"quirks": len(rows), "failed": failed, "rows": rows}, {"quirks_failed": len(failed)})


def _taught(folder: Path, written: str, base_url: str, output: str) -> dict[str, Any]:
    """How many runs teaching ends in; once more with the settings that a refusal advises."""
    end = _once(folder, written, base_url, f'output = "{output}"')
    advised = _ADVICE.search(end["output"])
    if end["runs"] == 0 and advised is not None:
        given = advised[1] if "output =" in advised[1] else f'output = "{output}", {advised[1]}'
        end = {**_once(folder, written, base_url, given), "advised": advised[1]}
    return {key: value for key, value in end.items() if key != "output" or end["runs"] != _TASKS}


def _once(folder: Path, written: str, base_url: str, settings: str) -> dict[str, Any]:
    lines = "\n".join(re.split(r", (?=\w+ = )", settings))
    config = re.sub(r"base_url = .*", lambda _: f'base_url = "{base_url}"\n{lines}', written)
    (folder / "teach.toml").write_text(config, encoding="utf-8")
    shutil.rmtree(folder / "run", ignore_errors=True)
    printed = _starrec(folder, "teach", "--config", "teach.toml", "--run", "run")
    runs, chose = _RUNS.search(printed), _CHOSE.search(printed)
    return {"runs": int(runs[1]) if runs else 0, "chose": chose[1] if chose else "", "output": printed[-600:]}


def _starrec(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [*_STARREC, *arguments], cwd=folder, capture_output=True, text=True, timeout=180, check=False
    )
    return " ".join((ended.stdout + ended.stderr).split())


@contextmanager
def _behind(proxy: Path, quirk: str, url: str, folder: Path) -> Iterator[str]:
    """The base URL of the proxy with this quirk, while the context lasts."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "QUIRK": quirk, "UP": url.removesuffix("/v1"), "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, str(proxy)],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    typer.run(main)
