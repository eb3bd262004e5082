"""The servers as a whole: many sessions, a clean end, loopback only, the delay, the record of what happened."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner
from needs import program

from mailwhy import mock
from mailwhy.cli.mock import _ports_to_play, command
from mailwhy.mock import dialogue_imap, dialogue_pop, dialogue_smtp, imap_mail
from mailwhy.mock.certs import shared
from mailwhy.mock.lines import check_line, curl_lines, python_line, ready, swaks_line
from mailwhy.mock.replay import BadRecordingError, from_text, read
from mailwhy.mock.servers import Address, Servers, serve
from mailwhy.mock.settings import names
from mailwhy.mock.threaded import Running
from mailwhy.model import Protocol, Tls

ASSUMED = [each.ASSUMED for each in (dialogue_imap, dialogue_pop, dialogue_smtp, imap_mail)]


def b64(text: str) -> bytes:
    return base64.b64encode(text.encode())


async def left(writer: asyncio.StreamWriter) -> None:
    """The client leaves, and waits until its connection is gone."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def smtp_sign_in(servers: Servers, login: str, secret: str) -> list[str]:
    """The last line of every answer, up to the one to AUTH."""
    context = ssl.create_default_context(cafile=str(servers.ca_file))
    where = servers.address("smtp", "implicit")
    reader, writer = await asyncio.open_connection(where.host, where.port, ssl=context, server_hostname="localhost")
    said = []
    for line in (None, b"EHLO probe.test", b"AUTH LOGIN " + b64(login), b64(secret)):
        if line is not None:
            writer.write(line + b"\r\n")
        while (answer := (await reader.readline()).decode())[3:4] == "-":
            pass
        said.append(answer.strip())
    await left(writer)
    return said


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_thousand_sessions_at_once_neither_lose_nor_mix_anything() -> None:
    number = 1000
    logins = ["works@contoso.test", "smtp-off@contoso.test", "any@org-smtp-off.test", "any@security-defaults.test"]
    words = ["235 2.7.0", "disabled for the Mailbox", "disabled for the Tenant", "security defaults policy"]
    async with serve(as_of=date(2026, 11, 22)) as servers:
        together = (smtp_sign_in(servers, logins[n % 4], "abcdefghijklmnop") for n in range(number))
        results = await asyncio.gather(*together)
        world = servers.world
    for place, said in enumerate(results):
        assert words[place % 4] in said[-1]
        if place % 4:
            assert said[0][-18:-1].strip("[]") in said[-1]  # the greeting's id stands in the trailer
    assert len({each.session for each in world.attempts}) == number
    assert [sum(each.login == login for each in world.attempts) for login in logins] == [number // 4] * 4
    assert all(each.over for each in world.sessions)
    assert sum(world.open_connections.values()) == 0


async def test_who_stays_half_open_keeps_nobody_out() -> None:
    """Connections that say nothing, stop within TLS, or send an endless line, and then one that wants to work."""
    starts = [(b"", "starttls"), (b"\x16\x03\x01\x02\x00\x01", "implicit"), (b"EHLO " + b"x" * 200_000, "starttls")]
    async with serve(as_of=date(2026, 11, 22)) as servers:
        writers = []
        for number in range(300):
            data, tls = starts[number % 3]
            where = servers.address(("smtp", "imap", "pop")[number % 9 // 3], tls)
            _, writer = await asyncio.open_connection(where.host, where.port)
            writer.write(data)
            writers.append(writer)
        said = await asyncio.wait_for(smtp_sign_in(servers, "works@contoso.test", "abcdefghijklmnop"), 20)
    assert said[-1] == "235 2.7.0 Authentication successful"
    for writer in writers:
        await left(writer)


async def test_a_refusal_can_take_its_time() -> None:
    async with serve(as_of=date(2026, 11, 22), delay=0.3) as servers:
        loop = asyncio.get_running_loop()
        start = loop.time()
        await smtp_sign_in(servers, "works@contoso.test", "abcdefghijklmnop")
        assert loop.time() - start < 0.3
        start = loop.time()
        await smtp_sign_in(servers, "smtp-off@contoso.test", "abcdefghijklmnop")
        assert loop.time() - start >= 0.3


async def test_nothing_is_left_behind() -> None:
    before = asyncio.all_tasks()
    async with serve() as servers:
        where = servers.address("imap", "starttls")
        _, writer = await asyncio.open_connection(where.host, where.port)
        ca_file = servers.ca_file
        assert ca_file.read_bytes() == shared().ca_pem
    await left(writer)
    assert not ca_file.exists()
    assert asyncio.all_tasks() == before
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection(where.host, where.port)


async def test_loopback_only() -> None:
    async with mock.serve() as servers:
        assert {address.host for address in servers.addresses} == {"127.0.0.1"}
        assert all(each.sockets[0].getsockname()[0] == "127.0.0.1" for each in servers._listeners)


async def test_a_taken_port_is_an_error_and_leaves_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {(each.protocol, each.tls): taken.getsockname()[1] for each in [] or await some_addresses()}
        with pytest.raises(OSError, match="in use"):
            async with serve(ports=[ports]):
                pass


async def some_addresses() -> list[Any]:
    async with serve() as servers:
        return servers.addresses[:1]


def test_secrets_are_not_recorded(exchange_online: Running) -> None:
    async def go() -> None:
        await smtp_sign_in(exchange_online.servers, "works@contoso.test", "hunter2hunter2hu")

    asyncio.run(go())
    seen = repr((exchange_online.attempts, exchange_online.sessions))
    assert "works@contoso.test" in seen
    assert "hunter2" not in seen
    assert b64("hunter2hunter2hu").decode() not in seen
    assert exchange_online.sessions[-1].heard == ["EHLO", "AUTH LOGIN"]


async def test_idle_tells_of_new_mail() -> None:
    login = "works@before-retirement.test"
    async with serve() as servers:
        context = ssl.create_default_context(cafile=str(servers.ca_file))
        where = servers.address("imap")
        reader, writer = await asyncio.open_connection(where.host, where.port, ssl=context, server_hostname="localhost")
        writer.write(f"a LOGIN {login} abcdefghijklmnop\r\nb SELECT INBOX\r\nc IDLE\r\n".encode())
        while not (await reader.readline()).startswith(b"+"):
            pass
        servers.world.deliver(login, login, [login], b"Subject: new\r\n\r\n")
        assert await reader.readline() == b"* 1 EXISTS\r\n"
        assert await reader.readline() == b"* 1 RECENT\r\n"
        writer.write(b"DONE\r\n")
        assert await reader.readline() == b"c OK IDLE completed.\r\n"
        await left(writer)


async def test_clear_text_behind_starttls_is_dropped() -> None:
    async with serve() as servers:
        where = servers.address("smtp")
        reader, writer = await asyncio.open_connection(where.host, where.port)
        await reader.readline()
        writer.write(b"EHLO probe.test\r\nSTARTTLS\r\nMAIL FROM:<a@b.test>\r\n")
        while not (await reader.readline()).startswith(b"220 2.0.0"):
            pass
        await writer.start_tls(ssl.create_default_context(cafile=str(servers.ca_file)), server_hostname="localhost")
        writer.write(b"NOOP\r\n")
        assert await reader.readline() == b"250 2.0.0 OK\r\n"
        await left(writer)


# --- the command


@contextmanager
def started(tmp_path: Path, *options: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    words = [sys.executable, "-m", "mailwhy", "mock", "--json", "--as-of", "2026-11-22", *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as child:
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert line, child.stderr.read() if child.stderr else ""
            yield json.loads(line), child
        finally:
            child.kill()


def ask(url: str, data: Any = None, **headers: str) -> tuple[int, Any]:
    body = None if data is None else json.dumps(data).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as why:
        return why.code, json.loads(why.read())


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_command_says_where_it_is_and_stops_cleanly(tmp_path: Path, name: str) -> None:
    file = tmp_path / "ready.json"
    with started(tmp_path, "--ready-file", str(file)) as (data, child):
        assert json.loads(file.read_text()) == data
        assert {each["host"] for each in data["servers"]} == {"127.0.0.1"}
        assert Path(data["ca_file"]).exists()
        child.send_signal(getattr(signal, name))
        assert child.wait(20) == 0
        assert child.stderr is not None
        assert child.stderr.read() == ""
    assert not Path(data["ca_file"]).exists()


def test_the_control_interface(tmp_path: Path) -> None:
    with started(tmp_path, "--set", "contoso.test:org.security_defaults=true") as (data, _):
        url = data["control"]
        assert ask(url)[1] == data
        assert ask(f"{url}/state")[1]["contoso.test"]["org"]["security_defaults"] is True
        assert ask(f"{url}/ca")[1]["pem"] == Path(data["ca_file"]).read_text()
        change = {"scope": "contoso.test", "name": "org.security_defaults", "value": False}
        assert ask(f"{url}/set", change) == (200, {})
        assert ask(f"{url}/state")[1]["contoso.test"]["org"]["security_defaults"] is False
        assert ask(f"{url}/reset", {}) == (200, {})
        assert ask(f"{url}/state")[1]["contoso.test"]["org"]["security_defaults"] is True  # as it was started
        assert ask(f"{url}/fault", {"kind": "latency", "seconds": 0.1}) == (200, {})
        assert ask(f"{url}/attempts") == ask(f"{url}/sessions") == ask(f"{url}/messages") == (200, [])
        assert ask(f"{url}/set", {"name": "org.x", "value": 1})[0] == 400
        assert ask(f"{url}/set", {})[0] == 400
        assert ask(f"{url}/fault", {"kind": "rain"})[0] == 400
        assert ask(f"{url}/nowhere")[0] == 404
        assert ask(f"{url}/set")[0] == 405
        assert ask(f"{url}/state", {})[0] == 405
        assert ask(url, None, Origin="http://example.org")[0] == 403


def test_the_list() -> None:
    done = CliRunner().invoke(command, ["--list"])
    assert done.exit_code == 0
    for text in (
        "works@contoso.test  abcdefghijklmnop",
        "disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [server time session]",
        "smtp (signs in; after DATA): 4",
        "imap (signs in; at the next command): BAD User is authenticated but not connected.",
        "[assumed]",
        *(f"  {text}" for table in ASSUMED for text in table.values()),
    ):
        assert text.strip() in done.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "org.nothing=1"], "there is no setting"),
        (["--tenant", "nowhere.toml"], "nowhere.toml: cannot be read"),
        (["--as-of", "soon"], "is no date; write it as"),
        (["--replay", "nowhere.txt"], "nowhere.txt"),
    ],
)
def test_wrong_options(options: list[str], words: str) -> None:
    done = CliRunner().invoke(command, options)
    assert done.exit_code == 2
    assert words in done.output


def test_every_printed_line_can_be_pasted(tmp_path: Path) -> None:
    """Runs each line as it was printed, by `sh`."""
    words = [sys.executable, "-m", "mailwhy", "mock", "--as-of", "2026-11-22"]
    outcome = {"MAILWHY_PASSWORD": 0, "curl": 67, "swaks": 0, "python3": 0}
    seen = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ) as child:
        try:
            assert child.stdout is not None
            printed = list(iter(child.stdout.readline, "Stop with Ctrl-C.\n"))
            for line in printed[printed.index("For example:\n") + 1 :]:
                if not line.strip():
                    continue
                program = line.split()[0].partition("=")[0]
                seen.append(program)
                done = run_line(line.strip())
                retired = program == "curl" and "smtp://" not in line  # passwords open IMAP and POP no more
                assert done.returncode == (outcome[program] if retired or program != "curl" else 0), (line, done.stderr)
                if program != "curl":
                    assert "works" in done.stdout or "235" in done.stdout
        finally:
            child.kill()
    assert seen == ["MAILWHY_PASSWORD", "curl", "curl", "curl", "swaks", "python3"]


