"""The fault proxy of the benchmarks, in front of a real server."""

import json
from collections import Counter

import httpx2
import pytest

import faults
from starrec.server.listening import served
from starrec.server.policy import policy_app
from starrec.tools import think_task


@pytest.fixture(scope="module")
def upstream(world, lessons):
    with served(policy_app(world, {task.task_id: task for task in lessons[0]})) as url:
        yield url


def ask(url, world, task, timeout=20):
    given = {
        "agent": "reflector",
        "task": think_task(world.toolbox(task)),
        "plan": {"text": "", "trust": {"recent_interest": 5}},
        "answers": [{"tool": "item_cf", "arguments": {}, "text": "item_cf.recent ‹B›‹A›."}],
        "round": 1,
        "final": True,
    }
    body = {"model": "any", "messages": [{"role": "user", "content": json.dumps(given)}]}
    return httpx2.post(
        f"{url}/chat/completions", json=body, headers={"X-Starrec-Task": task.task_id}, timeout=timeout
    )


@pytest.mark.parametrize(
    ("fault", "status", "looks"),
    [
        ("429", 429, lambda response: "retry-after" not in response.headers),
        ("429_retry_after", 429, lambda response: response.headers["retry-after"] == "7"),
        ("500", 500, lambda response: "error" in response.json()),
        ("empty_body", 200, lambda response: not response.content),
        ("html", 200, lambda response: response.text.startswith("<!DOCTYPE html>")),
        ("cut_json", 200, lambda response: not is_json(response.content) and response.content[:1] == b"{"),
        ("wrong_labels", 200, lambda response: led(response) == ["‹ZZZ›", "‹ZZZ›"]),
    ],
)
def test_each_fault_looks_as_it_does_in_the_wild(world, lessons, upstream, fault, status, looks):
    proxy = faults.FaultyProxy(upstream, share=1, kinds=(fault,), retry_after=7)
    with served(proxy) as url:
        response = ask(url, world, lessons[0][0])
    assert response.status_code == status and looks(response)
    assert proxy.calls == Counter({fault: 1})


def is_json(content):
    try:
        return bool(json.loads(content))
    except ValueError:
        return False


def led(response):
    return json.loads(response.json()["choices"][0]["message"]["content"])["lead"]


def test_a_hanging_call_outlasts_the_client(world, lessons, upstream):
    with (
        served(faults.FaultyProxy(upstream, share=1, kinds=("hang",))) as url,
        pytest.raises(httpx2.TimeoutException),
    ):
        ask(url, world, lessons[0][0], timeout=0.3)


def test_without_a_fault_the_answer_is_the_servers_own(world, lessons, upstream):
    task = lessons[0][0]
    with served(faults.FaultyProxy(upstream, share=0)) as url:
        passed = ask(url, world, task)
        assert led(passed) == led(ask(upstream, world, task)) == ["‹B›", "‹A›"]
        assert httpx2.get(f"{url}/models").json()["data"]


def test_the_share_is_kept_and_the_draw_is_seeded(upstream):
    drawn = []
    for _ in range(2):
        proxy = faults.FaultyProxy(upstream, share=0.3, seed=5, kinds=("500", "empty_body"))
        with served(proxy) as url, httpx2.Client() as client:
            drawn.append([client.get(f"{url}/models").status_code for _ in range(60)])
        assert 8 <= proxy.calls.total() - proxy.calls["passed"] <= 30
    assert drawn[0] == drawn[1]
