"""Takes one server answer apart, in any protocol: the one place where that is done, for check, explain and mock.

In: the lines of one answer (or one line of a paste). Out: `Reply`. Never raises, whatever the bytes were.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from .model import Protocol, Reply
from .shape import Shape, fold

# `[SERVER]` until 2022, `[SERVER 2023-09-12T20:59:57.214Z 08DBB276B7E699C4]` since, `[Hostname=SERVER]` after DATA
TRAILER = Shape(
    r"\[\s*(?![Xx*.]+\])(?:Hostname=)?(?P<server>[A-Za-z0-9_*.-]*[A-Za-z][A-Za-z0-9_*-]*(?:\.[A-Za-z0-9_*-]+)+)"
    r"(?:\s+(?P<time>\d{4}-\d{2}-\d{2}T[0-9:.]+Z?))?(?:\s+(?P<session>[0-9A-Fa-f]{12,16}))?\s*\]?",
    holds=("[",),
)
SMTP_LINE = re.compile(r"^\s*(?P<status>[2-5]\d\d)(?!\d)(?P<more>[ \-]?)(?P<rest>.*)$", re.DOTALL)
ENHANCED = re.compile(r"^\s*(?P<code>[245]\.\d{1,3}\.\d{1,3})(?![\d.])[\s:;,-]*")
NESTED = Shape(r"\bError:\s*(?P<reply>[45]\d\d[ \-]+.*)$", re.DOTALL | re.IGNORECASE, ("error:",))
IMAP_LINE = Shape(r"^\s*(?P<tag>\S+)\s+(?P<status>OK|NO|BAD|BYE|PREAUTH)\b\s*(?P<rest>.*)$", re.DOTALL | re.IGNORECASE)
GUESSED_IMAP = Shape(r"^\s*[^\s:]+\s+(?:OK|NO|BAD|BYE|PREAUTH)\b")  # prose says "No", and a colon ends no tag
POP_LINE = Shape(r"^\s*(?P<status>\+OK|-ERR)\b\s*(?P<rest>.*)$", re.DOTALL | re.IGNORECASE, ("+", "-"))
GREETING_ID = Shape(r"\[(?P<session>[0-9A-F]{16})\]\s*$", holds=("[",))
ENCODED_NAME = Shape(r"\[(?P<name>[A-Za-z0-9+/]{16,}={0,2})\]", holds=("[",))


def harmless(text: str) -> str:
    """The text with control characters, terminal escapes and bidirectional controls made visible.

    What a server sends must never act on a terminal: C0 and C1 (but for tab), DEL, bidi and zero-width
    characters and lone surrogates become `\\xNN` or `\\uNNNN`.
    """
    if text.isascii():
        return text if text.isprintable() else text.translate(_CONTROLS)
    return _unsafe().sub(_escape, text)


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(10, 32), 127)}


@functools.cache
def _unsafe() -> re.Pattern[str]:
    return re.compile(
        r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
        r"|[\U000e0000-\U000e007f]"
    )


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def decode(line: bytes) -> str:
    """One received line as harmless text: UTF-8 where it is, Latin-1 where it is not; no line end."""
    line = line.rstrip(b"\r\n")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode("latin-1")
    return harmless(text)


def parse(protocol: Protocol | None, lines: Iterable[str] | str) -> Reply:
    """The reply in these lines. A status that is not there is "": pastes often lose it.

    With `protocol` None, the shape of the first line decides (`-ERR`, `a1 NO`, `535`).
    """
    raw = (lines,) if isinstance(lines, str) else tuple(lines)
    protocol = protocol or _shape(raw[0] if raw else "")
    if protocol is Protocol.IMAP:
        return _parse_words(Protocol.IMAP, IMAP_LINE, raw)
    if protocol is Protocol.POP:
        return _parse_words(Protocol.POP, POP_LINE, raw)
    return _parse_smtp(protocol, raw)


def _shape(line: str) -> Protocol | None:
    if POP_LINE.match(line):
        return Protocol.POP
    if SMTP_LINE.match(line) or ENHANCED.match(line):
        return Protocol.SMTP
    return Protocol.IMAP if GUESSED_IMAP.match(line) else None


def _parse_smtp(protocol: Protocol | None, raw: tuple[str, ...]) -> Reply:
    status, enhanced, words = "", "", []
    for line in raw:
        rest = line
        if found := SMTP_LINE.match(line):
            status, rest = found["status"], found["rest"]
        if found := ENHANCED.match(rest):
            enhanced = enhanced or found["code"]
            rest = rest[found.end() :]
        words.append(rest)
    text = " ".join(words)
    inner = None
    if found := NESTED.search(text, fold(text)):
        inner = _parse_smtp(protocol, (found["reply"],))
        text = text[: found.start()]
    return _finish(protocol, status, enhanced, text, raw, inner)


def _parse_words(protocol: Protocol, shape: Shape, raw: tuple[str, ...]) -> Reply:
    status, words = "", []
    for line in raw:
        if found := shape.match(line):
            status, rest = found["status"].upper(), found["rest"]
            words = [rest]  # untagged data before the tagged answer is kept in `lines` only
        else:
            words.append(line)
    return _finish(protocol, status, "", " ".join(words), raw, None)


def _finish(
    protocol: Protocol | None, status: str, enhanced: str, text: str, raw: tuple[str, ...], inner: Reply | None
) -> Reply:
    server = time = session = None
    if found := TRAILER.find(text):
        server, time, session = found["server"], found["time"], found["session"]
        text = text[: found.start()] + text[found.end() :]
    elif found := GREETING_ID.find(text):
        session = found["session"]
        text = text[: found.start()]
    elif (found := ENCODED_NAME.find(text)) and (name := front_end(found["name"])):
        server = name
        text = text[: found.start()] + text[found.end() :]
    return Reply(protocol, status, enhanced, " ".join(text.split()), raw, server, time, session, inner)


def front_end(encoded: str) -> str | None:
    """The host name in the bracket of an IMAP or POP greeting: base64 of UTF-16LE (facts: imap-pop 1.12)."""
    import binascii

    try:
        name = binascii.a2b_base64(encoded, strict_mode=True).decode("utf-16-le")
    except (binascii.Error, ValueError):
        return None
    return name if re.fullmatch(r"[A-Za-z0-9.-]{4,255}", name) else None
