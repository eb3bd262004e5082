"""Prose in lines. The standard library's `textwrap` can more, and takes longer to import than a report to write."""

from __future__ import annotations

_BLANKS = dict.fromkeys(map(ord, "\t\n\v\f\r"), " ")


def wrapped(words: str, width: int, first: str = "", rest: str | None = None) -> list[str]:
    """The words in lines of at most `width` columns, broken at blanks only: long addresses stay whole.

    first, rest: what stands in front of the first line and of the others (None: the same). A blank that must not be
    broken at is U+00A0; blanks that the words begin with are kept.
    """
    rest = first if rest is None else rest
    words = words.translate(_BLANKS).rstrip(" ")
    begun, *more = words.lstrip(" ").split(" ")
    lines, line = [], first + " " * (len(words) - len(words.lstrip(" "))) + begun
    for word in more:  # "" stands between two blanks
        if word and len(line) + 1 + len(word) > width:
            lines.append(line.rstrip(" "))
            line = rest + word
        else:
            line += f" {word}"
    return [*lines, line] if begun else []
