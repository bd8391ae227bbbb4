"""The one family of errors that users meet.

A message says what was wrong, where (file, line, key), and what to do about it. The command line prints it as
one paragraph and exits with code 2; anything outside this family is a bug and keeps its traceback. There is a
subclass only where a caller tells the case apart from others.
"""


class StarrecError(Exception):
    """Something the user can mend; the message names what, where and the fix."""


class DataError(StarrecError):
    """Interactions, items or a data source that cannot be used as they are."""


class ConfigError(StarrecError):
    """A configuration file or value that cannot be read or is not allowed."""


class RunError(StarrecError):
    """A run folder that is in use, belongs to another configuration, or holds something unreadable."""


class CannotThink(StarrecError):
    """A student that was asked to think and was trained in fast mode only."""
