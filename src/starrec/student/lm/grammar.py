"""What a turn of the assistant may be, as grammars that llguidance holds decoding to.

The model is free in what it writes between tags and in which element comes next; a call is JSON of a known
tool, its candidates labels of this task, and the ranking a permutation. A regular expression that forbids a
label to stand twice has a state for every set of labels (llguidance gives up at 20 candidates), so lists of
labels are written label by label, each under a grammar of those that are left.

A grammar ends where a token may end: behind `<recommend>`, behind `"candidates":["`, behind a label. So what is
written under grammars has the tokens that the whole text has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from transformers import PreTrainedTokenizerBase

from starrec.errors import StarrecError
from starrec.student.matcher import Matcher
from starrec.tools import ToolSpec

try:
    import llguidance
    import llguidance.hf
except ImportError as error:
    raise StarrecError("Think mode of a language model needs llguidance: install `starrec[lm]`.") from error

MAX_CHARACTERS: Final = 800
"""Of one plan or reflection; then it is closed."""
RANKING: Final = "<recommend>"
"""Ends a turn's grammar where the ranking begins ..."""
LISTED: Final = '"candidates":["'
"""... and where a list of labels begins."""
_HEAD: Final = '{"name":"'


class Grammar:
    """Grammars over the tokens of one base."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, rows: int) -> None:
        """
        Args:
            rows: of the base's output matrix, which may have more than the tokenizer has tokens.
        """
        fast: Any = tokenizer
        self._tokens = llguidance.hf.from_tokenizer(fast, n_vocab=max(rows, len(tokenizer)))
        self._rows = rows

    def turn(self, *, first: bool, calls: bool, tools: Mapping[str, ToolSpec]) -> Matcher:
        """A turn up to its call or ranking, or up to the first label of either.

        Args:
            first: whether it begins with a plan.
            calls: whether it may be more than a ranking.
            tools: which may be called.
        """
        plan = 'plan "\\n"' if first else ""
        ends = [_quoted(RANKING)]
        if calls:
            ends += [end for tool in tools.values() for end in _calls(tool)]
        reflections = '(reflection "\\n"){0,3}' if calls else ""
        return self._matcher(
            f"start: {plan} {reflections} ({' | '.join(ends)})\n"
            'plan: "<plan>" TEXT "</plan>"\n'
            'reflection: "<reflection>" TEXT "</reflection>"\n'
            f"TEXT: /[^<>]{{0,{MAX_CHARACTERS}}}/\n"
        )

    def one_of(self, texts: Iterable[str]) -> Matcher:
        """One of these texts."""
        return self._matcher(f"start: {' | '.join(map(_quoted, texts))}\n")

    def _matcher(self, lark: str) -> Matcher:
        grammar = llguidance.LLMatcher.grammar_from_lark(lark)
        return Matcher(llguidance.LLMatcher(self._tokens, grammar), self._rows)


def server_grammar(tools: Mapping[str, ToolSpec], labels: Sequence[str], *, first: bool, calls: bool) -> str:
    """A turn as a grammar in GBNF, which llama.cpp's and vLLM's servers take. A label may stand twice in it.

    Args:
        labels: of the candidates, as they stand in a ranking.
        first, calls: as in `Grammar.turn`.
    """
    names = " | ".join(_quoted(label.strip(" ‹›")) for label in labels)
    ends = ['"<recommend>" ' + "label " * len(labels) + '"</recommend>"']
    if calls:
        for end in (end for tool in tools.values() for end in _calls(tool)):
            ends.append(
                f'{end} name ("\\",\\"" name)* "\\"]}}}}</tool_call>"' if end.endswith('[\\""') else end
            )
    plan = 'plan "\\n" ' if first else ""
    reflections = '(reflection "\\n")? ' if calls else ""
    return (
        f"root ::= {plan}{reflections}({' | '.join(ends)})\n"
        'plan ::= "<plan>" text "</plan>"\n'
        'reflection ::= "<reflection>" text "</reflection>"\n'
        "text ::= [^<>]*\n"
        f"label ::= {' | '.join(map(_quoted, labels))}\n"
        f"name ::= {names}\n"
    )


def _calls(tool: ToolSpec) -> Iterator[str]:
    head = f'<tool_call>{_HEAD}{tool.name}","arguments":{{'
    windows = [f'"window":"{name}"' for name in ("recent", "whole")] if tool.windows else []
    for arguments in ("", *windows):
        yield _quoted(f"{head}{arguments}}}}}</tool_call>")
        if tool.candidates:
            yield _quoted(f"{head}{arguments}{',' if arguments else ''}{LISTED}")


def _quoted(text: str) -> str:
    """A text as a literal of the grammar."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
