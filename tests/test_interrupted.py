"""`paths`, `discover` and `rehearse` on a terminal: what is shown on the way, and what is left after Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import click
import pexpect
import pytest
from click.testing import CliRunner
from dns_server import CONTOSO, dns_thread

from mailwhy.cli import discover, paths, rehearse
from mailwhy.mock.threaded import Running


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(20)
        yield listener


def terminal(*words: str) -> pexpect.spawn[str]:
    return pexpect.spawn(sys.executable, ["-m", "mailwhy", *words], timeout=30, encoding="utf-8", dimensions=(40, 160))


def ended(child: pexpect.spawn[str]) -> str:
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert "Traceback" not in child.before
    return str(child.before)


def two(refused_port: int, silent: socket.socket) -> list[str]:
    known, unknown = f"smtp=127.0.0.1:{refused_port}/starttls", f"imap=127.0.0.1:{silent.getsockname()[1]}/implicit"
    return ["paths", "--server", known, "--server", unknown, "--timeout", "60"]


def test_paths_shows_each_as_it_ends_and_the_table_after_ctrl_c(refused_port: int, silent: socket.socket) -> None:
    child = terminal(*two(refused_port, silent))
    child.expect(rf"SMTP STARTTLS +{refused_port} 127.0.0.1 127.0.0.1: closed after")
    with contextlib.closing(silent.accept()[0]):
        child.sendintr()
        said = ended(child)
    assert "Stopped: 1 of 2 paths were tried to their end." in said
    assert "closed" in said
    assert "stopped before it was known" in said


def test_paths_without_a_terminal_is_quiet_and_tells_json_after_ctrl_c(
    refused_port: int, silent: socket.socket
) -> None:
    words = [sys.executable, "-m", "mailwhy", *two(refused_port, silent), "--format", "json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        connection, _ = silent.accept()
        with contextlib.closing(connection):
            assert connection.recv(1)  # in the middle of the handshake
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (130, b"")
    report = json.loads(out)
    assert report["exit"] == 130
    assert {row["state"] for row in report["paths"]} <= {"closed", "unknown", "dropped"}


def test_discover_shows_each_answer_and_what_is_known_after_ctrl_c() -> None:
    with dns_thread(CONTOSO, {("contoso.test", "TXT"): "timeout"}) as server:
        child = terminal("discover", "contoso.test", "--resolver", server.option, "--timeout", "60")
        child.expect("MX +contoso.test: found")
        child.sendintr()
        said = ended(child)
    assert "questions were answered." in said
    assert "contoso-test.mail.protection.outlook.com" in said
    assert "stopped: TXT contoso.test" in said


def test_rehearse_shows_each_stage_and_what_is_known_after_ctrl_c(exchange_online: Running) -> None:
    exchange_online.fault("latency", stage="use", seconds=600)
    words = ["rehearse", "plain-only-script", "works@contoso.test", "--no-auth", "--timeout", "300"]
    where = ["--server", str(exchange_online.address("smtp")), "--ca-file", str(exchange_online.ca_file)]
    child = terminal(*words, *where)
    child.expect("SMTP +tls 1.3")
    child.expect("SMTP +capabilities")
    child.sendintr()
    said = ended(child)
    assert "As plain-only-script" in said
    assert "not tested to the end" in said
    assert "Stopped before it was known." in said


@pytest.mark.parametrize("command", [paths.command, discover.command, rehearse.command])
@pytest.mark.parametrize("limit", ["nan", "0", "inf", "-1", "soon"])
def test_a_time_limit_is_a_number(command: click.Command, limit: str) -> None:
    done = CliRunner().invoke(command, ["--timeout", limit, "contoso.test"])
    assert done.exit_code == 2
    assert "is not a number of seconds between" in " ".join(done.output.split())
