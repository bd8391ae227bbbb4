"""`starrec mcp` in a process of its own, driven by the SDK's client: every tool, and wrong calls."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import version

import httpx
import jsonschema
import psutil
import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client, StdioServerParameters
from typer.testing import CliRunner

from starrec.cli import app
from starrec.data import mention
from starrec.recommender import load
from starrec.signals import FactNumbers
from starrec.tools import TOOLS, read_facts

CANDIDATES = [f"i{item}" for item in range(30, 40)]
PROGRAM = "from starrec.cli import main; main()"
HISTORY = ["i1", "i2", "i3"]
ABOUT = {"candidates": CANDIDATES, "history": HISTORY}
CALLS = {
    "recommend": {"user": "u5", "n": 3, "where": {"categories": "Vol. 2."}, "exclude": ["i40"]},
    "rank": {"user": "u5", "candidates": CANDIDATES, "reasons": True},
    "similar": {"item": "i3", "n": 4},
    "items": {"query": "film a0", "n": 5},
    **{name: ABOUT for name in ("profile", "compare")},
    **{name: {**ABOUT, "about": ["i31", "i33"]} for name in ("item_facts", "content", "contrary")},
    **{name: {**ABOUT, "about": ["i31"]} for name in ("transitions", "ease")},
    **{name: {**ABOUT, "window": "whole"} for name in ("item_cf", "user_cf")},
}


@pytest.fixture(scope="module")
def agent(folder):
    """The SDK's client of a server of the run, over stdio; its methods are called and waited for."""
    arguments = ["-c", PROGRAM, "mcp", "--run", str(folder)]
    command = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(command)) as client:
        yield lambda method, *arguments: portal.call(getattr(client, method), *arguments)


@pytest.fixture(scope="module")
def tools(agent):
    return {tool.name: tool for tool in agent("list_tools").tools}


@pytest.fixture(scope="module")
def model(folder):
    return load(folder)


def test_every_tool_is_called_by_its_schema_and_answers_by_its_schema(agent, tools):
    assert set(tools) == set(CALLS) >= set(TOOLS)
    for name, arguments in CALLS.items():
        jsonschema.validate(arguments, tools[name].input_schema)
        answer = agent("call_tool", name, arguments)
        assert not answer.is_error, answer
        jsonschema.validate(answer.structured_content, tools[name].output_schema)
        assert json.loads(answer.content[0].text) == answer.structured_content
        assert tools[name].annotations.read_only_hint and tools[name].description


def test_rankings_are_those_of_the_python_api(agent, model):
    def rows(found):
        return [asdict(row) for row in found]

    where = CALLS["recommend"]["where"]
    expected = {
        "recommend": model.recommend("u5", n=3, where=where, exclude=["i40"]),
        "rank": model.rank(CANDIDATES, user="u5", reasons=True),
        "similar": model.similar("i3", 4),
    }
    for name, found in expected.items():
        answer = agent("call_tool", name, CALLS[name]).structured_content
        assert answer["rows"] == rows(found)
        assert answer["system"] == found.system
    items = agent("call_tool", "items", CALLS["items"]).structured_content["items"]
    assert items == [asdict(item) for item in model.items("film a0", 5)] != []
    # Nobody in particular is answered by popularity, and told so.
    nobody = agent("call_tool", "recommend", {"n": 2}).structured_content
    assert nobody["system"] == "popularity" and "empty" in nobody["notes"][0]


@pytest.mark.parametrize("name", TOOLS)
def test_cst_tools_say_what_teacher_and_student_are_told(agent, tools, model, name):
    asked = CALLS[name]
    answer = agent("call_tool", name, asked).structured_content
    task = model.requests.asked(None, HISTORY).about(model.requests.candidates(CANDIDATES))
    arguments = {key: value for key, value in asked.items() if key == "window"}
    if "about" in asked:
        arguments["candidates"] = ["ABCDEFGHIJ"[CANDIDATES.index(item)] for item in asked["about"]]
    text = model.serving.fast.world.toolbox(task).call(name, arguments, FactNumbers())
    assert answer["text"] == text
    ids = {entry["label"]: entry["item_id"] for entry in answer["candidates"]}
    assert list(ids.values()) == CANDIDATES and [item["item_id"] for item in answer["history"]] == HISTORY
    stated = {(int(cite[1:]), ids[label[1:-1]]) for label, cite, _ in read_facts(text)}
    of_candidates = {(fact["number"], fact["item_id"]) for fact in answer["facts"] if fact["item_id"]}
    assert of_candidates == stated
    assert len(answer["levels"]) == (len(CANDIDATES) if name == "compare" else 0)
    # Its own arguments, and no others, are in its schema.
    own = {"user", "history", "candidates"} | ({"window"} if TOOLS[name].windows else set())
    assert set(tools[name].input_schema["properties"]) == own | ({"about"} if TOOLS[name].candidates else set())


def test_facts_hold_what_a_count_by_hand_gives_without_the_asking_user(agent, model):
    dataset = model.serving.dataset
    took = {
        user: {dataset.item_ids[item] for item in dataset.sequences(3).of(index)}
        for index, user in enumerate(dataset.user_ids)
    }
    asker = next(user for user, items in took.items() if "i13" in items and "i12" in items)
    others = [items for user, items in took.items() if user != asker and "i12" in items]
    both = sum("i13" in items for items in others)
    asked = {
        "user": asker,
        "history": ["i12"],
        "candidates": ["i13", "i30"],
        "about": ["i13"],
        "window": "whole",
    }
    (fact,) = agent("call_tool", "item_cf", asked).structured_content["facts"]
    assert fact["item_id"] == "i13"
    assert fact["sentence"].startswith(
        f"{100 * both / len(others):.0f}% of the {len(others)} people who took"
    ), fact


