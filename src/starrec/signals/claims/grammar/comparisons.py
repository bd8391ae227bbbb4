"""Clauses that compare: "B is more popular than A", "A goes with B better than with C", "the most popular of A,
B, C".
"""

from __future__ import annotations

from dataclasses import replace

from starrec.signals.claims.grammar.counts import Said, met
from starrec.signals.claims.grammar.people import Did, Group
from starrec.signals.claims.grammar.quantities import EQUAL, LESS, MORE, Items, quantity, rule
from starrec.signals.claims.grammar.sequels import Follows
from starrec.signals.claims.meaning import Claim, Kind, Measure, Quantity

# Comparisons: one measure over another.


def compare(a: Measure, b: Measure, q: Quantity, *, a_base: Measure | None = None) -> Said:
    return Said((Claim(a, q, b),))


rule("degree", "MORE POPULAR than")(lambda: MORE)
rule("degree", "(LESS POPULAR|not as POPULAR) (than|as)", "not AS POPULAR as")(lambda: LESS)
rule("degree", "no MORE POPULAR than")(lambda: quantity("times", "at most", 1))
rule("degree", "no LESS POPULAR than")(lambda: quantity("times", "at least", 1))
rule("degree", "EQUALLY? AS? POPULAR as", "EXACTLY AS POPULAR as")(lambda: EQUAL)
rule("degree", "ATLEAST AS POPULAR as")(lambda: quantity("times", "at least", 1))
rule("degree", "ATMOST AS POPULAR as")(lambda: quantity("times", "at most", 1))
rule("degree", "q:times AS POPULAR as", "q:times MORE POPULAR than")(lambda q: q)
rule(
    "degree",
    "TAKE MORE OFTEN than",
    "MORE OFTEN TAKE than",
    "TAKE by MORE people than",
    "TAKE MORE than",
    "TAKE OVER",
)(lambda: MORE)
rule(
    "degree", "TAKE LESS OFTEN than", "LESS OFTEN TAKE than", "TAKE by (FEWER|LESS) people than", "TAKE UNDER"
)(lambda: LESS)
rule(
    "degree",
    "TAKE AS OFTEN as",
    "AS OFTEN TAKE as",
    "TAKE by AS MANY people as",
    "TAKE by EQUALLY MANY people as",
)(lambda: EQUAL)
rule("degree", "TAKE by OVER people than")(lambda: None)
rule("degree", "TAKE q:times as OFTEN as", "TAKE by q:times AS MANY people as", "q:times as OFTEN TAKE as")(
    lambda q: q
)


def people(*items: int) -> Measure:
    return Measure("people", items)


@rule(
    "clause",
    "b:item BE q:degree a:item (BE|HAVE)?",
    "b:item q:degree a:item",
    "b:item HAVE been q:degree a:item",
)
def _more_popular(a: int, b: int, q: Quantity) -> Said:
    return compare(people(b), people(a), q)


@rule("clause", "b:item BE NOT q:degree a:item")
def _not_more_popular(a: int, b: int, q: Quantity) -> Said | None:
    if q in (EQUAL, LESS) and q is EQUAL:
        return compare(people(b), people(a), LESS)
    return Said((replace(compare(people(b), people(a), q).claims[0], negated=True),))


rule("many", "(MORE|OVER) people?")(lambda: MORE)
rule("many", "(FEWER|LESS) people?")(lambda: LESS)
rule("many", "(AS MANY|EQUALLY MANY) people?")(lambda: EQUAL)
rule(
    "same_people",
    "AS MANY people",
    "same NUMBEROF of? people",
    "equal NUMBEROF of? people",
    "EQUALLY MANY people",
)(lambda: True)
rule("many", "ATLEAST AS MANY people?")(lambda: quantity("times", "at least", 1))
rule("many", "q:times AS MANY people?")(lambda q: q)
rule("many", "(no|not) MORE people?")(lambda: quantity("times", "at most", 1))
rule("many", "(no|not) (FEWER|LESS) people?")(lambda: quantity("times", "at least", 1))
rule("than_as", "than", "as")(lambda: True)


@rule(
    "clause",
    "b:item (HAVE|DRAWS) q:many people? than_as a:item (DO|HAVE)?",
    "q:many people? TAKE b:item than_as (TAKE)? a:item",
    "b:item (BEATS) a:item (in|on|by|for) POPULARITY",
    "b:item HAVE q:wider AUDIENCE than_as a:item",
    "b:item POSS AUDIENCE BE q:wider than_as a:item POSS?",
    "b:item (HAVE|DRAWS) q:many people? than_as a:item POSS?",
)
def _more_people(a: int, b: int, q: Quantity = MORE) -> Said:
    return compare(people(b), people(a), q)


