"""`starrec data` and `starrec signals` on files as people have them: code, message, what is kept; and `signals
update` with times in another unit."""

import json
import subprocess
import sys

import polars as pl
import pytest
from tests.commands.conftest import done, refused, starrec

ITEMS = "item_id,title,categories,year\n" + "".join(
    f"i{n},Item number {n},G{n % 3}|H{n % 2},{1990 + n}\n" for n in range(30)
)
START = 1_501_809_776
"""2017-08-04."""
TIMES = [
    (f"u{user}", f"i{(7 * user + 11 * n) % 30}", START + 86_400 * (3 * user + n))
    for user in range(12)
    for n in range(8)
]
PLAIN = "user_id,item_id,timestamp\n" + "".join(f"{user},{item},{time}\n" for user, item, time in TIMES)
SPAN = "2017-08-04 to 2017-09-13"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Writes a log and items, and gives the options that name them; commands run in their folder."""
    monkeypatch.chdir(tmp_path)

    def write(log=PLAIN, items=ITEMS, log_name="log.csv", items_name="items.csv"):
        for name, content in ((log_name, log), (items_name, items)):
            (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return ["--interactions", log_name, "--items", items_name, "--run", "run"]

    return write


def data_line(*arguments):
    """The line in which a command that succeeds describes the data."""
    result = done(*arguments)
    return [line for line in result.stderr.splitlines() if line.startswith("data: log")][-1]


def kept(tmp_path):
    """The run's dataset: what its file says of it."""
    return json.loads(next((tmp_path / "run").glob("data/**/dataset.json")).read_text())


def test_the_line_of_the_data_step(files, tmp_path):
    line = data_line("data", *files())
    assert line == (
        "data: log, 96 interactions, 12 users, 30 items, 5 categories; timestamps read as seconds: " + SPAN
    )
    assert data_line("data", "--run", "run") == line + " (done before)"
    done("signals", "--run", "run")


@pytest.mark.parametrize(
    "unit, write",
    [
        ("milliseconds", lambda time: time * 1000),
        ("nanoseconds", lambda time: time * 10**9),
        (
            "ISO 8601 text",
            lambda time: pl.Series([time * 1000]).cast(pl.Datetime("ms")).dt.strftime("%FT%TZ")[0],
        ),
    ],
)
def test_the_same_times_in_another_form_are_the_same_data(files, tmp_path, unit, write):
    starrec("data", *files())
    plain = kept(tmp_path)["sha256"]
    log = "user_id,item_id,timestamp\n" + "".join(
        f"{user},{item},{write(time)}\n" for user, item, time in TIMES
    )
    options = ["other" if option == "run" else option for option in files(log)]
    assert f"timestamps read as {unit}: {SPAN}" in data_line("data", *options)
    assert json.loads(next((tmp_path / "other").glob("data/**/dataset.json")).read_text())["sha256"] == plain
    done("signals", "--run", "other")


def test_names_of_two_kinds(files):
    log = PLAIN.replace("user_id,item_id", "userID,artistID").replace("u", "").replace("serID", "userID")
    items = ITEMS.replace("item_id,title", "id,name")
    own = files(log, items)
    refused(starrec("data", *own), "no column 'item_id' (item_id), 'title' (title)", "items.item_id=id")
    mapped = ["--column", "items.item_id=id", "--column", "title=name"]
    refused(starrec("data", *own, *mapped), "--column interactions.user_id=", "interactions.item_id=artistID")
    mapped += ["--column", "interactions.item_id=artistID", "--column", "user_id=userID"]
    assert "96 interactions" in data_line("data", *own, *mapped)


def test_double_colons_without_a_header(files):
    log = PLAIN.split("\n", 1)[1].replace(",", "::")
    items = ITEMS.split("\n", 1)[1].replace(",", "::").replace("Item number 3:", "Café:").encode("latin-1")
    own = files(log, items, "log.dat", "items.dat")
    options = ["--encoding", "latin-1", "--no-header", "--names", "interactions=user_id, item_id, timestamp"]
    options += ["--names", "items=item_id,title,categories,year"]
    assert "96 interactions" in data_line("data", *own, *options)
    refused(starrec("data", *own, "--names", "logs=a,b"), "FILE=NAME,NAME", "interactions, items, users")


def test_a_lone_quote(files):
    log = PLAIN.replace("\n", ",note\n", 1).replace("\n", ",ok\n").replace("note,ok", "note")
    log = log.replace(f"u3,i21,{START + 9 * 86_400},ok", f'u3,i21,{START + 9 * 86_400},"great')
    refused(starrec("data", *files(log)), "log.csv, line 26, column 'note'", '--quote ""', "--skip-bad-rows")
    assert "95 interactions" in data_line("data", *files(log), "--skip-bad-rows")
    assert "96 interactions" in data_line("data", *files(log), "--quote", "", "--run", "other")


