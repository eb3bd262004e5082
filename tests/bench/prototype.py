"""The least that asyncio can do: the same three dialogues, bare. No evidence, no diagnosis, no limits, no errors.

prototype.py HOST CA LOGIN PASSWORD SMTP IMAP POP              one sign-in each, all at once
prototype.py HOST CA LOGIN PASSWORD - IMAP - COUNT PARALLEL    many, over IMAP alone
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import sys

LINE = 8192


class Wire(asyncio.Protocol):
    """Lines over TCP, and over TLS once it stands."""

    def __init__(self) -> None:
        self.tls: ssl.SSLObject | None = None
        self.inside, self.outside = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.buffer = bytearray()
        self.waiter: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.tls is None:
            self.buffer += data
        else:
            self.inside.write(data)
        if self.waiter and not self.waiter.done():
            self.waiter.set_result(None)

    def flush(self) -> None:
        """Writes what TLS has to say, and asks for acknowledgements at once (Linux)."""
        if self.outside.pending:
            self.transport.write(self.outside.read())
        sock = self.transport.get_extra_info("socket")
        if hasattr(socket, "TCP_QUICKACK"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    async def wait(self) -> None:
        """Until more arrives."""
        self.waiter = asyncio.get_running_loop().create_future()
        await self.waiter

    async def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """The handshake."""
        self.tls = context.wrap_bio(self.inside, self.outside, server_hostname=name)
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                await self.wait()
        self.flush()

    def say(self, data: bytes) -> None:
        """Sends."""
        if self.tls:
            self.tls.write(data)
            self.flush()
        else:
            self.transport.write(data)

    async def line(self) -> bytes:
        """The next line."""
        while (end := self.buffer.find(b"\n")) < 0:
            try:
                if self.tls:
                    self.buffer += self.tls.read(LINE)
                    continue
            except ssl.SSLWantReadError:
                pass
            await self.wait()
        line = bytes(self.buffer[: end + 1])
        del self.buffer[: end + 1]
        return line

    async def until(self, *starts: bytes) -> bytes:
        """The next line that begins so."""
        while not (line := await self.line()).startswith(starts):
            pass
        return line


async def dial(host: str, port: int) -> Wire:
    """A connected wire."""
    _, wire = await asyncio.get_running_loop().create_connection(Wire, host, port)
    return wire


async def smtp(
    host: str, port: int, context: ssl.SSLContext, plain: bytes, login: bytes, signed_in: asyncio.Event
) -> None:
    """EHLO, STARTTLS, EHLO, AUTH PLAIN, MAIL, RSET."""
    wire = await dial(host, port)
    await wire.until(b"220 ")
    for command, answer in ((b"EHLO [127.0.0.1]", b"250 "), (b"STARTTLS", b"220 ")):
        wire.say(command + b"\r\n")
        await wire.until(answer)
    await wire.start_tls(context, host)
    for command, answer in ((b"EHLO [127.0.0.1]", b"250 "), (b"AUTH PLAIN " + plain, b"235 ")):
        wire.say(command + b"\r\n")
        await wire.until(answer)
    signed_in.set()
    wire.say(b"MAIL FROM:<" + login + b">\r\nRSET\r\n")
    await wire.until(b"250 ")
    wire.say(b"QUIT\r\n")
    wire.transport.close()


async def imap(host: str, port: int, context: ssl.SSLContext, login: bytes, secret: bytes, go: asyncio.Event) -> None:
    """LOGIN, EXAMINE."""
    wire = await dial(host, port)
    await wire.start_tls(context, host)
    await wire.until(b"* OK")
    await go.wait()
    for tag, command in ((b"a ", b"LOGIN " + login + b" " + secret), (b"b ", b"EXAMINE INBOX")):
        wire.say(tag + command + b"\r\n")
        assert (await wire.until(tag)).startswith(tag + b"OK")  # a refusal would be quicker
    wire.say(b"c LOGOUT\r\n")
    wire.transport.close()


async def pop(host: str, port: int, context: ssl.SSLContext, login: bytes, secret: bytes, go: asyncio.Event) -> None:
    """CAPA, USER, PASS, STAT."""
    wire = await dial(host, port)
    await wire.start_tls(context, host)
    await wire.until(b"+OK")
    wire.say(b"CAPA\r\n")
    await wire.until(b".")
    wire.say(b"USER " + login + b"\r\n")
    await wire.until(b"+OK")
    await go.wait()
    for command in (b"PASS " + secret, b"STAT"):
        wire.say(command + b"\r\n")
        await wire.until(b"+OK")
    wire.say(b"QUIT\r\n")
    wire.transport.close()


async def main(host: str, ca: str, login: str, secret: str, *rest: str) -> None:
    """All three at once, or many of one."""
    context = ssl.create_default_context(cafile=ca)
    name, word = login.encode(), secret.encode()
    ports = rest[:3]
    if len(rest) == 3:
        go = asyncio.Event()
        plain = base64.b64encode(b"\0" + name + b"\0" + word)
        await asyncio.gather(
            smtp(host, int(ports[0]), context, plain, name, go),
            imap(host, int(ports[1]), context, name, word, go),
            pop(host, int(ports[2]), context, name, word, go),
        )
        return
    at_once = asyncio.Semaphore(int(rest[4]))
    go = asyncio.Event()
    go.set()

    async def one() -> None:
        async with at_once:
            await imap(host, int(ports[1]), context, name, word, go)

    await asyncio.gather(*(one() for _ in range(int(rest[3]))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
