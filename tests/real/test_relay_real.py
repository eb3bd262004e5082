"""The relay before Dovecot and Postfix: what comes through it is what comes without it, and it is read rightly."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from real import people
from real.dovecot import Dovecot
from real.postfix import Postfix
from real.process import Server

from mailwhy.mock.certs import shared
from mailwhy.model import Account, Credential, Kind, Protocol, Secret, Stage, Target, Tls
from mailwhy.net import Way
from mailwhy.plain import to_plain
from mailwhy.probe import probe
from mailwhy.relay import Relay, Seen, Settings
from mailwhy.relay.notes import dialogue
from mailwhy.relay.serve import Observer
from mailwhy.run import explain, judge

pytestmark = pytest.mark.real

LOGIN = f"app@{people.DOMAIN}"
PAIRS = tuple(itertools.product(Tls, Tls))
AWKWARD = tuple(people.PASSWORDS)


class Before:
    """A relay before one real server, and the sessions that are over."""

    def __init__(self, relay: Relay, over: asyncio.Queue[Seen]) -> None:
        self.relay, self.over = relay, over

    async def seen(self) -> Seen:
        async with asyncio.timeout(20):
            return await self.over.get()


@contextlib.asynccontextmanager
async def before(server: Server, target: Target, app_tls: Tls) -> AsyncIterator[Before]:
    over: asyncio.Queue[Seen] = asyncio.Queue()
    settings = Settings(target, app_tls, shared().context(), way=Way(ca_file=str(server.ca_file)))
    async with Relay(settings, Observer(ended=over.put_nowait)) as relay:
        yield Before(relay, over)


def kept(seen: Seen) -> str:
    """All that a session leaves behind."""
    return dialogue(seen) + json.dumps([to_plain(seen.attempt), to_plain(seen.account)], ensure_ascii=False)


async def through(server: Server, target: Target, app_tls: Tls, login: str, secret: str, tmp_path: Path) -> Seen:
    """One sign-in of ours through the relay; what it left must not hold the secret, and be read alike both ways."""
    (tmp_path / "ca.pem").write_bytes(shared().ca_pem)
    credential = Credential(Account(login, login, login), Kind.PASSWORD, Secret(secret))
    async with before(server, target, app_tls) as it:
        app = Target(target.protocol, "127.0.0.1", it.relay.port, app_tls)
        mine = await probe(app, credential, Way(ca_file=str(tmp_path / "ca.pem")))
        seen = await it.seen()
    assert [s.ok for s in mine.steps if s.stage is Stage.AUTH] == [
        s.ok for s in seen.attempt.steps if s.stage is Stage.AUTH
    ]
    for form in (secret, base64.b64encode(secret.encode()).decode(), json.dumps(secret)[1:-1]):
        assert form not in kept(seen)
    day = "2026-11-22"
    outcome = judge("relay", [seen.attempt], seen.account, as_of=day)
    again = explain(dialogue(seen), as_of=day)
    assert again.findings == outcome.findings
    assert [each.verdict for each in again.diagnoses] == [each.verdict for each in outcome.diagnoses]
    return seen


@pytest.mark.parametrize(("server_tls", "app_tls"), PAIRS)
@pytest.mark.parametrize("protocol", Protocol)
async def test_signs_in(
    real_servers: Dovecot, protocol: Protocol, server_tls: Tls, app_tls: Tls, tmp_path: Path
) -> None:
    """Every pair of modes, with another awkward password each."""
    name = AWKWARD[(list(Protocol).index(protocol) + PAIRS.index((server_tls, app_tls))) % len(AWKWARD)]
    login = f"{name}@{people.DOMAIN}"
    target = real_servers.target(protocol, server_tls, "localhost")
    seen = await through(real_servers, target, app_tls, login, people.USERS[login], tmp_path)
    assert seen.attempt.failed is None
    assert seen.attempt.ok(Stage.AUTH)
    assert seen.account.login == login


@pytest.mark.parametrize("protocol", Protocol)
async def test_is_refused(real_servers: Dovecot, protocol: Protocol, tmp_path: Path) -> None:
    target = real_servers.target(protocol, Tls.STARTTLS, "localhost")
    seen = await through(real_servers, target, Tls.STARTTLS, LOGIN, "not the password", tmp_path)
    findings = judge("relay", [seen.attempt], seen.account, as_of="2026-11-22").findings
    assert "credentials.wrong" in [finding.cause for finding in findings]


@pytest.mark.parametrize("app_tls", Tls)
async def test_signs_in_to_postfix(postfix: Postfix, app_tls: Tls, tmp_path: Path) -> None:
    target = postfix.target(Protocol.SMTP, Tls.STARTTLS, "localhost")
    seen = await through(postfix, target, app_tls, LOGIN, people.USERS[LOGIN], tmp_path)
    assert seen.attempt.failed is None
    assert seen.attempt.ok(Stage.AUTH)


async def said(port: int, octets: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """All that is answered to these octets, sent at once; without what differs from one session to the next.

    Where they hold GO_ON, what is behind it waits for the answer to NOOP.
    """
    name = "localhost" if context else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    await reader.readline()
    at_once, _, later = octets.partition(GO_ON)
    writer.write(at_once)
    async with asyncio.timeout(20):
        answer = await reader.readuntil(b"NOOP completed") if later else b""
        writer.write(later)
        answer += await reader.read(-1)
    writer.close()
    return re.sub(rb" \([\d. +]+secs\)|BODY\[\] |APPENDUID [\d ]+|UIDNEXT \d+|UIDVALIDITY \d+", b"", answer)


GO_ON = b"(go on)"
MAIL = (
    b"Subject: x\r\n\r\n"
    + bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"")
    + b"\r\n"
    + b"y" * 5000
    + b"\r\n"
)
IMAP = b"".join(
    [
        b"1 LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (len(LOGIN), LOGIN.encode(), 16, people.USERS[LOGIN].encode()),
        b"2 CREATE mine-%s\r\n3 SELECT mine-%s\r\n",
        b"4 APPEND mine-%%s {%d+}\r\n%s\r\n" % (len(MAIL), MAIL.replace(b"%", b"%%")),
        b"5 NOOP\r\n"
        + GO_ON
        + b"6 FETCH 1 (RFC822.SIZE BODY[])\r\n7 NONSENSE \xff\xfe\r\n8 DELETE nothing\r\n9 LOGOUT\r\n",
    ]
)
POP = f"CAPA\r\nUSER {LOGIN}\r\nPASS {people.USERS[LOGIN]}\r\nSTAT\r\nLIST\r\nRETR 99\r\nNONSENSE\r\nNOOP\r\nQUIT\r\n".encode()


@pytest.mark.parametrize(("protocol", "octets"), [(Protocol.IMAP, IMAP), (Protocol.POP, POP)])
async def test_everything_at_once_is_answered_as_without_the_relay(
    real_servers: Dovecot, protocol: Protocol, octets: bytes
) -> None:
    """Pipelined commands, literals, all octets in a mail, long lines: the same answers, octet for octet."""
    target = real_servers.target(protocol, Tls.IMPLICIT, "localhost")
    context = ssl.create_default_context(cafile=str(real_servers.ca_file))
    if protocol is Protocol.IMAP:
        direct, relayed = octets % (b"a", b"a", b"a"), octets % (b"b", b"b", b"b")
    else:
        direct = relayed = octets
    without = await said(target.port or 0, direct, context)
    async with before(real_servers, target, Tls.NONE) as it:
        with_it = await said(it.relay.port, relayed)
        seen = await it.seen()
    assert with_it.replace(b"mine-b", b"mine-a") == without
    assert (MAIL in with_it) is (protocol is Protocol.IMAP)
    assert seen.attempt.ok(Stage.AUTH)
    assert people.USERS[LOGIN] not in kept(seen)
    assert "y" * 100 not in kept(seen)


async def test_idle_hears_at_once(real_servers: Dovecot) -> None:
    """The server speaks unasked, and the app hears it while it is silent."""
    target = real_servers.target(Protocol.IMAP, Tls.IMPLICIT, "localhost")
    sign_in = f"1 LOGIN {LOGIN} {people.USERS[LOGIN]}\r\n".encode()
    async with before(real_servers, target, Tls.NONE) as it:
        streams = [await asyncio.open_connection("127.0.0.1", it.relay.port) for _ in range(2)]
        (hears, listener), (_, speaker) = streams
        listener.write(sign_in + b"2 CREATE idle\r\n3 SELECT idle\r\n4 IDLE\r\n")
        async with asyncio.timeout(20):
            await hears.readuntil(b"+ idling")
            speaker.write(sign_in + b"2 APPEND idle {14+}\r\nSubject: x\r\n\r\n\r\n")
            await hears.readuntil(b"1 EXISTS\r\n")
            listener.write(b"DONE\r\n5 LOGOUT\r\n")
            await hears.readuntil(b"5 OK")
        for _, writer in streams:
            writer.close()
        seen = await it.seen()
    assert seen.attempt.failed is None
