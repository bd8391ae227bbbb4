"""Clauses that only say how something compares with chance: "B is 2.1 times likelier among them", "A and B go
together as often as chance".
"""

from __future__ import annotations

from dataclasses import replace

from starrec.signals.claims.grammar.chance import Lift, Reference, lifted, owned
from starrec.signals.claims.grammar.counts import Said, lift_of
from starrec.signals.claims.grammar.people import Did, Group, who
from starrec.signals.claims.grammar.quantities import (
    BY_CHANCE,
    EQUAL,
    LESS,
    MORE,
    Claims,
    Items,
    quantity,
    rule,
)
from starrec.signals.claims.meaning import BOTH, Claim, Measure, Quantity


@rule(
    "clause",
    "g:whoever take b:item (at)? x:lift",
    "g:whoever BE x:lift_to b:item",
    "b:item BE (TAKE|POPULAR|found|seen)? x:lift among g:group",
    "b:item BE (TAKE|POPULAR)? x:lift_in g:group",
    "b:item BE TAKE by g:group x:lift",
    "b:item BE TAKE x:lift by g:group",
    "AMONG g:group COMMA? b:item BE (TAKE)? x:lift",
    "AMONG g:group COMMA? b:item (HAVE|shows|show) x:lift",
    "b:item HAVE x:lift (among|with|for|over|in) g:group",
    "g:group take b:item COMMA? x:lift",
)
def _lift_of_group(g: Group, b: int, x: Lift) -> Said | None:
    return _lifted_group(g, b, x.quantity, x.owner)


def _lifted_group(g: Group, b: int, q: Quantity, owner: int | None, *, negated: bool = False) -> Said | None:
    """How the group took B, over what popularity predicts; and how large it is, where that is said."""
    measure = lift_of(g, Did(took=(b,)))
    if measure is None or (negated and g.size is not None):
        return None
    claims: Claims = (replace(owned(Claim(measure, q), owner), negated=negated),)
    if g.size is not None:
        claims += (Claim(g.measure, g.size, Measure("people")),)
    return Said(claims, measure, b)


rule("lift_to", "q:times (AS|MORE) LIKELY (as|than) r:ref to TAKE")(lifted)
rule("lift_to", "(MORE LIKELY|likelier) than r:ref to TAKE")(lambda r: lifted(MORE, r))
rule("lift_to", "LESS LIKELY than r:ref to TAKE")(lambda r: lifted(LESS, r))
rule("lift_in", "q:times AS (LIKELY|POPULAR|OFTEN TAKE|TAKE) among")(lambda q: None)


@rule(
    "clause",
    "g:whoever BE q:times AS LIKELY to HAVE? TAKE b:item as r:ref",
    "g:whoever BE q:times MORE LIKELY to HAVE? TAKE b:item than r:ref",
    "g:group TAKE b:item q:times AS LIKELY as r:ref",
    "b:item BE q:times AS (LIKELY|POPULAR|TAKE) (to be TAKE by|among|with|for|in|by|after) g:group as r:ref",
    "b:item BE q:times MORE (LIKELY|POPULAR|TAKE) (among|with|for|in|by) g:group than r:ref",
    "b:item BE q:times AS OFTEN TAKE by g:group as r:ref",
    "b:item BE TAKE q:times AS OFTEN by g:group as r:ref",
    "b:item BE q:more_by (among|with|for|in|by) g:group than r:ref",
    "g:whoever BE q:likelier to HAVE? TAKE b:item than r:ref",
    "g:whoever BE q:as_likely to HAVE? TAKE b:item as r:ref",
    "b:item BE TAKE by q:many g:group than r:ref",
    "q:many of g:group TAKE b:item (than|as) r:ref",
    "g:group TAKE b:item q:oftener_ (than|as) r:ref",
    "AMONG g:group COMMA? b:item BE q:times AS (LIKELY|POPULAR|OFTEN TAKE) as r:ref",
    "AMONG g:group COMMA? b:item BE q:more_by than r:ref",
    "b:item BE q:as_likely (among|with|in) g:group as r:ref",
)
def _likelier(g: Group, b: int, q: Quantity, r: Reference) -> Said | None:
    return _lifted_group(g, b, BY_CHANCE if q is EQUAL else q, r.owner)


rule("whoever", "g:group")(lambda g: g)
rule("whoever", "SOMEONE d:rel")(lambda d: who(d))


@rule("clause", "b:item BE (over_represented|overrepresented) (among|with|in) g:group")
def _over_represented(g: Group, b: int) -> Said | None:
    measure = lift_of(g, Did(took=(b,)))
    return Said((Claim(measure, MORE),), measure, b) if measure and g.size is None else None


@rule("clause", "b:item BE (under_represented|underrepresented) (among|with|in) g:group")
def _under_represented(g: Group, b: int) -> Said | None:
    measure = lift_of(g, Did(took=(b,)))
    return Said((Claim(measure, LESS),), measure, b) if measure and g.size is None else None


@rule("sentence", "(that|this|IT) (BE|amounts_to|MAKES IT) x:lift")
def _that_is(x: Lift) -> Claims:
    """In a sentence of its own: said of the two items that were spoken of last."""
    return (owned(Claim(Measure("lift", (BOTH,)), x.quantity), x.owner),)