rule("wider", "(larger|bigger|broader|greater|OVER)")(lambda: MORE)
rule("wider", "(smaller|narrower|lesser|UNDER)")(lambda: LESS)


@rule("clause", "b:item TRAILS a:item (in|on|by|for) POPULARITY")
def _trails(a: int, b: int) -> Said:
    return compare(people(b), people(a), LESS)


@rule("clause", "b:item (EQUALS) a:item (in|on|for) POPULARITY")
def _equals(a: int, b: int) -> Said:
    return compare(people(b), people(a), EQUAL)


@rule("clause", "x:two BE NOT (equally|EQUALLY|just_as|as) POPULAR")
def _not_equally(x: Items) -> Said | None:
    return Said((Claim(people(x[0]), EQUAL, people(x[1]), negated=True),)) if len(x) == 2 else None


@rule(
    "clause",
    "b:item DO NOT HAVE q:many people? than a:item",
    "b:item BE NOT TAKE by q:many people? than a:item",
)
def _not_more_people(a: int, b: int, q: Quantity) -> Said:
    return Said((Claim(people(b), q, people(a), negated=True),))


@rule(
    "clause",
    "b:item BE q:degree BOTH a:item AND c:item",
    "b:item BE q:degree a:item (BUT|AND) (BE)? p:degree c:item",
    "b:item BE q:degree a:item AND c:item",
)
def _more_popular_than_two(a: int, b: int, c: int, q: Quantity, p: Quantity | None = None) -> Said:
    return Said((Claim(people(b), q, people(a)), Claim(people(b), p or q, people(c))))


@rule(
    "clause",
    "x:two BE EQUALLY? (equally|EQUALLY|just_as|as) POPULAR",
    "x:two HAVE same_people",
    "x:two (BE|HAVE been) TAKE by same_people",
    "same_people TAKE x:two",
)
def _equally(x: Items) -> Said | None:
    return compare(people(x[0]), people(x[1]), EQUAL) if len(x) == 2 else None


@rule(
    "clause",
    "b:item BE m:extreme (THING|one)? (of|among) x:list",
    "(of|among|between|comparing) x:list COMMA? b:item BE m:extreme (THING|one)?",
    "b:item BE m:extreme (THING|one)? (of|among) x:listed",
    "b:item HAVE m:extreme_people people? (of|among) x:list",
    "(of|among) x:list COMMA? b:item HAVE m:extreme_people people",
    "m:extreme (THING|one)? (of|among|between) x:list BE b:item",
    "(of|among|between|comparing) x:list COMMA? m:extreme (THING|one)? BE b:item",
    "b:item BE TAKE by m:extreme_people people? (of|among) x:list",
    "(of|among) x:list COMMA? m:extreme_people people TAKE b:item",
    "b:item BE (TAKE)? m:extreme_often (of|among) x:list",
)
def _extreme(b: int, x: Items, m: Kind) -> Said | None:
    others = tuple(item for item in x if item != b)
    if not others:
        return None
    return compare(people(b), Measure(m, others), MORE if m == "most" else LESS)


@rule(
    "clause",
    "b:item BE NOT m:extreme (THING|one)? (of|among|between) x:list",
    "(of|among|between|comparing) x:list COMMA? b:item BE NOT m:extreme (THING|one)?",
    "m:extreme (THING|one)? (of|among|between) x:list BE NOT b:item",
    "(of|among|between|comparing) x:list COMMA? m:extreme (THING|one)? BE NOT b:item",
    "b:item DO NOT HAVE m:extreme_people people? (of|among) x:list",
)
def _not_extreme(b: int, x: Items, m: Kind) -> Said | None:
    said = _extreme(b, x, m)
    return said and Said(tuple(replace(claim, negated=True) for claim in said.claims))


rule("extreme", "MOSTPOP", "MORE POPULAR")(lambda: "most")
rule("extreme", "LEASTPOP", "LESS POPULAR")(lambda: "least")
rule("extreme_people", "MOSTOF", "MOST", "(largest|biggest) AUDIENCE")(lambda: "most")
rule("extreme_people", "FEWESTOF", "smallest AUDIENCE")(lambda: "least")
rule("extreme_often", "most OFTEN?", "TAKE most OFTEN?")(lambda: "most")
rule("extreme_often", "least OFTEN?")(lambda: "least")

# Comparisons inside a group: "A's audience took B more often than C".
rule("oftener", "(MORE OFTEN|BETTER|MORE|OVER) than?", "OVER")(lambda: MORE)
rule("oftener", "(LESS OFTEN|WORSE|LESS|FEWER|UNDER) than?", "UNDER")(lambda: LESS)
rule("oftener", "AS OFTEN as", "EQUALLY OFTEN as", "as_much_as")(lambda: EQUAL)
rule("oftener", "ATLEAST AS OFTEN as")(lambda: quantity("times", "at least", 1))
rule("oftener", "(no|not) MORE OFTEN than")(lambda: quantity("times", "at most", 1))
rule("oftener", "q:times AS OFTEN as", "q:times MORE OFTEN than")(lambda q: q)


