"""How untrusted text (titles, ids, reviews) stands inside everything that agents and models read.

Trajectories are linear text with tags, and an item in them is a mention, `⟦50|Star Wars (1977)⟧`. A title is
written by strangers and may hold anything: `</tool_response>`, a bracket, a line break. Escaping turns every
character that has a meaning in the linear form into a numeric entity (`&#60;` for `<`), so that no title can
become a tag, a mention or a label, and every title comes back unchanged.
"""

from __future__ import annotations

import re
from typing import Final

STRUCTURAL: Final = "&<>⟦⟧‹›|"
"""Characters with a meaning in the linear form; none of them survives `escape`, save the `&` of an entity."""

_ENTITY: Final = {character: f"&#{ord(character)};" for character in STRUCTURAL}
_STRUCTURAL: Final = re.compile(f"[{STRUCTURAL}]")
# A full stop is no structure, but in a category it may stand as an entity so as not to end the sentence.
_ENTITIES: Final = re.compile("&#(" + "|".join(str(ord(character)) for character in STRUCTURAL + ".") + ");")
# C0, DEL and C1 controls, Unicode's line separators, and lone surrogates (which no UTF-8 file can hold).
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

MENTION: Final = re.compile(r"⟦([^⟦⟧|]*)\|([^⟦⟧|]*)⟧")
"""A mention; group 1 is the escaped item id, group 2 the escaped title."""


def printable(text: str) -> str:
    """Control characters as spaces: the text cannot steer a terminal."""
    return _CONTROL.sub(" ", text)


def escape(text: str) -> str:
    """Structural characters as entities, control characters as spaces: the text cannot pass for structure."""
    return _STRUCTURAL.sub(lambda found: _ENTITY[found.group()], printable(text))


def unescape(text: str) -> str:
    """The inverse of `escape`, but that control characters stay spaces. Other entities are left alone."""
    return _ENTITIES.sub(lambda found: chr(int(found.group(1))), text)


def mention(item_id: str, title: str) -> str:
    """An item as it stands in every message: `⟦id|title⟧`, both escaped."""
    return f"⟦{escape(item_id)}|{escape(title)}⟧"


def plain(text: str) -> str:
    """A message for people: mentions become their titles, entities the characters they stand for."""
    return unescape(MENTION.sub(lambda found: found.group(2), text))
