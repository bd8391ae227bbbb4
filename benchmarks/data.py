"""The bars of reading people's own files, one command a row.

    .venv/bin/python benchmarks/data.py ROW [options]

Each row prints what it measured, its bars last, and keeps it as `benchmarks/results/data_ROW.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import polars as pl
import typer

import file_fuzz
from record import keep

WORK: Final = Path("runs/benchmarks")
_STARREC: Final = [sys.executable, "-c", "from starrec.cli import main; main()"]
_MEMORY_MB: Final = 500

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True)
class Wanted:
    """What must come of a folder of inputs."""

    said: tuple[str, ...] = ()
    """Parts of what `starrec data` says."""
    options: tuple[str, ...] = ()
    refused: bool = False
    """Code 2 and one paragraph; else the dataset is that of `like`, and `starrec signals` works too."""
    like: str | None = None
    """The folder whose dataset this one's must equal."""


_SPAN: Final = "2017-07-22 to 2017-11-17"
_FIRST: Final = "122 interactions, 14 users, 30 items, 6 categories"
_SECONDS: Final = f"timestamps read as seconds: {_SPAN}"
_MOVIELENS: Final = (
    "--column",
    "user_id=userId",
    "--column",
    "item_id=movieId",
    "--column",
    "categories=genres",
)
_HETREC: Final = (
    *("--column", "user_id=userID", "--column", "interactions.item_id=artistID"),
    *("--column", "items.item_id=id", "--column", "title=name"),
)
WANTED: Final[dict[str, tuple[Wanted, ...]]] = {
    "plain-good": (Wanted((_FIRST, _SECONDS)),),
    "categories-comma": (
        Wanted(("30 of 30 cells of 'categories' hold \", \"", "--category-separator", "3 categories")),
        Wanted((_FIRST,), ("--category-separator", ", "), like="plain-good"),
    ),
    "categories-list-and-text": (Wanted((_FIRST,)),),
    "categories-object": (
        Wanted(("30 bad rows", "items.jsonl, line 1, column 'categories'", "is an object"), refused=True),
    ),
    "categories-python-list": (Wanted((_FIRST,), like="plain-good"),),
    "five-each": (Wanted(("200 interactions, 40 users, 30 items",)),),
    "header-only-log": (Wanted(("log.csv has no interactions under the header",), refused=True),),
    "hetrec-names": (
        Wanted(("--column items.item_id=id --column items.title=name",), refused=True),
        Wanted(
            ("--column interactions.item_id=artistID",),
            ("--column", "item_id=id", "--column", "title=name"),
            refused=True,
        ),
        Wanted(("122 interactions, 14 users, 30 items", _SECONDS), _HETREC),
    ),
    "latin1": (
        Wanted(("items.csv, line 23, column 'title'", "encoding"), refused=True),
        Wanted((_FIRST,), ("--encoding", "latin-1")),
    ),
    "llm-data": (Wanted(("65 interactions, 6 users, 40 items",)),),
    "lone-quotes-log": (
        Wanted((_FIRST,)),
        Wanted(
            ("log.tsv, line 22, column 'summary'", "log.tsv, line 72", '--quote ""'), ("--quote", '"'), True
        ),
        Wanted(("120 interactions", "2 bad rows"), ("--quote", '"', "--skip-bad-rows")),
    ),
    "movielens-header": (
        Wanted(("--column items.item_id=movieId --column items.categories=genres",), refused=True),
        Wanted((_FIRST, _SECONDS), _MOVIELENS),
    ),
    "odd-years": (
        Wanted(("items.csv, line 7, column 'year': year '199?' is not a number",), refused=True),
        Wanted(
            ("3 years outside 1000 to 2100 (0, 20010, -500; line 3, 4, 9) read as unknown", "6 bad rows"),
            ("--skip-bad-rows",),
        ),
    ),
    "one-float-id-jsonl": (Wanted(("122 interactions, 14 users, 30 items", _SECONDS)),),
    "one-user-took-most": (Wanted(("1,755 interactions, 121 users, 60 items",)),),
    "repeats": (
        Wanted((_FIRST, "30 repeats of a user and item left out (the first counts)"), like="plain-good"),
        Wanted((_FIRST, "30 repeats of a user and item left out (the last counts)"), ("--repeats", "last")),
    ),
    "timestamps-iso": (Wanted((f"timestamps read as ISO 8601 text: {_SPAN}",), like="plain-good"),),
    "timestamps-ms": (Wanted((f"timestamps read as milliseconds: {_SPAN}",), like="plain-good"),),
    "timestamps-ns": (Wanted((f"timestamps read as nanoseconds: {_SPAN}",), like="plain-good"),),
    "timestamps-one-in-us": (
        Wanted(("log.csv, line 124, column 'timestamp'", f"far outside of the others, {_SPAN}"), refused=True),
        Wanted((_FIRST, "1 bad row"), ("--skip-bad-rows",), like="plain-good"),
    ),
    "title-as-list": (Wanted(("122 interactions, 14 users, 30 items",)),),
    "title-nan-csv": (
        Wanted(("items.csv, line 5, column 'title': there is no title",), refused=True),
        Wanted(("29 items", "4 bad rows"), ("--skip-bad-rows",)),
    ),
}
"""By folder, what is run one after the other."""


