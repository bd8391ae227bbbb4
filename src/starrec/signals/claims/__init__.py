"""Reading: which claims about the graph a text makes.

Text is read in four steps. Items, labels and figures are hidden (`hiding`, `names`); each sentence that is
left, a shape (`sentences`), is parsed (`shapes`, by the rules of `grammar` over the words of `lexicon`);
items and figures are filled in again, and pronouns with what was spoken of. What a claim means is in
`meaning`; whether it is true is for the checker to say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from starrec.signals.claims.grammar import THEM
from starrec.signals.claims.hiding import Masked, mask
from starrec.signals.claims.meaning import BOTH, IT, UNKNOWN, Claim, Measure, Number, Quantity
from starrec.signals.claims.names import Catalogue
from starrec.signals.claims.sentences import sentences
from starrec.signals.claims.shapes import read_shape

__all__ = ["Catalogue", "Claim", "Measure", "Number", "Quantity", "makes_claim", "read", "support_of"]


def read(
    text: str, catalogue: Catalogue, labels: Mapping[str, int] | None = None, at_hand: Collection[int] = ()
) -> list[Claim]:
    """The claims about the graph that a text makes, in order.

    Args:
        labels: item index by label (`‹A›`).
        at_hand: items of the task, which decide whose title an ambiguous one is.
    """
    masked = mask(text, catalogue, labels or {}, at_hand)
    found: list[Claim] = []
    context = _Context()
    slot = 0
    for sentence in sentences(masked.text):
        reading = read_shape(sentence.shape, sentence.question)
        for claim in reading.claims:
            found.append(_filled(claim, masked, slot, sentence.start, context))
        context.next_sentence()
        slot += reading.slots
    return found


def makes_claim(text: str) -> bool:
    """Whether a text holds any claim about the graph, readable or not; needs no catalogue."""
    return bool(read(text, _NO_CATALOGUE))


def support_of(sentence: str) -> float | None:
    """People on whom the first claim of a sentence that counts people rests; None where none does.

    A share is counted from its base, a bound ("fewer than 3") as the bound; "from the 45 people who took both"
    is what the claim before it rests on.
    """
    for claim in read(sentence, _NO_CATALOGUE):
        if claim.measure.kind not in ("people", "followed", "any", "choices") or claim.unread:
            continue
        amount = claim.quantity.number
        if claim.quantity.unit == "count":
            return float(amount.value)
        if claim.quantity.unit == "share" and claim.said_base is not None:
            return float(amount.value * claim.said_base.number.value / 100)
    return None


_NO_CATALOGUE: Final = Catalogue(())


@dataclass
class _Context:
    """What was spoken of: for "it", "both" and "of them"."""

    item: int = UNKNOWN
    pair: tuple[int, ...] = ()
    group: Measure | None = None
    here: bool = field(default=False)
    """Whether the group was spoken of in this sentence."""

    def next_sentence(self) -> None:
        self.here = False

    def heard(self, claim: Claim) -> None:
        measure = claim.measure
        if claim.unread:
            return
        if measure.items:
            last_two = dict.fromkeys((self.item, *measure.items))
            self.item = measure.items[-1]
            self.pair = tuple(last_two)[-2:] if UNKNOWN not in tuple(last_two)[-2:] else ()
        if measure.left or measure.window or not measure.items:
            self.pair = ()
        if measure.kind == "people" and claim.base == Measure("people"):
            self.group = measure
            self.here = True
        elif measure.kind == "people" and claim.base is not None and claim.base.kind == "people":
            # Of a part of a group: who "they" are from here on is open.
            self.group = claim.base if self.group == claim.base else None
            self.here = True


def _filled(claim: Claim, masked: Masked, slot: int, start: int, context: _Context) -> Claim:
    """A claim of a shape, with what its slots stand for."""
    slots = masked.slots
    span = (masked.place(start + claim.span[0]), masked.place(start + claim.span[1]))
    if claim.unread:
        return replace(claim, span=span)
    base = claim.base
    them = context.group
    if them is None and THEM in (*claim.measure.items, *(base.items if base else ())):
        return replace(claim, span=span, unread="it is not said of whom")
    filled = Claim(
        _measure(claim.measure, slots, slot, context),
        _quantity(claim.quantity, slots, slot),
        None if base is None else _measure(base, slots, slot, context),
        None if claim.said_base is None else _quantity(claim.said_base, slots, slot),
        claim.negated,
        None,
        span,
    )
    if claim.owner is not None:
        owner = context.item if claim.owner == IT else slots[slot + claim.owner]
        if not filled.measure.items or owner != filled.measure.items[-1]:
            return replace(filled, unread="the popularity it is held against is another item's")
    if filled.base is not None and filled.base.kind in ("most", "least"):
        others = tuple(item for item in filled.base.items if item != filled.measure.items[0])
        if not others:
            return replace(filled, unread="there is nothing to compare it with")
        filled = replace(filled, base=replace(filled.base, items=others))
    context.heard(filled)
    return filled


def _measure(measure: Measure, slots: list[int | Number | str], slot: int, context: _Context) -> Measure:
    topic = measure.topic
    items, left = measure.items, measure.left
    window = measure.window
    if not (items or left or topic or measure.reach):
        return measure
    if THEM in items:
        assert context.group is not None
        window = window or context.group.window
        left = left + tuple(-10 - item for item in context.group.left)
    if topic:
        value = slots[slot + int(topic)]
        topic = value if isinstance(value, str) else ""
    return Measure(
        measure.kind,
        _items(items, slots, slot, context),
        _items(left, slots, slot, context),
        window,
        topic,
        None if measure.reach is None else _figure(measure.reach, slots, slot),
    )


def _items(
    items: tuple[int, ...], slots: list[int | Number | str], slot: int, context: _Context
) -> tuple[int, ...]:
    found: list[int] = []
    for item in items:
        if item >= 0:
            value = slots[slot + item]
            found.append(value if isinstance(value, int) else UNKNOWN)
        elif item == IT:
            found.append(context.item)
        elif item == BOTH:
            found += context.pair or (UNKNOWN,)
        elif item == THEM:
            assert context.group is not None
            found += context.group.items
        elif item <= -10:
            found.append(-10 - item)
        else:
            found.append(item)
    return tuple(found)


def _figure(number: Number, slots: list[int | Number | str], slot: int) -> Number:
    if number.slot < 0:
        return number
    value = slots[slot + number.slot]
    assert isinstance(value, Number)
    if number.slack is None and number.over == 1:
        return value
    if number.over == -7:  # weeks
        return Number(7 * value.digits, value.places)
    return Number(value.digits, value.places, value.over * number.over, number.slack)


def _quantity(quantity: Quantity, slots: list[int | Number | str], slot: int) -> Quantity:
    if quantity.number.slot < 0 and (quantity.upper is None or quantity.upper.slot < 0):
        return quantity
    upper = None if quantity.upper is None else _figure(quantity.upper, slots, slot)
    return Quantity(quantity.unit, quantity.comparison, _figure(quantity.number, slots, slot), upper)
