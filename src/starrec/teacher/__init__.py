"""Floor 5: the teacher (MARS): seven agents, their workflow, and the embedded policy."""

from starrec.teacher.agents import (
    ANALYSTS,
    TOOLS_OF,
    AgentError,
    Agents,
    Analyst,
    Brief,
    Check,
    Decision,
    Finding,
    Meter,
    Plan,
    Request,
    Verdict,
)
from starrec.teacher.budget import Budget, Ended, Spending
from starrec.teacher.config import TeacherConfig
from starrec.teacher.estimate import Estimate, Range, estimate
from starrec.teacher.policy import Constants, EmbeddedPolicy
from starrec.teacher.readable import DECIDED, Entry, readable
from starrec.teacher.replay import Fusion
from starrec.teacher.signature import policy_sha
from starrec.teacher.teach import Work, advice, missing, rank_with_teacher, ranking_of, teach, teach_with
from starrec.teacher.v1 import rank_with_v1
from starrec.teacher.workflow import Outcome, run

__all__ = [
    "ANALYSTS",
    "DECIDED",
    "TOOLS_OF",
    "AgentError",
    "Agents",
    "Analyst",
    "Brief",
    "Budget",
    "Check",
    "Constants",
    "Decision",
    "EmbeddedPolicy",
    "Ended",
    "Entry",
    "Estimate",
    "Finding",
    "Fusion",
    "Meter",
    "Outcome",
    "Plan",
    "Range",
    "Request",
    "Spending",
    "TeacherConfig",
    "Verdict",
    "Work",
    "advice",
    "estimate",
    "missing",
    "policy_sha",
    "rank_with_teacher",
    "rank_with_v1",
    "ranking_of",
    "readable",
    "run",
    "teach",
    "teach_with",
]
