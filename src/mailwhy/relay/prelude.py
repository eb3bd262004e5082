"""What the relay says itself: only where the TLS modes of the two sides differ, and only before TLS begins there.

    upgrade   to the server: EHLO and STARTTLS (STLS), where the app does not ask for TLS itself
    answer    to the app: that STARTTLS is offered, where the server is reached in another mode

Both end with the handshake; from then on every octet is the app's or the server's. Pure but for `upgrade`'s questions.
"""

from __future__ import annotations

from ..model import Fault, Protocol
from ..net import Failed
from .side import Side

NAME = "[127.0.0.1]"  # an address literal, which Exchange accepts (facts: smtp 2.6)
LONGEST = 64 * 1024
SIGN_IN = frozenset({"AUTH", "LOGIN", "AUTHENTICATE", "USER", "PASS"})
KNOWN = SIGN_IN | {"EHLO", "HELO", "STARTTLS", "STLS", "CAPABILITY", "CAPA", "QUIT", "LOGOUT", "NOOP", "ID", "MAIL"}

_UPGRADE = {
    Protocol.SMTP: (f"EHLO {NAME}\r\n", "STARTTLS\r\n"),
    Protocol.IMAP: ("R1 STARTTLS\r\n",),
    Protocol.POP: ("STLS\r\n",),
}


async def upgrade(server: Side, protocol: Protocol) -> bytes:
    """Asks the server for TLS; gives back its greeting, for the app. Raises Failed."""
    greeting = await _answer(server, protocol)
    if protocol is Protocol.SMTP and greeting[:1] != b"2":
        return greeting
    for command in _UPGRADE[protocol]:
        await server.write(command.encode())
        said = await _answer(server, protocol)
        if not said.upper().startswith((b"2", b"+OK", b"R1 OK")):
            raise Failed(Fault.NOT_OFFERED, detail="the server did not agree to STARTTLS")
    return greeting


async def _answer(server: Side, protocol: Protocol) -> bytes:
    """One whole answer."""
    said = b""
    while True:
        data = await server.read()
        if not data:
            raise Failed(Fault.CLOSED)
        said += data
        if len(said) > LONGEST:
            raise Failed(Fault.TOO_LONG)
        last = said.splitlines()[-1]
        if said.endswith(b"\n") and not (protocol is Protocol.SMTP and last[3:4] == b"-"):
            return said


def greeting(protocol: Protocol, said: bytes) -> bytes:
    """What the app hears first: the server's greeting, unless that lists what the other side can do."""
    listed = protocol is Protocol.IMAP and b"[CAPABILITY" in said.upper()
    return b"* OK mailwhy relay\r\n" if listed else said


def verb_of(protocol: Protocol, line: bytes) -> str:
    """The command in this line, "***" for one that is none: it may be anything."""
    words = line.split()[1 if protocol is Protocol.IMAP else 0 :]
    verb = words[0].decode("ascii", "replace").upper() if words else ""
    return verb if verb in KNOWN else "***"


def answer(protocol: Protocol, line: bytes) -> tuple[bytes, bool]:
    """What the app hears before TLS, and whether TLS begins now."""
    words = line.split()
    if protocol is Protocol.IMAP:
        return _imap(words)
    verb = words[0].upper() if words else b""
    if protocol is Protocol.POP:
        return _pop(verb)
    if verb in (b"EHLO", b"HELO"):
        return (b"250-mailwhy relay\r\n250 STARTTLS\r\n" if verb == b"EHLO" else b"250 mailwhy relay\r\n"), False
    if verb == b"STARTTLS":
        return b"220 2.0.0 mailwhy relay ready for TLS\r\n", True
    if verb == b"QUIT":
        return b"221 2.0.0 mailwhy relay\r\n", False
    return b"530 5.7.0 mailwhy relay: STARTTLS first\r\n", False


def _imap(words: list[bytes]) -> tuple[bytes, bool]:
    tag = words[0] if words else b"*"
    verb = words[1].upper() if len(words) > 1 else b""
    if verb == b"CAPABILITY":
        return b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n" + tag + b" OK mailwhy relay\r\n", False
    if verb == b"STARTTLS":
        return tag + b" OK mailwhy relay ready for TLS\r\n", True
    if verb == b"LOGOUT":
        return b"* BYE mailwhy relay\r\n" + tag + b" OK bye\r\n", False
    return tag + b" NO mailwhy relay: STARTTLS first\r\n", False


def _pop(verb: bytes) -> tuple[bytes, bool]:
    if verb == b"CAPA":
        return b"+OK mailwhy relay\r\nSTLS\r\n.\r\n", False
    if verb == b"STLS":
        return b"+OK mailwhy relay ready for TLS\r\n", True
    if verb == b"QUIT":
        return b"+OK mailwhy relay\r\n", False
    return b"-ERR mailwhy relay: STLS first\r\n", False
