"""Patterns that are compiled, and looked for, only in a text that holds one of their words.

Compiling all patterns of `paste` and `reply` takes longer than Python takes to start, and most texts need few. And
`re.IGNORECASE` takes four times as long: text of plain letters is searched in small letters instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property


class Shape:
    """A regular expression. `holds`: one of these words stands in every text that it can be found in.

    A word with capitals is looked for as it is written, any other one in the folded text.
    """

    def __init__(self, source: str, flags: int = 0, holds: tuple[str, ...] = ()) -> None:
        self._source, self._flags = source, flags
        self.holds = holds

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Compiled now, if not before."""
        return re.compile(self._source, self._flags)

    @cached_property
    def _small(self) -> re.Pattern[str]:
        return re.compile(self._source, self._flags & ~re.IGNORECASE)

    def search(self, text: str, folded: str) -> re.Match[str] | None:
        """The first place, where there is one; `folded` is `fold(text)`."""
        return self.pattern.search(text) if _holds(self.holds, text, folded) else None

    def match(self, text: str) -> re.Match[str] | None:
        """Where it stands at the beginning. For shapes whose words stand as they are written."""
        return self.pattern.match(text) if self.fits(text) else None

    def places(self, text: str, folded: str) -> Iterator[re.Match[str]]:
        """Every place. For a source in small letters whose case does not matter: what was found may be folded."""
        if not self.fits(folded):
            return iter(())
        return self._small.finditer(folded) if text.isascii() else self.pattern.finditer(text)

    def find(self, text: str) -> re.Match[str] | None:
        """The first place, where there is one. For shapes whose words have no letters, or are only written so."""
        return self.pattern.search(text) if self.fits(text) else None

    def sub(self, new: str | Callable[[re.Match[str]], str], text: str) -> str:
        """Replaced wherever it stands. For shapes whose words have no letters, or are only written small."""
        return self.pattern.sub(new, text) if self.fits(text) else text

    def fits(self, folded: str) -> bool:
        """May it be found in this folded text?"""
        for word in self.holds:  # not with any(): this is asked many times for every line
            if word in folded:
                return True
        return not self.holds


class Choice:
    """The alternatives of one pattern, each with its words (as `holds`) or with what else must stand in the text;
    compiled are those that a text can hold."""

    def __init__(self, *forms: tuple[tuple[str, ...] | Shape, str], flags: int = 0) -> None:
        self.forms, self.flags = forms, flags
        self._compiled: dict[tuple[str, ...], re.Pattern[str]] = {}

    def pattern(self, text: str, folded: str) -> re.Pattern[str] | None:
        """What may be found in this text; None where that is nothing."""
        chosen = tuple(source for words, source in self.forms if _holds(words, text, folded))
        if chosen and chosen not in self._compiled:
            self._compiled[chosen] = re.compile("|".join(chosen), self.flags)
        return self._compiled.get(chosen)

    def fits(self, text: str, folded: str) -> bool:
        """May anything be found in this text?"""
        return any(_holds(words, text, folded) for words, _ in self.forms)


def _holds(words: tuple[str, ...] | Shape, text: str, folded: str) -> bool:
    if isinstance(words, Shape):
        return words.search(text, folded) is not None
    return not words or any(word in (folded if word == word.lower() else text) for word in words)


def fold(text: str) -> str:
    """In small letters, as `re.IGNORECASE` compares them: it takes the Turkish i's for i."""
    if text.isascii():
        return text.lower()
    folded = text.casefold()
    return folded if folded.isascii() else folded.replace("i\u0307", "i").replace("\u0131", "i")
