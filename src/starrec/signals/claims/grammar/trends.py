"""Clauses about the days before: "31 of the 5,321 choices in the 14 days before were B, 2.3 times its usual
share".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from starrec.signals.claims.grammar.chance import INTRO, SEP, Lift, Reference, lifted, owned
from starrec.signals.claims.grammar.counts import Said
from starrec.signals.claims.grammar.quantities import BY_CHANCE, LESS, MORE, NONE, Claims, number, rule
from starrec.signals.claims.meaning import Claim, Measure, Number, Quantity

# The days before: "31 of the 5,321 choices in the 14 days before were B, 2.3 times its usual share".
rule("days", "n:INT DAY")(lambda n: n)
rule("days", "n:INT WEEK")(lambda n: replace(n, over=-7) if n.slot >= 0 else number(7 * n.digits))
rule("days", "FORTNIGHT", "a_fortnight")(lambda: number(14))
rule("days", "n:INT DAY PERIOD", "PERIOD of n:INT DAY")(lambda n: n)
rule("prep", "(in|over|during|within|across|throughout|for|through|of|from)")(lambda: True)
rule(
    "earlier",
    "BEFORE (to|of)? NOW? CASE?",
    "(up)? to NOW",
    "leading (up)? to NOW",
    "(just|immediately|right) before NOW?",
)(lambda: True)
rule("earlier", "BEFORE USER POSS LAST THING", "BEFORE USER POSS? (task|turn|request|day)", "gone by")(
    lambda: True
)
rule("period", "prep n:days earlier", "prep LAST n:days", "prep LAST n:days earlier?", "prep ITS? LAST n:days")(
    lambda n: n
)
rule("period", "prep n:days (WHO)? (precede|preceded|preceding|came before) NOW?", "n:days earlier")(
    lambda n: n
)
rule("choices", "ALL? CHOICE made?", "ALL? CHOICE (made)? by people", "THING TAKE", "THING")(lambda: True)


@dataclass(frozen=True, slots=True)
class Trend:
    claims: Claims
    measure: Measure


def recent(n: Number, *items: int) -> Measure:
    return Measure("choices", items, reach=n)


def trending(q: tuple[Quantity, ...], b: int, n: Number, size: Quantity | None = None) -> Said:
    claims = tuple(Claim(recent(n, b), one, recent(n), size) for one in q)
    return Said(claims, Measure("trend", (b,), reach=n), b)


@rule(
    "clause",
    "q:qtys out n:size? choices p:period BE b:item",
    "q:qtys out n:size? choices p:period (ACCOUNTS|BE of|BE for|fell_to) b:item",
    "p:period COMMA? q:qtys out n:size? choices (BE|ACCOUNTS|fell_to) (of|for)? b:item",
    "p:period COMMA? b:item ACCOUNTS q:qtys out n:size? choices",
    "b:item ACCOUNTS q:qtys out n:size? choices p:period",
    "b:item BE q:qtys out n:size? choices p:period",
    "p:period COMMA? b:item BE TAKE? q:qtys out n:size? choices",
    "(of|out_of) n:size? choices p:period COMMA? q:qtys (BE|ACCOUNTS|fell_to) (of|for)? b:item",
    "b:item POSS SHAREOF of n:size? choices p:period SAYS q:qtys",
    "p:period COMMA? b:item POSS SHAREOF of n:size? choices SAYS q:qtys",
    "q:qtys choices out n:size p:period BE b:item",
    "b:item BE TAKE in q:qtys out n:size? choices p:period",
    "p:period COMMA? b:item BE TAKE in q:qtys out n:size? choices",
    "q:qtys out n:size? choices BE b:item p:period",
    "b:item (HAVE|DRAWS|GET) q:qtys out n:size? choices p:period",
    "p:period COMMA? b:item (HAVE|DRAWS|GET) q:qtys out n:size? choices",
    "(of|out_of) n:size choices p:period COMMA? b:item (ACCOUNTS|BE|HAVE|DRAWS|GET) (for)? q:qtys",
    "p:period COMMA? (of|out_of) n:size choices COMMA? q:qtys (BE|ACCOUNTS) (of|for)? b:item",
)
def _trend(q: tuple[Quantity, ...], p: Number, b: int, n: Quantity | None = None) -> Said:
    return trending(q, b, p, n)


@rule(
    "clause",
    "p:period COMMA? b:item BE TAKE q:qtys TIMES (out_of n:size (choices|TIMES)?)?",
    "b:item BE TAKE q:qtys TIMES p:period",
    "b:item BE TAKE by q:qtys people p:period",
    "p:period COMMA? b:item BE TAKE by q:qtys people",
    "q:qtys people TAKE b:item p:period",
    "p:period COMMA? q:qtys people TAKE b:item",
    "p:period COMMA? there BE q:qtys choices of b:item",
    "there BE q:qtys choices of b:item p:period",
    "p:period COMMA? b:item (GET|DRAWS|HAVE) q:qtys choices",
    "b:item (GET|DRAWS|HAVE) q:qtys choices p:period",
    "b:item ACCOUNTS q:qtys choices p:period",
    "p:period COMMA? b:item ACCOUNTS q:qtys choices",
)
def _trend_count(q: tuple[Quantity, ...], b: int, p: Number, n: Quantity | None = None) -> Said | None:
    if any(one.unit != "count" for one in q):
        return None
    return trending(q, b, p, n)


@rule(
    "clause",
    "NOBODY TAKE b:item p:period",
    "p:period COMMA? NOBODY TAKE b:item",
    "b:item BE NOT TAKE (at_all)? p:period",
    "p:period COMMA? b:item BE NOT TAKE (at_all)?",
)
def _trend_nobody(b: int, p: Number) -> Said:
    return trending((NONE,), b, p)


@rule(
    "clause",
    "there BE q:qtys choices CARDINAL? p:period",
    "p:period COMMA? there BE q:qtys choices CARDINAL?",
    "p:period COMMA? (people|others) made q:qtys choices",
    "people made q:qtys choices p:period",
)
def _all_choices(q: tuple[Quantity, ...], p: Number) -> Said:
    return Said(tuple(Claim(recent(p), one) for one in q))


@rule(
    "clause",
    "there BE n:size choices p:period COMMA? AND? q:qtys OFTHEM BE? b:item",
    "n:size choices BE made p:period COMMA? AND? q:qtys OFTHEM BE? b:item",
    "p:period COMMA? there BE n:size choices COMMA? AND? q:qtys OFTHEM BE? b:item",
)
def _choices_of_them(n: Quantity, p: Number, q: tuple[Quantity, ...], b: int) -> Said:
    return trending(q, b, p, n)


rule(
    "as_usual",
    "(ITS|i:item POSS) its_usual (usual|overall)? SHAREOF",
    "what BE (usual|normal) (for IT|for i:item)?",
    "(usual|normal|ordinary|average)",
)(lambda i=None: Reference(i))
rule(
    "as_usual",
    "ITS usual SHAREOF of choices",
    "ITS SHAREOF (overall|in_general|of_all_choices|otherwise|in general)",
    "its (usual|overall|normal) level",
    "ITS (usual|normal) (rate|level|popularity)",
)(lambda: Reference())
rule("its_usual", "(usual|OWN|overall|normal|ordinary|average|typical|regular|general|WHOLE|customary)")(
    lambda: True
)
rule(
    "usually", "q:times u:as_usual", "q:times AS LIKELY as u:as_usual", "q:times MORE LIKELY? than u:as_usual"
)(lambda q, u: lifted(q, u))
rule("usually", "MORE LIKELY? than u:as_usual", "OVER u:as_usual")(lambda u: lifted(MORE, u))
rule("usually", "LESS LIKELY? than u:as_usual", "UNDER u:as_usual")(lambda u: lifted(LESS, u))
rule("usually", "AS LIKELY as u:as_usual")(lambda u: lifted(BY_CHANCE, u))


@dataclass(frozen=True, slots=True)
class Usually:
    lift: Lift


rule("trend_tail", f"{SEP} {INTRO} x:usually CLOSE?", f"{SEP} {INTRO} x:lift CLOSE?")(lambda x: Usually(x))


@rule("statement", "s:statement_head t:trend_tail")
def _with_trend_tail(s: Said, t: Usually) -> Said | None:
    if s.lift is None or s.lift.kind != "trend":
        return None
    return replace(s, claims=(*s.claims, owned(Claim(s.lift, t.lift.quantity), t.lift.owner)))


@rule(
    "clause",
    "p:period COMMA? b:item BE (TAKE|POPULAR)? x:usually",
    "b:item BE (TAKE|POPULAR)? x:usually p:period",
    "b:item BE TAKE p:period x:usually",
    "b:item POSS SHAREOF (of choices)? p:period SAYS x:usually",
    "p:period COMMA? b:item POSS SHAREOF (of choices)? SAYS x:usually",
    "b:item BE trending COLON? x:usually p:period",
    "p:period COMMA? people TAKE b:item x:usually",
    "people TAKE b:item x:usually p:period",
    "b:item (HAVE|DRAWS|GET|TAKE) x:usually p:period",
    "p:period COMMA? b:item (HAVE|DRAWS|GET|ACCOUNTS|TAKE) x:usually",
    "b:item ACCOUNTS x:usually p:period",
    "SHAREOF of b:item (among|in|of)? choices? p:period SAYS x:usually",
)
def _trend_lift(b: int, p: Number, x: Lift) -> Said:
    measure = Measure("trend", (b,), reach=p)
    return Said((owned(Claim(measure, x.quantity), x.owner),), measure, b)
