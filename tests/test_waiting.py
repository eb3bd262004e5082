"""`check --until-pass`: what is asked again, when it ends, and that no refused password is ever repeated. No sleeping."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner
from outcomes import BARE, IMAP_NO, POP_ERR, TENANT, USER, book, judged, refused, signed_in

from mailwhy import ledger, mock
from mailwhy.ahead import Ahead, set_out
from mailwhy.checking import Check
from mailwhy.cli import _options, check, main
from mailwhy.mock.threaded import Running
from mailwhy.model import Account, Attempt, Diagnosis, Exit, Outcome, Protocol, Secret, Target, Verdict
from mailwhy.probe import Way
from mailwhy.waiting import Next, Waiting, following, hopeless, in_words

SMTP, IMAP, POP = Protocol
WRONG = "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect."


def diagnosed(*attempts: Attempt) -> tuple[Diagnosis, ...]:
    return judged("check", USER, *attempts).diagnoses


def targets(next_: Next) -> list[str]:
    return [target.protocol.value for target in next_.targets]


def test_a_closed_gate_is_awaited_and_what_works_is_not() -> None:
    assert targets(following(diagnosed(refused(SMTP, TENANT)))) == ["smtp"]
    assert following(diagnosed(signed_in(SMTP))) == Next()


def test_what_microsoft_removed_is_awaited_by_nobody() -> None:
    off = diagnosed(refused(SMTP, TENANT), refused(IMAP, IMAP_NO), refused(POP, POP_ERR))
    assert targets(following(off)) == ["smtp"]
    on = diagnosed(signed_in(SMTP), refused(IMAP, IMAP_NO))
    assert following(on) == Next()
    assert "no setting brings it back" in following(on, asked=[IMAP]).why
    assert "no setting brings it back" in following(diagnosed(refused(IMAP, IMAP_NO))).why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (WRONG, "the password was refused"),
        (BARE, "does not tell"),
        (book().signs["smtp-535-5.7.139-locked"].example, "locked"),
    ],
)
def test_a_password_that_was_looked_at_is_never_repeated(text: str, why: str) -> None:
    next_ = following(diagnosed(refused(SMTP, text)))
    assert next_.targets == ()
    assert why in next_.why


def test_one_hopeless_protocol_ends_it_and_the_way_out_is_named() -> None:
    next_ = following(diagnosed(refused(SMTP, TENANT), Attempt(Target(IMAP), held_back="too many")))
    assert next_.targets == ()
    assert "IMAP: not tried: too many" in next_.why
    assert "--only smtp" in next_.why


def test_hopeless_is_silent_where_waiting_may_help() -> None:
    assert hopeless(diagnosed(refused(SMTP, TENANT))[0]) == ""


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1h30m", 5400)])
def test_durations(text: str, seconds: float) -> None:
    assert _options.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 minutes", "m", "-5m", "5m5m", "1.5h"])
def test_what_is_no_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(Exception, match="write it as 30s"):
        _options.duration(text)


@pytest.mark.parametrize(("seconds", "words"), [(30, "30 s"), (300, "5 min"), (7200, "2 h"), (5400, "90 min")])
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


# --- the loop ---------------------------------------------------------------------------------------------------


@dataclass
class Answers:
    """Stands for the checks: each answers with what is written for it; and for the clock, which the sleep moves."""

    script: list[list[Attempt]]
    asked: list[list[str]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def start(self, targets: Sequence[Target] | None, others: Sequence[Attempt]) -> Answers.One:
        attempts = self.script.pop(0)
        self.asked.append([t.protocol.value for t in targets] if targets is not None else [])
        return Answers.One(judged("check", USER, *attempts, *others))

    def now(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def clock(self) -> datetime:
        return datetime(2026, 11, 22, 12, tzinfo=UTC) + timedelta(seconds=self.now())

    def waiting(self, every: float = 300, most: float = 7200) -> Waiting:
        return Waiting(
            self.start, every=every, most=most, say=self.said.append, now=self.now, sleep=self.sleep, clock=self.clock
        )

    @dataclass
    class One:
        result: Outcome

        async def go(self) -> None: ...

        def diagnoses(self) -> tuple[Diagnosis, ...]:
            return self.result.diagnoses

        def outcome(self) -> Outcome:
            return self.result


async def test_it_asks_until_it_passes_and_says_when() -> None:
    off, gone = refused(SMTP, TENANT), refused(IMAP, IMAP_NO)
    answers = Answers([[off, gone], [off], [off], [signed_in(SMTP)]])
    waiting = answers.waiting()
    await waiting.go()
    assert answers.asked == [[], ["smtp"], ["smtp"], ["smtp"]]
    assert answers.slept == [300, 300, 300]
    outcome = waiting.outcome()
    assert (outcome.exit, {d.verdict for d in outcome.diagnoses}) == (Exit.OK, {Verdict.WORKS, Verdict.RETIRED})
    assert answers.said[0].startswith("Waiting for SMTP: asked again every 5 min, for at most 2 h.")
    assert answers.said[-1] == "SMTP signs in since 12:15 UTC; at 12:10 UTC it did not yet."
    assert outcome.notices[0].id == "waiting.passed"


async def test_it_stops_when_the_gate_opens_and_the_password_behind_it_is_wrong() -> None:
    answers = Answers([[refused(SMTP, TENANT)], [refused(SMTP, WRONG)]])
    waiting = answers.waiting()
    await waiting.go()
    assert answers.script == []
    assert "another answer: 535 5.7.139" in answers.said[1]
    assert "the password was refused" in answers.said[2]
    assert waiting.outcome().exit is Exit.REFUSED
    assert waiting.outcome().notices[0].id == "waiting.stopped"


async def test_it_never_waits_where_the_first_answer_forbids_it() -> None:
    answers = Answers([[refused(SMTP, BARE)]])
    await answers.waiting().go()
    assert (answers.slept, len(answers.said)) == ([], 1)


@pytest.mark.parametrize(("most", "checks"), [(0, 1), (299, 1), (300, 2), (901, 4)])
async def test_it_gives_up_when_the_time_is_over(most: float, checks: int) -> None:
    answers = Answers([[refused(SMTP, TENANT)] for _ in range(checks)])
    waiting = answers.waiting(most=most)
    await waiting.go()
    assert (answers.script, len(answers.asked)) == ([], checks)
    assert "SMTP did not pass within" in answers.said[-1]
    assert waiting.outcome().exit is Exit.REFUSED


async def test_an_ended_wait_keeps_the_last_answer() -> None:
    class Stuck(Answers.One):
        async def go(self) -> None:
            raise asyncio.CancelledError

    class Ending(Answers):
        def start(self, targets: Sequence[Target] | None, others: Sequence[Attempt]) -> Answers.One:
            return super().start(targets, others) if targets is None else Stuck(judged("check", USER))

    waiting = Ending([[refused(SMTP, TENANT)]]).waiting()
    with pytest.raises(asyncio.CancelledError):
        await waiting.go()
    assert waiting.outcome().diagnoses[0].verdict is Verdict.NARROWED


# --- against the look-alike -------------------------------------------------------------------------------------


async def test_the_look_alike_changes_its_mind(tmp_path: Path) -> None:
    login = "smtp-off@contoso.test"
    async with mock.serve(as_of=datetime(2026, 11, 22, tzinfo=UTC).date()) as servers:
        said: list[str] = []
        all_ = [_target(servers, protocol) for protocol in Protocol]

        def start(again: Sequence[Target] | None, others: Sequence[Attempt]) -> Check:
            return Check(
                Account(login, login, login),
                Secret(servers.secret_of(login)),
                targets=all_ if again is None else again,
                way=Way(ca_file=str(servers.ca_file)),
                as_of="2026-11-22",
                ledger=ledger.Ledger(tmp_path),
                knowledge=book(),
                others=others,
            )

        async def sleep(seconds: float) -> None:
            if len(servers.world.attempts) == 4:  # three at first, one more
                servers.world.change(login, "mailbox.smtp_client_authentication_disabled", False)

        waiting = Waiting(start, every=300, most=7200, sleep=sleep, say=said.append)
        await waiting.go()
        tried = [attempt.protocol for attempt in servers.world.attempts]
    outcome = waiting.outcome()
    assert tried == [SMTP, *sorted(tried[1:3]), SMTP, SMTP]
    assert [(d.attempt.target.protocol, d.verdict) for d in outcome.diagnoses] == [
        (SMTP, Verdict.WORKS),
        (IMAP, Verdict.RETIRED),
        (POP, Verdict.RETIRED),
    ]
    assert outcome.exit is Exit.OK
    assert said[1].endswith("SMTP: as before.")
    assert said[2].startswith("SMTP signs in since ")


def _target(servers: mock.Servers, protocol: Protocol) -> Target:
    at = servers.address(protocol)
    return Target(protocol, at.host, at.port, at.tls)


def command(exchange: Running, login: str, *more: str) -> tuple[list[str], dict[str, str]]:
    options = [*exchange.check_options(login), "--as-of", "2026-11-22", "--until-pass", *more]
    environ = {**os.environ, "MAILWHY_PASSWORD": exchange.secret_of(login)}
    return [sys.executable, "-m", "mailwhy", "check", login, *options], environ


def test_ctrl_c_ends_the_wait_with_the_evidence(exchange_online: Running) -> None:
    words, environ = command(exchange_online, "smtp-off@contoso.test")
    child = pexpect.spawn(words[0], words[1:], env=environ, encoding="utf-8", timeout=30)
    child.expect("Waiting for SMTP: asked again every 5 min, for at most 2 h")
    child.sendintr()
    child.expect("SmtpClientAuthentication is disabled for the Mailbox")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert "Traceback" not in child.before


def test_sigterm_does_the_same(exchange_online: Running) -> None:
    words, environ = command(exchange_online, "smtp-off@contoso.test")
    with subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stderr
        assert child.stderr.readline().startswith("Waiting for SMTP")
        child.send_signal(signal.SIGTERM)
        assert "SMTP AUTH is switched" in child.stdout.read()
        assert child.wait(20) == 130
        assert child.stderr.read() == ""


def test_every_check_connects_anew(exchange_online: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun while modules were imported is for the first check; a connection can be taken once."""
    login, begun = "smtp-off@contoso.test", []

    def counted(places: Iterable[tuple[str, int]], family: int = 0) -> Ahead:
        begun.append(set_out(places, family))
        return begun[-1]

    async def until_it_is_on(seconds: float) -> None:
        if len(exchange_online.attempts) > 1:
            exchange_online.set("mailbox.smtp_client_authentication_disabled", False, login)

    monkeypatch.setattr("mailwhy.ahead.set_out", counted)
    monkeypatch.setattr("mailwhy.waiting.Waiting", functools.partial(Waiting, sleep=until_it_is_on))
    monkeypatch.setattr(check, "end_like_ctrl_c", lambda: None)  # which would stay for all other tests
    words, environ = command(exchange_online, login, "--only", "smtp")
    done = CliRunner().invoke(main, words[3:], env=environ)
    assert done.exit_code == 0, done.output
    assert len(exchange_online.attempts) == 3  # off, still off, on
    assert len(exchange_online.sessions) == 3
    assert len(begun) == 1


def test_a_wrong_password_is_sent_once(exchange_online: Running) -> None:
    words, environ = command(exchange_online, "works@contoso.test", "--only", "smtp")
    environ["MAILWHY_PASSWORD"] = "wrong"
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Not waited any longer" in done.stderr
    assert len(exchange_online.attempts) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--until-pass", "--every", "29s"], "at least 30 s"),
        (["--until-pass", "--every", "soon"], "write it as 30s"),
        (["--until-pass", "--force"], "made once"),
        (["--every", "5m"], "--until-pass"),
    ],
)
def test_usage(words: list[str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWHY_PASSWORD", "x")
    nowhere: Callable[..., Outcome] = lambda run: pytest.fail("something was sent")  # noqa: E731
    monkeypatch.setattr(check, "perform", nowhere)
    done = CliRunner().invoke(check.command, ["a@contoso.test", "--server", "smtp=127.0.0.1:1", *words])
    assert done.exit_code == 2, done.output
    assert says in done.output
