"""The real servers, seen through the standard library: what the other real tests stand on is true."""

from __future__ import annotations

import pytest
from real import clients, people
from real.dovecot import Dovecot

from mailwhy.model import Protocol, Tls

pytestmark = pytest.mark.real
LOGIN = f"app@{people.DOMAIN}"


@pytest.mark.parametrize("tls", Tls)
@pytest.mark.parametrize("protocol", Protocol)
def test_signs_in_and_is_refused_in_every_mode(real_servers: Dovecot, protocol: Protocol, tls: Tls) -> None:
    target = real_servers.target(protocol, tls)
    right = clients.sign_in(target, real_servers.certs.ca, LOGIN, people.USERS[LOGIN])
    wrong = clients.sign_in(target, real_servers.certs.ca, LOGIN, "wrong")
    assert right.startswith({"smtp": "235 2.7.0", "imap": "OK", "pop": "+OK"}[protocol])
    assert wrong.startswith({"smtp": "535 5.7.8", "imap": "NO [AUTHENTICATIONFAILED]", "pop": "-ERR [AUTH]"}[protocol])


@pytest.mark.parametrize("name", people.PASSWORDS)
@pytest.mark.parametrize("protocol", Protocol)
def test_takes_awkward_passwords(real_servers: Dovecot, protocol: Protocol, name: str) -> None:
    login = f"{name}@{people.DOMAIN}"
    target = real_servers.target(protocol, Tls.IMPLICIT)
    said = clients.sign_in(target, real_servers.certs.ca, login, people.USERS[login])
    assert said.startswith(("235", "OK", "+OK"))


@pytest.mark.parametrize(
    ("login", "said"),
    [
        (people.SHUT_OFF, {"smtp": "525 5.7.13", "imap": "NO [CONTACTADMIN]", "pop": "-ERR [AUTH]"}),
        (people.UNWELL, {"smtp": "454 4.7.0", "imap": "NO [UNAVAILABLE]", "pop": "-ERR [SYS/TEMP]"}),
        (people.BROKEN, {"smtp": "", "imap": "", "pop": ""}),
    ],
)
@pytest.mark.parametrize("protocol", Protocol)
def test_refuses_in_other_ways(real_servers: Dovecot, protocol: Protocol, login: str, said: dict[str, str]) -> None:
    answer = clients.sign_in(real_servers.target(protocol, Tls.IMPLICIT), real_servers.certs.ca, login, "right")
    assert answer.startswith(said[protocol])
    assert bool(answer) == bool(said[protocol])


@pytest.mark.parametrize("protocol", Protocol)
def test_takes_good_tokens_only(real_servers: Dovecot, protocol: Protocol) -> None:
    target = real_servers.target(protocol, Tls.IMPLICIT)
    ca = real_servers.certs.ca
    good = clients.sign_in(target, ca, LOGIN, people.token(LOGIN), "XOAUTH2")
    assert good.startswith(("235", "OK", "+OK"))
    for token in (people.token(LOGIN, lifetime=-60), people.token(LOGIN, key=b"another")):
        bad = clients.sign_in(target, ca, LOGIN, token, "XOAUTH2")
        assert bad.startswith(("535", "NO", "-ERR"))
