"""Floor 1: rankings, their metrics and their intervals; pure functions."""

from starrec.ranking import catalogue
from starrec.ranking.bootstrap import Comparison, mean_ci, ratio_ci
from starrec.ranking.correction import holm
from starrec.ranking.crossed import StandardError, crossed_error
from starrec.ranking.metrics import avg_hr, hr, mrr, ndcg, summary
from starrec.ranking.ranking import Ranking, from_scores, order_by_scores, ranks_of_targets, repair

__all__ = [
    "Comparison",
    "Ranking",
    "StandardError",
    "avg_hr",
    "catalogue",
    "crossed_error",
    "from_scores",
    "holm",
    "hr",
    "mean_ci",
    "mrr",
    "ndcg",
    "order_by_scores",
    "ranks_of_targets",
    "ratio_ci",
    "repair",
    "summary",
]