@pytest.mark.parametrize(
    ("name", "arguments", "parts"),
    [
        ("rank", {"candidates": []}, ["candidates: ", "at least 1"]),
        ("rank", {"candidates": CANDIDATES, "exlude": ["i1"]}, ["exlude: "]),
        ("rank", {"user": 5, "candidates": CANDIDATES}, ["user: ", "string"]),
        ("rank", {"candidates": ["i1", "i1"]}, ["stands more than once"]),
        ("rank", {"candidates": ["no such film"]}, ["No title 'no such film'"]),
        ("recommend", {"n": 0}, ["n: "]),
        ("recommend", {"history": ["no such film"]}, ["No title 'no such film'"]),
        ("recommend", {"where": {"colour": "red"}}, ["where.colour: "]),
        ("recommend", {"where": {"year": 1700}}, ["No item of the catalogue has year 1700"]),
        ("similar", {}, ["item: ", "required"]),
        ("items", {"query": ""}, ["query: "]),
        ("item_cf", {**ABOUT, "window": "future"}, ["window: ", "recent"]),
        ("item_cf", {**ABOUT, "about": ["i5"]}, ["'i5'", "none of the candidates"]),
        ("ease", {**ABOUT, "window": "whole"}, ["window: "]),
        ("profile", {**ABOUT, "about": ["i31"]}, ["about: "]),
        ("no_such_tool", {}, ["no tool 'no_such_tool'", "recommend, rank", "compare"]),
    ],
)
def test_what_is_wrong_with_a_call_is_a_tool_error_that_says_it(agent, name, arguments, parts):
    answer = agent("call_tool", name, arguments)
    assert answer.is_error and answer.structured_content is None
    assert all(part in answer.content[0].text for part in parts), answer.content[0].text


def test_nobody_is_named_but_who_was_asked_about(agent, model, folder):
    answer = agent("call_tool", "rank", {"user": "u55x", "candidates": CANDIDATES})
    assert answer.is_error and "'u55x'" in answer.content[0].text and "'u55'" not in answer.content[0].text
    told = "".join(agent("call_tool", name, arguments).content[0].text for name, arguments in CALLS.items())
    assert not [user for user in model.serving.user_ids if f'"{user}"' in told or f" {user} " in told]


def test_titles_are_data(agent, model):
    title = model.serving.catalogue.titles[7]
    assert "<img" in title and len(title) > 9000
    asked = {"history": HISTORY, "candidates": ["i7", "i30", "i31"]}
    answer = agent("call_tool", "compare", asked).structured_content
    assert answer["candidates"][0]["title"] == title
    assert answer["text"].count("‹A›") == 1 and answer["text"].count(mention("i7", title)) == 1


def test_nothing_but_the_protocol_is_written_to_stdout_and_ranking_needs_no_torch(folder):
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    asked = [
        {"id": 1, "method": "initialize", "params": client},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "recommend", "arguments": CALLS["recommend"]}},
    ]
    command = [sys.executable, "-c", PROGRAM, "mcp", "--run", str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        for message in asked:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        process.stdin.write("no JSON at all\n")
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(2)]
        libraries = [part.path for part in psutil.Process(process.pid).memory_maps()]
        rest, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert [answer["id"] for answer in answers] == [1, 2] and not answers[1]["result"]["isError"]
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in rest.splitlines())
    assert answers[0]["result"]["serverInfo"]["version"] == version("starrec")
    assert log.startswith("answering for ")
    assert any("numpy" in path for path in libraries) and not any("libtorch" in path for path in libraries)


def test_ctrl_c_ends_it_though_its_input_is_open(folder):
    command = [sys.executable, "-c", PROGRAM, "mcp", "--run", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline().startswith("answering for ")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (130, -signal.SIGINT)


def test_over_http_it_is_for_this_machine_alone(folder):
    command = [sys.executable, "-c", PROGRAM, "mcp", "--run", str(folder), "--http", "0", "--counts", "train"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = process.stderr.readline().split(" at ")[1].split(" ")[0]
            with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(url)) as client:
                answer = portal.call(client.call_tool, "rank", CALLS["rank"])
            trained = load(folder, counts="train").rank(CANDIDATES, user="u5")
            found = [row["item_id"] for row in answer.structured_content["rows"]]
            assert found == [row.item_id for row in trained]
            for header in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
                assert httpx.post(url, json={}, headers=header).status_code in (403, 421)
        finally:
            process.terminate()


def test_it_does_not_start_where_it_would_speak_of_single_people_or_has_no_run(run_folder, tmp_path):
    few = CliRunner().invoke(app, ["mcp", "--run", str(run_folder(toml="[signals]\nsupport = 2\n"))])
    assert few.exit_code == 2 and "[signals] support is 2" in few.stderr and not few.stdout
    gone = CliRunner().invoke(app, ["mcp", "--run", str(tmp_path / "gone")])
    assert gone.exit_code == 2 and "holds no finished student" in gone.stderr and not gone.stdout


def test_without_the_extra_it_is_named():
    code = f"import sys; sys.modules['mcp'] = None; sys.argv[1:] = ['mcp']; {PROGRAM}"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 2 and "pip install 'starrec[mcp]'" in found.stderr
