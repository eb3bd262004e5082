"""The command against Dovecot and Postfix: `mailwhy check` as a user runs it, in a process of its own."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from real import people
from real.certs import STRANGER
from real.dovecot import Dovecot
from real.postfix import Postfix
from real.process import Server

from mailwhy.model import Exit, Protocol, Target, Tls

pytestmark = pytest.mark.real

LOGIN = f"app@{people.DOMAIN}"
USUAL = {Protocol.SMTP: Tls.STARTTLS, Protocol.IMAP: Tls.IMPLICIT, Protocol.POP: Tls.IMPLICIT}


def targets(server: Server, modes: dict[Protocol, Tls], host: str = "127.0.0.1") -> list[Target]:
    """These protocols of a server."""
    return [server.target(protocol, tls, host) for protocol, tls in modes.items()]


def forms(login: str, secret: str) -> set[str]:
    """How a secret may look when it gets out."""
    plain = f"\0{login}\0{secret}"
    quoted = secret.replace("\\", "\\\\").replace('"', '\\"')
    encoded = {base64.b64encode(text.encode()).decode().rstrip("=") for text in (secret, plain)}
    return {secret, quoted, repr(secret)[1:-1], json.dumps(secret)[1:-1], urllib.parse.quote(secret), *encoded}


def run(servers: list[Target], ca_file: Path, login: str, secret: str, *more: str) -> subprocess.CompletedProcess[str]:
    """The real command. Whatever happens, it must not show the secret, nor a traceback."""
    words = [sys.executable, "-m", "mailwhy", "check", login, "--password-stdin", "--ca-file", str(ca_file)]
    for target in servers:
        words += ["--server", f"{target.protocol}={target.host}:{target.port}/{target.tls}"]
    done = subprocess.run([*words, *more], input=secret + "\n", capture_output=True, text=True, timeout=50, check=False)
    for form in forms(login, secret):
        assert form not in done.stdout + done.stderr, shlex.join(words)
    assert "Traceback" not in done.stderr
    return done


def checked(servers: list[Target], ca_file: Path, login: str, secret: str, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of one run."""
    done = run(servers, ca_file, login, secret, "--format", "json", *more)
    assert done.stdout, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, outcome


def each(outcome: dict[str, Any], key: str) -> dict[str, Any]:
    """One key of every diagnosis, by protocol."""
    return {one["target"]["protocol"]: one[key] for one in outcome["diagnoses"]}


@pytest.mark.parametrize("name", people.PASSWORDS)
def test_works(real_servers: Dovecot, name: str) -> None:
    login = f"{name}@{people.DOMAIN}"
    servers = targets(real_servers, USUAL)
    code, outcome = checked(servers, real_servers.ca_file, login, people.USERS[login])
    assert (code, outcome["verdict"]) == (Exit.OK, "works")
    assert each(outcome, "verdict") == dict.fromkeys(("smtp", "imap", "pop"), "works")
    assert each(outcome, "password") == dict.fromkeys(("smtp", "imap", "pop"), "accepted")


@pytest.mark.parametrize("tls", Tls)
def test_works_with_postfix(postfix: Postfix, tls: Tls) -> None:
    servers = targets(postfix, {Protocol.SMTP: tls})
    code, outcome = checked(servers, postfix.ca_file, LOGIN, people.USERS[LOGIN])
    assert (code, each(outcome, "verdict")) == (Exit.OK, {"smtp": "works"})


def test_a_wrong_password_is_shown_to_one_protocol_only(real_servers: Dovecot) -> None:
    servers = targets(real_servers, USUAL)
    code, outcome = checked(servers, real_servers.ca_file, LOGIN, "kxqpwzjvhgfdslmn")
    assert code == Exit.REFUSED
    assert each(outcome, "password")["smtp"] == "refused"
    assert each(outcome, "verdict")["imap"] == each(outcome, "verdict")["pop"] == "not_tried"


def test_all_insists(real_servers: Dovecot) -> None:
    servers = targets(real_servers, USUAL)
    code, outcome = checked(servers, real_servers.ca_file, LOGIN, "kxqpwzjvhgfdslmn", "--all")
    assert code == Exit.REFUSED
    assert each(outcome, "password") == dict.fromkeys(("smtp", "imap", "pop"), "refused")


def test_advises_nothing_of_exchange_for_a_server_that_is_none(real_servers: Dovecot, postfix: Postfix) -> None:
    for server in (real_servers, postfix):
        done = run(targets(server, {Protocol.SMTP: Tls.STARTTLS}), server.ca_file, LOGIN, "kxqpwzjvhgfdslmn")
        assert done.returncode == Exit.REFUSED
        assert "535 5.7.8" in done.stdout
        for word in ("CASMailbox", "PowerShell", "Exchange Online", "Security Defaults", "Entra"):
            assert word not in done.stdout, word


def test_a_server_that_is_unwell_says_nothing_of_the_password(real_servers: Dovecot) -> None:
    servers = targets(real_servers, {Protocol.IMAP: Tls.IMPLICIT})
    code, outcome = checked(servers, real_servers.ca_file, people.UNWELL, "right-but-unread")
    assert code == Exit.UNKNOWN
    assert each(outcome, "password") != {"imap": "refused"}


@pytest.mark.parametrize("fault", ["other authority", "other name"])
def test_an_untrusted_server_gets_no_password(real_servers: Dovecot, fault: str) -> None:
    ca_file = real_servers.certs.other_ca if fault == "other authority" else real_servers.ca_file
    host = STRANGER if fault == "other name" else "127.0.0.1"
    code, outcome = checked(targets(real_servers, USUAL, host), ca_file, LOGIN, people.USERS[LOGIN])
    assert (code, outcome["verdict"]) == (Exit.UNKNOWN, "unreachable")
    assert set(each(outcome, "password").values()) == {"not_looked_at"}
    assert all(steps[-1]["fault"] == "tls_untrusted" for steps in each(outcome, "steps").values())


@pytest.mark.parametrize(("lifetime", "code"), [(3600, Exit.OK), (-60, Exit.REFUSED)])
def test_a_token(real_servers: Dovecot, lifetime: float, code: Exit) -> None:
    servers = targets(real_servers, USUAL)
    token = people.token(LOGIN, lifetime=lifetime)
    ended, _ = checked(servers, real_servers.ca_file, LOGIN, token, "--credential", "oauth")
    assert ended == code


def test_reads_well_in_words(real_servers: Dovecot) -> None:
    done = run(targets(real_servers, USUAL), real_servers.ca_file, LOGIN, people.USERS[LOGIN])
    assert done.returncode == Exit.OK
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
