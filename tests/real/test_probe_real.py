"""The probes against Dovecot and Postfix: what real servers take, and what they answer when they don't."""

from __future__ import annotations

import base64
import dataclasses
import json
import socket
from pathlib import Path

import needs
import pytest
from real import people
from real.certs import STRANGER
from real.dovecot import STRICT, Dovecot
from real.postfix import Postfix
from real.process import Server

from mailwhy.model import Account, Attempt, Credential, Fault, Kind, Protocol, Secret, Stage, Target, Tls
from mailwhy.plain import to_plain
from mailwhy.probe import Timeouts, Way, probe

pytestmark = pytest.mark.real

LOGIN = f"app@{people.DOMAIN}"
EVERY_PROTOCOL = pytest.mark.parametrize("protocol", Protocol)
EVERY_MODE = pytest.mark.parametrize("tls", Tls)
EVERY_PASSWORD = pytest.mark.parametrize("name", people.PASSWORDS)


async def tried(server: Server, target: Target, login: str, secret: str, kind: Kind = Kind.PASSWORD) -> Attempt:
    """One attempt, with the server's authority trusted. The secret must not be in the evidence."""
    attempt = await probe(target, Credential(Account(login), kind, Secret(secret)), way(server.ca_file))
    evidence = json.dumps(to_plain(attempt), ensure_ascii=False)
    plain = base64.b64encode(f"\0{login}\0{secret}".encode()).decode()
    for form in (secret, json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode(), plain):
        assert form not in evidence
    return attempt


def way(ca_file: Path, reply: float = 15.0) -> Way:
    """The usual way, trusting this authority only."""
    return Way(ca_file=str(ca_file), timeouts=Timeouts(reply=reply))


def ended(attempt: Attempt) -> tuple[Stage, Fault | None, str]:
    """Where an attempt ended, and on what: stage, fault, the server's status."""
    step = attempt.failed
    assert step, "it went through"
    return step.stage, step.fault, step.reply.status if step.reply else ""


def went_through(attempt: Attempt) -> bool:
    """Signed in, and the mailbox answered."""
    return attempt.failed is None and attempt.ok(Stage.AUTH) and attempt.ok(Stage.USE)


@EVERY_PASSWORD
@EVERY_MODE
@EVERY_PROTOCOL
async def test_signs_in(real_servers: Dovecot, protocol: Protocol, tls: Tls, name: str) -> None:
    login = f"{name}@{people.DOMAIN}"
    attempt = await tried(real_servers, real_servers.target(protocol, tls), login, people.USERS[login])
    assert went_through(attempt), attempt.failed
    assert attempt.ok(Stage.TLS) == (tls is not Tls.NONE)


@EVERY_PASSWORD
@EVERY_MODE
async def test_signs_in_to_postfix(postfix: Postfix, tls: Tls, name: str) -> None:
    login = f"{name}@{people.DOMAIN}"
    attempt = await tried(postfix, postfix.target(Protocol.SMTP, tls), login, people.USERS[login])
    assert went_through(attempt), attempt.failed


REFUSED = {Protocol.SMTP: "535", Protocol.IMAP: "NO", Protocol.POP: "-ERR"}


@EVERY_MODE
@EVERY_PROTOCOL
async def test_is_refused(real_servers: Dovecot, protocol: Protocol, tls: Tls) -> None:
    attempt = await tried(real_servers, real_servers.target(protocol, tls), LOGIN, "not the password")
    assert ended(attempt) == (Stage.AUTH, None, REFUSED[protocol])


async def test_is_refused_by_postfix_in_its_own_words(postfix: Postfix) -> None:
    attempt = await tried(postfix, postfix.target(Protocol.SMTP, Tls.STARTTLS), LOGIN, "not the password")
    assert ended(attempt) == (Stage.AUTH, None, "535")
    reply = attempt.steps[-1].reply
    assert reply
    assert reply.enhanced == "5.7.8"
    assert reply.line.startswith("535 5.7.8 Error: authentication failed:")


