"""`starrec signals` and its commands, on a small shop."""

import json
import shutil
import threading

import pytest
from tests.commands.conftest import done, own, refused, starrec

from starrec.store import LmdbStore, evidence_folder


@pytest.fixture(scope="module")
def built(shop_files):
    """A folder with a shop's files and its evidence, built once."""
    folder = shop_files
    result = done("signals", "build", *own(folder), "--run", folder / "run")
    assert "counting 916 interactions" in result.stderr and "v00001" in result.stderr
    return folder


@pytest.fixture
def shop(built, tmp_path, monkeypatch):
    """A copy of it, with new interactions at hand."""
    folder = shutil.copytree(built, tmp_path / "shop")
    (folder / "new.csv").write_text(
        "user_id,item_id,timestamp\nu1,i20,1800000000\nnewcomer,i5,1800000001\nu0,i21,1800000002\n"
    )
    (folder / "brand_new.csv").write_text("user_id,item_id,timestamp\nnewcomer,n1,1800000003\n")
    (folder / "more.csv").write_text("item_id,title,categories\nn1,Brand new [bold]mug\x1b,mug\n")
    monkeypatch.chdir(folder)
    return folder


def test_a_build_is_done_once_for_the_same_inputs(shop):
    result = done("signals", "build", "--run", "run")
    assert "done before" in result.stderr and "since" not in result.stderr
    done("signals", "build", "--run", "run", "--fresh")
    assert (evidence_folder(shop / "run") / "CURRENT").read_text() == "v00002\n"


def test_an_update_adds_what_is_new(shop):
    result = done("signals", "update", "--run", "run", "--interactions", "new.csv")
    assert "2 new interactions (known before: 1), 1 new user, 0 new items" in result.stderr
    again = done("signals", "update", "--run", "run", "--interactions", "new.csv")
    assert "0 new interactions (known before: 3)" in again.stderr
    assert LmdbStore.open(evidence_folder(shop / "run")).meta.interactions == 918
    assert "with 1 update since" in done("signals", "build", "--run", "run").stderr


def test_new_items_come_with_their_titles(shop):
    update = ["signals", "update", "--run", "run", "--interactions", "brand_new.csv"]
    refused(starrec(*update), "'n1'", "not among the items")
    done(*update, "--items", "more.csv")
    result = done("signals", "show", "n1", "--run", "run", "--all")
    assert "1 of 61 people took Brand new [bold]mug" in result.stdout and "\x1b" not in result.stdout


def test_a_build_of_other_inputs_leaves_the_updated_one_where_it_is(shop):
    build = ["signals", "build", *own(shop), "--run", "other"]
    done(*build)
    done("signals", "update", "--run", "other", "--interactions", "new.csv")
    before = evidence_folder(shop / "other")
    (shop / "my.csv").write_text((shop / "my.csv").read_text() + "u8,i0,1800000009\n")
    assert "with 1 update since" in done(*build).stderr and evidence_folder(shop / "other") == before
    printed = done(*build, "--update-data").stderr
    assert "the 2 interactions that updates added to the one before are not in this one" in printed
    assert before.name in printed
    assert evidence_folder(shop / "other") != before
    assert LmdbStore.open(before).meta.interactions == 918
    assert LmdbStore.open(evidence_folder(shop / "other")).meta.interactions == 917


def test_other_times_are_refused(shop):
    (shop / "places.csv").write_text("user_id,item_id,position\nu1,i20,3\n")
    result = starrec("signals", "update", "--run", "run", "--interactions", "places.csv")
    refused(result, "places.csv has positions", "run has times")


def test_columns_of_an_update_may_have_other_names(shop):
    (shop / "log.csv").write_text("who;what;when\nnewcomer;i20;1800000000\n")
    columns = [
        part for name in ("user_id=who", "item_id=what", "timestamp=when") for part in ("--column", name)
    ]
    update = ["signals", "update", "--run", "run", "--interactions", "log.csv", "--delimiter", ";"]
    assert "1 new interaction, 1 new user," in done(*update, *columns).stderr


