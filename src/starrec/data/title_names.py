"""What an item may be called, read from its title.

Catalogues write titles for sorting ("City of Lost Children, The (Cité des enfants perdus, La) (1995)"), people
type them from memory ("city of lost children"). So a title is read as names: folded to words in lower case
without accents, its year apart, moved articles put back in front, what stands in parentheses a name of its
own. `alike` folds further, what people write now one way and now another: articles and numerals.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

Reading = tuple[str, int | None]
"""A folded name, and the year with it."""

_ARTICLES: Final = frozenset(
    ["the", "a", "an", "le", "la", "les", "l", "el", "il", "los", "las", "un", "une", "der", "das"]
)
"""Left out in front. Not `die`, `de`, `i` and `den`, which are English words or letters too."""
_MOVED: Final = re.compile(
    r"^(.+), (the|an?|les?|la|l'|un|une|il|lo|gli|i|el|los|las|der|die|das|ein|eine|den|det|de|het|os?)"
    r"(?= ?(?::|$|(?:18|19|20)\d\d$))",
    re.IGNORECASE,
)
_YEAR: Final = re.compile(r"\(((?:18|19|20)\d\d)\)")
_LAST_YEAR: Final = re.compile(r"(?<=.) ((?:18|19|20)\d\d)$")
_GROUP: Final = re.compile(r"\(([^()]*)\)")
_ALSO: Final = re.compile(r"^a\.?k\.?a\.?:? ", re.IGNORECASE)
_LEAST_ALTERNATIVE: Final = 3
"""Characters of an alternative title; shorter ones are marks, as in `(V)` for video."""

_BRACKETS: Final = str.maketrans("[]", "()")
_LETTERS: Final = str.maketrans(
    {"Æ": "ae", "æ": "ae", "Œ": "oe", "œ": "oe", "Ø": "o", "ø": "o", "Ł": "l", "ł": "l", "ı": "i"}
    | {"Đ": "d", "đ": "d", "Ð": "d", "ð": "d", "Þ": "th", "þ": "th"}
    | dict.fromkeys("‘’ʼ´", "'")
    | dict.fromkeys("™®©", " ")
)
"""What NFKD leaves whole, or takes apart into something that nobody types."""
_WORDS: Final = re.compile(r"(?:[a-z0-9]|[^\x00-\x7f])+")
_CLITIC: Final = re.compile(r"'(?=(?:s|t|m|d|n|ll|re|ve|em)\b)")
"""The apostrophe of "Schindler's" joins; that of "d'Amélie" parts two words."""
_INITIALS: Final = re.compile(r"\b(\w)\.(?=\w\b)")
"""The dots of "E.T." join."""

_NUMERALS: Final = (
    "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen",
)
_ALIKE: Final = {
    **{word: str(number) for words in _NUMERALS for number, word in enumerate(words.split(), start=1)},
    **{"vol": "volume", "pt": "part", "dr": "doctor", "mr": "mister", "vs": "versus"},
}


@dataclass(frozen=True, slots=True)
class TitleNames:
    """The names of one title, all folded (`fold`)."""

    whole: str
    """All of the title but its year, in its order."""
    alike: str
    """The same in one spelling (`alike`)."""
    main: str
    """What stands outside of parentheses; the whole title where nothing does."""
    alternatives: tuple[str, ...]
    """What stands in each pair of parentheses or brackets, years and marks left out."""
    lead: str
    """What stands before a first colon; empty where there is none."""
    year: int | None

    def forms(self) -> set[str]:
        """Every name but the leading part, as written, without its article, and `alike`."""
        forms = {self.whole, without_article(self.whole), self.alike}
        if self.alternatives or self.main != self.whole:
            for name in (self.main, *self.alternatives):
                forms |= {name, without_article(name), alike(name)}
        return forms


def fold(text: str) -> str:
    """Words in lower case with single spaces between them, accents and punctuation left out.

    Letters and marks of every script stay. Text without a letter or figure stays as it is, without its spaces:
    it may be a title ("$").
    """
    plain = html.unescape(text) if "&" in text else text
    if not plain.isascii():
        decomposed = unicodedata.normalize("NFKD", plain.translate(_LETTERS)).casefold().translate(_LETTERS)
        plain = "".join(map(_word_character, decomposed))
    plain = plain.casefold()
    if "'" in plain:
        plain = _CLITIC.sub("", plain)
    if "." in plain:
        plain = _INITIALS.sub(r"\1", plain)
    plain = plain.replace("&", " and ")
    return " ".join(_WORDS.findall(plain)) or "".join(text.casefold().split())


def _word_character(character: str) -> str:
    """The character itself, a space for what parts words, nothing for accents and invisible marks."""
    if character.isascii() or character.isalnum():
        return character
    category = unicodedata.category(character)
    if unicodedata.combining(character) or category == "Cf":
        return ""
    return character if category[0] == "M" else " "


def without_article(name: str) -> str:
    """A folded name without the article in front of it; an article alone stays."""
    first, _, rest = name.partition(" ")
    return rest if rest and first in _ARTICLES else name


def alike(name: str) -> str:
    """A folded name in one spelling: no article in front, numerals as figures, few abbreviations in full.

    "The Godfather Part II" and "godfather part two" become `godfather part 2`. A single letter in front is no
    numeral ("X-Men").
    """
    bare = without_article(name)
    words = bare.split(" ")
    if _ALIKE.keys().isdisjoint(words):
        return bare
    first = words[0] if len(words[0]) == 1 else _ALIKE.get(words[0], words[0])
    return " ".join([first, *(_ALIKE.get(word, word) for word in words[1:])])


def title_names(title: str) -> TitleNames:
    """The names of a title.

    "City of Lost Children, The (Cité des enfants perdus, La) (1995)" is `the city of lost children la cite des
    enfants perdus` as a whole, `the city of lost children`, `la cite des enfants perdus`, of 1995.
    """
    text, year = _year_apart(" ".join(title.split()).translate(_BRACKETS))
    # Outside and inside of parentheses by turns.
    parts = (
        [_article_in_front(part) for part in _GROUP.split(text)] if "(" in text else [_article_in_front(text)]
    )
    whole = fold(" ".join(parts))
    outside, main = parts[0], whole
    alternatives: tuple[str, ...] = ()
    if len(parts) > 1:
        outside = " ".join(parts[::2])
        main = fold(outside) or whole
        alternatives = tuple(name for name in map(fold, parts[1::2]) if len(name) >= _LEAST_ALTERNATIVE)
    before, _, after = outside.partition(":")
    lead = fold(before) if after.strip() else ""
    return TitleNames(whole, alike(whole), main, alternatives, lead, year)


def readings(typed: str) -> list[Reading]:
    """What a typed title can mean, the likelier first.

    "Hamlet 1996" may be a title, or "Hamlet" of 1996.
    """
    names = title_names(typed)
    if names.year is not None:
        return [(names.whole, names.year), (f"{names.whole} {names.year}".strip(), None)]
    last = _LAST_YEAR.search(names.whole)
    if last is None:
        return [(names.whole, None)]
    return [(names.whole, None), (names.whole[: last.start()], int(last.group(1)))]


def _year_apart(text: str) -> tuple[str, int | None]:
    """The text without its last year in parentheses, and that year, unless the year is all there is."""
    years = list(_YEAR.finditer(text)) if "(" in text else ()
    if years:
        last = years[-1]
        rest = f"{text[: last.start()]} {text[last.end() :]}"
        if not rest.isspace():
            return rest, int(last.group(1))
    return text, None


def _article_in_front(part: str) -> str:
    """A part of a title with its moved article put back, "a.k.a." left out."""
    text = _ALSO.sub("", part.strip())
    return _MOVED.sub(lambda found: f"{found.group(2)} {found.group(1)}", text) if "," in text else text
