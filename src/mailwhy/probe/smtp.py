"""The SMTP dialogue: greeting, EHLO, STARTTLS, EHLO, AUTH, MAIL FROM. Straight-line; one sign-in, no retry.

`use` (MAIL FROM, then RSET) proves that the session is signed in, not that the account may send:
Exchange refuses send-as only after DATA (facts: smtp section 1).
"""

from __future__ import annotations

import re

from ..model import Credential, Fault, Reply, Stage, Tls
from ..net import Draft, Failed
from . import hello
from .sasl import asks_for_password, asks_for_user, b64, message, prompt
from .session import Session

LINE = re.compile(rb"[2-5]\d\d(?:([ -])|$)")
SOURCE = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f.:]*[.:][0-9A-Fa-f.:]*)\]")
PROMPTS = 3  # challenges answered in one AUTH; LOGIN needs two


async def talk(session: Session) -> None:
    """The whole dialogue. Returns or raises Over at its end; the recorder has the evidence."""
    async with session.greeting() as step:
        reply = step.reply = await _answer(session)
        step.ok = reply.status == "220"
        step.seen.update(host=hello.host(reply.text), software=hello.software(reply.text))
    await _ehlo(session)
    if session.target.tls is Tls.STARTTLS:
        await session.start_tls("STARTTLS", lambda: _ask(session, b"STARTTLS"), session.has("STARTTLS"), "220")
        await _ehlo(session)
    mechanism = _choose(session)
    credential = await session.ready(mechanism)
    async with session.stage(Stage.AUTH, f"AUTH {mechanism}") as step:
        step.seen["mechanism"] = mechanism
        reply = await _sign_in(session, step, str(mechanism), credential)
        _judge(step, reply)
    await _use(session, credential)


def goodbye(session: Session) -> None:
    """QUIT, not waited for."""
    session.wire.close(b"QUIT\r\n")


async def _ask(session: Session, command: bytes) -> Reply:
    session.wire.ask(command + b"\r\n")
    return await _answer(session)


async def _answer(session: Session) -> Reply:
    wire = session.wire
    while True:
        found = LINE.match(await wire.line())
        if not found:
            raise Failed(Fault.GARBLED, wire.reply())
        if found[1] != b"-":
            return wire.whole()


async def _ehlo(session: Session) -> None:
    async with session.stage(Stage.CAPABILITIES, "EHLO") as step:
        reply = step.reply = await _ask(session, b"EHLO " + session.way.ehlo.encode("ascii", "replace"))
        step.ok = reply.status == "250"
        if not step.ok:
            return
        first, *words = [line[4:].strip() for line in reply.lines]
        offers = [word.upper().replace("=", " ").split() for word in words]
        mechanisms = [name for offer in offers if offer[:1] == ["AUTH"] for name in offer[1:]]
        session.capabilities(step, words, list(dict.fromkeys(mechanisms)))
        step.seen["host"] = hello.host(first)
        if found := SOURCE.search(first):
            step.seen["source"] = found[1]


def _choose(session: Session) -> str | None:
    """The one mechanism to use: PLAIN spares a round trip, Exchange offers only LOGIN and XOAUTH2."""
    wanted = ("XOAUTH2",) if session.oauth else ("PLAIN", "LOGIN")
    return next((name for name in wanted if name in session.mechanisms), None)


async def _sign_in(session: Session, step: Draft, mechanism: str, credential: Credential) -> Reply:
    if mechanism == "LOGIN":
        return await _login(session, credential)
    reply = await _ask(session, b"AUTH " + mechanism.encode() + b" " + message(mechanism, credential))
    if reply.status == "334" and mechanism == "XOAUTH2":
        step.seen["challenge"] = session.wire.hidden(prompt(reply.text) or reply.text)
        session.wire.more(b"\r\n")  # the reason follows once the challenge is acknowledged
        reply = await _answer(session)
    return reply


async def _login(session: Session, credential: Credential) -> Reply:
    """AUTH LOGIN: the password answers a prompt that asks for it, and no other."""
    user = b64(credential.account.login or "")
    reply = await _ask(session, b"AUTH LOGIN " + user)
    for _ in range(PROMPTS):
        if reply.status != "334":
            return reply
        words = prompt(reply.text)
        if asks_for_password(words):
            session.wire.more(b64(credential.secret.reveal()) + b"\r\n")
            return await _answer(session)
        if not asks_for_user(words):
            break
        session.wire.more(user + b"\r\n")
        reply = await _answer(session)
    session.wire.more(b"*\r\n")
    raise Failed(Fault.GARBLED, reply)


def _judge(step: Draft, reply: Reply) -> None:
    """235 is success; 4xx and 5xx are refusals; anything else is no answer to AUTH."""
    step.reply = reply
    step.ok = reply.status == "235"
    if not step.ok and reply.status[:1] not in ("4", "5"):
        raise Failed(Fault.GARBLED, reply)


async def _use(session: Session, credential: Credential) -> None:
    sender = credential.account.sender or credential.account.mailbox or credential.account.login or ""
    if "@" not in sender:
        return  # nothing to send as; AUTH is all that can be shown
    async with session.stage(Stage.USE, "MAIL FROM") as step:
        command = b"MAIL FROM:<" + sender.encode() + b">"
        if any(char in sender for char in "<> ") or any(char < " " or char == "\x7f" for char in sender):
            raise Failed(Fault.UNENCODABLE, detail="the sender is not an address that SMTP can carry")
        if not sender.isascii():
            if not session.has("SMTPUTF8"):
                raise Failed(Fault.NOT_OFFERED, detail="the sender needs SMTPUTF8")
            command += b" SMTPUTF8"
        pipelined = b"\r\nRSET" if session.has("PIPELINING") else b""
        reply = step.reply = await _ask(session, command + pipelined)
        step.ok = reply.status == "250"
        if not pipelined:
            session.wire.more(b"RSET\r\n")
