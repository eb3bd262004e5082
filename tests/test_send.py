"""`check --send-to`: one marked message, only when asked, and nothing of the secret anywhere."""

from __future__ import annotations

import asyncio
import base64
import email
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from day import DAY
from talks import LOGIN, SECRET, authority, credential, serve, server_tls, way

from mailwhy.checking import check
from mailwhy.cli import main
from mailwhy.ledger import Ledger, SignIn
from mailwhy.mock.threaded import Running
from mailwhy.model import (
    Credential,
    Fault,
    Judged,
    Kind,
    Outcome,
    Protocol,
    Secret,
    Stage,
    Step,
    Tls,
    Verdict,
)
from mailwhy.net import Recorder, Timeouts, Way
from mailwhy.plain import to_plain
from mailwhy.send import LABEL, send, text_for
from mailwhy.targets import parse_server

OTHER = "someone@contoso.test"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# --- against the look-alike


async def checked(mock: Running, login: str, send_to: str | None, **more: Any) -> Outcome:
    return await check(
        login,
        Secret(mock.secret_of(login)),
        targets=[parse_server(str(mock.address("smtp")))],
        way=Way(ca_file=str(mock.ca_file)),
        send_to=send_to,
        as_of=DAY,
        **more,
    )


def sent_step(outcome: Outcome) -> Step:
    return outcome.diagnoses[0].attempt.steps[-1]


async def test_a_message_is_accepted(exchange_online: Running) -> None:
    outcome = await checked(exchange_online, "works@contoso.test", OTHER)
    step = sent_step(outcome)
    assert (step.stage, step.sent, step.ok) == (Stage.USE, LABEL, True)
    assert step.reply
    assert (step.reply.status, outcome.verdict, outcome.exit) == ("250", Verdict.WORKS, 0)
    (mail,) = exchange_online.messages
    message = email.message_from_bytes(mail.data)
    assert (message["From"], message["To"]) == ("works@contoso.test", OTHER)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Mailwhy"].startswith("test; version=")
    assert message["Message-ID"] == step.seen["message_id"]


async def test_it_takes_one_more_sign_in_and_says_so(exchange_online: Running) -> None:
    outcome = await checked(exchange_online, "works@contoso.test", OTHER)
    assert [(a.mechanism, a.ok) for a in exchange_online.attempts] == [("LOGIN", True)] * 2
    (notice,) = [notice for notice in outcome.notices if notice.id == "send.message"]
    assert "one more sign-in" in notice.text


async def test_nothing_is_sent_unless_asked(exchange_online: Running) -> None:
    await checked(exchange_online, "works@contoso.test", None)
    assert exchange_online.messages == []
    assert len(exchange_online.attempts) == 1


@pytest.mark.parametrize(
    ("login", "sender", "cause", "enhanced"),
    [
        ("send-as@contoso.test", "noreply@contoso.test", "sender.send_as_denied", "5.2.252"),
        ("restricted@contoso.test", None, "sender.restricted_outbound_spam", ""),
    ],
)
async def test_what_only_a_message_shows(
    exchange_online: Running, login: str, sender: str | None, cause: str, enhanced: str
) -> None:
    outcome = await checked(exchange_online, login, OTHER, sender=sender)
    assert outcome.exit == 1
    assert outcome.findings[0].cause == cause
    step = sent_step(outcome)
    assert step.reply
    assert (step.ok, step.seen["at"]) == (False, "DATA")
    assert step.reply.enhanced.startswith(enhanced)
    assert exchange_online.messages == []
    assert (await checked(exchange_online, login, None, sender=sender)).exit == 0, "without a message it does not show"


async def test_a_refused_sign_in_sends_nothing_and_is_not_repeated(exchange_online: Running) -> None:
    mock = exchange_online
    outcome = await check(
        "works@contoso.test",
        Secret("not the password"),
        targets=[parse_server(str(mock.address("smtp")))],
        way=Way(ca_file=str(mock.ca_file)),
        send_to=OTHER,
    )
    assert len(mock.attempts) == 1
    assert [notice.id for notice in outcome.notices if notice.id.startswith("send")] == ["send.not_tried"]


