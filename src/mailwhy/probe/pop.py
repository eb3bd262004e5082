"""The POP dialogue: greeting, CAPA, STLS, USER and PASS (or AUTH in two lines), STAT. One sign-in, no retry.

AUTH XOAUTH2 in one line makes Exchange close the connection (facts: imap-pop 1.6), so the token has its own line.
"""

from __future__ import annotations

from ..model import Credential, Fault, Reply, Stage, Tls
from ..net import Draft, Failed
from . import hello
from .sasl import message, prompt
from .session import Session


async def talk(session: Session) -> None:
    """The whole dialogue. Returns or raises Over at its end; the recorder has the evidence."""
    async with session.greeting() as step:
        reply = await _answer(session)
        _judge(step, reply)
        step.seen.update(host=reply.server or "", software=hello.software(" ".join(reply.lines)))
    await _capa(session)
    if session.target.tls is Tls.STARTTLS:
        await session.start_tls("STLS", lambda: _ask(session, b"STLS"), session.has("STLS"), "+OK")
        await _capa(session)
    command = _choose(session)
    credential = await session.usable(command)
    user = b"USER " + (credential.account.login or "").encode()
    named = command == "USER/PASS" and not session.wire.gone
    if named:  # a name is no sign-in: its round trip is over when the permission comes
        session.wire.ask(user + b"\r\n")
    await session.permitted()
    async with session.stage(Stage.AUTH, str(command)) as step:
        step.seen["mechanism"] = str(command).rpartition(" ")[2]
        if command == "USER/PASS":
            step.seen["mechanism"] = "USER"
            reply = await (_answer(session) if named else _ask(session, user))
            if reply.status == "+OK":
                reply = await _ask(session, b"PASS " + credential.secret.reveal().encode())
        else:
            reply = await _auth(session, step, str(command).rpartition(" ")[2], credential)
        _judge(step, reply)
    async with session.stage(Stage.USE, "STAT") as step:
        _judge(step, await _ask(session, b"STAT"))


def goodbye(session: Session) -> None:
    """QUIT, not waited for."""
    session.wire.close(b"QUIT\r\n")


async def _ask(session: Session, command: bytes) -> Reply:
    session.wire.ask(command + b"\r\n")
    return await _answer(session)


async def _answer(session: Session) -> Reply:
    """One line: +OK or -ERR."""
    line = (await session.wire.line()).upper()
    reply = session.wire.whole()
    if not line.startswith((b"+OK", b"-ERR")):
        raise Failed(Fault.GARBLED, reply)
    return reply


async def _capa(session: Session) -> None:
    """CAPA, which an old server may refuse: then it offers nothing but USER and PASS."""
    async with session.stage(Stage.CAPABILITIES, "CAPA") as step:
        wire = session.wire
        wire.ask(b"CAPA\r\n")
        first = (await wire.line()).upper()
        if first.startswith(b"+OK"):
            while await wire.line() != b".":
                pass
        reply = step.reply = wire.whole()
        if not first.startswith((b"+OK", b"-ERR")):
            raise Failed(Fault.GARBLED, reply)
        words = [line.removeprefix(".").strip() for line in reply.lines[1:-1]] if reply.status == "+OK" else []
        sasl = [word.upper().split()[1:] for word in words if word.upper().startswith("SASL ")]
        session.capabilities(step, words, [name for names in sasl for name in names])


def _choose(session: Session) -> str | None:
    """The one way to use. USER/PASS unless CAPA lists other ways and leaves it out (RFC 2449)."""
    if session.oauth:
        return "AUTH XOAUTH2" if "XOAUTH2" in session.mechanisms else None
    if session.has("USER") or not session.words:
        return "USER/PASS"
    return "AUTH PLAIN" if "PLAIN" in session.mechanisms else None


async def _auth(session: Session, step: Draft, mechanism: str, credential: Credential) -> Reply:
    wire = session.wire
    wire.ask(b"AUTH " + mechanism.encode() + b"\r\n")
    if not (await wire.line()).startswith(b"+ ") and wire.reply().lines[-1].strip() != "+":
        return _checked(wire.whole())
    wire.whole()
    wire.more(message(mechanism, credential) + b"\r\n")
    line = await wire.line()
    reply = wire.whole()
    if line[:1] == b"+" and not line.upper().startswith(b"+OK"):
        said = reply.lines[-1][1:]
        step.seen["challenge"] = wire.hidden(prompt(said) or said)
        wire.more(b"\r\n" if mechanism == "XOAUTH2" else b"*\r\n")
        return await _answer(session)
    return _checked(reply)


def _checked(reply: Reply) -> Reply:
    if reply.status not in ("+OK", "-ERR"):
        raise Failed(Fault.GARBLED, reply)
    return reply


def _judge(step: Draft, reply: Reply) -> None:
    step.reply = reply
    step.ok = reply.status == "+OK"
