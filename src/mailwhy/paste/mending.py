"""One reply as the server said it: on one line, with what programs did to it undone. Pure."""

from __future__ import annotations

import re
from itertools import chain, product, zip_longest

from ..reply import TRAILER, harmless
from ..shape import Shape
from ..signs import ENOUGH, Signs, squash
from .text import SOFT

MOST_LINES = 7  # of one wrapped reply
BRACKET = Shape(r"\[[\w.*=\s:-]{6,160}(?:\]|$)", holds=("[",))

_CLOSERS = (*"*\\'\"`,;({)}:", "code", "in")
_CLOSING = Shape(r"(?:\s*(?:\*\*|\\|['\"`,;]|\(\s*$|[({]$|\b(?:code|in)\b:?$|(?<=\s)[)}]+))+$")


def mend(piece: str, signs: Signs) -> str:
    """The reply on one line: wraps joined, a trailer broken over lines closed, words broken in the middle healed."""
    if "\n" in piece or SOFT in piece:
        piece = BRACKET.sub(lambda found: joined(found.group()), piece)
        squashed = squash(piece)
        for spelling in _spellings(signs):
            if spelling[0] in squashed:
                piece = spelling[1].pattern.sub(lambda found, text=spelling[2]: _respelt(found.group(), text), piece)  # type: ignore[misc]  # a lambda has no annotations
    line = " ".join(piece.split())
    if line.endswith(_CLOSERS):
        line = _CLOSING.sub("", line) or line
    return harmless(_closed(line))


def _closed(line: str) -> str:
    """Without the brackets of the wrapper, which were opened before the reply."""
    for left, right in ("()", "[]", "{}"):
        while line.rstrip(" .").endswith(right) and line.count(right) > line.count(left):
            line = line.rstrip(" .")[:-1].rstrip()
    return line


_SPELLINGS: dict[int, list[tuple[str, Shape, str]]] = {}


def _spellings(signs: Signs) -> list[tuple[str, Shape, str]]:
    if id(signs) not in _SPELLINGS:
        _SPELLINGS.clear()
        texts = {text for text in signs.spellings if len(squash(text)) >= ENOUGH}
        _SPELLINGS[id(signs)] = [
            (squash(text), Shape(r"\s*".join(map(re.escape, "".join(text.split()))), re.IGNORECASE), text)
            for text in sorted(texts)
        ]
    return _SPELLINGS[id(signs)]


def _respelt(pasted: str, text: str) -> str:
    return text if "\n" in pasted or SOFT in pasted else pasted


_ENDS = Shape(r"[\n\v]")


def joined(bracket: str) -> str:
    """A trailer on one line: every line end in it was a blank, or broke a word; the reading that makes it whole."""
    pieces = [" ".join(piece.split()) for piece in _ENDS.pattern.split(bracket)]
    blank = " ".join(pieces)
    if len(pieces) > MOST_LINES:
        return blank
    readings = (
        "".join(chain(*zip_longest(pieces, glue, fillvalue=""))) for glue in product((" ", ""), repeat=len(pieces) - 1)
    )
    return next((reading for reading in readings if _whole_trailer(reading)), blank)


def _whole_trailer(text: str) -> bool:
    found = TRAILER.match(text)
    return bool(found and found.end() == len(text))
