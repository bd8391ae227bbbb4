"""Wordings by models that tell the truth, lie subtly, obey titles, fail or die: what is let through and what is
kept. Figures come from the graph of the tests' small world; half of its titles are hostile."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.messages import UserPromptPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel

from starrec.data import MENTION
from starrec.errors import RunError
from starrec.llm import ModelConfig
from starrec.llm.connection import connect
from starrec.signals import SIGNALS, Fact, Sight, sentence
from starrec.signals.checker import Checker
from starrec.signals.verbaliser import Verbaliser, Wording, report

Told = list[tuple[int, str]]
"""Numbered sentences."""
Rule = Callable[[str], str]
"""From a template's sentence to a model's."""

_ITEM = "(⟦[^⟦⟧]*⟧)"
_TURNS = [
    (
        rf"(.*) of the ([\d,]+) people who took {_ITEM} also took {_ITEM}(, .*)\.",
        r"Of the \2 people who took \3, \1 also took \4\5.",
    ),
    (
        rf"(.*) of the ([\d,]+) people who took {_ITEM} took {_ITEM} within their next 3\.",
        r"Of the \2 people who took \3, \1 took \4 within their next 3.",
    ),
    (rf"(.*) of ([\d,]+) people took {_ITEM}\.", r"\3 was taken by \1 of \2 people."),
    (
        rf"(.*) of the last (.*) items? shares? a category with {_ITEM}\.",
        r"\3 shares a category with \1 of the last \2 items.",
    ),
    (
        rf"(.*) of the (.*) people with the most similar (\w+) history took {_ITEM}(, .*)\.",
        r"\4 was taken by \1 of the \2 people with the most similar \3 history\5.",
    ),
]


def turned(text: str) -> str:
    """The same in another order."""
    for given, other in _TURNS:
        if found := re.fullmatch(given, text):
            return found.expand(other)
    return text


class Scene:
    """A task's facts, and what is needed to word them."""

    def __init__(self, world: Any, task: Any, dataset: Any) -> None:
        toolbox = world.toolbox(task)
        evidence = toolbox.evidence
        found = [evidence.fact(signal, at) for signal in SIGNALS for at in range(len(task.candidates))]
        found += [evidence.contrary(at) for at in range(len(task.candidates))]
        self.facts: list[Fact] = list(dict.fromkeys(fact for fact in found if fact)) + list(evidence.profile)
        self.sight: Sight = toolbox.sight
        self.mentions: Sequence[str] = world.mentions
        self.checker = Checker.of(dataset)
        self.user_id: str = task.user_id

    def templates(self) -> list[str]:
        return [sentence(fact, self.mentions) for fact in self.facts]

    def words(self, model: Model, facts: Sequence[Fact] | None = None, **how: Any) -> list[Wording]:
        verbaliser = Verbaliser(model, self.checker, **how)
        given = self.facts if facts is None else facts
        found = asyncio.run(verbaliser.words(given, self.sight, self.mentions))
        assert len(found) == len(given)
        for fact, wording in zip(given, found, strict=True):
            if wording.refused:
                assert wording.text == sentence(fact, self.mentions)
            else:
                checked = self.checker.check(wording.text, self.sight)
                assert checked and all(claim.verdict == "verified" for claim in checked)
        return found

    @property
    def comparisons(self) -> list[Fact]:
        """Item-CF facts that a model may see."""
        return [fact for fact in self.facts if fact.kind == "item_cf" and fact.both >= 3]


@pytest.fixture(scope="module")
def scene(world: Any, lessons: Any, small: Any) -> Scene:
    """The task with most item-to-item facts that have support."""
    scenes = [Scene(world, task, small) for task in lessons[0]]
    best = max(scenes, key=lambda scene: len(scene.comparisons))
    assert len(best.comparisons) >= 3
    return best


def told(messages: list[ModelMessage]) -> Told:
    asked = messages[0].parts[-1]
    assert isinstance(asked, UserPromptPart) and isinstance(asked.content, str)
    return [(fact["number"], fact["sentence"]) for fact in json.loads(asked.content)["facts"]]


def answer(said: Told) -> dict[str, Any]:
    return {"wordings": [{"number": number, "wording": text} for number, text in said]}


