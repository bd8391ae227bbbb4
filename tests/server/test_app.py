"""The HTTP API of a run, over a real socket: what is answered, what is refused, what is remembered."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
import redis

from starrec import load
from starrec.data import load_saved_dataset, plain
from starrec.data.text import printable
from starrec.pipeline.config import recorded_config
from starrec.runs import current_product
from starrec.server.keys import Keys
from starrec.store import LmdbStore, Log, Settings, Versions, build, update
from starrec.store.redis_store import push
from starrec.teacher import readable
from starrec.trajectories import Element

CANDIDATES = [f"i{item}" for item in range(30, 40)]


@pytest.fixture(scope="module")
def client(folder, serving):
    with serving(folder) as client:
        yield client


@pytest.fixture(scope="module")
def model(folder):
    return load(folder)


def items_of(answer):
    assert answer.status_code == 200, answer.text
    return [row["item_id"] for row in answer.json()["rows"]]


def error_of(answer, status, code):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code and error["request_id"] == answer.headers["x-request-id"]
    return error


def told(answer):
    """The events of a stream: their kind and content."""
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    blocks = [block.split("\r\n") for block in answer.text.split("\r\n\r\n") if block]
    return [(block[0].removeprefix("event: "), json.loads(block[1].removeprefix("data: "))) for block in blocks]


# Rankings


def test_rankings_are_the_recommenders_own(client, model):
    for asked in ({"history": ["Film A01", "i2"]}, {"user": "u5"}, {"user": "u5", "history": ["i1", "i2"]}):
        found = client.post("/rank", json={"candidates": CANDIDATES, **asked})
        own = model.rank(CANDIDATES, **asked)
        assert items_of(found) == [row.item_id for row in own]
        assert [row["score"] for row in found.json()["rows"]] == pytest.approx([row.score for row in own])
        assert [item["item_id"] for item in found.json()["history"]] == [item.item_id for item in own.history]
        found = client.post("/recommend", json={"n": 5, **asked})
        assert items_of(found) == [row.item_id for row in model.recommend(n=5, **asked)]
        assert all(row["reason"]["text"] for row in found.json()["rows"])
    found = client.post("/similar", json={"item": "Film A01", "n": 4, "exclude": ["i2"]})
    assert items_of(found) == [row.item_id for row in model.similar("i1", n=4, exclude=["i2"])]


def test_ranks_come_with_reasons_where_they_are_asked_for(client):
    asked = {"candidates": CANDIDATES, "user": "u5"}
    plain = client.post("/rank", json=asked).json()["rows"]
    reasoned = client.post("/rank", json={**asked, "reasons": True}).json()["rows"]
    assert all(row["reason"] is None for row in plain) and all(row["reason"] for row in reasoned)
    assert [row["item_id"] for row in plain] == [row["item_id"] for row in reasoned]
    for row in reasoned:
        # The counts that its sentence says, and none of fewer than three people.
        figures, counts = row["reason"]["figures"], row["reason"]["counts"]
        assert figures["item"]["item_id"] == row["item_id"] and figures["item"]["title"] in counts
        assert figures["anchor"] is None or figures["anchor"]["title"] in counts
        if figures["kind"] == "popularity":
            assert f"{figures['both']} of {figures['base']} people" in counts and figures["both"] >= 3


def test_filters_and_exclusions_hold(client, small):
    found = items_of(
        client.post("/recommend", json={"history": ["i1"], "n": 6, "where": {"categories": "Vol. 2."}})
    )
    assert len(found) == 6 and all(int(item[1:]) >= 36 for item in found)
    both = {"categories": ["vol. 2.", "Sci. Fi"], "year": [1990, 1999]}
    nothing = client.post("/recommend", json={"history": ["i1"], "where": both})
    error_of(nothing, 404, "nothing_left")  # these items have no year
    without = client.post("/recommend", json={"history": ["i1"], "n": 6, "exclude": found[:2]})
    assert not set(found[:2]) & set(items_of(without))


def test_who_is_not_known_is_answered_by_popularity_and_told_so(client):
    for asked in ({}, {"history": []}):
        answer = client.post("/recommend", json={"n": 3, **asked})
        assert len(items_of(answer)) == 3 and answer.json()["system"] == "popularity"
        assert any("empty" in note for note in answer.json()["notes"])


def test_requests_that_come_together_get_the_answers_they_get_alone(client, model):
    asked = [{"candidates": CANDIDATES[: 3 + at % 7], "user": f"u{at}"} for at in range(40)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda body: items_of(client.post("/rank", json=body)), asked))
    assert found == [
        [row.item_id for row in model.rank(body["candidates"], user=body["user"])] for body in asked
    ]


def test_a_wrong_request_among_many_fails_alone(client):
    good = {"candidates": CANDIDATES, "user": "u1"}
    asked = [good, {**good, "user": "nobody"}, {**good, "candidates": ["none"]}, good] * 5
    with ThreadPoolExecutor(12) as pool:
        found = [answer.status_code for answer in pool.map(lambda body: client.post("/rank", json=body), asked)]
    assert found == [200, 404, 404, 200] * 5


# What is refused


def test_errors_say_what_and_what_else(client):
    error = error_of(
        client.post("/rank", json={"history": ["Fim A01"], "candidates": ["zzz"]}), 404, "unknown_item"
    )
    assert error["near"] and {"item_id", "title"} == set(error["near"][0])
    error = error_of(client.post("/rank", json={"user": "u555", "candidates": CANDIDATES}), 404, "unknown_user")
    assert "'u555'" in error["message"] and "'u55'" not in error["message"]  # nor any other near id
    asked = {
        "history": ["i1"],
        "where": {"categories": "Vol. 2."},
        "exclude": [f"i{at}" for at in range(36, 48)],
    }
    error_of(client.post("/recommend", json=asked), 404, "nothing_left")
    error_of(client.post("/recommend", json={"history": ["i1"], "where": {"colour": "red"}}), 422, "malformed")
    error_of(client.post("/rank", json={"history": ["i1"], "candidates": ["i2", "i2"]}), 422, "invalid")
    error_of(client.get("/nowhere"), 404, "not_found")
    error_of(client.get("/rank"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"candidates": ["i1"], "user": "\\ud800"}',
        b'{"candidates": ["i1"], "user": "a\\u0000b"}',
        b'{"candidates": []}',
        b'{"candidates": ["' + b"x" * 10_001 + b'"]}',
        b'{"candidates": ["i1"], "n": 1}',
        b'{"candidates": "i1"}',
    ],
)
def test_malformed_requests_are_refused_and_not_repeated(client, body):
    headers = {"Content-Type": "application/json"}
    error = error_of(client.post("/rank", content=body, headers=headers), 422, "malformed")
    assert "xxx" not in error["message"] and "openapi" in error["message"]


@pytest.mark.parametrize("body", [b"\xff", b'{"history": ' + b"[" * 5000 + b"]" * 5000 + b"}"])
def test_what_is_no_json_is_refused(client, body):
    headers = {"Content-Type": "application/json"}
    error_of(client.post("/rank", content=body, headers=headers), 400, "bad_request")


def test_long_histories_are_bounded_and_said_so(client):
    answer = client.post("/rank", json={"history": ["i1", "i2"] * 5000, "candidates": CANDIDATES})
    assert len(items_of(answer)) == 10 and "10,000 items" in answer.json()["notes"][0]
    error_of(
        client.post("/rank", json={"history": ["i1"] * 10_001, "candidates": CANDIDATES}), 422, "malformed"
    )


def test_hostile_titles_are_text(client, model):
    (found,) = client.get("/items", params={"query": "img src"}).json()["items"]
    assert found["item_id"] == "i7" and found["title"] == model.items("img src")[0].title
    answer = client.get("/items", params={"query": "img src"})
    assert answer.headers["content-type"] == "application/json"
    ranked = client.post("/rank", json={"history": [found["title"]], "candidates": CANDIDATES})
    assert len(items_of(ranked)) == 10


# Catalogue


def test_items_are_found_as_one_types(client):
    found = client.get("/items", params={"query": "film a", "n": 3}).json()["items"]
    assert [item["title"][:6] for item in found] == ["Film A"] * 3
    error_of(client.get("/items"), 422, "malformed")


def test_evidence_has_counts_of_three_people_at_least(client):
    found = client.get("/items/i1/evidence", params={"n": 50}).json()
    assert found["title"] == "Film A01" and "Film A01" in found["facts"][0]
    facts = found["together"] + found["then"] + found["against"]
    assert facts and all(fact["people"] >= 3 for fact in facts)
    assert "u1" not in json.dumps(found) and "⟦" not in json.dumps(found)
    error_of(client.get("/items/zzz/evidence"), 404, "unknown_item")


def test_the_catalogue_is_told_in_a_few_lines(client, model):
    about = client.get("/catalogue").json()
    catalogue, counts = model.serving.catalogue, model.serving.fast.world.graph.counts
    assert (about["dataset"], about["items"], about["people"]) == ("small", 48, 80)
    assert (about["years"], about["report"], about["system"], about["why_served"]) == (None, False, "star", "")
    taken = {item_id: int(n) for item_id, n in zip(catalogue.item_ids, counts.popularity, strict=True)}
    popular = [taken[item["item_id"]] for item in about["popular"]]
    assert popular == sorted(taken.values(), reverse=True)[:12]
    # Every third of the 48 items is of this category, from the first on.
    assert {"name": "Every. 3rd", "items": 16} in about["categories"]


# Traces


def test_the_teacher_is_told_step_by_step(client):
    steps = told(client.post("/teach", json={"user": "u5", "candidates": CANDIDATES}))
    kinds = [kind for kind, _ in steps]
    assert kinds[:2] == ["task", "plan"] and kinds[-2:] == ["recommend", "end"] and "tool_response" in kinds
    assert all(content["text"] for kind, content in steps[1:-1])


def test_the_student_is_told_step_by_step_and_agrees_with_the_recommender(client, model):
    asked = {"user": "u5", "candidates": CANDIDATES[:3]}
    steps = told(client.post("/explain", json=asked))
    own = list(model.explain(**asked))
    assert [kind for kind, _ in steps] == ["task", *(step.tag for step in own), "end"]
    assert [content["text"] for _, content in steps[1:-1]] == [plain(step.text) for step in own]


@pytest.mark.parametrize("by", ["star", "teacher"])
def test_a_trace_comes_as_a_person_reads_it_too(client, model, by):
    """The entries of all events, put together, are those of the whole trace; a title in them is an item."""
    asked = {"user": "u5", "candidates": CANDIDATES}
    (_, task), *steps, _ = told(client.post("/explain" if by == "star" else "/teach", json=asked))
    labels = {each["label"]: each["item_id"] for each in task["candidates"]}
    assert sorted(labels.values()) == sorted(CANDIDATES)
    entries = task["entries"]
    for _, step in steps:
        entries = entries[: step["kept"]] + step["entries"]
    trace = model.explain(CANDIDATES, user="u5", by=by)
    whole = readable([Element("task", trace.task), *(Element(step.tag, step.text) for step in trace)])

    def worded(parts):
        return "".join(part["text"] for part in parts)

    def shown(text):
        return re.sub(" ?‹[A-Z]+›", "", plain(text))

    assert [(each["who"], worded(each["text"])) for each in entries] == [
        (entry.who, shown(entry.text)) for entry in whole
    ]
    assert [worded(line) for each in entries for line in each["lines"]] == [
        shown(line) for entry in whole for line in entry.lines
    ]
    catalogue = model.serving.catalogue
    of = dict(zip(catalogue.item_ids, catalogue.titles, strict=True))
    items = [part for each in entries for part in each["text"] if "item_id" in part]
    assert items and all(part["text"] == printable(of[part["item_id"]]) for part in items)
    assert steps[-1][1]["ranking"] == [labels[name] for name in re.findall("‹[A-Z]+›", steps[-1][1]["text"])]


def test_every_figure_of_a_trace_leads_to_counts_of_the_graph(client, model):
    steps = told(client.post("/teach", json={"user": "u5", "candidates": CANDIDATES}))[1:-1]
    facts = {fact["number"]: fact for _, step in steps for fact in step["facts"]}
    counts = model.serving.fast.world.graph.counts
    at = {item_id: index for index, item_id in enumerate(model.serving.catalogue.item_ids)}
    own = {item["item_id"] for item in client.post("/recommend", json={"user": "u5"}).json()["history"]}
    seen = set()
    for fact in facts.values():
        figures = fact["figures"]
        seen.add(figures["kind"])
        if figures["kind"] in ("item_cf", "ease", "contrary", "popularity", "user_cf", "transition"):
            assert figures["both"] >= 3
        if figures["kind"] == "popularity":
            # She took none of the candidates, and is not counted among the people.
            index = at[figures["item"]["item_id"]]
            taken = int(counts.popularity[index]) - (figures["item"]["item_id"] in own)
            assert figures["both"] == taken and f"{taken} of {figures['base']} people" in fact["sentence"]
        if figures["kind"] == "item_cf":
            share = round(100 * figures["both"] / figures["base"])
            said = f"{share}% of the" if figures["base"] > 10 else f"{figures['both']} of the {figures['base']}"
            assert fact["sentence"].startswith(said) and figures["anchor"]["title"] in fact["sentence"]
    assert {"popularity", "item_cf"} <= seen
    lines = [line for _, step in steps for entry in step["entries"] for line in entry["lines"]]
    for line in lines:
        number = None
        for part in line:
            if part["text"].startswith("#") and "fact" in part:
                number = part["fact"]
            elif "fact" in part:
                assert part["fact"] == number and part["text"] in facts[number]["sentence"]


def test_a_trace_of_what_is_unknown_is_refused_before_it_begins(client):
    error_of(client.post("/teach", json={"user": "u555"}), 404, "unknown_user")
    error_of(client.post("/explain", json={"history": ["zzz"]}), 404, "unknown_item")


# Events


def test_an_event_counts_in_the_users_next_request(client, model):
    before = client.post("/recommend", json={"user": "u9", "n": 20})
    taken = items_of(before)[0]
    stored = client.post("/events", json={"user": "u9", "item": taken}, headers={"Idempotency-Key": "one"})
    assert (
        stored.status_code == 201
        and stored.json()["item"]["item_id"] == taken
        and stored.json()["key"] == "one"
    )
    after = client.post("/recommend", json={"user": "u9", "n": 20})
    history = [item["item_id"] for item in after.json()["history"]]
    assert history == [item["item_id"] for item in before.json()["history"]] + [taken]
    assert taken not in items_of(after)
    again = client.post("/events", json={"user": "u9", "item": taken}, headers={"Idempotency-Key": "one"})
    assert again.status_code == 201 and again.json() == stored.json()
    other = client.post("/events", json={"user": "u9", "item": "i3"}, headers={"Idempotency-Key": "one"})
    error_of(other, 409, "key_reused")


def test_a_new_user_is_known_from_her_first_event(client):
    error_of(client.post("/recommend", json={"user": "new/ user?"}), 404, "unknown_user")
    assert client.post("/events", json={"user": "new/ user?", "item": "Film B13"}).status_code == 201
    answer = client.post("/recommend", json={"user": "new/ user?", "n": 3})
    assert [item["title"] for item in answer.json()["history"]] == ["Film B13"] and len(items_of(answer)) == 3
    gone = client.delete("/users/new%2F%20user%3F")
    assert gone.status_code == 200 and gone.json()["events"] == 1
    error_of(client.post("/recommend", json={"user": "new/ user?"}), 404, "unknown_user")


def test_a_deleted_user_is_not_used_any_more(client):
    client.post("/events", json={"user": "u11", "item": "i40"})
    gone = client.delete("/users/u11").json()
    assert gone["events"] == 1 and gone["rebuild"] >= 1
    assert any("not unlearned" in note for note in gone["notes"])
    error_of(client.post("/recommend", json={"user": "u11"}), 404, "unknown_user")
    client.post("/events", json={"user": "u11", "item": "i41"})
    answer = client.post("/recommend", json={"user": "u11"})
    assert [item["item_id"] for item in answer.json()["history"]] == ["i41"]
    error_of(client.delete("/users/u555"), 404, "unknown_user")


@pytest.mark.parametrize("time", ["yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 1e300])
def test_times_that_cannot_be_are_refused(client, time):
    error_of(client.post("/events", json={"user": "u1", "item": "i1", "time": time}), 422, "malformed")


def test_events_of_what_is_unknown_are_refused(client):
    error_of(client.post("/events", json={"user": "u1", "item": "zzz"}), 404, "unknown_item")


@pytest.mark.parametrize("matter", ["gone", "broken"])
def test_without_the_database_rankings_go_on(run_folder, tmp_path, serving, matter):
    folder = run_folder()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "events.sqlite").write_bytes(b"no database" * 1000)
    with serving(folder, events=f"sqlite:///{tmp_path}/{matter}/events.sqlite") as client:
        answer = client.post("/rank", json={"user": "u5", "candidates": CANDIDATES})
        assert len(items_of(answer)) == 10 and "does not answer" in answer.json()["notes"][-1]
        error_of(client.post("/events", json={"user": "u5", "item": "i1"}), 503, "events_unavailable")
        ready = client.get(str(client.base_url).removesuffix("/v1/") + "/readyz")
        assert ready.status_code == 503 and ready.json()["parts"] == {"run": "ok", "events": "unavailable"}


# Operating


def test_health_metrics_and_the_document(client):
    root = str(client.base_url).removesuffix("/v1/")
    assert client.get(f"{root}/healthz").json()["status"] == "ok"
    assert client.get(f"{root}/readyz").json() == {"status": "ok", "parts": {"run": "ok", "events": "ok"}}
    client.post("/rank", json={"candidates": CANDIDATES, "user": "u1"})
    text = client.get(f"{root}/metrics").text
    assert 'route="/v1/rank",status="200"' in text and "starrec_batch_requests_count" in text
    paths = client.get(f"{root}/openapi.json").json()["paths"]
    assert {"/v1/rank", "/v1/users/{user}", "/v1/items/{item_id}/evidence", "/metrics"} <= set(paths)


def test_with_keys_the_document_says_so_and_only_health_is_open(folder, tmp_path, serving):
    keys = Keys(tmp_path / "keys.json")
    key = keys.add("shop")
    with serving(folder, keys) as client:
        error_of(client.post("/rank", json={"candidates": CANDIDATES}), 401, "unauthorized")
        root = str(client.base_url).removesuffix("/v1/")
        assert client.get(f"{root}/healthz").status_code == 200
        assert client.get(f"{root}/metrics").status_code == 401
        headers = {"Authorization": f"Bearer {key}"}
        document = client.get(f"{root}/openapi.json", headers=headers).json()
        assert document["security"] == [{"key": []}] and document["paths"]["/healthz"]["get"]["security"] == []


def test_a_run_that_is_not_there_yet_is_answered_with_503_until_it_is(run_folder, tmp_path, serving):
    folder = tmp_path / "run"
    with serving(folder) as client:
        answer = client.post("/rank", json={"candidates": CANDIDATES})
        error_of(answer, 503, "loading")
        assert int(answer.headers["retry-after"]) >= 1
        Path(run_folder()).rename(folder)
        while client.post("/rank", json={"candidates": CANDIDATES}).status_code == 503:
            time.sleep(0.02)
        assert len(items_of(client.post("/rank", json={"candidates": CANDIDATES}))) == 10


def test_a_run_that_would_speak_of_single_people_is_not_served(run_folder, caplog, serving):
    folder = run_folder()
    (folder / "config.toml").write_text("[signals]\nsupport = 1\n")
    with serving(folder) as client:
        error_of(client.post("/rank", json={"candidates": CANDIDATES}), 503, "loading")
    assert any("support is 1" in getattr(record, "fields", {}).get("reason", "") for record in caplog.records)


def test_evidence_in_redis_is_what_counts_and_a_new_version_is_taken_in(
    run_folder, redis_url, tmp_path, serving
):
    folder = run_folder(toml=f'[serving]\nredis = "{redis_url}"\nredis_prefix = "served"\n')
    log = Log.of(load_saved_dataset(current_product(folder, "data").folder), 3)
    versions = Versions(tmp_path)
    build(versions, log, Settings().inputs("data", 3))
    push(LmdbStore(versions.require()), redis_url, prefix="served")
    # In memory it would go on without Redis.
    config = recorded_config(folder).serving.model_dump() | {"reload_seconds": 0.02, "in_memory": 0}
    with serving(folder, **config) as client:
        asked = {"user": "newcomer", "candidates": CANDIDATES}
        error_of(client.post("/rank", json=asked), 404, "unknown_user")
        newcomer = {"user_id": ["newcomer"], "item_id": ["i1"], "time": [0]}
        update(versions, pl.DataFrame(newcomer))
        push(LmdbStore(versions.require()), redis_url, prefix="served")
        while (answer := client.post("/rank", json=asked)).status_code == 404:
            time.sleep(0.02)
        assert [item["item_id"] for item in answer.json()["history"]] == ["i1"]
        # Somebody empties it under the server: the log says what is lost, the answer only that.
        with redis.Redis.from_url(redis_url) as somebody:
            somebody.delete(*somebody.scan_iter("served:*"))
        error = error_of(client.post("/rank", json={**asked, "user": "u5"}), 503, "run_unreadable")
        assert "redis" not in error["message"] and "log says why" in error["message"]


def test_another_student_takes_over_without_a_failed_request(run_folder, serving):
    folder, other = run_folder(0), run_folder(1)
    asked = {"candidates": CANDIDATES, "user": "u5"}
    first, second = (([row.item_id for row in load(of).rank(**asked)]) for of in (folder, other))
    assert first != second
    found, ended = [], threading.Event()
    with serving(folder) as client:

        def drive():
            while not ended.is_set():
                found.append(items_of(client.post("/rank", json=asked)))

        drivers = [threading.Thread(target=drive) for _ in range(3)]
        for driver in drivers:
            driver.start()
        swapped = json.loads((other / "run.json").read_text())
        new = next((other / "distill").iterdir())
        new.rename(folder / "distill" / new.name)
        (folder / "run.json.new").write_text(json.dumps(swapped))
        (folder / "run.json.new").rename(folder / "run.json")
        deadline = time.monotonic() + 30
        while found[-1:] != [second] and time.monotonic() < deadline:
            time.sleep(0.02)
        ended.set()
        for driver in drivers:
            driver.join()
    assert (
        found[0] == first and found[-1] == second and {tuple(x) for x in found} == {tuple(first), tuple(second)}
    )


def test_more_than_can_wait_is_refused_with_when_to_come_again(run_folder, serving):
    with serving(run_folder(), queue=1, batch=1) as client, ThreadPoolExecutor(24) as pool:
        asked = {"candidates": CANDIDATES, "user": "u5", "reasons": True}
        answers = list(pool.map(lambda _: client.post("/rank", json=asked), range(120)))
        assert {answer.status_code for answer in answers} == {200, 429}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1
        error_of(refused, 429, "overloaded")
        text = client.get(str(client.base_url).removesuffix("/v1/") + "/metrics").text
        counted = sum(answer.status_code == 429 for answer in answers)
        assert f'starrec_refused_total{{reason="queue"}} {counted}.0' in text


def test_events_on_postgresql_count_in_the_next_request(folder, postgresql, serving):
    with serving(folder, events=postgresql) as client:
        for key in ("a", "a", "b"):
            event = {"user": "x" * 10_000, "item": {"a": "i1", "b": "i2"}[key]}
            assert client.post("/events", json=event, headers={"Idempotency-Key": key}).status_code == 201
        answer = client.post("/recommend", json={"user": "x" * 10_000, "n": 3})
        assert [item["item_id"] for item in answer.json()["history"]] == ["i1", "i2"]
        assert client.delete("/users/" + "x" * 10_000).json()["events"] == 2
