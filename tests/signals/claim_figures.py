"""How the second generator says a quantity, and its own reading of when that is so.

A figure is made of the counts that a sentence tells and judged against those that are true (`Figure.holds`).
Spoilt figures are false by a little: off by one, rounded the wrong way, a bound just missed. Where the reading
leaves room ("about", a bound that is decided by whether one rounds first), the verdict is None and
nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random
from typing import Final, TypeAlias

Verdict: TypeAlias = bool | None
"""None: too near the edge of a reading that leaves room."""
Number: TypeAlias = int | Fraction

WORDS: Final = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_FRACTIONS: Final = {
    "half": Fraction(1, 2),
    "a third": Fraction(1, 3),
    "a quarter": Fraction(1, 4),
    "two thirds": Fraction(2, 3),
    "three quarters": Fraction(3, 4),
}
_ABOUT: Final = ("about", "roughly", "around", "approximately")
EXACT: Final = ("count", "percent", "decimal")


@dataclass(frozen=True)
class Figure:
    """What a sentence says of a quantity, and when that is so."""

    text: str
    kind: str
    holds: Callable[[Number, int], Verdict]
    """Of (part, whole), where the figure is a share or a count; of (value, 1) for ratios."""
    one: bool = False
    """Whether it is grammatically singular."""


def integer(n: int, random: Random | None = None) -> str:
    """1,234 or, of a random writer, sometimes 1234 or a word up to twenty."""
    if random is not None and 0 < n <= 20 and random.random() < 0.25:
        return WORDS[n]
    return str(n) if random is not None and random.random() < 0.3 else f"{n:,}"


def share(part: int, whole: int, random: Random, kinds: Collection[str]) -> Figure | None:
    """A figure that is true of part and whole, of one of the kinds; None where that kind has none."""
    kind = random.choices(list(kinds), [_WEIGHT[kind] for kind in kinds])[0]
    ratio = Fraction(part, whole) if whole else Fraction(0)
    match kind:
        case "count":
            return _count(part, random)
        case "only":
            word = random.choice(["only", "just", "exactly"])
            number = _count(part, random)
            return number and replace(number, text=f"{word} {number.text}", kind=kind)
        case "percent":
            return _percent(round(ratio * 100), 0, random) if _visible(ratio, 100) else None
        case "decimal":
            return _percent(round(ratio * 100, 1), 1, random) if _visible(ratio, 1000) else None
        case "fraction":
            return _first_true(_fractions(random), part, whole, random)
        case "about":
            return _first_true(_abouts(part, ratio if whole else None, random), part, whole, random)
        case "bound":
            return _first_true(_bounds(part, whole, random, slack=1), part, whole, random)
        case "quantifier":
            return _first_true(_quantifiers(), part, whole, random)
    raise ValueError(kind)


_WEIGHT: Final = {
    "count": 5.0,
    "percent": 4.0,
    "decimal": 2.5,
    "only": 1.0,
    "fraction": 1.5,
    "about": 1.2,
    "bound": 2.5,
    "quantifier": 0.8,
}
COUNTS: Final = ("count", "only", "bound")
SHARES: Final = tuple(_WEIGHT)


def _visible(ratio: Fraction, steps: int) -> bool:
    """Whether rounding leaves it apart from 0 and 100%."""
    return 0 < round(ratio * steps) < steps


def _count(n: int, random: Random) -> Figure | None:
    if n < 1:
        return None
    text = "a dozen" if n == 12 and random.random() < 0.15 else integer(n, random)
    return Figure(text, "count", lambda part, whole: part == n, one=n == 1)


def _percent(x: Number, digits: int, random: Random) -> Figure:
    sign = random.choices(["%", " percent", " per cent"], [8, 1.5, 0.5])[0]

    def holds(part: Number, whole: int) -> Verdict:
        return round(Fraction(part) * 100 / whole, digits or None) == x

    return Figure(f"{float(x):.{digits}f}{sign}", "decimal" if digits else "percent", holds)


def _fractions(random: Random) -> Iterator[Figure]:
    def near(middle: Fraction, room: Fraction) -> Callable[[Number, int], Verdict]:
        return lambda part, whole: unless_close(abs(Fraction(part) / whole - middle) - room, Fraction(1, 1000))

    def beyond(middle: Fraction, sign: int) -> Callable[[Number, int], Verdict]:
        # Half is exact; where 33.3% ends and a third begins, nobody says "more than".
        room = Fraction(0) if middle == Fraction(1, 2) else Fraction(1, 1000)

        def holds(part: Number, whole: int) -> Verdict:
            away = sign * (Fraction(part) / whole - middle)
            # Nor does anybody call a twentieth less than half.
            return None if abs(away) < room or abs(away) > Fraction(15, 100) else away > 0

        return holds

    for name, value in _FRACTIONS.items():
        yield Figure(name, "fraction", near(value, Fraction(5, 100)))
        yield Figure(f"more than {name}", "fraction", beyond(value, 1))
        yield Figure(f"less than {name}", "fraction", beyond(value, -1))
    yield Figure("one in five", "fraction", near(Fraction(1, 5), Fraction(25, 1000)))
    yield Figure(
        f"{random.choice(['nearly', 'almost'])} half",
        "fraction",
        lambda part, whole: Fraction(45, 100) <= Fraction(part) / whole < Fraction(1, 2),
    )


def unless_close(excess: Fraction, edge: Fraction) -> Verdict:
    return None if abs(excess) < edge else excess < 0


def _abouts(part: int, ratio: Fraction | None, random: Random) -> Iterator[Figure]:
    """Loose figures near and far: "about 20%", "nearly 40 people"."""
    word = random.choice(_ABOUT)
    close = random.choice(["nearly", "almost"])
    if ratio is None:
        for n in {round(part * Fraction(step, 100)) for step in (70, 94, 97, 103, 106, 140)}:
            if n >= 15:
                yield Figure(f"{word} {n:,}", "about", _roughly(Fraction(n), Fraction(0)))
                yield Figure(f"{close} {n:,}", "about", _nearly(n, Fraction(1)))
        return
    for x in {5 * round(ratio * 20 + step) for step in (-3, -2, -1, 0, 1, 2, 3)}:
        if 5 <= x <= 95:
            yield Figure(f"{word} {x}%", "about", _roughly(Fraction(x, 100), Fraction(2, 100)))
            yield Figure(f"{close} {x}%", "about", _nearly(x, Fraction(100)))


def _roughly(x: Fraction, room: Fraction) -> Callable[[Number, int], Verdict]:
    """A tenth of the said and of the true value differ: between the two nothing is decided."""

    def holds(part: Number, whole: int) -> Verdict:
        value = Fraction(part) / (whole if room else 1)
        away = abs(value - x)
        inner, outer = (max(room, tenth / 10) for tenth in sorted((x, value)))
        return (
            True if away < inner * Fraction(95, 100) else False if away > outer * Fraction(105, 100) else None
        )

    return holds


def _nearly(x: int, unit: Fraction) -> Callable[[Number, int], Verdict]:
    def holds(part: Number, whole: int) -> Verdict:
        value = Fraction(part) / (whole if unit > 1 else 1) * unit
        return Fraction(9, 10) * x <= value < x

    return holds


def _bounds(part: int, whole: int, random: Random, slack: int) -> Iterator[Figure]:
    """Bounds about a count or a percentage, true and false ones, most of them just so."""

    def compared(
        test: Callable[[Number, Number], bool], x: Number, unit: int
    ) -> Callable[[Number, int], Verdict]:
        return lambda part, whole: test(Fraction(part) * unit / (whole if unit > 1 else 1), x)

    def figures(near: list[int], unit: int, less: str) -> Iterator[Figure]:
        sign = "%" if unit > 1 else ""
        for x in near:
            if x < 1 or (unit > 1 and x > 99):
                continue
            said = integer(x, random) + sign if unit == 1 else f"{x}{sign}"
            one = unit == 1 and x == 1
            yield Figure(f"at least {said}", "bound", compared(lambda v, k: v >= k, x, unit), one)
            for words in ("at most", "no more than"):
                yield Figure(f"{words} {said}", "bound", compared(lambda v, k: v <= k, x, unit), one)
            idiomatic = unit > 1 or x >= 10
            for words in ("more than", "over")[: 1 + idiomatic]:
                yield Figure(f"{words} {said}", "bound", compared(lambda v, k: v > k, x, unit), one)
            if x == 1:
                continue
            for words in (less, "under")[: 1 + idiomatic]:
                yield Figure(f"{words} {said}", "bound", compared(lambda v, k: v < k, x, unit))
            upper = random.choice(near)
            if upper > x:
                yield Figure(
                    f"between {x:,}{sign} and {upper:,}{sign}",
                    "bound",
                    compared(lambda v, k, upper=upper: k <= v <= upper, x, unit),
                )

    yield from figures([part + step for step in (-2, -1, 0, 1, 2)], 1, "fewer than")
    if whole:
        percent = Fraction(100 * part, whole)
        # A bound within a point of the fraction would be decided by whether it is rounded first.
        near = [x for x in range(int(percent) - 4, int(percent) + 6) if abs(x - percent) >= slack]
        yield from figures(near, 100, "less than")


def _quantifiers() -> Iterator[Figure]:
    yield Figure("none", "quantifier", lambda part, whole: part == 0)
    yield Figure("all", "quantifier", lambda part, whole: part == whole)
    yield Figure("most", "quantifier", lambda part, whole: 2 * part > whole)
    yield Figure("the majority", "quantifier", lambda part, whole: 2 * part > whole)
    yield Figure("some", "quantifier", lambda part, whole: None if part == 1 else part > 1)
    for text in ("a few", "few", "hardly any"):
        yield Figure(
            text,
            "quantifier",
            lambda part, whole: (
                None if part < 2 else unless_close(Fraction(part) / whole - Fraction(1, 10), Fraction(1, 100))
            ),
        )


def _first_true(figures: Iterator[Figure], part: int, whole: int, random: Random) -> Figure | None:
    return _pick([figure for figure in figures if figure.holds(part, whole or 1)], random)


def _pick(figures: list[Figure], random: Random) -> Figure | None:
    return random.choice(figures) if figures else None


def spoilt(lie: str, part: int, whole: int, random: Random, kinds: Collection[str]) -> Figure | None:
    """A figure of these kinds that is false of part and whole in the way that the lie names."""
    match lie:
        case "off_by_one":
            step = random.choice([-1, 1])
            if "percent" in kinds and random.random() < 0.3:
                x = round(Fraction(100 * part, whole)) + step
                return _percent(x, 0, random) if 0 < x < 100 else None
            return _count(part + step, random) if part + step <= (whole or part + 1) else None
        case "wrong_rounding" if "percent" in kinds:
            digits = random.choice([0, 0, 1])
            exact = Fraction(100 * part, whole) * 10**digits
            right = round(exact)
            wrong = int(exact) + (right == int(exact))
            if exact.denominator == 1 or not 0 < wrong < 100 * 10**digits:
                return None
            return _percent(Fraction(wrong, 10**digits), digits, random)
        case "false_bound":
            false = [figure for figure in _bounds(part, whole, random, slack=1)]
        case "wrong_word" if "fraction" in kinds:
            words = [*_fractions(random), *_quantifiers(), *_abouts(part, Fraction(part, whole), random)]
            # As far off as a careless writer would be, not "all" for one in a hundred.
            false = [
                figure for figure in words if any(figure.holds(near, whole) for near in _nearby(part, whole))
            ]
        case _:
            return None
    return _pick([figure for figure in false if figure.holds(part, whole or 1) is False], random)


def _nearby(part: int, whole: int) -> Iterator[int]:
    for step in (-20, -12, -8, 8, 12, 20):
        near = round(part + Fraction(step * whole, 100))
        if 0 <= near <= whole:
            yield near


def times(value: Fraction, random: Random, plain: bool = False) -> Figure | None:
    """How a ratio is said: "2.1 times", "twice", "at least 1.8 times"; plain: "2.1"."""
    rounded = round(value, 1)
    if not rounded:
        return None
    kind = "decimal" if plain else random.choices(["decimal", "word", "bound"], [6, 2, 1.5])[0]
    if kind == "decimal":
        return said_ratio(rounded, plain)
    figures = _ratio_words() if kind == "word" else _ratio_bounds(value)
    return _pick([figure for figure in figures if figure.holds(value, 1)], random)


def spoilt_times(lie: str, value: Fraction, random: Random, plain: bool = False) -> Figure | None:
    match lie:
        case "off_by_one":
            false = [said_ratio(round(value, 1) + Fraction(step, 10), plain) for step in (-1, 1)]
            false = [figure for figure in false if not figure.text.startswith(("0.0", "-"))]
        case "wrong_rounding":
            down = Fraction(int(value * 10), 10)
            said = down + Fraction(1, 10) if round(value, 1) == down else down
            false = [said_ratio(said, plain)] if said and value != down else []
        case "false_bound" if not plain:
            false = list(_ratio_bounds(value))
        case "wrong_word" if not plain:
            false = [
                figure
                for figure in _ratio_words()
                if any(figure.holds(value * Fraction(step, 10), 1) for step in (6, 7, 13, 14, 15))
            ]
        case _:
            return None
    return _pick([figure for figure in false if figure.holds(value, 1) is False], random)


def said_ratio(x: Fraction, plain: bool = False) -> Figure:
    said = f"{float(x):,.1f}"
    return Figure(
        said if plain else f"{said} times", "decimal", lambda value, _: round(Fraction(value), 1) == x
    )


def _ratio_words() -> Iterator[Figure]:
    """ "Twice" and words up to twenty; none of them within a hundredth of its edges."""
    for text, n in (("twice", 2), *((f"{word} times", n) for n, word in enumerate(WORDS) if 3 <= n <= 12)):
        yield Figure(
            text,
            "word",
            lambda value, _, n=n: unless_close(abs(Fraction(value) - n) - Fraction(1, 2), Fraction(1, 100)),
        )


def _ratio_bounds(value: Fraction) -> Iterator[Figure]:
    """Bounds at least 0.1 from the value: nearer, rounding first would decide."""
    for step in (-5, -3, -2, 2, 3, 5):
        x = round(value, 1) + Fraction(step, 10)
        if x <= 0:
            continue
        above: Callable[[Number, int], Verdict] = lambda v, _, x=x: v > x  # noqa: E731
        below: Callable[[Number, int], Verdict] = lambda v, _, x=x: v < x  # noqa: E731
        for words in ("more than", "at least", "over"):
            yield Figure(f"{words} {float(x):,.1f} times", "bound", above)
        for words in ("less than", "at most", "under"):
            yield Figure(f"{words} {float(x):,.1f} times", "bound", below)
        near: Callable[[Number, int], Verdict] = lambda v, _, x=x: _roughly(x, Fraction(0))(v, 1)  # noqa: E731
        yield Figure(f"about {float(x):,.1f} times", "bound", near)
