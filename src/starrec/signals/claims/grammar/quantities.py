"""Quantities: "13", "about 20%", "one in five", "nobody", "twice"; and the grammar that all rules belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final, TypeAlias

from starrec.signals.claims.meaning import Claim, Comparison, Number, Quantity, Unit
from starrec.signals.claims.parser import Grammar

GRAMMAR: Final = Grammar()
rule = GRAMMAR.rule

Claims: TypeAlias = tuple[Claim, ...]
Items: TypeAlias = tuple[int, ...]

THEM: Final = -4
"""In place of items: those of the group that was spoken of last."""


def number(value: int, over: int = 1, slack: Fraction | None = None) -> Number:
    return Number(value, -1, over, slack)


def quantity(unit: Unit, comparison: Comparison, value: int, over: int = 1) -> Quantity:
    return Quantity(unit, comparison, number(value, over))


NONE: Final = quantity("count", "exact", 0)
SOME: Final = quantity("count", "at least", 1)
ALL: Final = quantity("share", "exact", 100)
VAGUE: Final = quantity("count", "vague", 0)
MORE: Final = quantity("times", "over", 1)
LESS: Final = quantity("times", "under", 1)
EQUAL: Final = Quantity("times", "between", number(1), number(1))
BY_CHANCE: Final = Quantity("times", "exact", Number(10, 1))
"""As often as chance: the lift rounds to 1.0."""

rule("amount", "n:INT")(lambda n: Quantity("count", "exact", n))
rule("amount", "n:NUM PERCENT")(lambda n: Quantity("share", "exact", n))
rule("amount", "n:FRACTION")(lambda n: Quantity("share", "exact", n))
rule("amount", "n:INT in (every|each)? of:INT", "n:INT (of|out_of) (every|each) of:INT")(
    lambda n, of: Quantity("share", "one in", n, of)
)


@rule("amount", "n:INT out_of of:INT")
def _words_out_of(n: Number, of: Number) -> Quantity | None:
    # "Nine out of ten" in words is a manner of speaking; "9 out of the 64" counts.
    return Quantity("share", "one in", n, of) if n.slot < 0 and of.slot < 0 and of.digits >= 10 else None


_COMPARISONS: Final[Sequence[tuple[str, Comparison]]] = (
    ("ABOUT", "about"),
    ("NEARLY", "nearly"),
    ("OVER", "over"),
    ("UNDER", "under"),
    ("ATLEAST", "at least"),
    ("ATMOST", "at most"),
)


def _compared(comparison: Comparison, q: Quantity) -> Quantity | None:
    """A bare amount with a comparison. "About one in five" is as loose as "one in five" already."""
    if q.comparison == "exact":
        return replace(q, comparison=comparison)
    if q.comparison == "one in":
        if comparison == "about":
            return q
        if q.number.slot < 0 and q.upper is not None and q.upper.slot < 0:
            return Quantity("share", comparison, number(100 * q.number.digits, q.upper.digits))
    return None


def _bound(comparison: Comparison, q: Quantity) -> Quantity | None:
    return _compared(comparison, q) if q.comparison == "exact" else None


for _word, _comparison in _COMPARISONS:
    rule("qty", f"only? {_word} EXACTLY? q:amount")(lambda q, c=_comparison: _compared(c, q))
    rule("times", f"only? {_word} EXACTLY? q:multiple")(lambda q, c=_comparison: _compared(c, q))
rule("qty", "EXACTLY* q:amount", "SHAREOF of q:amount")(lambda q: q)
rule("qty", "q:amount ORMORE")(lambda q: _bound("at least", q))
rule("qty", "q:amount (ORLESS|ATMOST)")(lambda q: _bound("at most", q))
rule("qty", "q:amount ATLEAST")(lambda q: _bound("at least", q))
rule("qty", "not EXACTLY? q:amount")(lambda q: None)
rule("qty", "MOST")(lambda: quantity("share", "over", 50))
rule("qty", "EXACTLY? ALL")(lambda: ALL)
rule("qty", "(not ALL|less than ALL|UNDER ALL)")(lambda: quantity("share", "under", 100))
rule("qty", "NEARLY ALL")(lambda: quantity("share", "nearly", 100))
rule("qty", "EXACTLY? NONE")(lambda: NONE)
rule("qty", "EXACTLY? FEW")(lambda: quantity("share", "under", 10))
rule("qty", "MINORITY")(lambda: quantity("share", "under", 50))
rule("qty", "SOME")(lambda: SOME)
rule("qty", "(not|so|very|relatively|fairly)? MANY")(lambda: VAGUE)


@rule("qty", "BETWEEN a:amount and b:amount", "(from|ABOUT)? a:amount (to|DASH) b:amount")
def _between(a: Quantity, b: Quantity) -> Quantity | None:
    """ "Between 10 and 20%": the unit of the second holds for both."""
    if a.comparison != "exact" or b.comparison != "exact" or a.unit not in ("count", b.unit):
        return None
    return Quantity(b.unit, "between", a.number, b.number)


@rule("multiple", "n:NUM TIMES")
def _multiple(n: Number) -> Quantity:
    # "Three times" in words is looser than "3.0 times".
    in_words = n.slot < 0 and n.slack is None
    return Quantity("times", "exact", replace(n, slack=Fraction(1, 2)) if in_words else n)


rule("multiple", "TWICE")(lambda: Quantity("times", "exact", number(2, slack=Fraction(1, 2))))
rule("multiple", "THRICE")(lambda: Quantity("times", "exact", number(3, slack=Fraction(1, 2))))
rule("multiple", "HALF")(lambda: Quantity("times", "exact", number(1, 2, Fraction(1, 20))))
rule("multiple", "n:FRACTION")(
    lambda n: Quantity("times", "exact", replace(n, over=100 * n.over, slack=n.slack / 100))
)
rule("times", "EXACTLY? q:multiple")(lambda q: q)
rule("factor", "q:times")(lambda q: q)
rule("factor", "ABOUT? n:NUM")(lambda n: _multiple(n))