def test_a_row_in_microseconds_takes_neither_the_data_nor_the_memory(files, tmp_path):
    log = PLAIN + f"u0,i1,{START * 10**6}\n"
    refused(starrec("data", *files(log)), "log.csv, line 98, column 'timestamp'", "far outside", SPAN)
    assert not (tmp_path / "run").exists()
    assert "96 interactions" in data_line("data", *files(log), "--skip-bad-rows")


def test_settings_of_what_counts(files):
    rated = PLAIN.replace("timestamp", "timestamp,rating,fold", 1)
    rated = "\n".join(
        line if number == 0 or not line else f"{line},{1 + number % 5},{'test' if number % 8 == 0 else 'train'}"
        for number, line in enumerate(rated.split("\n"))
    )
    options = ["--min-rating", 2, "--split-column", "fold", "--repeats", "last"]
    line = data_line("data", *files(rated + f"u0,i0,{START + 86_400},5,train\n"), *options)
    # Of 96 rows 19 are rated 1 (numbers 5, 10, … 95); of i0 of u0 the later one counts.
    assert "78 interactions" not in line and "77 interactions" in line and "19 rated below min_rating" in line
    assert "1 repeat of a user and item left out (the last counts)" in line and "split as given" in line
    done("signals", "--run", "run")


def test_a_split_at_two_moments_is_an_option(files):
    done("data", *files(), "--split", "global-time")
    said = done("signals", "--run", "run").output
    assert "validation from 2017-09-0" in said and "test from 2017-09-0" in said


def test_a_split_at_moments_needs_moments(files):
    done("data", *files(PLAIN.replace("timestamp", "position", 1)), "--split", "global-time")
    refused(starrec("signals", "--run", "run"), "only has positions", "--column timestamp=")


def test_a_weight_is_refused(files):
    refused(
        starrec("data", *files(PLAIN.replace("\n", ",1\n").replace("timestamp,1", "timestamp,weight"))),
        "weight",
    )


def test_control_characters_of_files_do_not_reach_the_terminal(files):
    log = PLAIN.replace("u3,", "u3\x1b[2J,", 1).replace(
        f"i21,{START + 9 * 86_400}", "i21\x1b[31m,x\x1b]0;y\x07"
    )
    result = starrec("data", *files(log))
    refused(result, "line 26")
    assert "\x1b" not in result.output and "\x07" not in result.output
    header = PLAIN.replace("item_id", "item\x1b[2J", 1)
    result = starrec("data", *files(header))
    refused(result, "item_id")
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    "option", [["--encoding", "latin-99"], ["--time-unit", "days"], ["--column", "items.when=x"]]
)
def test_options_that_cannot_be_meant(files, option):
    result = starrec("data", *files(), *option)
    assert result.exit_code == 2 and option[-1] in result.output


def test_torch_is_not_needed_to_read_and_count(files, tmp_path):
    files()
    program = (
        "import sys\nfrom starrec.cli import app\n"
        "for command in (['data', '--interactions', 'log.csv', '--items', 'items.csv'], ['signals']):\n"
        "    try: app([*command, '--run', 'run'])\n"
        "    except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, timeout=240)


# Updates of the evidence


@pytest.fixture
def built(files):
    done("signals", "build", *files())


def update(folder, rows, *options):
    (folder / "new.csv").write_text("user_id,item_id,timestamp\n" + "".join(f"{row}\n" for row in rows))
    return starrec("signals", "update", "--run", "run", "--interactions", "new.csv", *options)


def test_two_rows_in_milliseconds_do_not_touch_the_evidence(built, tmp_path):
    # u1 has i2 already (her sixth: (7 + 5 * 11) % 30), so two of three are new.
    good = [f"u1,i{n},{START + 40 * 86_400}" for n in (2, 3, 5)]
    bad = [f"u2,i{n},{(START + 40 * 86_400) * 1000}" for n in (2, 3)]
    refused(update(tmp_path, good + bad), "2 bad rows", "new.csv, line 5", "far outside of the others")
    shown = json.loads(done("signals", "stats", "--run", "run", "--json").stdout)
    assert shown["holds"]["days"] == SPAN
    result = update(tmp_path, good + bad, "--skip-bad-rows")
    assert result.exit_code == 0 and "left out 2 bad rows" in result.stderr
    shown = json.loads(done("signals", "stats", "--run", "run", "--json").stdout)
    assert shown["holds"]["days"] == SPAN and shown["holds"]["interactions"] == 96 + 2


def test_an_update_in_milliseconds_is_read_as_such(built, tmp_path):
    result = update(
        tmp_path, [f"u1,i2,{(START + 50 * 86_400) * 1000}", f"u1,i3,{(START + 51 * 86_400) * 1000}"]
    )
    assert result.exit_code == 0
    assert "timestamps read as milliseconds: 2017-09-23 to 2017-09-24" in result.stderr
    shown = json.loads(done("signals", "stats", "--run", "run", "--json").stdout)
    assert shown["holds"]["days"] == "2017-08-04 to 2017-09-24"
