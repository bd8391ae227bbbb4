"""The store on LMDB: the answers of the counts, whole versions whatever happens, and nothing damaged served."""

import gc
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lmdb
import numpy as np
import polars as pl
import pytest

from starrec.data import save_dataset
from starrec.engines import Workers
from starrec.errors import RunError
from starrec.signals import Counts, Graph, Semantics, TaskView, gather, in_memory
from starrec.store import (
    FORMAT,
    Kind,
    LmdbStore,
    Settings,
    Versions,
    build,
    built,
    records,
    update,
)
from starrec.store.versions import readable_size

SETTINGS = Settings(history_cap=12, kept=5, ease_items=20, ridge=3.0)
NEW = pl.DataFrame({"user_id": ["u1", "u-new"], "item_id": ["i3", "i4"], "time": [6_000_000, 6_000_001]})


def test_a_store_answers_as_the_counts_it_was_built_from(source, counts, answers_like):
    answers_like(source, counts)


def test_in_memory_it_answers_the_same(source, counts, answers_like):
    read = in_memory(source)
    answers_like(read, counts)
    assert isinstance(read, Counts) and in_memory(counts) is counts


def test_a_graph_of_a_store_is_the_graph_of_its_counts(source, counts):
    anchors, subjects = np.arange(10, dtype=np.int32), np.arange(5, 25, dtype=np.int32)
    for user in (-1, 0, 7):
        ours, theirs = Graph(source).without(user), Graph(counts).without(user)
        assert ours.n_users == theirs.n_users
        for ask in ("cooccurrence", "followed", "around", "ease"):
            found, wanted = getattr(ours, ask)(anchors, subjects), getattr(theirs, ask)(anchors, subjects)
            assert np.array_equal(found, wanted, equal_nan=True), ask
        views = [TaskView(each, Semantics([["a"]] * 25), anchors, subjects) for each in (ours, theirs)]
        found, wanted = map(gather, views)
        assert np.array_equal(found.scores, wanted.scores, equal_nan=True)


def test_the_log_comes_back(source, log):
    kept = source.log()
    assert kept.user_ids == log.user_ids and kept.catalogue.equals(log.catalogue)
    for name in ("ptr", "items", "times"):
        assert np.array_equal(getattr(kept, name), getattr(log, name)), name
    assert kept.sha256() == log.sha256() == source.meta.sha256


def test_the_inverse_is_mapped_and_outlives_its_source(tmp_path, log):
    versions = Versions(tmp_path)
    build(versions, log, "all items", Settings())
    precision = LmdbStore.open(versions.folder).ease().precision
    assert precision.shape == (25, 25)
    assert not precision.flags.owndata and not precision.flags.writeable and precision.flags.aligned
    gc.collect()
    assert np.array_equal(precision, Counts.build(log.sequences(), log.n_items).ease().precision)


def test_numbers_are_read_where_they_lie(source):
    items = np.arange(25, dtype=np.int32)
    assert all(users.flags.aligned and not users.flags.owndata for users in source.postings(items))


def test_threads_and_processes_read_at_the_same_time(source, counts):
    items = np.arange(25, dtype=np.int32)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: _postings(source, items), range(50)))
    assert all(np.array_equal(values, _postings(counts, items)) for values in found)
    with Workers(source, 2) as workers:
        found = list(workers.map(_postings, [items] * 4))
    assert all(np.array_equal(values, _postings(counts, items)) for values in found)


def _postings(source, items):
    return np.concatenate(source.postings(items))


def test_a_source_pickles_by_its_path(source):
    again = pickle.loads(pickle.dumps(source))
    assert again.version == source.version and len(pickle.dumps(source)) < 1000


# Versions


def test_a_build_is_known_by_its_inputs(versions, log):
    assert built(versions, "first") == versions.require()
    assert built(versions, "others") is None
    update(versions, NEW)
    assert built(versions, "first") == versions.require(), "updates belong to the build they were added to"


