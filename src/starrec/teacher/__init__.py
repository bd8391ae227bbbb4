"""Floor 6: the teacher (MARS): seven agents, their workflow, and the embedded policy."""

from starrec.teacher.agents import (
    ANALYSTS,
    TOOLS_OF,
    Agents,
    Analyst,
    Brief,
    Decision,
    Finding,
    Plan,
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
    "Agents",
    "Analyst",
    "Brief",
    "Decision",
    "EmbeddedPolicy",
    "Finding",
    "Outcome",
    "Plan",
    "Request",
    "TeacherConfig",
    "Verdict",
    "rank_with_teacher",
    "run",
    "teach",
]
