"""The worked examples of the report: a task's history, the reasoning over it, and the ranking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starrec.data import MENTION, unescape
from starrec.evaluation.markup import Html, Node, element

_STEP_KINDS: Final = frozenset({"plan", "tool_call", "tool_response", "reflection", "recommend"})


def examples_section(results: Mapping[str, Any]) -> Html | None:
    """The section of the worked examples in results; None where there are none."""
    examples = results.get("worked_examples")
    if not examples:
        return None
    return element(
        "section",
        element("h2", "Worked examples"),
        element(
            "p",
            "What was asked, what came back, and what decided; below it the trace as it was written.",
            class_="quiet",
        ),
        [_example(example, opened=place == 0) for place, example in enumerate(examples)],
    )


def _example(example: Mapping[str, Any], *, opened: bool) -> Html:
    history, ranking = list(example["history"]), list(example["ranking"])
    found = f" true item {example['target']}, ranked {example['rank']} of {len(ranking)}"
    entries = [
        element(
            "div",
            element("b", entry["who"]),
            element("div", _message(entry["text"])),
            element("ul", [element("li", _message(line)) for line in entry["lines"]])
            if entry["lines"]
            else None,
            class_="step",
        )
        for entry in example["readable"]
    ]
    steps = [
        element(
            "div",
            element("b", f"{step['agent']} · {str(step['kind']).replace('_', ' ')}"),
            element("div", _message(str(step["text"]))),
            class_=f"step {step['kind']}" if step["kind"] in _STEP_KINDS else "step",
        )
        for step in example["steps"]
    ]
    ordered = [
        element("li", title, class_="target" if place == example["rank"] else None)
        for place, title in enumerate(ranking, start=1)
    ]
    recent = [element("li", title) for title in history[-15:]]
    return element(
        "details",
        element("summary", f"User {example['user_id']}", element("span", found, class_="quiet")),
        element(
            "div",
            element(
                "div",
                element("h3", "Reasoning"),
                entries,
                element("details", element("summary", "As it was written"), steps),
            ),
            element(
                "div",
                element("h3", "Ranking"),
                element("ol", ordered),
                element("h3", f"History, last {len(recent)} of {len(history)}"),
                element("ol", recent, start=str(len(history) - len(recent) + 1)),
            ),
            class_="example",
        ),
        open=opened,
    )


def _message(text: str) -> list[Node]:
    """A message as it stands in a trajectory: mentions as emphasised titles, entities as what they say."""
    nodes: list[Node] = []
    end = 0
    for found in MENTION.finditer(text):
        nodes.append(unescape(text[end : found.start()]))
        nodes.append(element("span", unescape(found.group(2)), class_="item"))
        end = found.end()
    return [*nodes, unescape(text[end:])]
