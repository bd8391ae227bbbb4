"""How a count compares with chance, as a clause or as a tail: "2.1 times what its popularity predicts", "where
its popularity predicts 14"; and what else may stand behind a clause.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from starrec.signals.claims.grammar.comparisons import people
from starrec.signals.claims.grammar.counts import Said, unread
from starrec.signals.claims.grammar.people import Group, Listed, Some
from starrec.signals.claims.grammar.quantities import (
    BY_CHANCE,
    LESS,
    MORE,
    Claims,
    quantity,
    rule,
)
from starrec.signals.claims.lexicon import ANCHORS, word_set
from starrec.signals.claims.meaning import BOTH, IT, Claim, Measure, Number, Quantity

# How it compares with chance.


@dataclass(frozen=True, slots=True)
class Lift:
    quantity: Quantity
    owner: int | None = None
    """The item whose popularity is spoken of, where it is named."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What popularity alone predicts."""

    owner: int | None = None


@rule("ref", "a:REF+", "a:REF* i:item POSS b:REF*", "a:REF+ of i:item b:REF*")
def _reference(a: tuple[str, ...] = (), b: tuple[str, ...] = (), i: int | None = None) -> Reference | None:
    return Reference(i) if ANCHORS.intersection((*a, *b)) else None


def lifted(q: Quantity, r: Reference | None = None) -> Lift:
    return Lift(q, r.owner if r else None)


rule("lift", "q:times r:ref", "q:times of r:ref", "q:times as? (LIKELY|MORE LIKELY) (as|than) r:ref")(lifted)
rule("lift", "q:times AS LIKELY as r:ref", "q:times MORE LIKELY? than r:ref", "q:times OVER r:ref")(lifted)
rule("lift", "q:times AS LIKELY THING? as r:ref")(lifted)
rule("lift", "MORE LIKELY? than r:ref", "OVER r:ref", "MORE people than r:ref", "BEYOND r:ref")(
    lambda r: lifted(MORE, r)
)
rule("lift", "(LESS|FEWER) LIKELY? than r:ref", "UNDER r:ref", "(FEWER|LESS) people than r:ref")(
    lambda r: lifted(LESS, r)
)
rule("lift", "(no|not) MORE LIKELY? than r:ref")(lambda r: lifted(quantity("times", "at most", 1), r))
rule("lift", "(no|not) LESS LIKELY? than r:ref")(lambda r: lifted(quantity("times", "at least", 1), r))
rule("lift", "not AS LIKELY as r:ref")(lambda r: lifted(LESS, r))
rule("lift", "ATLEAST AS LIKELY as r:ref")(lambda r: lifted(quantity("times", "at least", 1), r))
rule("lift", "(ABOUT|EXACTLY|EQUALLY)? AS LIKELY as r:ref", "just what r:ref", "in_line_with r:ref")(
    lambda r: lifted(BY_CHANCE, r)
)
rule(
    "lift",
    "LIFT (of|BE|COLON|SAYS)? q:factor",
    "LIFT (of|BE|COLON|SAYS)? q:factor (over|against) r:ref",
    "q:times LIFT",
)(lifted)

# A number that popularity predicts is rounded, to its last decimal or to people.
rule("so_many_predicted", "q:qty")(
    lambda q: (
        None
        if q.unit != "count" or q.comparison == "vague"
        else Quantity("amount", q.comparison, _rounded(q.number), q.upper and _rounded(q.upper))
    )
)
rule("so_many_predicted", "EXACTLY? n:DEC")(lambda n: Quantity("amount", "exact", n))
rule("so_many_predicted", "ABOUT n:DEC")(lambda n: Quantity("amount", "about", n))


def _rounded(n: Number) -> Number:
    return replace(n, places=0) if n.slot < 0 and n.over == 1 else n


SEP = "(COMMA|DASH|OPEN|COLON)?"
INTRO = "(WHO MAKES IT|that MAKES IT|WHO SAYS|SAYS|that BE|BE|with|for|giving|ie|or|AND|namely|at|making|WHO)?"


