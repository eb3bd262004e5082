"""Takes the arguments of an IMAP command apart: atoms, quoted strings, literals, lists, sequence sets. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LITERAL = re.compile(rb"\{(?P<size>\d{1,10})(?P<plus>\+?)\}$")
SPECIAL = frozenset(b'(){ "')


class BadArgumentsError(ValueError):
    """What the client sent is no argument list: Exchange answers `Command Argument Error.`"""


@dataclass(frozen=True, slots=True)
class Text:
    """A string that was quoted or sent as a literal; an atom is plain bytes."""

    value: bytes


Token = bytes | Text | list["Token"]


def tokens(parts: Sequence[bytes | Text]) -> list[Token]:
    """The arguments in the pieces of a command: lines, with the literals that followed them in between."""
    stack: list[list[Token]] = [[]]
    for part in parts:
        if isinstance(part, Text):
            stack[-1].append(part)
            continue
        for token in _words(LITERAL.sub(b"", part)):
            if token == b"(":
                stack.append([])
            elif token == b")":
                if len(stack) < 2:
                    raise BadArgumentsError("unexpected )")
                done = stack.pop()
                stack[-1].append(done)
            else:
                stack[-1].append(token)
    if len(stack) != 1:
        raise BadArgumentsError("missing )")
    return stack[0]


def _words(line: bytes) -> Iterator[bytes | Text]:
    at = 0
    while at < len(line):
        char = line[at : at + 1]
        if char == b" ":
            at += 1
        elif char in (b"(", b")"):
            yield char
            at += 1
        elif char == b'"':
            text, at = _quoted(line, at + 1)
            yield text
        else:
            end = _atom(line, at)
            if end == at:  # `{` that begins no literal
                raise BadArgumentsError("an atom was expected")
            yield line[at:end]
            at = end


def _quoted(line: bytes, at: int) -> tuple[Text, int]:
    value = bytearray()
    while at < len(line):
        char = line[at]
        if char == 0x22:
            return Text(bytes(value)), at + 1
        if char == 0x5C:
            at += 1
            if at >= len(line):
                break
            char = line[at]
        value.append(char)
        at += 1
    raise BadArgumentsError("a quoted string that does not end")


def _atom(line: bytes, at: int) -> int:
    """The end of an atom; brackets hold what stands in them (`BODY[HEADER.FIELDS (FROM)]`)."""
    depth = 0
    while at < len(line):
        char = line[at]
        if char == 0x5B:
            depth += 1
        elif char == 0x5D:
            depth -= 1
        elif depth <= 0 and char in SPECIAL:
            break
        at += 1
    return at


def text(token: Token) -> str:
    """A token as a string. Raises BadArgumentsError for a list."""
    if isinstance(token, Text):
        return token.value.decode("utf-8", "replace")
    if isinstance(token, list):
        raise BadArgumentsError("a list where a string was expected")
    return token.decode("utf-8", "replace")


def numbers(spec: str, largest: int) -> list[tuple[int, int]]:
    """A sequence set as ranges. `*` is the largest. Raises BadArgumentsError."""
    ranges = []
    for part in spec.split(","):
        low, colon, high = part.partition(":")
        ends = [largest if end == "*" else number(end) for end in ((low, high) if colon else (low, low))]
        ranges.append((min(ends), max(ends)))
    return ranges


def number(word: str) -> int:
    """A number of at most ten digits, in ASCII. Raises BadArgumentsError."""
    if not (word.isascii() and word.isdigit()) or len(word) > 10:
        raise BadArgumentsError(f"{word!r} is no number")
    return int(word)
