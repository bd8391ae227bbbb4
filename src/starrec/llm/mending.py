"""JSON as models write it, made into what a schema asks for.

Models put JSON between prose or fences, leave a comma at the end, use single quotes, write a list as a
string, add fields of their own, wrap an object in its own name. Pure functions: `values` finds JSON in a
text, `mended` fits a value to a schema and says what it changed.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

Repairs: TypeAlias = dict[str, int]
"""What was read otherwise than it was written: {kind: how often}."""

_OPENS: Final = re.compile(r"[{\[]")
_TRAILING_COMMA: Final = re.compile(r",(\s*[}\]])")
_CURLY_QUOTES: Final = str.maketrans({"“": '"', "”": '"', "„": '"'})
_LABELS: Final = re.compile("‹[^‹›]*›")
_BETWEEN: Final = re.compile(r"\s*[,;>\n|]\s*")
_WRAPPERS: Final = ("arguments", "parameters", "args", "input", "properties")
_LONGEST: Final = 200_000
"""Characters of a text that is searched for JSON."""
_TRIES: Final = 50
"""Places in a text at which JSON may begin."""


def values(text: str) -> Iterator[tuple[Any, int, int]]:
    """The objects and lists that stand in a text, outermost first, each with where it begins and ends."""
    text, at = text[:_LONGEST], 0
    for _ in range(_TRIES):
        opened = _OPENS.search(text, at)
        if opened is None:
            return
        at = opened.start()
        try:
            value, end = json.JSONDecoder(strict=False).raw_decode(text, at)
        except (ValueError, RecursionError):
            end = _closing(text, at)
            value = _lenient(text[at:end]) if end else None
        if isinstance(value, dict | list) and end:
            yield value, at, end
            at = end
        else:
            at += 1


def parsed(text: str) -> tuple[Any, bool]:
    """The JSON value that a text is, and whether it is written as JSON; (None, False) where there is none."""
    try:
        return json.loads(text), True
    except (ValueError, RecursionError):
        pass
    return next(((value, False) for value, _, _ in values(text)), (None, False))


def mended(value: Any, schema: Mapping[str, Any], repairs: Repairs) -> Any:
    """The value in the form that the schema asks for, as far as its meaning is plain. What was changed is added
    to `repairs`."""
    return _mended(value, schema, schema.get("$defs", {}), repairs)


def _mended(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any], repairs: Repairs) -> Any:
    schema = _resolved(schema, definitions)
    if "anyOf" in schema:
        schema = _branch(value, schema["anyOf"], definitions)
    kind = schema.get("type")
    if kind == "object":
        if isinstance(value, str) and isinstance(read := parsed(value)[0], dict):
            _count(repairs, "object as text")
            value = read
        if isinstance(value, dict):
            return _object(value, schema, definitions, repairs)
    elif kind == "array":
        if isinstance(value, str):
            _count(repairs, "list as text")
            value = _listed(value)
        if isinstance(value, list):
            return [_mended(entry, schema.get("items", {}), definitions, repairs) for entry in value]
    elif kind == "string" and isinstance(value, str) and (allowed := schema.get("enum")):
        return _named(value, allowed, repairs)
    return value


def _object(
    value: dict[str, Any], schema: Mapping[str, Any], definitions: Mapping[str, Any], repairs: Repairs
) -> dict[str, Any]:
    properties: Mapping[str, Any] = schema.get("properties", {})
    value = _unwrapped(value, properties, repairs)
    required = schema.get("required", ())
    others = schema.get("additionalProperties")
    read: dict[str, Any] = {}
    for key, entry in value.items():
        name = _named(key, list(properties), repairs) if properties else key
        if name in properties:
            if entry is None and name not in required and not _takes_null(properties[name], definitions):
                continue  # Many models write out as null what they leave out.
            read[name] = _mended(entry, properties[name], definitions, repairs)
        elif isinstance(others, Mapping):
            read[key] = _mended(entry, others, definitions, repairs)
        elif others is True or (not properties and others is not False):
            read[key] = entry
        else:
            _count(repairs, "extra fields")
    return read


def _branch(value: Any, schemas: list[Mapping[str, Any]], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of several schemas, the one that an object was written for: its `kind` decides, else the shared keys."""

    def fits(schema: Mapping[str, Any]) -> tuple[bool, int]:
        properties = _resolved(schema, definitions).get("properties", {})
        kind = properties.get("kind", {}).get("const")
        return kind is not None and kind == value.get("kind"), len(value.keys() & properties.keys())

    if not isinstance(value, dict):
        return {}
    return _resolved(max(schemas, key=fits), definitions)


def _unwrapped(value: dict[str, Any], properties: Mapping[str, Any], repairs: Repairs) -> dict[str, Any]:
    """Without a frame around all of it, such as {"arguments": {…}} or {"Plan": {…}}."""
    if len(value) == 1 and properties:
        ((key, inner),) = value.items()
        known = isinstance(inner, dict) and key not in properties
        if known and (key in _WRAPPERS or inner.keys() & properties.keys()):
            _count(repairs, "object in a frame")
            return dict(inner)
    return value


def _named(value: str, allowed: list[Any], repairs: Repairs) -> str:
    """The allowed name that was meant: "Recent Interest" is recent_interest."""
    if value in allowed:
        return value
    for name in allowed:
        if isinstance(name, str) and _plain(name) == _plain(value):
            _count(repairs, "names")
            return name
    return value


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _listed(text: str) -> list[Any]:
    read, _ = parsed(text)
    if isinstance(read, list):
        return read
    if labels := _LABELS.findall(text):
        return list(labels)
    return [part for part in _BETWEEN.split(text.strip()) if part]


def _takes_null(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    schema = _resolved(schema, definitions)
    return schema.get("type") == "null" or any(
        _takes_null(one, definitions) for one in schema.get("anyOf", ()) if isinstance(one, Mapping)
    )


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return definitions.get(name, {}) if "$ref" in schema else schema


def _closing(text: str, start: int) -> int:
    """Where the bracket that opens at `start` is closed; 0 where it is not."""
    depth, quote, at = 0, "", start
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif character == '"':
            quote = character
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    return 0


def _lenient(text: str) -> Any:
    """What almost is JSON: commas too many, curly quotes, Python's single quotes and names."""
    plain = _TRAILING_COMMA.sub(r"\1", text.translate(_CURLY_QUOTES))
    try:
        return json.loads(plain, strict=False)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _count(repairs: Repairs, kind: str) -> None:
    repairs[kind] = repairs.get(kind, 0) + 1
