"""The control interface against whoever may knock: scripts that err, programs that stall, pages in a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwhy.mock.control import MAX_BODY, Control, near
from mailwhy.mock.load import builtin
from mailwhy.mock.world import World


@contextlib.asynccontextmanager
async def standing() -> AsyncIterator[tuple[World, str, int]]:
    """A control interface without servers: its world, host and port."""
    world = World(builtin())
    control = Control(world, dict, world.reset)
    url = urlsplit(await control.start("127.0.0.1"))
    try:
        yield world, url.hostname or "", url.port or 0
    finally:
        await control.stop()


async def raw(host: str, port: int, data: bytes) -> tuple[int, Any]:
    """Status and JSON of the answer; 0 where there is none."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(data)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]), json.loads(body)) if answer else (0, None)


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"GET /state HTTP/1.1\r\nHost: evil.example:2080\r\n\r\n", 403, "not under a public name"),
        (b"GET /state HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n", 403, "web pages"),
        (post("/reset", b"", "Origin: null"), 403, "web pages"),
        (post("/set", b"not JSON"), 400, "is not JSON"),
        (post("/set", b"[" * 100_000), 400, "is not JSON"),
        (post("/set", b"\xff\xfe"), 400, "is not JSON"),
        (post("/set", b"[1]"), 400, "expected"),
        (post("/set", b"3"), 400, "expected"),
        (post("/set", b'{"name": "org.security_defaults", "value": true, "scope": 3}'), 400, "expected"),
        (post("/set", b'{"name": ["org"], "value": true}'), 400, "expected"),
        (post("/set", b'{"name": "org.as_of", "value": "soon"}'), 400, "is no date"),
        (post("/set", b'{"name": "org.service", "value": "mars"}'), 400, "there is no front end"),
        (post("/set", b'{"name": "org.conditional_access", "value": 3}'), 400, "org.conditional_access"),
        (post("/fault", b"[]"), 400, "fault"),
        (post("/fault", b'{"kind": "latency", "seconds": -1}'), 400, "from 0 on"),
        (post("/fault", b'{"kind": "latency", "seconds": NaN}'), 400, "from 0 on"),
        (b"POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413, "too long"),
        (b"POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413, "too long"),
        (b"POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: \xb2\r\n\r\n", 413, "too long"),
        (b"POST /set HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "whole"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", 431, "header"),
        (b"GET /../state HTTP/1.1\r\nHost: x\r\n\r\n", 404, "there is no /../state"),
        (b"\r\n\r\n", 404, "there is no"),
        (b"GET /sta", 0, ""),
        (b"POST /set HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{}", 0, ""),
    ],
)
async def test_what_is_wrong_is_told_and_changes_nothing(data: bytes, status: int, words: str) -> None:
    async with standing() as (world, host, port):
        before = world.state()
        got, body = await raw(host, port, data)
        assert got == status
        assert words in (body or {"error": ""})["error"]
        assert world.state() == before
        assert world.faults == []
        assert (await raw(host, port, b"GET /state?x=1 HTTP/1.0\r\n\r\n"))[0] == 200


@pytest.mark.parametrize(
    "host", ["127.0.0.1:2080", "[::1]:2080", "localhost", "LOCALHOST.:1", "mock:2080", "a.localhost"]
)
def test_names_that_only_we_can_have(host: str) -> None:
    assert near(host)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:2080", "127.0.0.1.evil.example", "a.b.", "", ":80", "[", "[x"]
)
def test_names_that_a_stranger_can_own(host: str) -> None:
    assert not near(host)


async def test_who_stalls_does_not_keep_it_from_stopping() -> None:
    async with standing() as (_, host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /")
        assert (await raw(host, port, b"GET /state HTTP/1.1\r\nHost: localhost\r\n\r\n"))[0] == 200
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["org.conditional_access", "user.mfa", "mailbox.aliases", "org.authentication_policies", "x"])
SCOPES = st.sampled_from(["", "contoso.test", "works@contoso.test", "@", "nobody@nowhere.test"])


@given(
    path=st.sampled_from(["/set", "/fault", "/reset", "/state"]),
    data=JSON | st.fixed_dictionaries({"name": NAMES | JSON, "value": JSON, "scope": SCOPES | JSON}),
)
def test_any_json_gets_an_answer(path: str, data: Any) -> None:
    world = World(builtin()[:2])
    status, body = Control(world, dict, world.reset).answer("POST", path, data)
    assert status in (200, 400, 405)
    assert (body == {}) is (status == 200)
    json.dumps(world.state())
