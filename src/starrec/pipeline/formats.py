"""Format versions: what a step's product is known by beside its settings and its data.

A version is raised by whoever changes what the code gives for the same inputs, on purpose, and says so in the
changelog; everything that depends on it is then made anew beside what is there. The source text decides
nothing: a changed comment, or a release that gives the same, throws nothing away.
`tests/pipeline/test_formats.py` hashes each step's output on a small fixed input and fails if that changes
while the version does not.
"""

from __future__ import annotations

from typing import Final

DATA: Final = 1
"""Reading and normalising interactions and items."""
TASKS: Final = 1
"""Splits, positions, candidates."""
SIGNALS: Final = 1
"""Counts, levels, facts and their sentences."""
TEACHER: Final = 2
"""The embedded policy, the workflow, the prompts and tools of language models."""
STUDENT: Final = 3
"""Renderings, tokenizer, training, engine."""
EVALUATION: Final = 1
"""Systems, metrics, what results.json says."""
