"""Which sign speaks: finds the signs of the handbook in words, pure and fast.

Text is compared *squashed*: without white space, folded case, typographic quotes made plain. Programs wrap
replies in the middle of words and lose digits, so words alone suffice when they are long enough (`ENOUGH`).
Specificity, and with it which of several signs speaks: length of matched text, then enhanced, then status.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from .model import Match, Protocol, Reply, Sign, Step
from .noun import dataclass

ENOUGH = 16  # squashed characters of text that suffice without a code

_FOLD = {
    ord("\u2019"): "'",
    ord("\u2018"): "'",
    ord("\u00b4"): "'",
    ord("`"): "'",
    ord("\u201c"): '"',
    ord("\u201d"): '"',
    ord("\u2013"): "-",
    ord("\u2014"): "-",
    ord("\u00a0"): None,
}


def squash(text: str) -> str:
    """The text as signs are compared: no white space, one case, plain quotes."""
    return "".join(text.translate(_FOLD).split()).casefold()


class Weight(NamedTuple):
    """How specific a match is; compares in the order of the fields."""

    text: int = 0
    enhanced: int = 0
    status: int = 0
    fault: int = 0
    stage: int = 0

    def __bool__(self) -> bool:
        return self > Weight()


@dataclass(frozen=True, slots=True)
class Hit:
    """A sign that matches, and how specifically."""

    sign: Sign
    weight: Weight


def code_fits(code: str, patterns: Iterable[str]) -> bool:
    """Does `5.7.606` fit `5.7.606`, `5.7.606-649` or `5.7.*`? Status codes compare the same way."""
    for pattern in patterns:
        if pattern == code:
            return True
        if pattern.endswith("*") and code.startswith(pattern[:-1]):
            return True
        if "-" in pattern[1:] and pattern[0] != "-":
            low, _, high = pattern.rpartition("-")
            stem, _, first = low.rpartition(".")
            code_stem, _, last = code.rpartition(".")
            if stem == code_stem and last.isdigit() and int(first) <= int(last) <= int(high):
                return True
    return False


class _Said:
    """The words of one reply, in the forms in which signs are compared: made once, asked by every sign."""

    def __init__(self, reply: Reply) -> None:
        lines = " ".join(reply.lines)
        self.reply = reply
        self.squashed = squash(reply.text) + squash(lines)
        self.folded = f"{reply.text} {lines}".casefold()


class Signs:
    """All signs, ready to be asked. Built once per run from `Knowledge.signs`, and not before the first question."""

    def __init__(self, signs: Iterable[Sign]) -> None:
        self._given = signs

    def make_ready(self) -> None:
        """Does now what the first question would have to wait for: 10 ms."""
        _ = self._texts, self._also

    @cached_property
    def all(self) -> tuple[Sign, ...]:
        """Every sign."""
        return tuple(self._given)

    @cached_property
    def _texts(self) -> dict[str, tuple[str, ...]]:
        return {sign.id: tuple(squash(text) for text in sign.match.text) for sign in self.all}

    @cached_property
    def _also(self) -> dict[str, tuple[str, ...]]:
        return {sign.id: tuple(squash(text) for text in sign.match.also) for sign in self.all}

    @cached_property
    def texts(self) -> tuple[tuple[str, Sign], ...]:
        """Every squashed text that suffices alone, with its sign, longest first."""
        pairs = [(text, sign) for sign in self.all for text in self._texts[sign.id] if len(text) >= ENOUGH]
        return tuple(sorted(pairs, key=lambda pair: -len(pair[0])))

    @cached_property
    def words(self) -> tuple[tuple[re.Pattern[str], Sign], ...]:
        """Every whole word that suffices alone, as a pattern for text that is not squashed."""
        return tuple((word_pattern(word), sign) for sign in self.all for word in sign.match.word)

    def of_step(self, step: Step, protocol: Protocol | None = None) -> tuple[Hit, ...]:
        """The signs in a step that is not ok, most specific first. A nested reply speaks before its wrapper."""
        replies: list[Reply] = []
        reply = step.reply
        while reply:
            replies.insert(0, reply)
            reply = reply.inner
        for each in replies:
            if hits := self.of_reply(each, protocol, step):
                return hits
        said = _Said(Reply())
        return self._ranked(self._weigh(sign, said, protocol, step) for sign in self.all)

    def of_reply(self, reply: Reply, protocol: Protocol | None = None, step: Step | None = None) -> tuple[Hit, ...]:
        """The signs that this one reply (not its inner one) says, most specific first."""
        protocol = protocol or reply.protocol
        said = _Said(reply)
        return self._ranked(self._weigh(sign, said, protocol, step) for sign in self.all)

    def _ranked(self, hits: Iterator[Hit | None]) -> tuple[Hit, ...]:
        return tuple(sorted((hit for hit in hits if hit), key=lambda hit: hit.weight, reverse=True))

    def _weigh(self, sign: Sign, said: _Said, protocol: Protocol | None, step: Step | None) -> Hit | None:
        match, reply = sign.match, said.reply
        if sign.protocol and protocol and sign.protocol is not protocol:
            return None
        if match.stage and (step is None or step.stage not in match.stage):
            return None
        if match.fault:
            if step is None or step.fault not in match.fault:
                return None
            return Hit(sign, Weight(self._length(sign, said), 0, 0, 1, int(bool(match.stage))))
        text = self._length(sign, said)
        enhanced = int(bool(reply.enhanced) and code_fits(reply.enhanced, match.enhanced))
        status = int(bool(reply.status) and code_fits(reply.status, match.status))
        if not self._fits(match, reply, text, enhanced, status):
            return None
        return Hit(sign, Weight(text, enhanced, status, 0, int(bool(match.stage))))

    def _fits(self, match: Match, reply: Reply, text: int, enhanced: int, status: int) -> bool:
        if match.text or match.word:
            if not text:
                return False
            return text >= ENOUGH or bool(match.word) or bool(enhanced or status)
        if match.enhanced and not enhanced:
            return False
        if match.status and not status:
            return False
        return bool(match.enhanced or match.status)

    def _length(self, sign: Sign, said: _Said) -> int:
        """How many squashed characters of the sign's text the reply holds (0: not said)."""
        match = sign.match
        if not (match.text or match.word):
            return 0
        if any(also not in said.squashed for also in self._also[sign.id]):
            return 0
        best = max((len(text) for text in self._texts[sign.id] if text in said.squashed), default=0)
        return max(best, max((len(word) for word in match.word if has_word(said.folded, word)), default=0))


def has_word(text: str, word: str) -> bool:
    """Does it stand in this folded text as a whole word? Without a pattern: there are hundreds of words."""
    word = word.casefold()
    at = text.find(word)
    while at >= 0:
        sides = text[max(0, at - 1) : at] + text[at + len(word) : at + len(word) + 1]
        if not any(side.isascii() and side.isalnum() for side in sides):
            return True
        at = text.find(word, at + 1)
    return False


_PATTERNS: dict[str, re.Pattern[str]] = {}


def word_pattern(word: str) -> re.Pattern[str]:
    """The word as a whole word, in any case."""
    if word not in _PATTERNS:
        _PATTERNS[word] = re.compile(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", re.IGNORECASE)
    return _PATTERNS[word]
