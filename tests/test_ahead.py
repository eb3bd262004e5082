"""Connections that are begun before asyncio is there: taken over with true times, or done anew."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import pytest
from talks import serve, way

from mailwhy.ahead import Ahead, set_out
from mailwhy.model import Attempt, Fault, Protocol, Stage, Target, Tls
from mailwhy.net import dial, look_up
from mailwhy.probe import probe

IMAP = "S: * OK [CAPABILITY IMAP4rev1] ready\n* gone"
NAME = "mail.contoso.test"


def resolving(monkeypatch: pytest.MonkeyPatch, *hosts: str, until: threading.Event | None = None) -> None:
    """Lets the system's look-up of any name give these addresses of loopback, once `until` is set."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, family: int = 0, kind: int = 0, proto: int = 0, flags: int = 0) -> Any:
        if host != NAME:
            return real(host, port, family, kind, proto, flags)
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        if until:
            until.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def settled(ahead: Ahead, host: str, port: int) -> float:
    """When the connection stood, as its thread has noted it."""
    begun = ahead.look_up(host, port)
    assert begun
    async with asyncio.timeout(20):
        while begun.connected is None:
            await asyncio.sleep(0.001)
    return begun.connected


async def test_a_connection_is_taken_over_with_the_times_that_it_took() -> None:
    async with serve(IMAP) as server:
        place = ("127.0.0.1", server.port)
        target, ahead = Target(Protocol.IMAP, *place, Tls.NONE), set_out([place])
        sock = getattr(ahead.look_up(*place), "sock", None)
        assert sock
        stood, local = await settled(ahead, *place), sock.getsockname()
        later = time.monotonic()
        attempt = await probe(target, None, way(ahead=ahead))
    dns, tcp, greeting = attempt.steps[:3]
    assert [step.ok for step in (dns, tcp, greeting)] == [True, True, True]
    assert tcp.seen["local"] == local[0]
    assert tcp.seen["tried"][0]["seconds"] == tcp.seconds
    assert tcp.at + tcp.seconds <= greeting.at - (later - stood)  # noted when it stood, not when it was taken over
    assert ahead.take(place) is None


async def test_one_server_hears_of_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "127.0.0.1")
    heard = []
    server = await asyncio.start_server(lambda reader, writer: heard.append(writer), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        there = way(ahead=set_out([(NAME, port)]))
        sock = await dial(await look_up(NAME, port, there), there, {})
        async with asyncio.timeout(20):
            while not heard:
                await asyncio.sleep(0.001)
        again = await dial(await look_up(NAME, port, there), there, {})  # nothing is left: done anew
        assert again.fileno() != sock.fileno()
        for each in (sock, again):
            each.close()
        async with asyncio.timeout(20):
            while len(heard) < 2:
                await asyncio.sleep(0.001)
        for writer in heard:
            writer.close()


async def refused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def failed(port: int, host: str, ahead: Ahead) -> Attempt:
    return await probe(Target(Protocol.SMTP, host, port, Tls.NONE), None, way(ahead=ahead))


async def test_a_refused_connection_is_told_as_ever() -> None:
    port = await refused_port()
    step = (await failed(port, "127.0.0.1", set_out([("127.0.0.1", port)]))).steps[-1]
    assert (step.stage, step.fault) == (Stage.TCP, Fault.REFUSED)
    assert [(e["address"], e["fault"]) for e in step.seen["tried"]] == [("127.0.0.1", "refused")]


async def test_a_failure_that_was_over_before_it_was_asked_about_took_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the imports took is not the network's time: neither of a refusal, nor of a look-up that fails."""
    port = await refused_port()
    ahead = set_out([("127.0.0.1", port)])
    later = time.monotonic()
    at_once = (await failed(port, "127.0.0.1", ahead)).steps[-1]
    assert at_once.at >= later - getattr(ahead.look_up("127.0.0.1", port), "began", later)  # dialled anew

    def fail(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "made up")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    ahead = set_out([(NAME, port)])
    begun = ahead.look_up(NAME, port)
    assert begun
    async with asyncio.timeout(20):
        while not begun.known:
            await asyncio.sleep(0.001)
    step = (await failed(port, NAME, ahead)).steps[-1]
    assert (step.fault, step.seconds) == (Fault.DNS_FAILED, round(begun.dialled - begun.began, 6))


async def test_the_next_address_is_tried_where_the_first_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(IMAP) as server:
        resolving(monkeypatch, "127.0.0.9", "127.0.0.1")
        place = (NAME, server.port)
        attempt = await probe(Target(Protocol.IMAP, *place, Tls.NONE), None, way(ahead=set_out([place])))
    tcp = attempt.steps[1]
    assert [(e["address"], e["fault"]) for e in tcp.seen["tried"]] == [("127.0.0.9", "refused"), ("127.0.0.1", None)]
    assert tcp.seen["address"] == "127.0.0.1"


@pytest.mark.parametrize("name", ["a" * 70 + ".test", "a..b"])
async def test_names_that_dns_cannot_hold(name: str) -> None:
    step = (await failed(587, name, set_out([(name, 587)]))).steps[-1]
    assert (step.stage, step.fault) == (Stage.DNS, Fault.NO_SUCH_HOST)


async def test_a_look_up_that_fails_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "made up")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    step = (await failed(587, NAME, set_out([(NAME, 587)]))).steps[-1]
    assert (step.stage, step.fault, step.seen["detail"]) == (Stage.DNS, Fault.DNS_FAILED, "made up")


async def test_a_look_up_that_is_not_over_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    async with serve(IMAP) as server:
        resolving(monkeypatch, "127.0.0.1", until=over)
        place = (NAME, server.port)
        ahead = set_out([place])
        asyncio.get_running_loop().call_later(0.05, over.set)
        attempt = await probe(Target(Protocol.IMAP, *place, Tls.NONE), None, way(ahead=ahead))
    assert attempt.failed is None
    assert attempt.steps[0].seconds > 0.01


async def test_nothing_stays_open_that_nobody_took() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        place = server.sockets[0].getsockname()
        ahead = set_out([place])
        begun = ahead.look_up(*place)
        assert begun
        assert begun.sock
        ahead.close()
        assert begun.sock.fileno() == -1
        assert ahead.take(place) is None
