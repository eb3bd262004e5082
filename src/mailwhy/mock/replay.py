"""A recorded session played as a server: a plain dialogue (`S:`, `C:`, `TLS` lines) or the JSON of a `mailwhy check`.

What the client says is not compared: for every `C:` one command is awaited, and after a `354` the whole message, up to
`C: .`. IMAP's answers carry the tags that this client gives. Recordings of `mailwhy relay` have this form. Pure, but
for `read`.

    # protocol: smtp
    S: 220 mail.example.org ready
    C: EHLO probe.test
    S: 250-mail.example.org
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 ready
    TLS
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..model import Protocol, Stage, Tls
from .talk import READ_LINE, START_TLS, Act, Dialogue, Say, Take

LITERAL = re.compile(rb"\{(\d{1,9})(\+?)\}$")
BDAT = re.compile(rb"^BDAT +(\d{1,9})()\b", re.IGNORECASE)
LARGEST = 1 << 20  # octets of a literal or a piece of a message that are waited for
UNKNOWN = "***"  # what the relay writes in place of a command that it does not know

# the evidence keeps no answer to STARTTLS; the tag of IMAP is the one that the check uses
GO_AHEAD = {"smtp": "220 2.0.0 SMTP server ready", "imap": "a1 OK Begin TLS negotiation now.", "pop": "+OK"}


class BadRecordingError(ValueError):
    """A file that is no recording; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded session: headers (`# name: value`), and pairs of who ("S", "C", "TLS", ...) and what."""

    protocol: Protocol
    lines: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def tls(self) -> Tls:
        """What its listener offers: implicit TLS is played in clear."""
        return Tls.STARTTLS if ("TLS", "") in self.lines else Tls.NONE

    def talk(self) -> Dialogue:
        """The server's side."""
        message = False  # does the client send one now?
        tags: dict[str, str] = {}  # IMAP: the recording's tags of commands without an answer yet -> this client's
        imap = self.protocol is Protocol.IMAP
        for who, what in self.lines:
            if who == "S":
                if imap and what.startswith("+") and not tags:
                    continue  # asks for a literal: `_command` does, where this client has one
                yield Say(f"{_answer(what, tags) if imap else what}\r\n".encode(), Stage.USE)
                message = self.protocol is Protocol.SMTP and what.startswith("354")
            elif who == "TLS":
                yield START_TLS
            elif not message or what == ".":
                line = (yield READ_LINE) if message else (yield from _command(imap=imap))
                while message and line not in (None, b"."):
                    line = yield READ_LINE
                if line is None:
                    return
                if imap and " " in what:
                    tags[what.split(" ")[0]] = line.split(b" ")[0].decode("ascii", "replace")


def _answer(what: str, tags: dict[str, str]) -> str:
    """The recorded answer, with the tag that this client gave its command."""
    tag, blank, rest = what.partition(" ")
    if tag in ("*", "+"):
        return what
    return tags.pop(tag if tag in tags else UNKNOWN, tag) + blank + rest


def _command(*, imap: bool) -> Generator[Act, bytes | None, bytes | None]:
    """One command of the client, with its literals (IMAP) or its piece of a message (BDAT); None when it has closed."""
    line = yield READ_LINE
    while line is not None and (found := (LITERAL if imap else BDAT).search(line)) and int(found[1]) <= LARGEST:
        if imap and not found[2]:
            yield Say(b"+ go ahead\r\n", Stage.USE)
        if (yield Take(int(found[1]))) is None:
            return None
        if not imap:
            return line
        more = yield READ_LINE
        line = None if more is None else line[: found.start()] + more
    return line


def read(path: Path) -> tuple[Recording, ...]:
    """The sessions in a file. Raises BadRecordingError, OSError."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadRecordingError(f"{path.name}: is not UTF-8 text") from None
    if text.lstrip().startswith("{"):
        try:
            return tuple(from_check(json.loads(text)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadRecordingError(f"{path.name}: is not the JSON of a mailwhy check") from None
    return (from_text(text, path.name),)


def from_text(text: str, name: str = "recording") -> Recording:
    """A plain dialogue."""
    headers: dict[str, str] = {}
    lines: list[tuple[str, str]] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if line.startswith("#"):
            key, colon, value = line[1:].partition(":")
            if colon:
                headers[key.strip()] = value.strip()
        elif line.strip() == "TLS":
            lines.append(("TLS", ""))
        elif line.strip():
            who, colon, what = line.partition(":")
            if not colon or who not in ("S", "C", "S~", "S+"):
                raise BadRecordingError(f"{name}: line {number}: expected S:, C: or TLS, got {line[:40]!r}")
            lines.append((who, what.removeprefix(" ")))
    return Recording(_protocol(headers, lines, name), tuple(lines), headers)


def _protocol(headers: Mapping[str, str], lines: Sequence[tuple[str, str]], name: str) -> Protocol:
    first = next((what for who, what in lines if who == "S"), "")
    guessed = "pop" if first.startswith("+OK") else "imap" if first.startswith("* ") else "smtp"
    try:
        return Protocol(headers.get("protocol", guessed))
    except ValueError:
        raise BadRecordingError(f"{name}: protocol must be smtp, imap or pop") from None


def from_check(data: Mapping[str, Any]) -> list[Recording]:
    """The sessions of a check: after each answer one line of the client is awaited."""
    found = []
    for diagnosis in data["diagnoses"]:
        lines: list[tuple[str, str]] = []
        for step in diagnosis["steps"]:
            reply = step.get("reply")
            if step["stage"] == "tls" and lines:
                said = reply["lines"] if reply else [GO_AHEAD[diagnosis["target"]["protocol"]]]
                lines += [("C", "STARTTLS"), *(("S", line) for line in said), ("TLS", "")]
                continue
            if reply and reply["lines"]:
                if lines or step["stage"] != "greeting":
                    lines.append(("C", step.get("sent", "")))
                lines += [("S", line) for line in reply["lines"]]
        if any(who == "S" for who, _ in lines):
            found.append(Recording(Protocol(diagnosis["target"]["protocol"]), tuple(lines)))
    return found
