"""`mailwhy batch` as a user runs it: against the look-alike tenant, and its refusals before anything is sent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pexpect
import pytest
from click.testing import CliRunner

from mailwhy.cli.batch import command
from mailwhy.mock.threaded import Running
from mailwhy.model import Account, Exit, Outcome, Secret, Verdict

MAILBOXES = {
    "works@contoso.test": "works",
    "smtp-off@contoso.test": "mailbox.smtp_auth_disabled",
    "any@org-smtp-off.test": "org.smtp_auth_disabled",
}


def run(*args: object) -> Any:
    return CliRunner().invoke(command, [str(arg) for arg in args])


def secret_files(tmp_path: Path, exchange_online: Running) -> Path:
    """A list of mailboxes of the look-alike, each with a file for its secret."""
    lines = ["email,password-file"]
    for login in MAILBOXES:
        file = tmp_path / login
        file.write_text(exchange_online.secret_of(login) + "\n")
        file.chmod(0o600)
        lines.append(f"{login},{file}")
    path = tmp_path / "list.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def options(exchange_online: Running) -> list[str]:
    return [*exchange_online.servers.check_options(), "--only", "smtp", "--as-of", "2026-11-22"]


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_list_against_the_look_alike(tmp_path: Path, exchange_online: Running) -> None:
    path = secret_files(tmp_path, exchange_online)
    result = run(path, *options(exchange_online), "--remediation", tmp_path / "fix.ps1")
    assert result.exit_code == 1, result.output
    assert "3 of 3 mailboxes" in result.stdout
    for cause in ("(mailbox.smtp_auth_disabled", "(org.smtp_auth_disabled"):
        assert cause in result.stdout
    found = {r["account"]["login"]: r for r in results(tmp_path / "list.results.jsonl")}
    assert found.keys() == MAILBOXES.keys()
    assert {r["command"] for r in found.values()} == {"batch"}
    assert found["works@contoso.test"]["verdict"] == "works"
    script = (tmp_path / "fix.ps1").read_text()
    assert "Set-CASMailbox -Identity 'smtp-off@contoso.test' -SmtpClientAuthenticationDisabled $false" in script
    assert "works@contoso.test" not in script
    everything = result.output + script + (tmp_path / "list.results.jsonl").read_text()
    for login in MAILBOXES:
        assert exchange_online.secret_of(login) not in everything


def test_the_summary_is_for_people(tmp_path: Path, exchange_online: Running) -> None:
    path = secret_files(tmp_path, exchange_online)
    shown = run(path, *exchange_online.servers.check_options(), "--as-of", "2026-11-22", "-q").stdout.splitlines()
    assert shown[0].startswith("3 of 3 mailboxes: 2 refused, 1 works. Results: ")
    assert "      1  works" in shown  # its IMAP and POP are removed, which is no cause to act on
    assert "      1  SMTP AUTH is switched off for this mailbox (mailbox.smtp_auth_disabled)" in shown


def test_resume_tests_nothing_twice(tmp_path: Path, exchange_online: Running) -> None:
    path = secret_files(tmp_path, exchange_online)
    assert run(path, *options(exchange_online), "-q").exit_code == 1
    file = tmp_path / "list.results.jsonl"
    first, second, _ = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + second[:50])
    refused = run(path, *options(exchange_online))
    assert refused.exit_code == 2
    assert "--resume goes on" in refused.output
    again = run(path, *options(exchange_online), "--resume", "-q")
    assert again.exit_code == 1, again.output
    assert file.read_bytes().startswith(first)
    assert sorted(r["row"] for r in results(file)) == [1, 2, 3]
    assert "3 of 3 mailboxes" in again.stdout


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """No network: every check works, and is counted with the secret it was given."""
    found: Counter[str] = Counter()

    async def check(login: str, secret: Secret, **more: Any) -> Outcome:
        found[f"{login}={secret.reveal()}"] += 1
        return Outcome("check", "2026-11-22", Account(login), (), Verdict.WORKS, Exit.OK)

    monkeypatch.setattr("mailwhy.checking.check", check)
    return found


LOCAL = ("--server", "smtp=localhost:1/none")


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_secrets_from_every_place(tmp_path: Path, checked: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "from env")
    monkeypatch.setattr("keyring.get_password", lambda service, login: f"{service}/{login}")
    (tmp_path / "s").write_text("from file\n")
    path = write(
        tmp_path,
        "address,password-env,password-file,password-command,keyring,password\n"
        f"a@x,ONE,,,,\nb@x,,{tmp_path / 's'},,,\nc@x,,,echo from command,,\nd@x,,,,ring,\ne@x,,,,, inside \n"
        "f@x,ONE,,,,\n",
    )
    result = run(path, *LOCAL)
    assert result.exit_code == 0, result.output
    assert set(checked) == {
        "a@x=from env",
        "b@x=from file",
        "c@x=from command",
        "d@x=ring/d@x",
        "e@x= inside ",
        "f@x=from env",
    }
    assert "ONE" not in os.environ
    assert "holds passwords" in result.stderr


def test_one_source_for_all_rows(tmp_path: Path, checked: Counter[str]) -> None:
    path = write(tmp_path, "address\na@x\nb@x\n")
    assert run(path, *LOCAL, "--password-command", "echo of {login}").exit_code == 0
    assert set(checked) == {"a@x=of a@x", "b@x=of b@x"}


@pytest.mark.parametrize("login", ["../a@x", "-a@x", "a b@x", "a;b@x", "$(a)@x"])
def test_a_login_that_could_be_something_else_is_not_put_into_a_command(
    tmp_path: Path, checked: Counter[str], login: str
) -> None:
    result = run(write(tmp_path, f"address\n{login}\n"), *LOCAL, "--password-command", "echo {login}")
    assert result.exit_code == 2
    assert "may not stand for {login}" in result.output
    assert not checked


def test_a_secret_that_cannot_be_had_is_a_result_and_not_the_end(tmp_path: Path, checked: Counter[str]) -> None:
    path = write(tmp_path, f"address,password-file,password-command\na@x,{tmp_path}/none,\nb@x,,echo s\n")
    result = run(path, *LOCAL)
    assert result.exit_code == 3
    (lost,) = (r for r in results(tmp_path / "list.results.jsonl") if r["verdict"] == "not_tried")
    assert "No such file" in lost["notices"][0]["text"]
    assert set(checked) == {"b@x=s"}


MANY = "address,keyring\n" + "".join(f"u@d{n}.com,s\n" for n in range(20))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("address\na@x\n", "line 2: no secret"),
        ("address,keyring\n", "no rows"),
        ("address,keyring,only\na@x,s,ftp\nb@x,s,imap\n", "line 2: only: name one or more"),
        ("address,keyring,server\na@x,s,nonsense\n", "line 2: 'nonsense' is not a server"),
        ("address,keyring\na@x,s\nnope,s\n", "line 3: 'nope' has no @domain"),
        ("address,keyring,cloud\na@x,s,mars\n", "known clouds are"),
        ("address,password-env\na@x,NOT_THERE\n", "variables that are not set: NOT_THERE"),
        (MANY, "20 unrelated domains in 20 rows look like stolen credentials"),
    ],
)
def test_what_is_refused_before_anything_is_sent(tmp_path: Path, checked: Counter[str], text: str, part: str) -> None:
    result = run(write(tmp_path, text))
    assert result.exit_code == 2
    assert part in " ".join(result.output.split())
    assert not checked
    assert not (tmp_path / "list.results.jsonl").exists()


def test_many_domains_go_on_when_they_are_confirmed(
    tmp_path: Path, checked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyring.get_password", lambda service, login: "s")
    assert run(write(tmp_path, MANY), "--many-domains", *LOCAL).exit_code == 0
    assert checked.total() == 20


def test_a_list_with_passwords_that_others_may_read_is_said(tmp_path: Path, checked: Counter[str]) -> None:
    path = write(tmp_path, "address,password\na@x,hunter2\n")
    path.chmod(0o644)
    result = run(path, *LOCAL)
    assert "Others on this machine may read" in result.stderr
    assert "hunter2" not in result.output


def test_json_is_one_result_a_line_and_nothing_else(tmp_path: Path, checked: Counter[str]) -> None:
    result = run(write(tmp_path, "address,password\na@x,s\nb@x,s\n"), *LOCAL, "--format", "json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted(line["row"] for line in lines) == [1, 2]
    assert {line["schema"] for line in lines} == {"mailwhy/1"}


def test_a_full_disk_stops_the_run(tmp_path: Path, checked: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, row: object, record: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mailwhy.batch.results.Results.write", full)
    result = run(write(tmp_path, "address,password\n" + "a@x,s\n" * 100), *LOCAL)
    assert result.exit_code == 3
    assert "No space left on device" in result.output
    assert checked.total() <= 10


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(
    tmp_path: Path, checked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "address,password\na@x,s\nb@x,s\n")
    assert "of 2:" not in run(path, *LOCAL).stderr
    monkeypatch.setattr("mailwhy.cli.batch.LINE_EVERY", 0)
    result = run(path, *LOCAL, "--results", tmp_path / "again")
    assert "1 of 2: 1 works\n2 of 2: 2 works\n" in result.stderr
    assert "of 2:" not in run(path, *LOCAL, "--results", tmp_path / "third", "-q").stderr


def test_progress_is_a_bar_with_counts_on_a_terminal(tmp_path: Path) -> None:
    path = write(tmp_path, "address,password\na@x,hunter2\nb@x,hunter2\n")
    words = ["-m", "mailwhy", "batch", str(path), "--server", "smtp=127.0.0.1:1/none"]
    child = pexpect.spawn(sys.executable, words, timeout=30, encoding="utf-8", dimensions=(24, 100))
    child.expect(pexpect.EOF)
    child.close()
    assert "2/2" in child.before
    assert "2 not reached" in child.before
    assert "/min" in child.before
    assert "hunter2" not in child.before
    assert child.exitstatus == 3


async def test_ctrl_c_ends_at_once_keeps_what_is_done_and_resumes(tmp_path: Path) -> None:
    greeted = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        path = write(tmp_path, "address,password\na@x,hunter2\nb@x,hunter2\n")
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mailwhy", "batch", str(path)),
            *("--server", f"smtp=127.0.0.1:{port}/none"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        await greeted.wait()
        child.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(child.communicate(), 20)
    assert child.returncode == 130, err
    assert b"--resume" in err
    assert b"0 of 2 mailboxes" in out
    assert b"hunter2" not in out + err
    assert b"Traceback" not in err
    assert (tmp_path / "list.results.jsonl").read_bytes() == b""
