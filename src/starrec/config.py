"""Typed configuration: one TOML file, every key documented where it is declared.

A package owns the `Section` that configures it; the pipeline puts them together. An unknown key, a wrong type
or a value out of range is refused with the file, the key path and what would be right: a key that is silently
ignored is an experiment that was not run. `dump_toml` writes a configuration as resolved, each key under its
description, and reads back equal; `fingerprint` names the inputs of a step by their content.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
import types
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from starrec.errors import ConfigError


class Section(BaseModel):
    """A table of the configuration. Every field has a default, or is required, and a
    `Field(description=...)`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


M = TypeVar("M", bound=BaseModel)


def load_toml(path: Path, model: type[M]) -> M:
    """The configuration in a TOML file.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or has a key or value that model refuses; the
            message names
            the file, the key path, and the close match or the allowed keys.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"Cannot read configuration {path}: {error}. Give the path of a TOML file."
        ) from error
    return parse_toml(text, model, source=str(path))


def parse_toml(text: str, model: type[M], source: str) -> M:
    """As `load_toml`, from text; `source` names it in errors."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} is not valid TOML: {error}.") from error
    return parse_values(values, model, source)


def parse_values(values: Mapping[str, Any], model: type[M], source: str) -> M:
    """As `load_toml`, from the content of a file; `source` names it in errors."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [
            _explain(problem["type"], problem["loc"], problem["msg"], problem["input"], model)
            for problem in error.errors()
        ]
        raise ConfigError(f"{source}: " + " ".join(problems)) from error


def load_recorded(path: Path, model: type[M]) -> tuple[M, list[str]]:
    """The configuration that a run folder recorded, maybe by another release, and the keys of it that this
    release does not know, which are left out.

    Raises:
        ConfigError: as `load_toml`, but for unknown keys.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        model.model_validate(values)
    except ValidationError as error:
        unknown = [problem["loc"] for problem in error.errors() if problem["type"] == "extra_forbidden"]
        for *tables, key in unknown:
            table: Any = values
            for name in tables:
                table = table[name]
            del table[key]
        return parse_values(values, model, str(path)), [".".join(map(str, location)) for location in unknown]
    except (OSError, ValueError):
        pass  # said as `load_toml` says it
    return load_toml(path, model), []


def dump_toml(config: BaseModel) -> str:
    """The configuration as TOML, each key under its description as a comment; an unset key stands commented
    out."""
    lines: list[str] = []
    _dump_table(config, (), "", lines)
    return "\n".join(lines).strip("\n") + "\n"


def fingerprint(value: object) -> str:
    """16 hex digits of the SHA-256 of value's canonical JSON; value: models, mappings, sequences, scalars,
    paths.

    Raises:
        TypeError: something in value has no canonical form.
    """
    text = json.dumps(canonical(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def canonical(value: object) -> Any:
    """The value as JSON can hold it: models and mappings as dicts, sequences as lists, paths as text.

    Fields of models that stand at their default are left out: a field that a later release adds changes
    nothing.

    Raises:
        TypeError: something in value has no canonical form.
    """
    if isinstance(value, BaseModel):
        return canonical(value.model_dump(mode="json", exclude_defaults=True))
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"cannot fingerprint a {type(value).__name__}")


def _explain(
    kind: str, location: Sequence[int | str], message: str, given: object, model: type[BaseModel]
) -> str:
    key = ".".join(map(str, location))
    if kind == "extra_forbidden":
        table = _model_at(model, location[:-1])
        allowed = sorted(table.model_fields) if table else []
        close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f"did you mean `{close[0]}`? " if close else ""
        return f"Unknown key `{key}`: {hint}Allowed here: {', '.join(allowed)}."
    if kind == "missing":
        return f"Key `{key}` is required."
    return f"Key `{key}`: {message[0].lower()}{message[1:]}, got {given!r}."


def _model_at(model: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel] | None:
    annotation: object = model
    for part in location:
        if isinstance(part, int):  # a place in a list of tables
            annotation = next(iter(get_args(annotation)), None)
            continue
        if (named := _named_in(annotation)) is not None:
            annotation = named
            continue
        current = _model_in(annotation)
        field = current.model_fields.get(str(part)) if current else None
        annotation = field.annotation if field else None
    return _model_in(annotation)


def _named_in(annotation: object) -> type[BaseModel] | None:
    """The section that a mapping holds by name, if the annotation is one of a mapping of sections."""
    parts = get_args(annotation)
    mapping = get_origin(annotation)
    if len(parts) == 2 and isinstance(mapping, type) and issubclass(mapping, Mapping):
        return _model_in(parts[1])
    return None


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType):
        return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
    return None


def _dump_table(table: BaseModel, path: tuple[str, ...], description: str, lines: list[str]) -> None:
    if path:
        lines += ["", *_comment(description), f"[{'.'.join(path)}]"]
    inner = []
    for name, field in type(table).model_fields.items():
        value = getattr(table, name)
        if isinstance(value, BaseModel):
            inner.append((value, (*path, name), field.description or ""))
        elif _named_in(field.annotation) is not None:
            # An empty inline table could not be added to where the file goes on.
            lines += [*_comment(field.description or ""), f"# [{'.'.join((*path, name))}.<name>]"]
            inner += [(section, (*path, name, key), "") for key, section in value.items()]
        else:
            lines += _comment(field.description or "")
            lines.append(f"# {name} =" if value is None else f"{name} = {_toml(value)}")
    # A key that followed a table would belong to it, so tables come last.
    for section in inner:
        _dump_table(*section, lines)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in text.splitlines()]


def _toml(value: Any) -> str:
    if isinstance(value, Enum):
        return _toml(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, Path)):
        # A JSON string is a TOML basic string, but for DEL, which JSON leaves as it is.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    raise TypeError(f"cannot write a {type(value).__name__} as TOML")
