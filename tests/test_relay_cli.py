"""`mailwhy relay` as a user runs it: where it listens, what it prints and writes, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import json
import poplib
import signal
import smtplib
import ssl
import sys
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Any

import jsonschema
import pytest

from mailwhy import mock, run
from mailwhy.mock import Servers
from mailwhy.model import Account, Credential, Kind, Outcome, Protocol, Secret, Target, Tls
from mailwhy.net import Way
from mailwhy.probe import probe
from mailwhy.report import json as schema

SCHEMA = Path(schema.__file__).parent / "schema.json"
LOGIN = "smtp-off@contoso.test"


class Running:
    """The command in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any], ca: Path) -> None:
        self.process, self.ready, self.ca = process, ready, ca

    async def end(self, how: signal.Signals | None = None) -> tuple[int, str]:
        if how:
            self.process.send_signal(how)
        async with asyncio.timeout(30):
            out, _ = await self.process.communicate()
        return self.process.returncode or 0, (out or b"").decode()


@contextlib.asynccontextmanager
async def relay(
    folder: Path, *arguments: str, stdout: int | IO[str] = asyncio.subprocess.PIPE
) -> AsyncIterator[Running]:
    ready, ca = folder / "ready.json", folder / "relay-ca.pem"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailwhy", "relay", "--ready-file", str(ready), *arguments),
        stdout=stdout,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(30):
            while not ready.exists() and process.returncode is None:
                await asyncio.sleep(0.02)  # polling, not hoping: the file is how the command tells
        yield Running(process, json.loads(ready.read_text()) if ready.exists() else {}, ca)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    async with mock.serve() as started:
        yield started


def options(servers: Servers, folder: Path) -> list[str]:
    return [
        "--to",
        str(servers.address("smtp")),
        "--ca-file",
        str(servers.ca_file),
        "--ca-out",
        str(folder / "relay-ca.pem"),
    ]


async def sign_in(running: Running, servers: Servers) -> None:
    credential = Credential(Account(LOGIN, LOGIN, LOGIN), Kind.PASSWORD, Secret(servers.secret_of(LOGIN)))
    target = Target(Protocol.SMTP, "127.0.0.1", running.ready["port"], Tls(running.ready["tls"]))
    await probe(target, credential, Way(ca_file=str(running.ca), ehlo="app.contoso.test"))


async def test_one_session_shown_recorded_explained_and_replayed(servers: Servers, tmp_path: Path) -> None:
    record = tmp_path / "record"
    arguments = [*options(servers, tmp_path), "--record", str(record), "--once", "--as-of", "2026-11-22", "-v"]
    async with relay(tmp_path, *arguments) as running:
        await sign_in(running, servers)
        status, out = await running.end()
    assert status == 1
    for words in ("port", "auth LOGIN refused", "SMTP AUTH is switched off for this mailbox", "S: 334 UGFzc3dvcmQ6"):
        assert words in out
    secret = servers.secret_of(LOGIN)
    written = {path.suffix: path for path in record.iterdir()}
    assert set(written) == {".json", ".txt"}
    assert all(secret not in text for text in (out, *(path.read_text() for path in written.values())))
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in written.values())
    jsonschema.validate(json.loads(written[".json"].read_text()), json.loads(SCHEMA.read_text()))
    found = [run.explain(path.read_bytes(), as_of="2026-11-22") for path in written.values()]
    assert causes(found[0]) == causes(found[1]) == ["mailbox.smtp_auth_disabled"]


def causes(outcome: Outcome) -> list[str]:
    return [finding.cause for finding in outcome.findings]


GOOD = "works@before-retirement.test"  # here passwords still open IMAP and POP
PASSWORD = "abcdefghijklmnop"
Client = Callable[[int, Path], list[object]]


def sends(port: int, ca: Path) -> list[object]:
    """What smtplib is told."""
    with smtplib.SMTP("localhost", port, "app.contoso.test", timeout=20) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(ca)))
        said: list[object] = [client.login(GOOD, PASSWORD), client.mail(GOOD), client.rcpt("b@example.net")]
        said += [client.data("From: scan@contoso.test\r\n\r\n.one dot\r\nlast\r\n"), client.rset(), client.mail(GOOD)]
        said += [client.rcpt("b@example.net")]
        client.send("BDAT 20 LAST\r\nSubject: y\r\n\r\nnone\r\n")
        return [*said, client.getreply()]


def reads_imap(port: int, ca: Path) -> list[object]:
    """What imaplib is told; its tags are other ones every time."""
    with imaplib.IMAP4("localhost", port, timeout=20) as client:
        said: list[object] = [client.starttls(ssl.create_default_context(cafile=str(ca)))]
        client.literal = PASSWORD.encode()  # type: ignore[assignment]  # it is octets, whatever the stubs say
        said += [client._simple_command("LOGIN", GOOD), client.noop()]
        client.state = "AUTH"
        said += [client.select()]
        said += [
            client.append("INBOX", "", "", b"Subject: x\r\n\r\n{3}\r\n"),
            client.create("x"),
            client.status("y", "(X)"),
        ]
        return said


def reads_pop(port: int, ca: Path) -> list[object]:
    """What poplib is told."""
    client = poplib.POP3("localhost", port, timeout=20)
    said: list[object] = [client.stls(ssl.create_default_context(cafile=str(ca))), client.capa()]
    said += [client.user(GOOD), client.pass_(PASSWORD), client.stat(), client.list()[0], client.retr(1)[0]]
    with pytest.raises(poplib.error_proto) as why:
        client.retr(99)
    return [*said, why.value.args, client.quit()]


