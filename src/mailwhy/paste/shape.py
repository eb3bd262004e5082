"""A pattern that is compiled, and looked for, only in a text that holds one of its words.

Compiling the patterns of this package takes longer than Python takes to start, and most pastes need few of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property


class Shape:
    """A regular expression. `holds`: one of these words, folded, stands in every text that it can be found in."""

    def __init__(self, source: str, flags: int = 0, holds: tuple[str, ...] = ()) -> None:
        self._source, self._flags = source, flags
        self.holds = holds

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Compiled now, if not before."""
        return re.compile(self._source, self._flags)

    def search(self, text: str, folded: str) -> re.Match[str] | None:
        """The first place, where there is one; `folded` is `fold(text)`."""
        return self.pattern.search(text) if self.fits(folded) else None

    def sub(self, new: str | Callable[[re.Match[str]], str], text: str) -> str:
        """Replaced wherever it stands. For shapes whose words have no letters, or are only written small."""
        return self.pattern.sub(new, text) if self.fits(text) else text

    def fits(self, folded: str) -> bool:
        """May it be found in this folded text?"""
        return not self.holds or any(word in folded for word in self.holds)


def fold(text: str) -> str:
    """In small letters, as `re.IGNORECASE` compares them: it takes the Turkish i's for i."""
    folded = text.casefold()
    return folded if folded.isascii() else folded.replace("i\u0307", "i").replace("\u0131", "i")
