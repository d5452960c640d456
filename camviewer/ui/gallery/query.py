"""The search grammar of the gallery: ``class:melanoma conf:<0.6 status:computed area:>20% flag:hair -ruler``.

All terms must hold; ``-`` before a term turns it round; a word without a key is looked for in the name. Alternatives
are separated by commas, words with blanks stand in quotes. ``key:any`` and ``key:none`` ask whether anything is known.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from camviewer.errors import UsageError
from camviewer.ui.gallery.items import GalleryItem, Value
from camviewer.ui.gallery.traits import ALIASES, BY_KEY, TRAITS, Trait

Test = Callable[[GalleryItem], bool]

_TERM = re.compile(r"""(-?)(?:([A-Za-z]+):)?("[^"]*"?|[^\s"]*(?:"[^"]*"?[^\s"]*)*)""")
_NUMBER = re.compile(r"(<=|>=|<|>|=)?(\d+(?:\.\d*)?|\.\d+)(%?)(?:\.\.(\d+(?:\.\d*)?|\.\d+)(%?))?")
_DATE = re.compile(r"(<=|>=|<|>|=)?(\d{4}(?:-\d{2}(?:-\d{2})?)?|today|yesterday)")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Query:
    """What images must be like; empty lets all pass."""

    tests: tuple[Test, ...] = ()

    def matches(self, item: GalleryItem) -> bool:
        """Return whether an image passes."""
        return all(test(item) for test in self.tests)


def parse(text: str, *, blind: bool = False) -> Query:
    """Return the query of `text`.

    Args:
        blind: refuse what would tell name, prediction or diagnosis.

    Raises:
        UsageError: one sentence on the first term that cannot be understood.
    """
    tests = []
    for negated, key, value in _terms(text):
        trait = _trait(key) if key else BY_KEY["name"]
        if blind and trait.revealing:
            raise UsageError(f"Blind mode hides the {'name' if not key else trait.key}. Search by status or flag.")
        if key and not value:
            raise UsageError(f"What {trait.key}? For example {trait.key}:{trait.example}")
        test = _test(trait, value)
        tests.append(_turned(test) if negated else test)
    return Query(tuple(tests))


def complete(text: str, items: Iterable[GalleryItem], *, most: int = 12) -> list[tuple[str, str]]:
    """Return how the last term of `text` may go on, as (whole text, what it means)."""
    head, term = _split_last(text)
    sign = "-" if term.startswith("-") else ""
    key, colon, begun = term.removeprefix("-").partition(":")
    if not colon:
        found = [trait for trait in TRAITS if trait.key.startswith(key.casefold())]
        return [(f"{head}{sign}{trait.key}:", f"{trait.means}, e.g. {trait.key}:{trait.example}") for trait in found]
    trait = BY_KEY.get(ALIASES.get(key.casefold(), key.casefold()))
    if trait is None:
        return []
    if trait.kind in ("number", "share", "date"):
        return [] if begun else [(f"{head}{sign}{trait.key}:{trait.example}", trait.means)]
    if trait.kind == "yes":
        choices = {"yes": 1, "no": 1}
    else:
        choices = _values_of(trait, items)
    before, comma, last = begun.rpartition(",")
    words = [*sorted(choices, key=lambda word: (-choices[word], word)), "none"]
    fitting = [word for word in words if word.casefold().startswith(last.strip('"').casefold()) and word != last]
    return [
        (f"{head}{sign}{trait.key}:{before}{comma}{_quoted(word)} ", _amount(choices.get(word, 0)))
        for word in fitting[:most]
    ]


def _values_of(trait: Trait, items: Iterable[GalleryItem]) -> dict[str, int]:
    """Return the words that occur, and how often."""
    counts: dict[str, int] = {}
    for item in items:
        value = trait.of(item)
        for word in value if isinstance(value, tuple) else (value,):
            if isinstance(word, str) and word:
                counts[word] = counts.get(word, 0) + 1
    return counts


def _amount(count: int) -> str:
    return "" if not count else "1 image" if count == 1 else f"{count:,} images"


def _quoted(word: str) -> str:
    return f'"{word}"' if re.search(r"[\s,]", word) else word


def _split_last(text: str) -> tuple[str, str]:
    """Return what stands before the last term, and that term; a blank inside quotes ends none."""
    inside = False
    cut = 0
    for place, letter in enumerate(text):
        if letter == '"':
            inside = not inside
        elif letter.isspace() and not inside:
            cut = place + 1
    return text[:cut], text[cut:]


def _terms(text: str) -> list[tuple[bool, str, str]]:
    found = []
    for match in _TERM.finditer(text):
        minus, key, value = match.groups()
        if key or value:
            found.append((bool(minus), key or "", value))
    return found


def _trait(key: str) -> Trait:
    word = key.casefold()
    trait = BY_KEY.get(ALIASES.get(word, word))
    if trait is not None:
        return trait
    close = difflib.get_close_matches(word, [*BY_KEY, *ALIASES], n=1)
    hint = f"Is {close[0]} meant?" if close else f"There are {', '.join(t.key for t in TRAITS[:6])} and more."
    raise UsageError(f"There is no {word}. {hint}")


def _turned(test: Test) -> Test:
    return lambda item: not test(item)


def _test(trait: Trait, value: str) -> Test:
    if value.casefold() in ("none", "any"):
        wanted = value.casefold() == "any"
        return lambda item: _known(trait.of(item)) == wanted
    if trait.kind in ("number", "share"):
        return _number_test(trait, value)
    if trait.kind == "date":
        return _date_test(trait, value)
    if trait.kind == "yes":
        if value.casefold() not in ("yes", "no"):
            raise UsageError(f"{trait.key} is yes or no, for example {trait.key}:yes")
        wanted = value.casefold() == "yes"
        return lambda item: bool(trait.of(item)) == wanted
    words = tuple(part.casefold() for part in _alternatives(value))
    if trait.kind == "word":
        return lambda item: any(known.startswith(words) for known in _words_of(trait.of(item)))
    return lambda item: _holds_word(trait.of(item), words)


def _known(value: Value | None) -> bool:
    return value is not None and value != "" and value != ()


def _holds_word(value: Value | None, words: tuple[str, ...]) -> bool:
    return any(word in text.casefold() for text in _words_of(value) for word in words)


def _words_of(value: Value | None) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else () if value is None else (str(value),)


def _alternatives(value: str) -> list[str]:
    parts = re.findall(r'"([^"]*)"?|([^,"]+)', value)
    words = [quoted or bare for quoted, bare in parts if quoted or bare]
    return words or [""]


def _number_test(trait: Trait, value: str) -> Test:
    match = _NUMBER.fullmatch(value)
    if match is None:
        raise UsageError(f"{trait.key} is a number, for example {trait.key}:{trait.example} or {trait.key}:0.2..0.4")
    sign, first, percent, second, percent_too = match.groups()
    low = float(first) / (100 if percent else 1)
    if second is not None:
        if sign:
            raise UsageError(f"A range needs no sign: {trait.key}:{first}{percent}..{second}{percent_too}")
        high = float(second) / (100 if percent_too else 1)
        return lambda item: _inside(trait.of(item), low, high)
    if sign in _COMPARE:
        compare = _COMPARE[sign]
        return lambda item: isinstance(known := trait.of(item), int | float) and compare(known, low)
    # As many digits as are written count: 0.6 is everything that rounds to it.
    half = 0.5 * 10.0 ** -len(first.partition(".")[2]) / (100 if percent else 1)
    return lambda item: _inside(trait.of(item), low - half, low + half)


def _inside(value: Value | None, low: float, high: float) -> bool:
    return isinstance(value, int | float) and low <= value <= high


def _date_test(trait: Trait, value: str) -> Test:
    match = _DATE.fullmatch(value.casefold())
    if match is None:
        raise UsageError(f"{trait.key} is a day, for example {trait.key}:today or {trait.key}:>=2026-11-01")
    sign, day = match.groups()
    if day in ("today", "yesterday"):
        day = (date.today() - timedelta(days=day == "yesterday")).isoformat()

    def test(item: GalleryItem) -> bool:
        known = trait.of(item)
        if not isinstance(known, str) or not known:
            return False
        part = known[: len(day)]
        if sign in (None, "="):
            return part == day
        return {"<": part < day, "<=": part <= day, ">": part > day, ">=": part >= day}[sign]

    return test