@pytest.mark.parametrize(
    ("login", "answers"),
    [
        (people.SHUT_OFF, {"smtp": "525 5.7.13", "imap": "[CONTACTADMIN]", "pop": "[AUTH]"}),
        (people.UNWELL, {"smtp": "454 4.7.0", "imap": "[UNAVAILABLE]", "pop": "[SYS/TEMP]"}),
    ],
    ids=["shut off", "unwell"],
)
@EVERY_PROTOCOL
async def test_is_refused_for_other_reasons(
    real_servers: Dovecot, protocol: Protocol, login: str, answers: dict[str, str]
) -> None:
    attempt = await tried(real_servers, real_servers.target(protocol, Tls.IMPLICIT), login, "right")
    stage, fault, _ = ended(attempt)
    assert (stage, fault) == (Stage.AUTH, None)
    reply = attempt.steps[-1].reply
    assert reply
    assert answers[protocol] in reply.line


@EVERY_PROTOCOL
async def test_sees_a_server_close_instead_of_answering(real_servers: Dovecot, protocol: Protocol) -> None:
    attempt = await tried(real_servers, real_servers.target(protocol, Tls.IMPLICIT), people.BROKEN, "right")
    assert ended(attempt) == (Stage.AUTH, Fault.CLOSED, "")


@EVERY_PROTOCOL
async def test_signs_in_with_a_token(real_servers: Dovecot, protocol: Protocol) -> None:
    target = real_servers.target(protocol, Tls.IMPLICIT)
    assert went_through(await tried(real_servers, target, LOGIN, people.token(LOGIN), Kind.OAUTH))


@pytest.mark.parametrize("token", [people.token(LOGIN, lifetime=-60), people.token(LOGIN, key=b"another")])
@EVERY_PROTOCOL
async def test_a_bad_token_is_refused_with_a_challenge(real_servers: Dovecot, protocol: Protocol, token: str) -> None:
    target = real_servers.target(protocol, Tls.IMPLICIT)
    attempt = await tried(real_servers, target, LOGIN, token, Kind.OAUTH)
    assert ended(attempt) == (Stage.AUTH, None, REFUSED[protocol])
    assert json.loads(attempt.steps[-1].seen["challenge"])["status"] in ("401", "invalid_token")


# --- certificates ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [Tls.IMPLICIT, Tls.STARTTLS])
@EVERY_PROTOCOL
async def test_shows_no_password_to_a_stranger(real_servers: Dovecot, protocol: Protocol, tls: Tls) -> None:
    credential = Credential(Account(LOGIN), Kind.PASSWORD, Secret(people.USERS[LOGIN]))
    target = real_servers.target(protocol, tls)
    attempt = await probe(target, credential, way(real_servers.certs.other_ca))
    assert ended(attempt)[:2] == (Stage.TLS, Fault.TLS_UNTRUSTED)
    assert "unknown_issuer" in attempt.steps[-1].seen["problems"]
    attempt = await probe(dataclasses.replace(target, host=STRANGER), credential, way(real_servers.ca_file))
    assert ended(attempt)[:2] == (Stage.TLS, Fault.TLS_UNTRUSTED)
    assert attempt.steps[-1].seen["problems"] == ["name_mismatch"]


async def test_reads_the_certificate(real_servers: Dovecot) -> None:
    target = real_servers.target(Protocol.IMAP, Tls.IMPLICIT)
    attempt = await tried(real_servers, target, LOGIN, people.USERS[LOGIN])
    (step,) = attempt.stage(Stage.TLS)
    assert step.seen["version"] == "TLSv1.3"
    assert "localhost" in step.seen["names"]
    assert "mailwhy tests" in step.seen["issuer"]


# --- the wrong door ----------------------------------------------------------------------------------------------


