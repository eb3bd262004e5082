"""A mean server: it knows the secret and writes it, in every form, wherever a server may write anything."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from torture.canary import LOGIN, forms

from mailwhy.model import Protocol

REFUSAL = {Protocol.SMTP: b"535 5.7.3 %s", Protocol.IMAP: b"a2 NO %s", Protocol.POP: b"-ERR %s"}
LINE = {Protocol.SMTP: b"535-%s", Protocol.IMAP: b"* OK %s", Protocol.POP: b"-ERR %s"}


@dataclass
class Mean:
    """One running server. `when`: where it echoes: greeting, capabilities, auth, halves."""

    protocol: Protocol
    secret: str
    when: str = "auth"
    port: int = 0
    got: list[bytes] = field(default_factory=list)

    @property
    def option(self) -> str:
        """The value of --server."""
        return f"{self.protocol}=localhost:{self.port}/none"

    def echoes(self) -> list[bytes]:
        """Every form, as one line each."""
        return [form.replace(b"\r", b"").replace(b"\n", b"") for _, form in forms(self.secret, LOGIN)]

    def greeting(self) -> bytes:
        """The first line or lines."""
        said = b" ".join(self.echoes()) if self.when == "greeting" else b"mail.test ready"
        if self.protocol is Protocol.SMTP:
            lines = self.echoes() if self.when == "greeting" else []
            return b"".join(b"220-%s\r\n" % line for line in lines) + b"220 %s\r\n" % said
        return (b"* OK %s\r\n" if self.protocol is Protocol.IMAP else b"+OK %s\r\n") % said

    def capabilities(self) -> bytes:
        """What is offered; and, in `capabilities`, the echoes beside it."""
        words = self.echoes() if self.when == "capabilities" else []
        if self.protocol is Protocol.SMTP:
            return (
                b"250-mail.test\r\n"
                + b"".join(b"250-%s\r\n" % word for word in words)
                + b"250 AUTH LOGIN PLAIN XOAUTH2\r\n"
            )
        if self.protocol is Protocol.IMAP:
            return b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR LITERAL+ " + b" ".join(words) + b"\r\na1 OK done\r\n"
        return b"+OK\r\nUSER\r\nSASL PLAIN XOAUTH2\r\n" + b"".join(word + b"\r\n" for word in words) + b".\r\n"

    def refusal(self) -> bytes:
        """What it says to the password: the echoes, and each of them broken over two lines."""
        last = REFUSAL[self.protocol]
        if self.when == "halves":  # half of each at the end of one line, half at the start of the next
            lines = [part for echo in self.echoes() for part in (echo[: len(echo) // 2], echo[len(echo) // 2 :])]
        else:
            lines = self.echoes()
        if self.protocol is Protocol.POP:
            return last % b" ".join(lines) + b"\r\n"
        return (
            b"".join(LINE[self.protocol] % line + b"\r\n" for line in lines) + last % b" ".join(self.echoes()) + b"\r\n"
        )


async def _talk(mean: Mean, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        writer.write(mean.greeting())
        while line := await reader.readline():
            mean.got.append(line)
            for answer in _answers(mean, line.upper()):
                writer.write(answer)
            await writer.drain()
    writer.transport.abort()


def _answers(mean: Mean, line: bytes) -> Iterator[bytes]:
    if line.startswith((b"EHLO", b"A1 CAPABILITY", b"CAPA")):
        yield mean.capabilities()
    elif line.startswith(b"AUTH XOAUTH2 ") and mean.protocol is Protocol.SMTP:
        yield b"334 " + dict(forms(mean.secret))["AUTH PLAIN"] + b"\r\n"
    elif line.startswith(b"USER"):
        yield b"+OK\r\n"
    elif line == b"AUTH XOAUTH2\r\n" and mean.protocol is Protocol.POP:
        yield b"+ \r\n"
    elif not line.startswith((b"QUIT", b"A4 LOGOUT")):
        yield mean.refusal()


@contextlib.asynccontextmanager
async def mean_servers(secret: str, when: str) -> AsyncIterator[list[Mean]]:
    """One for each protocol."""
    servers = [Mean(protocol, secret, when) for protocol in Protocol]
    async with contextlib.AsyncExitStack() as stack:
        for mean in servers:

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mean: Mean = mean) -> None:
                await _talk(mean, reader, writer)

            listener = await stack.enter_async_context(await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**20))
            mean.port = listener.sockets[0].getsockname()[1]
        yield servers
