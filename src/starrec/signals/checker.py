"""The checker: is what a text says of the graph true, for the task that it is said to?

Every claim of a text (see `claims`) is held against the counts of the graph as the task may see it, without
the task's own user. *Verified* is what is true of that graph, *contradicted* what is false there, and
*unverifiable* what cannot be read or has no basis: an item nobody knows, data without a clock, a vague
amount. Where it is open which of two things is meant, both must be true to be verified.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Literal, TypeAlias, cast

from starrec.data import Dataset
from starrec.signals.answers import Answers, NoBasis, decimal, figure
from starrec.signals.claims import Catalogue, Claim, Measure, Quantity, read
from starrec.signals.claims.meaning import Number
from starrec.signals.language import FOLLOW_WINDOW, TREND_DAYS
from starrec.signals.task_view import TaskView

Verdict: TypeAlias = Literal["verified", "contradicted", "unverifiable"]

_REMEMBERED: Final = 8
"""Task views whose answers are kept: a trace is checked sentence by sentence."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One claim of a text, and whether it is true."""

    span: tuple[int, int]
    """Where in the text it stands."""
    claim: Claim | None
    """What it says; None where it has no reading."""
    verdict: Verdict
    reason: str
    """Why, with the true figures."""


class Checker:
    """Checks texts over one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._answers: OrderedDict[int, Answers] = OrderedDict()

    @classmethod
    def of(cls, dataset: Dataset) -> Checker:
        """A checker for this dataset's titles and categories."""
        topics = dataset.items["categories"].explode().drop_nulls().unique(maintain_order=True).to_list()
        return cls(Catalogue(dataset.mentions, topics))

    def check(self, text: str, view: TaskView) -> list[Checked]:
        """Each claim of a text about the graph, checked against what the task may see of it."""
        answers = self._of(view)
        return [
            Checked(
                claim.span,
                None if claim.unread else claim,
                *_judge(claim, answers, self.catalogue),
            )
            for claim in read(text, self.catalogue, answers.labels, answers.at_hand)
        ]

    def _of(self, view: TaskView) -> Answers:
        known = self._answers.get(id(view))
        if known is not None:
            self._answers.move_to_end(id(view))
            return known
        answers = self._answers[id(view)] = Answers(view)
        if len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        return answers


# ----------------------------------------------------------------------------------------------- verdicts


def _judge(claim: Claim, answers: Answers, catalogue: Catalogue) -> tuple[Verdict, str]:
    """Whether a claim is true, and why."""
    if claim.unread:
        return "unverifiable", f"{claim.unread}."
    if _unsaid_window(claim):
        verdicts = [_judge(_in_window(claim, window), answers, catalogue) for window in ("recent", "whole")]
        if verdicts[0][0] == verdicts[1][0]:
            return verdicts[0]
        return "unverifiable", "it does not say by which history, the recent or the whole one."
    if claim.quantity.comparison == "vague":
        return "unverifiable", "it does not say how many."
    try:
        return _weigh(claim, answers, catalogue)
    except NoBasis as reason:
        return "unverifiable", f"{reason}."


def _weigh(claim: Claim, answers: Answers, catalogue: Catalogue) -> tuple[Verdict, str]:
    measure, base = claim.measure, claim.base
    if base is not None and claim.said_base is not None:
        size = answers.value(base)
        if not _holds(claim.said_base, size, 1):
            if claim.negated:
                return "unverifiable", "what exactly is denied is not said."
            if measure.kind in ("kin", "unkin", "taste", "untaste", "spread", "recency"):
                return _other_window(claim, answers, size)
            return "contradicted", f"{_said(base, catalogue)}: {figure(size)}, not {_words(claim.said_base)}."
    if measure.kind == "similarity" and claim.said_base is not None and claim.said_base.number.value != 100:
        return "unverifiable", "similarity is said of 100."
    if measure.kind == "followed" and measure.reach is not None and measure.reach.value != FOLLOW_WINDOW:
        return _other_reach(claim, answers)
    value = answers.value(measure)
    unit = claim.quantity.unit
    per: Fraction | int = 1
    if base is not None and unit in ("share", "times"):
        per = answers.value(base)
        if unit == "share":
            if not per:
                raise NoBasis(f"there is nobody to take a share of: {_said(base, catalogue)}: 0")
            per = per / 100
    elif unit == "share" and measure.kind != "similarity":
        raise NoBasis("it does not say of what that is a share")
    elif unit == "times" and measure.kind == "similarity":
        per = 100
    true = _holds(claim.quantity, value, per) != claim.negated
    return ("verified" if true else "contradicted"), _reason(claim, value, per, answers, catalogue, true)


def _other_reach(claim: Claim, answers: Answers) -> tuple[Verdict, str]:
    """A transition within other than three items: at least (at most) those within three, at most those who took
    both."""
    measure, quantity = claim.measure, claim.quantity
    assert measure.reach is not None
    within = answers.value(replace(measure, reach=None))
    further = measure.reach.value > FOLLOW_WINDOW
    least, most = (
        (within, answers.value(Measure("people", measure.items))) if further else (Fraction(0), within)
    )
    per = Fraction(1)
    if quantity.unit == "share":
        assert claim.base is not None
        per = answers.value(claim.base) / 100
    low, high, _, _ = quantity.interval
    window = f"it is counted within {FOLLOW_WINDOW} items, not {figure(measure.reach.value)}"
    if not claim.negated and (
        (high is not None and least > high * per) or (low is not None and most < low * per)
    ):
        return "contradicted", f"{window}: between {figure(least)} and {figure(most)} people."
    return "unverifiable", f"{window}."


