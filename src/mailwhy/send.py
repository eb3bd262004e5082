"""Sends one small marked message, only when asked, so that send-as and outbound limits show. With aiosmtplib.

    await send(recorder, credential, way, "AUTH LOGIN"'s mechanism, recipient)   ->  one more step: use, "message"

Runs after a sign-in has worked, on a connection of its own: so it takes one more sign-in, with the same mechanism.
Never retries, never tries another mechanism (aiosmtplib's `login` would), never falls back to clear text. What
aiosmtplib raises may quote what was sent, so it ends here: only the server's answer, redacted, goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_LINES
from email.policy import SMTPUTF8 as SMTP_LINES_UTF8

import aiosmtplib

from . import __version__
from .model import Credential, Fault, Protocol, Reply, Stage, Tls
from .net import Draft, Failed, Over, Recorder, Way, dial, fault_of, look_up, trust
from .probe.sasl import asks_for_password, asks_for_user, b64, message, prompt
from .redact import Redactor
from .reply import parse

LABEL = "message"  # Step.sent of this step
GOODBYE = 2.0  # seconds for QUIT


async def send(recorder: Recorder, credential: Credential, way: Way, mechanism: str, recipient: str) -> None:
    """Adds the step to the recorder. Failures are its fault or reply; raises only CancelledError.

    `seen`: `at`, the command that was answered last; `to`; `message_id`.
    """
    limits = way.timeouts
    with contextlib.suppress(Over):
        async with recorder.stage(Stage.USE, LABEL, limits.connect + 6 * limits.reply + 2 * limits.auth) as step:
            step.seen.update(at="connection", to=recipient)
            await _Sending(recorder, credential, way, step).go(mechanism, recipient)


def text_for(sender: str, recipient: str, *, utf8: bool = False) -> tuple[str, bytes]:
    """The message: its id, and its bytes with CRLF. Marked as automatic, so that nobody's robot answers."""
    mail = EmailMessage(policy=SMTP_LINES_UTF8 if utf8 else SMTP_LINES)
    domain = sender.rpartition("@")[2]
    id_ = f"<mailwhy.{secrets.token_hex(8)}@{domain if domain.isascii() else 'mailwhy.invalid'}>"
    mail["From"] = sender  # text, since `headerregistry.Address` refuses foreign letters
    mail["To"] = recipient
    mail["Subject"] = "mailwhy: test message"
    mail["Date"] = datetime.now(UTC)
    mail["Message-ID"] = id_
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834
    mail["X-Auto-Response-Suppress"] = "All"  # the same, as Exchange reads it
    mail["X-Mailwhy"] = f"test; version={__version__}"
    mail.set_content("This message was sent by mailwhy, to see whether this account may send. It can be deleted.\n")
    return id_, mail.as_bytes()