def test_a_build_does_not_lose_updates_unasked(versions, log):
    update(versions, NEW)
    with pytest.raises(RunError, match=r"updated since it was built.*added: [12]\)"):
        build(versions, log, "others", SETTINGS)
    build(versions, log, "others", SETTINGS, fresh=True)
    assert LmdbStore.open(versions.folder).meta.interactions == len(log.items)


def test_old_versions_stay_for_the_grace_period_and_then_go(versions, log):
    patient = Versions(versions.folder, grace=1000)
    build(patient, log, "second", SETTINGS)
    assert [path.name for path in patient.all()] == ["v00001", "v00002"]
    retired = versions.folder / "v00001" / "retired"
    os.utime(retired, (time.time() - 1001,) * 2)
    build(patient, log, "third", SETTINGS)
    assert [path.name for path in patient.all()] == ["v00002", "v00003"]


def test_a_reader_goes_on_with_a_version_that_was_removed(versions, log, counts, answers_like):
    reader = LmdbStore.open(versions.folder)
    build(versions, log, "second", SETTINGS)
    assert not reader.version.exists()
    answers_like(reader, counts)


def test_a_write_in_progress_is_not_joined(versions, log):
    with versions.writer(), pytest.raises(RunError, match="Another process"):
        build(versions, log, "second", SETTINGS)


def test_without_evidence_there_is_a_command_to_run(tmp_path):
    with pytest.raises(RunError, match=r"no evidence yet.*starrec signals build"):
        LmdbStore.open(tmp_path)


@pytest.mark.parametrize("name", ["v00099", "../other", ""])
def test_a_current_that_names_nothing_is_an_error_and_nothing_is_removed(versions, log, name):
    (versions.folder / "CURRENT").write_text(name)
    with pytest.raises(RunError, match="CURRENT"):
        LmdbStore.open(versions.folder)
    if name != "v00099":
        with pytest.raises(RunError, match="v00001"):
            build(versions, log, "second", SETTINGS)
    assert (versions.folder / "v00001" / "data.mdb").exists()


# What may go wrong

BUILD = """
import os, signal, sys
from pathlib import Path
from starrec.data import load_saved_dataset
from starrec.store import Log, Settings, Versions, build
from starrec.store.lmdb_store import Writer

at = int(sys.argv[2])

def bar(name, total):
    def advance(done):
        if name == "writing":
            os.kill(os.getpid(), signal.SIGKILL)
    return advance

class Slow(Writer):
    def __exit__(self, *error):
        if at == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        super().__exit__(*error)

import importlib
importlib.import_module("starrec.store.build").Writer = Slow
versions = Versions(Path(sys.argv[1]))
if at == 2:
    import starrec.store.versions as module
    real = module.write_atomic
    def write(path, content):
        if path.name == "CURRENT":
            os.kill(os.getpid(), signal.SIGKILL)
        return real(path, content)
    module.write_atomic = write
build(versions, Log.of(load_saved_dataset(Path(sys.argv[3])), 3), "second", Settings(kept=4))
"""


@pytest.mark.parametrize("at", [1, 2])
def test_killed_while_building_the_old_version_stays_whole(
    versions, log, shop, counts, answers_like, tmp_path, at
):
    save_dataset(shop, tmp_path / "data")
    command = [sys.executable, "-c", BUILD, str(versions.folder), str(at), str(tmp_path / "data")]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (versions.folder / "v00002").exists(), "it was killed too early to show anything"
    assert versions.require().name == "v00001"
    answers_like(LmdbStore.open(versions.folder), counts)
    build(versions, log, "third", SETTINGS)
    assert [path.name for path in versions.all()] == ["v00002"]
    answers_like(LmdbStore.open(versions.folder), counts)


