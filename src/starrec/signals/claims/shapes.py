"""Shapes: the claims that a masked sentence makes, parsed once for all its items and figures.

A clause is read where it may begin and end, and only if every word of it is understood. Around it other text
may stand, but no word that could turn or bound what it says ("doubt", "unless", "among women"). What looks
like a claim but has no reading becomes a claim that says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from starrec.signals.claims.grammar import GRAMMAR
from starrec.signals.claims.lexicon import (
    ASKS,
    BOUNDING,
    DENIALS,
    HEDGES,
    LINKS,
    NEGATIONS,
    OPENERS,
    TRUTHS,
    word_set,
)
from starrec.signals.claims.meaning import Claim, Measure, Number, Quantity
from starrec.signals.claims.parser import Parse
from starrec.signals.claims.sentences import DECIMAL, ITEM, LABEL, PAUSES, SLOTS, TOPIC, WHOLE, Lattice


@dataclass(frozen=True, slots=True)
class Reading:
    """The claims of a shape, items and figures as slots; spans are places in the shape."""

    claims: tuple[Claim, ...]
    slots: int


@lru_cache(maxsize=1 << 14)
def read_shape(shape: str, question: bool = False) -> Reading:
    """The claims that a sentence of this shape makes."""
    slots = sum(shape.count(mark) for mark in SLOTS)
    if _nothing_counted(shape):
        return Reading((), slots)
    lattice = Lattice(shape)
    if question:
        return Reading((), slots)
    parse = Parse(GRAMMAR, lattice.places)
    islands: list[tuple[int, int, tuple[Claim, ...]]] = []
    at = 0
    last = len(lattice.words)
    while at < last:
        best: tuple[int, list[tuple[Claim, ...]]] | None = None
        if lattice.begins(at):
            found = [(end, claims) for end, claims in parse.readings("sentence", at) if lattice.closes(end)]
            if found:
                end = max(end for end, _ in found)
                best = end, [claims for one, claims in found if one == end]
        if best is None:
            at += 1
            continue
        end, readings = best
        readings = [claims for claims in readings if not any(claim.unread for claim in claims)] or readings
        claims = readings[0]
        if len(readings) > 1:
            claims = (replace(claims[0], unread="it can be read in more than one way"),)
        islands.append((at, end, claims))
        at = max(end, at + 1)
    return Reading(tuple(_judged(lattice, islands)), slots)


_COUNTS: Final = re.compile(
    rf"[{WHOLE}{DECIMAL}{LABEL}{ITEM}{TOPIC}]|\b(?:categor|categories|people|viewers|users|everyone|nobody)"
)


def _nothing_counted(shape: str) -> bool:
    return _COUNTS.search(shape) is None


def _judged(lattice: Lattice, islands: list[tuple[int, int, tuple[Claim, ...]]]) -> list[Claim]:
    """The claims of a sentence, given the clauses that were read in it and what stands around them."""
    words = lattice.words
    found: list[Claim] = []
    rest: list[tuple[int, int]] = []
    at = 0
    for start, end, _ in islands:
        rest.append((at, start))
        at = end
    rest.append((at, len(words)))
    turned = any(_turns(lattice, start, end) for start, end in rest)
    for start, end, claims in islands:
        span = (words[start].start, words[end - 1].end)
        for claim in claims:
            spanned = replace(claim, span=span)
            if turned and not claim.unread:
                spanned = replace(spanned, unread="words around it may change what it says")
            found.append(spanned)
    for start, end in rest:
        if start < end and _claims_something(lattice, start, end):
            span = (words[start].start, words[end - 1].end)
            found.append(Claim(Measure("nothing"), _NOTHING, span=span, unread="it cannot be read"))
    return sorted(found, key=lambda claim: claim.span)


_NOTHING: Final = Quantity("count", "vague", Number(0))


def _turns(lattice: Lattice, start: int, end: int) -> bool:
    """Whether words that were passed over could turn or bound the claims beside them.

    Words that deny or doubt do so anywhere. A negation does so too, unless a connective stands between it and
    the claim ("it is not famous, but ..."), and a "would" or "perhaps" where it governs the claim.
    """
    pieces: list[tuple[str, list[str]]] = [("", [])]
    for word in lattice.words[start:end]:
        if word.text in PAUSES or word.text in LINKS:
            pieces.append((word.text, []))
        else:
            pieces[-1][1].append(word.text)
    leads = end < len(lattice.words)
    follows = start > 0
    all_words = {word.text for word in lattice.words[start:end]}
    if all_words & DENIALS or (all_words & NEGATIONS and all_words & TRUTHS):
        return True
    for place, (link, words) in enumerate(pieces):
        if not words:
            continue
        governs = leads and place == len(pieces) - 1
        trails = follows and (place == 0 or (place == 1 and not pieces[0][1]))
        after = pieces[place + 1][0] if place + 1 < len(pieces) else ""
        linked = link in LINKS or after in LINKS
        if NEGATIONS.intersection(words) and (governs or trails or not linked):
            return True
        if HEDGES.intersection(words) and (governs or trails or (not linked and len(words) < 4)):
            return True
        # "... and hated it": something else is said of the same people.
        if trails and link in ("and", "or") and words[0] not in _SUBJECTS:
            return True
        # "..., Heat and Fargo": the clause goes on.
        if trails and words[0] in (ITEM, LABEL):
            return True
        # "... and Heat both": the clause goes on, in words that were not understood.
        if (governs or (trails and link not in PAUSES)) and _UNREAD.intersection(words):
            return True
        if words[0] in BOUNDING and " ".join(words) not in OPENERS and not (link in LINKS and place):
            return True
    return False


_SUBJECTS: Final = word_set("i it this that so thus therefore hence we the there he she they you")
"""Words that begin a clause of its own after "and"."""
_UNREAD: Final = word_set("all every each most half many some few both only") | frozenset(SLOTS)
_GRAPH: Final = word_set(
    """
    PEOPLE OTHERS TAKE POPULARITY POPULAR CATEGORY TRAITS AUDIENCE LIFT NEIGHBOUR SIMILARITY WEIGHT NOBODY
    EVERYONE FEWPEOPLE RATED MODEL TOPIC PERCENT
    """
)
"""Classes of words that speak of the graph ..."""
_TOGETHER: Final = tuple(
    word_set(pair)
    for pair in (
        "LAST THING", "LAST CHOICE", "DAY CHOICE", "DAY ITEM", "ITEM SHARES", "ITEM TIMES", "ITEM SHAREOF",
    )
)  # fmt: skip
"""... and those that do together."""
_AMOUNTS: Final = word_set("NOBODY EVERYONE FEWPEOPLE MOST MANY FEW FRACTION ALL NONE MINORITY TWICE")
_RELATIONS: Final = word_set(
    """
    MORE LESS FEWER MOSTPOP LEASTPOP RARELY AVOID OFTEN FOLLOWS FOLLOWED LEADSTO GOTO PRECEDES BEATS TRAILS
    WITHSTANDS OVERLAP AFTER USUALLY LIKELY
    """
)
_CROWD: Final = word_set("PEOPLE OTHERS AUDIENCE NOBODY EVERYONE FEWPEOPLE")
_DOING: Final = word_set("TAKE SKIP AVOID GOTO")
_RANKS: Final = word_set("top round step rank ranks place places number no k option stage turn page label vs")
"""Words after which a figure counts nothing."""


def _claims_something(lattice: Lattice, start: int, end: int) -> bool:
    """Whether words that were not understood claim something about the graph."""
    words = lattice.words
    classes = {name for place in range(start, end) for name in lattice.places[place]}
    texts = {word.text for word in words[start:end]}
    items = sum(word.text in (ITEM, LABEL) for word in words[start:end])
    figures = [
        place
        for place in range(start, end)
        if words[place].text in (WHOLE, DECIMAL)
        and not (place and words[place - 1].text in _RANKS)
        and not (place + 1 < len(words) and words[place + 1].text in ("st", "nd", "rd", "th"))
    ]
    spoken = classes & _GRAPH or any(together <= classes for together in _TOGETHER)
    counted = any(words[place + 1].text == "of" for place in figures if place + 1 < len(words))
    if figures and (spoken or (items and (counted or (items > 1 and DECIMAL in texts)))):
        return True
    if ASKS & texts or not items:
        return False
    if "than" in texts and classes & (_CROWD | _DOING | {"POPULAR", "POPULARITY"}):
        return True
    if classes & _AMOUNTS and classes & _CROWD and classes & _DOING:
        return True
    crowd = classes & _CROWD or items > 1
    return bool(classes & _RELATIONS and crowd and classes & (_DOING | {"POPULAR"}))
