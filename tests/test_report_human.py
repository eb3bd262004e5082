"""The report for people: what stands where, and that it can be copied."""

from __future__ import annotations

import dataclasses
import re

import pytest
from outcomes import BARE, IMAP_NO, POP_ERR, TENANT, book, judged, outcomes, refused

from mailwhy.knowledge import load
from mailwhy.model import Account, Attempt, Fault, Kind, Protocol, Reply, Stage, Step, Target, Tls, Verdict
from mailwhy.report import Options, render
from mailwhy.report.human import transcript
from mailwhy.report.words import lines_words, opening
from mailwhy.run import explain


def human(name: str, **options: int | bool) -> str:
    return render(outcomes()[name], book(), "human", Options(**options))  # type: ignore[arg-type] # widths and flags


@pytest.mark.parametrize("width", [20, 80, 500])
def test_the_reply_stands_alone_on_its_line_whatever_the_width(width: int) -> None:
    assert TENANT in human("tenant-off", width=width).splitlines()


@pytest.mark.parametrize("width", [40, 80])
def test_prose_keeps_to_the_width(width: int) -> None:
    for line in human("tenant-off", width=width).splitlines():
        copyable = line in (TENANT, IMAP_NO, POP_ERR) or "-Identity" in line or "Format-List" in line
        assert len(line) <= width or copyable or " " not in line.strip(), line


@pytest.mark.parametrize("name", outcomes())
def test_opens_with_three_plain_lines_and_quiet_is_only_these(name: str) -> None:
    quiet = human(name, verbosity=-1).splitlines()
    assert [line.partition(":")[0] for line in quiet] == ["What", "Who acts", "Tonight"]
    assert all(line.partition(":")[2].strip() for line in quiet)


def test_colour_adds_nothing_but_colour() -> None:
    assert re.sub(r"\x1b\[\d*m", "", human("tenant-off", color=True)) == human("tenant-off")
    assert "\x1b" not in human("hostile")


def test_our_own_words_are_ascii() -> None:
    for name in outcomes():
        assert human(name, verbosity=2).isascii(), name


def test_a_command_is_told_once() -> None:
    text = human("tenant-off")
    command = "Set-CASMailbox -Identity 'scanner@contoso.com' -SmtpClientAuthenticationDisabled $false"
    assert [line.strip() for line in text.splitlines()].count(command) == 1


def test_an_address_stays_a_value_in_a_command() -> None:
    account = Account("a'; Remove-Mailbox x; '@contoso.com", None, None)
    text = render(judged("check", account, refused(Protocol.SMTP, TENANT)), book())
    assert "-Identity 'a''; Remove-Mailbox x; ''@contoso.com' " in text
    hidden = Account("a\u202e@contoso.com", None, None)
    assert "-Identity <mailbox> " in render(judged("check", hidden, refused(Protocol.SMTP, TENANT)), book())


def test_the_sign_in_log_names_user_window_address_and_client() -> None:
    text = " ".join(human("tenant-off").split())
    assert (
        "user scanner@contoso.com, 2026-11-22 09:09 to 09:19 UTC, IP address 203.0.113.9, "
        'client app "Authenticated SMTP"' in text
    )


def test_a_success_needs_nobody() -> None:
    first = opening(outcomes()["works"], book())
    assert first.what == "SMTP works."
    assert first.who.startswith("nobody")
    assert "sign-in log" not in human("works")


def test_several_protocols_work_and_one_works() -> None:
    made = {p: Attempt(Target(p, "mail.example.com"), (Step(Stage.AUTH, True),)) for p in Protocol}
    everything = judged("check", Account(), *made.values())
    assert opening(everything, book()).what == "SMTP, IMAP and POP work."
    assert opening(judged("check", Account(), made[Protocol.POP]), book()).what == "POP works."


def test_what_was_stopped_was_not_held_back() -> None:
    stopped = Attempt(Target(Protocol.SMTP, "mail.example.com"), (Step(Stage.GREETING, False, fault=Fault.CANCELLED),))
    first = opening(judged("check", Account(), stopped), book())
    assert first.what == "SMTP not tested to the end."
    assert first.tonight.startswith("Run it again")
    assert "mend that" in opening(outcomes()["not-tried"], book()).tonight  # the same secret again would be held again


