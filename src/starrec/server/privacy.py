"""What a server says of other people: counts of at least three of them, and no ids."""

from __future__ import annotations

from typing import Final

from starrec.errors import ConfigError, StarrecError
from starrec.recommender import Recommender, UnknownUser

SUPPORT: Final = 3
"""People that a fact which leaves a server rests on at least."""


def require_support(model: Recommender) -> None:
    """Refuse a recommender that speaks of fewer people.

    Raises:
        ConfigError: its `[signals] support` is below `SUPPORT`.
    """
    if (support := model.serving.fast.world.config.support) < SUPPORT:
        raise ConfigError(
            f"[signals] support is {support}, and a server says nothing of what fewer than {SUPPORT} "
            f"people did. Set it to {SUPPORT} or more in {model.serving.run / 'config.toml'}."
        )


def without_ids(error: StarrecError) -> str:
    """The text of an error without ids of users that the caller did not name."""
    return error.without_ids if isinstance(error, UnknownUser) else str(error)
