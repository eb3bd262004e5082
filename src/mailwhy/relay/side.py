"""One connection of the relay: octets in, octets out, TLS at any moment, and no more memory than `HIGH` a direction.

TLS runs over memory BIOs, so the first octets of a handshake can be read along and what arrived too early is at
hand. Knows no mail protocol and keeps nothing of what passes, but for the opening octets.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import cast

HIGH = 64 * 1024  # octets that wait unread before the sender is held up
PIECE = 16 * 1024  # one TLS record
OPENING = 4096  # first octets kept: a ClientHello


class Side(asyncio.Protocol):
    """Made by `create_server` or `create_connection`; one reader, one writer."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.tls: ssl.SSLObject | None = None
        self.secured = False
        self.opening = b""  # first octets since the connection, or since a handshake was expected
        self.why: BaseException | None = None  # why it ended, where that was not orderly
        self._inbox = bytearray()
        self._ended = False
        self._paused = False
        self._news: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=HIGH)

    def data_received(self, data: bytes) -> None:
        if len(self.opening) < OPENING and not self.secured:
            self.opening += data[:OPENING]
        if self.tls is None:
            self._inbox += data
        else:
            self._incoming.write(data)
            self._pump()
        if len(self._inbox) > HIGH and self.transport and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._end(None)
        return self.tls is None  # half a clear-text connection may live on, half a TLS one may not

    def connection_lost(self, why: Exception | None) -> None:
        self._end(why)
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    # --- what a session calls

    @property
    def peer(self) -> str:
        """The other side's address, "" where it has left already."""
        name = self.transport.get_extra_info("peername") if self.transport else None
        return str(name[0]) if name else ""

    @property
    def ended(self) -> bool:
        """The other side will send no more."""
        return self._ended

    @property
    def gone(self) -> bool:
        """Nothing can be sent any more."""
        return self.transport is None or self.transport.is_closing()

    async def read(self) -> bytes:
        """What has arrived; b"" when no more will come."""
        while not self._inbox and not self._ended:
            await self._wait()
        data = bytes(self._inbox)
        self._inbox.clear()
        if self._paused and self.transport:
            self._paused = False
            self.transport.resume_reading()
        return data

    def unread(self, data: bytes) -> None:
        """Puts back what was read too far."""
        self._inbox[:0] = data

    async def write(self, data: bytes) -> None:
        """Sends, and waits while the other side does not take it. What is sent to one that has gone is lost."""
        if self.gone or self.transport is None:
            return
        if self.tls:
            self.tls.write(data)
            self._flush()
        else:
            self.transport.write(data)
        await self._room.wait()

    async def start_tls(self, context: ssl.SSLContext, *, server: bool = False, name: str | None = None) -> None:
        """The handshake. Raises ssl.SSLError, EOFError or OSError; what waits unread counts as its beginning."""
        early = bytes(self._inbox)
        self._inbox.clear()
        self.opening = early[:OPENING]
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=name)
        self._incoming.write(early)
        self._pump()
        while not self.secured:
            if self.why:
                raise self.why
            if self._ended:
                raise EOFError
            await self._wait()

    def finish(self) -> None:
        """Says that no more will be sent. Half a clear-text connection stays open for the answer."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if self.tls is None and transport.can_write_eof():
            transport.write_eof()
        else:
            self.close()

    def close(self) -> None:
        """An orderly end; what waits to be sent is sent first."""
        if self.tls and self.secured:
            with contextlib.suppress(ssl.SSLError):
                self.tls.unwrap()
            self._flush()
        if self.transport:
            self.transport.close()

    def abort(self) -> None:
        """Drops the connection at once."""
        if self.transport:
            self.transport.abort()

    # --- inside

    async def _wait(self) -> None:
        self._news = asyncio.get_running_loop().create_future()
        try:
            await self._news
        finally:
            self._news = None

    def _wake(self) -> None:
        if self._news and not self._news.done():
            self._news.set_result(None)

    def _end(self, why: BaseException | None) -> None:
        self._ended = True
        self.why = self.why or why
        self._wake()

    def _pump(self) -> None:
        """Moves the handshake or the data on as far as what has arrived goes."""
        tls = self.tls
        if tls is None:
            return
        try:
            if not self.secured:
                tls.do_handshake()
                self.secured = True
                self._wake()
            while data := tls.read(PIECE):
                self._inbox += data
            self._end(None)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._end(None)
        except ssl.SSLError as why:
            self._end(why)
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending and self.transport and not self.transport.is_closing():
            self.transport.write(self._outgoing.read())
