"""Facts in the words of a language model, where a program can vouch for them; else the template speaks.

What a model writes for a fact is accepted only if it has the template's form (`rewording`: one sentence, the
same items and figures, listed words) and if the checker verifies every claim in it, the template's claims among
them.

What rests on fewer than `MIN_SUPPORT` people is never shown to a model, and no user is. Accepted wordings are
kept in a file that only grows, so a run that was killed goes on with what it had; they are judged anew when
they are used, like any other text.

Needs the extra `llm`; without it, importing this module raises a `ConfigError` that says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal, TypeAlias

from pydantic import BaseModel, Field
from pydantic_core import to_json

from starrec.config import fingerprint
from starrec.data import printable
from starrec.errors import ConfigError, RunError
from starrec.signals.checker import Checker
from starrec.signals.claims import Claim
from starrec.signals.evidence import Sight
from starrec.signals.facts import PEOPLE, Fact
from starrec.signals.language import MIN_SUPPORT, sentence
from starrec.signals.rewording import VOCABULARY, Flaw, reword

try:
    from pydantic_ai import Agent
    from pydantic_ai.exceptions import AgentRunError, ModelHTTPError
    from pydantic_ai.models import Model
except ImportError as error:
    raise ConfigError(
        f"Wordings by a language model need the extra `llm` ({error}): pip install 'starrec[llm]'"
    ) from error

Refusal: TypeAlias = Literal["thin", "unchecked", "endpoint", "missing", "claims"] | Flaw
"""Why a template speaks: too few people, or the checker cannot verify even the template (no model saw either);
the model could not be asked; it left the fact out; not all that it claims is verified, or the template's claims
are not among it; or a flaw of form."""


@dataclass(frozen=True, slots=True)
class Wording:
    """How a fact is said."""

    text: str
    refused: Refusal | None
    """Why this is the template; None where it is the model's."""


def report(wordings: Iterable[Wording]) -> dict[str, int]:
    """How many were accepted, and how many refused for each reason."""
    counts = Counter(wording.refused or "accepted" for wording in wordings)
    return dict(counts.most_common())


class _Said(BaseModel):
    number: int = Field(description="The fact's number.")
    wording: str = Field(description="The fact in one sentence.")


class _Answer(BaseModel):
    wordings: list[_Said]


_GIVE_UP: Final = 3
"""Failed requests in a row after which no more are sent; each was repeated by the client."""


