"""Floor 4: what teacher and student may call, how they are asked, and candidate retrieval."""

from starrec.tools.memory import SHOWN, Window, fold, tastes
from starrec.tools.prompts import fast_task, think_task
from starrec.tools.retrieval import retrieve
from starrec.tools.toolbox import TOOLS, Toolbox, ToolError, ToolResponse, ToolSpec, World

__all__ = [
    "SHOWN",
    "TOOLS",
    "ToolError",
    "ToolResponse",
    "ToolSpec",
    "Toolbox",
    "Window",
    "World",
    "fast_task",
    "fold",
    "retrieve",
    "tastes",
    "think_task",
]
