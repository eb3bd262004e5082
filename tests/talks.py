"""A scripted server on loopback: a dialogue is written as a transcript, and any departure from it fails the test.

S: 220 ready          sends this line with CRLF            R: b"bytes\\n"     sends these bytes as they are
C: EHLO [127.0.0.1]   expects this line; `...` at its end: any line that begins so
* tls | close | reset | gone        handshake; close; reset; wait until the client has gone
* any                               wait for anything (a ClientHello has no line end)
* drip b"x" | flood b"x"            these bytes again and again, slowly or as fast as they go, until the client has gone
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import functools
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme

from mailwhy.model import Account, Credential, Kind, Protocol, Secret, Target, Tls
from mailwhy.net import Timeouts, Way

HOST = "localhost"
LOGIN, SECRET = "user@contoso.test", "abcdefghijklmnop"


@functools.cache
def authority(name: str = "mailwhy tests") -> trustme.CA:
    """A throw-away certificate authority, one per name and process."""
    return trustme.CA(organization_name=name)


@functools.cache
def ca_file() -> str:
    """The authority that clients trust, as a file."""
    folder = TemporaryDirectory()
    _KEEP.append(folder)
    path = Path(folder.name, "ca.pem")
    authority().cert_pem.write_to_path(str(path))
    return str(path)


_KEEP: list[TemporaryDirectory[str]] = []


@functools.cache
def server_tls(leaf: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """The server's side; by default with a certificate for localhost that clients trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (leaf or authority().issue_cert(HOST, "127.0.0.1", common_name=HOST)).configure_cert(context)
    return context


@dataclass
class Server:
    """A running script. `got`: every line the client sent; `wrong`: where it left the script."""

    port: int = 0
    got: list[bytes] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    connections: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def target(self, protocol: Protocol, tls: Tls = Tls.NONE) -> Target:
        """This server as a target."""
        return Target(protocol, HOST, self.port, tls)

    @property
    def said(self) -> bytes:
        """All that the client sent, in one piece."""
        return b"".join(self.got)


@contextlib.asynccontextmanager
async def serve(
    script: str, *, implicit: bool = False, context: ssl.SSLContext | None = None, strict: bool = True
) -> AsyncIterator[Server]:
    """Serves this script to each connection on a port of its own; checks at the end that it was kept to."""
    server = Server()
    tasks: set[asyncio.Task[None]] = set()
    tls = context or server_tls()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        server.connections += 1
        try:
            if implicit:
                await writer.start_tls(tls)
            await _play(script, server, reader, writer, tls)
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            server.done.set()
            writer.transport.abort()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0, limit=2**20)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
        if server.connections and strict:
            await asyncio.wait_for(server.done.wait(), 10)
    finally:
        listener.close()
        for task in tasks:
            if not task.done():
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if strict:
        assert server.wrong == []


async def _play(
    script: str, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext
) -> None:
    pending = b""
    for line in (raw.strip() for raw in script.splitlines()):
        kind, _, rest = line.partition(" ")
        if kind in ("S:", "R:"):
            pending += rest.encode() + b"\r\n" if kind == "S:" else ast.literal_eval(rest)
            continue
        if pending:  # lines that follow each other leave in one segment
            writer.write(pending)
            await writer.drain()
            pending = b""
        if kind == "C:":
            got = await reader.readline()
            server.got.append(got)
            if not _fits(got, rest.encode()):
                server.wrong.append(f"expected {rest!r}, got {got!r}")
                return
        elif kind == "*":
            await _act(rest, server, reader, writer, tls)
    if pending:
        writer.write(pending)
        await writer.drain()
    if not writer.is_closing():
        await _act("gone", server, reader, writer, tls)


def _fits(got: bytes, expected: bytes) -> bool:
    if expected.endswith(b"..."):
        return got.startswith(expected[:-3])
    return got == expected + b"\r\n"


async def _act(
    what: str, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext
) -> None:
    if what == "tls":
        await writer.start_tls(tls)
    elif what == "gone":
        if rest := await reader.read():
            server.got.append(rest)
    elif what == "reset":
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    elif what == "close":
        writer.close()
    elif what == "any":
        await reader.read(1)
    elif what.startswith(("drip ", "flood ")):
        data = ast.literal_eval(what.partition(" ")[2])
        while not writer.is_closing():
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0.02 if what.startswith("drip") else 0)
    else:
        raise AssertionError(f"the script says {what!r}")


def credential(
    secret: str = SECRET, login: str = LOGIN, kind: Kind = Kind.PASSWORD, sender: str | None = None
) -> Credential:
    """Who signs in."""
    return Credential(Account(login, login, sender or login), kind, Secret(secret))


def way(seconds: float = 10.0, **changes: object) -> Way:
    """A way that trusts the tests' authority, with one limit for all stages."""
    given: dict[str, object] = {"ca_file": ca_file(), "timeouts": Timeouts.all(seconds), **changes}
    make: Callable[..., Way] = Way
    return make(**given)