@pytest.mark.parametrize(("protocol", "client"), [("smtp", sends), ("imap", reads_imap), ("pop", reads_pop)])
async def test_a_recording_is_played_to_the_same_client(
    servers: Servers, tmp_path: Path, protocol: str, client: Client
) -> None:
    """`mock --replay` of what `relay --record` wrote: the client is told the same once more, word for word."""
    servers.world.deliver(GOOD, GOOD, [GOOD], b"Subject: hello\r\n\r\n.dot\r\n")
    record = tmp_path / "record"
    given = ["--to", str(servers.address(protocol, "starttls")), "--ca-file", str(servers.ca_file), "--once", "-q"]
    given += ["--ca-out", str(tmp_path / "relay-ca.pem"), "--record", str(record), "--as-of", "2021-06-01"]
    async with relay(tmp_path, *given) as running:
        first = await asyncio.to_thread(client, running.ready["port"], running.ca)
        await running.end()
    (file,) = record.glob("*.txt")
    (report,) = record.glob("*.json")
    assert PASSWORD not in file.read_text()
    ready = tmp_path / "mock.json"
    words = ["mock", "--replay", str(file), "--ready-file", str(ready), "--ca-file", str(tmp_path / "mock-ca.pem")]
    player = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailwhy", *words), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(30):
            while not ready.exists() and player.returncode is None:
                await asyncio.sleep(0.02)  # polling, not hoping: the file is how the command tells
        (where,) = json.loads(ready.read_text())["servers"]
        again = await asyncio.to_thread(client, where["port"], tmp_path / "mock-ca.pem")
    finally:
        player.terminate()
        await player.wait()
    assert again == first
    found = [run.explain(path.read_bytes(), as_of="2021-06-01") for path in (file, report)]
    assert causes(found[0]) == causes(found[1])
    assert [each.verdict for each in found[0].diagnoses] == [each.verdict for each in found[1].diagnoses]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_it_stops_cleanly(servers: Servers, tmp_path: Path, how: signal.Signals) -> None:
    async with relay(tmp_path, *options(servers, tmp_path), "-q") as running:
        await sign_in(running, servers)
        status, out = await running.end(how)
    assert status == 0
    assert "Traceback" not in out


async def test_a_folder_that_is_gone_is_said_and_the_app_is_served(servers: Servers, tmp_path: Path) -> None:
    record = tmp_path / "record"
    async with relay(tmp_path, *options(servers, tmp_path), "--record", str(record), "--once", "-q") as running:
        record.rmdir()
        await sign_in(running, servers)
        status, out = await running.end()
    assert status == 3
    assert out.count("a session was not recorded") == 1
    assert "SMTP AUTH is switched off" in out
    assert len(servers.world.attempts) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
async def test_an_output_that_takes_nothing_does_not_cut_the_app_off(servers: Servers, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        async with relay(tmp_path, *options(servers, tmp_path), "--once", stdout=full) as running:
            await sign_in(running, servers)
            status, _ = await running.end()
    assert status == 3
    assert [attempt.cause for attempt in servers.world.attempts] == ["mailbox.smtp_auth_disabled"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "0.0.0.0"], "needs --allow"),
        (["--listen", "printer"], "is not an IP address"),
        (["--ready-file", "nowhere/ready.json"], "--ready-file nowhere/ready.json: No such file"),
        (["--record", "/dev/null/x"], "--record /dev/null/x: Not a directory"),
        (["--to", "ftp=x:1"], "is not a server"),
        (["--server", "ftp=x:1"], "is not a server"),
        (["--allow", "everybody"], "is no address and no network"),
        (["--cloud", "nine"], "known clouds"),
        (["--cert", __file__], "belong together"),
        (["--app-tls", "none", "--ca-out", "x.pem"], "no throw-away authority"),
    ],
)
async def test_usage(tmp_path: Path, arguments: list[str], words: str) -> None:
    async with relay(tmp_path, *arguments) as running:
        status, out = await running.end()
    assert status == 2
    assert words in out


async def test_another_address_says_what_it_means(servers: Servers, tmp_path: Path) -> None:
    given = [*options(servers, tmp_path), "--listen", "127.0.0.1", "--allow", "192.0.2.7", "--app-tls", "starttls"]
    async with relay(tmp_path, *given) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.ready["port"])
        with contextlib.suppress(ConnectionError):
            assert await reader.read(-1) == b""
        writer.close()
        _, out = await running.end(signal.SIGINT)
    assert "Refused: 127.0.0.1 is not on the list" in out


async def test_a_port_that_is_taken(servers: Servers, tmp_path: Path) -> None:
    taken = str(servers.address("smtp").port)
    async with relay(tmp_path, *options(servers, tmp_path), "--port", taken) as running:
        status, out = await running.end()
    assert status == 3
    assert "cannot listen" in out


@pytest.mark.parametrize("old", [False, True])
async def test_old_tls_only_on_request(servers: Servers, tmp_path: Path, old: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point here
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    given = [*options(servers, tmp_path), "--app-tls", "implicit", *(["--old-tls"] if old else [])]
    async with relay(tmp_path, *given) as running:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.ready["port"], ssl=context)
            greeting = await reader.readline()
            writer.close()
        except (ssl.SSLError, ConnectionError):
            greeting = b""
        _, out = await running.end(signal.SIGINT)
    assert greeting.startswith(b"220 ") is old
    assert "the app offers no TLS newer than 1.1" in out
