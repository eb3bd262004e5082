"""The IMAP dialogue: greeting, CAPABILITY, STARTTLS, LOGIN or AUTHENTICATE, EXAMINE INBOX. One sign-in, no retry.

EXAMINE is the `use` stage: "User is authenticated but not connected" shows only there (facts: imap-pop 1.4).
"""

from __future__ import annotations

import re

from ..model import Credential, Fault, Reply, Stage, Tls
from ..net import Draft, Failed
from ..wire import TOTAL
from . import hello
from .sasl import message, prompt
from .session import Session

STATUS = re.compile(rb"(\S+) (OK|NO|BAD|BYE|PREAUTH)\b", re.IGNORECASE)
LITERAL = re.compile(rb"\{(\d+)\+?\}$")
IN_GREETING = re.compile(r"\[CAPABILITY ([^\]]*)\]", re.IGNORECASE)
LISTED = re.compile(r"\* CAPABILITY (.*)", re.IGNORECASE)
QUOTABLE = re.compile(r"[\x20-\x7e]{0,900}")  # what a quoted string may hold, and a line bear
NON_SYNC = 4096  # bytes a LITERAL- server takes without being asked (RFC 7888)


async def talk(session: Session) -> None:
    """The whole dialogue. Returns or raises Over at its end; the recorder has the evidence."""
    async with session.greeting() as step:
        await _greeting(session, step)
    reply = step.reply
    if reply and (found := IN_GREETING.search(" ".join(reply.lines))):
        async with session.stage(Stage.CAPABILITIES) as listed:
            _note(session, listed, found[1])
    else:
        await _capability(session)
    if session.target.tls is Tls.STARTTLS:
        await session.start_tls("STARTTLS", lambda: _ask(session, "a1", b"STARTTLS"), session.has("STARTTLS"), "OK")
        await _capability(session)
    command = _choose(session)
    credential = await session.ready(command)
    async with session.stage(Stage.AUTH, str(command)) as step:
        step.seen["mechanism"] = str(command).rpartition(" ")[2]
        if command == "LOGIN":
            reply = await _login(session, credential)
        else:
            reply = await _authenticate(session, step, str(command).rpartition(" ")[2], credential)
        _judge(step, reply)
    async with session.stage(Stage.USE, "EXAMINE INBOX") as step:
        _judge(step, await _ask(session, "a3", b"EXAMINE INBOX"))


def goodbye(session: Session) -> None:
    """LOGOUT, not waited for."""
    session.wire.close(b"a4 LOGOUT\r\n")


async def _greeting(session: Session, step: Draft) -> None:
    found = STATUS.match(await session.wire.line())
    reply = step.reply = session.wire.whole()
    status = found[2].upper() if found and found[1] == b"*" else b""
    if status not in (b"OK", b"BYE"):  # PREAUTH as well: there is no signing in, and no STARTTLS, after it
        raise Failed(Fault.GARBLED, reply)
    step.ok = status == b"OK"
    step.seen.update(host=reply.server or "", software=hello.software(" ".join(reply.lines)))


async def _ask(session: Session, tag: str, command: bytes) -> Reply:
    session.wire.ask(tag.encode() + b" " + command + b"\r\n")
    return await _answer(session, tag)


async def _answer(session: Session, tag: str, *, may_continue: bool = False) -> Reply:
    """The tagged answer with all that came before it; or a `+` line where one is expected (status "")."""
    wire, loose = session.wire, False
    while True:
        line = await wire.line()
        found = STATUS.match(line)
        if found and found[1].lower() == tag.encode():
            return wire.whole()
        if may_continue and line[:1] == b"+":
            return wire.whole()
        if line[:2] != b"* " and not loose:
            raise Failed(Fault.GARBLED, wire.reply())
        if literal := LITERAL.search(line):
            if len(literal[1]) > len(str(TOTAL)) or int(literal[1]) > TOTAL:
                raise Failed(Fault.TOO_LONG)
            loose = True  # what follows is data, in lines of any form


async def _capability(session: Session) -> None:
    async with session.stage(Stage.CAPABILITIES, "CAPABILITY") as step:
        reply = await _ask(session, "a1", b"CAPABILITY")
        _judge(step, reply)
        listed = [found[1] for line in reply.lines if (found := LISTED.match(line))]
        _note(session, step, " ".join(listed))


def _note(session: Session, step: Draft, listed: str) -> None:
    words = listed.split()
    session.capabilities(step, words, [word[5:] for word in words if word.upper().startswith("AUTH=")])


def _choose(session: Session) -> str | None:
    """The one command to use. LOGIN needs no offer but must not be disabled (RFC 3501)."""
    if session.oauth:
        return "AUTHENTICATE XOAUTH2" if "XOAUTH2" in session.mechanisms else None
    if not session.has("LOGINDISABLED"):
        return "LOGIN"
    return "AUTHENTICATE PLAIN" if "PLAIN" in session.mechanisms else None


async def _login(session: Session, credential: Credential) -> Reply:
    """LOGIN with quoted strings, or with literals where a quoted string cannot hold the value."""
    parts = [b"a2 LOGIN "]
    for number, value in enumerate((credential.account.login or "", credential.secret.reveal())):
        parts[-1] += b" " if number else b""
        if QUOTABLE.fullmatch(value):
            parts[-1] += b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
            continue
        data = value.encode()
        if session.has("LITERAL+") or (session.has("LITERAL-") and len(data) <= NON_SYNC):
            parts[-1] += b"{%d+}\r\n" % len(data) + data
        else:
            parts[-1] += b"{%d}" % len(data)
            parts.append(data)
    parts[-1] += b"\r\n"
    return await _in_parts(session, parts)


async def _in_parts(session: Session, parts: list[bytes]) -> Reply:
    """Sends each part when the server has asked for it."""
    first, *rest = parts
    session.wire.ask(first if not rest else first + b"\r\n")
    for number, part in enumerate(rest, 1):
        reply = await _answer(session, "a2", may_continue=True)
        if not reply.lines[-1].startswith("+"):
            return reply
        session.wire.more(part if number == len(rest) else part + b"\r\n")
    return await _answer(session, "a2")


async def _authenticate(session: Session, step: Draft, mechanism: str, credential: Credential) -> Reply:
    command, blob = b"AUTHENTICATE " + mechanism.encode(), message(mechanism, credential)
    if session.has("SASL-IR"):
        session.wire.ask(b"a2 " + command + b" " + blob + b"\r\n")
    else:
        session.wire.ask(b"a2 " + command + b"\r\n")
        reply = await _answer(session, "a2", may_continue=True)
        if not reply.lines[-1].startswith("+"):
            return reply
        session.wire.more(blob + b"\r\n")
    reply = await _answer(session, "a2", may_continue=True)
    if reply.lines[-1].startswith("+"):
        said = reply.lines[-1][1:]
        step.seen["challenge"] = session.wire.hidden(prompt(said) or said)
        session.wire.more(b"\r\n" if mechanism == "XOAUTH2" else b"*\r\n")
        reply = await _answer(session, "a2")
    return reply


def _judge(step: Draft, reply: Reply) -> None:
    step.reply = reply
    step.ok = reply.status == "OK"
