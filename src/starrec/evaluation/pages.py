"""HTML of the reports: templates with escaping, and how figures and messages are written in them."""

from __future__ import annotations

import importlib
from typing import Any

from starrec.data import MENTION, unescape
from starrec.errors import StarrecError
from starrec.evaluation import wording


def render(template: str, **values: object) -> str:
    """A page from a template of this room, every value escaped.

    Raises:
        StarrecError: Jinja2 is not installed.
    """
    try:
        jinja2, markupsafe = (importlib.import_module(name) for name in ("jinja2", "markupsafe"))
    except ImportError as error:
        raise StarrecError(
            "The report needs Jinja2, which is not installed. Install it with `pip install 'starrec[report]'`."
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("starrec.evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def message(text: str) -> Any:
        """A message as it stands in a trajectory: mentions as emphasised titles, entities as what they say."""
        parts: list[Any] = []
        end = 0
        for found in MENTION.finditer(text):
            parts.append(markupsafe.escape(unescape(text[end : found.start()])))
            parts.append(markupsafe.Markup('<span class="item">{}</span>').format(unescape(found.group(2))))
            end = found.end()
        return markupsafe.Markup("").join([*parts, markupsafe.escape(unescape(text[end:]))])

    environment.filters |= {
        "decimal": wording.decimal,
        "duration": wording.duration,
        "gain": wording.percent_gain,
        "plain": wording.plain_value,
        "message": message,
        # SVG of our own making: names from the data were escaped when it was drawn.
        "picture": markupsafe.Markup,
    }
    return str(environment.get_template(template).render(words=wording, **values))