async def test_the_ledger_may_hold_the_message_back(
    exchange_online: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILWHY_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(SignIn, "exempt", False)
    ledger = Ledger()
    answers = iter([None, "enough"])

    async def ask(*_: object, **__: object) -> str | None:
        return next(answers)

    monkeypatch.setattr(ledger, "ask", ask)
    outcome = await checked(exchange_online, "works@contoso.test", OTHER, ledger=ledger)
    assert len(exchange_online.attempts) == 1
    assert exchange_online.messages == []
    assert any(notice.text.endswith("enough") for notice in outcome.notices)


async def test_the_ledger_hears_of_both_sign_ins(
    exchange_online: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILWHY_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(SignIn, "exempt", False)
    ledger = Ledger()
    noted: list[Judged] = []
    tell = ledger.tell

    async def listen(what: SignIn, judged: Judged, *rest: Any, **more: Any) -> None:
        noted.append(judged)
        await tell(what, judged, *rest, **more)

    monkeypatch.setattr(ledger, "tell", listen)
    await checked(exchange_online, "works@contoso.test", OTHER, ledger=ledger)
    assert noted == [Judged.ACCEPTED, Judged.ACCEPTED]
    assert not any(book.entries for book in ledger.books(datetime.now(UTC)))


# --- against scripted servers: the second connection alone

HELLO = "S: 220 mail.contoso.test ESMTP\nC: EHLO [127.0.0.1]\nS: 250-mail.contoso.test\n"
ACCEPT = f"C: AUTH PLAIN {b64(chr(0) + LOGIN + chr(0) + SECRET)}\nS: 235 2.7.0 ok\n"
ENVELOPE = f"C: MAIL FROM:<{LOGIN}>\nS: 250 2.1.0 ok\nC: RCPT TO:<{OTHER}>\nS: 250 2.1.5 ok\n"


async def step_of(
    script: str,
    tls: Tls = Tls.NONE,
    mechanism: str = "PLAIN",
    who: Credential | None = None,
    to: str = OTHER,
    **more: Any,
) -> Step:
    """Plays the script to one message; the secret must not be in the evidence, whatever the script is."""
    who = who or credential()
    seconds = more.pop("seconds", 5.0)
    async with serve(script, implicit=tls is Tls.IMPLICIT, **more) as server:
        recorder = Recorder(server.target(Protocol.SMTP, tls), who.kind)
        await send(recorder, who, way(seconds), mechanism, to)
    (step,) = recorder.attempt.steps
    text = json.dumps(to_plain(step), ensure_ascii=False)
    assert who.secret.reveal() not in text
    assert b64(who.secret.reveal()) not in text
    return step


@pytest.mark.parametrize(
    ("more", "at", "status"),
    [
        ("S: 535 5.7.3 Authentication unsuccessful", "AUTH PLAIN", "535"),
        ("S: 421 4.3.2 Service not active", "AUTH PLAIN", "421"),
    ],
)
async def test_a_second_sign_in_that_is_refused(more: str, at: str, status: str) -> None:
    step = await step_of(f"{HELLO}S: 250 AUTH PLAIN\nC: AUTH PLAIN ...\n{more}")
    assert step.reply
    assert (step.ok, step.seen["at"], step.reply.status, step.fault) == (False, at, status, None)


@pytest.mark.parametrize(
    ("script", "at", "line"),
    [
        (f"{ACCEPT}C: MAIL FROM:<{LOGIN}>\nS: 550 5.1.8 Access denied, bad outbound sender", "MAIL FROM", "550 5.1.8"),
        (f"{ACCEPT}C: MAIL FROM:<{LOGIN}>\nS: 250 ok\nC: RCPT TO:<{OTHER}>\nS: 550-5.4.1 one\nS: 550 5.4.1 two", "RCPT TO",
         "550-5.4.1 one 550 5.4.1 two"),
        (f"{ACCEPT}{ENVELOPE}C: DATA\nS: 554 5.2.252 SendAsDenied", "DATA", "554 5.2.252"),
    ],
)  # fmt: skip
async def test_each_command_that_may_be_refused(script: str, at: str, line: str) -> None:
    step = await step_of(f"{HELLO}S: 250 AUTH PLAIN\n{script}")
    assert step.reply
    assert (step.ok, step.seen["at"]) == (False, at)
    assert step.reply.line.startswith(line)


async def test_a_server_that_repeats_the_secret_is_masked() -> None:
    step = await step_of(
        f"{HELLO}S: 250 AUTH PLAIN\nC: AUTH PLAIN ...\nS: 535 5.7.8 no such thing as {SECRET} or {b64(SECRET)}"
    )
    assert step.reply
    assert "***" in step.reply.text


@pytest.mark.parametrize(
    ("how", "fault"), [("* close", Fault.CLOSED), ("* reset", Fault.RESET), ("S: what is this", Fault.GARBLED)]
)
async def test_faults_in_the_middle(how: str, fault: Fault) -> None:
    step = await step_of(f"{HELLO}S: 250 AUTH PLAIN\n{ACCEPT}C: MAIL FROM:<{LOGIN}>\n{how}")
    assert (step.ok, step.fault, step.seen["at"]) == (False, fault, "MAIL FROM")


async def test_a_silent_server_ends_in_time() -> None:
    async with asyncio.timeout(10):
        step = await step_of(f"{HELLO}S: 250 AUTH PLAIN\n{ACCEPT}C: MAIL FROM:<{LOGIN}>\n* gone", seconds=0.4)
    assert step.fault is Fault.TIMEOUT


async def test_starttls_missing_never_signs_in_in_clear() -> None:
    step = await step_of(f"{HELLO}S: 250 AUTH PLAIN\n* gone", Tls.STARTTLS)
    assert (step.fault, step.seen["at"]) == (Fault.NOT_OFFERED, "STARTTLS")


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
async def test_an_untrusted_certificate_never_sees_the_password(tls: Tls) -> None:
    leaf = authority("Somebody Else").issue_cert("localhost", common_name="localhost")
    script = f"{HELLO}S: 250 STARTTLS\nC: STARTTLS\nS: 220 ready\n* tls" if tls is Tls.STARTTLS else "S: 220 never seen"
    step = await step_of(script, tls, context=server_tls(leaf), strict=False)
    assert step.fault is Fault.TLS_UNTRUSTED


async def test_over_starttls_and_implicit_tls() -> None:
    inside = f"C: EHLO [127.0.0.1]\nS: 250-mail.contoso.test\nS: 250 AUTH PLAIN\n{ACCEPT}C: MAIL FROM:<{LOGIN}>\nS: 550 5.1.8 no"
    starttls = f"{HELLO}S: 250 STARTTLS\nC: STARTTLS\nS: 220 ready\n* tls\n{inside}"
    assert (await step_of(starttls, Tls.STARTTLS)).seen["at"] == "MAIL FROM"
    assert (await step_of(f"S: 220 mail.contoso.test ESMTP\n{inside}", Tls.IMPLICIT)).seen["at"] == "MAIL FROM"


async def test_login_answers_the_prompt_that_asks() -> None:
    """A server that ignores the initial response and asks for the user name again must not get the password as one."""
    script = (
        f"{HELLO}S: 250 AUTH LOGIN\nC: AUTH LOGIN {b64(LOGIN)}\nS: 334 VXNlcm5hbWU6\nC: {b64(LOGIN)}\n"
        f"S: 334 UGFzc3dvcmQ6\nC: {b64(SECRET)}\nS: 235 ok\nC: MAIL FROM:<{LOGIN}>\nS: 550 5.1.8 no"
    )
    assert (await step_of(script, mechanism="LOGIN")).seen["at"] == "MAIL FROM"


async def test_login_gives_no_password_to_another_prompt() -> None:
    script = f"{HELLO}S: 250 AUTH LOGIN\nC: AUTH LOGIN {b64(LOGIN)}\nS: 334 {b64('Your bank account:')}\n* gone"
    step = await step_of(script, mechanism="LOGIN", strict=False)
    assert step.reply
    assert not step.ok
    assert step.reply.line.startswith("334")


async def test_xoauth2_acknowledges_the_challenge() -> None:
    who = credential("token", kind=Kind.OAUTH)
    message = b64(f"user={LOGIN}\x01auth=Bearer token\x01\x01")
    script = (
        f"{HELLO}S: 250 AUTH XOAUTH2\nC: AUTH XOAUTH2 {message}\nS: 334 eyJzdGF0dXMiOiI0MDAifQ==\nC:\nS: 535 5.7.3 no"
    )
    step = await step_of(script, mechanism="XOAUTH2", who=who)
    assert step.reply
    assert step.reply.line == "535 5.7.3 no"


@pytest.mark.parametrize("to", ["a b@contoso.test", "a@contoso.test>\r\nRCPT TO:<x@y.test", "nobody", "@contoso.test"])
async def test_an_address_that_smtp_cannot_carry_is_sent_nowhere(to: str) -> None:
    who = credential()
    recorder = Recorder(parse_server("smtp=127.0.0.1:1/none"), who.kind)
    await send(recorder, who, Way(timeouts=Timeouts.all(1)), "PLAIN", to)
    assert recorder.attempt.steps[0].fault is Fault.UNENCODABLE


async def test_a_foreign_alphabet_needs_smtputf8() -> None:
    to = "b\u00fccher@contoso.test"
    step = await step_of(f"{HELLO}S: 250 AUTH PLAIN\n{ACCEPT}* gone", to=to)
    assert step.fault is Fault.NOT_OFFERED
    script = (
        f"{HELLO}S: 250-SMTPUTF8\nS: 250 AUTH PLAIN\n{ACCEPT}"
        f"C: MAIL FROM:<{LOGIN}> SMTPUTF8\nS: 250 ok\nC: RCPT TO:<{to}>\nS: 550 5.1.1 no"
    )
    assert (await step_of(script, to=to)).seen["at"] == "RCPT TO"


async def test_nobody_there(refused_port: int) -> None:
    who = credential()
    recorder = Recorder(parse_server(f"smtp=127.0.0.1:{refused_port}/none"), who.kind)
    await send(recorder, who, way(2), "PLAIN", OTHER)
    assert recorder.attempt.steps[0].fault is Fault.REFUSED


async def test_the_secret_is_in_no_log_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    for end in ("* close", f"S: 535 {SECRET}", "S: 599 x", "S: -1", "* reset"):
        await step_of(f"{HELLO}S: 250 AUTH PLAIN\nC: AUTH PLAIN ...\n{end}")
    for form in (SECRET, b64(SECRET), b64(chr(0) + LOGIN + chr(0) + SECRET)):
        assert form not in caplog.text


def test_the_message_is_small_and_of_seven_bits() -> None:
    id_, data = text_for("a@contoso.test", "b@contoso.test")
    assert len(data) < 1000
    assert data.isascii()
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert id_ != text_for("a@contoso.test", "b@contoso.test")[0]


# --- the command


def run(mock: Running, login: str, *args: str) -> Result:
    options = [
        "check",
        login,
        *mock.check_options(login),
        "--only",
        "smtp",
        "--as-of",
        DAY,
        "--password-stdin",
    ]
    return CliRunner().invoke(main, [*options, *args], input=mock.secret_of(login))


def test_the_command_sends_to_oneself_by_default(exchange_online: Running) -> None:
    result = run(exchange_online, "works@contoso.test", "--send-to")
    assert result.exit_code == 0, result.output
    assert "use message" in " ".join(result.output.split())
    assert "one more sign-in" in " ".join(result.output.split())
    assert [mail.recipients for mail in exchange_online.messages] == [("works@contoso.test",)]


def test_the_command_sends_to_another(exchange_online: Running) -> None:
    assert run(exchange_online, "works@contoso.test", f"--send-to={OTHER}").exit_code == 0
    assert [mail.recipients for mail in exchange_online.messages] == [(OTHER,)]


def test_the_command_names_send_as_denied(exchange_online: Running) -> None:
    result = run(exchange_online, "send-as@contoso.test", "--from", "noreply@contoso.test", "--send-to")
    assert result.exit_code == 1
    assert "sender.send_as_denied" in result.output


def test_no_variable_and_no_file_sends_mail(exchange_online: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWHY_SEND_TO", OTHER)
    assert run(exchange_online, "works@contoso.test").exit_code == 0
    assert exchange_online.messages == []


def test_what_is_no_address(exchange_online: Running) -> None:
    assert run(exchange_online, "works@contoso.test", "--send-to=nobody").exit_code == 2
    assert exchange_online.attempts == []


def test_a_message_is_not_sent_again_and_again(exchange_online: Running) -> None:
    result = run(exchange_online, "works@contoso.test", "--until-pass", "--send-to")
    assert result.exit_code == 2
    assert "sent once" in " ".join(result.output.split())
    assert exchange_online.attempts == []
