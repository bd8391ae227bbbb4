"""HTML in which text cannot become markup, and a page that loads nothing and runs only what it came with.

Titles and ids are written by strangers. So a plain `str` is always text here: `element` escapes it, and only
what `element` itself made is `Html`. A second lock is the page's Content-Security-Policy: it forbids every
load from elsewhere and every script but the page's own, named by their hashes, so that even markup that had
slipped in could neither run nor report home.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

_VOID: Final = frozenset({"meta", "br"})


@dataclass(frozen=True, slots=True)
class Html:
    """Finished markup."""

    text: str


Node: TypeAlias = "str | Html | Sequence[Node] | None"
"""What may stand inside an element: text, markup, nothing, or several of these."""


def element(tag: str, *children: Node, **attributes: str | bool | None) -> Html:
    """`<tag …>children</tag>`, text and attribute values escaped.

    Attributes: `class_` stands for class, an underscore for a hyphen; True gives a bare attribute, False and
    None none.
    """
    opened = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        opened.append(name if value is True else f'{name}="{html.escape(value)}"')
    start = f"<{' '.join(opened)}>"
    return Html(start) if tag in _VOID else Html(f"{start}{_inner(children)}</{tag}>")


def page(title: str, body: Node, *, style: str, scripts: Sequence[str], data: str) -> str:
    """A whole HTML document that needs nothing else.

    Args:
        style: CSS of this project.
        scripts: JavaScript of this project or its libraries, run in order after the body.
        data: JSON for the scripts, in `<script id="data">`.

    Raises:
        ValueError: a script or the style would end its own element.
    """
    for source in (*scripts, style):
        if "</script" in source.lower() or "</style" in source.lower():
            raise ValueError("a script or style sheet must not hold its own closing tag")
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    # Inside JSON, "<" can only stand in a string, where an escape means the same.
    harmless = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        Html(f"<style>{style}</style>"),
    )
    foot = [Html(f'<script type="application/json" id="data">{harmless}</script>')]
    foot += [Html(f"<script>{script}</script>") for script in scripts]
    return f"<!doctype html>\n{element('html', head, element('body', body, foot), lang='en').text}\n"


def _inner(node: Node) -> str:
    if node is None:
        return ""
    if isinstance(node, Html):
        return node.text
    if isinstance(node, str):
        return html.escape(node)
    return "".join(map(_inner, node))


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