class _Smtp(aiosmtplib.SMTP):
    """Ends at once, also where connecting fails: a graceful end of TLS would outlive this run."""

    def close(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()
        super().close()


class _Sending:
    """One connection, one sign-in, one message."""

    def __init__(self, recorder: Recorder, credential: Credential, way: Way, step: Draft) -> None:
        self.target, self.credential, self.way, self.step = recorder.target, credential, way, step
        self._redactor = Redactor(credential.secret.reveal(), credential.account.login)

    def __repr__(self) -> str:
        return "_Sending(***)"

    async def go(self, mechanism: str, recipient: str) -> None:
        """All of it. Raises Failed, OSError, TimeoutError."""
        sender = self.credential.account.sender or self.credential.account.login or ""
        if odd := next((a for a in (sender, recipient) if not _is_address(a)), None):
            raise Failed(Fault.UNENCODABLE, detail=f"{odd!r} is not an address that SMTP can carry")
        smtp = await self._connection()
        try:
            await self._dialogue(smtp, mechanism, sender, recipient)
        except aiosmtplib.SMTPException as why:
            raise self._failed(why) from None
        except OSError:  # also a certificate that fails, which is a ValueError as well
            raise
        except ValueError:  # aiosmtplib quotes what it would not send
            raise Failed(Fault.UNENCODABLE) from None
        finally:
            smtp.close()
            await asyncio.sleep(0)  # the loop closes an aborted socket in its next turn

    async def _connection(self) -> aiosmtplib.SMTP:
        """Dialled by our own rules: the same addresses, family, source and detour as the sign-in before."""
        host, port, limits = self.target.host or "", self.target.port or 0, self.way.timeouts
        name, number = self.way.connect_to.get((host, port), (host, port))
        sock = await dial(await look_up(name, number, self.way), self.way, {})
        return _Smtp(
            hostname=host,
            sock=sock,
            use_tls=self.target.tls is Tls.IMPLICIT,
            start_tls=False,  # said below, where it is not left to chance
            tls_context=trust(self.way.ca_file),
            local_hostname=self.way.ehlo,
            timeout=max(limits.reply, limits.auth),
        )

    async def _dialogue(self, smtp: aiosmtplib.SMTP, mechanism: str, sender: str, recipient: str) -> None:
        seen = self.step.seen
        await smtp.connect()
        await smtp.ehlo()
        if self.target.tls is Tls.STARTTLS:
            seen["at"] = "STARTTLS"
            if not smtp.supports_extension("starttls"):
                raise Failed(Fault.NOT_OFFERED)
            await smtp.starttls(server_hostname=self.target.host)
            await smtp.ehlo()
        seen["at"] = f"AUTH {mechanism}"
        await self._sign_in(smtp, mechanism)
        utf8 = not (sender + recipient).isascii()
        if utf8 and not smtp.supports_extension("smtputf8"):
            raise Failed(Fault.NOT_OFFERED, detail="the address needs SMTPUTF8")
        encoding, options = ("utf-8", ["SMTPUTF8"]) if utf8 else ("ascii", [])
        seen["message_id"], text = text_for(sender, recipient, utf8=utf8)
        seen["at"] = "MAIL FROM"
        await smtp.mail(sender, options=options, encoding=encoding)
        seen["at"] = "RCPT TO"
        await smtp.rcpt(recipient, encoding=encoding)
        seen["at"] = "DATA"
        response = await smtp.data(text)
        self.step.reply = self._reply(response.code, response.message)
        with contextlib.suppress(aiosmtplib.SMTPException):
            await smtp.quit(timeout=GOODBYE)

    async def _sign_in(self, smtp: aiosmtplib.SMTP, mechanism: str) -> None:
        """One mechanism, once. Not `auth_login`, which answers any prompt with the password."""
        name = mechanism.encode()
        if mechanism == "LOGIN":
            response = await smtp.execute_command(b"AUTH", name, b64(self.credential.account.login or ""))
            for _ in range(2):
                words = prompt(response.message)
                if response.code != 334 or not asks_for_user(words):
                    break
                response = await smtp.execute_command(b64(self.credential.account.login or ""))
            if response.code == 334 and asks_for_password(prompt(response.message)):
                response = await smtp.execute_command(b64(self.credential.secret.reveal()))
        else:
            response = await smtp.execute_command(b"AUTH", name, message(mechanism, self.credential))
            if response.code == 334 and mechanism == "XOAUTH2":
                response = await smtp.execute_command(b"")  # the reason follows once the challenge is acknowledged
        if response.code != 235:
            raise aiosmtplib.SMTPResponseException(response.code, response.message)

    def _failed(self, why: aiosmtplib.SMTPException) -> BaseException:
        """aiosmtplib's exception as ours: the server's answer, or the fault behind it; never its own text."""
        if isinstance(why, aiosmtplib.SMTPResponseException):
            if not 200 <= why.code <= 599:
                return Failed(Fault.GARBLED)
            self.step.reply, self.step.ok = self._reply(why.code, why.message), False
            return Over()
        if isinstance(why, aiosmtplib.SMTPTimeoutError):
            return Failed(Fault.TIMEOUT)
        cause = why.__cause__ or why.__context__
        if isinstance(cause, OSError):
            return Failed(fault_of(cause))
        return Failed(Fault.CLOSED)

    def _reply(self, code: int, text: str) -> Reply:
        """The answer as evidence: redacted, harmless, the code before each line as the server wrote it."""
        lines = text.split("\n")
        written = [f"{code}{' ' if number == len(lines) else '-'}{line}" for number, line in enumerate(lines, 1)]
        return parse(Protocol.SMTP, self._redactor.lines(written))


def _is_address(text: str) -> bool:
    local, sign, domain = text.rpartition("@")
    return bool(sign and local and domain) and not any(char <= " " or char in "<>\x7f" for char in text)