def run_line(line: str) -> subprocess.CompletedProcess[str]:
    name = "mailwhy" if line.startswith("MAILWHY_") else line.split(maxsplit=1)[0]
    if name not in ("mailwhy", "python3"):
        program(name)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, timeout=50, check=False, env={**os.environ, "PATH": path}
    )


def test_lines_for_a_mock_on_ipv6() -> None:
    where = {p: Address(Protocol(p), "::1", 2000 + n, Tls.STARTTLS, "t") for n, p in enumerate(("smtp", "imap", "pop"))}
    servers = SimpleNamespace(ca_file="ca.pem", front_of=lambda login: "t", address=lambda p, tls, front: where[p])
    smtp, imap, pop = curl_lines(cast("Servers", servers), "works@contoso.test", "x")
    assert (" smtp://[::1]:2000/" in smtp, " imaps://[::1]:2001/" in imap, " pop3s://[::1]:2002/" in pop) == (True,) * 3
    assert str(where["imap"]) == "imap=[::1]:2001/starttls"


async def test_lines_for_other_mailboxes() -> None:
    async with serve(as_of=date(2026, 11, 22)) as servers:
        assert len(list(curl_lines(servers, "bulk@hve.test", "x"))) == 1
        assert " --credential oauth " in check_line(servers, "oauth@contoso.test", "x", "oauth")
        assert "--auth LOGIN -au 'a b@contoso.test'" in swaks_line(servers, "a b@contoso.test", "x")
        assert "print(s.login(" in python_line(servers, "works@contoso.test", "x")
        assert len(ready(servers)["accounts"]) > 40


