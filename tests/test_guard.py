"""The guard holds: a test, or a command that it starts, cannot leave this machine unseen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from guard.sitecustomize import BeyondLoopbackError, is_loopback

ELSEWHERE = ("192.0.2.1", 25)  # TEST-NET-1: nobody is there


def connect() -> None:
    with socket.socket() as dialled:
        dialled.connect(ELSEWHERE)


def connect_ex() -> None:
    with socket.socket() as dialled:
        dialled.connect_ex(ELSEWHERE)


def connect_v6() -> None:
    with socket.socket(socket.AF_INET6) as dialled:
        dialled.connect(("2001:db8::1", 25))


def datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"?", ELSEWHERE)


def look_up() -> None:
    socket.getaddrinfo("mail.example", 25)


def asyncio_dial() -> None:
    asyncio.run(_open(*ELSEWHERE))


def asyncio_look_up() -> None:
    asyncio.run(_open("mail.example", 25))


async def _open(host: str, port: int) -> None:
    await asyncio.open_connection(host, port)


@pytest.mark.parametrize(
    "leave",
    [connect, connect_ex, connect_v6, datagram, look_up, asyncio_dial, asyncio_look_up],
    ids=lambda f: f.__name__,
)
def test_refuses_and_remembers(leave: Callable[[], None], refused_dials: Path) -> None:
    with pytest.raises(BeyondLoopbackError):
        leave()
    assert refused_dials.exists()
    refused_dials.unlink()


def test_remembers_what_the_code_swallows(refused_dials: Path) -> None:
    with contextlib.suppress(Exception):
        connect()
    assert "192.0.2.1" in refused_dials.read_text()
    refused_dials.unlink()


def test_watches_children(refused_dials: Path) -> None:
    code = "import socket\ntry: socket.create_connection(('192.0.2.1', 25))\nexcept BaseException: pass"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    assert "192.0.2.1" in refused_dials.read_text()
    refused_dials.unlink()


def test_lets_loopback_through() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
    assert socket.getaddrinfo("localhost", 25)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST.", "::ffff:127.0.0.1", ""])
def test_knows_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["128.0.0.1", "127.0.0.1.example", "localhost.example", "::2", "10.0.0.1"])
def test_knows_elsewhere(host: str) -> None:
    assert not is_loopback(host)


def test_every_test_has_a_home_of_its_own(own_home: Path) -> None:
    assert Path.home() == own_home
    assert not list(own_home.iterdir())
    assert not [name for name in os.environ if name.startswith(("MAILWHY_", "XDG_"))]
