"""The line protocol alone: bytes in any cut become the same lines, bounded, and nothing unasked is an answer."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwhy.model import Fault, Protocol
from mailwhy.net import Failed
from mailwhy.redact import Redactor
from mailwhy.wire import LINE, LINES, TOTAL, Wire


class Pipe:
    """The transport's side: what was written, and whether it was dropped."""

    def __init__(self) -> None:
        self.written = b""
        self.aborted = self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.aborted or self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


def connected(secret: str | None = None) -> tuple[Wire, Pipe]:
    wire, pipe = Wire(Protocol.SMTP, Redactor(secret)), Pipe()
    wire.connection_made(cast("asyncio.Transport", pipe))
    return wire, pipe


async def read(wire: Wire) -> tuple[list[bytes], Fault]:
    """All lines until the end, and how it ended."""
    lines = []
    while True:
        try:
            lines.append(await wire.line())
        except Failed as why:
            return lines, why.fault


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(
    lines=st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b"")), max_size=12),
    end=st.sampled_from([b"\r\n", b"\n"]),
    tail=st.sampled_from([b"", b"half a li", b"\r"]),
    places=st.lists(st.integers(0, 500), max_size=10),
)
def test_lines_do_not_depend_on_the_cuts(lines: list[bytes], end: bytes, tail: bytes, places: list[int]) -> None:
    data = b"2" + b"".join(line + end for line in lines) + tail  # never the first bytes of TLS
    whole = b"".join(cut(data, places))

    async def feed(pieces: list[bytes]) -> tuple[list[bytes], Fault, Any]:
        wire, _ = connected()
        for piece in pieces:
            wire.data_received(piece)
        wire.connection_lost(None)
        got, fault = await read(wire)
        return got, fault, wire.leftovers(False).get("partial")

    async def all_ways() -> None:
        expected = await feed([data])
        assert expected[1] is Fault.CLOSED
        assert expected[0] == [part.removesuffix(b"\r") for part in whole.split(b"\n")[:-1]]
        assert await feed(cut(data, places)) == expected
        assert await feed([data[i : i + 1] for i in range(len(data))]) == expected

    asyncio.run(all_ways())


async def test_half_a_line_is_kept() -> None:
    wire, _ = connected()
    wire.data_received(b"250-first\r\n250 sec")
    wire.connection_lost(None)
    assert await read(wire) == ([b"250-first"], Fault.CLOSED)
    assert wire.leftovers(False) == {"partial": "250-first\n250 sec"}


async def test_reset_and_close_are_told_apart() -> None:
    for why, fault in ((None, Fault.CLOSED), (ConnectionResetError(), Fault.RESET)):
        wire, _ = connected()
        wire.connection_lost(why)
        assert await read(wire) == ([], fault)


@pytest.mark.parametrize("flood", [b"x" * (LINE + 1), b"\n" * (LINES + 1), (b"x" * 4000 + b"\n") * 20])
async def test_what_is_beyond_the_limits_ends_it(flood: bytes) -> None:
    wire, pipe = connected()
    wire.data_received(flood)
    assert pipe.aborted
    assert (await read(wire))[1] is Fault.TOO_LONG
    assert len(wire.leftovers(False).get("partial", "")) <= 1000


async def test_an_answer_may_not_grow_without_end_while_it_is_read() -> None:
    wire, pipe = connected()
    wire.ask(b"EHLO x\r\n")
    for _ in range(LINES):
        wire.data_received(b"250-more\r\n")
        await wire.line()
    wire.data_received(b"250-more\r\n")
    with pytest.raises(Failed, match="too_long"):
        await wire.line()
    assert pipe.aborted


async def test_memory_stays_bounded_under_a_flood() -> None:
    wire, _ = connected()
    for _ in range(100):
        wire.data_received(b"\n" * 65536 + b"x" * 65536)
    held = sum(map(len, wire._lines)) + len(wire._buffer) + len(wire._unasked)
    assert held <= TOTAL + 2 * 65536


async def test_what_was_not_asked_for_is_no_answer() -> None:
    wire, pipe = connected()
    wire.data_received(b"250 early\r\n250 hal")
    wire.ask(b"AUTH PLAIN x\r\n")
    wire.data_received(b"f\r\n535 no\r\n")
    assert await wire.line() == b"535 no"
    assert wire.leftovers(True) == {"unasked": ["250 early", "250 half"]}
    assert pipe.written == b"AUTH PLAIN x\r\n"


@pytest.mark.parametrize("words", [b"421 4.4.2 bye\r\n", b"* BYE\r\n", b"* bye then\r\n"])
async def test_nothing_is_sent_after_a_goodbye(words: bytes) -> None:
    wire, pipe = connected()
    wire.data_received(words)
    with pytest.raises(Failed, match="closed"):
        wire.ask(b"AUTH PLAIN x\r\n")
    assert pipe.written == b""


async def test_the_secret_is_masked_before_it_is_evidence() -> None:
    wire, _ = connected("abcdefghijklmnop")
    wire.ask(b"x\r\n")
    wire.data_received(b"535-you said abcdefgh\r\n535 ijklmnop\r\n250 abcdefghijklmnop\r\nabcdefghijklmnop")
    await wire.line()
    await wire.line()
    reply = wire.whole()
    assert reply.lines == ("535-you said ***", "535 ***")
    assert "abcd" not in str(wire.leftovers(False))
    assert "abcd" not in repr(vars(wire)["_redactor"])


async def test_terminal_escapes_are_shown_harmless() -> None:
    wire, _ = connected()
    wire.data_received(b"250 \x1b[31mred\x07 \xe2\x80\xaegnirts \xff\x00\r\n")
    await wire.line()
    assert wire.whole().lines[0].isprintable()


async def test_closing_twice_or_unconnected_is_nothing() -> None:
    Wire(Protocol.POP, Redactor(None)).close(b"QUIT\r\n")
    wire, pipe = connected()
    wire.close(b"QUIT\r\n")
    wire.close(b"QUIT\r\n")
    assert (pipe.written, pipe.closed) == (b"QUIT\r\n", True)


def test_a_wire_that_is_done_with_takes_its_memory_along() -> None:
    """Without a search for garbage: a list of mailboxes would keep hundreds of TLS sessions until the next one."""
    wire, _ = connected("hunter2")
    assert wire.masked({"names": ["a", ["hunter2"]], "leaf": {"issuer": "b"}})["names"] == ["a", ["***"]]
    left = weakref.ref(wire)
    gc.disable()
    try:
        del wire
        assert left() is None
    finally:
        gc.enable()