def test_replaying_a_dialogue(tmp_path: Path) -> None:
    file = tmp_path / "session.txt"
    file.write_text("# protocol: pop\nS: +OK recorded\nC: USER x\nS: +OK\nC: PASS\nS: -ERR no\n")
    with started(tmp_path, "--replay", str(file)) as (data, _):
        where = data["servers"][0]
        assert where["protocol"] == "pop"
        with socket.create_connection((where["host"], where["port"]), timeout=20) as sock:
            sock.sendall(b"USER me\r\nPASS it\r\n")
            said = b""
            while more := sock.recv(4096):
                said += more
        assert said == b"+OK recorded\r\n+OK\r\n-ERR no\r\n"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_what_is_replayed_listens_where_it_is_told_to(tmp_path: Path) -> None:
    """--port-base counts the sessions; a protocol's own port goes before it."""
    dialogue, tls = "# protocol: smtp\nS: 220 recorded\n", "C: STARTTLS\nS: 220 ready\nTLS\n"
    clear, starttls = from_text(dialogue), from_text(dialogue + tls)
    pop = from_text("# protocol: pop\nS: +OK recorded\n")
    made = _ports_to_play((clear, pop, starttls), 2000, {Protocol.SMTP: 2525, Protocol.IMAP: None})
    assert made == [
        {(Protocol.SMTP, Tls.NONE): 2525},
        {(Protocol.POP, Tls.NONE): 2001},
        {(Protocol.SMTP, Tls.STARTTLS): 2002},
    ]
    file = tmp_path / "session.txt"
    for text, option in ((dialogue, "--smtp-port"), (dialogue + tls, "--smtp-port"), (dialogue, "--port-base")):
        file.write_text(text)
        port = free_port()
        with started(tmp_path, "--replay", str(file), option, str(port)) as (data, _):
            assert data["servers"][0]["port"] == port


