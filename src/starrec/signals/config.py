"""Settings of the signals."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from starrec.config import Section
from starrec.data import Sequences
from starrec.signals.counts import HISTORY_CAP, Counts
from starrec.signals.ease import EASE_ITEMS, RIDGE
from starrec.signals.factors import FACTORS, user_keys
from starrec.signals.language import MIN_SUPPORT


class SignalsConfig(Section):
    """What is counted, and what is said of it."""

    history_cap: int = Field(
        default=HISTORY_CAP,
        ge=1,
        description="Latest items of a user that are counted: pairs grow with the square of it.",
    )
    ease_items: int = Field(
        default=EASE_ITEMS, ge=1, description="Items of the EASE model at most: its cost is the cube of it."
    )
    ridge: float = Field(default=RIDGE, gt=0, description="Regularisation of the EASE model (λ of EASE).")
    factors: int = Field(
        default=FACTORS, ge=0, description="Components of the items' vectors; 0 leaves these signals out."
    )
    embeddings: bool = Field(
        default=False,
        description="Compare descriptions by the packaged MiniLM (extra `embeddings`), not by shared words.",
    )
    support: int = Field(
        default=MIN_SUPPORT, ge=0, description="What fewer people did is only said as `fewer than`."
    )
    budget: int = Field(
        default=3,
        ge=1,
        description="Evidence budget: candidates that a tool speaks of when asked about none in particular.",
    )


def count_signals(train: Sequences, n_items: int, config: SignalsConfig, user_ids: Sequence[str]) -> Counts:
    """Count training sequences as configured.

    Args:
        user_ids: of the users, in index order.
    """
    return Counts.build(
        train,
        n_items,
        history_cap=config.history_cap,
        ease_items=config.ease_items,
        ridge=config.ridge,
        components=config.factors,
        keys=user_keys(user_ids),
    )