def test_readers_of_other_processes_see_whole_versions_while_updates_replace_them(versions, tmp_path):
    code = """
import sys
from pathlib import Path
import numpy as np
from starrec.store import LmdbStore
folder, stop, seen = Path(sys.argv[1]), Path(sys.argv[2]), set()
while not stop.exists() or len(seen) < 2:
    source = LmdbStore.open(folder)
    items = np.arange(source.about.n_items, dtype=np.int32)
    postings = source.postings(items)
    assert [len(users) for users in postings] == source.popularity.tolist()
    assert source.lengths.sum() == sum(map(len, postings))
    assert len(source.log().items) == source.meta.interactions
    if not seen:
        print("begun", flush=True)
    seen.add(source.version.name)
    del source
print(len(seen))
"""
    stop = tmp_path / "stop"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(versions.folder), str(stop)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        assert [reader.stdout.readline() for reader in readers] == ["begun\n"] * 2
        patient = Versions(versions.folder, grace=1)
        for number in range(25):
            frame = NEW.with_columns(user_id=pl.lit(f"u{number % 7}"), item_id=pl.lit(f"i{number}"))
            update(patient, frame)
            time.sleep(0.1)
        stop.touch()
        for reader in readers:
            out, error = reader.communicate(timeout=120)
            assert reader.returncode == 0, error
            assert int(out) >= 2
    finally:
        for reader in readers:
            reader.kill()


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from starrec.data import load_saved_dataset
from starrec.errors import StarrecError
from starrec.store import Log, Settings, Versions, build

log = Log.of(load_saved_dataset(Path(sys.argv[2])), 3)
# Large enough that a limit of 1 MB stops it in the middle, after LMDB has begun.
names = [f"{'long name ' * 200}{user}" for user in range(2000)]
ptr = np.append(log.ptr, np.full(2000 - log.n_users, log.ptr[-1]))
wide = Log(log.order, 3, names, log.catalogue, ptr, log.items, log.times)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    build(Versions(Path(sys.argv[1])), wide, "second", Settings())
except StarrecError as error:
    print(error)
