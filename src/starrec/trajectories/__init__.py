"""Floor 5: what the teacher did, as messages, as one linear text and as a store on disk."""

from starrec.trajectories.linear import (
    CHAT_TEMPLATE,
    TAGS,
    LinearFormError,
    Segment,
    linear,
    parse,
    parse_call,
    segments,
)
from starrec.trajectories.schema import (
    AGENTS,
    LABEL,
    Agent,
    Argument,
    Canonical,
    Cost,
    Message,
    Role,
    ToolCall,
    Trajectory,
    TrajectoryError,
    candidate_labels,
)

__all__ = [
    "AGENTS",
    "CHAT_TEMPLATE",
    "LABEL",
    "TAGS",
    "Agent",
    "Argument",
    "Canonical",
    "Cost",
    "LinearFormError",
    "Message",
    "Role",
    "Segment",
    "ToolCall",
    "Trajectory",
    "TrajectoryError",
    "candidate_labels",
    "linear",
    "parse",
    "parse_call",
    "segments",
]