class Verbaliser:
    """Words facts by a model. One may serve many tasks, one after another or at once."""

    def __init__(
        self,
        model: Model,
        checker: Checker,
        *,
        kept: Path | None = None,
        batch: int = 16,
        concurrency: int = 4,
        announce: Callable[[str], object] = lambda line: None,
    ) -> None:
        """
        Args:
            model: from `llm.connection.connect`, or any pydantic-ai model.
            kept: file of accepted wordings, read and extended; None keeps none.
            batch: facts in one request.
            concurrency: requests at once, for each call of `words`.
            announce: gets one line when the model cannot be asked, however often, and one when lines of the
                file are unreadable.
        """
        self._model, self._checker = model, checker
        self._batch, self._concurrency = batch, concurrency
        self._announce = announce
        self._failures = 0
        self._said_so = False
        instructions = f"{_instructions()}\n{' '.join(sorted(VOCABULARY))}\n"
        self._version = [model.model_id, hashlib.sha256(instructions.encode()).hexdigest()]
        self._agent: Agent[object, _Answer] = Agent(
            model, output_type=_Answer, instructions=instructions, name="verbaliser"
        )
        self._file = None if kept is None else _Kept(kept, announce)

    async def words(self, facts: Sequence[Fact], sight: Sight, mentions: Sequence[str]) -> list[Wording]:
        """A wording for each fact, in order.

        Args:
            sight: what the facts' task may see, against which claims are checked.
            mentions: of each item, in index order.
        """
        templates = [sentence(fact, mentions) for fact in facts]
        drafts = {
            template: self._draft(fact, template, sight)
            for fact, template in zip(facts, templates, strict=True)
        }
        found: dict[str, Wording] = {}
        open_: list[_Draft] = []
        for template, draft in drafts.items():
            if draft.closed is not None:
                found[template] = Wording(template, draft.closed)
                continue
            before = self._file.get(draft.key) if self._file is not None else None
            wording = self._judge(before, draft, sight) if before is not None else None
            if wording is not None and wording.refused is None:
                found[template] = wording
            else:
                open_.append(draft)

        places = asyncio.Semaphore(self._concurrency)

        async def ask(part: Sequence[_Draft]) -> None:
            async with places:
                said = await self._ask([draft.template for draft in part])
            fresh = {}
            for number, draft in enumerate(part):
                if said is None:
                    wording = Wording(draft.template, "endpoint")
                elif number not in said:
                    wording = Wording(draft.template, "missing")
                else:
                    wording = self._judge(said[number], draft, sight)
                    if wording.refused is None:
                        fresh[draft.key] = wording.text
                found[draft.template] = wording
            if self._file is not None and fresh:
                self._file.add(fresh)

        parts = [open_[start : start + self._batch] for start in range(0, len(open_), self._batch)]
        await asyncio.gather(*map(ask, parts))
        return [found[template] for template in templates]

    def _draft(self, fact: Fact, template: str, sight: Sight) -> _Draft:
        key = fingerprint([*self._version, template])
        if _thin(fact):
            return _Draft(key, template, fact.topic, frozenset(), "thin")
        claims = self._verified(template, sight)
        return _Draft(key, template, fact.topic, claims, None if claims else "unchecked")

    async def _ask(self, templates: Sequence[str]) -> dict[int, str] | None:
        """What the model says by number; None where it could not be asked."""
        if self._failures >= _GIVE_UP:
            return None
        told = {"facts": [{"number": at, "sentence": text} for at, text in enumerate(templates)]}
        try:
            answer = (await self._agent.run(to_json(told).decode())).output
        except AgentRunError as error:
            self._failures += 1
            if not self._said_so:
                self._said_so = True
                self._announce(
                    f"verbaliser: the model {self._model.model_name!r} gives no wordings ({_brief(error)}); "
                    "templates speak instead"
                )
            return None
        self._failures = 0
        # Of several wordings of one fact the first stands.
        return {said.number: said.wording for said in reversed(answer.wordings)}

    def _judge(self, said: str, draft: _Draft, sight: Sight) -> Wording:
        text, flaw = reword(said, draft.template, draft.topic)
        if flaw is not None:
            return Wording(draft.template, flaw)
        if not draft.claims <= self._verified(text, sight):
            return Wording(draft.template, "claims")
        return Wording(text, None)

    def _verified(self, text: str, sight: Sight) -> frozenset[Claim]:
        """Claims of a text, wherever they stand in it; none where not each of them is verified."""
        checked = self._checker.check(text, sight)
        if any(one.verdict != "verified" for one in checked):
            return frozenset()
        return frozenset(replace(one.claim, span=(0, 0)) for one in checked if one.claim is not None)


@dataclass(frozen=True, slots=True)
class _Draft:
    key: str
    template: str
    topic: str
    claims: frozenset[Claim]
    """What the checker verifies in the template."""
    closed: Refusal | None
    """Why no model is asked."""


def _thin(fact: Fact) -> bool:
    return (fact.kind in PEOPLE or fact.kind == "conditional") and fact.both < MIN_SUPPORT


def _brief(error: AgentRunError) -> str:
    """Without the body of an answer, which may repeat what was sent, a key included."""
    if isinstance(error, ModelHTTPError):
        return f"HTTP {error.status_code}"
    return printable(str(error).partition("\n")[0])[:200]


def _instructions() -> str:
    return files("starrec.signals").joinpath("prompts", "verbaliser.md").read_text(encoding="utf-8")


class _Kept:
    """Accepted wordings, one JSON object a line, by the key of template, model and instructions. It only grows:
    whatever ends the process, all complete lines stay."""

    def __init__(self, path: Path, announce: Callable[[str], object]) -> None:
        self._path = path
        self._texts: dict[str, str] = {}
        if not path.exists():
            return
        lines = path.read_bytes().split(b"\n")
        unreadable = 0
        for line in filter(None, lines):
            try:
                entry = json.loads(line)
                self._texts[str(entry["fact"])] = str(entry["text"])
            except (ValueError, KeyError, TypeError):
                unreadable += 1
        if unreadable:
            announce(f"verbaliser: {unreadable} unreadable lines in {path}; those facts are worded anew")

    def get(self, key: str) -> str | None:
        return self._texts.get(key)

    def add(self, texts: dict[str, str]) -> None:
        self._texts |= texts
        lines = "".join(
            json.dumps({"fact": key, "text": text}, ensure_ascii=False) + "\n" for key, text in texts.items()
        )
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab+") as file:
                # A line that a killed process began must not swallow the next one.
                end = file.seek(0, os.SEEK_END)
                if end:
                    file.seek(end - 1)
                    lines = lines if file.read(1) == b"\n" else f"\n{lines}"
                file.write(lines.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunError(
                f"Wordings cannot be kept in {self._path} ({error}). Free space there, or choose another file."
            ) from error
