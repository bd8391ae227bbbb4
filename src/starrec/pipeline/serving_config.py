"""Settings of serving a run. They decide no result: a run is served with other ones without being made
again."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from starrec.config import Section
from starrec.errors import ConfigError

_NAME: Final = re.compile("[A-Z][A-Z0-9_]*")


class ServingConfig(Section):
    """`[serving]`: where a server finds what changes, and how much it takes on."""

    events: str = Field(
        "",
        description="Where events are stored, as SQLAlchemy writes URLs: postgresql://user@host/database where "
        "several machines serve. With a password in it: the name of an environment variable that holds the "
        "URL. Empty: events.sqlite in the run folder.",
    )
    redis: str = Field(
        "",
        description="Redis with the evidence, such as redis://localhost:6379/0, where several share it. "
        "With a password in it: the name of an environment variable that holds the URL. Empty: the run "
        "folder.",
    )
    redis_prefix: str = Field("starrec", min_length=1, description="Prefix of the evidence's keys in Redis.")
    in_memory: int = Field(
        5_000_000,
        ge=0,
        description="A server holds the counts of up to so many interactions in memory (about 20 bytes each), "
        "which answers faster than reading them from the store. 0 for never.",
    )
    queue: int = Field(256, ge=1, description="Requests that may wait; further ones are answered with 429.")
    batch: int = Field(32, ge=1, le=1024, description="Requests that are ranked together at most.")
    streams: int = Field(
        2, ge=1, description="Traces written at once (explain, teach); further ones are answered with 429."
    )
    requests_per_minute: int = Field(
        6000, ge=0, description="Requests of one API key a minute; further ones get 429. 0 for no limit."
    )
    body_bytes: int = Field(
        1 << 20, ge=1024, description="Bytes of a request's body at most; larger ones get 413."
    )
    reload_seconds: float = Field(
        10.0, ge=0, description="How often a server looks whether the run has changed; 0 for never."
    )
    stop_seconds: int = Field(
        30, ge=0, description="Seconds that requests under way may take when a server is stopped."
    )

    @property
    def events_url(self) -> str:
        """The URL of the events; empty for the file in the run folder.

        Raises:
            ConfigError: it is to be in an environment variable that is not set.
        """
        return _resolved("events", self.events)

    @property
    def redis_url(self) -> str:
        """The URL of the evidence's Redis; empty for the run folder.

        Raises:
            ConfigError: it is to be in an environment variable that is not set.
        """
        return _resolved("redis", self.redis)

    @field_validator("events", "redis")
    @classmethod
    def _holds_no_password(cls, url: str) -> str:
        try:
            password = urlsplit(url).password
        except ValueError:
            password = None
        if password:
            message = "put the URL into an environment variable and name that here: this file is no secret"
            problem = PydanticCustomError("setting", "{message}", {"message": message})
            # Without the value: an error repeats it.
            raise ValidationError.from_exception_data(
                "ServingConfig", [{"type": problem, "input": "a value that is not repeated here"}]
            )
        return url


def _resolved(key: str, value: str) -> str:
    if not _NAME.fullmatch(value):
        return value
    url = os.environ.get(value, "")
    if not url:
        raise ConfigError(f"[serving] {key} names the environment variable {value}, which is not set.")
    return url