RELAYED = """# protocol: smtp
# server: smtp.office365.com:587/starttls
# app: 127.0.0.1
# started: 2026-11-22T10:00:00Z
S: 220 recorded
C: EHLO probe.test
S: 250-recorded
S: 250 STARTTLS
C: STARTTLS
S: 220 2.0.0 SMTP server ready
# the relay - the app's TLS is TLSv1.3
TLS
C: EHLO probe.test
S: 250-recorded
S: 250 AUTH LOGIN XOAUTH2
C: AUTH LOGIN ***
S: 334 UGFzc3dvcmQ6
C: *** (the password)
S: 235 2.7.0 Authentication successful
C: MAIL FROM:<works@contoso.test>
S: 250 2.1.0 Sender OK
C: RCPT TO:<you@contoso.test>
S: 250 2.1.5 Recipient OK
C: DATA
S: 354 Start mail input; end with <CRLF>.<CRLF>
C: *** (a message of 300 octets)
C: .
S: 554 5.2.252 SendAsDenied; works@contoso.test not allowed to send as x@contoso.test
"""


def test_replaying_what_the_relay_recorded(tmp_path: Path) -> None:
    file = tmp_path / "session.txt"
    file.write_text(RELAYED)
    with started(tmp_path, "--replay", str(file)) as (data, _):
        where = data["servers"][0]
        assert (where["protocol"], where["tls"]) == ("smtp", "starttls")
        with smtplib.SMTP(where["host"], where["port"], "probe.test", timeout=20) as client:
            client.starttls(context=ssl.create_default_context(cafile=data["ca_file"]))
            assert client.login("works@contoso.test", "anything at all")[0] == 235
            with pytest.raises(smtplib.SMTPDataError, match="SendAsDenied"):
                client.sendmail("works@contoso.test", ["you@contoso.test"], "Subject: x\r\n\r\nmany\r\nlines\r\n")