def _other_window(claim: Claim, answers: Answers, size: Fraction) -> tuple[Verdict, str]:
    """Said of the last so many items, where the window has another size: false, or not what is counted."""
    assert claim.said_base is not None
    said = claim.said_base.number.value
    length = len(answers.view.history)
    if claim.said_base.comparison != "exact" or not 0 < said <= length:
        return "contradicted", f"the last {figure(size)} items are looked at, not {_words(claim.said_base)}."
    value = answers.over_last(claim.measure, int(said))
    per = said / 100 if claim.quantity.unit == "share" else 1
    if not _holds(claim.quantity, value, per):
        return "contradicted", f"of the last {figure(said)} items it is {figure(value)}."
    return "unverifiable", f"the window is the last {figure(size)} items, not the last {figure(said)}."


def _holds(quantity: Quantity, value: Fraction, per: Fraction | int) -> bool:
    """Whether value / per lies in the quantity's interval."""
    low, high, with_low, with_high = quantity.interval
    if not per:
        # Nothing is a multiple of nothing, but anything is more than it.
        return (value > 0 and high is None and not with_low) or (value == 0 and with_low and low == high)
    # In whole numbers: this is asked hundreds of thousands of times.
    ours, unit = value.numerator * per.denominator, value.denominator * per.numerator
    if low is not None:
        above = ours * low.denominator - low.numerator * unit
        if above < 0 or (above == 0 and not with_low):
            return False
    if high is not None:
        below = high.numerator * unit - ours * high.denominator
        if below < 0 or (below == 0 and not with_high):
            return False
    return True


def _unsaid_window(claim: Claim) -> bool:
    return claim.measure.window == "either" or (claim.base is not None and claim.base.window == "either")


def _in_window(claim: Claim, window: Literal["recent", "whole"]) -> Claim:
    base = claim.base and (replace(claim.base, window=window) if claim.base.window else claim.base)
    return replace(claim, measure=replace(claim.measure, window=window), base=base)


# ------------------------------------------------------------------------------------------------ reasons


def _reason(
    claim: Claim, value: Fraction, per: Fraction | int, answers: Answers, catalogue: Catalogue, true: bool
) -> str:
    """The true figures, and where they differ what was said."""
    measure, base, unit = claim.measure, claim.base, claim.quantity.unit
    what = _said(measure, catalogue)
    if unit == "share" and base is not None:
        share = f" ({decimal(value / per)}%)" if per else ""
        found = f"{what}: {figure(value)} of {figure(answers.value(base))}{share}"
    elif base is not None and unit == "times":
        found = f"{what}: {figure(value)}; {_said(base, catalogue)}: {figure(Fraction(per))}"
    elif base is not None and claim.said_base is not None:
        found = f"{what}: {figure(value)} of {figure(answers.value(base))}"
    else:
        found = f"{what}: {figure(value)}"
    return f"{found}." if true else f"{found}, not {'that' if claim.negated else _words(claim.quantity)}."


def _said(measure: Measure, catalogue: Catalogue) -> str:
    """A measure in words."""
    names = [catalogue.titles[item] for item in measure.items]
    left = [catalogue.titles[item] for item in measure.left]
    whom = f"neighbours by {measure.window} history" if measure.window else "people"
    match measure.kind:
        case "people":
            did = f" who took {' and '.join(names)}" if names else ""
            if left:
                did += f"{' but' if names else ' who took'} not {' nor '.join(left)}"
            return f"{whom}{did}"
        case "any":
            return f"people who took {' or '.join(names)}"
        case "followed":
            return f"people who took {names[1]} within their next {FOLLOW_WINDOW} after {names[0]}"
        case "choices":
            return f"choices{''.join(f' of {name}' for name in names)} in the {TREND_DAYS} days before"
        case "trend":
            return f"share of {names[0]} in the {TREND_DAYS} days before, over its usual share"
        case "lift" | "contrary":
            return f"lift of {names[-1]} among {whom}{f' who took {names[0]}' if len(names) > 1 else ''}"
        case "expected":
            return f"what popularity predicts for {' and '.join(names)}"
        case "weight":
            return f"weight of {names[0]} for {names[1]}"
        case "most" | "least":
            return f"the {measure.kind} people of {', '.join(names)}"
        case "untaste":
            return f"of the last items, those not of category {measure.topic}"
        case "taste":
            return f"of the last items, those of category {measure.topic}"
        case _:
            return f"{_MEASURES[measure.kind]}{f' {chr(38)} '.join(['', *names]) if names else ''}".replace(
                " & ", " "
            )


_MEASURES: Final[Mapping[str, str]] = {
    "kin": "of the last items, those that share a category with",
    "unkin": "of the last items, those that share no category with",
    "last": "last items",
    "latest": "last items",
    "spread": "categories of the last items",
    "recency": "days of the last items",
    "rated": "rated items",
    "liked": "ratings above their mean",
    "disliked": "ratings below their mean",
    "traits": "shared categories and title words of",
    "all_traits": "categories and title words of",
    "similarity": "similarity in percent of",
}


def _words(quantity: Quantity) -> str:
    """A quantity as it was said."""
    unit = {"count": "", "share": "%", "times": " times", "amount": ""}[quantity.unit]
    amount = _amount(quantity.number)
    match quantity.comparison:
        case "exact":
            return f"{amount}{unit}"
        case "between":
            return f"between {amount} and {_amount(cast(Number, quantity.upper))}{unit}"
        case "one in":
            return f"{amount} in {_amount(cast(Number, quantity.upper))}"
        case comparison:
            return f"{comparison} {amount}{unit}"


def _amount(number: Number) -> str:
    return f"{float(number.value):.{max(number.places, 0)}f}" if number.places > 0 else figure(number.value)
