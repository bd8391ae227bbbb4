"""A parser for small ambiguous grammars: rules are lines of text, and all readings of a sentence are found.

A rule is `rule(name, patterns)(action)`. A pattern is a sequence of symbols: `name` (a rule), `WORD` (a class
of words) or `word` (that word itself). `x:symbol` hands the symbol's value to the action as `x`; `symbol?`,
`symbol*` and `symbol+` are optional and repeated; `(a|b c)` are alternatives. An action that returns None
refuses. A rule may not begin with itself.

What is parsed is a lattice: at each word several phrases may begin, and words of no weight may be passed
over. Parsing is top-down and memoised by rule and place (Norvig, "Techniques for automatic memoization with
applications to context-free parsing", Computational Linguistics 17(1), 1991), so that no reading hides
another and none is found twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

Action: TypeAlias = Callable[..., Any]
Captured: TypeAlias = tuple[tuple[str, Any], ...]
Lattice: TypeAlias = Sequence[Mapping[str, Sequence[tuple[int, Any]]]]
"""At each place, by class of words: where phrases of that class end, and what they stand for."""


@dataclass(frozen=True, slots=True)
class _Symbol:
    name: str
    capture: str = ""
    repeat: str = ""
    alternatives: tuple[_Sequence, ...] = ()


_Sequence: TypeAlias = tuple[_Symbol, ...]
_First: TypeAlias = tuple[frozenset[str], bool]
_PIECE: Final = re.compile(r"\w+:(?=\()|[()|?*+]|[^\s()|?*+]+")


class Grammar:
    """Rules by name."""

    def __init__(self) -> None:
        self.rules: dict[str, list[tuple[_Sequence, Action]]] = {}

    def rule(self, name: str, *patterns: str) -> Callable[[Action], Action]:
        """Register an action for these patterns."""

        def register(action: Action) -> Action:
            for pattern in patterns:
                self.rules.setdefault(name, []).append((_compile(pattern), action))
            return action

        return register

    def symbols(self, sequence: _Sequence) -> Iterator[_Symbol]:
        """All symbols of a pattern, those of its alternatives too."""
        for symbol in sequence:
            if symbol.alternatives:
                for part in symbol.alternatives:
                    yield from self.symbols(part)
            else:
                yield symbol

    @cached_property
    def begins(self) -> dict[str, list[_First]]:
        """For each rule's patterns, the classes of words that they may begin with, and whether they may be
        empty: what cannot begin here need not be tried."""
        of_rule: dict[str, _First] = {name: (frozenset(), False) for name in self.rules}

        def first(sequence: _Sequence) -> _First:
            begins: frozenset[str] = frozenset()
            for symbol in sequence:
                if symbol.alternatives:
                    words, empty = _union(first(part) for part in symbol.alternatives)
                else:
                    words, empty = of_rule.get(symbol.name, (frozenset({symbol.name}), False))
                begins |= words
                if not (empty or symbol.repeat in ("?", "*")):
                    return begins, False
            return begins, True

        while True:
            found = {name: _union(first(part) for part, _ in rules) for name, rules in self.rules.items()}
            if found == of_rule:
                return {name: [first(part) for part, _ in rules] for name, rules in self.rules.items()}
            of_rule = found


class Parse:
    """Readings of one sentence."""

    def __init__(self, grammar: Grammar, lattice: Lattice) -> None:
        self._grammar = grammar
        self._lattice = lattice
        self._known: dict[tuple[str, int], list[tuple[int, Any]]] = {}

    def readings(self, name: str, start: int) -> list[tuple[int, Any]]:
        """All (end, value) of a rule from a place on, each once."""
        key = (name, start)
        if key not in self._known:
            self._known[key] = []  # a rule that begins with itself finds nothing
            here = self._lattice[start].keys()
            found: dict[tuple[int, Any], None] = {}
            rules = zip(self._grammar.rules[name], self._grammar.begins[name], strict=True)
            for (sequence, action), (begins, empty) in rules:
                if empty or not begins.isdisjoint(here):
                    for end, captured in self._sequence(sequence, 0, start, ()):
                        value = action(**dict(captured))
                        if value is not None:
                            found[end, value] = None
            self._known[key] = list(found)
        return self._known[key]

    def _sequence(
        self, sequence: _Sequence, at: int, start: int, captured: Captured
    ) -> Iterator[tuple[int, Captured]]:
        if at == len(sequence):
            yield start, captured
            return
        symbol = sequence[at]
        if symbol.repeat in ("*", "+"):
            for end, values in self._repeated(symbol, start):
                if values or symbol.repeat == "*":
                    more = ((symbol.capture, values),) if symbol.capture else ()
                    yield from self._sequence(sequence, at + 1, end, captured + more)
            return
        if symbol.repeat == "?":
            yield from self._sequence(sequence, at + 1, start, captured)
        for end, value in self._once(symbol, start):
            yield from self._sequence(sequence, at + 1, end, captured + value)

    def _repeated(self, symbol: _Symbol, start: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
        yield start, ()
        for end, captured in self._once(_Symbol(symbol.name, "x", "", symbol.alternatives), start):
            for last, values in self._repeated(symbol, end):
                yield last, (captured[-1][1], *values)

    def _once(self, symbol: _Symbol, start: int) -> Iterator[tuple[int, Captured]]:
        if symbol.alternatives:
            for part in symbol.alternatives:
                for end, captured in self._sequence(part, 0, start, ()):
                    yield end, (*captured, (symbol.capture, True)) if symbol.capture else captured
            return
        found: Sequence[tuple[int, Any]]
        if symbol.name in self._grammar.rules:
            found = self.readings(symbol.name, start)
        else:
            found = self._lattice[start].get(symbol.name, ())
        for end, value in found:
            yield end, ((symbol.capture, value),) if symbol.capture else ()


def _union(parts: Iterator[_First]) -> _First:
    words: frozenset[str] = frozenset()
    empty = False
    for more, may_be_empty in parts:
        words, empty = words | more, empty or may_be_empty
    return words, empty


def _compile(pattern: str) -> _Sequence:
    pieces = _PIECE.findall(pattern)
    found = _alternatives(pieces)
    assert not pieces and len(found) == 1, f"alternatives stand in parentheses: {pattern!r}"
    return found[0]


def _alternatives(pieces: list[str]) -> list[_Sequence]:
    """Take alternatives off the pieces, up to a closing parenthesis or the end."""
    found: list[list[_Symbol]] = [[]]
    capture = ""
    while pieces:
        piece = pieces.pop(0)
        if piece == ")":
            break
        if piece == "|":
            found.append([])
        elif piece == "(":
            found[-1].append(_Symbol("", capture, "", tuple(_alternatives(pieces))))
            capture = ""
        elif piece in "?*+":
            last = found[-1].pop()
            found[-1].append(_Symbol(last.name, last.capture, piece, last.alternatives))
        elif piece.endswith(":"):
            capture = piece[:-1]
        else:
            name, _, symbol = piece.rpartition(":")
            found[-1].append(_Symbol(symbol, name))
    return [tuple(part) for part in found]
