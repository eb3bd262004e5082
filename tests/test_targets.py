"""What a user writes for a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwhy.mock.servers import Address
from mailwhy.model import Protocol, Target, Tls, bracketed
from mailwhy.targets import BadServerError, parse_server


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("smtp=mail.example.com", Target(Protocol.SMTP, "mail.example.com", 587, Tls.STARTTLS)),
        ("smtp=mail.example.com:465", Target(Protocol.SMTP, "mail.example.com", 465, Tls.IMPLICIT)),
        ("smtp=127.0.0.1:1025/none", Target(Protocol.SMTP, "127.0.0.1", 1025, Tls.NONE)),
        ("imap=[::1]:1993/implicit", Target(Protocol.IMAP, "::1", 1993, Tls.IMPLICIT)),
        ("imap=localhost/starttls", Target(Protocol.IMAP, "localhost", 143, Tls.STARTTLS)),
        ("pop3s://localhost", Target(Protocol.POP, "localhost", 995, Tls.IMPLICIT)),
        ("smtp://localhost:2525", Target(Protocol.SMTP, "localhost", 2525, Tls.STARTTLS)),
    ],
)
def test_servers(text: str, target: Target) -> None:
    assert parse_server(text) == target


@pytest.mark.parametrize(
    "text", ["", "mail.example.com", "http://x", "smtp=x:0", "smtp=x:99999", "smtp=x/tls", "smtp=u:p@x"]
)
def test_a_wrong_server_says_how_to_write_it(text: str) -> None:
    with pytest.raises(BadServerError, match=r"smtp=HOST:PORT/starttls|between 1 and|after / stands"):
        parse_server(text)


@given(
    st.sampled_from(Protocol),
    st.sampled_from(["h.example", "::1", "127.0.0.1"]),
    st.integers(1, 65535),
    st.sampled_from(Tls),
)
def test_what_the_mock_prints_is_read_back(protocol: Protocol, host: str, port: int, tls: Tls) -> None:
    assert parse_server(str(Address(protocol, host, port, tls, "front"))) == Target(protocol, host, port, tls)


@pytest.mark.parametrize(
    ("host", "written_so"),
    [
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("fe80::1%eth0", "[fe80::1%eth0]"),
        ("127.0.0.1", "127.0.0.1"),
        ("h.x", "h.x"),
    ],
)
def test_only_ipv6_addresses_are_put_in_brackets(host: str, written_so: str) -> None:
    assert bracketed(host) == written_so
