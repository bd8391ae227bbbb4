"""How the linear form of a trace is spelled for a pretrained base: in tokens that it already has.

The linear form was made for a tokenizer of its own. To SmolLM2 a label `‹C›` is five tokens, a mention
`⟦50|Star Wars (1977)⟧` seventeen and an answer of `compare` over 20 candidates 2,400: a trace on MovieLens is
4,800, and 1,800 as it is spelled here. No tokens are added to a base (`bases`).

    ‹C›‹A›=‹B›                  ` C A= B`, each label one token where a capital behind a space is one
    ⟦50|Star Wars (1977)⟧       `[7 Star Wars (1977)]` where it stands first, then `[7]`
    the answer of compare       a table: signals once, then a row of letters for each candidate
    "candidates":["‹C›"]        "candidates":["C"]

`read` takes what the model wrote back to the linear form. What in a text could be taken for a label or a
mention is written as an entity, so a stranger's title can become neither, and no special token of a base
either: those hold an angle bracket, which never stands raw in a linear form, or a square one, which never does
here (`Chat` refuses a base with others).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from starrec.trajectories import LABEL, Argument, LinearFormError, ToolCall, parse_call

_STRUCTURE: Final = re.compile(r"(⟦[^⟦⟧]*⟧|‹[A-Z]+›)")
_BRACKET: Final = re.compile(r"[\[\]]")
_SPELLED: Final = re.compile(
    r"\[(?P<name>\d{1,9})(?: [^\[\]]*)?\]|‹[^‹›]*›| (?P<label>[A-Z]+)(?![A-Za-z0-9])|&#(?P<entity>32|91|93);"
)
_ROW: Final = re.compile(r"⟦[^⟦⟧]*⟧((?:‹[a-z_.]+=(?:\d+|none)›)+)(‹[A-Z]+›)")
_LEVEL: Final = re.compile(r"‹([a-z_.]+)=(\d+|none)›")


class Spelling:
    """The spelling of one trace. It remembers which items were mentioned, so texts are written in the order in
    which they are read."""

    def __init__(self, labels: Sequence[str], *, spaced: bool, titles: bool = True) -> None:
        """
        Args:
            labels: of the task's candidates, `‹A›`, ….
            spaced: whether a label is written as a capital behind a space; else as it is.
            titles: whether an item's title is shown where it is mentioned first.
        """
        self.labels = tuple(labels)
        self._titles = titles
        self._spaced = {label: f" {label[1:-1]}" for label in labels} if spaced else {}
        self._mentions: list[str] = []
        self._numbers: dict[str, int] = {}
        names = "|".join(re.escape(spelled) for spelled in self._spaced.values())
        self._like_label = re.compile(rf"(?:{names})(?![A-Za-z0-9])" if names else "(?!)")

    def label(self, label: str) -> str:
        """A label as it stands in text."""
        return self._spaced.get(label, label)

    def write(self, text: str) -> str:
        """Text of the linear form, spelled; new items get the next numbers."""
        parts = _STRUCTURE.split(text)
        for at in range(1, len(parts), 2):
            behind = parts[at + 1][:1]
            # A word that begins right behind a label would swallow it.
            if parts[at][0] == "⟦":
                parts[at] = self._mention(parts[at])
            elif not (behind.isascii() and behind.isalnum()):
                parts[at] = self.label(parts[at])
        for at in range(0, len(parts), 2):
            bare = _BRACKET.sub(_entity, parts[at])
            parts[at] = self._like_label.sub(lambda found: f"&#32;{found[0][1:]}", bare)
        return "".join(parts)

    def write_call(self, text: str) -> str:
        """A tool call's JSON, its labels bare."""
        call = parse_call(text)
        return ToolCall(call.name, {key: _mapped(value, _bare) for key, value in call.arguments.items()}).json()

    def write_answer(self, tool: str, answer: str) -> str:
        """A tool's answer; that of `compare` as a table."""
        rows = _ROW.findall(answer) if tool == "compare" else []
        if not rows:
            return self.write(answer)
        signals = " ".join(signal for signal, _ in _LEVEL.findall(rows[0][0]))
        lines = [
            self.label(label) + "".join(f" {_letter(level)}" for _, level in _LEVEL.findall(levels))
            for levels, label in rows
        ]
        return "\n".join([f"Levels from a (nothing) to p: {signals}", *lines])

    def read(self, text: str) -> str:
        """Text that the model wrote, as it stands in the linear form; names of no item stay as they are."""
        return _SPELLED.sub(self._read, text)

    def read_call(self, text: str) -> str:
        """A call that the model wrote, its labels in brackets; what is no call stays as it is."""
        try:
            call = parse_call(text)
        except LinearFormError:
            return text
        return ToolCall(
            call.name, {key: _mapped(value, self._bracketed) for key, value in call.arguments.items()}
        ).json()

    def _mention(self, mention: str) -> str:
        known = self._numbers.get(mention)
        if known is not None:
            return f"[{known}]"
        self._mentions.append(mention)
        number = self._numbers[mention] = len(self._mentions)
        if not self._titles:
            return f"[{number}]"
        title = mention[1:-1].partition("|")[2]
        return f"[{number} {_BRACKET.sub(_entity, title)}]"

    def _read(self, found: re.Match[str]) -> str:
        if found["name"]:
            number = int(found["name"])
            return self._mentions[number - 1] if 0 < number <= len(self._mentions) else found[0]
        if found["entity"]:
            return chr(int(found["entity"]))
        label = f"‹{found['label']}›"
        return label if label in self._spaced else found[0]

    def _bracketed(self, value: str) -> str:
        return f"‹{value}›" if f"‹{value}›" in self.labels else value


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def _bare(value: str) -> str:
    return value[1:-1] if LABEL.fullmatch(value) else value


def _letter(level: str) -> str:
    return "-" if level == "none" else chr(ord("a") + int(level))


def _mapped(value: Argument, change: Callable[[str], str]) -> Argument:
    return [change(entry) for entry in value] if isinstance(value, list) else value
