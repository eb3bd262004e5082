"""One line protocol for SMTP, IMAP and POP: what the server sends, line by line, bounded, kept as evidence.

    bytes --(TLS)--> lines --> the dialogue that waits, or `unasked` when nobody asked
                       `--> closed, reset, too long: an exact fault, at once

TLS runs here, over memory BIOs, rather than in `loop.start_tls`: so the first bytes of a server that does not
speak TLS, the chain that failed, and clear text that follows the answer to STARTTLS are all at hand, and are
the same on every version of Python. Secrets pass through `ask` and are never stored, not even in a future.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import cast

from .model import Fault, JsonValue, Protocol, Reply
from .net import Failed
from .redact import Redactor
from .reply import decode, harmless, parse

LINE = 8192  # bytes in one line; RFC 5321 allows 512, capability lists of IMAP servers reach 1 KiB
LINES = 200  # lines of one answer, or waiting unread
TOTAL = 65536  # bytes of one answer, or waiting unread
KEPT = 20  # unasked lines kept as evidence
CLIP = 1000  # characters of half an answer kept as evidence

GOODBYE = re.compile(rb"\* BYE\b|421[ -]|421$|-ERR\b", re.IGNORECASE)
TLS_RECORDS = (20, 21, 22, 23)
QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class Wire(asyncio.Protocol):
    """One connection. Made by `loop.create_connection`; used by one dialogue, one question at a time."""

    def __init__(self, protocol: Protocol, redactor: Redactor) -> None:
        self.protocol = protocol
        self.tls: ssl.SSLObject | None = None
        self.secured = False
        self.first = b""  # the first bytes after the TLS handshake began, as they came
        self._redactor = redactor
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._stale = False  # the line that begins the buffer was begun before the question
        self._lines: deque[bytes] = deque()
        self._waiting = 0  # bytes in _lines
        self._answer: list[bytes] = []  # lines of the answer that is being read
        self._size = 0  # bytes in _answer
        self._unasked: list[bytes] = []
        self._end: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, why: Exception | None) -> None:
        self._finish(Failed(Fault.RESET if isinstance(why, OSError) else Fault.CLOSED))

    def data_received(self, data: bytes) -> None:
        if self._end:
            return
        if self.tls is None:
            self._feed(data)
            return
        if len(self.first) < LINE and not self.secured:
            self.first += data[:LINE]
        self._incoming.write(data)
        self._pump()

    # --- bytes to lines

    def _feed(self, data: bytes) -> None:
        if not self.secured and self.tls is None and not self._answer and not self._lines:
            head = bytes(self._buffer[:2]) + data[:2]
            if head[:2] in (b"\x15\x03", b"\x16\x03"):
                self._fail(Fault.TLS_SPOKEN)
                return
        self._buffer += data
        start = 0
        while (end := self._buffer.find(b"\n", start)) >= 0:
            if not self._take(bytes(self._buffer[start:end])):
                return
            start = end + 1
        del self._buffer[:start]
        if len(self._buffer) > LINE:
            self._fail(Fault.TOO_LONG)
        self._wake()

    def _take(self, line: bytes) -> bool:
        if self._stale:
            self._stale = False
            self._unasked.append(line)
            return True
        self._lines.append(line)
        self._waiting += len(line)
        if len(line) > LINE or len(self._lines) > LINES or self._waiting > TOTAL:
            self._fail(Fault.TOO_LONG)
            return False
        return True

    def _fail(self, fault: Fault) -> None:
        self._finish(Failed(fault))
        self.abort()

    def _finish(self, why: BaseException) -> None:
        self._end = self._end or why
        self._wake()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # --- what a dialogue calls

    def ask(self, data: bytes) -> None:
        """Sends a question. What arrived before it was unasked and cannot be its answer.

        Raises Failed (closed, reset, ...) when the server has said goodbye or gone: then nothing is sent.
        """
        self._set_aside()
        if self._end or self.said_goodbye:
            raise self._ended()
        self._answer, self._size = [], 0
        self._stale = bool(self._buffer)
        self.more(data)

    def more(self, data: bytes) -> None:
        """Sends the rest of a question that the server has asked to go on with (a SASL message, a literal)."""
        if self._end:
            raise self._ended()
        if self.tls:
            self.tls.write(data)
            self._flush()
        elif self._transport:
            self._transport.write(data)
        self._quick()

    async def line(self) -> bytes:
        """The next line of the answer, without its line end. Raises Failed when none will come."""
        while not self._lines:
            if self._end:
                raise self._ended()
            await self._wait()
        line = self._lines.popleft().removesuffix(b"\r")
        self._waiting -= len(line)
        self._answer.append(line)
        self._size += len(line)
        if len(self._answer) > LINES or self._size > TOTAL:
            self._fail(Fault.TOO_LONG)
            raise self._ended()
        return line

    def reply(self, lines: Iterable[bytes] | None = None) -> Reply:
        """The answer read so far (or these lines) as evidence: harmless, and without the secret."""
        reply = parse(self.protocol, self.shown(self._answer if lines is None else lines))
        # a name that `parse` decoded was not to be seen in the line
        return replace(reply, server=self.hidden(reply.server)) if reply.server else reply

    def whole(self) -> Reply:
        """The answer is complete."""
        reply = self.reply()
        self._answer, self._size = [], 0
        return reply

    def shown(self, lines: Iterable[bytes]) -> list[str]:
        """Received lines as they may be kept and printed."""
        return self._redactor.lines([decode(line) for line in lines])

    def hidden(self, text: str) -> str:
        """Decoded text of the server's as it may be kept and printed."""
        return self._redactor.line(harmless(text))

    def masked(self, seen: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Observations whose texts come from the server, such as the names in its certificate."""
        return {key: self._mask(value) for key, value in seen.items()}

    def _mask(self, value: JsonValue) -> JsonValue:
        # a method: a function that calls itself is a circle, and would hold the wire until the next search for garbage
        if isinstance(value, str):
            return self.hidden(value)
        if isinstance(value, list):
            return [self._mask(each) for each in value]
        return {key: self._mask(each) for key, each in value.items()} if isinstance(value, dict) else value

    @property
    def said_goodbye(self) -> bool:
        """The server announced, unasked, that it is about to close."""
        return any(GOODBYE.match(line) for line in self._unasked)

    @property
    def gone(self) -> bool:
        """The connection has ended, or the server has said that it will."""
        return self._end is not None or any(GOODBYE.match(line) for line in (*self._unasked, *self._lines))

    def leftovers(self, ok: bool) -> dict[str, JsonValue]:
        """What was seen besides answers since the last call: `unasked`; after a failure also `partial`."""
        if not ok:
            self._set_aside()
        found: dict[str, JsonValue] = {}
        if self._unasked:
            found["unasked"] = self.shown(self._unasked[:KEPT])
            self._unasked = []
        rest = [*self._answer, bytes(self._buffer[:LINE])] if self._buffer else self._answer
        if not ok and any(rest):
            found["partial"] = "\n".join(self.shown(rest))[:CLIP]
        return found

    def _set_aside(self) -> None:
        self._unasked += self._lines
        self._lines.clear()
        self._waiting = 0

    def _ended(self) -> BaseException:
        """Why there is no (further) answer, with the server's last words where it said some."""
        if self._end and not (isinstance(self._end, Failed) and self._end.fault in (Fault.CLOSED, Fault.RESET)):
            return self._end
        words = self._answer or [line for line in self._unasked if GOODBYE.match(line)][:1]
        fault = self._end.fault if isinstance(self._end, Failed) else Fault.CLOSED
        return Failed(fault, self.reply(words) if words else None)

    # --- TLS

    async def start_tls(self, context: ssl.SSLContext, name: str, *, after_reply: bool) -> None:
        """The handshake. Raises ssl.SSLError, or Failed: injected, tls_not_spoken, closed, reset.

        after_reply: the server has just agreed to STARTTLS; whatever followed in clear text was injected.
        """
        late = bool(self._lines or self._buffer)  # what came before the question is unasked, and not this
        self._set_aside()
        if late:
            rest, self._buffer = bytes(self._buffer[:LINE]), bytearray()
            self._unasked += [rest] if rest else []
            if after_reply:
                self._finish(Failed(Fault.INJECTED))
                raise Failed(Fault.INJECTED, injected=True)
            raise self._not_tls(b"")
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._pump()
        while not self.secured:
            if self._end:
                if self.first and self.first[0] not in TLS_RECORDS:
                    raise self._not_tls(self.first)
                raise self._ended()
            await self._wait()

    def _not_tls(self, said: bytes) -> Failed:
        self._unasked += said.splitlines()
        fault = Fault.TLS_SPOKEN if said[:1] in (b"\x15", b"\x16") else Fault.TLS_NOT_SPOKEN
        return Failed(fault)

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
            while not self._end:
                if not (data := tls.read(LINE)):
                    raise ssl.SSLZeroReturnError
                self._feed(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._finish(Failed(Fault.CLOSED))
        except ssl.SSLError as why:  # kept for the stage that waits; `net` maps it
            self._finish(why)
            self._flush()
            self.abort()
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport and not self._transport.is_closing():
            self._transport.write(self._outgoing.read())
            self._quick()

    def _quick(self) -> None:
        """Acknowledge at once: servers hold back the next answer until their last packet is acknowledged."""
        if QUICKACK is None or self._transport is None:
            return
        if sock := self._transport.get_extra_info("socket"):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)

    async def answers_tls(self, context: ssl.SSLContext, name: str) -> bool:
        """Does a server that stays silent in clear text answer a TLS handshake? (No use of the wire after this.)"""
        if self._end or self._buffer or self._lines:
            return False
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._pump()
        while not self.first and not self._end:
            await self._wait()
        return self.first[:1] in (b"\x15", b"\x16")

    # --- the end

    def close(self, goodbye: bytes = b"") -> None:
        """Says goodbye and closes; waits for nothing and raises nothing."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        with contextlib.suppress(Failed, OSError, ssl.SSLError):
            if goodbye and not self._end:
                self.more(goodbye)
        transport.close()
        if transport.get_write_buffer_size():
            transport.abort()

    def abort(self) -> None:
        """Drops the connection at once."""
        if self._transport:
            self._transport.abort()
