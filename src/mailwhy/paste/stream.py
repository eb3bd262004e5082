"""Reads what is too long to be normalised whole: pieces of any size in, the few windows worth reading out.

A window is let through when it holds a code, or the words of a sign (in any order, one may be broken by a wrap).
The filter works on the set of a window's words, so it costs next to nothing where there is nothing to find.
Windows overlap, so that a reply at an edge is whole in one of them; each line is owned by one window only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..shape import Shape
from ..signs import Signs

LINES = 64  # lines a window moves on by
OVERLAP = 14  # lines that two windows share: a wrapped reply is rarely longer
LONGEST_LINE = 1 << 16  # characters after which a line without an end is cut


def windows(pieces: Iterable[str], signs: Signs) -> Iterator[tuple[int, str, range]]:
    """The windows worth reading: the number of the first line, the text, and the lines that this window owns."""
    filter_ = Filter(signs)
    for first, lines in _windows(_lines(pieces)):
        window = "\n".join(lines)
        if filter_(window):
            begin = first if first == 1 else first + OVERLAP // 2
            end = first + LINES + OVERLAP // 2 if len(lines) == LINES + OVERLAP else first + len(lines)
            yield first, window, range(begin, end)


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        lines = (rest + piece).split("\n")
        rest = lines.pop()
        yield from lines
        while len(rest) > LONGEST_LINE:
            yield rest[:LONGEST_LINE]
            rest = rest[LONGEST_LINE:]
    if rest:
        yield rest


def _windows(lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    first, window = 1, []
    for line in lines:
        window.append(line)
        if len(window) == LINES + OVERLAP:
            yield first, window
            first, window = first + LINES, window[LINES:]
    if len(window) > OVERLAP // 2 or first == 1:
        yield first, window


_CODE = Shape(r"[45]\.[0-7]\.\d{1,3}(?![\d.])")
_STATUS = Shape(r"[45][0-5]\d[ \-,][^\n]{0,160}")
_MAIL = Shape(
    r"auth|login|mail|client|relay|sender|credential|mechanism|password|access denied|connection|command", re.I
)
_LITERALS = ("-err", "aadsts", "* bye", "errorcode", "error code", "mailwhy/1")
_SPACE = {ord(mark): " " for mark in "\t\n\v\r.,;:!?&\"'`*()[]{}<>=/\\|#_-"}


class Filter:
    """Says whether something may have been said in a window. Built once; never wrong by saying no to a code."""

    def __init__(self, signs: Signs) -> None:
        self._by_word: dict[str, list[frozenset[str]]] = {}
        spellings = {*signs.spellings, *(word for word, _ in signs.words)}
        wanted = [words for text in spellings if (words := _words(text))]
        often: dict[str, int] = {}
        for words in wanted:
            for word in words:
                often[word] = often.get(word, 0) + 1
        for words in wanted:
            # two anchors: a wrap breaks one word at most
            for anchor in sorted(words, key=lambda word: (often[word], -len(word)))[:2]:
                self._by_word.setdefault(anchor, []).append(words)
        self._anchors = frozenset(self._by_word)

    def __call__(self, window: str) -> bool:
        if any(window[found.start() - 1 : found.start()] not in _IN_NUMBER for found in _CODE.pattern.finditer(window)):
            return True
        lower = window.casefold()
        if any(literal in lower for literal in _LITERALS) or " NO " in window or " BAD " in window:
            return True
        tokens = frozenset(lower.translate(_SPACE).split())
        for anchor in self._anchors & tokens:
            for words in self._by_word[anchor]:
                if len(words - tokens) <= (1 if len(words) > 3 else 0):
                    return True
        return any(
            not window[found.start() - 1 : found.start()].isalnum() and _MAIL.pattern.search(found.group())
            for found in _STATUS.pattern.finditer(window)
        )


_IN_NUMBER = frozenset("0123456789.=")


def _words(text: str) -> frozenset[str]:
    """The words of a sign's text that can be found as words (the first and the last may be cut off in `text`)."""
    return frozenset(word for word in text.casefold().translate(_SPACE).split() if len(word) > 2)
