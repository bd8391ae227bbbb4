"""The second generator: English sentences about the interaction graph with their truth, to examine the checker.

A sentence is a wording of a relation, a voice (who takes, and what taking is called), names of items and a
figure. A true one has a figure made of the counts of what it speaks of. A lie has one made of other counts, or
one spoilt by a little, and stands only if that figure does not hold for what it speaks of. Nothing here or
below imports `starrec.signals`, and the words are its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256
from random import Random
from typing import Final

from claim_cases import CLAIMS, Case, Pair
from claim_counts import Sight, World
from claim_figures import COUNTS, EXACT, SHARES, Figure, integer, said_ratio, share, spoilt, spoilt_times, times
from claim_relations import LIES, RELATIONS, RELATIONS_BY_LIE, Relation, lie_of_claim

from starrec.data import RankingTask, mention

__all__ = ["LIES", "RELATIONS", "Sentence", "World", "generate"]


@dataclass(frozen=True)
class Sentence:
    """Text with its truth; `lie` names how it lies, and is None where it is true."""

    text: str
    truth: bool
    lie: str | None
    relation: str
    held_back: bool = False
    """Whether its wording is one that nobody looks at who works on the checker."""


@dataclass(frozen=True)
class Voice:
    """Who takes, what taking is called, and what an item's people are."""

    people: str
    person: str
    took: str
    taken: str
    take: str
    taking: str
    audience: str


VOICES: Final = tuple(
    Voice(*words.split("/"))
    for words in (
        "people/person/took/taken/take/taking/users",
        "people/person/took/taken/take/taking/users",
        "people/person/watched/watched/watch/watching/viewers",
        "people/person/saw/seen/see/seeing/viewers",
        "people/person/chose/chosen/choose/choosing/users",
        "people/person/picked/picked/pick/picking/users",
        "people/person/bought/bought/buy/buying/customers",
        "users/user/took/taken/take/taking/users",
        "users/user/viewed/viewed/view/viewing/users",
        "viewers/viewer/watched/watched/watch/watching/viewers",
        "viewers/viewer/saw/seen/see/seeing/viewers",
        "customers/customer/bought/bought/buy/buying/customers",
        "shoppers/shopper/picked/picked/pick/picking/customers",
        "players/player/played/played/play/playing/players",
        "readers/reader/read/read/read/reading/readers",
        "others/other person/took/taken/take/taking/users",
    )
)


def generate(
    world: World, task: RankingTask, random: Random, n: int, *, truth: bool | None = None
) -> list[Sentence]:
    """`n` sentences about what the task may see, no two alike, true and false by the toss of a coin.

    Args:
        truth: only true or only false ones.

    Raises:
        ValueError: the task's user is alone in the world, or so many sentences do not come about in it.
    """
    sight = Sight(world, task)
    if not sight.people:
        raise ValueError(f"There is nobody else to speak of in task {task.task_id!r}.")
    found: dict[str, Sentence] = {}
    for _ in range(400 * (n + 1)):
        if len(found) == n:
            return list(found.values())
        if truth if truth is not None else random.random() < 0.5:
            lie, relations = None, list(RELATIONS)
        else:
            lie = random.choice(LIES)
            relations = RELATIONS_BY_LIE[lie]
        relation = random.choices(relations, [relation.weight for relation in relations])[0]
        # A few tries for the same, so that what seldom comes about is said too.
        for _ in range(12):
            said = _say(relation, lie, sight, random)
            if said is not None:
                text, held = said
                found.setdefault(text, Sentence(text, lie is None, lie, relation.name, held))
                break
    raise ValueError(f"Only {len(found)} of {n} sentences came about for task {task.task_id!r}.")


def held_back(*wordings: str) -> bool:
    """Whether a template or its base is of the half that is held back: by a hash of its text."""
    return any(sha256(wording.encode()).digest()[0] % 2 for wording in wordings)