async def test_replaying_the_json_of_a_check(tmp_path: Path) -> None:
    """What a check saw is seen again when its record is played: the same reply, the same cause."""
    record, again = tmp_path / "check.json", tmp_path / "again.json"
    words = [
        sys.executable,
        "-m",
        "mailwhy",
        "check",
        "smtp-off@contoso.test",
        "--only",
        "smtp",
        "--as-of",
        "2026-11-22",
    ]
    secret = {**os.environ, "MAILWHY_PASSWORD": "abcdefghijklmnop"}

    async def checked(output: Path, *options: str) -> dict[str, Any]:
        child = await asyncio.create_subprocess_exec(*words, *options, "--format", "json", stdout=-1, env=secret)
        out, _ = await child.communicate()
        assert child.returncode == 1
        output.write_bytes(out)
        found: dict[str, Any] = json.loads(out)
        return found

    async with serve(as_of=date(2026, 11, 22)) as servers:
        smtp = servers.server_options("smtp-off@contoso.test")[0]
        first = await checked(record, "--server", smtp, "--ca-file", str(servers.ca_file))
    async with serve(recordings=read(record)) as servers:
        second = await checked(
            again, "--server", str(servers.addresses[0]), "--ca-file", str(servers.ca_file), "--force"
        )
    assert [each["cause"] for each in first["findings"]] == [each["cause"] for each in second["findings"]]
    assert first["replies"] == second["replies"]
    assert first["findings"][0]["cause"] == "mailbox.smtp_auth_disabled"


def test_recordings(tmp_path: Path) -> None:
    file = tmp_path / "check.json"
    steps = [
        {"stage": "greeting", "reply": {"lines": ["220 hi"]}},
        {"stage": "capabilities", "sent": "EHLO", "reply": {"lines": ["250-hi", "250 STARTTLS"]}},
        {"stage": "tls", "sent": "STARTTLS", "reply": None},
        {"stage": "auth", "sent": "AUTH LOGIN", "reply": {"lines": ["535 no"]}},
    ]
    file.write_text(json.dumps({"diagnoses": [{"target": {"protocol": "smtp"}, "steps": steps}]}))
    (recording,) = read(file)
    assert [who for who, _ in recording.lines] == ["S", "C", "S", "S", "C", "S", "TLS", "C", "S"]
    for other in ("{}", '{"a":' * 100_000 + "1" + "}" * 100_000):
        file.write_text(other)
        with pytest.raises(BadRecordingError, match="not the JSON of a mailwhy check"):
            read(file)
    with pytest.raises(BadRecordingError, match="line 1: expected S:, C: or TLS"):
        from_text("hello")
    with pytest.raises(BadRecordingError, match="protocol must be"):
        from_text("# protocol: ftp\nS: x")


def test_beyond_loopback_it_warns() -> None:
    done = CliRunner().invoke(command, ["--listen", "192.0.2.1"])  # an address that is not ours
    assert "Warning: listening on 192.0.2.1" in done.output
    assert done.exit_code == 3


# --- the plugin

EXAMPLE = """
import smtplib, ssl
import pytest

@pytest.mark.parametrize("again", [1, 2])
def test_my_program(exchange_online, again):
    assert exchange_online.attempts == []
    exchange_online.set("org.security_defaults", True, "contoso.test")
    where = exchange_online.address("smtp")
    with smtplib.SMTP(where.host, where.port, "probe.test") as client:
        client.starttls(context=ssl.create_default_context(cafile=str(exchange_online.ca_file)))
        with pytest.raises(smtplib.SMTPAuthenticationError, match="security defaults"):
            client.login("works@contoso.test", exchange_online.secret_of("works@contoso.test"))
    assert len(exchange_online.attempts) == 1
"""


def test_the_plugin_gives_a_fresh_tenant_to_every_test(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(EXAMPLE)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=55, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_plugin_costs_nothing_before_it_is_used() -> None:
    code = "import sys, mailwhy.mock.plugin; print([m for m in sys.modules if m in ('trustme', 'cryptography', 'mailwhy.mock.servers', 'mailwhy.model')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True).stdout
    assert out.strip() == "[]"


def test_the_thread_ends() -> None:
    with Running():
        pass
    assert not [each for each in threading.enumerate() if each.name == "mailwhy-mock" and not each.daemon]


def test_settings_are_documented_by_their_names() -> None:
    assert {"org.security_defaults", "mailbox.smtp_client_authentication_disabled", "user.mfa"} <= set(names())
