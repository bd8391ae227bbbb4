"""A refresh, end to end: what is new is counted, the student goes on with it, and the better one serves."""

import json
import shutil
from dataclasses import replace

import polars as pl
import pytest
from tests.commands.conftest import TINY, done, own, refused, starrec, write_shop

from starrec import load
from starrec.data import build
from starrec.errors import DataError
from starrec.pipeline.refresh import with_log
from starrec.runs import current_product, products
from starrec.store import Log

pytestmark = pytest.mark.usefixtures("one_process")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with a student and evidence."""
    folder = tmp_path_factory.mktemp("nightly")
    write_shop(folder)
    (folder / "tiny.toml").write_text(TINY)
    run = folder / "run"
    done("data", "--config", folder / "tiny.toml", *own(folder), "--run", run)
    done("distill", "--run", run)
    done("signals", "build", "--run", run)
    return run


@pytest.fixture
def run(trained, tmp_path):
    """Of one's own, beside a file of what came since."""
    rows = [f"new{user},i{item},{1_800_000_000 + item}" for user in range(8) for item in range(user, user + 5)]
    (tmp_path / "new.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    return shutil.copytree(trained, tmp_path / "run")


def _refreshed(run, before):
    """The product that a refresh made beside the student before."""
    students = [product for product, _ in products(run) if product.step == "distill"]
    (made,) = (product for product in students if product.fingerprint != before.fingerprint)
    return made


def test_what_is_new_is_counted_learned_and_compared(run):
    before, marked = current_product(run, "distill"), (run / "run.json").read_text()
    result = done("refresh", "--run", run, "--interactions", run.parent / "new.csv", "--steps", 6)
    assert "40 new interactions" in result.stderr and "40 interactions, 8 users and 0 items" in result.stderr
    made = _refreshed(run, before)
    half_b = made.facts["half_b"]
    assert made.facts["continued"] == before.fingerprint
    better = sum(half_b["now"]) >= sum(half_b["before"])
    assert current_product(run, "distill").fingerprint == (made if better else before).fingerprint
    assert ("serves from now on" in result.stderr) == better
    model = load(run)
    history = [item.item_id for item in model.recommend(user="new3", n=2).history]
    assert history == ["i3", "i4", "i5", "i6", "i7"]

    def compared(now):
        """A refresh that finds its work done, with another outcome on half B."""
        record = json.loads(made.path("product.json").read_text())
        record["facts"]["half_b"] |= {"now": [now] * 3, "before": [0.5] * 3, "users": [0, 1, 2]}
        made.path("product.json").write_text(json.dumps(record))
        (run / "run.json").write_text(marked)
        return done("refresh", "--run", run, "--steps", 6).stderr

    assert "is worse, so the one before goes on serving" in compared(0.4)
    assert current_product(run, "distill").fingerprint == before.fingerprint
    # What is new counts all the same.
    assert len(load(run).recommend(user="new3", n=2).history) == 5
    assert "serves from now on" in compared(0.6)
    assert current_product(run, "distill").fingerprint == made.fingerprint
    assert load(run).system == made.facts["served"]["system"]
    assert "holds nothing that" in done("refresh", "--run", run).stderr
    # The files that the run was made from know nothing of it, and the next full run says so.
    assert "interactions that `starrec refresh` took in" in done("data", "--run", run).stderr


def test_what_cannot_be_refreshed_says_why(run, tmp_path):
    refused(starrec("refresh", "--run", run, "--items", run.parent / "new.csv"), "--interactions")
    refused(starrec("refresh", "--run", tmp_path / "none"), "none")
    (run / "run.json").write_text((run / "run.json").read_text().replace('"evidence"', '"unused"'))
    refused(starrec("refresh", "--run", run), "starrec signals build")


def test_data_with_what_was_added_are_those_that_hold_it_from_the_start():
    rows = [
        (f"u{user}", f"i{(user * 3 + at) % 7}", 100 * at + user, at % 5 + 1.0)
        for user in range(5)
        for at in range(5)
    ]
    schema = ["user_id", "item_id", "time", "rating"]
    items = pl.DataFrame({"item_id": [f"i{at}" for at in range(7)], "title": [f"Film {at}" for at in range(7)]})

    def made(rows):
        return build("films", "clock", pl.DataFrame(rows, schema=schema, orient="row"), items)

    late = [row for row in rows if row[2] >= 300]
    unrated = [(*row[:3], None) if row in late else row for row in rows]
    old = made([row for row in rows if row not in late])
    log, _ = Log.of(old, 3).with_new(pl.DataFrame(late, schema=schema, orient="row"), None)
    grown = with_log(old, log)
    # Ratings of what is new are not known to the evidence.
    assert grown.sha256 == made(unrated).sha256 and grown.interactions.height == 25
    assert with_log(old, Log.of(old, 3)).sha256 == old.sha256
    split = old.interactions.with_columns(part=pl.lit(0, dtype=pl.Int8()))
    with pytest.raises(DataError, match="split of their own"):
        with_log(replace(old, interactions=split), log)