@app.command()
def inputs(
    folder: Annotated[
        Path | None,
        typer.Argument(
            envvar="STARREC_INPUTS", help="Folder with one folder an input, each with a log and items."
        ),
    ] = None,
) -> None:
    """Every folder of inputs through `starrec data` and `starrec signals`: the wanted outcome, no traceback, no
    row lost without a word, at most 500 MB."""
    if folder is None or not folder.is_dir():
        raise typer.BadParameter("name the folder of inputs, or set STARREC_INPUTS")
    found: dict[str, Any] = {}
    datasets: dict[str, str] = {}
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in sorted(WANTED, key=lambda name: (name != "plain-good", name)):
            for number, wanted in enumerate(WANTED[name]):
                run = Path(scratch) / f"{name}-{number}"
                row = _try(folder / name, wanted, run, datasets)
                if number == 0 and run.exists():
                    datasets[name] = json.loads((_kept(run) / "dataset.json").read_text())["sha256"]
                failed += bool(row["wrong"])
                found[f"{name} {' '.join(wanted.options)}".strip()] = row
                _say(f"{name} {' '.join(wanted.options)}: {row['wrong'] or 'as wanted'}, {row['peak_mb']} MB")
    unknown = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and list(entry.glob("log.*")) and entry.name not in WANTED
    )
    peak = max(row["peak_mb"] for row in found.values())
    bars = {"inputs_not_as_wanted": failed + len(unknown), "inputs_peak_mb": peak}
    keep("data_inputs", {"folders": len(WANTED), "unknown_folders": unknown, "found": found}, bars)


def _try(folder: Path, wanted: Wanted, run: Path, datasets: Mapping[str, str]) -> dict[str, Any]:
    (log,), (items,) = folder.glob("log.*"), folder.glob("items.*")
    files = ["--interactions", str(log), "--items", str(items)]
    code, output, peak = _starrec("data", "--run", str(run), *files, *wanted.options)
    wrong = [f"it does not say {part!r}" for part in wanted.said if part not in output]
    if "Traceback" in output:
        wrong.append("a traceback")
    if code != (2 if wanted.refused else 0):
        wrong.append(f"code {code}: {output[-300:]}")
    if wanted.refused and run.exists():
        wrong.append("a refused file left a run folder")
    if not wanted.refused and code == 0:
        wrong += _lost(log, items, run, output)
        about = json.loads((_kept(run) / "dataset.json").read_text())
        if wanted.like is not None and about["sha256"] != datasets.get(wanted.like):
            wrong.append(f"the dataset is another than that of {wanted.like}")
        code, said, more = _starrec("signals", "--run", str(run))
        peak = max(peak, more)
        if code or "Traceback" in said:
            wrong.append(f"signals ends with {code}: {said[-300:]}")
    if peak > _MEMORY_MB:
        wrong.append(f"{peak} MB")
    return {
        "wrong": wrong,
        "peak_mb": peak,
        "said": output.strip().splitlines()[-1].replace(f"{folder}/", "")[:400],
    }


def _lost(log: Path, items: Path, run: Path, output: str) -> list[str]:
    """Rows that are neither in the dataset nor spoken of; each of these files has a row a line."""
    counts = {}
    for path in (log, items):
        header = not path.name.endswith(".jsonl")
        counts[path] = sum(1 for line in path.read_bytes().splitlines() if line.strip()) - header
    kept = pl.read_parquet(_kept(run) / "interactions.parquet").height
    kept += json.loads((_kept(run) / "dataset.json").read_text())["repeats"]
    kept += pl.read_parquet(_kept(run) / "items.parquet").height
    bad = int(found.group(1)) if (found := re.search(r"left out (\d+) bad row", output)) else 0
    lost = sum(counts.values()) - kept - bad
    return [f"{lost} rows went without a word"] if lost else []


def _kept(run: Path) -> Path:
    """Where a run keeps its dataset."""
    return next(run.glob("data/**/dataset.json")).parent


