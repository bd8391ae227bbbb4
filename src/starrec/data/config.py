"""Configuration of the data: where it comes from, how a user's own files are written and name things, and how
tasks are drawn."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pydantic import Field, field_validator

from starrec.config import Section

FileRole: TypeAlias = Literal["interactions", "items", "users"]
"""Which of a user's files is meant."""
TimeUnit: TypeAlias = Literal["seconds", "milliseconds", "microseconds", "nanoseconds"]
Repeats: TypeAlias = Literal["first", "last"]


class InteractionColumns(Section):
    """Names that hold in the interactions alone (`--column interactions.NAME=COLUMN`)."""

    user_id: str | None = Field(None, description="Column with the user's id.")
    item_id: str | None = Field(None, description="Column with the item's id.")
    timestamp: str | None = Field(None, description="Column with the time of an interaction.")
    position: str | None = Field(None, description="Column that only orders interactions.")
    rating: str | None = Field(None, description="Column with a rating.")


class ItemColumns(Section):
    """Names that hold in the items alone (`--column items.NAME=COLUMN`)."""

    item_id: str | None = Field(None, description="Column with the item's id.")
    title: str | None = Field(None, description="Column with the item's title.")
    categories: str | None = Field(None, description="Column with the item's categories.")
    year: str | None = Field(None, description="Column with the item's year.")


class UserColumns(Section):
    """Names that hold in the users alone (`--column users.NAME=COLUMN`)."""

    user_id: str | None = Field(None, description="Column with the user's id.")