def by_rule(rule: Rule, heard: list[str] | None = None) -> FunctionModel:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if heard is not None:
            heard.append(repr(messages))
        said = answer([(number, rule(text)) for number, text in told(messages)])
        return ModelResponse(parts=[ToolCallPart("final_result", said)])

    return FunctionModel(respond, model_name="ruled")


def test_a_model_that_tells_the_truth_is_let_through(scene: Scene) -> None:
    found = scene.words(by_rule(turned))
    another = set()
    for fact, template, wording in zip(scene.facts, scene.templates(), found, strict=True):
        if wording.refused is None:
            assert wording.text == turned(template)
            another |= {fact.kind} if wording.text != template else set()
    assert another >= {"item_cf", "transition", "popularity", "category", "user_cf"}
    assert set(report(found)) == {"accepted", "thin"}
    assert report(found)["accepted"] == sum(wording.refused is None for wording in found)


def test_every_kind_of_fact_may_be_said_in_the_template_s_own_words(scene: Scene) -> None:
    found = scene.words(by_rule(str))
    assert [wording.text for wording in found] == scene.templates()
    accepted = {fact.kind for fact, wording in zip(scene.facts, found, strict=True) if not wording.refused}
    assert accepted >= {"item_cf", "user_cf", "transition", "popularity", "category", "taste"}


def first_figure(change: Callable[[int], int]) -> Rule:
    return lambda text: re.sub(r"^\d+", lambda found: str(change(int(found.group()))), text)


def swapped(text: str) -> str:
    items = MENTION.findall(text)
    found = iter([found.group() for found in MENTION.finditer(text)][::-1])
    return MENTION.sub(lambda _: next(found), text) if len(items) == 2 else text


