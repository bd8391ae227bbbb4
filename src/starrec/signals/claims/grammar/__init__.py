"""The grammar of claims: how people say what others took.

It is small because it is compositional. A *quantity* ("13", "about 20%", "one in five", "nobody"), a *group*
of people ("the 64 people who took A", "A's audience", "the 50 nearest neighbours") and a *predicate* ("took
B", "did not take B", "went on to B within three items") make a clause in any of their orders, active or
passive, and a *tail* adds how that compares with chance. What a clause means follows from what its parts
mean: the predicate is applied to the group, and the quantity is said of what is left.

Here items and figures are slots of a sentence; `read` fills them in. So a sentence is parsed once for all its
figures and items.
"""

from __future__ import annotations

from dataclasses import replace

from starrec.signals.claims.grammar import (  # noqa: F401 (their rules)
    chance,
    comparisons,
    counts,
    frequency,
    history,
    items,
    lifts,
    people,
    quantities,
    sequels,
    trends,
)
from starrec.signals.claims.grammar.counts import Said, counted, unread
from starrec.signals.claims.grammar.people import Did, Group, Some
from starrec.signals.claims.grammar.quantities import GRAMMAR, THEM, Claims, rule
from starrec.signals.claims.meaning import IT, Claim, Measure, Window

__all__ = ["GRAMMAR", "THEM"]


# Whole sentences: clauses one after another, behind a label and words of introduction.

rule("join", "(COMMA|DASH|COLON)? (AND|BUT|while|whereas|though|although|WHO|so|since|because|yet)?", "OPEN")(
    lambda: True
)
rule("said", "x:statement")(lambda x: x.claims)
rule(
    "said",
    "x:statement (COMMA|DASH|OPEN) y:said CLOSE?",
    "x:statement (COMMA|DASH)? (AND|BUT|while|whereas|though|although) y:said",
)(lambda x, y: x.claims + y)


@rule("said", "FALSE (COMMA|COLON|that)? x:statement")
def _false(x: Said) -> Claims:
    if len(x.claims) > 1:
        return (unread("which of these is denied is not said"),)
    claim = x.claims[0]
    return (replace(claim, negated=not claim.negated),)


@rule("sentence", "i:item (OPEN|COLON|DASH|COMMA) x:said CLOSE?")
def _item_said(i: int, x: Claims) -> Claims | None:
    put = tuple(_put(claim, i) for claim in x)
    return put if put != x else None


@rule("clause", "SIMILARLY w:record COMMA? s:some d:did", "SIMILARLY w:record COMMA? g:front s:bare d:did")
def _by_history(w: Window, d: Did, s: Some, g: Group | None = None) -> Said | None:
    group = g or s.group
    if group is None or group.window != "either":
        return None
    return counted(s.quantities, replace(group, window=w), d)


@rule(
    "clause",
    "SIMILARLY w:record COMMA? g:group (include|includes|contain|contains|comprise|comprises) s:bare d:rel",
    "SIMILARLY w:record COMMA? there BE s:bare d:rel (among|in|within) g:group",
    "SIMILARLY w:record COMMA? b:item BE TAKE by s:some",
)
def _by_history_are(
    w: Window, s: Some, d: Did | None = None, g: Group | None = None, b: int | None = None
) -> Said | None:
    group = g or s.group
    did = d or (None if b is None else Did(took=(b,)))
    if group is None or did is None or group.window != "either":
        return None
    return counted(s.quantities, replace(group, window=w), did)


rule("sentence", "x:said", "LABEL COLON? COMMA? x:said")(lambda x: x)


@rule("sentence", "(for|as_for|regarding|about|with|take) i:item (COMMA|COLON|DASH) x:said")
def _as_for(i: int, x: Claims) -> Claims | None:
    """ "As for A, 64 people took it"."""
    put = tuple(_put(claim, i) for claim in x)
    return put if put != x else None


def _put(claim: Claim, item: int) -> Claim:
    def into(measure: Measure | None) -> Measure | None:
        if measure is None or IT not in measure.items:
            return measure
        return replace(measure, items=tuple(item if one == IT else one for one in measure.items))

    measure = into(claim.measure)
    assert measure is not None
    return replace(claim, measure=measure, base=into(claim.base))