"""


def test_a_write_that_finds_no_space_loses_nothing(versions, shop, counts, answers_like, tmp_path):
    save_dataset(shop, tmp_path / "data")
    command = [sys.executable, "-c", LIMITED, str(versions.folder), str(tmp_path / "data")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout
    assert said.startswith("No space in") and "v00001) is untouched" in said and "needs about" in said
    assert [path.name for path in versions.all()] == ["v00001"]
    answers_like(LmdbStore.open(versions.folder), counts)


def test_too_little_space_is_said_before_anything_is_written(versions, counts, answers_like):
    said = r"No space in .* to write much.*1,000,000,000\.00 GB.*v00001\) is untouched"
    adding = versions.adding("much", 10**18, dict)
    with pytest.raises(RunError, match=said), versions.writer(), adding:
        raise AssertionError("it began")
    assert [path.name for path in versions.all()] == ["v00001"]
    answers_like(LmdbStore.open(versions.folder), counts)


def change(version, change_value):
    """Change records of a version behind its back: `change_value(key, value)`, None to remove."""
    with (
        lmdb.open(str(version), lock=False, map_size=1 << 26) as environment,
        environment.begin(write=True) as t,
    ):
        for raw_key, value in list(t.cursor()):
            changed = change_value(raw_key, value)
            if changed is None:
                t.delete(raw_key)
            elif changed != value:
                t.put(raw_key, changed)


def flip(value):
    return value[:-1] + bytes([value[-1] ^ 1]) if len(value) > records.HEADER_BYTES else value


HOW = {
    "flipped": lambda value: flip(value),
    "cut": lambda value: value[:-2],
    "gone": lambda value: None,
    "other format": lambda value: value[:4] + bytes([FORMAT + 1, 0]) + value[6:],
}


@pytest.mark.parametrize("how", HOW)
def test_damaged_records_are_reported_and_counted_again(versions, counts, answers_like, how):
    derived = [kind for kind in Kind if kind in records.DERIVED]

    def damage(raw_key, value):
        kind, index = records.parse_key(raw_key)
        return HOW[how](value) if kind in derived and index % 3 == 0 else value

    change(versions.require(), damage)
    reports = []
    source = LmdbStore(versions.require(), report=reports.append)
    answers_like(source, counts)
    assert {line.split(": record ")[1].split(" ")[0] for line in reports} >= {
        "postings", "neighbours", "lengths", "popularity", "precision",
    }  # fmt: skip
    assert len(reports) == len(set(reports)), "each is reported once"
    assert all("counted again, not served" in line for line in reports)


def test_two_records_that_changed_places_are_not_served(versions, counts, answers_like):
    first, second = records.key(Kind.POSTINGS, 3), records.key(Kind.POSTINGS, 4)
    kept = {}
    change(versions.require(), lambda raw_key, value: kept.setdefault(raw_key, value))
    swapped = {first: kept[second], second: kept[first]}
    change(versions.require(), lambda raw_key, value: swapped.get(raw_key, value))
    reports = []
    answers_like(LmdbStore(versions.require(), report=reports.append), counts)
    assert len(reports) == 2


def test_a_damaged_history_comes_from_the_fallback_or_says_to_build_again(versions, counts, answers_like):
    broken = records.key(Kind.HISTORY, 5)
    change(versions.require(), lambda raw_key, value: flip(value) if raw_key == broken else value)
    alone = LmdbStore(versions.require(), report=lambda line: None)
    with pytest.raises(RunError, match=r"history of user 5.*starrec signals build --fresh"):
        alone.sequence(5)
    assert len(alone.sequence(4)[0])
    with pytest.raises(RunError, match="history of user 5"):
        update(versions, NEW, report=lambda line: None)
    reports = []
    answers_like(LmdbStore(versions.require(), report=reports.append, fallback=counts), counts)
    assert any("history 5" in line for line in reports)


def test_an_update_mends_the_lists_it_reads(versions, log, counts):
    broken = records.key(Kind.NEIGHBOURS, 20)
    change(versions.require(), lambda raw_key, value: flip(value) if raw_key == broken else value)
    update(versions, NEW, report=lambda line: None)
    reports = []
    LmdbStore(versions.require(), report=reports.append).neighbours(np.arange(25, dtype=np.int32))
    assert not reports


def test_an_update_counts_a_damaged_matrix_of_pairs_again(versions, log, tmp_path):
    broken = records.key(Kind.GRAM)
    change(versions.require(), lambda raw_key, value: flip(value) if raw_key == broken else value)
    reports = []
    update(versions, NEW, report=reports.append)
    assert len(reports) == 1 and "gram 0 is counted again" in reports[0]
    undamaged = Versions(tmp_path / "undamaged")
    build(undamaged, log, "first", SETTINGS)
    update(undamaged, NEW)
    found, wanted = (LmdbStore.open(each.folder).ease() for each in (versions, undamaged))
    assert np.array_equal(found.precision, wanted.precision)


def test_a_store_of_a_newer_format_names_both_and_the_fix(versions):
    newer = records.key(Kind.META)
    change(
        versions.require(),
        lambda raw_key, value: value[:4] + bytes([FORMAT + 1, 0]) + value[6:] if raw_key == newer else value,
    )
    with pytest.raises(RunError, match=rf"format {FORMAT + 1}.*reads format {FORMAT}.*Install.*--fresh"):
        LmdbStore.open(versions.folder)


@pytest.mark.parametrize("content", ["cut", "noise", "empty"])
def test_a_file_that_is_no_store_is_refused_and_kills_nobody(versions, content):
    path = versions.require() / "data.mdb"
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "noise": os.urandom(len(whole)), "empty": b""}[content])
    with pytest.raises(RunError, match="starrec signals build"):
        LmdbStore.open(versions.folder)


def test_an_unreadable_description_says_what_to_do(versions, log):
    (versions.require() / "about.json").write_text("{")
    with pytest.raises(RunError, match=r"about.json.*--fresh"):
        built(versions, "first")
    build(versions, log, "first", SETTINGS, fresh=True)
    assert built(versions, "first")


def test_a_copied_version_is_a_version(versions, counts, answers_like, tmp_path):
    copy = shutil.copytree(versions.require(), tmp_path / "elsewhere" / "v00007")
    answers_like(LmdbStore(copy), counts)
    assert json.loads((Path(copy) / "about.json").read_text())["inputs"] == "first"


def test_sizes_are_said_in_units_that_fit():
    assert [readable_size(size) for size in (20, 2_500_000, 3e9)] == ["0.0 kB", "2.5 MB", "3.00 GB"]
