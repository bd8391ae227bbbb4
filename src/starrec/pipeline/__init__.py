"""Floor 8: the five steps from raw interactions to a distilled recommender and its report.

`pipeline.py` runs the steps in order; each has a module of its name (`data`, `signals`, `teach`, `distill`,
`evaluate`). Torch and transformers (the `train` extra) are imported by the steps that need them, `distill` and
`evaluate`.
"""

from typing import TYPE_CHECKING, Final

from starrec.lazy import lazily

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


__getattr__ = lazily(__name__, _HOMES)

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