def _say(relation: Relation, lie: str | None, sight: Sight, random: Random) -> tuple[str, bool] | None:
    """One sentence of the relation, true or with this lie, and whether its wording is held back; None where the
    draw allows none."""
    case = relation.draw(sight, random)
    if case is not None and lie == "own_user":
        case = _of_oneself(case, sight, random)
    measured = case and relation.measure(sight, case)
    if case is None or measured is None:
        return None
    if relation.form == "judgement":
        return _judge(relation, lie, case, measured, sight, random)
    part, whole = measured
    if relation.form == "share" and whole < 2:
        return None
    assert isinstance(relation.templates, tuple)
    template = random.choice(relation.templates)
    held = held_back(template)
    if "{base}" in template:
        base_words = random.choice(relation.bases)
        held = held or held_back(base_words)
        template = template.replace("{base}", base_words)
    stated = None
    if relation.stated is not None and ("{stated}" in template or "{whole}" in template):
        stated = relation.stated(sight, case)
        if stated is None or stated[1] < 2 or ("{stated}" in template and not stated[0]):
            return None
    told: Pair | None = measured
    if lie in relation.lies:
        told = relation.lies[lie](sight, case, random)
        if told is None or (whole > 1 and not 0 <= told[0] <= told[1]):
            return None
    base = (stated or told)[1]
    if lie == "wrong_base":
        base = _wrong_base(relation, case, measured, sight, random)
        if base is None or "{whole}" not in template:
            return None
    figure = _figure(relation, template, lie, measured, told, random)
    if figure is None:
        return None
    said_whole = "{whole}" in template and relation.form == "share"
    holds = figure.holds(part, whole or 1)
    if (lie is None and holds is not True) or (
        lie is not None and holds is not False and not (said_whole and base != whole)
    ):
        return None
    text = _written(template, figure, stated, base, case, sight, random)
    return None if text is None else (text, held)


def _of_oneself(case: Case, sight: Sight, random: Random) -> Case | None:
    """The case moved to items that the task's own user has taken: there she would count."""
    if len(sight.own) < 2:
        return None
    a, b = random.sample(list(sight.own), 2)
    return replace(case, a=a if case.a >= 0 else -1, b=b if case.b >= 0 else -1)


def _wrong_base(relation: Relation, case: Case, measured: Pair, sight: Sight, random: Random) -> int | None:
    part, whole = measured
    bases = [whole - 1, whole + 1, whole + 2, sight.people]
    bases += [sight.n(item) for item in (case.b, random.choice(sight.candidates)) if item >= 0]
    if relation.name in ("category", "taste"):
        # Of another stretch of the history the same figure might be right.
        bases = [
            last
            for last in (whole - 2, whole - 1, whole + 1, whole + 5)
            if not 0 < last <= len(sight.history)
            or relation.measure(sight, replace(case, last=last)) != (part, last)
        ]
    bases = [base for base in bases if base != whole and base > max(part, 1)]
    return random.choice(bases) if bases else None


def _figure(
    relation: Relation, template: str, lie: str | None, measured: Pair, told: Pair, random: Random
) -> Figure | None:
    """The figure that the sentence states: of what is told, or spoilt."""
    part, whole = measured
    if relation.form == "number":
        value = Fraction(told[0]) + (random.choice([-1, 1]) if lie == "off_by_one" else 0)
        return _predicted(value, random)
    if relation.form == "ratio":
        plain = "{lift}" in template
        if lie is None or lie in relation.lies:
            value = Fraction(told[0])
            if lie is None:
                return times(value, random, plain)
            return said_ratio(round(value, 1), plain) if round(value, 1) else None
        return spoilt_times(lie, Fraction(part), random, plain)
    kinds = _kinds(relation, template)
    if lie is None:
        return share(int(part), whole, random, kinds)
    if lie in relation.lies or lie == "wrong_base":
        exact = [kind for kind in kinds if kind in EXACT]
        return share(int(told[0]), told[1], random, exact) if exact else None
    return spoilt(lie, int(part), whole, random, kinds)


