"""Acting like an app: every profile against the look-alike, what is sent, what is refused, what is said of it."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from day import DAY

from mailwhy import mock
from mailwhy.knowledge import declared
from mailwhy.mock import Servers
from mailwhy.mock.certs import Certificates
from mailwhy.model import Account, Attempt, Credential, Kind, Protocol, Secret, Stage, Target, Tls
from mailwhy.net import Way
from mailwhy.plain import NotPlainError
from mailwhy.rehearse import Profile, act, perform, profiles
from mailwhy.relay import Relay, Seen, Settings
from mailwhy.relay.serve import Observer
from mailwhy.run import judge

LOGIN = "works@contoso.test"
SECRET = "Not-a-real-one-1234"


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    async with mock.serve() as started:
        yield started


def at(servers: Servers, protocol: str = "smtp", tls: str = "starttls") -> Target:
    address = servers.address(protocol, tls)
    return Target(address.protocol, address.host, address.port, address.tls)


async def acted(
    servers: Servers, name: str | Profile, login: str = LOGIN, *, sign_in: bool = True, tls: str = "starttls"
) -> Attempt:
    profile = name if isinstance(name, Profile) else profiles()[name]
    credential = Credential(Account(login, login, login), Kind.PASSWORD, Secret(servers.secret_of(login)))
    way = Way(ca_file=str(servers.ca_file))
    return await act(profile, credential if sign_in else None, at(servers, tls=tls), way, sender=login)


def causes(attempt: Attempt, login: str = LOGIN) -> list[str]:
    outcome = judge("rehearse", [attempt], Account(login, login, login), as_of=DAY)
    return [finding.cause for finding in outcome.findings]


def test_profiles_are_complete() -> None:
    found = profiles()
    assert set(found) == {"helo-only-printer", "dotnet-smtpclient", "plain-only-script", "aiosmtplib", "aioimaplib"}
    for profile in found.values():
        assert profile.sources
        assert profile.title
        assert profile.habits.endswith(".")


def test_a_wrong_profile_is_named(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text('[mine]\ntitle = "x"\nhabits = "y"\nsources = []\ntls = "maybe"\n')
    with pytest.raises(NotPlainError, match=r"profiles.toml, mine: tls"):
        profiles(tmp_path)


async def test_the_printer_is_told_to_use_tls(servers: Servers) -> None:
    attempt = await acted(servers, "helo-only-printer")
    assert {"app.helo", "app.no_auth", "app.no_starttls"} <= attempt.facts
    assert causes(attempt)[0] == "client.starttls_required"
    assert servers.world.attempts == []


async def test_the_printer_inside_tls_did_not_sign_in(servers: Servers) -> None:
    attempt = await acted(servers, "helo-only-printer", tls="implicit")
    assert causes(attempt) == ["client.no_auth_attempted"]


async def test_plain_only_is_refused_for_its_mechanism(servers: Servers) -> None:
    attempt = await acted(servers, "plain-only-script")
    assert "app.mechanism_not_offered" in attempt.facts
    assert causes(attempt) == ["client.unsupported_mechanism"]
    assert [step.sent for step in attempt.stage(Stage.AUTH)] == ["AUTH PLAIN"]


async def test_dotnet_signs_in_and_goes_on_when_refused(servers: Servers) -> None:
    assert (await acted(servers, "dotnet-smtpclient")).failed is None
    attempt = await acted(servers, "dotnet-smtpclient", "smtp-off@contoso.test")
    use = attempt.stage(Stage.USE)[0]
    assert use.reply
    assert use.reply.inner
    assert (use.reply.status, use.reply.inner.status) == ("530", "535")
    assert causes(attempt, "smtp-off@contoso.test") == ["mailbox.smtp_auth_disabled"]
    assert len(servers.world.attempts) == 2


@pytest.mark.parametrize("name", ["plain-only-script", "dotnet-smtpclient"])
async def test_without_a_sign_in(servers: Servers, name: str) -> None:
    attempt = await acted(servers, name, sign_in=False)
    assert attempt.failed
    assert attempt.failed.reply
    assert attempt.failed.reply.enhanced == "5.7.57"
    assert causes(attempt) == ["client.no_auth_attempted"]
    assert servers.world.attempts == []


@pytest.mark.parametrize("name", ["dotnet-smtpclient", "plain-only-script", "helo-only-printer"])
async def test_the_relay_sees_what_rehearse_sees(servers: Servers, tmp_path: Path, name: str) -> None:
    """A dialogue like .NET's through the relay: the same habits and the same cause as without it."""
    login = "smtp-off@contoso.test"
    over: asyncio.Queue[Seen] = asyncio.Queue()
    made = Certificates(("127.0.0.1",))
    made.write_ca(tmp_path / "ca.pem")
    settings = Settings(at(servers), Tls.STARTTLS, made.context(), way=Way(ca_file=str(servers.ca_file)))
    credential = Credential(Account(login, login, login), Kind.PASSWORD, Secret(servers.secret_of(login)))
    async with Relay(settings, Observer(ended=over.put_nowait)) as relay:
        target = Target(Protocol.SMTP, "127.0.0.1", relay.port, Tls.STARTTLS)
        mine = await act(profiles()[name], credential, target, Way(ca_file=str(tmp_path / "ca.pem")), sender=login)
        async with asyncio.timeout(10):
            seen = (await over.get()).attempt
    assert seen.facts == mine.facts
    assert causes(seen, login) == causes(mine, login)
    assert [(s.stage, s.ok, s.sent) for s in seen.steps if s.stage is not Stage.TLS] == [
        (s.stage, s.ok, s.sent) for s in mine.steps if s.stage is not Stage.TLS
    ]


