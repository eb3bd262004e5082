"""Which sign speaks: finds the signs of the handbook in words, pure and fast.

Text is compared *squashed*: without white space, folded case, typographic quotes made plain. Programs wrap
replies in the middle of words and lose digits, so words alone suffice when they are long enough (`ENOUGH`).
Specificity, and with it which of several signs speaks: length of matched text, then enhanced, then status.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from typing import NamedTuple

from .model import Fault, Protocol, Reply, Sign, Stage, Step
from .noun import dataclass
from .plain import to_plain

Plain = Mapping[str, Sequence[str]]  # a `Match` in plain values

REMEMBERED = 500  # replies whose signs are kept
CUT = 24  # squashed characters of a text that suffice where the reply ends in the middle of it
ENOUGH = 16  # squashed characters of text that suffice without a code
NUMBER = 10  # what a number of the sign-in service counts beyond its length: it refines the OAuth error beside it

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


class _Told(NamedTuple):
    """What decides which signs a reply says, and where it was said."""

    text: str
    lines: tuple[str, ...]
    status: str
    enhanced: str
    stage: Stage | None
    fault: Fault | None


class _Said:
    """The same in the forms in which signs are compared: made once, asked by every sign."""

    def __init__(self, told: _Told) -> None:
        lines = " ".join(told.lines)
        self.told = told
        self.squashed = squash(told.text) + squash(lines)
        self.folded = " ".join(f"{told.text} {lines}".casefold().split())


class Signs:
    """All signs, ready to be asked. Built once per run; nothing is made before the first question.

    signs: each by its id; matches: their `match` as the files have it, where it is at hand before they are built.
    A sign is asked for only when its words, or its codes where it has no words, were said.
    """

    def __init__(self, signs: Mapping[str, Sign], matches: Mapping[str, Plain] | None = None) -> None:
        self.signs = signs
        self._given = matches
        self._weighed = lru_cache(REMEMBERED)(self._weigh)  # a log says the same thing ten thousand times
        self._cut_off = lru_cache(REMEMBERED)(self._begun)

    def make_ready(self) -> None:
        """Does now what the first question would wait for."""
        _ = self._text_of, self._word_of, self._silent

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
    def _parts(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return tuple({word: tuple(word.casefold().split()) for word, _ in self.words}.items())

    @cached_property
    def _silent(self) -> Mapping[str, Sequence[str] | None]:
        """The signs that have no words, with the faults that they are."""
        return {name: match.get("fault") for name, match in self._matches.items() if not _has_words(match)}

    @cached_property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """Every squashed text that suffices alone, with its sign's id, longest first."""
        return tuple(sorted((pair for pair in self._text_of if len(pair[0]) >= ENOUGH), key=lambda pair: -len(pair[0])))

    @cached_property
    def words(self) -> tuple[tuple[str, str], ...]:
        """Every whole word that suffices alone, with its sign's id."""
        return tuple((word, name) for name, match in self._matches.items() for word in match.get("word", ()))

    def words_in(self, folded: str) -> Iterable[str]:
        """The words that may stand in this folded text: all their parts do, wherever a line ends."""
        return (word for word, parts in self._parts if all(part in folded for part in parts))

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """Every text as it is written in the handbook."""
        return tuple(text for match in self._matches.values() for text in match.get("text", ()))

    def of_step(self, step: Step, protocol: Protocol | None = None) -> Iterator[Hit]:
        """The signs in a step that is not ok, most specific first. A nested reply speaks before its wrapper."""
        replies: list[Reply] = []
        reply = step.reply
        while reply:
            replies.insert(0, reply)
            reply = reply.inner
        for each in replies:
            hits = self.of_reply(each, protocol, step)
            if first := next(hits, None):
                return chain((first,), hits)
        return self.of_reply(Reply(), protocol, step)

    def of_reply(self, reply: Reply, protocol: Protocol | None = None, step: Step | None = None) -> Iterator[Hit]:
        """The signs that this one reply (not its inner one) says, most specific first.

        One after another, because the first one is mostly all that is asked for: it alone is built then.
        """
        protocol = protocol or reply.protocol
        stage, fault = (step.stage, step.fault) if step else (None, None)
        told = _Told(reply.text, reply.lines, reply.status, reply.enhanced, stage, fault)
        fitting = (pair for pair in self._weighed(told) if self._speaks(pair[0], protocol))
        hits = (Hit(self.signs[name], weight) for name, weight in fitting)
        first = next(hits, None)
        cut = self._cut_off(told, protocol) if _may_be_cut(reply) else None
        if cut and (first is None or cut.weight.text > first.weight.text):
            yield cut
        if first:
            yield first
        yield from hits

    def _speaks(self, name: str, protocol: Protocol | None) -> bool:
        own = self.signs[name].protocol
        return not (own and protocol) or own is protocol

    def _begun(self, told: _Told, protocol: Protocol | None) -> Hit | None:
        """The one sign whose text the reply ends in the middle of: web pages and logs cut what is long."""
        tail, found = squash(told.text).rstrip(".'\""), list[Hit]()
        for text, name in self._text_of:
            at = tail.rfind(text[:CUT]) if len(text) > CUT else -1
            begun = at >= 0 and text.startswith(tail[at:]) and _agrees(self._matches[name], told)
            if begun and self._speaks(name, protocol):
                found.append(Hit(self.signs[name], Weight(len(tail) - at)))
        found.sort(key=lambda hit: hit.weight, reverse=True)
        alone = len(found) == 1 or (len(found) > 1 and found[0].weight > found[1].weight)
        return found[0] if alone else None

    def _weigh(self, told: _Told) -> Sequence[tuple[str, Weight]]:
        """The ids of the signs that are said, whatever the protocol, most specific first."""
        said = _Said(told)
        weights = ((name, self._weight(name, said)) for name in self._candidates(said))
        found = [(name, weight) for name, weight in weights if weight is not None]
        return sorted(found, key=lambda pair: pair[1], reverse=True)

    def _candidates(self, said: _Said) -> Iterable[str]:
        """The ids, in order, of the signs whose words were said, and of those that have none and may fit."""
        told = said.told
        spoken = {name for text, name in self._text_of if text in said.squashed}
        spoken.update(name for word, name in self._word_of if word in said.folded)
        spoken.update(name for name, faults in self._silent.items() if not faults or told.fault in faults)
        return (name for name in self._matches if name in spoken)

    def _weight(self, name: str, said: _Said) -> Weight | None:
        """How specifically the sign is said; None where it is not."""
        match, told = self._matches[name], said.told
        stages = match.get("stage", ())
        if stages and told.stage not in stages:
            return None
        if faults := match.get("fault"):
            if told.fault not in faults:
                return None
            return Weight(self._length(name, said), 0, 0, 1, int(bool(stages)))
        text = self._length(name, said)
        enhanced = int(bool(told.enhanced) and code_fits(told.enhanced, match.get("enhanced", ())))
        status = int(bool(told.status) and code_fits(told.status, match.get("status", ())))
        if not _fits(match, text, enhanced, status):
            return None
        return Weight(text, enhanced, status, 0, int(bool(stages)))

    def _length(self, name: str, said: _Said) -> int:
        """How many squashed characters of the sign's text the reply holds (0: not said)."""
        match = self._matches[name]
        if not _has_words(match) or any(squash(also) not in said.squashed for also in match.get("also", ())):
            return 0
        lengths = [len(text) for text in self._texts[name] if text in said.squashed]
        lengths += [_worth(word) for word in match.get("word", ()) if has_word(said.folded, word)]
        return max(lengths, default=0)


