"""One connection of the mock: octets in, octets out, TLS, resets. Knows no mail protocol and no fault."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from typing import Any

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
        self.task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):  # what loop.create_server always gives
            raise TypeError("not a stream transport")
        self.transport = transport
        transport.pause_reading()
        self.task = asyncio.get_running_loop().create_task(self._serve(self))

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        self._news.set()
        if len(self._inbox) > HIGH_WATER:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._eof = True
        self._news.set()
        return self.tls == ""  # a half-closed client may still be answered, but not under TLS

    def connection_lost(self, exc: Exception | None) -> None:
        self._eof = self.lost = True
        self._news.set()
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
        found = self.transport.get_extra_info("ssl_object")
        return (found.version() or "") if found else ""

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
        self.transport.write(data)
        if not self._room.is_set():
            await self._room.wait()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """TLS, our side being the server. Raises GoneError where the handshake fails."""
        self._inbox.clear()
        self._news.clear()
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(self.transport, self, context, server_side=True)
        except (OSError, ssl.SSLError):
            raise GoneError from None
        if upgraded is None or self.lost:
            raise GoneError
        self.transport = upgraded

    def close(self) -> None:
        """An orderly end."""
        self.transport.close()

    def half_close(self) -> None:
        """Says that we shall send no more, and goes on listening (in clear only)."""
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def reset(self) -> None:
        """Ends with a TCP reset."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