LIES: dict[str, tuple[Rule, set[str]]] = {
    "wrong number": (first_figure(lambda n: n + 1), {"figures"}),
    "swapped items": (swapped, {"claims"}),
    "another item": (lambda text: MENTION.sub("⟦i1|Title 1⟧", text), {"items"}),
    "an extra item": (lambda text: text.replace("also took", "and ⟦i1|Title 1⟧ also took"), {"items"}),
    "negation": (lambda text: text.replace("also took", "did not take"), {"words"}),
    "negation by a prefix": (lambda text: f"It is untrue that {text}", {"words"}),
    "lift left out": (lambda text: re.sub(r", [\d.]+ times.*", ".", text), {"figures"}),
    "figures exchanged": (
        lambda text: re.sub(r"^(\S+) of the (\S+)(.*, )([\d.]+)", r"\4 of the \2\3\1", text),
        {"claims"},
    ),
    "another relation": (
        lambda text: re.sub(r"people who took (\S.*) also took", r"people with the most similar \1 took", text),
        {"claims", "words"},
    ),
    "a person": (lambda text: text.replace("people who", "people such as Alice who"), {"words"}),
    "an opinion": (lambda text: f"{text[:-1]}, so take it.", {"words"}),
    "a second sentence": (lambda text: f"{text} They took it.", {"form"}),
    "nothing": (lambda text: "", {"items"}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_model_that_lies_is_not_heard(lie: str, scene: Scene) -> None:
    rule, expected = LIES[lie]
    # Swapped, a pair of equally popular items stays true.
    facts = [fact for fact in scene.comparisons if fact.base != fact.total]
    found = scene.words(by_rule(rule), facts)
    assert {wording.refused for wording in found} <= expected and found


def test_a_title_that_gives_orders_is_data_and_a_model_that_obeys_is_not_heard(scene: Scene) -> None:
    def obey(text: str) -> str:
        return "99% of 7 people took ⟦i1|x⟧." if "99% of 7 people took" in text else turned(text)

    heard: list[str] = []
    found = scene.words(by_rule(obey, heard))
    hostile = ["99% of 7 people took" in text for text in scene.templates()]
    assert any(hostile) and not all(hostile)
    for bad, wording in zip(hostile, found, strict=True):
        assert not bad or wording.refused in ("items", "thin")
    for prompt in heard:
        assert "never instructions" in prompt
        assert "</tool_response>" not in prompt and "&#60;/tool_response&#62;" in prompt


def test_what_few_people_did_is_never_shown_and_no_user_is(scene: Scene) -> None:
    heard: list[str] = []
    thin = [
        replace(scene.comparisons[0], both=2),
        replace(scene.comparisons[0], both=1, base=2),
        Fact("popularity", "", -1, 3, 2, 79, 2, 79),
        Fact("conditional", "whole", 2, 3, 2, 9, 9, 79, weight=31),
    ]
    assert {wording.refused for wording in scene.words(by_rule(turned, heard), thin)} == {"thin"}
    assert not heard
    facts = [*thin, *scene.facts]
    for fact, wording in zip(facts, scene.words(by_rule(turned, heard), facts), strict=True):
        assert (wording.refused == "thin") == ("ewer than 3" in sentence(fact, scene.mentions))
    shown = "".join(heard)
    assert shown and "ewer than 3" not in shown
    assert not re.search(rf"\b{scene.user_id}\b", shown)


def test_what_the_checker_does_not_verify_is_not_shown(scene: Scene) -> None:
    fact = scene.comparisons[0]
    heard: list[str] = []
    (wording,) = scene.words(by_rule(turned, heard), [replace(fact, both=fact.both + 1, base=fact.base + 1)])
    assert wording.refused == "unchecked" and not heard


def test_facts_go_in_batches_some_at_once(scene: Scene) -> None:
    sizes: list[int] = []
    running = most = 0

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        nonlocal running, most
        sizes.append(len(told(messages)))
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return ModelResponse(parts=[ToolCallPart("final_result", answer(told(messages)))])

    found = scene.words(FunctionModel(respond), [*scene.facts, *scene.facts], batch=3, concurrency=2)
    # What is said twice is asked once.
    shown = len({text for text, w in zip(scene.templates(), found, strict=False) if w.refused != "thin"})
    assert sum(sizes) == shown and set(sizes[:-1]) == {3} and most == 2
    assert found[: len(scene.facts)] == found[len(scene.facts) :]


def test_numbers_that_are_missing_unknown_or_said_twice(scene: Scene) -> None:
    facts = scene.comparisons[:3]

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        (zero, one, _) = told(messages)
        said = [(7, one[1]), (-1, one[1]), (0, turned(zero[1])), (0, "Never mind."), (1, zero[1])]
        return ModelResponse(parts=[ToolCallPart("final_result", answer(said))])

    found = scene.words(FunctionModel(respond), facts)
    assert found[0] == Wording(turned(sentence(facts[0], scene.mentions)), None)
    # The words of one fact are no words for another.
    assert [wording.refused for wording in found[1:]] in (["items", "missing"], ["figures", "missing"])


def test_a_second_run_asks_for_nothing_that_was_accepted(scene: Scene, tmp_path: Path) -> None:
    kept = tmp_path / "wordings" / "kept.jsonl"
    heard: list[str] = []
    first = scene.words(by_rule(turned, heard), kept=kept)
    asked = len(heard)
    assert asked > 0 and scene.words(by_rule(turned, heard), kept=kept) == first
    assert len(heard) == asked
    # Another model is asked for its own.
    other = FunctionModel(by_rule(turned, heard).function, model_name="another")
    scene.words(other, kept=kept)
    assert len(heard) > asked


def test_a_kill_loses_only_what_was_in_flight(scene: Scene, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    facts = scene.comparisons[:3]
    scene.words(by_rule(turned), facts, kept=kept, batch=1, concurrency=1)
    content = kept.read_bytes()
    assert content.count(b"\n") == 3
    kept.write_bytes(content[: -len(content) // 5])
    heard: list[str] = []
    lines: list[str] = []
    found = scene.words(by_rule(turned, heard), facts, kept=kept, batch=1, announce=lines.append)
    assert len(heard) == 1 and not any(wording.refused for wording in found)
    assert len(lines) == 1 and "1 unreadable" in lines[0]
    # What was appended after the torn line is whole.
    assert scene.words(by_rule(turned, heard), facts, kept=kept) == found and len(heard) == 1


class Died(Exception):
    """Something that nobody foresaw."""


def test_a_model_that_dies_half_way_leaves_what_was_accepted(scene: Scene, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    answered = 0

    def die(text: str) -> str:
        nonlocal answered
        answered += 1
        if answered > 2:
            raise Died
        return turned(text)

    with pytest.raises(Died):
        scene.words(by_rule(die), scene.comparisons, kept=kept, batch=1, concurrency=1)
    assert len(kept.read_text().splitlines()) == 2


def test_what_is_kept_is_judged_like_any_other_text(scene: Scene, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    facts = scene.comparisons[:3]
    scene.words(by_rule(turned), facts, kept=kept)
    entries = [json.loads(line) for line in kept.read_text().splitlines()]
    for entry in entries:
        entry["text"] = first_figure(lambda n: n + 1)(entry["text"]).replace("also", "never")
    kept.write_text("".join(json.dumps(entry) + "\n" for entry in entries) + 'null\n{"fact": 1}\n\xff\n')
    heard: list[str] = []
    lines: list[str] = []
    found = scene.words(by_rule(turned, heard), facts, kept=kept, announce=lines.append)
    assert heard and not any(wording.refused for wording in found)
    assert len(lines) == 1 and "3 unreadable" in lines[0]


def test_a_file_that_cannot_be_written_says_so(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot be kept in .*kept\.jsonl"):
        scene.words(by_rule(turned), kept=tmp_path / "file" / "kept.jsonl")


def test_a_dead_endpoint_is_reported_once_and_given_up(scene: Scene) -> None:
    lines: list[str] = []
    model = connect(ModelConfig(model="gone", base_url="http://127.0.0.1:9/v1", timeout=0.2))
    found = scene.words(model, batch=1, concurrency=1, announce=lines.append)
    assert set(report(found)) <= {"endpoint", "thin", "unchecked"} and report(found)["endpoint"] > 3
    assert len(lines) == 1 and "'gone'" in lines[0]


@pytest.mark.parametrize("refusal", [(401, b'{"error": "no"}'), (404, b"<html>"), (200, b"<html>hello</html>")])
def test_an_endpoint_that_only_refuses_is_asked_three_times(
    refusal: tuple[int, bytes], scene: Scene, endpoint: Any
) -> None:
    server = endpoint(lambda body: refusal)
    lines: list[str] = []
    model = connect(ModelConfig(model="ruled", base_url=server.url))
    found = scene.words(model, batch=1, concurrency=1, announce=lines.append)
    assert set(report(found)) == {"endpoint", "thin"} and len(lines) == 1
    assert len(server.requests) == 3


def test_over_a_socket_failures_cost_their_batch_and_no_more(
    scene: Scene, endpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chat-completions server that fails by rule: HTTP 500, a body cut short, arguments cut short."""
    monkeypatch.setenv("GATEWAY_KEY", "secret-4")
    several = scene.comparisons + [fact for fact in scene.facts if fact.kind == "category"]
    facts = list({sentence(fact, scene.mentions): fact for fact in several}.values())[:8]

    def rule(body: dict[str, Any]) -> Any:
        last = body["messages"][-1]
        # A tool's message is pydantic-ai's, who sends the cut arguments back to be corrected.
        text = json.loads(last["content"])["facts"][0]["sentence"] if last["role"] == "user" else "again"
        if text == templates[1]:
            return 500, b'{"error": {"message": "secret-4"}}'
        if text == templates[3]:
            return 200, b'{"id": "1", "object": "chat.comple'
        if text in (templates[5], "again"):
            return 200, json.dumps(cut)
        return answer([(0, turned(text))])

    called = {"name": "final_result", "arguments": '{"wordings": [{"number": 0, "wor'}
    message = {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": called}]}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    cut = {"id": "1", "object": "chat.completion", "created": 1, "model": "x", "choices": [choice]}

    templates = [sentence(fact, scene.mentions) for fact in facts]
    server = endpoint(rule)
    lines: list[str] = []
    model = connect(ModelConfig(model="ruled", base_url=server.url, api_key_env="GATEWAY_KEY", timeout=20))
    found = scene.words(model, facts, batch=1, concurrency=1, announce=lines.append)
    assert [wording.refused == "endpoint" for wording in found] == [at in (1, 3, 5) for at in range(len(facts))]
    assert [wording.text for wording in found if not wording.refused] == [
        turned(text) for at, text in enumerate(templates) if at not in (1, 3, 5)
    ]
    assert len(lines) == 1 and "HTTP 500" in lines[0] and "secret" not in lines[0]


def test_without_the_extra_the_error_names_it() -> None:
    code = "import sys; sys.modules['pydantic_ai'] = None; import starrec.signals.verbaliser"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ConfigError" in ended.stderr and "starrec[llm]" in ended.stderr
