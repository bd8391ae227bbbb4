"""Floor 6: the teacher (MARS): seven agents, their workflow, and the embedded policy."""

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
    Reason,
    Request,
    Verdict,
)
from starrec.teacher.config import TeacherConfig
from starrec.teacher.policy import EmbeddedPolicy
from starrec.teacher.teach import rank_with_teacher, teach
from starrec.teacher.workflow import Outcome, run

__all__ = [
    "ANALYSTS",
    "TOOLS_OF",
    "AgentError",
    "Agents",
    "Analyst",
    "Brief",
    "Check",
    "Decision",
    "EmbeddedPolicy",
    "Finding",
    "Meter",
    "Outcome",
    "Plan",
    "Reason",
    "Request",
    "TeacherConfig",
    "Verdict",
    "rank_with_teacher",
    "run",
    "teach",
]