class ColumnMap(Section):
    """What the columns of a user's own files are called (`[data.columns]`, or `--column NAME=COLUMN`)."""

    user_id: str = Field("user_id", description="Column with the user's id, in interactions and users.")
    item_id: str = Field("item_id", description="Column with the item's id, in interactions and items.")
    timestamp: str = Field(
        "timestamp",
        description="Column with the time of an interaction: a number since 1970 (`time_unit`), ISO 8601 text, "
        "or a date type.",
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
    interactions: InteractionColumns = Field(
        InteractionColumns(), description="Names that hold in the interactions alone."
    )
    items: ItemColumns = Field(ItemColumns(), description="Names that hold in the items alone.")
    users: UserColumns = Field(UserColumns(), description="Names that hold in the users alone.")

    def column(self, role: FileRole, name: str) -> str:
        """What the column `name` is called in that file."""
        own: str | None = getattr(getattr(self, role), name, None)
        everywhere: str = getattr(self, name)
        return everywhere if own is None else own

    def renamed(self, role: FileRole, name: str) -> bool:
        """Whether the column was given another name than its own."""
        return self.column(role, name) != name

    def updated(self, given: Mapping[str, str]) -> ColumnMap:
        """With other names, keys `NAME` or `FILE.NAME`."""
        changes: dict[str, Any] = {}
        for key, column in given.items():
            role, _, name = key.rpartition(".")
            if role:
                changes[role] = changes.get(role, getattr(self, role)).model_copy(update={name: column})
            else:
                changes[name] = column
        return self.model_copy(update=changes)


COLUMN_KEYS: Final = (
    *(name for name in ColumnMap.model_fields if name not in ("interactions", "items", "users")),
    *(f"interactions.{name}" for name in InteractionColumns.model_fields),
    *(f"items.{name}" for name in ItemColumns.model_fields),
    *(f"users.{name}" for name in UserColumns.model_fields),
)
"""What `--column` can name."""


class FieldNames(Section):
    """Names of the columns of files without a header (`--names FILE=NAME,NAME`)."""

    interactions: list[str] = Field([], description="Columns of the interactions, from the left.")
    items: list[str] = Field([], description="Columns of the items, from the left.")
    users: list[str] = Field([], description="Columns of the users, from the left.")


class TableOptions(Section):
    """How a user's own files are read."""

    delimiter: str | None = Field(
        None,
        min_length=1,
        max_length=8,
        description="What separates columns, one or several characters; unset: by the file's content.",
    )
    quote: str | None = Field(
        None,
        max_length=1,
        description='What stands around a field that holds a delimiter or a line break. Unset: `"`, but none '
        "where tabs or several characters separate columns. Empty: none.",
    )
    encoding: str | None = Field(
        None,
        description="Encoding of text files, such as `latin-1`. Unset: UTF-8, or UTF-16 with its mark.",
    )
    header: bool = Field(
        True,
        description="Whether files begin with a line that names the columns; else they are called 1, 2, ...",
    )
    names: FieldNames = Field(FieldNames(), description="Names of the columns of files without a header.")
    columns: ColumnMap = Field(ColumnMap(), description="What the columns of your own files are called.")
    time_unit: TimeUnit | None = Field(
        None, description="Unit of numeric timestamps. Unset: recognised from the column as a whole, and said."
    )
    repeats: Repeats = Field(
        "first",
        description="Which counts where a user has the same item several times, `first` or `last`; the others "
        "are left out and counted.",
    )
    min_rating: float | None = Field(
        None, description="Interactions rated lower do not count as taken; unset: all do, whatever the rating."
    )
    split_column: str | None = Field(
        None,
        description="Column of the interactions with your own split: train, validation or test. Unset: "
        "see `split`.",
    )
    category_separator: str = Field(
        "|", min_length=1, description="What separates categories within a text cell."
    )
    skip_bad_rows: bool = Field(
        False, description="Leave bad rows out and count them, instead of refusing the file."
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            codec = codecs.lookup(value)
        except (LookupError, ValueError) as error:
            raise ValueError("no such encoding; try utf-8, latin-1, cp1252 or utf-16") from error
        if not getattr(codec, "_is_text_encoding", True):
            raise ValueError("no encoding of text; try utf-8, latin-1, cp1252 or utf-16")
        return value


class SplitRule(Section):
    """What is held out, where the data bring no split of their own."""

    split: Literal["leave-one-out", "global-time"] = Field(
        "leave-one-out",
        description="`leave-one-out`: each user's last item is test, the one before it validation. "
        "`global-time`: one moment cuts all users' interactions into training and validation, another into "
        "validation and test; it needs clock times.",
    )
    test_share: float = Field(
        0.1,
        gt=0,
        le=0.4,
        description="With `global-time`: the share of the interactions, the latest, that is test.",
    )
    validation_share: float = Field(
        0.1, gt=0, le=0.4, description="With `global-time`: share before those that is validation."
    )
    hold_out: Literal["all", "item_cold_start"] = Field(
        "all",
        description="`item_cold_start`: hold out each user's latest interaction with an item of at most 5 "
        "training interactions, a scenario that is a run of its own. `all`: any interaction may be held out.",
    )

    @property
    def rule(self) -> SplitRule:
        """These settings alone, those at their default that do not matter to the split."""
        given: dict[str, Any] = {"split": self.split, "hold_out": self.hold_out}
        if self.split == "global-time":
            given |= {"test_share": self.test_share, "validation_share": self.validation_share}
        return SplitRule(**given)


class DataConfig(TableOptions, SplitRule):
    """`[data]`: interactions, items, and the ranking tasks made of them."""

    source: Literal["movielens-100k", "tables", "agentsociety"] = Field(
        "movielens-100k",
        description="`movielens-100k`, fetched once; `tables`: your own files; `agentsociety`: a folder in "
        "that challenge's layout.",
    )
    local: Path | None = Field(
        None, description="A local copy of MovieLens-100K (folder or zip), used instead of fetching it."
    )
    interactions: Path | None = Field(
        None,
        description="With source `tables`: interactions, as CSV, TSV, JSON Lines (also gzipped) or Parquet.",
    )
    validation_interactions: Path | None = Field(
        None, description="Your own split as files: interactions held out for validation; optional."
    )
    test_interactions: Path | None = Field(
        None, description="Your own split as files: interactions held out for the test; optional."
    )
    items: Path | None = Field(None, description="With source `tables`: items, in any of the same formats.")
    users: Path | None = Field(None, description="With source `tables`: attributes of users; optional.")
    folder: Path | None = Field(
        None, description="With source `agentsociety`: the folder with user.json, item.json and review.json."
    )
    tasks: Path | None = Field(
        None,
        description="With source `agentsociety`: the folder with task_N.json and groundtruth_N.json. The "
        "reviews that these ask about are held out of everything.",
    )
    platform: str | None = Field(
        None,
        description="With source `agentsociety`: read only rows with this `source`, such as `amazon`, "
        "`goodreads` or `yelp`. Unset: all.",
    )
    tie_seed: int = Field(0, description="Orders interactions of a user that have the same time.")
    seed: int = Field(0, description="Draws negatives, shuffles candidates, chooses training positions.")
    draws: int = Field(3, ge=1, description="Draws of candidates for each evaluated user.")
    negatives: int = Field(19, ge=1, le=25, description="Random candidates beside the true one.")
    eval_users: int | None = Field(
        None,
        ge=1,
        description="Users, by seeded hash, who are asked in validation and test; all count in the graph and "
        "are taught about. Unset: all.",
    )

    @property
    def files(self) -> dict[str, Path]:
        """The user's own files and folders, by the setting that names each."""
        named = {name: getattr(self, name) for name in type(self).model_fields if name != "local"}
        return {name: value for name, value in named.items() if isinstance(value, Path)}

    @property
    def reading(self) -> dict[str, Any]:
        """Settings that decide how files are read, without their paths and without how tasks are drawn."""
        drawing = {"tie_seed", "seed", "draws", "negatives", "eval_users", *SplitRule.model_fields}
        kept = set(type(self).model_fields) - drawing - {"local"} - set(self.files)
        return self.model_dump(mode="json", include=kept, exclude_defaults=True)
