"""Faults, seen from the client's side: what breaks, in which stage, and that it mends again."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from mailwhy.mock.faults import KINDS, BadFaultError, fault, stripped
from mailwhy.mock.threaded import Running


def connect(exchange: Running, protocol: str, tls: str) -> socket.socket:
    where = exchange.address(protocol, tls)
    return socket.create_connection((where.host, where.port), timeout=20)


def greeting(exchange: Running, protocol: str = "smtp") -> bytes:
    with connect(exchange, protocol, "starttls") as sock:
        return everything(sock) if exchange.servers.world.faults else sock.recv(4096)


def everything(sock: socket.socket, most: int = 200_000) -> bytes:
    data = b""
    while len(data) < most and (more := sock.recv(4096)):
        data += more
    return data


def handshake(exchange: Running, protocol: str = "imap", ca_file: Path | None = None) -> str:
    """The TLS version, or the reason in OpenSSL's words."""
    context = ssl.create_default_context(cafile=str(ca_file or exchange.ca_file))
    try:
        with (
            connect(exchange, protocol, "implicit") as sock,
            context.wrap_socket(sock, server_hostname="localhost") as tls,
        ):
            return tls.version() or ""
    except ssl.SSLCertVerificationError as why:
        return why.verify_message
    except ssl.SSLError as why:
        return why.reason or str(why)


def test_without_faults_all_is_well(exchange_online: Running) -> None:
    assert greeting(exchange_online).startswith(b"220 ")
    assert handshake(exchange_online) == "TLSv1.3"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("expired", "certificate has expired"),
        ("other_name", "Hostname mismatch"),
        ("self_signed", "self-signed certificate"),
        ("unknown_ca", "unable to get local issuer certificate"),
    ],
)
def test_wrong_certificates(exchange_online: Running, value: str, words: str) -> None:
    exchange_online.fault("certificate", value=value)
    assert words in handshake(exchange_online)
    exchange_online.reset()
    assert handshake(exchange_online) == "TLSv1.3"


@pytest.mark.parametrize("value", ["1.0", "1.1"])
def test_only_old_tls(exchange_online: Running, value: str) -> None:
    exchange_online.fault("tls_version", value=value)
    assert handshake(exchange_online) in ("TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL")


def test_tls_refused_and_clear_text_on_a_tls_port(exchange_online: Running) -> None:
    exchange_online.fault("tls_refused", protocol="imap")
    exchange_online.fault("clear_on_tls", protocol="pop")
    assert handshake(exchange_online) == "SSLV3_ALERT_HANDSHAKE_FAILURE"
    assert handshake(exchange_online, "pop") == "WRONG_VERSION_NUMBER"


def test_tls_on_a_clear_port_is_silent(exchange_online: Running) -> None:
    exchange_online.fault("tls_on_clear")
    with connect(exchange_online, "smtp", "starttls") as sock:
        sock.sendall(b"EHLO probe.test\r\n")
        assert sock.recv(100)[:1] in (b"\x15", b"")  # an alert, no greeting


@pytest.mark.parametrize(
    ("protocol", "text"),
    [
        ("smtp", "421 4.3.2 Service not active"),
        ("imap", "* BYE Connection is closed. 13"),
        ("pop", "-ERR Server Unavailable. 21"),
    ],
)
def test_another_greeting_and_closed(exchange_online: Running, protocol: str, text: str) -> None:
    exchange_online.fault("say", stage="greeting", text=text)
    assert greeting(exchange_online, protocol) == text.encode() + b"\r\n"


def test_fails_twice_and_then_works(exchange_online: Running) -> None:
    exchange_online.fault("reset_peer", times=2)
    for _ in range(2):
        with pytest.raises(ConnectionResetError), connect(exchange_online, "smtp", "starttls") as sock:
            sock.recv(100)
    with connect(exchange_online, "smtp", "starttls") as sock:
        assert sock.recv(100).startswith(b"220 ")


def test_a_stage_spares_what_comes_before_it(exchange_online: Running) -> None:
    exchange_online.fault("timeout", stage="capabilities", seconds=0.0)
    with connect(exchange_online, "smtp", "starttls") as sock:
        assert sock.recv(4096).startswith(b"220 ")
        sock.sendall(b"EHLO probe.test\r\n")
        assert sock.recv(4096) == b""


def test_silence_lasts_until_the_client_leaves(exchange_online: Running) -> None:
    exchange_online.fault("silence")
    with connect(exchange_online, "smtp", "starttls") as sock:
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.recv(1)


