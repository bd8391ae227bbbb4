"""Floor 4: what teacher and student may call, how they are asked, and candidate retrieval."""

from starrec.tools.memory import SHOWN, Window, fold, tastes
from starrec.tools.orders import (
    CUT,
    REFUSED,
    Order,
    order_text,
    read_facts,
    read_levels,
    read_orders,
    read_sentences,
)
from starrec.tools.prompts import think_task
from starrec.tools.retrieval import NOMINATED, live_task, retrieve
from starrec.tools.toolbox import TOOLS, Toolbox, ToolError, ToolSpec, World, mention_ties

__all__ = [
    "CUT",
    "NOMINATED",
    "REFUSED",
    "SHOWN",
    "TOOLS",
    "Order",
    "ToolError",
    "ToolSpec",
    "Toolbox",
    "Window",
    "World",
    "fold",
    "live_task",
    "mention_ties",
    "order_text",
    "read_facts",
    "read_levels",
    "read_orders",
    "read_sentences",
    "retrieve",
    "tastes",
    "think_task",
]
