"""The standard library's mail clients, bent to one call: what does this server answer to this sign-in?

PLAIN and XOAUTH2 with an initial response only; the awkward rest is what mailwhy's own probes are for.
"""

from __future__ import annotations

import base64
import contextlib
import imaplib
import poplib
import smtplib
import ssl
from pathlib import Path

from mailwhy.model import Protocol, Target, Tls

LIMIT = 15.0  # seconds for every answer
Closed = (imaplib.IMAP4.abort, smtplib.SMTPServerDisconnected, ssl.SSLEOFError, ConnectionError)


def sign_in(target: Target, ca: Path, login: str, secret: str, mechanism: str = "PLAIN") -> str:
    """The server's last answer, or "" where it closed without one. Raises ssl.SSLError for a bad certificate."""
    context = ssl.create_default_context(cafile=str(ca))
    response = {"PLAIN": f"\0{login}\0{secret}", "XOAUTH2": f"user={login}\1auth=Bearer {secret}\1\1"}[mechanism]
    ask = {Protocol.SMTP: _smtp, Protocol.IMAP: _imap, Protocol.POP: _pop}[target.protocol]
    try:
        return ask(target, context, mechanism, response.encode())
    except Closed:
        return ""


def _smtp(target: Target, context: ssl.SSLContext, mechanism: str, response: bytes) -> str:
    host, port = _where(target)
    if target.tls is Tls.IMPLICIT:
        client: smtplib.SMTP = smtplib.SMTP_SSL(host, port, "client.test", timeout=LIMIT, context=context)
    else:
        client = smtplib.SMTP(host, port, "client.test", timeout=LIMIT)
    with contextlib.closing(client):
        if target.tls is Tls.STARTTLS:
            client.starttls(context=context)
        client.ehlo()
        code, text = client.docmd("AUTH", f"{mechanism} {base64.b64encode(response).decode()}")
        if code == 334:
            code, text = client.docmd("")
        return f"{code} {text.decode()}"


def _imap(target: Target, context: ssl.SSLContext, mechanism: str, response: bytes) -> str:
    host, port = _where(target)
    if target.tls is Tls.IMPLICIT:
        client: imaplib.IMAP4 = imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=LIMIT)
    else:
        client = imaplib.IMAP4(host, port, timeout=LIMIT)
    try:
        if target.tls is Tls.STARTTLS:
            client.starttls(context)
        answers = iter([response])
        try:
            status, data = client.authenticate(mechanism, lambda challenge: next(answers, b""))
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            return f"NO {error}"
        return f"{status} {data[0]!r}"
    finally:
        client.shutdown()


def _pop(target: Target, context: ssl.SSLContext, mechanism: str, response: bytes) -> str:
    host, port = _where(target)
    if target.tls is Tls.IMPLICIT:
        client: poplib.POP3 = poplib.POP3_SSL(host, port, timeout=LIMIT, context=context)
    else:
        client = poplib.POP3(host, port, timeout=LIMIT)
    with contextlib.closing(client):
        if target.tls is Tls.STARTTLS:
            client.stls(context)
        say = client._shortcmd  # type: ignore[attr-defined]  # poplib has no AUTH
        try:
            said = say(f"AUTH {mechanism}")
            said = say(base64.b64encode(response).decode())
            if said.startswith(b"+ "):
                said = say("")
        except poplib.error_proto as error:
            return "" if error.args == ("-ERR EOF",) else error.args[0].decode()
        return bytes(said).decode()


def _where(target: Target) -> tuple[str, int]:
    assert target.host
    assert target.port
    return target.host, target.port
