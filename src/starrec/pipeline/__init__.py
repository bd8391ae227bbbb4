"""Floor 9: the whole road, from raw interactions to a distilled recommender and its report.

Importing this package imports torch and transformers (the `train` extra), as the student does.
"""

from starrec.pipeline.config import RunConfig
from starrec.pipeline.preparation import Prepared
from starrec.pipeline.road import Pipeline
from starrec.pipeline.teaching import Teaching

__all__ = ["Pipeline", "Prepared", "RunConfig", "Teaching"]
