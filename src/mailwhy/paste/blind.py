"""Programs that hide what the server said: recognised by their own empty words (`knowledge/blind.toml`).

Their words are no signs: they mean nothing but that the reply is not in the text. Then the best help is the way to
the real line in that very program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..model import Blind, Notice
from ..signs import ENOUGH, squash, word_pattern
from .text import peel

MOST = 3  # notices; the first entries that fit say enough


def notices_for(text: str, blind: Mapping[str, Blind]) -> tuple[Notice, ...]:
    """That no reply is inside, and how to get it from the programs whose words stand in the text."""
    if not text.strip():
        return (Notice("no-reply", "There is no text to explain."),)
    first = Notice("no-reply", "There is no server reply in this text, and nothing else that names a cause.")
    found = [
        Notice(f"no-reply.{entry.id}", f"{entry.program}: {entry.how}", entry.source) for entry in _fit(text, blind)
    ]
    if not found:
        found = [Notice(f"no-reply.{entry.id}", entry.how, entry.source) for entry in blind.values() if not entry.words]
    return (first, *found[:MOST])


def _fit(text: str, blind: Mapping[str, Blind]) -> Iterator[Blind]:
    plain = peel(text)
    squashed = squash(plain)
    for entry in blind.values():
        if any(_stands(word, plain, squashed) for word in entry.words):
            yield entry


def _stands(word: str, plain: str, squashed: str) -> bool:
    """Short words and codes count as whole words only."""
    if len(squash(word)) < ENOUGH // 2:
        return bool(word_pattern(word).search(plain))
    return squash(word) in squashed
