"""API keys: who may ask. Only their hashes are kept, in a file of the run folder.

A key is 256 random bits, so one SHA-256 is enough to keep it from being found again; what a password needs
against guessing would cost each request milliseconds. A key is shown once, when it is made. Servers read the
file again when it has changed: a key that was made or taken away counts from then on.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import FileLock
from pydantic import BaseModel, TypeAdapter, ValidationError

from starrec.errors import ConfigError
from starrec.runs import write_atomic

FILE: Final = "keys.json"
"""In the run folder."""
_PREFIX: Final = "starrec"
_NAME_LENGTH: Final = 64


class Key(BaseModel):
    """What is kept of a key."""

    id: str
    """Second part of the key; not secret."""
    name: str
    """Who has it. Stands in logs."""
    sha256: str
    made: str
    """ISO 8601."""


_KEYS: Final = TypeAdapter(list[Key])


class Keys:
    """The keys in a file. Missing, it holds none."""

    def __init__(self, path: Path) -> None:
        """Raises: ConfigError: the file cannot be read, or is no file of keys."""
        self.path = path
        self._state: tuple[int, int] | None = None
        self._by_id: dict[str, Key] = {}
        self._refresh()

    def __len__(self) -> int:
        self._refresh()
        return len(self._by_id)

    def all(self) -> list[Key]:
        """The keys, oldest first."""
        self._refresh()
        return list(self._by_id.values())

    def holder(self, key: str) -> str | None:
        """Name of who has this key; None where nobody has it.

        Raises:
            ConfigError: the file was changed into what is no file of keys.
        """
        self._refresh()
        parts = key.split("_", 2)
        found = self._by_id.get(parts[1]) if len(parts) == 3 else None
        expected = found.sha256 if found is not None else ""
        return found.name if found is not None and hmac.compare_digest(_sha256(key), expected) else None

    def add(self, name: str) -> str:
        """Make a key for someone; it cannot be shown again.

        Raises:
            ConfigError: the name is empty, too long, or has a key already.
        """
        if not name.strip() or len(name) > _NAME_LENGTH or not name.isprintable():
            raise ConfigError(f"A key needs a name of 1 to {_NAME_LENGTH} printable characters, not {name!r}.")
        with self._writing():
            if any(known.name == name for known in self._by_id.values()):
                raise ConfigError(
                    f"{self.path} holds a key of {name!r}. Revoke it first, or choose another name."
                )
            key = f"{_PREFIX}_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
            made = datetime.now(UTC).isoformat(timespec="seconds")
            self._write([*self.all(), Key(id=key.split("_")[1], name=name, sha256=_sha256(key), made=made)])
        return key

    def revoke(self, name: str) -> None:
        """Take someone's key away.

        Raises:
            ConfigError: nobody of that name has one.
        """
        with self._writing():
            left = [key for key in self.all() if key.name != name]
            if len(left) == len(self._by_id):
                names = ", ".join(key.name for key in left) or "nobody"
                raise ConfigError(f"{self.path} holds no key of {name!r}. Keys have: {names}.")
            self._write(left)

    def _writing(self) -> FileLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_name(f".{self.path.name}.lock"))

    def _write(self, keys: list[Key]) -> None:
        write_atomic(self.path, json.dumps([key.model_dump() for key in keys], indent=1) + "\n")
        self._refresh()

    def _refresh(self) -> None:
        try:
            status = self.path.stat()
            state = (status.st_mtime_ns, status.st_ino)
            if state == self._state:
                return
            found = _KEYS.validate_json(self.path.read_bytes())
        except FileNotFoundError:
            self._state, self._by_id = None, {}
            return
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no list of keys"
            raise ConfigError(
                f"{self.path} cannot be read as a file of API keys ({reason}). Make one with `starrec keys "
                "add`."
            ) from error
        self._state, self._by_id = state, {key.id: key for key in found}


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