def _kinds(relation: Relation, template: str) -> tuple[str, ...]:
    if relation.form == "count":
        return (*COUNTS, "about")
    if "{exact}" in template:
        return ("count",)
    if "{count}" in template:
        return ("count", "only")
    if "{percent}" in template:
        return ("percent", "decimal")
    # "Most of them did not" can be read in two ways.
    negated = "not " in template or "n't " in template or "never " in template
    awkward = negated or "all {whole}" in template
    return tuple(kind for kind in SHARES if kind != "quantifier") if awkward else SHARES


def _predicted(value: Fraction, random: Random) -> Figure | None:
    if round(value) > 1 and random.random() < 0.6:
        n = round(value)
        return Figure(f"{n:,}", "count", lambda v, _: round(Fraction(v)) == n)
    return said_ratio(round(value, 1), plain=True) if value > 1 else None


def _judge(
    relation: Relation, lie: str | None, case: Case, measured: Pair, sight: Sight, random: Random
) -> tuple[str, bool] | None:
    assert isinstance(relation.templates, Mapping)
    claims = [claim for claim in relation.templates if lie is None or lie_of_claim(claim) == lie]
    if not claims or (relation.name in ("absolute", "follows") and measured[1] < 2):
        return None
    fitting = [claim for claim in claims if CLAIMS[claim](*measured) is (lie is None)]
    # By the number of its words, so that every wording is as likely.
    templates = [template for claim in fitting for template in relation.templates[claim]]
    if not templates:
        return None
    template = random.choice(templates)
    text = _written(template, None, None, 0, case, sight, random)
    return None if text is None else (text, held_back(template))


def _written(
    template: str,
    figure: Figure | None,
    stated: Pair | None,
    whole: int,
    case: Case,
    sight: Sight,
    random: Random,
) -> str | None:
    voice = random.choice(VOICES)
    slots: dict[str, str] = {
        **{name: getattr(voice, name) for name in ("people", "person", "took", "taken", "take", "taking")},
        "audience": voice.audience,
        "People": voice.people.capitalize(),
        "whole": f"{whole:,}" if random.random() < 0.7 else str(whole),
        "three": random.choice(["3", "three"]),
        "fortnight": random.choice(["14 days", "14 days", "two weeks"]),
        "window": random.choice(
            {"recent": ["recent"], "whole": ["whole", "full", "entire"], "": [""]}[case.window]
        ),
        "category": case.category,
        "last": str(min(case.last, len(sight.history))),
    }
    for slot, item in (("A", case.a), ("B", case.b), ("C", case.c)):
        if item >= 0:
            slots[slot] = _name(item, sight, random, slot == "B" and not template.startswith("{B}"), case.c < 0)
    if figure is not None:
        one = figure.one
        slots |= {
            **dict.fromkeys(("part", "count", "exact", "percent", "number", "x", "lift"), figure.text),
            "n": f"{figure.text} {voice.person if one else voice.people}",
            "of": " out of " if figure.kind == "count" and random.random() < 0.15 else " of ",
            "were": "was" if one else "were",
            "are": "is" if one else "are",
            "have": "has" if one else "have",
            "share": "shares" if one else "share",
            "s": "s" if one else "",
        }
    if stated is not None:
        slots["stated"] = integer(int(stated[0]), random)
        slots["were_stated"] = "was" if stated[0] == 1 else "were"
    text = template.format_map(slots)
    if text[0].islower():
        text = text[0].upper() + text[1:]
    if case.b in sight.candidates and random.random() < 0.06:
        text = f"{_label(sight.candidates.index(case.b))}: {text}"
    return text


def _name(item: int, sight: Sight, random: Random, labelled: bool, titled: bool) -> str:
    """A mention most often; sometimes a candidate's label where no line begins, or a title that is its own."""
    drawn = random.random()
    if labelled and drawn < 0.1 and item in sight.candidates:
        return _label(sight.candidates.index(item))
    if titled and drawn > 0.82 and sight.world.nameable[item]:
        return sight.world.titles[item]
    return mention(sight.world.ids[item], sight.world.titles[item])


def _label(place: int) -> str:
    return f"‹{chr(ord('A') + place)}›"