@dataclass(frozen=True, slots=True)
class Expected:
    quantity: Quantity
    owner: int | None = None
    bound: Quantity | None = None


rule("tail", f"{SEP} {INTRO} x:lift CLOSE?", f"{SEP} AND? that x:lift")(lambda x: x)


@rule(
    "tail",
    f"{SEP} CONTRAST a:REF* q:so_many_predicted PEOPLE? b:REF* CLOSE?",
    f"{SEP} a:REF+ q:so_many_predicted PEOPLE? b:REF* CLOSE?",
    f"{SEP} EXACTLY? n:INT PEOPLE? b:REF* CLOSE?",
    f"{SEP} CONTRAST? a:REF* i:item POSS b:REF+ q:so_many_predicted PEOPLE? CLOSE?",
    f"{SEP} CONTRAST? a:REF* EXACTLY? n:INT PEOPLE? b:REF* i:item POSS c:REF+ CLOSE?",
)
def _expected(
    a: tuple[str, ...] = (),
    q: Quantity | None = None,
    n: Number | None = None,
    b: tuple[str, ...] = (),
    c: tuple[str, ...] = (),
    i: int | None = None,
) -> Expected | None:
    words = (*a, *b, *c)
    if q is None:
        assert n is not None
        q = Quantity("amount", "exact", _rounded(n))
    return Expected(q, i) if ANCHORS.intersection(words) else None


_CHANCE = word_set(
    "popularity chance chances random randomly independence independent independently coincidence luck"
)
_PREDICTS = word_set(
    """
    predict predicts predicted predicting prediction expect expects expected expectation suggest suggests
    suggested imply implies implied project projects forecast forecasts dictate dictates warrant warrants
    """
)
_WOULD = word_set("would might could should expect expected predict predicted")


@rule(
    "clause",
    "a:REF+ q:so_many_predicted PEOPLE? c:REF* doing_so? x:items",
    "a:REF+ COMMA b:REF* q:so_many_predicted PEOPLE? c:REF* doing_so? x:items",
    "q:so_many_predicted PEOPLE? b:REF+ doing_so? x:items c:REF*",
    "a:REF* NUMBEROF of? b:REF* PEOPLE? c:REF* doing_so? x:items (SAYS|COLON) q:so_many_predicted PEOPLE?",
)
def _predicted(
    q: Quantity,
    x: Listed,
    a: tuple[str, ...] = (),
    b: tuple[str, ...] | None = None,
    c: tuple[str, ...] = (),
) -> Said | None:
    """ "Popularity alone predicts 14 people with both A and B"; but "as chance predicts, 14 people took both"
    says that they did."""
    words = {*a, *(b or ()), *c}
    if x.joint != "all" or not (x.items == (BOTH,) or len(x.items) == 2):
        return None
    if not words & _CHANCE or "as" in words:
        return None
    # What stands apart from the number must leave it hypothetical.
    if not (words & _PREDICTS if b is None else {*b, *(c if a else ())} & _WOULD):
        return None
    return Said((Claim(Measure("expected", x.items), q),), Measure("lift", x.items), x.items[-1])


rule("doing_so", "(WHO|that|to|with|having|WOULD|HAVE|BE)* (TAKE|COMMON)?")(lambda: True)


@rule("tail", "(COMMA|DASH|OPEN)? (WHO BE)? (FEWER|LESS|UNDER) than? n:INT r:ref CLOSE?")
def _fewer_than_expected(n: Number, r: Reference) -> Expected:
    return Expected(Quantity("amount", "exact", _rounded(n)), r.owner, LESS)


@rule("tail", "(COMMA|DASH|OPEN)? (WHO BE)? (MORE|OVER) than? n:INT r:ref CLOSE?")
def _more_than_expected(n: Number, r: Reference) -> Expected:
    return Expected(Quantity("amount", "exact", _rounded(n)), r.owner, MORE)


@dataclass(frozen=True, slots=True)
class Again:
    """The same count, said another way."""

    quantities: tuple[Quantity, ...]
    size: Quantity | None = None