def within(g: Group, b: int, c: int, q: Quantity) -> Said | None:
    if g.size is not None or g.plain:
        return None
    first, second = met(g, Did(took=(b,))), met(g, Did(took=(c,)))
    return compare(first, second, q) if first and second else None


@rule(
    "clause",
    "g:group take b:item q:oftener (take|DO|IT take)? c:item",
    "(among|for|in|of|with) g:group COMMA? b:item BE q:degree c:item",
    "b:item BE q:degree_in (among|with|in|for|by) g:group than c:item",
    "b:item BE q:degree (among|with|in|for) g:group (than|as) c:item",
    "g:group BE q:likelier to HAVE? TAKE b:item than (to HAVE? TAKE)? c:item",
    "q:many of g:group TAKE b:item (than|as) (TAKE|DO)? c:item",
    "q:many g:group TAKE b:item (than|as) (TAKE|DO)? c:item",
    "b:item BE TAKE by q:many of g:group than c:item BE?",
    "(among|of|for|in) g:group COMMA? q:many people? TAKE b:item (than|as) (TAKE)? c:item",
    "g:group prefer b:item to c:item",
    "(larger|greater|bigger|higher) (SHAREOF|part) of g:group TAKE b:item than (TAKE)? c:item",
    "b:item BE TAKE q:oftener c:item by g:group",
    "(among|of|for|in) g:group COMMA? b:item BE q:degree c:item",
    "b:item BE TAKE by g:group q:oftener c:item",
    "(among|of|for|in) g:group COMMA? b:item q:beats c:item",
)
def _within(g: Group, b: int, c: int, q: Quantity = MORE) -> Said | None:
    return within(g, b, c, q)


rule("beats", "BEATS")(lambda: MORE)
rule("beats", "TRAILS")(lambda: LESS)
rule("beats", "EQUALS")(lambda: EQUAL)
rule("degree_in", "MORE (POPULAR|TAKE|LIKELY|OFTEN TAKE|OFTEN)", "TAKE MORE OFTEN")(lambda: MORE)
rule("degree_in", "LESS (POPULAR|TAKE|LIKELY|OFTEN TAKE|OFTEN)", "TAKE LESS OFTEN")(lambda: LESS)
rule("likelier", "MORE LIKELY")(lambda: MORE)
rule("likelier", "LESS LIKELY")(lambda: LESS)


@rule("clause", "g:group DO? NOT take b:item q:oftener c:item")
def _not_within(g: Group, b: int, c: int, q: Quantity) -> Said | None:
    said = within(g, b, c, q)
    return said and Said(tuple(replace(claim, negated=True) for claim in said.claims))


@rule(
    "clause",
    "a:item WITHSTANDS b:item q:oftener (with)? c:item",
    "a:item q:better_ WITHSTANDS b:item than (with)? c:item",
    "a:item fits q:better_ (together)? with b:item than (with)? c:item",
    "b:item fits q:better_ (together)? with a:item than c:item DO",
    "a:item SHARES q:many people? with b:item than (with)? c:item",
    "a:item HAVE q:many people? COMMON with b:item than (with)? c:item",
    "a:item BE TAKE (with|TOGETHER with|alongside) b:item q:oftener (with)? c:item",
    "q:many people TAKE (BOTH)? a:item AND b:item than (BOTH)? a2:item AND c:item",
    "q:many people TAKE a:item (with|together_with|alongside) b:item than (with)? c:item",
    "a:item OVERLAP q:oftener with b:item than (with)? c:item",
    "a:item POSS AUDIENCE OVERLAP q:oftener with b:item POSS? than (with)? c:item POSS?",
)
def _goes_better_with(a: int, b: int, c: int, q: Quantity, a2: int | None = None) -> Said | None:
    if a2 is not None and a2 != a:
        return Said((replace(compare(people(a, b), people(a2, c), q).claims[0]),))
    return compare(people(a, b), people(a, c), q)


@rule("clause", "a:item DO NOT (go|pair|combine|overlap) with b:item q:oftener (with)? c:item")
def _not_better_with(a: int, b: int, c: int, q: Quantity) -> Said:
    return Said((Claim(people(a, b), q, people(a, c), negated=True),))


@rule(
    "clause",
    "b:item WITHSTANDS a:item BETTER than c:item DO?",
    "b:item WITHSTANDS a:item MORE OFTEN than c:item DO",
)
def _subject_goes_better(a: int, b: int, c: int) -> Said | None:
    return None


