"""Configuration of the data: where it comes from, how a user's own files name things, and how tasks are
drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from starrec.config import Section


class ColumnMap(Section):
    """What the columns of a user's own files are called (`[data.columns]`, or `--column NAME=COLUMN`)."""

    user_id: str = Field("user_id", description="Column with the user's id, in interactions and users.")
    item_id: str = Field("item_id", description="Column with the item's id, in interactions and items.")
    timestamp: str = Field(
        "timestamp", description="Column with the time of an interaction, in Unix seconds (or a date type)."
    )
    position: str = Field(
        "position",
        description="Column that only orders interactions, oldest 0; read if there is no timestamp.",
    )
    rating: str = Field("rating", description="Column with a rating; optional.")
    title: str = Field("title", description="Column with the item's title.")
    categories: str = Field(
        "categories", description="Column with the item's categories, a list or separated by `|`; optional."
    )
    year: str = Field("year", description="Column with the item's year; optional.")


class DataConfig(Section):
    """`[data]`: interactions, items, and the ranking tasks made of them."""

    source: Literal["movielens-100k", "tables"] = Field(
        "movielens-100k", description="`movielens-100k`, fetched once, or `tables`: your own files."
    )
    local: Path | None = Field(
        None, description="A local copy of MovieLens-100K (folder or zip), used instead of fetching it."
    )
    interactions: Path | None = Field(
        None, description="With source `tables`: interactions, as .csv, .tsv (also .gz), .parquet or .jsonl."
    )
    items: Path | None = Field(None, description="With source `tables`: items, in any of the same formats.")
    users: Path | None = Field(None, description="With source `tables`: attributes of users; optional.")
    delimiter: str | None = Field(
        None,
        min_length=1,
        max_length=1,
        description="What separates columns, where the suffix does not say it.",
    )
    skip_bad_rows: bool = Field(
        False, description="Leave bad rows out and count them, instead of refusing the file."
    )
    tie_seed: int = Field(0, description="Orders interactions of a user that have the same time.")
    seed: int = Field(0, description="Draws negatives, shuffles candidates, chooses training positions.")
    draws: int = Field(3, ge=1, description="Draws of candidates for each evaluated user.")
    negatives: int = Field(19, ge=1, le=25, description="Random candidates beside the true one.")
    columns: ColumnMap = Field(ColumnMap(), description="What the columns of your own files are called.")

    @property
    def files(self) -> dict[str, Path]:
        """The user's own files, by the setting that names each."""
        named = {name: getattr(self, name) for name in type(self).model_fields if name != "local"}
        return {name: value for name, value in named.items() if isinstance(value, Path)}

    @property
    def reading(self) -> dict[str, Any]:
        """Settings that decide how files are read, without their paths and without how tasks are drawn."""
        tasks = {"tie_seed", "seed", "draws", "negatives"}
        kept = set(type(self).model_fields) - tasks - {"local"} - set(self.files)
        return self.model_dump(mode="json", include=kept, exclude_defaults=True)