def test_latency_is_measurable(exchange_online: Running) -> None:
    exchange_online.fault("latency", seconds=0.3)
    start = time.monotonic()
    with connect(exchange_online, "smtp", "starttls") as sock:
        sock.recv(4096)
    assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize("more", [{"kind": "slicer", "size": 5}, {"kind": "bandwidth", "rate": 100_000}])
def test_slow_pieces_arrive_whole(exchange_online: Running, more: dict[str, Any]) -> None:
    exchange_online.fault(**more)
    with connect(exchange_online, "smtp", "starttls") as sock:
        sock.sendall(b"QUIT\r\n")
        data = everything(sock)
    assert data.startswith(b"220 ")
    assert data.endswith(b"221 2.0.0 Service closing transmission channel\r\n")


def test_limit_data_half_close_and_slow_close(exchange_online: Running) -> None:
    exchange_online.fault("limit_data", size=10, protocol="smtp")
    exchange_online.fault("half_close", protocol="imap")
    exchange_online.fault("slow_close", seconds=0.2, protocol="pop")
    assert len(greeting(exchange_online)) == 10
    half = greeting(exchange_online, "imap")
    assert half.startswith(b"* OK")
    assert not half.endswith(b"\r\n")
    with connect(exchange_online, "pop", "starttls") as sock:
        sock.sendall(b"QUIT\r\n")
        start = time.monotonic()
        assert everything(sock).endswith(b"+OK Good-bye.\r\n")
        assert time.monotonic() - start >= 0.15


def test_endless_things_do_not_end(exchange_online: Running) -> None:
    exchange_online.fault("endless_line", protocol="smtp")
    exchange_online.fault("endless_answer", protocol="imap")
    for protocol, newline in (("smtp", False), ("imap", True)):
        with connect(exchange_online, protocol, "starttls") as sock:
            data = everything(sock)
        assert len(data) >= 200_000
        assert (b"\n" in data) is newline


def test_garbage_is_one_line_of_no_protocol(exchange_online: Running) -> None:
    exchange_online.fault("garbage")
    with connect(exchange_online, "smtp", "starttls") as sock:
        data = sock.recv(4096)
    assert data.endswith(b"\r\n")
    assert not data.startswith(b"220")


def test_starttls_is_stripped(exchange_online: Running) -> None:
    exchange_online.fault("strip_starttls")
    with connect(exchange_online, "smtp", "starttls") as sock:
        sock.recv(4096)
        sock.sendall(b"EHLO probe.test\r\n")
        data = sock.recv(4096)
    assert b"STARTTLS" not in data
    assert b"250-XXXXXXXX\r\n" in data
    assert stripped(b"250-STARTTLS\r\nSTLS\r\nHOSTLS x\r\n") == b"250-XXXXXXXX\r\nXXXX\r\nHOSTLS x\r\n"


def test_a_fault_of_one_mailbox_spares_the_others(exchange_online: Running) -> None:
    exchange_online.fault("timeout", mailbox="smtp-off@contoso.test", stage="auth")
    context = ssl.create_default_context(cafile=str(exchange_online.ca_file))
    for login, answer in (("works@contoso.test", b"a NO LOGIN failed.\r\n"), ("smtp-off@contoso.test", b"")):
        with (
            connect(exchange_online, "imap", "implicit") as sock,
            context.wrap_socket(sock, server_hostname="localhost") as tls,
        ):
            tls.recv(4096)
            tls.sendall(f"a LOGIN {login} abcdefghijklmnop\r\n".encode())
            assert tls.recv(4096) == answer


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"kind": "rain"}, "no kind 'rain'; use one of latency"),
        ({"kind": "certificate"}, "value = one of expired"),
        ({"kind": "tls_version", "value": "2"}, 'value = "1.0"'),
        ({"kind": "say"}, "needs a text"),
        ({"kind": "latency", "seconds": "long"}, "seconds: expected float"),
        ({}, "'kind' is missing"),
    ],
)
def test_wrong_faults_say_how_to_mend_them(data: dict[str, Any], words: str) -> None:
    with pytest.raises(BadFaultError, match=words.replace("(", r"\(")):
        fault(data)


def test_every_kind_is_tried_here() -> None:
    text = Path(__file__).read_text()
    assert [kind for kind in KINDS if f'"{kind}"' not in text] == []