rule("fits", "(go|goes|went|pair|pairs|combine|combines|overlap|overlaps|sit|sits|fit)")(lambda: True)
rule("better_", "BETTER")(lambda: MORE)
rule("better_", "WORSE")(lambda: LESS)


@rule(
    "clause",
    "f:follows q:oftener g:follows",
    "b:item FOLLOWS a:item q:oftener REVERSE",
    "f:follows q:oftener REVERSE",
    "f:follows q:oftener (before|ahead_of|precedes) (it)?",
)
def _follows_more(
    q: Quantity, f: Follows | None = None, g: Follows | None = None, a: int | None = None, b: int | None = None
) -> Said | None:
    if f is None:
        assert a is not None and b is not None
        f = (a, b, "", None)
    back = g or (f[1], f[0], "", None)
    if f[2] not in ("", "OFTEN") or back[2] or f[3] or back[3]:
        return None
    return compare(Measure("followed", f[:2]), Measure("followed", back[:2]), q)


rule("not_follows", "b:item DO NOT FOLLOWS a:item")(lambda a, b: (a, b, "", None))
rule("not_follows", "a:item DO NOT (LEADSTO|PRECEDES) b:item", "a:item BE NOT FOLLOWED by b:item")(
    lambda a, b: (a, b, "", None)
)


@rule("clause", "f:not_follows q:oftener g:follows", "f:not_follows q:oftener REVERSE")
def _follows_not_more(q: Quantity, f: Follows, g: Follows | None = None) -> Said | None:
    said = _follows_more(q, f, g)
    return said and Said(tuple(replace(claim, negated=True) for claim in said.claims))


@rule(
    "clause",
    "people (DO|HAVE|WOULD)? NOT GO onto* from a:item onto* to b:item q:oftener from c:item onto* to d:item",
    "people (DO|HAVE|WOULD)? NOT GO onto* from a:item onto* to b:item q:oftener back? (REVERSE|back)",
    "AFTER TAKE? a:item COMMA? people DO? NOT goes b:item q:oftener (to|take|goes)? d:item AFTER c:item",
)
def _go_not_more(q: Quantity, a: int, b: int, c: int | None = None, d: int | None = None) -> Said | None:
    said = _go_more(q, b, a, c, d)
    return said and Said(tuple(replace(claim, negated=True) for claim in said.claims))


@rule(
    "clause",
    "q:many people? GO on? from a:item (on|over)? to b:item than from c:item (on|over)? to d:item",
    "PEOPLE GO on? from a:item (on|over)? to b:item q:oftener from c:item (on|over)? to d:item",
    "g:group goes b:item q:oftener h:group goes d:item",
    "q:many people? GO on? from a:item (on|over)? to b:item than back? (REVERSE|back)",
    "PEOPLE GO on? from a:item (on|over)? to b:item q:oftener (REVERSE|back)",
    "AFTER TAKE? a:item COMMA? q:many people? goes b:item than (to|take|goes)? d2:item",
    "AFTER TAKE? a:item COMMA? PEOPLE goes b:item q:oftener (to|take|goes)? d2:item",
    "AFTER TAKE? a:item COMMA? PEOPLE goes b:item q:oftener (to|take|goes)? d:item AFTER TAKE? c:item",
    "g:group goes b:item q:oftener (to|take|goes)? d2:item",
    "a:item BE FOLLOWED by b:item q:oftener by d2:item",
    "a:item (LEADSTO) b:item q:oftener to? d2:item",
    "b:item FOLLOWS a:item q:oftener d2:item DO?",
    "q:many people? take b:item AFTER a:item than (take)? a_after:item AFTER b_first:item",
    "PEOPLE take b:item AFTER a:item q:oftener (take)? a_after:item AFTER b_first:item",
)
def _go_more(
    q: Quantity,
    b: int,
    a: int | None = None,
    c: int | None = None,
    d: int | None = None,
    g: Group | None = None,
    h: Group | None = None,
    d2: int | None = None,
    a_after: int | None = None,
    b_first: int | None = None,
) -> Said | None:
    if g is not None:
        if len(g.took) != 1 or g.size or g.left or g.window:
            return None
        a = g.took[0]
    assert a is not None
    first = Measure("followed", (a, b))
    if h is not None:
        if len(h.took) != 1 or h.size or h.left or h.window or d is None:
            return None
        c = h.took[0]
    if a_after is not None and b_first is not None:
        c, d = b_first, a_after
    if d2 is not None:
        return compare(first, Measure("followed", (a, d2)), q)
    if c is None or d is None:
        return compare(first, Measure("followed", (b, a)), q)
    return compare(first, Measure("followed", (c, d)), q)
