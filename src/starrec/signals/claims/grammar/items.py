"""Clauses about two items that count nobody: "B shares 3 of 5 categories and title words with A", "beyond the
rest of the history, A adds 0.031 to what a linear model expects of B".
"""

from __future__ import annotations

from dataclasses import replace

from starrec.signals.claims.grammar.counts import Said
from starrec.signals.claims.grammar.quantities import number, quantity, rule
from starrec.signals.claims.meaning import Claim, Measure, Number, Quantity

# What the catalogue says of two items.


@rule(
    "clause",
    "b:item (SHARES|HAVE) q:qtys (out n:size)? TRAITS COMMON? with a:item",
    "b:item AND a:item (SHARES|HAVE) q:qtys (out n:size)? TRAITS COMMON?",
    "(of|out_of) n:size TRAITS (of|in|between) b:item AND a:item COMMA? q:qtys BE (shared|COMMON)",
    "q:qtys out n:size TRAITS (of|in|between) b:item AND a:item BE (shared|COMMON)",
    "q:qtys out n:size TRAITS BE? (shared by|COMMON to|shared between) b:item AND a:item",
    "(of|out_of) n:size TRAITS COMMA? b:item AND a:item SHARES q:qtys",
    "b:item AND a:item HAVE COMMON q:qtys out n:size TRAITS",
    "b:item (HAVE|SHARES) q:qtys out n:size TRAITS (shared|COMMON) with a:item",
    "(of|out_of) n:size TRAITS COMMA? b:item SHARES q:qtys with a:item",
    "q:qtys out n:size TRAITS (of|in) b:item BE (shared with|COMMON with|also_in) a:item",
)
def _traits(a: int, b: int, q: tuple[Quantity, ...], n: Quantity | None = None) -> Said:
    pair = (a, b)
    return Said(tuple(Claim(Measure("traits", pair), one, Measure("all_traits", pair), n) for one in q))


@rule(
    "clause",
    "b:item AND a:item ALIKE COLON? COMMA? OPEN? SIMILARITY (of|BE|COLON)? n:INT (of|out_of) m:INT CLOSE?",
    "SIMILARITY (of|between) b:item (AND|to|with) a:item (SAYS|COLON|BE) n:INT (of|out_of) m:INT",
    "b:item AND a:item HAVE SIMILARITY of n:INT (of|out_of) m:INT",
    "b:item ALIKE a:item COLON? COMMA? OPEN? (with)? SIMILARITY (of|BE|COLON)? n:INT (of|out_of) m:INT CLOSE?",
    "b:item AND a:item ALIKE COMMA? (with|at) SIMILARITY of n:INT (of|out_of) m:INT",
    "SIMILARITY (of|between) b:item (AND|to|with) a:item (SAYS|COLON|BE) n:NUM PERCENT",
    "b:item AND a:item ALIKE COLON? COMMA? OPEN? (with|at)? SIMILARITY (of|BE|COLON)? n:NUM PERCENT CLOSE?",
    "b:item AND a:item BE n:NUM PERCENT similar",
    "b:item POSS SIMILARITY (to|with) a:item SAYS n:INT (of|out_of) m:INT",
    "SIMILARITY (of|between) b:item (AND|to|with) a:item (SAYS|COLON|BE) f:DEC",
    "b:item AND a:item HAVE SIMILARITY of f:DEC",
)
def _similarity(
    a: int, b: int, n: Number | None = None, m: Number | None = None, f: Number | None = None
) -> Said:
    found = f or n
    assert found is not None
    said = Quantity("times" if f else "share", "exact", found)
    size = Quantity("count", "exact", m) if m else None
    return Said((Claim(Measure("similarity", (a, b)), said, None, size),))


# The linear model: "Beyond the rest of the history, A adds 0.031 to what a linear model expects of B".
rule(
    "beyond",
    "BEYOND (REST (of HISTORY)?|everything else|other items|HISTORY|REST of (USER POSS|ITS) HISTORY) COMMA?",
)(lambda: True)
rule(
    "beyond",
    "BEYOND REST of (USER POSS)? HISTORY (fixed|constant|equal)? COMMA?",
    "(in|by|for|according to) MODEL COMMA?",
    "with REST of HISTORY (known|given|held_fixed|fixed|in place)? COMMA?",
    "BEYOND (ITS|USER POSS)? REST of? HISTORY COMMA?",
    "holding REST of? HISTORY (fixed|constant) COMMA?",
)(lambda: True)
rule(
    "expects",
    "what MODEL (MODELEXPECTS|would expect) (of|for)",
    "MODEL POSS? SCORE (of|for)",
    "SCORE (of|for)",
    "expected score (of|for)",
    "what BE expected of",
    "(the)? SCORE of MODEL (of|for)",
    "MODEL (of|for)",
    "what MODEL (gives|says of|thinks of)",
)(lambda: True)


