"""Keys stay out of whatever is written down.

A provider's error body may repeat the key that it was sent, and a gateway may echo a header. Keys come from the
environment only, so the environment says what must never appear: the value of every variable whose name speaks
of a key, a token, a secret or a password.
"""

from __future__ import annotations

import os
import re
from typing import Final

HIDDEN: Final = "***"
_SECRET: Final = re.compile("KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SHORTEST: Final = 8
"""Shorter values are flags, and would hide half of a text."""


def hide(text: str) -> str:
    """The text with every key of the environment as `***`."""
    for secret in secrets():
        text = text.replace(secret, HIDDEN)
    return text


def secrets() -> list[str]:
    """What the environment keeps secret, the longest first, so that none is hidden in part."""
    values = {
        value
        for name, value in os.environ.items()
        if _SECRET.search(name) and len(value) >= _SHORTEST and not value.isdecimal()
    }
    return sorted(values, key=len, reverse=True)
