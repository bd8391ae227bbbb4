"""Floor 4: what teacher and student may call, how they are asked, and candidate retrieval."""

from starrec.tools.memory import SHOWN, Window, fold, tastes
from starrec.tools.orders import (
    CHANCES,
    CUT,
    REFUSED,
    Order,
    chances_text,
    order_text,
    read_chances,
    read_facts,
    read_levels,
    read_orders,
    read_sentences,
    without_chances,
)
from starrec.tools.prompts import think_task
from starrec.tools.retrieval import NOMINATED, live_task, retrieve
from starrec.tools.toolbox import TOOLS, Toolbox, ToolError, ToolSpec, World, mention_ties

__all__ = [
    "CHANCES",
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
    "chances_text",
    "fold",
    "live_task",
    "mention_ties",
    "order_text",
    "read_chances",
    "read_facts",
    "read_levels",
    "read_orders",
    "read_sentences",
    "retrieve",
    "tastes",
    "think_task",
    "without_chances",
]