async def test_old_tls_is_refused_by_a_server_like_microsofts(servers: Servers) -> None:
    """The look-alike takes old TLS; a relay's own side refuses it with an alert, as OpenSSL does."""
    made = Certificates(("127.0.0.1",))
    context = made.context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    old = Profile("old", "t", "h.", (), tls=Tls.IMPLICIT, tls_max="1.1")
    async with Relay(Settings(at(servers), Tls.IMPLICIT, context)) as relay:
        target = Target(Protocol.SMTP, "127.0.0.1", relay.port, Tls.IMPLICIT)
        attempt = await act(old, None, target, Way(), sender=LOGIN)
    assert "app.tls_old" in attempt.facts
    assert causes(attempt) == ["client.tls_too_old"]


async def test_no_password_in_clear_text_to_a_server_with_tls(servers: Servers) -> None:
    clear = Profile("clear", "t", "h.", (), tls=Tls.NONE, mechanisms=("LOGIN",), initial=True)
    attempt = await acted(servers, clear)
    assert attempt.held_back
    assert attempt.stage(Stage.AUTH) == ()
    assert servers.world.attempts == []


async def test_a_server_that_is_not_there(servers: Servers) -> None:
    target = Target(Protocol.SMTP, "127.0.0.1", 1, Tls.STARTTLS)
    attempt = await act(profiles()["plain-only-script"], None, target, Way(), sender=LOGIN)
    assert attempt.failed
    assert attempt.failed.stage is Stage.TCP


@pytest.mark.parametrize(
    ("name", "protocol", "tls"), [("aiosmtplib", "smtp", "starttls"), ("aioimaplib", "imap", "implicit")]
)
async def test_real_programs_behind_the_relay(
    servers: Servers, tmp_path: Path, name: str, protocol: str, tls: str
) -> None:
    made = Certificates(("localhost",))
    ca_file = tmp_path / "ca.pem"
    made.write_ca(ca_file)
    credential = Credential(Account(LOGIN, LOGIN, LOGIN), Kind.PASSWORD, Secret(SECRET))
    performed = await perform(
        profiles()[name],
        credential,
        at(servers, protocol, tls),
        Way(ca_file=str(servers.ca_file)),
        sender=LOGIN,
        certificate=made.context(),
        ca_file=str(ca_file),
    )
    attempt = performed.seen.attempt
    assert [step.ok for step in attempt.stage(Stage.AUTH)] == [False]
    assert ("SMTPAuthenticationError" if name == "aiosmtplib" else "Response(result='NO')") in performed.told
    assert SECRET not in f"{performed}"
    assert all(declared(fact) is not None for fact in attempt.facts)


def rehearse(*arguments: str, secret: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mailwhy", "rehearse", *arguments, *(["--password-stdin"] if secret else [])],
        input=secret,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


async def test_the_command_compares_with_a_modern_client(servers: Servers) -> None:
    options = ("--server", str(servers.address("smtp")), "--ca-file", str(servers.ca_file), "--as-of", DAY)
    done = await asyncio.to_thread(rehearse, "plain-only-script", LOGIN, *options, secret=servers.secret_of(LOGIN))
    assert (done.returncode, done.stderr) == (1, "")
    assert "504 5.7.4 Unrecognized authentication type" in done.stdout
    assert "change the app, not the password" in done.stdout
    assert servers.secret_of(LOGIN) not in done.stdout
    done = await asyncio.to_thread(rehearse, "dotnet-smtpclient", LOGIN, *options, secret="wrong-password-here")
    assert done.returncode == 1
    assert "not tried a second time" in done.stdout
    done = await asyncio.to_thread(rehearse, "dotnet-smtpclient", LOGIN, "--no-auth", "--format", "json", *options)
    report = json.loads(done.stdout)
    assert (report["command"], report["findings"][0]["cause"]) == ("rehearse", "client.no_auth_attempted")


def test_usage() -> None:
    assert rehearse().returncode == 2
    assert "known are" in rehearse("fax", LOGIN).stderr
    assert "speaks smtp" in rehearse("plain-only-script", LOGIN, "--server", "imap=127.0.0.1:1/none").stderr
    assert "dotnet-smtpclient" in rehearse("--list").stdout
