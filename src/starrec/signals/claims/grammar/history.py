"""Clauses about the history itself: "7 of the last 10 items are Drama", "the last 30 items span 12
categories".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starrec.signals.claims.grammar.counts import Said
from starrec.signals.claims.grammar.quantities import ALL, NONE, Items, number, quantity, rule
from starrec.signals.claims.meaning import Claim, Kind, Measure, Quantity

# The history itself.


@dataclass(frozen=True, slots=True)
class Last:
    """The last items of the history, and how many they are said to be."""

    size: Quantity | None


rule("mine", "(USER POSS|ITS|HISTORY POSS|this HISTORY POSS|that HISTORY POSS)")(lambda: True)
# "... of this history", "... that the user took".
rule(
    "at_home",
    "(of|in|from|on|within|at_the_end_of) (USER POSS|ITS|this|that)? WHOLE? HISTORY",
    "(of|by|from) USER",
    "(that|which)? USER HAVE? TAKE",
    "HAVE? TAKE by USER",
    "HAVE? TAKE",
)(lambda: True)
rule(
    "last",
    "ALL? mine? LAST n:size (THING|CHOICE|ones)? at_home?",
    "ALL? mine? n:size LAST (THING|CHOICE|ones) at_home?",
)(lambda n: Last(n))
rule("last", "mine? LAST t:THING at_home?", "mine? LAST t:CHOICE at_home?")(
    lambda t: Last(None if t.endswith("s") else quantity("count", "exact", 1))
)
rule("in_last", "(AMONG|in|of|across|over|within|out_of|from) x:last", "looking x:last COMMA", "x:last COLON")(
    lambda x: x
)
# "18", "18 of them".
rule("so_many", "q:qtys", "q:qtys (OFTHEM|THING OFTHEM)")(lambda q: q)


def of_last(kind: Kind, q: Sequence[Quantity], last: Last, items: Items = (), topic: int | None = None) -> Said:
    measure = Measure(kind, items, topic=str(topic) if topic is not None else "")
    return Said(tuple(Claim(measure, one, Measure("last"), last.size) for one in q))


rule("kin", "(SHARES|HAVE|BE in|are in|is in|belong to|belongs to|fall in|of) CATEGORY (COMMON)? with b:item")(
    lambda b: b
)
rule("kin", "(SHARES|HAVE) ATLEAST? n:INT? CATEGORY COMMON? with b:item", "HAVE CATEGORY COMMON with b:item")(
    lambda b, n=None: b if n is None or n == number(1) else None
)
rule(
    "kin",
    "(BE|BELONG|HAVE|SHARES)? (in|of|to|from)? (SAMECAT|one_of) CATEGORY? (as|with) b:item",
    "BELONG SAMECAT as b:item",
)(lambda b: b)
rule("kin", "(BELONG|BE in|BE of|SHARES|BE from|is in|are in) (CATEGORY|SAMECAT) (of|with) b:item")(lambda b: b)
rule("kin", "(in|BELONG|SHARES|carry|HAVE) (one_of|at_least_one_of|some_of)? b:item POSS CATEGORY")(lambda b: b)
rule("kin", "BE (in|of|from) (one_of|some_of)? b:item POSS CATEGORY")(lambda b: b)
rule("kin", "(SHARES|HAVE) b:item POSS CATEGORY", "MATCHES b:item (in|by) CATEGORY")(lambda b: b)


@rule(
    "clause",
    "q:qtys out x:last b:kin",
    "x:in_last COMMA? q:so_many b:kin",
    "q:qtys (THING|CHOICE) x:in_last b:kin",
    "b:item (SHARES|HAVE) CATEGORY COMMON? with q:qtys out x:last",
    "b:item (BE|BELONG) (in|of|to)? SAMECAT (as|with)? q:qtys out x:last",
    "CATEGORY (of|with)? b:item BE? shared by q:qtys out x:last",
    "b:item POSS CATEGORY BE shared by q:qtys out x:last",
    "b:item (SHARES) SAMECAT with q:qtys out x:last",
    "x:in_last COMMA? b:item (SHARES|HAVE) CATEGORY COMMON? with q:so_many",
    "there BE q:qtys THING x:in_last (that|which) b:kin",
    "q:qtys out x:last COLON b:kin",
)
def _category(q: tuple[Quantity, ...], x: Last, b: int) -> Said:
    return of_last("kin", q, x, (b,))


rule("unkin", "DO NOT b:kin", "(SHARES|HAVE) no CATEGORY COMMON? with b:item", "NOT b:kin", "BE NOT b:kin")(
    lambda b: b
)
rule("unkin", "BE NOT in SAMECAT as b:item")(lambda b: b)


@rule("clause", "q:qtys out x:last b:unkin", "x:in_last COMMA? q:so_many b:unkin")
def _no_category(q: tuple[Quantity, ...], x: Last, b: int) -> Said:
    return of_last("unkin", q, x, (b,))


@rule(
    "clause",
    "q:qtys out x:last (BE|DO|HAVE) NOT (BELONG)? (in|to|of|from|as)? MEMBERSHIP? t:topic",
    "x:in_last COMMA? q:so_many (BE|DO|HAVE) NOT (BELONG)? (in|to|of|from|as)? MEMBERSHIP? t:topic",
)
def _no_taste(q: tuple[Quantity, ...], x: Last, t: int) -> Said:
    return of_last("untaste", q, x, topic=t)


@rule("clause", "x:last ALL? b:kin", "ALL x:last b:kin")
def _category_all(x: Last, b: int) -> Said:
    return of_last("kin", (ALL,), x, (b,))


rule("topic", "t:TOPIC", "(MEMBERSHIP|CATEGORY) t:TOPIC", "t:TOPIC CATEGORY", "t:TOPIC (THING|ones)")(
    lambda t: t
)


@rule(
    "clause",
    "q:qtys out x:last (BE|BELONG|HAVE) (in|to|of|from|as)? (MEMBERSHIP|SAMECAT)? t:topic",
    "x:in_last COMMA? q:so_many (BE|BELONG|HAVE) (in|to|of|from|as)? (MEMBERSHIP|SAMECAT)? t:topic",
    "q:qtys (THING|CHOICE) x:in_last (BE|BELONG) (in|to|of|from|as)? MEMBERSHIP? t:topic",
    "t:topic (ACCOUNTS|covers|labels|describes|marks|tags) q:qtys out x:last",
    "t:topic COLON q:qtys out x:last",
    "t:topic BE (MEMBERSHIP|CATEGORY|one_of)* of q:qtys out x:last",
    "there BE q:qtys t:topic (THING|ones)? x:in_last",
    "x:in_last COMMA? there BE q:qtys t:topic (THING|ones)?",
    "q:qtys t:topic (THING|ones)? BE? x:in_last",
    "x:last (HAVE|include|includes|contain|contains|hold|holds) q:qtys t:topic (THING|ones)?",
    "USER TAKE q:qtys t:topic (THING|ones)? x:in_last",
    "x:in_last COMMA? t:topic (ACCOUNTS|APPEARS|covers) (in|for)? q:so_many",
    "t:topic APPEARS (in|on|among) q:qtys out x:last",
    "SHAREOF of t:topic x:in_last SAYS q:qtys",
    "t:topic POSS SHAREOF of x:last SAYS q:qtys",
)
def _taste(q: tuple[Quantity, ...], x: Last, t: int) -> Said:
    return of_last("taste", q, x, topic=t)


@rule("clause", "x:last ALL? (BE|BELONG) (in|to|of|from|as)? MEMBERSHIP? t:topic")
def _taste_all(x: Last, t: int) -> Said:
    return of_last("taste", (ALL,), x, topic=t)


@rule("clause", "x:last HAVE? NOT t:topic", "x:last (include|contain|hold) NOT t:topic")
def _taste_none(x: Last, t: int) -> Said:
    return of_last("taste", (NONE,), x, topic=t)


@rule(
    "clause",
    "x:in_last COMMA? there BE q:many t:topic (THING|ones)? (than|as) u:topic (THING|ones)?",
    "x:in_last COMMA? t:topic BE q:degree_in than u:topic",
    "x:in_last COMMA? t:topic BE q:degree u:topic",
    "q:many of x:last (BE|BELONG) t:topic (than|as) u:topic",
    "t:topic BE q:degree_in x:in_last than u:topic",
    "there BE q:many t:topic (THING|ones)? (than|as) u:topic (THING|ones)? x:in_last",
    "t:topic BE q:degree u:topic x:in_last",
)
def _tastes(x: Last, q: Quantity, t: int, u: int) -> Said:
    return Said((Claim(Measure("taste", topic=str(t)), q, Measure("taste", topic=str(u)), x.size),))


@rule(
    "clause",
    "x:last ALL? (SPANS|BE from|BE of|BE spread over|BE spread across) q:qty DISTINCT? CATEGORY",
    "q:qty DISTINCT? CATEGORY (BE)? APPEARS (among|in|across|by) x:last",
    "q:qty DISTINCT? CATEGORY (among|in|across) x:last",
    "q:qty DISTINCT? CATEGORY BE (found|seen|covered|represented|spanned|touched) (among|in|across|by) x:last",
    "there BE q:qty DISTINCT? CATEGORY x:in_last",
    "x:in_last COMMA? there BE q:qty DISTINCT? CATEGORY",
    "x:in_last COMMA? q:qty DISTINCT? CATEGORY (APPEARS|BE represented)",
    "NUMBEROF of DISTINCT? CATEGORY x:in_last SAYS q:qty",
    "USER POSS LAST n:size (THING|CHOICE) SPANS q:qty DISTINCT? CATEGORY",
)
def _breadth(q: Quantity, x: Last | None = None, n: Quantity | None = None) -> Said | None:
    if q.unit != "count" or x is None:
        return None
    return Said((Claim(Measure("spread"), q, Measure("last"), x.size),))


@rule(
    "clause",
    "x:last BE? ALL? TAKE lasting (PERIOD of)? q:days_qty",
    "x:last all? lasted lasting? q:days_qty",
    "USER TAKE (within)? x:last (within|in|over|across|during|inside) (PERIOD of)? q:days_qty",
    "it took q:days_qty to TAKE x:last",
    "it took USER q:days_qty to TAKE x:last",
    "within q:days_qty COMMA? USER TAKE x:last",
    "between first AND last of x:last q:days_qty passed",
    "x:last BE within q:days_qty (of each other)?",
    "(in|within|over) PERIOD? of? q:days_qty COMMA? USER TAKE x:last",
)
def _recency(x: Last, q: Quantity) -> Said:
    return Said((Claim(Measure("recency"), q, Measure("latest"), x.size),))


rule("lasting", "(within|in|over|across|during|inside|into|on|in_the_space_of|in_the_course_of)")(lambda: True)
rule("lasted", "(fall|fell|fit|lie|came|come|took|take|took_place|happened|SPANS)")(lambda: True)
rule("days_qty", "q:qty DAY")(lambda q: q if q.unit == "count" else None)
rule("days_qty", "q:qty WEEK")(
    lambda q: (
        Quantity("count", q.comparison, number(7 * q.number.digits))
        if q.unit == "count" and q.number.slot < 0 and q.upper is None
        else None
    )
)
rule("days_qty", "(one|single) DAY", "same DAY")(lambda: quantity("count", "exact", 1))
rule("days_qty", "FORTNIGHT", "a_fortnight")(lambda: quantity("count", "exact", 14))

rule(
    "rated",
    "n:size? RATED THING",
    "n:size? (THING|ones)? (that)? USER RATED",
    "n:size? THING RATED",
    "ITS n:size? RATED THING",
    "n:size? RATING",
    "USER POSS n:size? (RATED THING|RATING)",
    "n:size? THING with RATING",
    "n:size? RATING (USER)? (gave|given|GET)",
)(lambda n=None: Last(n))
rule(
    "own_mean",
    "(ITS|USER POSS|of)? OWN? RATING (RATING)? (of USER)?",
    "ITS OWN? (mean|average|usual) (rating|score|mark|grade)?",
    "USER POSS OWN? (mean|average|usual) (rating|score)?",
    "(mean|average) (rating|score)?",
    "(mean|average) of (ITS|USER POSS) RATING",
)(lambda: True)
rule("lies", "(GET|BE|lie|BE? RATED|sit|came|come|land|landed|fall|fell|stand)")(lambda: True)
rule("above_mean", "lies? (OVER|ABOVE|MORE than|higher than|better than) own_mean")(lambda: "liked")
rule("above_mean", "lies? (UNDER|BELOW|LESS than|lower than|worse than|short_of) own_mean")(lambda: "disliked")


@rule(
    "clause",
    "q:qtys out x:rated k:above_mean",
    "USER (RATED|GET|put|scored|gave|give) q:qtys out x:rated k:above_mean",
    "(of|out_of) x:rated COMMA? q:qtys k:above_mean",
    "q:qtys x:rated k:above_mean",
    "USER RATED q:qtys of n:size? THING k:above_mean",
    "USER RATED q:qtys THING k:above_mean",
    "q:qtys of USER POSS n:size (RATED THING|RATING) k:above_mean",
)
def _rating(q: tuple[Quantity, ...], k: Kind, x: Last | None = None, n: Quantity | None = None) -> Said:
    return Said(tuple(Claim(Measure(k), one, Measure("rated"), x.size if x else n) for one in q))