rule(
    "tail",
    "OPEN (or|about|that BE|ie)? q:qtys CLOSE",
    "COMMA (or|that BE|ie|WHO SAYS|namely|in_other_words) COMMA? q:qtys (of THEM)?",
)(lambda q: Again(q) if all(one.unit == "share" for one in q) else None)
rule("tail", "OPEN q:qty of n:size PEOPLE? CLOSE", "COMMA (or|that BE) q:qty of n:size PEOPLE?")(
    lambda q, n: Again((q,), n)
)
rule("tail", "(COMMA|OPEN)? (out_of|of) n:size PEOPLE? (in_all|altogether)? CLOSE?")(lambda n: Again((), n))
rule("tail", "CARDINAL")(lambda: Again(()))


@dataclass(frozen=True, slots=True)
class Support:
    some: Some


rule("tail", "(COMMA|OPEN)? (AND|a_figure_that|a_claim_that|WHO|this|that|it)? SUPPORT s:some CLOSE?")(
    lambda s: Support(s)
)
rule("tail", "(COMMA|OPEN)? (AND|WHO|this|that|it)? SUPPORT s:bare_people CLOSE?")(lambda s: Support(s))
rule("bare_people", "q:qtys (PEOPLE|OTHERS)")(lambda q: Some(q, Group((BOTH,))))
rule("clause", "(this|that|it|this_figure|the_figure|the_claim) SUPPORT s:bare_people")(
    lambda s: Said(tuple(Claim(people(BOTH), q) for q in s.quantities))
)

Tail: TypeAlias = Lift | Expected | Again | Support


def extended(said: Said, tail: Tail) -> Said | None:
    """A clause with what its tail adds."""
    first = said.claims[0]
    match tail:
        case Lift(quantity=q, owner=owner):
            if said.lift is None:
                more: Claims = (unread("there is nothing of which popularity predicts so much"),)
            else:
                more = (owned(Claim(said.lift, q), owner),)
        case Expected(quantity=q, owner=owner, bound=bound):
            if said.lift is None or said.lift.window or said.lift.kind != "lift":
                more = (unread("popularity predicts nothing of that"),)
            else:
                more = (owned(Claim(replace(said.lift, kind="expected"), q), owner),)
                if bound is not None:
                    more += (Claim(said.lift, bound),)
        case Again(quantities=quantities, size=size):
            if size is not None:
                if first.said_base is not None and first.said_base != size:
                    return None
                if first.base is None:
                    return None
                first = replace(first, said_base=size)
            again = tuple(replace(first, quantity=q) for q in quantities)
            return replace(said, claims=(first, *said.claims[1:], *again))
        case Support(some=some):
            group = some.group
            if group is None:
                return None
            if group.plain or group.took == (BOTH,):
                items = said.lift.items if said.lift is not None and said.lift.kind == "lift" else ()
                if said.lift is not None and said.lift.kind == "weight":
                    items = said.lift.items
                if len(items) < 2:
                    return None
                group = Group(items)
            more = tuple(Claim(group.measure, q) for q in some.quantities)
    return replace(said, claims=(*said.claims, *more))


def owned(claim: Claim, owner: int | None) -> Claim:
    """Popularity is the subject's own: "2.1 times what C's popularity predicts" says nothing of A and B."""
    if owner is None or owner in (IT, claim.measure.items[-1]):
        return claim
    return replace(claim, owner=owner)


rule("statement", "x:clause")(lambda x: x)


@rule("statement", "s:statement_head t:tail")
def _with_tail(s: Said, t: Tail) -> Said | None:
    return extended(s, t)


rule("statement_head", "x:clause")(lambda x: x)
rule("statement_head", "x:clause t:tail")(lambda x, t: extended(x, t))
rule("statement", "x:clause a:tail b:tail c:tail")(
    lambda x, a, b, c: (
        None if (one := extended(x, a)) is None or (two := extended(one, b)) is None else extended(two, c)
    )
)
