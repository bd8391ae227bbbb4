"""Records that follow from the histories, as a build writes them."""

from __future__ import annotations

import numpy as np

from starrec.signals.count_store import CountStore
from starrec.signals.ease import EaseModel
from starrec.signals.factors import Factors
from starrec.store.records import Kind, Meta, encode


def counted_again(counts: CountStore, meta: Meta, kind: Kind, index: int) -> bytes:
    """The record of this kind and index as a build writes it, from a source of the same counts."""
    one = np.array([index], dtype=np.int32)
    match kind:
        case Kind.LENGTHS:
            return encode(kind, 0, counts.lengths.astype(np.int32))
        case Kind.POPULARITY:
            return encode(kind, 0, counts.popularity.astype(np.int32))
        case Kind.DAILY:
            return encode(kind, 0, *(() if counts.daily is None else (counts.daily.counts, counts.daily.days)))
        case Kind.POSTINGS:
            (start,), (end,), users, places = counts.packed_postings(one)
            return encode(kind, index, users[start:end], places[start:end])
        case Kind.DAYS:
            return encode(kind, index, *((counts.item_days(one)[0],) if meta.about.clock else ()))
        case Kind.NEIGHBOURS:
            found = counts.neighbours(one)
            known = found.items[0] >= 0
            return encode(kind, index, found.items[0][known], found.both[0][known])
        case Kind.EASE_ITEMS | Kind.PRECISION:
            return ease_records(counts.ease())[kind == Kind.PRECISION]
        case Kind.FACTORS:
            return factors_record(counts.factors())
        case _:
            raise AssertionError(f"{kind.name} is not derived")


def ease_records(model: EaseModel | None) -> tuple[bytes, bytes]:
    """The two records of the EASE model."""
    head = np.array([model.threshold, model.spare] if model else [0, 0], dtype=np.int32)
    parts = (model.items.astype(np.int32),) if model else ()
    inverse = (model.precision.astype(np.float64, copy=False),) if model else ()
    return encode(Kind.EASE_ITEMS, 0, head, *parts), encode(Kind.PRECISION, 0, *inverse)


def factors_record(factors: Factors | None) -> bytes:
    """The record of the vectors."""
    return encode(Kind.FACTORS, 0, *(() if factors is None else (factors.vectors,)))