rule("more_by", "MORE (LIKELY|POPULAR|TAKE|OFTEN TAKE)", "TAKE MORE OFTEN")(lambda: MORE)
rule("more_by", "LESS (LIKELY|POPULAR|TAKE|OFTEN TAKE)", "TAKE LESS OFTEN")(lambda: LESS)
rule("as_likely", "(ABOUT|EXACTLY|EQUALLY)? AS LIKELY")(lambda: BY_CHANCE)
rule("oftener_", "MORE LIKELY")(lambda: MORE)
rule("oftener_", "LESS LIKELY")(lambda: LESS)
rule("oftener_", "(ABOUT|EXACTLY|EQUALLY)? AS LIKELY")(lambda: BY_CHANCE)
rule("oftener_", "(no|not) MORE LIKELY")(lambda: quantity("times", "at most", 1))


@rule(
    "clause",
    "g:group (DO|HAVE)? NOT TAKE b:item x:lift",
    "g:group BE NOT x:lift_to b:item",
    "b:item (BE|HAVE been) NOT TAKE by g:group x:lift",
    "b:item (BE|HAVE been) NOT TAKE x:lift by g:group",
    "b:item BE NOT (TAKE|POPULAR)? x:lift among g:group",
    "AMONG g:group COMMA? b:item BE NOT (TAKE|POPULAR)? x:lift",
)
def _not_lifted(g: Group, b: int, x: Lift) -> Said | None:
    return _lifted_group(g, b, x.quantity, x.owner, negated=True)


@rule("clause", "b:item BE NOT q:more_by (among|with|for|in|by) g:group than r:ref")
@rule("clause", "AMONG g:group COMMA? b:item BE NOT q:more_by than r:ref")
def _not_likelier(g: Group, b: int, q: Quantity, r: Reference) -> Said | None:
    return _lifted_group(g, b, q, r.owner, negated=True)


rule("given_item", "(given|knowing|conditional_on|conditioned_on|with) (that)? (SOMEONE)? TAKE? a:item")(
    lambda a: a
)


@rule(
    "clause",
    "a:given_item COMMA? b:item BE (TAKE|POPULAR)? x:lift",
    "b:item BE (TAKE|POPULAR)? x:lift COMMA? a:given_item",
    "a:item MAKES b:item x:lift",
)
def _given(a: int, b: int, x: Lift) -> Said | None:
    return _lifted_group(Group((a,)), b, x.quantity, x.owner)


@rule(
    "clause",
    "a:given_item COMMA? b:item BE NOT (TAKE|POPULAR)? x:lift",
    "b:item BE NOT (TAKE|POPULAR)? x:lift COMMA? a:given_item",
    "a:item DO NOT MAKES b:item x:lift",
    "b:item DO NOT (go|pair|combine|overlap|belong) (TOGETHER)? with a:item x:lift",
    "b:item BE NOT TAKE (with|alongside|TOGETHER with) a:item x:lift",
)
def _not_given(a: int, b: int, x: Lift) -> Said | None:
    return _lifted_group(Group((a,)), b, x.quantity, x.owner, negated=True)


@rule(
    "clause",
    "x:two (DO|BE|HAVE) NOT (go|TAKE|been TAKE|belong)? TOGETHER l:lift",
    "x:two (DO|BE|HAVE) NOT (co_occur|OVERLAP|APPEARS TOGETHER|TAKE by_the_same_people) l:lift",
)
def _not_together(x: Items, l: Lift) -> Said:  # noqa: E741
    claim = owned(Claim(Measure("lift", x), l.quantity), l.owner)
    return Said((replace(claim, negated=True),), None, x[-1])


@rule(
    "clause",
    "x:two (BE|WITHSTANDS|go|goes)? (TAKE)? TOGETHER l:lift",
    "x:two BE TAKE by the_same_people l:lift",
    "x:two (co_occur|OVERLAP|APPEARS TOGETHER) l:lift",
    "x:two HAVE l:lift",
    "LIFT (of|between|for) x:two (SAYS|COLON) q:factor",
    "x:two COLON l:lift",
)
def _together(x: Items, l: Lift | None = None, q: Quantity = EQUAL) -> Said:  # noqa: E741
    found = l or Lift(q)
    return Said((owned(Claim(Measure("lift", x), found.quantity), found.owner),), Measure("lift", x), x[-1])


@rule(
    "clause",
    "LIFT (of|for) b:item (given|for|over|among|after|from|with|on|by|over) a:item (SAYS|COLON) q:factor",
    "LIFT (of|from) a:item (on|to|over) b:item (SAYS|COLON) q:factor",
    "a:item LIFT b:item (by)? q:factor",
    "LIFT of b:item among g:group (SAYS|COLON) q:factor",
    "a:item HAVE LIFT of q:factor (on|over|for|with) b:item",
    "TAKE a:item MAKES (TAKE)? b:item q:times (AS LIKELY|MORE LIKELY)",
)
def _the_lift(b: int, q: Quantity, a: int | None = None, g: Group | None = None) -> Said | None:
    measure = lift_of(g if g is not None else Group((a,)), Did(took=(b,)))  # type: ignore[arg-type]
    return Said((Claim(measure, q),), measure, b) if measure else None


@rule("clause", "b:item WITHSTANDS a:item l:lift", "b:item BE TAKE (with|alongside) a:item l:lift")
def _with_lift(a: int, b: int, l: Lift) -> Said:  # noqa: E741
    measure = Measure("lift", (a, b))
    return Said((owned(Claim(measure, l.quantity), l.owner),), measure, b)
