"""What the second generator says: the wordings of each relation of the contract.

A relation knows how a case of it is drawn and measured (`claim_cases`), its sentences, and its lies. The words
were written from the contract alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

from claim_cases import (
    NEGATIONS,
    STEP_LIES,
    Alternative,
    Case,
    Pair,
    alike_with,
    as_share_of_all,
    complement,
    counted,
    draw_avoided,
    draw_described,
    draw_equal_or_close,
    draw_fashionable,
    draw_item,
    draw_linked,
    draw_neighbourly,
    draw_pair,
    draw_rare_or_not,
    draw_tasted,
    draw_triple,
    instead,
    known_by,
    lift_of,
    neighbour_lift,
    not_taken,
    other_category,
    other_item,
    other_window,
    pairwise,
    rate_of,
    self_counted,
    similar_to,
    step_of,
    taste_of,
    traits_of,
    trend_lift,
    trend_of,
)
from claim_counts import Sight


@dataclass(frozen=True)
class Relation:
    """One relation of the contract: how a case of it is drawn and measured, how it is said, and how it is lied
    about."""

    name: str
    form: Literal["share", "count", "ratio", "number", "judgement"]
    draw: Callable[[Sight, Random], Case | None]
    measure: Callable[[Sight, Case], Pair | None]
    """share: (part, whole). count: (count, 0). ratio, number: (value, 1). judgement: two values to compare."""
    templates: tuple[str, ...] | Mapping[str, tuple[str, ...]]
    """Sentences with slots; of a judgement, by the name of what they claim (`CLAIMS`)."""
    bases: tuple[str, ...] = ()
    lies: Mapping[str, Alternative] = field(default_factory=dict)
    """Lies that measure something else, beside those that spoil the figure."""
    stated: Callable[[Sight, Case], Pair | None] | None = None
    """The count that stands beside a ratio in a sentence with two claims: (part, whole)."""
    weight: float = 1.0


# Slots: {A} {B} {C} items; {people} … {audience} the voice's words; {part} the figure, {count} and {exact} one
# that is a plain count, {percent} one that is a percentage; {n} a figure with its people ("13 people"),
# {number} without; {whole} the base; {base} one of the relation's bases; {x} a ratio ("2.1 times"); {lift} a
# bare ratio; {stated} the count beside a ratio; {of} " of " or " out of "; {three} items of a transition;
# {fortnight} of a trend.
_ITEM_BASES: Final = (
    "the {whole} {people} who {took} {A}",
    "the {whole} {people} who {took} {A}",
    "the {whole} {people} that {took} {A}",
    "those {whole} {people} who {took} {A}",
    "{A}'s {whole} {audience}",
    "those who {took} {A}",
    "the {people} who {took} {A}",
    "{A}'s audience",
    "{A}'s {audience}",
)
_NEIGHBOUR_BASES: Final = (
    "the {whole} {people} with the most similar {window} history",
    "the {whole} {people} whose {window} history is most similar",
    "the {whole} {people} most similar in {window} history",
    "the {whole} {people} with the closest {window} history",
    "the {whole} nearest neighbours by {window} history",
    "the {people} with the most similar {window} history",
    "the {people} whose {window} history is most similar",
)
_TREND_BASES: Final = (
    "the {whole} choices in the {fortnight} before",
    "the {whole} choices made in the preceding {fortnight}",
    "all {whole} choices of the {fortnight} before",
    "the {whole} choices from the {fortnight} before",
    "the choices in the {fortnight} before",
    "all choices in the preceding {fortnight}",
)
_LAST_BASES: Final = (
    "the last {whole} items",
    "the {whole} most recent items",
    "the last {whole} items of this history",
    "the latest {whole} items",
    "the {whole} latest items in the history",
)


RELATIONS: Final = (
    Relation(
        "item_cf",
        "share",
        draw_pair,
        rate_of,
        (
            "{part}{of}{base} also {took} {B}.",
            "{part}{of}{base} {took} {B} too.",
            "{part}{of}{base} {took} {B} as well.",
            "Of {base}, {part} also {took} {B}.",
            "Among {base}, {part} {took} {B} as well.",
            "Out of {base}, {part} {took} {B}.",
            "{B} was also {taken} by {part}{of}{base}.",
            "{B} was {taken} by {part}{of}{base}.",
            "{whole} {people} {took} {A}, and {part} of them also {took} {B}.",
            "{A} was {taken} by {whole} {people}, {part} of whom also {took} {B}.",
            "Looking at {base}, {part} of them {took} {B}.",
            "Among {people} who {took} {A}, {percent} also {took} {B}.",
            "{percent} of {people} who {took} {A} also {took} {B}.",
            "The share of {people} with {A} who also {took} {B} is {percent}.",
        ),
        _ITEM_BASES,
        {
            **pairwise(rate_of),
            "negation": complement(rate_of),
            "wrong_window": instead(step_of),
        },
        weight=3,
    ),
    Relation(
        "negation",
        "share",
        draw_pair,
        not_taken,
        (
            "{part}{of}{base} did not {take} {B}.",
            "{part}{of}{base} didn't {take} {B}.",
            "{part}{of}{base} never {took} {B}.",
            "{part}{of}{base} {have} not {taken} {B}.",
            "Of {base}, {part} did not {take} {B}.",
            "Among {base}, {part} never {took} {B}.",
            "{B} was not {taken} by {exact}{of}{base}.",
            "{whole} {people} {took} {A}, but {part} of them did not {take} {B}.",
            "{A} was {taken} by {whole} {people}, {part} of whom did not {take} {B}.",
        ),
        _ITEM_BASES,
        {**pairwise(not_taken), "negation": instead(rate_of)},
        weight=1.5,
    ),
    Relation(
        "both",
        "count",
        draw_pair,
        counted(rate_of),
        (
            "{n} {took} both {A} and {B}.",
            "Both {A} and {B} were {taken} by {n}.",
            "{A} and {B} were both {taken} by {n}.",
            "{n} {took} {A} as well as {B}.",
            "{n} who {took} {A} also {took} {B}.",
            "There {were} {n} who {took} both {A} and {B}.",
            "{A} and {B} have {n} in common.",
            "The number of {people} who {took} both {A} and {B} is {number}.",
            "{n} {have} {taken} {A} along with {B}.",
        ),
        lies={
            "wrong_item": other_item(counted(rate_of)),
            "own_user": self_counted(counted(rate_of)),
            "negation": instead(counted(not_taken)),
            "wrong_window": instead(counted(step_of)),
        },
        weight=1.5,
    ),
    Relation(
        "transition",
        "share",
        draw_linked,
        step_of,
        (
            "{part}{of}{base} {took} {B} within their next {three} items.",
            "{part}{of}{base} went on to {B} within their next {three} items.",
            "Of {base}, {part} {took} {B} among their next {three} items.",
            "Among {base}, {part} {took} {B} within their next {three}.",
            "{part}{of}{base} had {B} among their next {three} items.",
            "{B} was among the next {three} items of {part}{of}{base}.",
            "{B} came within the next {three} items for {part}{of}{base}.",
            "{B} was {taken} within the next {three} items by {part}{of}{base}.",
            "{part}{of}{base} moved on to {B} within {three} items.",
            "{part}{of}{base} went on to {take} {B}.",
            "After {A}, {part}{of}its {whole} {audience} {took} {B} within the next {three} items.",
        ),
        _ITEM_BASES,
        STEP_LIES,
        weight=2,
    ),
    Relation(
        "transition_count",
        "count",
        draw_linked,
        counted(step_of),
        (
            "{n} {took} {B} within {three} items after {A}.",
            "{n} went from {A} to {B} within {three} items.",
            "{n} went on from {A} to {B} within their next {three} items.",
            "Within {three} items after {A}, {n} {took} {B}.",
            "After {A}, {n} went on to {B} within their next {three} items.",
            "After {taking} {A}, {n} {took} {B} within their next {three} items.",
            "{B} was {taken} by {n} within {three} items after {A}.",
            "The number of {people} who {took} {B} within their next {three} items after {A} is {number}.",
        ),
        lies={
            lie: (lambda s, c, r, told=told: (found := told(s, c, r)) and (found[0], 0))
            for lie, told in STEP_LIES.items()
        },
    ),
    Relation(
        "follows",
        "judgement",
        draw_linked,
        step_of,
        {
            "happens": ("After {A}, {people} go on to {B}.", "{People} go on from {A} to {B}."),
            "often": (
                "After {A}, {people} often go on to {B}.",
                "{People} often go on from {A} to {B}.",
                "{People} who {took} {A} often go on to {B}.",
            ),
            "never": (
                "After {A}, {people} never go on to {B}.",
                "Nobody goes on from {A} to {B}.",
                "After {A}, no one goes on to {B}.",
                "After {A}, {people} do not go on to {B}.",
            ),
        },
    ),
    Relation(
        "direction",
        "judgement",
        draw_linked,
        lambda sight, case: (sight.followed(case.a, case.b), sight.followed(case.b, case.a)),
        {
            "more": (
                "{B} follows {A} more often than {A} follows {B}.",
                "{People} go on from {A} to {B} more often than from {B} to {A}.",
                "{People} go from {A} to {B} more often than from {B} to {A}.",
                "After {A}, {people} go on to {B} more often than to {A} after {B}.",
                "More {people} went from {A} to {B} than from {B} to {A}.",
                "More {people} went on from {A} to {B} than the other way round.",
                "{A} leads to {B} more often than {B} leads to {A}.",
            ),
            "less": (
                "{B} follows {A} less often than {A} follows {B}.",
                "Fewer {people} went from {A} to {B} than from {B} to {A}.",
            ),
            "not more": (
                "{B} does not follow {A} more often than {A} follows {B}.",
                "{People} do not go from {A} to {B} more often than from {B} to {A}.",
            ),
        },
    ),
    Relation(
        "lift",
        "ratio",
        draw_pair,
        lift_of,
        (
            "{People} who {took} {A} {took} {B} {x} as often as its popularity predicts.",
            "Among {people} who {took} {A}, {B} was {taken} {x} as often as its popularity predicts.",
            "{B} was {taken} by {A}'s {audience} {x} as often as its popularity suggests.",
            "{People} who {took} {A} were {x} as likely to {take} {B} as its popularity predicts.",
            "{People} who {took} {A} {took} {B} at {x} the rate that its popularity predicts.",
            "{A} and {B} are {taken} together {x} as often as chance predicts.",
            "{A} and {B} go together {x} as often as chance would have it.",
            "Given {A}, {B} is {x} as likely as its popularity predicts.",
            "The lift of {B} given {A} is {lift}.",
            "The lift between {A} and {B} is {lift}.",
            "{A} and {B} have a lift of {lift}.",
            "{stated} of {base} also {took} {B}, {x} what its popularity predicts.",
            "{stated} of {base} also {took} {B}, which is {x} what its popularity alone predicts.",
            "Of {base}, {stated} also {took} {B}: {x} what popularity predicts.",
        ),
        _ITEM_BASES,
        {
            "wrong_lift": other_item(lift_of),
            "own_user": self_counted(lift_of),
        },
        stated=rate_of,
        weight=2,
    ),
    Relation(
        "expected",
        "number",
        draw_pair,
        lambda sight, case: (sight.expected(case.a, case.b), 1),
        (
            "Popularity alone predicts {number} {people} with both {A} and {B}.",
            "By popularity alone, {number} {people} would have {taken} both {A} and {B}.",
            "From popularity alone, one would expect {number} {people} to {take} both {A} and {B}.",
            "Chance alone predicts {number} {people} with both {A} and {B}.",
            "{stated} of {base} also {took} {B}, where its popularity predicts {number}.",
            "{stated} of {base} also {took} {B}, while its popularity predicts {number}.",
            "Of {base}, {stated} also {took} {B}, where popularity alone predicts {number}.",
        ),
        _ITEM_BASES,
        {
            "wrong_item": other_item(lambda sight, case: (sight.expected(case.a, case.b), 1)),
            "own_user": self_counted(lambda sight, case: (sight.expected(case.a, case.b), 1)),
        },
        stated=rate_of,
        weight=0.7,
    ),
    Relation(
        "user_cf",
        "share",
        draw_neighbourly,
        similar_to,
        (
            "{part}{of}{base} {took} {B}.",
            "{part}{of}{base} also {took} {B}.",
            "Of {base}, {part} {took} {B}.",
            "Among {base}, {part} {took} {B}.",
            "Out of {base}, {part} {took} {B}.",
            "{B} was {taken} by {part}{of}{base}.",
            "Looking at {base}, {part} of them {took} {B}.",
            "Judging by {window} history, {part}{of}the {whole} most similar {people} {took} {B}.",
            "Going by the {window} history, {part}{of}the {whole} closest {people} {took} {B}.",
            "By {window} history, the {whole} most similar {people} include {count} who {took} {B}.",
        ),
        _NEIGHBOUR_BASES,
        {
            "wrong_item": other_item(similar_to),
            "wrong_window": other_window(similar_to),
            "own_user": self_counted(similar_to),
            "negation": complement(similar_to),
        },
        weight=2.5,
    ),
    Relation(
        "user_cf_negation",
        "share",
        draw_neighbourly,
        lambda sight, case: (found := sight.similar(case.window, case.b)) and (found[1] - found[0], found[1]),
        (
            "{part}{of}{base} did not {take} {B}.",
            "{part}{of}{base} never {took} {B}.",
            "Of {base}, {part} did not {take} {B}.",
            "Among {base}, {part} didn't {take} {B}.",
        ),
        _NEIGHBOUR_BASES,
        {"negation": instead(similar_to)},
        weight=0.5,
    ),
    Relation(
        "user_cf_lift",
        "ratio",
        draw_neighbourly,
        neighbour_lift,
        (
            "{stated} of {base} {took} {B}, {x} what its popularity predicts.",
            "Of {base}, {stated} {took} {B}, {x} what its popularity predicts.",
            "{B} was {taken} by {stated} of {base}, {x} what its popularity predicts.",
            "{People} with the most similar {window} history {took} {B} {x} as often as its popularity "
            "predicts.",
            "Among {base}, {B} was {taken} {x} as often as its popularity predicts.",
            "{People} whose {window} history is most similar {took} {B} at {x} the rate that its popularity "
            "predicts.",
            "{B} was {taken} {x} as often as its popularity predicts by {base}.",
            "{People} with the closest {window} history were {x} as likely to {take} {B} as its popularity "
            "predicts.",
        ),
        _NEIGHBOUR_BASES,
        {
            "wrong_lift": other_item(neighbour_lift),
            "wrong_window": other_window(neighbour_lift),
        },
        stated=similar_to,
        weight=1.2,
    ),
    Relation(
        "popularity",
        "share",
        draw_item,
        known_by,
        (
            "{part}{of}{whole} {people} {took} {B}.",
            "{part}{of}all {whole} {people} {took} {B}.",
            "{part}{of}the {whole} {people} {took} {B}.",
            "{B} was {taken} by {part}{of}all {whole} {people}.",
            "{B} has been {taken} by {part}{of}{whole} {people}.",
            "Out of {whole} {people}, {part} {took} {B}.",
            "Of all {whole} {people}, {part} {took} {B}.",
            "Among all {whole} {people}, {part} {took} {B}.",
            "Overall, {part}{of}the {whole} {people} {took} {B}.",
            "{percent} of all {people} {took} {B}.",
            "{B} was {taken} by {percent} of all {people}.",
        ),
        lies={
            "wrong_item": other_item(known_by),
            "own_user": self_counted(known_by),
            "negation": complement(known_by),
            "wrong_window": lambda sight, case, random: (
                (found := sight.trend(case.b)) and (found[0], sight.people)
            ),
        },
    ),
    Relation(
        "popularity_count",
        "count",
        draw_item,
        counted(known_by),
        (
            "{n} {took} {B}.",
            "{B} was {taken} by {n}.",
            "{B} has been {taken} by {n}.",
            "In all, {n} {took} {B}.",
            "Altogether, {n} {took} {B}.",
            "Overall, {B} was {taken} by {n}.",
            "There {were} {n} who {took} {B}.",
            "{n} {have} {taken} {B}.",
            "The number of {people} who {took} {B} is {number}.",
        ),
        lies={
            "wrong_item": other_item(counted(known_by)),
            "own_user": self_counted(counted(known_by)),
            "wrong_window": instead(counted(trend_of)),
        },
    ),
    Relation(
        "popularity_compared",
        "judgement",
        draw_pair,
        lambda sight, case: (sight.n(case.b), sight.n(case.a)),
        {
            "more": (
                "{B} is more popular than {A}.",
                "More {people} {took} {B} than {A}.",
                "{B} was {taken} by more {people} than {A}.",
                "{A} is less popular than {B}.",
                "Fewer {people} {took} {A} than {B}.",
                "{A} was {taken} by fewer {people} than {B}.",
                "Of {A} and {B}, {B} is the more popular.",
                "{B} has more {audience} than {A}.",
                "{B} was {taken} more often than {A}.",
            ),
            "less": ("{B} is less popular than {A}.", "Fewer {people} {took} {B} than {A}."),
            "not more": (
                "{B} is not more popular than {A}.",
                "{B} isn't more popular than {A}.",
                "{B} is no more popular than {A}.",
                "{B} was not {taken} by more {people} than {A}.",
            ),
            "not less": ("{B} is not less popular than {A}.", "{B} isn't less popular than {A}."),
        },
        weight=1.5,
    ),
    Relation(
        "popularity_equal",
        "judgement",
        draw_equal_or_close,
        lambda sight, case: (sight.n(case.b), sight.n(case.a)),
        {
            "equal": (
                "{B} is as popular as {A}.",
                "{A} and {B} are equally popular.",
                "{B} is just as popular as {A}.",
                "As many {people} {took} {B} as {A}.",
                "{A} and {B} were {taken} by the same number of {people}.",
            ),
            "not equal": ("{A} and {B} are not equally popular.",),
        },
        weight=0.6,
    ),
    Relation(
        "most_popular",
        "judgement",
        draw_triple,
        lambda sight, case: (
            (sight.n(case.b), rival)
            if (rival := max(sight.n(case.a), sight.n(case.c))) != sight.n(case.b)
            else None
        ),
        {
            "more": (
                "{B} is the most popular of {A}, {B} and {C}.",
                "{B} is the most popular of {B}, {C} and {A}.",
                "Of {A}, {B} and {C}, {B} is the most popular.",
                "Of {C}, {A} and {B}, the most popular is {B}.",
                "{B} is more popular than both {A} and {C}.",
                "The most popular of {A}, {C} and {B} is {B}.",
            ),
            "not more": ("{B} is not the most popular of {A}, {B} and {C}.",),
        },
        weight=0.8,
    ),
    Relation(
        "goes_better",
        "judgement",
        draw_triple,
        lambda sight, case: (sight.both(case.a, case.b), sight.both(case.a, case.c)),
        {
            "more": (
                "{A} goes with {B} better than with {C}.",
                "{A}'s audience {took} {B} more often than {C}.",
                "More of the {people} who {took} {A} {took} {B} than {C}.",
                "{People} who {took} {A} {took} {B} more often than {C}.",
                "{B} was {taken} by more of the {people} who {took} {A} than {C} was.",
                "Of those who {took} {A}, more {took} {B} than {C}.",
                "Fewer of the {people} who {took} {A} {took} {C} than {B}.",
                "Among {people} who {took} {A}, {B} is more common than {C}.",
            ),
            "not more": (
                "{A} does not go with {B} better than with {C}.",
                "{A}'s audience did not {take} {B} more often than {C}.",
            ),
        },
        weight=1.2,
    ),
    Relation(
        "absolute",
        "judgement",
        draw_pair,
        rate_of,
        {
            "never": (
                "Nobody who {took} {A} {took} {B}.",
                "No one who {took} {A} also {took} {B}.",
                "None of the {people} who {took} {A} {took} {B}.",
                "Nobody {took} both {A} and {B}.",
                "{B} was {taken} by nobody who {took} {A}.",
            ),
            "all": (
                "Everyone who {took} {A} also {took} {B}.",
                "Every {person} who {took} {A} also {took} {B}.",
                "All {people} who {took} {A} also {took} {B}.",
            ),
            "most": (
                "Most {people} who {took} {A} also {took} {B}.",
                "The majority of {people} who {took} {A} {took} {B}.",
                "{B} was {taken} by most of those who {took} {A}.",
            ),
            "few": (
                "Few {people} who {took} {A} {took} {B}.",
                "Hardly any {people} who {took} {A} also {took} {B}.",
                "Few of the {people} who {took} {A} {took} {B}.",
            ),
            "some": ("Some {people} who {took} {A} also {took} {B}.", "Some of {A}'s {audience} {took} {B}."),
        },
        weight=1.2,
    ),
    Relation(
        "by_popularity",
        "judgement",
        draw_avoided,
        lift_of,
        {
            "more": (
                "{People} who {took} {A} {took} {B} more often than its popularity predicts.",
                "{A}'s {audience} {took} {B} more often than its popularity predicts.",
                "{B} was {taken} more often by {people} who {took} {A} than its popularity predicts.",
                "{A} and {B} go together more often than chance.",
                "{A} and {B} are {taken} together more often than chance predicts.",
                "Among {people} who {took} {A}, {B} is more common than its popularity predicts.",
                "{People} who {took} {A} are more likely to {take} {B} than its popularity predicts.",
                "{B} is {taken} by {A}'s {audience} more often than expected from its popularity.",
            ),
            "less": (
                "{People} who {took} {A} {took} {B} less often than its popularity predicts.",
                "{A}'s {audience} {took} {B} less often than its popularity predicts.",
                "{B} was {taken} less often by {people} who {took} {A} than its popularity predicts.",
                "{A} and {B} go together less often than chance.",
                "{A} and {B} are {taken} together less often than chance predicts.",
                "Among {people} who {took} {A}, {B} is less common than its popularity predicts.",
                "{People} who {took} {A} are less likely to {take} {B} than its popularity predicts.",
                "{B} is {taken} by {A}'s {audience} less often than expected from its popularity.",
            ),
            "not more": (
                "{People} who {took} {A} did not {take} {B} more often than its popularity predicts.",
                "{A} and {B} do not go together more often than chance.",
            ),
            "not less": (
                "{People} who {took} {A} did not {take} {B} less often than its popularity predicts.",
                "{A} and {B} do not go together less often than chance.",
            ),
            "by chance": (
                "{People} who {took} {A} {took} {B} as often as chance.",
                "{A} and {B} go together as often as chance predicts.",
                "{People} who {took} {A} {took} {B} just as often as its popularity predicts.",
            ),
        },
        weight=1.5,
    ),
    Relation(
        "contrary",
        "judgement",
        draw_rare_or_not,
        lambda sight, case: (
            None if (lift := sight.lift(case.a, case.b)) is None else (lift, sight.expected(case.a, case.b))
        ),
        {
            "rarely": (
                "{People} who {took} {A} rarely {take} {B}.",
                "{People} who {took} {A} rarely {took} {B}.",
                "{People} who {took} {A} avoid {B}.",
                "Those who {took} {A} tend to avoid {B}.",
                "{A}'s {audience} rarely {take} {B}.",
                "{A}'s {audience} avoid {B}.",
                "{B} is rarely {taken} by {people} who {took} {A}.",
                "{B} is avoided by {people} who {took} {A}.",
            ),
            "not rarely": (
                "{People} who {took} {A} do not avoid {B}.",
                "{B} is not rarely {taken} by {people} who {took} {A}.",
            ),
        },
        weight=1.2,
    ),
    Relation(
        "trend",
        "share",
        draw_fashionable,
        trend_of,
        (
            "{part}{of}{base} {were} {B}.",
            "Of {base}, {part} {were} {B}.",
            "{B} made up {part}{of}{base}.",
            "{B} accounted for {part}{of}{base}.",
            "{part}{of}{base} went to {B}.",
            "{part}{of}{base} {were} for {B}.",
            "In the {fortnight} before, {part}{of}{whole} choices {were} {B}.",
            "Over the preceding {fortnight}, {part}{of}the {whole} choices went to {B}.",
            "In the {fortnight} before, {B} got {part}{of}the {whole} choices.",
        ),
        _TREND_BASES,
        {
            "wrong_item": other_item(trend_of),
            "wrong_window": as_share_of_all,
            "own_user": self_counted(trend_of),
        },
        weight=1.2,
    ),
    Relation(
        "trend_lift",
        "ratio",
        draw_fashionable,
        trend_lift,
        (
            "{stated} of {base} {were_stated} {B}, {x} its usual share.",
            "Of {base}, {stated} {were_stated} {B}, {x} its usual share.",
            "In the {fortnight} before, {B} had {x} its usual share of choices.",
            "In the {fortnight} before, {B} got {x} its usual share.",
            "{B}'s share of the choices in the {fortnight} before was {x} its usual share.",
            "In the {fortnight} before, {B} was {taken} {x} as often as usual.",
            "Over the preceding {fortnight}, {B} was {taken} {x} as often as usual.",
            "{B} took {x} its usual share of the choices in the {fortnight} before.",
        ),
        _TREND_BASES[:4],
        {"wrong_lift": other_item(trend_lift)},
        stated=trend_of,
        weight=0.8,
    ),
    Relation(
        "category",
        "share",
        draw_described,
        alike_with,
        (
            "{part}{of}{base} {share} a category with {B}.",
            "{part}{of}{base} {have} a category in common with {B}.",
            "Of {base}, {part} {share} a category with {B}.",
            "Among {base}, {part} {have} a category in common with {B}.",
            "{B} shares a category with {part}{of}{base}.",
            "{B} has a category in common with {part}{of}{base}.",
            "Looking at {base}, {part} of them {share} a category with {B}.",
            "Out of {base}, {part} {share} a category with {B}.",
        ),
        _LAST_BASES,
        {
            "wrong_item": other_item(alike_with),
            "negation": complement(alike_with),
            "wrong_window": other_window(alike_with),
        },
    ),
    Relation(
        "taste",
        "share",
        draw_tasted,
        taste_of,
        (
            "{part}{of}{base} {are} {category}.",
            "{part}{of}{base} belong{s} to {category}.",
            "{part}{of}{base} {are} in the category {category}.",
            "Of {base}, {part} {are} {category}.",
            "Among {base}, {part} {are} {category}.",
            "{category} makes up {part}{of}{base}.",
            "{category} accounts for {part}{of}{base}.",
            "Out of {base}, {part} {are} {category}.",
        ),
        _LAST_BASES,
        {
            "wrong_item": other_category,
            "negation": complement(taste_of),
            "wrong_window": other_window(taste_of),
        },
    ),
    Relation(
        "spread",
        "count",
        lambda sight, random: Case(),
        lambda sight, case: (sight.spread(case.last), 0) if sight.spread(case.last) > 1 else None,
        (
            "The last {last} items span {number} categories.",
            "The last {last} items cover {number} different categories.",
            "The last {last} items range over {number} categories.",
            "The {last} most recent items span {number} distinct categories.",
            "The latest {last} items come from {number} categories.",
            "Across the last {last} items, there are {number} categories.",
            "There are {number} distinct categories among the last {last} items.",
            "{number} categories appear among the last {last} items.",
            "{number} different categories are represented in the last {last} items.",
        ),
        lies={
            "wrong_window": lambda sight, case, random: (
                (sight.spread(10), 0) if len(sight.history) > 10 else None
            ),
        },
        weight=0.7,
    ),
    Relation(
        "semantic",
        "share",
        draw_pair,
        traits_of,
        (
            "{B} shares {count} of {whole} categories and title words with {A}.",
            "{A} and {B} share {count} of {whole} categories and title words.",
            "{A} and {B} have {count} of {whole} categories and title words in common.",
            "{B} has {count} of {whole} categories and title words in common with {A}.",
            "Of {whole} categories and title words, {A} and {B} share {count}.",
            "{count} of the {whole} categories and title words of {A} and {B} {are} shared.",
            "{A} shares {count} of the {whole} categories and title words with {B}.",
            "Out of {whole} categories and title words, {B} shares {count} with {A}.",
        ),
        lies={"wrong_item": other_item(traits_of), "own_user": lambda sight, case, random: None},
        weight=0.8,
    ),
)


_SPOILING: Final[Mapping[str, tuple[str, ...]]] = {
    "share": ("off_by_one", "wrong_rounding", "false_bound", "wrong_word", "wrong_base"),
    "count": ("off_by_one", "false_bound"),
    "ratio": ("off_by_one", "wrong_rounding", "false_bound", "wrong_word"),
    "number": ("off_by_one",),
    "judgement": (),
}


def lies_of(relation: Relation) -> set[str]:
    """The ways in which sentences of this relation lie."""
    lies = {*_SPOILING[relation.form], *relation.lies}
    if relation.form == "judgement":
        assert isinstance(relation.templates, Mapping)
        lies |= {lie_of_claim(claim) for claim in relation.templates}
    return lies


def lie_of_claim(claim: str) -> str:
    if claim in NEGATIONS:
        return "negation"
    return (
        "wrong_word" if claim in {"happens", "often", "all", "most", "few", "some"} else "reversed_comparison"
    )


RELATIONS_BY_LIE: Final = {
    lie: [relation for relation in RELATIONS if lie in lies_of(relation)]
    for lie in sorted(set().union(*map(lies_of, RELATIONS)))
}
LIES: Final = tuple(RELATIONS_BY_LIE)
