"""One connection of the mock: octets in, octets out, TLS, resets. Knows no mail protocol and no fault."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Coroutine
from typing import Any

CHUNK = 16 * 1024
LINGER = "hh" if sys.platform == "win32" else "ii"  # how the system writes `struct linger`
HANDSHAKE = 60.0  # seconds
HIGH_WATER = 256 * 1024  # octets that wait unread before we stop reading


class GoneError(Exception):
    """The client has left while we had something to say."""


class Wire(asyncio.Protocol):
    """One accepted connection; `serve` is started as a task for it.

    Reading is paused until the first `read` or `start_tls`, so that a ClientHello is not taken for text.
    """

    def __init__(self, serve: Callable[[Wire], Coroutine[Any, Any, None]]) -> None:
        self._serve = serve
        self._inbox = bytearray()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._eof = False
        self.lost = False
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._shaken = asyncio.Event()
        self._failed = False
        self.task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):  # what loop.create_server always gives
            raise TypeError("not a stream transport")
        self.transport = transport
        transport.pause_reading()
        self.task = asyncio.get_running_loop().create_task(self._serve(self))

    def data_received(self, data: bytes) -> None:
        if self._tls is None:
            self._arrived(data)
        else:
            self._incoming.write(data)
            self._turn()

    def eof_received(self) -> bool:
        self._eof = True
        self._news.set()
        return self._tls is None  # a half-closed client may still be answered, but not under TLS

    def _arrived(self, data: bytes) -> None:
        self._inbox += data
        self._news.set()
        if len(self._inbox) > HIGH_WATER:
            self.transport.pause_reading()

    def _turn(self) -> None:
        """Lets TLS work on what has come: the handshake, then the octets."""
        if self._tls is None:
            return
        try:
            if not self._shaken.is_set():
                self._tls.do_handshake()
                self._shaken.set()
            while data := self._tls.read(CHUNK):
                self._arrived(data)
            self._eof = True
            self._news.set()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLError:  # the alert that says so is still sent
            self._failed = self._eof = True
            self._shaken.set()
            self._news.set()
        if out := self._outgoing.read():
            self.transport.write(out)

    def connection_lost(self, exc: Exception | None) -> None:
        self._eof = self.lost = True
        self._news.set()
        self._shaken.set()
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    @property
    def peer(self) -> str:
        """The client's address."""
        name = self.transport.get_extra_info("peername")
        return str(name[0]) if name else ""

    @property
    def tls(self) -> str:
        """ "" in clear, else the version of TLS."""
        return (self._tls.version() or "") if self._tls else ""

    async def read(self) -> bytes:
        """What has come; b"" when the client has closed its side (`closed`), or when `poke` was called."""
        self.transport.resume_reading()
        await self._news.wait()
        self._news.clear()
        data = bytes(self._inbox)
        self._inbox.clear()
        if self._eof:
            self._news.set()
        return data

    @property
    def closed(self) -> bool:
        """The client has closed its side."""
        return self._eof

    def poke(self) -> None:
        """Ends a waiting `read`: something has happened that the client should hear of."""
        self._news.set()

    async def write(self, data: bytes) -> None:
        """Sends; waits while the client does not take it. Raises GoneError."""
        if self.lost or self.transport.is_closing():
            raise GoneError
        if self._tls is None:
            self.transport.write(data)
        else:
            try:
                self._tls.write(data)
            except ssl.SSLError:
                raise GoneError from None
            self.transport.write(self._outgoing.read())
        if not self._room.is_set():
            await self._room.wait()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """TLS, our side being the server; what came in clear is dropped. Raises GoneError where the handshake fails.

        Ours and not asyncio's, which closes without the alert that tells the client why.
        """
        self._inbox.clear()
        self._news.clear()
        self._shaken.clear()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.transport.resume_reading()
        try:
            async with asyncio.timeout(HANDSHAKE):
                await self._shaken.wait()
        except TimeoutError:
            raise GoneError from None
        if self._failed or self.lost:
            raise GoneError

    def close(self) -> None:
        """An orderly end."""
        if self._tls is not None and not self.lost and not self._failed:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()  # our close_notify; the client's is not waited for
            self.transport.write(self._outgoing.read())
        self.transport.close()

    def half_close(self) -> None:
        """Says that we shall send no more, and goes on listening (in clear only)."""
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def reset(self) -> None:
        """Ends with a TCP reset."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(LINGER, 1, 0))
        self.transport.abort()
