"""Names of a package that are imported when they are used (PEP 562).

So `import starrec` and `--help` stay quick, and whoever only ranks waits for neither torch nor charts.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package.

    Args:
        package: its name.
        homes: module of each name, inside the package. A name must not be that of one of its modules, which
            takes its place as soon as it is imported.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return get
