"""What a whole group does often, rarely or never, and what it avoids: an adverb in place of a figure."""

from __future__ import annotations

from dataclasses import replace

from starrec.signals.claims.grammar.counts import Said, lift_of, met, unread
from starrec.signals.claims.grammar.people import Did, Group
from starrec.signals.claims.grammar.quantities import LESS, NONE, SOME, quantity, rule
from starrec.signals.claims.meaning import Claim, Measure

rule("how", "OFTEN")(lambda: "OFTEN")
rule("how", "RARELY")(lambda: "RARELY")
rule("how", "SOMETIMES")(lambda: "SOMETIMES")
rule("how", "NOT")(lambda: "NEVER")
rule("how", "(USUALLY|TENDTO)")(lambda: "USUALLY")


def generally(g: Group, d: Did, how: str) -> Said | None:
    """People of this group do that (often, rarely, never)."""
    measure = met(g, d)
    if measure is None or (d.how == "NEVER" and how):
        return None
    how = how or d.how
    if how == "AVOID":
        lift = lift_of(g, Did(took=d.left))
        return Said((Claim(replace(lift, kind="contrary"), LESS),)) if lift else None
    if d.followed is not None:
        anchor = Measure("people", measure.items[:1])
        match how:
            case "":
                return Said((Claim(measure, SOME),))
            case "NEVER":
                return Said((Claim(measure, NONE),))
            case "OFTEN":
                return Said((Claim(measure, quantity("share", "at least", 10), anchor),))
            case "RARELY":
                return Said((Claim(measure, quantity("share", "under", 10), anchor),))
            case "SOMETIMES":
                return Said((Claim(measure, SOME),))
        return Said((unread("how often that is, is not said"),))
    lift = lift_of(g, d)
    if how == "NEVER":
        return Said((Claim(measure, NONE),)) if d.took else None
    if how == "SOMETIMES":
        return Said((Claim(measure, SOME),))
    if how == "RARELY":
        if g.plain:
            return Said((Claim(measure, quantity("share", "under", 10), g.measure),))
        return Said((Claim(replace(lift, kind="contrary"), LESS),)) if lift else None
    if d.left and not how:
        # "People who took A did not take B": none of them did.
        return (
            Said((Claim(Measure("people", g.took + d.left, g.left, g.window), NONE),)) if not d.took else None
        )
    return Said((unread("how many people that are is not said"),))


@rule("clause", "g:group h:how? d:did", "g:group WOULD? h:how? d:did", "g:group TENDTO NOT d:did")
def _people_do(g: Group, d: Did, h: str = "") -> Said | None:
    if g.size is not None:
        return None
    if g.plain and d.followed is None and (d.left or h != "RARELY"):
        return None
    return generally(g, d, h)


@rule("clause", "g:group HAVE? TENDTO NOT TAKE x:item")
def _avoid(g: Group, x: int) -> Said | None:
    return _avoid_claim(g, x)


@rule(
    "clause",
    "g:group (DO|HAVE|WOULD)? NOT (TENDTO)? AVOID x:item",
    "g:group (DO|HAVE|WOULD)? NOT RARELY TAKE x:item",
    "x:item (BE|HAVE been) NOT (RARELY TAKE|AVOID) (by|among) g:group",
    "AMONG g:group COMMA? x:item BE NOT (RARELY TAKE|AVOID)",
)
def _not_avoided(g: Group, x: int) -> Said | None:
    """Not contrary evidence: the negation of what avoiding means, and no more."""
    said = None if g.plain else _avoid_claim(g, x)
    return said and Said(tuple(replace(claim, negated=True) for claim in said.claims))


@rule("clause", "x:item BE (RARELY TAKE|AVOID) by g:group", "x:item BE RARELY TAKE among g:group")
def _avoided(x: int, g: Group) -> Said | None:
    if g.plain:
        return Said((Claim(Measure("people", (x,)), quantity("share", "under", 10), g.measure),))
    return _avoid_claim(g, x)


@rule("clause", "x:item BE RARELY TAKE CARDINAL?")
def _rarely_taken(x: int) -> Said:
    return Said((Claim(Measure("people", (x,)), quantity("share", "under", 10), Measure("people")),))


@rule("clause", "g:group DO? NOT h:OFTEN TAKE x:item")
def _not_often(g: Group, x: int, h: str) -> Said:
    return Said((unread("how rarely that is, is not said"),))


def _avoid_claim(g: Group, x: int) -> Said | None:
    lift = lift_of(g, Did(took=(x,)))
    return Said((Claim(replace(lift, kind="contrary"), LESS),)) if lift and g.size is None else None