def _worth(word: str) -> int:
    """What a word counts as: `AADSTS50076` more than `interaction_required`, which many numbers go with."""
    return len(word) + (NUMBER if word.startswith("AADSTS") else 0)


def _may_be_cut(reply: Reply) -> bool:
    """What ends with the server's name or a full stop is whole."""
    whole = reply.text.endswith(".") and not reply.text.endswith("..")
    return not (reply.server or whole or len(reply.text) < CUT)


def _agrees(match: Plain, told: _Told) -> bool:
    """Does the sign ask for nothing but its text, and does no code speak against it?"""
    if match.get("stage") or match.get("fault") or match.get("also"):
        return False
    codes = ((told.enhanced, match.get("enhanced")), (told.status, match.get("status")))
    return all(not said or not wanted or code_fits(said, wanted) for said, wanted in codes)


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


def _blanks(word: str) -> str:
    return r"\s{1,40}".join(map(re.escape, word.split(" ")))


_PATTERNS: dict[str, re.Pattern[str]] = {}


def word_pattern(word: str) -> re.Pattern[str]:
    """The word as a whole word, in any case."""
    if word not in _PATTERNS:
        _PATTERNS[word] = re.compile(rf"(?<![A-Za-z0-9]){_blanks(word)}(?![A-Za-z0-9])", re.IGNORECASE)
    return _PATTERNS[word]