def test_why_it_was_held_back_is_told_once() -> None:
    text = human("wrong-password")
    assert text.count("one refusal is enough") == 1
    assert text.count("Held back: as above") == 1


def test_one_more_cause_is_one() -> None:
    told = explain("smtplib.SMTPServerDisconnected: Connection unexpectedly closed")
    for count, words in ((5, " 1 more cause is possible"), (6, " 2 more causes are possible")):
        found = (*told.findings[:1] * (count - len(told.findings)), *told.findings)
        text = render(dataclasses.replace(told, findings=found), load(), "human", Options())
        assert words in text


def test_a_reason_that_rules_out_many_is_told_once() -> None:
    page = render(explain("530 5.7.57 Client not authenticated to send mail.", facts=["app.no_auth"]), load(), "human")
    ruled_out = page.split("Ruled out", 1)[1].split("What to do", 1)[0]
    assert ruled_out.count("it never sent AUTH or LOGIN") == 1
    assert ruled_out.count("\n   - ") > 5


def test_a_paste_tells_lines_and_counts() -> None:
    attempt = outcomes()["explain"].diagnoses[0].attempt
    assert lines_words(attempt) == "lines 3-5, 9 (4 times, first 2026-11-20T06:00:01Z, last 2026-11-22T09:14:30Z)"
    assert lines_words(outcomes()["works"].diagnoses[0].attempt) == ""


def test_the_transcript_has_the_arrows_of_swaks() -> None:
    said = Reply(Protocol.SMTP, "220", text="hi", lines=("220 hi",))
    steps = (
        Step(Stage.DNS, True, seen={"addresses": ["192.0.2.1"]}),
        Step(Stage.GREETING, True, reply=said),
        Step(Stage.TLS, True, "STARTTLS", said, seen={"version": "TLSv1.3"}),
        Step(Stage.AUTH, False, "AUTH LOGIN", Reply(Protocol.SMTP, "535", lines=(BARE,))),
        Step(Stage.USE, False, "MAIL FROM", fault=Fault.CLOSED),
    )
    starttls = Target(Protocol.SMTP, "mail.example.com", 587, Tls.STARTTLS)
    assert list(transcript(Attempt(starttls, steps))) == [
        "== dns 192.0.2.1",
        "<- 220 hi",
        "-> STARTTLS",
        "<- 220 hi",
        "== TLS TLSv1.3",
        "~> AUTH LOGIN",
        f"<~ {BARE}",
        "~> MAIL FROM",
        "** use: closed by the server",
    ]


def test_a_personal_account_is_not_sent_to_smtp() -> None:
    """SMTP is removed there too: `or SMTP if the program only sends` would be wrong."""
    me = Account("me@outlook.com", "me@outlook.com", "me@outlook.com")
    reply = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox."
    told = judged("check", me, refused(Protocol.SMTP, reply))
    assert told.verdict is Verdict.RETIRED
    first = opening(told, load())
    assert "SMTP" not in first.tonight
    assert "OAuth" in first.tonight


def test_a_token_is_not_called_a_password() -> None:
    told = explain("535 5.7.3 Authentication unsuccessful", protocol=Protocol.SMTP, kind=Kind.OAUTH)
    text = render(told, load(), "human", Options())
    assert "Token: the server does not tell" in text
    assert "Password:" not in text


def test_what_another_kind_of_credential_could_mean_is_no_news() -> None:
    """Six lines on tokens, ruled out because a password was used, told nobody anything."""
    told = explain("535 5.7.3 Authentication unsuccessful", protocol=Protocol.SMTP, kind=Kind.PASSWORD)
    assert any(ruled.by == "credential=password" for ruled in told.ruled_out)
    assert "oken" not in render(told, load(), "human", Options()).partition("Ruled out")[2].partition("What to do")[0]
