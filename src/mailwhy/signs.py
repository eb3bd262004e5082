"""Which sign speaks: finds the signs of the handbook in words, pure and fast.

Text is compared *squashed*: without white space, folded case, typographic quotes made plain. Programs wrap
replies in the middle of words and lose digits, so words alone suffice when they are long enough (`ENOUGH`).
Specificity, and with it which of several signs speaks: length of matched text, then enhanced, then status.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from .model import Protocol, Reply, Sign, Step
from .noun import dataclass
from .plain import to_plain

Plain = Mapping[str, Sequence[str]]  # a `Match` in plain values

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
    text = text.replace("`", "'") if text.isascii() else text.translate(_FOLD)
    return "".join(text.split()).casefold()


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
    """All signs, ready to be asked. Built once per run; nothing is made before the first question.

    signs: each by its id; matches: their `match` as the files have it, where it is at hand before they are built.
    A sign is asked for only when its words, or its codes where it has no words, were said.
    """

    def __init__(self, signs: Mapping[str, Sign], matches: Mapping[str, Plain] | None = None) -> None:
        self.signs = signs
        self._given = matches

    def make_ready(self) -> None:
        """Does now what the first question would wait for."""
        _ = self._text_of, self._word_of, self._wordless

    @cached_property
    def _matches(self) -> Mapping[str, Plain]:
        return {name: to_plain(sign.match) for name, sign in self.signs.items()} if self._given is None else self._given

    @cached_property
    def _texts(self) -> Mapping[str, tuple[str, ...]]:
        return {name: tuple(map(squash, match.get("text", ()))) for name, match in self._matches.items()}

    @cached_property
    def _text_of(self) -> tuple[tuple[str, str], ...]:
        return tuple((text, name) for name, texts in self._texts.items() for text in texts)

    @cached_property
    def _word_of(self) -> tuple[tuple[str, str], ...]:
        return tuple((word.casefold(), name) for word, name in self.words)

    @cached_property
    def _wordless(self) -> tuple[str, ...]:
        return tuple(name for name, match in self._matches.items() if not _has_words(match))

    @cached_property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """Every squashed text that suffices alone, with its sign's id, longest first."""
        return tuple(sorted((pair for pair in self._text_of if len(pair[0]) >= ENOUGH), key=lambda pair: -len(pair[0])))

    @cached_property
    def words(self) -> tuple[tuple[str, str], ...]:
        """Every whole word that suffices alone, with its sign's id."""
        return tuple((word, name) for name, match in self._matches.items() for word in match.get("word", ()))

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """Every text as it is written in the handbook."""
        return tuple(text for match in self._matches.values() for text in match.get("text", ()))

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
        return self._hits(_Said(Reply()), protocol, step)

    def of_reply(self, reply: Reply, protocol: Protocol | None = None, step: Step | None = None) -> tuple[Hit, ...]:
        """The signs that this one reply (not its inner one) says, most specific first."""
        return self._hits(_Said(reply), protocol or reply.protocol, step)

    def _hits(self, said: _Said, protocol: Protocol | None, step: Step | None) -> tuple[Hit, ...]:
        weights = ((name, self._weight(name, said, step)) for name in self._candidates(said))
        signs = ((self.signs[name], weight) for name, weight in weights if weight is not None)
        hits = (Hit(sign, weight) for sign, weight in signs if protocol in (None, sign.protocol) or not sign.protocol)
        return tuple(sorted(hits, key=lambda hit: hit.weight, reverse=True))

    def _candidates(self, said: _Said) -> Iterable[str]:
        """The ids, in order, of the signs whose words were said, and of those that have none."""
        spoken = {name for text, name in self._text_of if text in said.squashed}
        spoken.update(name for word, name in self._word_of if word in said.folded)
        spoken.update(self._wordless)
        return (name for name in self._matches if name in spoken)

    def _weight(self, name: str, said: _Said, step: Step | None) -> Weight | None:
        """How specifically the sign is said, whatever the protocol; None where it is not."""
        match, reply = self._matches[name], said.reply
        stages = match.get("stage", ())
        if stages and (step is None or step.stage not in stages):
            return None
        if faults := match.get("fault"):
            if step is None or step.fault not in faults:
                return None
            return Weight(self._length(name, said), 0, 0, 1, int(bool(stages)))
        text = self._length(name, said)
        enhanced = int(bool(reply.enhanced) and code_fits(reply.enhanced, match.get("enhanced", ())))
        status = int(bool(reply.status) and code_fits(reply.status, match.get("status", ())))
        if not _fits(match, text, enhanced, status):
            return None
        return Weight(text, enhanced, status, 0, int(bool(stages)))

    def _length(self, name: str, said: _Said) -> int:
        """How many squashed characters of the sign's text the reply holds (0: not said)."""
        match = self._matches[name]
        if not _has_words(match) or any(squash(also) not in said.squashed for also in match.get("also", ())):
            return 0
        lengths = [len(text) for text in self._texts[name] if text in said.squashed]
        return max(lengths + [len(word) for word in match.get("word", ()) if has_word(said.folded, word)], default=0)


def _has_words(match: Plain) -> bool:
    return bool(match.get("text") or match.get("word"))


def _fits(match: Plain, text: int, enhanced: int, status: int) -> bool:
    """text: how much of its words was said; enhanced, status: was one of its codes?"""
    if _has_words(match):
        return bool(text) and (text >= ENOUGH or bool(match.get("word")) or bool(enhanced or status))
    if match.get("enhanced") and not enhanced:
        return False
    if match.get("status") and not status:
        return False
    return bool(match.get("enhanced") or match.get("status"))


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