@EVERY_PROTOCOL
async def test_tls_on_a_clear_port(real_servers: Dovecot, protocol: Protocol) -> None:
    target = dataclasses.replace(real_servers.target(protocol, Tls.STARTTLS), tls=Tls.IMPLICIT)
    attempt = await tried(real_servers, target, LOGIN, people.USERS[LOGIN])
    assert ended(attempt)[:2] == (Stage.TLS, Fault.TLS_NOT_SPOKEN)


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.NONE])
@EVERY_PROTOCOL
async def test_clear_text_on_a_tls_port(real_servers: Dovecot, protocol: Protocol, tls: Tls) -> None:
    target = dataclasses.replace(real_servers.target(protocol, Tls.IMPLICIT), tls=tls)
    attempt = await probe(target, None, way(real_servers.ca_file, reply=0.5))
    assert ended(attempt)[:2] == (Stage.GREETING, Fault.TLS_SPOKEN)


@EVERY_PROTOCOL
async def test_sends_nothing_in_clear_that_is_not_offered(real_servers: Dovecot, protocol: Protocol) -> None:
    target = real_servers.target(protocol, Tls.NONE, STRICT)
    attempt = await tried(real_servers, target, LOGIN, people.USERS[LOGIN])
    assert ended(attempt) == (Stage.AUTH, Fault.NOT_OFFERED, "")


async def test_postfix_offers_nothing_before_tls(postfix: Postfix) -> None:
    target = dataclasses.replace(postfix.target(Protocol.SMTP, Tls.STARTTLS), tls=Tls.NONE)
    attempt = await tried(postfix, target, LOGIN, people.USERS[LOGIN])
    assert ended(attempt)[1] is Fault.NOT_OFFERED or ended(attempt)[2] == "530"


async def test_imap_on_the_port_of_smtp(real_servers: Dovecot) -> None:
    target = dataclasses.replace(real_servers.target(Protocol.SMTP, Tls.IMPLICIT), protocol=Protocol.IMAP)
    attempt = await tried(real_servers, target, LOGIN, people.USERS[LOGIN])
    assert ended(attempt)[:2] == (Stage.GREETING, Fault.GARBLED)


# --- the way there -----------------------------------------------------------------------------------------------


async def test_dials_from_and_to_where_it_is_told(real_servers: Dovecot) -> None:
    target = real_servers.target(Protocol.IMAP, Tls.IMPLICIT, "localhost")
    port = target.port or 0
    detour = {("localhost", port): (STRANGER, port)}
    told = dataclasses.replace(way(real_servers.ca_file), source="127.0.0.9", connect_to=detour)
    credential = Credential(Account(LOGIN), Kind.PASSWORD, Secret(people.USERS[LOGIN]))
    attempt = await probe(target, credential, told)
    assert went_through(attempt), attempt.failed
    (step,) = attempt.stage(Stage.TCP)
    assert (step.seen["address"], step.seen["local"]) == (STRANGER, "127.0.0.9")


@pytest.mark.parametrize(
    ("host", "family", "other"),
    [("127.0.0.1", socket.AF_INET, socket.AF_INET6), ("::1", socket.AF_INET6, socket.AF_INET)],
    ids=["IPv4", "IPv6"],
)
async def test_keeps_to_the_family_it_is_told(real_servers: Dovecot, host: str, family: int, other: int) -> None:
    if host == "::1":
        needs.ipv6()
    target = real_servers.target(Protocol.IMAP, Tls.IMPLICIT, host)
    usual = way(real_servers.ca_file)
    attempt = await probe(target, None, dataclasses.replace(usual, family=family))
    assert attempt.failed is None, attempt.failed
    assert attempt.stage(Stage.TCP)[0].seen["address"] == host
    attempt = await probe(target, None, dataclasses.replace(usual, family=other))
    assert ended(attempt)[:2] == (Stage.DNS, Fault.NO_SUCH_HOST)