rule("owing_to", "(with|through|from|because_of|on_account_of|thanks_to)")(lambda: True)


def weighs(a: int, b: int, n: Number, sign: int = 1, q: Quantity | None = None) -> Said:
    said = Quantity("amount", "exact", n if sign > 0 else replace(n, over=-n.over))
    return Said((Claim(Measure("weight", (a, b)), q or said),), Measure("weight", (a, b)), b)


@rule(
    "clause",
    "beyond? a:item ADDS n:NUM to expects? b:item beyond?",
    "beyond? a:item ADDS expects b:item by n:NUM beyond?",
    "beyond? a:item ADDS b:item POSS? SCORE? by n:NUM beyond?",
    "beyond? a:item ADDS n:NUM to b:item POSS SCORE beyond?",
    "beyond? MODEL (gives|assigns|puts) a:item WEIGHT of n:NUM (for|on|towards) b:item",
    "beyond? MODEL (gives|assigns|puts) WEIGHT of n:NUM (to|on) a:item (for|towards) b:item",
    "beyond? a:item POSS WEIGHT (for|on|towards|in) b:item (in MODEL)? SAYS n:NUM (in MODEL)?",
    "beyond? a:item HAVE WEIGHT of n:NUM (for|on|towards) b:item (in MODEL)?",
    "WEIGHT of a:item (for|on|towards) b:item (in MODEL)? SAYS n:NUM (in MODEL)?",
    "beyond? b:item (GET|gains|gain) n:NUM from a:item (in MODEL)?",
    "beyond? a:item (is|BE) worth n:NUM (to|for) b:item (in MODEL)?",
    "beyond? a:item (counts|count) n:NUM (for|towards) b:item (in MODEL)?",
    "beyond? MODEL ADDS n:NUM to b:item (for|because of|on account of|given) a:item",
    "beyond? MODEL (expects|MODELEXPECTS) n:NUM MORE of b:item (because of|from|given|for|thanks to) a:item",
    "beyond? MODEL MODELEXPECTS of b:item (rises|grows|goes up) by n:NUM (with|through|from|because of) a:item",
    "beyond? what MODEL MODELEXPECTS of b:item (rises|grows|goes up|increases) by n:NUM owing_to a:item",
)
def _adds(a: int, b: int, n: Number) -> Said:
    return weighs(a, b, n)


@rule(
    "clause",
    "beyond? a:item SUBTRACTS n:NUM from expects? b:item beyond?",
    "beyond? a:item SUBTRACTS expects b:item by n:NUM beyond?",
    "beyond? a:item SUBTRACTS b:item POSS? SCORE? by n:NUM beyond?",
    "beyond? a:item SUBTRACTS n:NUM from b:item POSS SCORE beyond?",
    "beyond? b:item loses n:NUM (to|from|through|because of) a:item (in MODEL)?",
    "beyond? a:item (counts|count) n:NUM against b:item (in MODEL)?",
    "beyond? what MODEL MODELEXPECTS of b:item (falls|drops|sinks) by n:NUM owing_to a:item",
    "beyond? MODEL (expects|MODELEXPECTS) n:NUM LESS of b:item (because of|from|given|for) a:item",
)
def _subtracts(a: int, b: int, n: Number) -> Said:
    return weighs(a, b, n, -1)


@rule(
    "clause",
    "beyond? a:item ADDS to expects b:item",
    "beyond? a:item (counts|speaks|weighs|works) (in favour of|for) b:item in MODEL",
    "beyond? a:item HAVE POSITIVE WEIGHT (for|on|towards) b:item (in MODEL)?",
    "beyond? MODEL (gives|assigns) a:item POSITIVE WEIGHT (for|on|towards) b:item",
    "beyond? a:item ADDS expects b:item",
    "a:item POSS WEIGHT (for|on) b:item (in MODEL)? BE POSITIVE",
)
def _adds_something(a: int, b: int) -> Said:
    return weighs(a, b, number(0), q=quantity("amount", "over", 0))


@rule(
    "clause",
    "beyond? a:item SUBTRACTS from expects b:item",
    "beyond? a:item (counts|speaks|weighs|works) against b:item in MODEL",
    "beyond? a:item HAVE NEGATIVE WEIGHT (for|on|towards) b:item (in MODEL)?",
    "beyond? MODEL (gives|assigns) a:item NEGATIVE WEIGHT (for|on|towards) b:item",
    "beyond? a:item SUBTRACTS expects b:item",
    "a:item POSS WEIGHT (for|on) b:item (in MODEL)? BE NEGATIVE",
)
def _subtracts_something(a: int, b: int) -> Said:
    return weighs(a, b, number(0), q=quantity("amount", "under", 0))
