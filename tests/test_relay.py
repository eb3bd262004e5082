"""The relay with sockets: what passes unaltered, who may come, what is survived, how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from day import DAY

from mailwhy import mock
from mailwhy.diagnose import diagnose
from mailwhy.knowledge import load
from mailwhy.mock.certs import shared
from mailwhy.model import Account, Credential, Fault, Kind, Protocol, Secret, Stage, Target, Tls
from mailwhy.net import Timeouts, Way
from mailwhy.probe import probe
from mailwhy.relay import Relay, Seen, Settings
from mailwhy.relay.serve import Network, Observer, allowed
from mailwhy.relay.session import Limits

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]
ELSEWHERE: tuple[Network, ...] = (ipaddress.ip_network("192.0.2.0/24"),)


@contextlib.asynccontextmanager
async def served(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Target]:
    """A server of our own on loopback; at the end its connections are closed, and waited for."""
    busy: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        busy.add(cast("asyncio.Task[None]", asyncio.current_task()))
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await handler(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):  # also of TLS that the other side did not end in order
                await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Target(Protocol.SMTP, "localhost" if tls else "127.0.0.1", port, Tls.IMPLICIT if tls else Tls.NONE)
    finally:
        server.close()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


class Watcher:
    """Collects what a relay tells; `seen()` waits for the next session that is over."""

    def __init__(self) -> None:
        self.over: asyncio.Queue[Seen] = asyncio.Queue()
        self.refused: list[str] = []
        self.observer = Observer(ended=self.over.put_nowait, refused=self.refused.append)

    async def seen(self) -> Seen:
        async with asyncio.timeout(20):
            return await self.over.get()


@contextlib.asynccontextmanager
async def relayed(target: Target, app_tls: Tls = Tls.NONE, **more: object) -> AsyncIterator[tuple[Relay, Watcher]]:
    watcher = Watcher()
    settings = Settings(target, app_tls, shared().context() if app_tls is not Tls.NONE else None, **more)  # type: ignore[arg-type]  # a test's own settings
    async with Relay(settings, watcher.observer) as relay:
        yield relay, watcher


async def app(relay: Relay) -> Streams:
    return await asyncio.open_connection("127.0.0.1", relay.port)


def causes(seen: Seen) -> list[str]:
    (found,) = diagnose([seen.attempt], seen.account, load(), DAY)
    return [finding.cause for finding in found.findings]


async def test_every_octet_passes_unaltered() -> None:
    chance = random.Random(7)
    up, down = chance.randbytes(900_000), chance.randbytes(700_000)

    async def both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(down)
        got = await reader.readexactly(len(up))
        writer.write(b"same" if got == up else b"else")
        await writer.drain()

    async with served(both) as target, relayed(target) as (relay, _):
        reader, writer = await app(relay)
        writer.write(up)
        writer.write_eof()
        assert await reader.read(-1) == down + b"same"
        writer.close()


@pytest.mark.parametrize("server_tls", [Tls.STARTTLS, Tls.IMPLICIT])
@pytest.mark.parametrize("app_tls", list(Tls))
@pytest.mark.parametrize("protocol", list(Protocol))
async def test_every_pair_of_modes(protocol: Protocol, app_tls: Tls, server_tls: Tls) -> None:
    async with mock.serve() as servers:
        at = servers.address(protocol, server_tls)
        target = Target(protocol, at.host, at.port, at.tls)
        way = Way(ca_file=str(servers.ca_file))
        async with relayed(target, app_tls, way=way) as (relay, watcher):
            login = "works@contoso.test"
            credential = Credential(Account(login, login, login), Kind.PASSWORD, Secret(servers.secret_of(login)))
            mine = await probe(Target(protocol, "127.0.0.1", relay.port, app_tls), credential, way)
            seen = await watcher.seen()
    theirs = [step for step in seen.attempt.steps if step.stage is Stage.AUTH]
    said = [step for step in mine.steps if step.stage is Stage.AUTH]
    assert [(s.ok, s.reply and s.reply.lines[-1].split(" ", 1)[1]) for s in theirs] == [
        (s.ok, s.reply and s.reply.lines[-1].split(" ", 1)[1]) for s in said
    ]
    assert seen.account.login == login


ODD = b"".join(
    [
        b"EHLO a.b\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<\xff\x00@e.f>\r\nNOOP " + b"y" * 100_000 + b"\r\n",
        b"BDAT 10\r\nSTARTTLS\r\nBDAT 5 LAST\r\n\r\n.\r\nNONSENSE\n\r\r\n",
        b"DATA\r\n",
    ]
)
MAIL = b"From: a@b.c\r\n\r\n" + bytes(range(256)) * 20 + b"\n" + b"x" * 70_000 + b"\r\n..\r\n\0\r\nSTARTTLS\r\n"


@pytest.mark.parametrize("server_tls", [Tls.NONE, Tls.IMPLICIT])
@pytest.mark.parametrize("app_tls", list(Tls))
async def test_a_dialogue_passes_octet_for_octet(app_tls: Tls, server_tls: Tls, tmp_path: Path) -> None:
    """Pipelining, BDAT, all octets, long lines, lines that look like commands: what was sent is what arrives."""
    got = bytearray()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x.test ESMTP\r\n")
        while data := await reader.read(65536):
            got.extend(data)
            if got == ODD:
                writer.write(b"250 ok\r\n" * 6 + b"354 go\r\n")
            if got == ODD + MAIL + b".\r\n":
                writer.write(b"250 \xff\x00 ok\r\n")
                break
        await reader.read(-1)
        writer.close()

    ca = tmp_path / "ca.pem"
    ca.write_bytes(shared().ca_pem)
    context = ssl.create_default_context(cafile=str(ca))
    tls = shared().context() if server_tls is Tls.IMPLICIT else None
    given = {"way": Way(ca_file=str(ca)), "limits": Limits(late=0.0)}
    async with (
        served(keep, tls) as at,
        relayed(replace(at, host="localhost", tls=server_tls), app_tls, **given) as (relay, watcher),
    ):
        at_once = context if app_tls is Tls.IMPLICIT else None
        reader, writer = await asyncio.open_connection("localhost", relay.port, ssl=at_once)
        async with asyncio.timeout(20):
            await reader.readline()
            if app_tls is Tls.STARTTLS:
                writer.write(b"STARTTLS\r\n")
                assert (await reader.readline()).startswith(b"220 ")
                await writer.start_tls(context, server_hostname="localhost")
            writer.write(ODD)
            await reader.readuntil(b"354 go\r\n")
            writer.write(MAIL + b".\r\n")
            assert await reader.readline() == b"250 \xff\x00 ok\r\n"
        writer.close()
        seen = await watcher.seen()
        await writer.wait_closed()
    assert bytes(got) == ODD + MAIL + b".\r\n"
    assert {"app.bare_lf", "app.line_too_long"} <= seen.attempt.facts


async def test_a_message_is_accepted_only_by_the_server() -> None:
    """The server goes between the text and its answer: the app hears nothing, and so keeps the message."""

    async def lossy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x.test\r\n")
        for answer in (b"250 x.test\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            await reader.readline()
            writer.write(answer)
        await reader.readuntil(b"\r\n.\r\n")

    async with served(lossy) as target, relayed(target) as (relay, watcher):
        reader, writer = await app(relay)
        writer.write(b"EHLO a.b\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
        await reader.readuntil(b"354 go\r\n")
        writer.write(b"hello\r\n.\r\n")
        assert await reader.read(-1) == b""
        seen = await watcher.seen()
        writer.close()
    assert seen.attempt.failed
    assert (seen.attempt.failed.stage, seen.attempt.failed.fault) == (Stage.USE, Fault.CLOSED)


async def test_who_is_not_on_the_list_hears_and_reaches_nothing() -> None:
    reached = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal reached
        reached += 1

    async with served(count) as target, relayed(target, allow=ELSEWHERE) as (relay, watcher):
        reader, writer = await app(relay)
        writer.write(b"EHLO a.b\r\n")
        with contextlib.suppress(ConnectionError):
            assert await reader.read(-1) == b""
        writer.close()
        assert (relay.refused, watcher.refused) == (1, ["127.0.0.1"])
    assert reached == 0


@pytest.mark.parametrize(
    ("peer", "fits"),
    [("192.0.2.7", True), ("::ffff:192.0.2.7", True), ("192.0.3.7", False), ("::1", False), ("", False), ("x", False)],
)
def test_the_list(peer: str, fits: bool) -> None:
    assert allowed(peer, ELSEWHERE) is fits


@pytest.mark.parametrize(
    "wish",
    [
        b"CONNECT mail.example.org:25 HTTP/1.1\r\nHost: mail.example.org\r\n\r\n",
        b"\x05\x01\x00\x05\x01\x00\x03\x10mail.example.org\x00\x19",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
        b"RCPT TO:<@mail.example.org:a@example.net>\r\n",
    ],
)
async def test_no_open_relay(wish: bytes) -> None:
    """Whatever is asked for goes, as it is, to the one server; nothing else is ever dialled (the tests' guard sees to it)."""
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.put_nowait(await reader.readexactly(len(wish)))

    async with served(take) as target, relayed(target) as (relay, _):
        _, writer = await app(relay)
        writer.write(wish)
        async with asyncio.timeout(10):
            assert await got.get() == wish
        writer.close()


async def test_a_server_that_cannot_be_reached() -> None:
    async with served(lambda reader, writer: asyncio.sleep(0)) as target:
        pass  # nobody listens there any more
    async with relayed(target) as (relay, watcher):
        reader, writer = await app(relay)
        assert await reader.read(-1) == b""  # not a word that the server has not said
        seen = await watcher.seen()
        writer.close()
    assert seen.attempt.failed
    assert (seen.attempt.failed.stage, seen.attempt.failed.fault) == (Stage.TCP, Fault.REFUSED)


async def test_the_answer_that_the_app_did_not_wait_for() -> None:
    left = asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x.outlook.office365.com Microsoft ESMTP MAIL Service ready\r\n")
        for answer in (b"250-x.outlook.office365.com\r\n250 AUTH LOGIN XOAUTH2\r\n", b"334 UGFzc3dvcmQ6\r\n"):
            await reader.readline()
            writer.write(answer)
        await reader.readline()
        await left.wait()
        writer.write(b"535 5.7.3 Authentication unsuccessful [x.DEUP281.PROD.OUTLOOK.COM]\r\n")
        await writer.drain()

    async with served(late) as target, relayed(target) as (relay, watcher):
        reader, writer = await app(relay)
        writer.write(b"EHLO a.b\r\nAUTH LOGIN YUBiLmM=\r\n")
        await reader.readuntil(b"UGFzc3dvcmQ6\r\n")
        writer.write(b"c2VjcmV0\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        left.set()
        seen = await watcher.seen()
    assert "app.gave_up" in seen.attempt.facts
    (step,) = seen.attempt.stage(Stage.AUTH)
    assert step.reply
    assert step.reply.enhanced == "5.7.3"


async def test_garbage_in_every_mode_and_still_alive() -> None:
    chance = random.Random(11)
    async with mock.serve() as servers:
        at = servers.address("smtp")
        target = Target(Protocol.SMTP, at.host, at.port, at.tls)
        way = Way(ca_file=str(servers.ca_file))
        for mode in Tls:
            async with relayed(target, mode, way=way, limits=Limits(late=0.2, farewell=0.2)) as (relay, watcher):
                for number in range(12):
                    reader, writer = await app(relay)
                    writer.write(chance.randbytes(chance.randrange(1, 5000)) + b"\r\n" * (number % 2))
                    if number % 3:
                        writer.transport.abort()
                    else:
                        writer.write_eof()
                        with contextlib.suppress(ConnectionError):
                            await reader.read(-1)
                        writer.close()
                for _ in range(12):
                    await watcher.seen()
                reader, writer = await app(relay)
                if mode is not Tls.IMPLICIT:
                    assert (await reader.readline()).startswith(b"220 ")
                writer.close()


async def test_thousands_of_apps_get_their_turn() -> None:
    at_once = peak = 0

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, peak
        at_once += 1
        peak = max(peak, at_once)
        writer.write(b"220 x.test\r\n")
        await reader.read(-1)
        at_once -= 1

    async with (
        served(greet) as target,
        relayed(target, at_once=40, limits=Limits(late=0.0, farewell=5.0)) as (relay, _watcher),
    ):

        async def one() -> bytes:
            reader, writer = await app(relay)
            line = await reader.readline()
            writer.close()
            return line

        for _ in range(3):
            said = await asyncio.gather(*(one() for _ in range(1000)))
            assert said == [b"220 x.test\r\n"] * 1000
    assert peak <= 40
    assert relay.dropped == 0


async def test_beyond_the_limit_connections_are_dropped() -> None:
    async with served(lambda reader, writer: reader.read(-1)) as target, relayed(target, waiting=3) as (relay, _):
        streams = [await app(relay) for _ in range(4)]
        with contextlib.suppress(ConnectionError):
            assert await streams[3][0].read(-1) == b""
        assert relay.dropped == 1
        for _, writer in streams:
            writer.close()


async def test_an_app_that_does_not_read_costs_no_memory() -> None:
    sent = 0
    stuck = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(high=0)
        for _ in range(4000):
            writer.write(b"x" * 65536)
            try:
                async with asyncio.timeout(0.5):
                    await writer.drain()
            except TimeoutError:
                stuck.set()
                return
            sent += 65536

    async with served(flood) as target, relayed(target) as (relay, _):
        _reader, writer = await asyncio.open_connection("127.0.0.1", relay.port, limit=1024)
        async with asyncio.timeout(30):
            await stuck.wait()
        writer.transport.abort()
    assert sent < 40_000_000  # what the buffers of the system hold; all would be 262 MB


async def test_stopping_finishes_what_is_in_flight() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x.test\r\n")
        await reader.readline()
        asked.set()
        await go.wait()
        writer.write(b"250 x.test\r\n")
        await writer.drain()
        await reader.read(-1)

    async with served(slow) as target, relayed(target) as (relay, watcher):
        reader, writer = await app(relay)
        await reader.readline()
        writer.write(b"EHLO a.b\r\n")
        await asked.wait()
        stopping = asyncio.create_task(relay.stop(grace=20))
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await app(relay)
        go.set()
        assert await reader.readline() == b"250 x.test\r\n"
        writer.close()
        await stopping
        assert (await watcher.seen()).attempt.ok(Stage.CAPABILITIES)


async def test_stopping_waits_for_the_answer_and_not_for_the_app() -> None:
    """An app that has its answer and stays connected does not hold the relay up for the whole grace."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x.test\r\n")
        await reader.readline()
        asked.set()
        await go.wait()
        writer.write(b"250 x.test\r\n")
        await reader.read(-1)

    async with served(slow) as target, relayed(target) as (relay, _):
        reader, writer = await app(relay)
        writer.write(b"EHLO a.b\r\n")
        await asked.wait()
        stopping = asyncio.create_task(relay.stop(grace=600))
        go.set()
        async with asyncio.timeout(20):
            await stopping
        assert (await reader.read(-1)).endswith(b"250 x.test\r\n")
        writer.close()


async def test_a_session_in_its_goodbye_is_not_said_to_be_stopped() -> None:
    left = asyncio.Event()

    async def goes_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x.test\r\n")
        await reader.readline()
        writer.write(b"221 x.test\r\n")
        await reader.read(-1)
        left.set()
        await asyncio.sleep(600)

    async with served(goes_slowly) as target, relayed(target, limits=Limits(farewell=600)) as (relay, watcher):
        _, writer = await app(relay)
        writer.write(b"QUIT\r\n")
        writer.write_eof()
        await left.wait()
        await relay.stop()
        seen = await watcher.seen()
        writer.close()
    assert Fault.CANCELLED not in [step.fault for step in seen.attempt.steps]


def old_client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def modern_only() -> ssl.SSLContext:
    from mailwhy.mock.certs import Certificates

    context = Certificates().context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 x.test ESMTP\r\n")
    await reader.read(-1)


async def test_old_tls_is_named_and_let_in_on_request() -> None:
    async with served(greets) as target:
        watcher = Watcher()
        async with Relay(Settings(target, Tls.IMPLICIT, modern_only()), watcher.observer) as relay:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("127.0.0.1", relay.port, ssl=old_client())
            seen = await watcher.seen()
        assert "app.tls_old" in seen.attempt.facts
        assert causes(seen) == ["client.tls_too_old"]
        async with relayed(target, Tls.IMPLICIT) as (relay, watcher):
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port, ssl=old_client())
            assert (await reader.readline()).startswith(b"220")
            writer.close()
            seen = await watcher.seen()
    (step, *_) = seen.attempt.stage(Stage.TLS)
    assert (step.ok, step.seen["version"]) == (True, "TLSv1.1")


async def test_tls_on_a_clear_port() -> None:
    async with (
        served(greets) as target,
        relayed(target, Tls.NONE) as (relay, watcher),
    ):
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection("127.0.0.1", relay.port, ssl=context, server_hostname="localhost")
        seen = await watcher.seen()
    assert "app.tls_on_clear_port" in seen.attempt.facts
    assert causes(seen) == ["client.wrong_port_or_tls_mode"]


@pytest.mark.parametrize("says", [b"", b"EHLO printer\r\n"])
async def test_clear_text_on_a_tls_port(says: bytes) -> None:
    async with served(greets) as target, relayed(target, Tls.IMPLICIT, limits=Limits(patience=0.0)) as (relay, watcher):
        _, writer = await app(relay)
        writer.write(says)
        writer.close()
        seen = await watcher.seen()
    assert "app.clear_on_tls_port" in seen.attempt.facts
    assert causes(seen) == ["client.wrong_port_or_tls_mode"]


async def test_a_look_whether_the_port_is_open_is_no_habit() -> None:
    async with served(greets) as target, relayed(target, Tls.IMPLICIT) as (relay, watcher):
        _, writer = await app(relay)
        writer.close()
        seen = await watcher.seen()
    assert seen.attempt.facts == frozenset()
    assert seen.attempt.failed
    assert (seen.attempt.failed.stage, seen.attempt.failed.fault) == (Stage.TLS, Fault.CLOSED)


async def test_an_app_that_does_not_trust_the_relay() -> None:
    async with served(greets) as target, relayed(target, Tls.IMPLICIT) as (relay, watcher):
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", relay.port, ssl=ssl.create_default_context())
        seen = await watcher.seen()
    assert "app.rejects_certificate" in seen.attempt.facts
    assert causes(seen) == ["client.ca_store_missing"]


async def test_a_silent_server_is_given_up() -> None:
    async with served(lambda reader, writer: reader.read(-1)) as target:
        way = Way(timeouts=Timeouts.all(1.0))
        async with relayed(target, way=way, limits=Limits(idle=0.2)) as (relay, watcher):
            reader, writer = await app(relay)
            assert await reader.read(-1) == b""
            seen = await watcher.seen()
            writer.close()
    assert seen.attempt.failed
    assert seen.attempt.failed.fault is Fault.TIMEOUT


async def test_refused_sign_ins_are_counted_over_sessions() -> None:
    async with mock.serve() as servers:
        at = servers.address("smtp", "implicit")
        target = Target(Protocol.SMTP, at.host, at.port, at.tls)
        async with relayed(target, way=Way(ca_file=str(servers.ca_file))) as (relay, watcher):
            facts = []
            for _ in range(2):
                reader, writer = await app(relay)
                writer.write(b"EHLO a.b\r\n")
                await reader.readuntil(b"SMTPUTF8\r\n")
                writer.write(b"AUTH LOGIN d29ya3NAY29udG9zby50ZXN0\r\n")
                await reader.readline()
                writer.write(b"d3Jvbmc=\r\n")
                assert (await reader.readline()).startswith(b"535")
                writer.close()
                facts.append("app.several_sign_ins" in (await watcher.seen()).attempt.facts)
    assert facts == [False, True]
