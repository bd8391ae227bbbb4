"""Clauses that count people: "13 of the 64 people who took A also took B", in any order of their parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from starrec.signals.claims.grammar.people import Did, Group, Listed, Some, took, went, who
from starrec.signals.claims.grammar.quantities import (
    ALL,
    NONE,
    THEM,
    VAGUE,
    Claims,
    Items,
    rule,
)
from starrec.signals.claims.meaning import BOTH, Claim, Measure, Number, Quantity


@dataclass(frozen=True, slots=True)
class Said:
    """What a clause claims, and what a tail would add to."""

    claims: Claims
    lift: Measure | None = None
    subject: int | None = None
    """Whose popularity a tail may speak of."""


def unread(why: str) -> Claim:
    return Claim(Measure("nothing"), VAGUE, unread=why)


def lift_of(group: Group, did: Did) -> Measure | None:
    """What "2.1 times what its popularity predicts" is said of."""
    if did.left or group.left or did.any or did.followed is not None or did.how:
        return None
    if group.window:
        return Measure("lift", did.took, window=group.window) if len(did.took) == 1 else None
    items = group.took + did.took
    return Measure("lift", items) if len(items) == 2 or BOTH in items or THEM in items else None


def counted(quantities: Sequence[Quantity], group: Group, did: Did) -> Said | None:
    """So many of the group did this."""
    measure, base = met(group, did), group.measure
    if measure is None:
        return None
    if did.followed is not None and measure.items[0] != THEM:
        if group.plain and any(q.unit == "share" for q in quantities):
            # A share of whom is open, unless they are those who took the anchor.
            return None
        if not group.plain:
            base = Measure("people", measure.items[:1])
    if did.how == "NEVER":
        # Of all of them, or of how many is open.
        if quantities != (ALL,):
            return None
        quantities = (NONE,)
    claims = tuple(Claim(measure, q, base, group.size) for q in quantities)
    return Said(claims, lift_of(group, did), (did.took or (None,))[-1])


def met(group: Group, did: Did) -> Measure | None:
    """Those of the group who did this."""
    if did.followed is not None:
        anchor = did.anchor
        if group.left or group.window or len(group.took) > 1:
            return None
        if anchor is None:
            anchor = group.took[0] if group.took else None
        elif group.took and group.took != (anchor,):
            return None
        return None if anchor is None else Measure("followed", (anchor, did.followed), reach=did.reach)
    if did.any:
        plain = group.plain
        return Measure("any", did.any) if plain else None
    return Measure("people", group.took + did.took, group.left + did.left, group.window)


@rule("clause", "s:some COMMA (or|that BE|i_e) p:qty COMMA d:did")
def _some_or_so_many_did(s: Some, p: Quantity, d: Did) -> Said | None:
    return counted((*s.quantities, p), s.group, d) if s.group is not None else None


@rule("clause", "s:some d:did", "s:some did_adverb d:did", "s:some COMMA d:did")
def _some_did(s: Some, d: Did) -> Said | None:
    return counted(s.quantities, s.group, d) if s.group is not None else None


rule("did_adverb", "(BOTH|all|each|ultimately|eventually|finally|thus|in_turn)")(lambda: True)
rule("front", "(of|out_of|AMONG) g:group COMMA?", "g:group COLON")(lambda g: g)
rule("looking", "(looking_at|look_at|considering|counting|taking|given|if_we_look_at|if_one_looks_at)")(
    lambda: True
)
rule("looking", "(if_we_take|if_you_look_at|if_you_take|when_looking_at|in_the_case_of|in_the_group_of)")(
    lambda: True
)
rule("front", "looking g:group COMMA")(lambda g: g)
rule("front", "(of|out_of|AMONG) EVERYONE d:rel COMMA?", "having d:did COMMA?")(lambda d: who(d))
rule("front", "OFTHEM COMMA?")(lambda: Group((THEM,)))


@rule("clause", "g:front s:some d:did")
def _of_so_many_did(g: Group, s: Some, d: Did) -> Said | None:
    """ "Among A's viewers, 13 of the 64 people took B"."""
    if s.group is None or not s.group.plain or s.group.size is None or g.size is not None:
        return None
    return counted(s.quantities, replace(g, size=s.group.size), d)


@rule(
    "clause", "g:front q:qtys PEOPLE? OFTHEM d:did", "g:front d:taken_by_some BE TAKE by q:qtys PEOPLE? OFTHEM"
)
def _of_these_did(g: Group, q: tuple[Quantity, ...], d: Did) -> Said | None:
    """ "Looking at A's viewers, 13 of them took B"."""
    return counted(q, g, d) if g.took != (THEM,) else None


rule("taken_by_some", "x:items")(took)


@rule("clause", "g:front s:bare d:did", "s:bare d:did COMMA? (among|of|from|in|out_of) g:group")
def _of_them_did(g: Group, s: Some, d: Did) -> Said | None:
    return counted(s.quantities, g, d)


@rule("clause", "s:alone also d:did", "s:alone d:did (too|as_well)")
def _they_also_did(s: Some, d: Did) -> Said | None:
    """ "64 people took A; 13 also took B": of those spoken of."""
    return counted(s.quantities, Group((THEM,)), d) if d.anchor is None else None


@rule("clause", "s:alone d:did")
def _so_many_did(s: Some, d: Did) -> Said | None:
    """ "13 took both A and B"."""
    return counted(s.quantities, Group(), d) if len(d.took) >= 2 or d.took == (BOTH,) else None


@rule("clause", "s:some take a:item COMMA r:alone take b:item")
def _each_took(s: Some, a: int, r: Some, b: int) -> Said | None:
    """ "64 people took A, 310 took B"."""
    if s.group is None or not s.group.plain:
        return None
    first = counted(s.quantities, s.group, Did(took=(a,)))
    second = counted(r.quantities, Group(), Did(took=(b,)))
    return Said(first.claims + second.claims) if first and second else None


@rule(
    "clause",
    "a:item BE TAKE by s:some COMMA? (AND|while)? b:item (BE? TAKE)? by (r:some|r:alone)",
)
def _each_taken(a: int, s: Some, b: int, r: Some) -> Said | None:
    """ "A was taken by 64 people and B by 310"."""
    if s.group is None or not s.group.plain or not (r.group or Group()).plain:
        return None
    first = counted(s.quantities, s.group, Did(took=(a,)))
    second = counted(r.quantities, r.group or Group(), Did(took=(b,)))
    return Said(first.claims + second.claims) if first and second else None


@rule(
    "clause",
    "x:items (BE|HAVE been|GET)? (all|BOTH|each)? TAKE TOGETHER? by s:some",
    "x:items sep TAKE by s:some",
)
def _taken_by(x: Listed, s: Some) -> Said | None:
    did = took(x)
    return counted(s.quantities, s.group, did) if did and s.group is not None else None


@rule(
    "clause",
    "x:items sep s:some",
    "x:items OPEN s:some CLOSE",
    "x:items sep TAKE by s:bare",
    "x:items sep s:bare",
)
def _item_and_figure(x: Listed, s: Some) -> Said | None:
    """ "Y: 310 of 943 people"."""
    did = took(x)
    if did is None or (s.group is None and s.quantities[0].unit != "count"):
        return None
    return counted(s.quantities, s.group or Group(), did) if s.group or len(x.items) else None


rule("sep", "COLON", "COMMA", "DASH")(lambda: True)


@rule(
    "clause",
    "g:front x:items BE (all|BOTH)? TAKE by s:bare",
    "x:items BE (all|BOTH)? TAKE by s:bare COMMA? (among|of|from|in|out_of) g:group",
    "g:front x:items BE TAKE by s:bare OFTHEM",
)
def _fronted_taken_by(g: Group, x: Listed, s: Some) -> Said | None:
    did = took(x)
    return counted(s.quantities, g, did) if did else None


@rule("clause", "x:items BE NOT TAKE by s:some", "x:items BE SKIP by s:some", "x:items BE AVOID by s:some")
def _not_taken_by(x: Listed, s: Some) -> Said | None:
    did = took(x, negated=True)
    return counted(s.quantities, s.group, did) if did and s.group is not None else None


@rule(
    "clause",
    "x:items (BE|HAVE been) NOT TAKE by ANYONE r:rel?",
    "x:items BE TAKE by (NOBODY|not ANYONE) r:rel?",
)
def _taken_by_nobody(x: Listed, r: Did | None = None) -> Said | None:
    did, group = took(x), who(r) if r else Group()
    return counted((NONE,), group, did) if did and group else None


@rule("clause", "x:items (BE|HAVE been) NOT TAKE by ANYONE (in|among|of) g:group")
def _taken_by_nobody_of(x: Listed, g: Group) -> Said | None:
    did = took(x)
    return counted((NONE,), g, did) if did else None


@rule("clause", "there BE s:some", "there BE s:some CARDINAL", "there exist s:some")
def _there_are(s: Some) -> Said | None:
    if s.group is None or s.group.size is not None:
        return None
    claims = tuple(Claim(s.group.measure, q, Measure("people")) for q in s.quantities)
    lift = Measure("lift", s.group.took) if len(s.group.took) == 2 and not s.group.left else None
    return Said(claims, lift, None)


@rule(
    "clause",
    "g:front there BE s:bare d:rel",
    "g:group (include|includes|contain|contains|comprise|comprises) s:bare d:rel",
)
def _among_them_are(g: Group, s: Some, d: Did) -> Said | None:
    return counted(s.quantities, g, d)


@rule("clause", "q:qtys of time COMMA? g:group d:did", "g:group d:did q:qtys of time")
def _of_the_time(q: tuple[Quantity, ...], g: Group, d: Did) -> Said | None:
    return counted(q, g, d) if not g.plain else None


@rule("clause", "ALL but q:qtys out g:group d:did")
def _all_but(q: tuple[Quantity, ...], g: Group, d: Did) -> Said | None:
    if (
        d.followed is not None
        or d.any
        or d.how
        or len(d.took + d.left) != 1
        or any(x.unit != "count" for x in q)
    ):
        return None
    return counted(q, g, Did(took=d.left, left=d.took))


@rule("clause", "g:group HAVE? all d:did")
def _all_did(g: Group, d: Did) -> Said | None:
    return None if g.plain else counted((ALL,), g, d)


@rule("clause", "x:items BE (in|part of|found in) HISTORY of s:some")
def _in_the_history_of(x: Listed, s: Some) -> Said | None:
    did = took(x)
    return counted(s.quantities, s.group, did) if did and s.group is not None else None


@rule(
    "clause",
    "b:item BE TAKE by s:some COMMA? r:reach",
    "b:item BE TAKE COMMA? r:reach COMMA? by s:some",
    "NEXT n:INT (THING|CHOICE) of s:some (include|includes|included|contain|contains) b:item",
)
def _taken_soon_by(
    b: int, s: Some, r: tuple[Number | None, int | None] = (None, None), n: Number | None = None
) -> Said | None:
    if s.group is None or (len(s.group.took) != 1 and not (s.group.plain and r[1] is not None)):
        return None
    return counted(s.quantities, s.group, went(b, (n, None) if n else r) or Did())


@rule("clause", "x:item BE (all_told|altogether)? TAKE q:qtys TIMES (out_of n:size)?")
def _taken_so_often(x: int, q: tuple[Quantity, ...], n: Quantity | None = None) -> Said | None:
    if n is not None or any(one.unit != "count" for one in q):
        return None
    return counted(q, Group(), Did(took=(x,)))


@rule(
    "clause",
    "with q:qtys people COMMA b:item BE POPULAR (CHOICE|THING)?",
    "with q:qtys people COMMA? b:item (DRAWS|HAVE) (large|big|wide) AUDIENCE",
)
def _with_so_many(q: tuple[Quantity, ...], b: int) -> Said | None:
    return counted(q, Group(), Did(took=(b,)))


@rule("clause", "there BE s:some d:did", "there BE s:some WHO d:did", "we (have|find|count|see) s:some d:rel")
def _there_are_who(s: Some, d: Did) -> Said | None:
    return counted(s.quantities, s.group, d) if s.group is not None else None


@rule(
    "clause",
    "a:item (HAVE|DRAWS) q:qtys people CARDINAL?",
    "a:item HAVE AUDIENCE of q:qtys people?",
    "a:item POSS AUDIENCE (SAYS|BE of|DRAWS) q:qtys people?",
    "AUDIENCE of a:item (SAYS|DRAWS) q:qtys people?",
    "a:item (HAVE|DRAWS) AUDIENCE of q:qtys people?",
    "a:item POSS POPULARITY (SAYS) q:qtys people?",
)
def _audience(a: int, q: tuple[Quantity, ...]) -> Said:
    return Said(tuple(Claim(Measure("people", (a,)), x, Measure("people")) for x in q), None, a)


@rule("clause", "a:item (HAVE|DRAWS) q:qtys (of|out_of) g:group", "a:item (HAVE|DRAWS) s:some")
def _audience_of(
    a: int, q: tuple[Quantity, ...] = (), g: Group | None = None, s: Some | None = None
) -> Said | None:
    if s is not None:
        q, g = s.quantities, s.group
    return None if g is None else counted(q, g, Did(took=(a,)))


rule("two", "a:item AND b:item", "BOTH a:item AND b:item", "between? a:item AND b:item")(lambda a, b: (a, b))
rule("two", "(they|the_two|BOTHITEMS)")(lambda: (BOTH,))


@rule(
    "clause",
    "x:two SHARES q:qtys people COMMON?",
    "x:two HAVE q:qtys people COMMON",
    "x:two OVERLAP (in|by|on|at) q:qtys people",
    "x:two HAVE OVERLAP of q:qtys people?",
    "OVERLAP (of|between) x:two (SAYS|COLON) q:qtys people?",
    "OVERLAP of q:qtys people (joins|links|connects) x:two",
    "q:qtys people (BE)? (COMMON to|shared by|shared between) x:two",
    "q:qtys people (link|links|connect|connects|join|joins|unite|unites) x:two",
    "NUMBEROF of? people (COMMON to|shared by|of) x:two (SAYS|COLON) q:qtys people?",
    "there BE OVERLAP of q:qtys people (between|of) x:two",
    "x:two BE (linked|joined|connected|united) by q:qtys people",
    "x:two BE TAKE TOGETHER by q:qtys people",
    "(between|among) x:two there BE q:qtys? COMMON? people",
)
def _shared(x: Items, q: tuple[Quantity, ...] = ()) -> Said | None:
    if not q or any(one.unit != "count" for one in q):
        return None
    return Said(
        tuple(Claim(Measure("people", x), one, Measure("people")) for one in q), Measure("lift", x), x[-1]
    )


@rule(
    "clause",
    "a:item SHARES q:qtys (people|of ITS n:size? people|of ITS AUDIENCE) with b:item",
    "a:item HAVE q:qtys people COMMON with b:item",
    "q:qtys of a:item POSS n:size? people BE (shared with|COMMON with) b:item",
    "a:item SHARES q:qtys of ITS n:size people with b:item",
)
def _shares_with(a: int, b: int, q: tuple[Quantity, ...], n: Quantity | None = None) -> Said | None:
    return counted(q, Group((a,), size=n), Did(took=(b,)))


@rule(
    "clause",
    "SHAREOF of g:group WHO (also)? d:did (SAYS|COLON) q:qtys",
    "SHAREOF of g:group d:doing (SAYS|COLON) q:qtys",
    "NUMBEROF of g:group (SAYS|COLON) q:qtys PEOPLE?",
    "SHAREOF of g:those_who (SAYS|COLON) q:qtys",
    "g:those_who (number|numbered|total|come_to|amount_to|count) q:qtys",
    "NUMBEROF of g:group WHO d:did (SAYS|COLON) q:qtys PEOPLE?",
    "CHANCEOF (that|of) g:somebody d:did (SAYS|COLON) q:qtys",
    "(among|of|for) g:group COMMA? SHAREOF WHO d:did (SAYS|COLON) q:qtys",
    "SHAREOF WHO d:did COMMA? among g:group COMMA? (SAYS|COLON) q:qtys",
    "q:qtys (SAYS) SHAREOF of g:group WHO d:did",
    "SHAREOF of g:group d:rel (SAYS|COLON) q:qtys",
)
def _the_share(g: Group, q: tuple[Quantity, ...], d: Did | None = None) -> Said | None:
    if d is not None:
        return counted(q, g, d)
    if g.window or g.size is not None:
        return None
    claims = tuple(Claim(g.measure, one, Measure("people")) for one in q)
    return Said(claims, Measure("lift", g.took) if len(g.took) == 2 else None) if not g.plain else None


rule(
    "those_who",
    "PEOPLE d:rel",
    "PEOPLE of x:items",
    "a:item POSS people",
    "a:item people",
    "AUDIENCE of x:items",
)(lambda d=None, x=None, a=None: who(d) if d else Group(x.items if x else (a,)))
rule("somebody", "(SOMEONE|person|viewer|user|reader|player|customer) d:rel")(lambda d: who(d))
rule(
    "those_who",
    "PEOPLE d:rel",
    "PEOPLE of x:items",
    "a:item POSS people",
    "a:item people",
    "AUDIENCE of x:items",
)(lambda d=None, x=None, a=None: who(d) if d else Group(x.items if x else (a,)))
rule("somebody", "(person|viewer|user|reader|player|customer) of a:item", "a:item PEOPLE")(
    lambda a: Group((a,))
)


@rule("clause", "there BE n:INT people CARDINAL?", "n:INT people CARDINAL? BE (known|counted|recorded)")
def _everybody(n: Number) -> Said:
    return Said((Claim(Measure("people"), Quantity("count", "exact", n)),))
