"""FETCH and SEARCH over stored messages: what an item is, and whether a message fits. Pure."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable
from datetime import date, datetime
from email.message import Message as Email
from email.utils import getaddresses, parsedate_to_datetime
from typing import TypeVar

from .imap_args import BadArgumentsError, Text, Token, number, numbers, text
from .store import Message

SECTION = re.compile(
    rb"^BODY(?P<peek>\.PEEK)?\[(?P<section>[^\]]*)\](?:<(?P<from>\d{1,10})(?:\.(?P<size>\d{1,10}))?>)?$", re.IGNORECASE
)
MACROS = {
    "ALL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"],
    "FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"],
    "FULL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"],
}


def wanted(token: Token, uid: bool) -> list[str]:
    """The items of a FETCH, macros written out."""
    items = [text(each) for each in token] if isinstance(token, list) else [text(token)]
    items = [each for item in items for each in MACROS.get(item.upper(), [item])]
    return items if not uid or "UID" in (item.upper() for item in items) else ["UID", *items]


def marks_seen(items: list[str]) -> bool:
    """Does this FETCH set \\Seen?"""
    return any(
        item.upper() in ("RFC822", "RFC822.TEXT") or (item.upper().startswith("BODY[")) for item in items
    )  # BODY.PEEK and BODY do not


def fetch(message: Message, items: list[str]) -> bytes:
    """The parenthesised data of one message."""
    return b"(" + b" ".join(_item(message, item) for item in items) + b")"


def _item(message: Message, item: str) -> bytes:
    name = item.upper()
    simple: dict[str, Callable[[], str]] = {
        "UID": lambda: str(message.uid),
        "FLAGS": lambda: f"({' '.join(flags(message))})",
        "RFC822.SIZE": lambda: str(len(message.data)),
        "INTERNALDATE": lambda: f'"{message.at.strftime("%d-%b-%Y %H:%M:%S %z")}"',
    }
    if name in simple:
        return f"{name} {simple[name]()}".encode()
    if name in ("ENVELOPE", "BODY", "BODYSTRUCTURE"):
        parsed = email.message_from_bytes(message.data, policy=email.policy.compat32)
        value = _envelope(parsed) if name == "ENVELOPE" else _structure(parsed)
        return name.encode() + b" " + value
    if name in ("RFC822", "RFC822.HEADER", "RFC822.TEXT"):
        section = {"RFC822": b"", "RFC822.HEADER": b"HEADER", "RFC822.TEXT": b"TEXT"}[name]
        return name.encode() + b" " + _literal(_section(message.data, section))
    found = SECTION.match(item.encode())
    if not found:
        raise BadArgumentsError(f"{item!r} cannot be fetched")
    data = _section(message.data, found["section"])
    label = b"BODY[" + found["section"] + b"]"
    if found["from"] is not None:
        start = int(found["from"])
        data = data[start : start + int(found["size"])] if found["size"] else data[start:]
        label += b"<" + found["from"] + b">"
    return label + b" " + _literal(data)


def flags(message: Message) -> list[str]:
    """The flags as they are shown."""
    return sorted(message.flags) + (["\\Recent"] if message.recent else [])


def _literal(data: bytes) -> bytes:
    return b"{%d}\r\n" % len(data) + data


def _section(data: bytes, section: bytes) -> bytes:
    name, _, more = section.upper().partition(b" ")
    header, body = halves(data)
    if not name:
        return data
    if name == b"HEADER":
        return header
    if name == b"TEXT":
        return body
    if name in (b"HEADER.FIELDS", b"HEADER.FIELDS.NOT"):
        fields = more.strip(b"() ").split()
        return _fields(header, fields, keep=name == b"HEADER.FIELDS")
    return _part(data, section.decode("latin-1").upper())


def halves(data: bytes) -> tuple[bytes, bytes]:
    """Header with its blank line, and body; a part may have no header at all."""
    if data.startswith(b"\r\n"):
        return data[:2], data[2:]
    header, blank, body = data.partition(b"\r\n\r\n")
    return header + blank, body


def _fields(header: bytes, fields: list[bytes], keep: bool) -> bytes:
    lines = []
    inside = False
    for line in header.rstrip(b"\r\n").split(b"\r\n"):
        if line[:1] not in (b" ", b"\t"):
            inside = (line.partition(b":")[0].strip().upper().strip(b'"') in [f.strip(b'"') for f in fields]) is keep
        if inside:
            lines.append(line + b"\r\n")
    return b"".join(lines) + b"\r\n"


def _part(data: bytes, path: str) -> bytes:
    """`1`, `1.2`, `1.MIME`, `2.HEADER`: one part of a multipart message."""
    part: Email = email.message_from_bytes(data, policy=email.policy.compat32)
    words = path.split(".")
    while words and words[0].isdigit():
        place = number(words.pop(0))
        children = part.get_payload()
        if isinstance(children, list) and 1 <= place <= len(children):
            part = children[place - 1]  # type: ignore[assignment]  # of a multipart these are messages
        elif place != 1:
            return b""
    whole = part.as_bytes(policy=email.policy.SMTP)
    header, body = halves(whole)
    return header if words and words[0] in ("MIME", "HEADER") else body


def _string(value: str | None) -> bytes:
    if value is None:
        return b"NIL"
    raw = value.replace("\r", "").replace("\n", "").encode("utf-8", "replace")
    if any(byte > 126 or byte in b'"\\' for byte in raw):
        return _literal(raw)
    return b'"' + raw + b'"'


def _envelope(parsed: Email) -> bytes:
    def people(name: str, fallback: str = "") -> bytes:
        values = parsed.get_all(name) or (parsed.get_all(fallback) if fallback else None)
        if not values:
            return b"NIL"
        out = []
        for shown, address in getaddresses([str(value) for value in values]):
            user, _, host = address.partition("@")
            out.append(b"(" + b" ".join((_string(shown or None), b"NIL", _string(user), _string(host))) + b")")
        return b"(" + b"".join(out) + b")"

    def one(name: str) -> bytes:
        value = parsed.get(name)
        return _string(str(value) if value is not None else None)

    fields = (
        one("Date"), one("Subject"), people("From"), people("Sender", "From"), people("Reply-To", "From"),
        people("To"), people("Cc"), people("Bcc"), one("In-Reply-To"), one("Message-ID"),
    )  # fmt: skip
    return b"(" + b" ".join(fields) + b")"


def _structure(part: Email) -> bytes:
    if part.is_multipart():
        children = part.get_payload()
        inner = b"".join(_structure(child) for child in children if isinstance(child, Email))
        return b"(" + inner + b" " + _string(part.get_content_subtype().upper()) + b")"
    body = halves(part.as_bytes(policy=email.policy.SMTP))[1]
    pairs = part.get_params() or []
    named = [_string(str(word)) for pair in pairs[1:] for word in pair]
    fields = [
        _string(part.get_content_maintype().upper()),
        _string(part.get_content_subtype().upper()),
        b"(" + b" ".join(named) + b")" if named else b'("CHARSET" "us-ascii")',
        b"NIL",
        b"NIL",
        _string(str(part.get("Content-Transfer-Encoding", "7BIT")).upper()),
        b"%d" % len(body),
    ]
    if part.get_content_maintype() == "text":
        fields.append(b"%d" % body.count(b"\n"))
    return b"(" + b" ".join(fields) + b")"


Test = Callable[[int, Message], bool]


def search(args: list[Token], largest: int, largest_uid: int) -> Test:
    """The test that a SEARCH describes. Raises BadArgumentsError."""
    queue = list(args)
    if queue and _word(queue[0]) == "CHARSET":
        del queue[:2]
    tests = []
    while queue:
        tests.append(_key(queue, largest, largest_uid))
    return lambda number, message: all(test(number, message) for test in tests)


def _word(token: Token) -> str:
    return token.decode("latin-1").upper() if isinstance(token, bytes) else ""


def _key(queue: list[Token], largest: int, largest_uid: int) -> Test:
    token = queue.pop(0)
    if isinstance(token, list):
        return search(token, largest, largest_uid)
    word = _word(token)
    if word == "NOT":
        inner = _key(queue, largest, largest_uid)
        return lambda n, m: not inner(n, m)
    if word == "OR":
        one, other = _key(queue, largest, largest_uid), _key(queue, largest, largest_uid)
        return lambda n, m: one(n, m) or other(n, m)
    if word in _FLAG_KEYS:
        return _FLAG_KEYS[word]
    if word in _ARGUMENT_KEYS:
        if not queue:
            raise BadArgumentsError(word)
        return _ARGUMENT_KEYS[word](text(queue.pop(0)))
    if word == "HEADER":
        name, value = text(queue.pop(0)), text(queue.pop(0))
        return lambda _, m: _in_header(m, name, value)
    if word == "UID":
        ranges = numbers(text(queue.pop(0)), largest_uid)
        return lambda _, m: any(low <= m.uid <= high for low, high in ranges)
    if isinstance(token, Text):
        raise BadArgumentsError("a search key was expected")
    ranges = numbers(word, largest)
    return lambda n, _: any(low <= n <= high for low, high in ranges)


def _has(flag: str) -> Test:
    return lambda _, message: flag in message.flags


def _lacks(flag: str) -> Test:
    return lambda _, message: flag not in message.flags


_FLAG_KEYS: dict[str, Test] = {
    "ALL": lambda _, __: True,
    "RECENT": lambda _, m: m.recent,
    "NEW": lambda _, m: m.recent and "\\Seen" not in m.flags,
    "OLD": lambda _, m: not m.recent,
    **{flag.upper(): _has(f"\\{flag}") for flag in ("Seen", "Answered", "Flagged", "Deleted", "Draft")},
    **{f"UN{flag.upper()}": _lacks(f"\\{flag}") for flag in ("Seen", "Answered", "Flagged", "Deleted", "Draft")},
}


def _day(value: str) -> date:
    try:
        return datetime.strptime(value, "%d-%b-%Y").date()  # noqa: DTZ007 - a search date has no zone
    except ValueError:
        raise BadArgumentsError(value) from None


def _sent(message: Message) -> date:
    value = email.message_from_bytes(message.data).get("Date")
    try:
        return parsedate_to_datetime(str(value)).date()
    except ValueError:
        return message.at.date()


def _in_header(message: Message, name: str, value: str) -> bool:
    found = email.message_from_bytes(message.data).get_all(name) or []
    return any(value.casefold() in str(each).casefold() for each in found)


def _in_text(data: bytes, value: str) -> bool:
    return value.casefold() in data.decode("utf-8", "replace").casefold()


def _header_test(name: str) -> Callable[[str], Test]:
    return lambda value: lambda _, message: _in_header(message, name, value)


V = TypeVar("V")


def _with(read: Callable[[str], V], fits: Callable[[Message, V], bool]) -> Callable[[str], Test]:
    """A key whose argument is read at once: what is wrong is told in an empty folder, too."""

    def key(value: str) -> Test:
        wanted_value = read(value)
        return lambda _, message: fits(message, wanted_value)

    return key


_ARGUMENT_KEYS: dict[str, Callable[[str], Test]] = {
    **{name: _header_test(name) for name in ("FROM", "TO", "CC", "BCC", "SUBJECT")},
    "TEXT": lambda value: lambda _, m: _in_text(m.data, value),
    "BODY": lambda value: lambda _, m: _in_text(halves(m.data)[1], value),
    "LARGER": _with(number, lambda m, size: len(m.data) > size),
    "SMALLER": _with(number, lambda m, size: len(m.data) < size),
    "KEYWORD": lambda value: lambda _, m: value in m.flags,
    "UNKEYWORD": lambda value: lambda _, m: value not in m.flags,
    "SINCE": _with(_day, lambda m, day: m.at.date() >= day),
    "BEFORE": _with(_day, lambda m, day: m.at.date() < day),
    "ON": _with(_day, lambda m, day: m.at.date() == day),
    "SENTSINCE": _with(_day, lambda m, day: _sent(m) >= day),
    "SENTBEFORE": _with(_day, lambda m, day: _sent(m) < day),
    "SENTON": _with(_day, lambda m, day: _sent(m) == day),
}  # fmt: skip
