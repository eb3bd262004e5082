"""The real servers, seen through the standard library: what the other real tests stand on is true."""

from __future__ import annotations

import dataclasses
import imaplib
import ssl

import pytest
from real import clients, people
from real.certs import STRANGER
from real.dovecot import STRICT, Dovecot
from real.postfix import Postfix

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


@pytest.mark.parametrize("tls", Tls)
def test_postfix_signs_in_and_refuses_in_every_mode(postfix: Postfix, tls: Tls) -> None:
    target = postfix.target(Protocol.SMTP, tls)
    ca = postfix.certs.ca
    assert clients.sign_in(target, ca, LOGIN, people.USERS[LOGIN]).startswith("235 2.7.0")
    assert clients.sign_in(target, ca, LOGIN, "wrong").startswith("535 5.7.8 Error: authentication failed")
    assert clients.sign_in(target, ca, LOGIN, people.token(LOGIN), "XOAUTH2").startswith("235 2.7.0")


def test_postfix_wants_tls_first(postfix: Postfix) -> None:
    target = dataclasses.replace(postfix.target(Protocol.SMTP, Tls.STARTTLS), tls=Tls.NONE)
    said = clients.sign_in(target, postfix.certs.ca, LOGIN, people.USERS[LOGIN])
    assert said.startswith("530 5.7.0 Must issue a STARTTLS command first")


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


def test_says_logindisabled_in_clear_on_the_strict_address(real_servers: Dovecot) -> None:
    target = real_servers.target(Protocol.IMAP, Tls.NONE, STRICT)
    assert target.port
    with imaplib.IMAP4(STRICT, target.port, timeout=clients.LIMIT) as client:
        assert "LOGINDISABLED" in client.capabilities


@pytest.mark.parametrize("protocol", Protocol)
def test_certificates_are_worth_checking(real_servers: Dovecot, protocol: Protocol) -> None:
    target = real_servers.target(protocol, Tls.IMPLICIT)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        clients.sign_in(target, real_servers.certs.other_ca, LOGIN, "anything")
    elsewhere = dataclasses.replace(target, host=STRANGER)
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        clients.sign_in(elsewhere, real_servers.certs.ca, LOGIN, "anything")
