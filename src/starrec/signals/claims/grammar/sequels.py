"""Clauses about what follows what: "after A, 8% moved on to B within three items", "B follows A"."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from starrec.signals.claims.grammar.counts import Said, counted
from starrec.signals.claims.grammar.frequency import generally
from starrec.signals.claims.grammar.people import Did, Group, Some, went
from starrec.signals.claims.grammar.quantities import rule
from starrec.signals.claims.meaning import IT, Number

# One after another.

rule("follow_some", "(for|by|in|with|among|HAPPENS|in_the_case_of) s:some", "(for|in) q:qtys out? CASE")(
    lambda s=None, q=None: s if s is not None else Some(q, None)
)
rule("follow_some", "HAPPENS s:some")(lambda s: s)
rule("follows", "b:item h:how? FOLLOWS a:item", "b:item h:how? FOLLOWS TAKE? a:item r:reach")(
    lambda a, b, h="", r=(None, None): (a, b, h, r[0])
)
rule(
    "follows",
    "a:item BE h:how? FOLLOWED (by|up_by) b:item r:reach?",
    "a:item h:how? (LEADSTO|PRECEDES) b:item r:reach?",
)(lambda a, b, h="", r=(None, None): (a, b, h, r[0]))
rule("follows", "b:item DO? h:how FOLLOWS a:item")(lambda a, b, h: (a, b, h, None))
rule("follows", "AFTER a:item (come|comes|came) b:item r:reach?")(lambda a, b, r=(None, None): (a, b, "", r[0]))
rule("follows", "b:item (come|comes|came) r:reach AFTER a:item")(lambda a, b, r: (a, b, "", r[0]))
rule("follows", "b:item (come|comes|came|BE) r:reach")(
    lambda b, r: None if r[1] is None else (r[1], b, "", r[0])
)
rule("follows", "b:item BE (TAKE)? r:reach")(lambda b, r: None if r[1] is None else (r[1], b, "", r[0]))
rule("follows", "b:item BE TAKE r:reach? AFTER a:item")(lambda a, b, r=(None, None): (a, b, "", r[0]))

Follows: TypeAlias = tuple[int, int, str, Number | None]


@rule("clause", "f:follows")
def _follows(f: Follows) -> Said | None:
    a, b, how, n = f
    return generally(Group(), Did(followed=b, anchor=a, reach=n), how)


@rule("clause", "f:follows COMMA? s:follow_some", "s:follow_front f:follows")
def _follows_for(f: Follows, s: Some) -> Said | None:
    a, b, how, n = f
    if how:
        return None
    group = s.group or Group((a,))
    if group.plain:
        group = Group((a,), size=group.size)
    return counted(s.quantities, group, Did(followed=b, anchor=a, reach=n))


rule("follow_front", "(for|in) s:some COMMA?")(lambda s: s)
rule("follow_front", "in q:qtys out? CASE COMMA?", "q:qtys TIMES COMMA")(lambda q: Some(q, None))


@rule(
    "clause",
    "b:item BE (TAKE)? r:near_next (for|by|of|in) s:some",
    "for s:some COMMA? b:item BE r:near_next",
    "s:some HAVE b:item r:near_next",
    "s:some HAVE TAKE? b:item r:near_next",
    "b:item BE r:near_next COMMA? (for|by|of) s:some",
    "b:item (APPEARS|came|comes|come) r:near_next (for|by|of|in) s:some",
)
def _among_the_next(b: int, r: Number, s: Some) -> Said | None:
    if s.group is None or len(s.group.took) != 1:
        return None
    return counted(s.quantities, s.group, Did(followed=b, reach=r))


rule("near_next", "(one_of|nearby)* (ITS)? NEXT n:INT (THING|CHOICE)?")(lambda n: n)
rule("near_next", "nearby n:INT (THING|CHOICE) that follow")(lambda n: n)


@rule(
    "clause",
    "AFTER TAKE? a:item COMMA? s:some d:onward",
    "AFTER TAKE? a:item COMMA? s:bare d:onward",
    "AFTER HAVE TAKE a:item COMMA? s:bare d:onward",
    "AFTER HAVE TAKE a:item COMMA? s:some d:onward",
    "r:after_reach COMMA? s:some d:onward",
    "r:after_reach COMMA? s:bare d:onward",
    "from a:item COMMA? s:some d:onward",
    "from a:item COMMA? s:bare d:onward",
)
def _after(s: Some, d: Did, a: int = IT, r: tuple[Number | None, int] | None = None) -> Said | None:
    if r is not None:
        n, a = r
        if d.reach is not None:
            return None
        d = replace(d, reach=n)
    group = s.group or Group()
    if group.plain or group == Group((IT,), size=group.size):
        # After A, "of the 64 people" (or "of its viewers") are those who took A.
        group = Group((a,), size=group.size)
    return counted(s.quantities, group, replace(d, anchor=a)) if d.anchor is None else None


rule("after_reach", "nearby (NEXT)? n:INT (THING|CHOICE) (of|AFTER) TAKE? a:item")(lambda n, a: (n, a))
rule("onward", "take b:item", "goes b:item")(lambda b: Did(followed=b))
rule("onward", "take b:item COMMA? r:reach", "goes b:item COMMA? r:reach")(lambda b, r: went(b, r))
rule("onward", "NEXT? take b:item NEXT?")(lambda b: Did(followed=b))


@rule("clause", "AFTER TAKE? a:item COMMA? g:group h:how? d:onward")
def _after_generally(a: int, d: Did, g: Group, h: str = "") -> Said | None:
    if d.anchor is not None or not (g.plain or g.took == (a,)) or g.size:
        return None
    return generally(Group(), replace(d, anchor=a), h)


@rule(
    "clause",
    "AFTER TAKE? a:item COMMA? g:group DO? NOT d:onward",
    "AFTER TAKE? a:item COMMA? g:group h:RARELY d:onward",
)
def _after_never(a: int, g: Group, d: Did, h: str = "") -> Said | None:
    if d.anchor is not None or not g.plain or g.size:
        return None
    return generally(Group(), replace(d, anchor=a), "RARELY" if h else "NEVER")