def _starrec(*arguments: str) -> tuple[int, str, int]:
    """Code, what was said, and the greatest memory in MB of a command."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([*_STARREC, *arguments], stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        return process.returncode, said.read().decode(), round(used.ru_maxrss / 1024)


@app.command()
def fuzz(
    pairs: Annotated[int, typer.Option(help="Pairs of files.")] = 3000,
    seed: Annotated[int, typer.Option(help="Of the first pair; the others follow.")] = 0,
) -> None:
    """Generated pairs of files: valid ones equal what was meant, and no row of any goes without a word."""
    lost, valid, kinds = 0, 0, Counter[str]()
    wrong: dict[str, list[str]] = {}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(seed, seed + pairs):
            pair = file_fuzz.make(number, Path(scratch))
            gone, problems = file_fuzz.judge(pair)
            lost += gone
            valid += not pair.faults
            kinds.update(fault.split(": ")[1] for fault in pair.faults)
            if problems:
                wrong[str(number)] = problems
                _say(f"seed {number}: {problems[0][:300]}")
            for path in (pair.interactions, pair.items):
                path.unlink()
            if (number - seed + 1) % 500 == 0:
                _say(f"{number - seed + 1:,} pairs, {time.monotonic() - started:.0f} s")
    if valid < 0.6 * pairs:
        raise SystemExit(f"only {valid} of {pairs} pairs are valid by construction")
    found = {"pairs": pairs, "valid": valid, "faults": dict(kinds), "wrong": wrong}
    keep("data_fuzz", found, {"fuzz_rows_lost": lost, "fuzz_not_as_meant": len(wrong)})


@app.command()
def scale(
    millions: Annotated[int, typer.Option(help="Interactions, in millions.")] = 25,
    work: Annotated[Path, typer.Option(help="Folder for generated files.")] = WORK,
) -> None:
    """`starrec data` on generated CSV, strict, beside the same work in plain Polars (bars: 2.5 times, 6
    GiB)."""
    folder = work / f"csv-{millions}M"
    log, items = generate(folder, millions * 1_000_000)
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        started = time.monotonic()
        plain = subprocess.run(
            [sys.executable, __file__, "plain", str(log), str(items), scratch],
            check=True,
            capture_output=True,
            text=True,
        )
        seconds_plain = time.monotonic() - started
        _say(f"plain Polars: {plain.stdout.strip()}, {seconds_plain:.1f} s with its start")
        started = time.monotonic()
        files = ["--interactions", str(log), "--items", str(items)]
        code, said, peak = _starrec("data", "--run", f"{scratch}/run", *files)
        seconds = time.monotonic() - started
        _say(said.strip())
        if code:
            raise SystemExit(f"starrec data ended with {code}")
        ours = pl.read_parquet(_kept(Path(scratch) / "run") / "interactions.parquet")
        theirs = pl.read_parquet(Path(scratch) / "plain.parquet")
        names = ["user", "item", "time"]
        same = ours.select(names).equals(theirs.select(pl.col(name).cast(ours.schema[name]) for name in names))
    found = {
        "interactions": millions * 1_000_000,
        "csv_mb": round(log.stat().st_size / 1e6),
        "seconds": round(seconds, 2),
        "seconds_plain_polars": round(seconds_plain, 2),
        "plain": json.loads(plain.stdout),
        "same_rows": same,
    }
    bars = {
        f"data_{millions}m_ratio": round(seconds / seconds_plain, 2),
        f"data_{millions}m_gib": round(peak / 1024, 2),
    }
    keep(f"data_scale_{millions}M", found, bars)


@app.command(hidden=True)
def plain(log: Path, items: Path, out: Path) -> None:
    """The same work in plain Polars: read, ids, unique, sort, Parquet, content hash."""
    started = time.monotonic()
    frame = pl.read_csv(log, schema_overrides={"user_id": pl.String, "item_id": pl.String})
    catalogue = pl.read_csv(items, infer_schema=False).select("item_id").with_row_index("item")
    users = frame.select(pl.col("user_id").unique()).sort(pl.col("user_id").str.len_chars(), "user_id")
    edges = (
        frame.lazy()
        .join(users.with_row_index("user").lazy(), on="user_id")
        .join(catalogue.lazy(), on="item_id")
        .select("user", "item", pl.col("timestamp").alias("time"), "rating")
        .sort("user", "time", "item")
        # Three times as fast as `unique` of the two columns.
        .filter((pl.col("user").cast(pl.Int64) * catalogue.height + pl.col("item")).is_first_distinct())
        .collect()
    )
    edges.write_parquet(out / "plain.parquet")
    digest = hashlib.sha256()
    for name in edges.columns:
        digest.update(edges[name].to_numpy().tobytes())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = {
        "rows": edges.height,
        "peak_gib": round(peak / 1024**2, 2),
        "seconds": round(time.monotonic() - started, 2),
    }
    print(json.dumps(result | {"sha256": digest.hexdigest()[:12]}))


def generate(folder: Path, interactions: int) -> tuple[Path, Path]:
    """CSV files with so many rows: users of 154 on average, popular items first, times of 24 years, half
    stars."""
    log, items = folder / "log.csv", folder / "items.csv"
    if log.exists() and items.exists():
        return log, items
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    n_users, n_items = max(interactions // 154, 10), max(int(59_047 * (interactions / 25e6) ** 0.5), 100)
    frame = pl.DataFrame(
        {
            "user_id": np.sort(random.integers(1, n_users + 1, interactions)),
            "item_id": 1 + (n_items * random.random(interactions) ** 2).astype(np.int64),
            "rating": random.integers(1, 11, interactions) / 2,
            "timestamp": random.integers(789_652_009, 1_574_327_703, interactions),
        }
    )
    # In no order of users or times, as a log may stand.
    frame.sample(fraction=1, shuffle=True, seed=1).write_csv(log)
    pl.DataFrame({"item_id": np.arange(1, n_items + 1)}).with_columns(
        title=pl.format("Title {}", "item_id"), categories=pl.lit("Drama|Comedy"), year=pl.lit(1999)
    ).write_csv(items)
    return log, items


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    app()
