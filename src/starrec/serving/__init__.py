"""Floor 9: a finished run that answers anyone."""

from starrec.serving.recommender import Recommendation, Recommender, Row

__all__ = ["Recommendation", "Recommender", "Row"]