def test_bad_rows_of_an_update_are_refused_or_skipped(shop):
    (shop / "new.csv").write_text("user_id,item_id,timestamp\nu1,i20,soon\nu2,i20,1800000000\n")
    update = ["signals", "update", "--run", "run", "--interactions", "new.csv"]
    refused(starrec(*update), "new.csv, line 2", "--skip-bad-rows")
    result = done(*update, "--skip-bad-rows")
    assert "1 bad row" in result.stderr and "1 new interaction," in result.stderr


def test_show_speaks_of_an_item(shop):
    result = done("signals", "show", "blue mug", "--run", "run", "--top", 2)
    assert "Blue mug  (id i0)" in result.stdout and "people took Blue mug." in result.stdout
    for part in ("taken by the same people", "taken soon after", "rarely taken", "support", "lift"):
        assert part in result.stdout
    content = json.loads(done("signals", "show", "i0", "--run", "run", "--json").stdout)
    near = content["taken by the same people"]
    assert content["title"] == "Blue mug" and len(near) == 5
    assert all(fact["support"] >= 3 and fact["title"] in fact["sentence"] for fact in near)


def test_show_keeps_what_rests_on_few_to_the_operator(shop):
    done("signals", "update", "--run", "run", "--interactions", "brand_new.csv", "--items", "more.csv")
    result = done("signals", "show", "n1", "--run", "run")
    assert "Fewer than 3 people took" in result.stdout and "1 of 61" not in result.stdout


def test_an_item_that_nobody_knows_has_near_titles(shop):
    refused(starrec("signals", "show", "Bluu mog", "--run", "run"), "No title 'Bluu mog'", "Blue mug")


def test_stats_count_what_is_there(shop):
    done("signals", "update", "--run", "run", "--interactions", "new.csv")
    content = json.loads(done("signals", "stats", "--run", "run", "--json").stdout)
    assert content["holds"]["users"] == 61 and content["holds"]["interactions"] == 918
    states = {row["version"]: row["state"] for row in content["versions"]}
    assert states["v00002"] == "current" and states["v00001"].startswith("retired")
    assert [row["updates"] for row in content["versions"]] == [0, 1]
    shown = done("signals", "stats", "--run", "run").stdout
    assert "neighbours of an item" in shown and "v00002" in shown


@pytest.mark.parametrize("command", [["show", "x"], ["stats"], ["update", "--interactions", "new.csv"]])
def test_without_evidence_the_command_that_builds_it_is_named(shop, command):
    refused(starrec("signals", *command, "--run", "nowhere"), "no evidence yet", "starrec signals build")


def test_a_redis_that_is_not_there(shop):
    result = starrec("signals", "push", "--run", "run", "--redis", "redis://me:secret@127.0.0.1:1/0")
    refused(result, "does not answer")
    assert "secret" not in result.output


def test_options_stand_behind_the_command(shop):
    refused(starrec("signals", "--run", "run", "stats"), "starrec signals stats --run FOLDER")


def test_two_builds_at_a_time(shop):
    held, release = threading.Event(), threading.Event()

    def hold():
        from starrec.store import Versions

        with Versions(evidence_folder(shop / "run")).writer():
            held.set()
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    try:
        refused(starrec("signals", "update", "--run", "run", "--interactions", "new.csv"), "Another process")
    finally:
        release.set()
        holder.join()


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_engines_count_the_same(shop, engine):
    before = LmdbStore.open(evidence_folder(shop / "run")).records()
    wanted = {key: bytes(value) for key, value in before}
    done("signals", "build", "--run", "run", "--fresh", "--engine", engine)
    found = {key: bytes(value) for key, value in LmdbStore.open(evidence_folder(shop / "run")).records()}
    assert found == wanted


@pytest.mark.parametrize("command", ["build", "update", "show", "stats", "push"])
def test_every_command_has_examples(command):
    shown = done("signals", command, "--help").stdout
    assert "Examples:" in shown and f"starrec signals {command}" in shown
