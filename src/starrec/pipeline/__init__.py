"""Floor 8: the whole pipeline, from raw interactions to a distilled recommender and its report.

Torch and transformers (the `train` extra) are imported by the steps that need them, `distill` and `evaluate`.
"""

from starrec.pipeline.config import RunConfig
from starrec.pipeline.pipeline import Pipeline
from starrec.pipeline.preparation import Prepared
from starrec.pipeline.teaching import Teaching

__all__ = ["Pipeline", "Prepared", "RunConfig", "Teaching"]
