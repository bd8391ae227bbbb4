"""Floor 8: the five steps from raw interactions to a distilled recommender and its report.

`pipeline.py` runs the steps in order; each has a module of its name (`data`, `signals`, `teach`, `distill`,
`evaluate`). Torch and transformers (the `train` extra) are imported by the steps that need them, `distill` and
`evaluate`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starrec.pipeline.bench import Bench, RowState
    from starrec.pipeline.config import RunConfig
    from starrec.pipeline.pipeline import Pipeline
    from starrec.pipeline.signals import Prepared
    from starrec.pipeline.suite import Row, Suite, load_suite
    from starrec.pipeline.teach import TeachOptions

_HOMES: Final = {
    "Bench": "bench",
    "RowState": "bench",
    "RunConfig": "config",
    "Pipeline": "pipeline",
    "Prepared": "signals",
    "Row": "suite",
    "Suite": "suite",
    "load_suite": "suite",
    "TeachOptions": "teach",
}
"""The module of each name, which is imported when it is used."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = [
    "Bench",
    "Pipeline",
    "Prepared",
    "Row",
    "RowState",
    "RunConfig",
    "Suite",
    "TeachOptions",
    "load_suite",
]
