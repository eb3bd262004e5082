"""`mailwhy explain`: grouping, counting, dates, dialogues, reports of check, and the command around it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from click.testing import CliRunner, Result
from day import DAY

from mailwhy import run
from mailwhy.cli import main
from mailwhy.knowledge import load
from mailwhy.model import Attempt, Kind, Outcome, Password, Protocol, Stage, Verdict
from mailwhy.report import render

TENANT = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information."
CRITERIA = "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator."
LOCKED = "535 5.7.139 Authentication unsuccessful, account locked. Contact your administrator."


def explain(text: str | bytes, protocol: Protocol | None = None) -> Outcome:
    return run.explain(text, protocol=protocol, as_of=DAY)


def only(outcome: Outcome) -> Attempt:
    assert len(outcome.diagnoses) == 1
    return outcome.diagnoses[0].attempt


# -- one reply, taken apart


def test_a_trailer_broken_over_lines_and_words_is_whole_again() -> None:
    text = f"{CRITERIA}\n[AM8P190CA0003.EURP190.PROD.OUTLOOK.COM\n2024-10-04T07:21:07.773Z 08DCE3FEF68EE81B]"
    reply = only(explain(text)).steps[-1].reply
    assert reply
    assert (reply.server, reply.time, reply.session) == (
        "AM8P190CA0003.EURP190.PROD.OUTLOOK.COM",
        "2024-10-04T07:21:07.773Z",
        "08DCE3FEF68EE81B",
    )


def test_a_word_broken_by_a_wrap_is_shown_healed() -> None:
    broken = TENANT.replace("SmtpClientAuthentication", "SmtpClie\nntAuthentication")
    reply = only(explain(broken)).steps[-1].reply
    assert reply
    assert "SmtpClientAuthentication is disabled for the Tenant." in reply.text


def test_the_reply_inside_a_530_speaks() -> None:
    outcome = explain(f"The server response was: 5.7.57 Client not authenticated to send mail. Error: {LOCKED}")
    assert outcome.findings[0].cause == "account.locked"
    reply = only(outcome).steps[-1].reply
    assert reply
    assert (reply.enhanced, reply.spoken.enhanced) == ("5.7.57", "5.7.139")


def test_a_reply_that_no_sign_knows_is_shown_as_it_is() -> None:
    outcome = explain("server said: 571 5.7.199 Authentication frobnicated by policy")
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.exit == 3
    reply = only(outcome).steps[-1].reply
    assert reply
    assert reply.line == "571 5.7.199 Authentication frobnicated by policy"


def test_a_new_sentence_after_5_7_139_is_a_refusal_by_policy() -> None:
    outcome = explain("535 5.7.139 Authentication unsuccessful, the moon is in the wrong house.")
    assert outcome.verdict is Verdict.NARROWED


# -- counted once, put together, kept apart


def test_the_same_reply_in_debug_line_exception_and_queue_counts_once() -> None:
    trailer = "[TY1PR01CA0183.jpnprd01.prod.outlook.com 2023-11-16T11:57:26.100Z 08DB276B7E699C40]"
    text = (
        f"2023-11-16 11:57:26 DEBUG S: {TENANT} {trailer}\n"
        f"2023-11-16 11:57:26 ERROR Send Error: Invalid login: {TENANT} {trailer}\n"
        f"2023-11-16 11:57:27 queue: giving up ({TENANT})"
    )
    seen = only(explain(text)).seen
    assert seen
    assert (seen.count, seen.lines) == (1, (1, 2, 3))


def test_repeats_are_counted_with_first_and_last_time() -> None:
    text = "\n".join(f"2026-01-0{day} 03:00:00 mail: {LOCKED}" for day in (1, 2, 3))
    seen = only(explain(text)).seen
    assert seen
    assert (seen.count, seen.first, seen.last) == (3, "2026-01-01T03:00:00", "2026-01-03T03:00:00")


def test_different_problems_in_one_log_are_apart() -> None:
    quiet = "\n".join("nothing happened" for _ in range(60))
    outcome = explain(f"{TENANT}\n{quiet}\n{LOCKED}")
    assert [d.attempt.seen and d.attempt.seen.lines for d in outcome.diagnoses] == [(1,), (62,)]


def test_replies_of_one_session_are_one_attempt_and_the_specific_one_speaks() -> None:
    trailer = "[FR1P.DEUP.PROD.OUTLOOK.COM 2023-08-22T11:{}Z 08DBA260ED29A18C]"
    bare = "535 5.7.3 Authentication unsuccessful"
    outcome = explain(f"LOGIN: {CRITERIA} {trailer.format('44:59.154')}\nXOAUTH2: {bare} {trailer.format('45:13.339')}")
    assert len(outcome.diagnoses) == 1
    assert outcome.diagnoses[0].sign == "smtp-535-5.7.139-criteria"


def test_a_bare_530_beside_a_refusal_is_its_consequence() -> None:
    outcome = explain(f"{LOCKED}\n530 5.7.57 Client not authenticated to send mail.")
    assert [step.stage for step in only(outcome).steps if step.reply] == [Stage.AUTH, Stage.USE]
    assert outcome.findings[0].cause == "account.locked"


# -- dialogues, dates, services


def test_a_later_success_shows() -> None:
    outcome = explain("S: A1 NO AUTHENTICATE failed.\nC: A2 LOGIN x\nS: A2 OK LOGIN completed.")
    assert "accepted.later" in outcome.diagnoses[0].facts


def test_a_sign_in_that_worked_works() -> None:
    assert explain("235 2.7.0 Authentication successful").verdict is Verdict.WORKS


def test_signed_in_and_no_mailbox() -> None:
    outcome = explain("S: a OK AUTHENTICATE completed.\nS: b BAD User is authenticated but not connected.")
    assert outcome.diagnoses[0].sign == "imap-authenticated-not-connected"


def test_a_reply_is_judged_at_its_own_date() -> None:
    said = "a1 NO LOGIN failed."
    host = "Connection to: imap://outlook.office365.com:993/"
    old, new = (explain(f"{day} 10:00:00 {host}\n{day} 10:00:01 {said}") for day in ("2021-03-01", "2024-03-01"))
    assert "retired.imap" not in old.diagnoses[0].facts
    assert "retired.imap" in new.diagnoses[0].facts


def test_what_is_most_likely_removed_says_nothing_of_the_password() -> None:
    """Nothing names the service here; an Exchange server of one's own does look at the password."""
    alone = explain("a1 NO LOGIN failed.").diagnoses[0]
    own = run.explain("a1 NO LOGIN failed.", facts=["service=exchange-server"], as_of=DAY).diagnoses[0]
    assert (alone.findings[0].cause, alone.password) == ("service.basic_auth_retired", Password.NOT_TOLD)
    assert (own.findings[0].cause, own.password) == ("credentials.wrong", Password.REFUSED)


def test_what_the_text_tells_beside_the_reply() -> None:
    outcome = explain(
        "* OK The Microsoft Exchange IMAP4 service is ready. "
        "[QgBZAEEAUABSADAANgBDAEEAMAAwADEAMAAuAG4AYQBtAHAAcgBkADAANgAuAHAAcgBvAGQALgBvAHUAdABsAG8AbwBrAC4AYwBvAG0A]\n"
        '1 LOGIN "user@example.com" "****"\n1 NO LOGIN failed.'
    )
    assert outcome.account.login == "user@example.com"
    assert {"service=exchange-online", "protocol=imap", "credential=password"} <= outcome.diagnoses[0].facts


@pytest.mark.parametrize(
    "text",
    [
        "535 5.7.8 https://support.google.com/mail/?p=BadCredentials ga26sm6725546ejc.61 - gsmtp",
        "220 server.example.com ESMTP Exim 4.80.1\n535 Incorrect authentication data",
    ],
)
def test_text_of_other_servers_is_not_exchange_online(text: str) -> None:
    outcome = explain(text)
    assert all("service=exchange-online" not in diagnosis.facts for diagnosis in outcome.diagnoses)
    assert not any(finding.cause.startswith(("org.", "mailbox.")) for finding in outcome.findings)


def test_the_hint_does_not_hide_another_protocols_obvious_text() -> None:
    outcome = explain("a1 NO LOGIN failed.", Protocol.SMTP)
    assert only(outcome).target.protocol is Protocol.IMAP


@pytest.mark.parametrize(
    "text", ["Sign-in error code: 53003", '{"status": {"errorCode": 53003}}', "AADSTS53003: BlockedByConditionalAccess"]
)
def test_sign_in_log_numbers(text: str) -> None:
    assert explain(text).findings[0].cause == "org.conditional_access"


def test_a_number_alone_in_a_sentence_is_no_code() -> None:
    assert explain("We sent 53003 mails from port 50126 today.").verdict is Verdict.NO_REPLY


# -- reports of check


def test_a_report_of_check_gives_what_check_gave() -> None:
    seen = explain(f"server smtp.office365.com[192.0.2.1] said: {TENANT}")
    checked = json.loads(render(seen, load(), "json"))
    checked["command"] = "check"
    again = explain(json.dumps(checked))
    assert again.verdict == seen.verdict
    assert again.findings == seen.findings
    assert [d.attempt for d in again.diagnoses] == [d.attempt for d in seen.diagnoses]


def test_a_report_cut_in_half_is_read_as_text() -> None:
    text = render(explain(TENANT), load(), "json")
    assert explain(text[: len(text) // 2]).diagnoses


# -- the command


def call(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments], input=stdin)


def test_argument_file_and_standard_input_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "mail.log"
    file.write_bytes(LOCKED.encode("utf-16"))
    answers = [
        call("--format", "json", "--as-of", DAY, *more, stdin=stdin)
        for more, stdin in (((LOCKED,), None), (("--file", str(file)), None), (("--file", "-"), LOCKED), ((), LOCKED))
    ]
    assert {answer.exit_code for answer in answers} == {0}
    assert {json.loads(answer.stdout)["findings"][0]["cause"] for answer in answers} == {"account.locked"}


def test_the_name_of_a_file_is_not_taken_for_a_reply(tmp_path: Path) -> None:
    file = tmp_path / "mail.log"
    file.write_text(LOCKED)
    answer = call(str(file), "--format", "json")
    assert json.loads(answer.stdout)["findings"][0]["cause"] == "account.locked"
    assert str(file) in answer.stderr
    assert call(str(tmp_path)).exit_code == 2  # a folder
    assert call("x" * 5000).exit_code == 3


def test_a_long_file_is_read_in_pieces(tmp_path: Path) -> None:
    file = tmp_path / "long.log"
    file.write_text("a line of a quiet log\n" * 80_000 + LOCKED + "\n")
    answer = json.loads(call("--file", str(file), "--format", "json").stdout)
    assert answer["diagnoses"][0]["seen"]["lines"] == [80_001]


def test_nothing_to_explain_says_so_and_how_to_get_it() -> None:
    answer = call("--format", "json", stdin="")
    assert answer.exit_code == 3
    assert json.loads(answer.stdout)["verdict"] == "no_reply"


@pytest.mark.parametrize(
    "arguments",
    [
        (LOCKED, "--file", "x"),
        ("--file", "no/such/file"),
        (LOCKED, "--fact", "acount.consumer"),
        (LOCKED, "--as-of", "22.11.2026"),
    ],
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    assert call(*arguments).exit_code == 2


def test_a_misspelled_fact_names_the_near_ones() -> None:
    assert "account.consumer" in call(LOCKED, "--fact", "acount.consumer").output


def test_hints_are_used() -> None:
    answer = json.loads(
        call("535 5.7.3 Authentication unsuccessful", "--credential", "oauth", "--format", "json").stdout
    )
    assert answer["findings"][0]["cause"].startswith(("oauth.", "client."))
    assert run.explain("535 5.7.3 Authentication unsuccessful", kind=Kind.OAUTH).diagnoses[0].attempt.kind is Kind.OAUTH


def test_explain_loads_neither_asyncio_nor_ssl_nor_rich() -> None:
    code = (
        "import sys\nfrom mailwhy.cli import main\n"
        "try:\n    main(['explain', '535 5.7.3 Authentication unsuccessful', '--format', 'json'])\n"
        "except SystemExit:\n    pass\n"
        "print(sorted({'asyncio', 'ssl', 'rich'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"


def test_a_terminal_is_told_what_to_paste(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(io.BytesIO(LOCKED.encode())))
    with pytest.raises(SystemExit) as end:
        main(["explain", "--format", "json"])
    assert end.value.code == 0
    assert "Paste" in capsys.readouterr().err


# -- long logs, and texts that were respelt


def test_a_long_log_that_does_not_speak_of_mail_holds_nothing() -> None:
    line = "2026-03-04 05:06:07 upstream 10.0.0.1:8080: connect() failed (111: Connection refused)"
    assert explain("\n".join([line] * 100)).verdict is Verdict.NO_REPLY
    assert explain("\n".join([line] * 12_500)).verdict is Verdict.NO_REPLY  # over 1 MB: read in windows


def test_a_long_log_that_speaks_of_mail_is_believed() -> None:
    quiet = ["job started"] * 100
    told = "could not reach smtp.office365.com: Connection refused"
    outcome = explain("\n".join([*quiet, told, *quiet]))
    assert [diagnosis.sign for diagnosis in outcome.diagnoses] == ["client-connection-refused"]


def test_the_line_of_a_web_server_is_no_reply() -> None:
    assert explain('203.0.113.9 - - "GET /mail/login HTTP/1.1" 421 550 "-" "bot"').verdict is Verdict.NO_REPLY


@pytest.mark.parametrize("spelt", ["535+5.7.139+{}", "https://app.example/?error=535%205.7.139%20{}&back=1"])
def test_a_reply_in_an_address_is_read(spelt: str) -> None:
    words = quote_plus("Authentication unsuccessful, account locked. Contact your administrator.")
    assert explain(spelt.format(words)).findings[0].cause == "account.locked"


def test_a_refusal_in_the_address_that_a_browser_was_sent_back_to_is_read() -> None:
    words = quote(
        "The request is not valid for the application's 'userAudience' configuration. In order to use /common/ "
        "endpoint, the application must not be configured with 'Consumer' as the user audience."
    )
    page = f"https://login.example.test/nativeclient?error=invalid_request&error_description={words}&state=x"
    assert explain(page).findings[0].cause == "oauth.client_registration_wrong"


def test_postfix_own_refusal_to_relay_leads_to_no_tenant() -> None:
    outcome = explain("554 5.7.1 <a@example.net>: Relay access denied")
    assert "service=other" in outcome.diagnoses[0].facts
    assert not any(finding.cause.startswith(("relay.", "account.")) for finding in outcome.findings)


def test_a_reply_on_a_narrow_panel_is_read() -> None:
    outcome = explain("\n".join(textwrap.wrap(f"{LOCKED} [AM0PR02CA0134.eurprd02.prod.outlook.com]", 32)))
    assert outcome.findings[0].cause == "account.locked"
    reply = only(outcome).steps[-1].reply
    assert reply
    assert reply.server == "AM0PR02CA0134.eurprd02.prod.outlook.com"


def test_an_unknown_number_of_the_sign_in_service_is_shown() -> None:
    outcome = explain("AADSTS65999: the sign-in failed")
    assert outcome.verdict is Verdict.UNKNOWN
    reply = only(outcome).steps[-1].reply
    assert reply
    assert "AADSTS65999" in reply.text


def test_a_version_number_is_no_reply() -> None:
    assert explain("Invoice 5.7.139 has 12 items").verdict is Verdict.NO_REPLY


@pytest.mark.parametrize(
    ("words", "sign"),
    [
        ("Ein Verbindungsversuch ist fehlgeschlagen, da die Gegenstelle nach einer", "client-connect-timeout"),
        ("Une connexion existante a dû être fermée par l\u2019hôte distant", "client-connection-reset"),
        ("El certificado remoto no es válido según el procedimiento", "client-certificate-self-signed"),
        ("a autenticação falhou porque a parte remota fechou o fluxo de transporte", "client-handshake-reset"),
        ("Risposta non corretta della parte connessa dopo l'intervallo di tempo", "client-connect-timeout"),
    ],
)
def test_windows_in_other_languages(words: str, sign: str) -> None:
    assert [diagnosis.sign for diagnosis in explain(words, Protocol.SMTP).diagnoses] == [sign]


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        ("50126", "credentials.wrong"),
        ("50055", "account.password_expired"),
        ("50034", "credentials.username_not_upn"),
        ("530035", "org.security_defaults"),
    ],
)
def test_the_sign_in_service_may_blame_the_password_in_an_oauth_flow(number: str, cause: str) -> None:
    outcome = run.explain(f"AADSTS{number}: its words", kind=Kind.OAUTH, as_of=DAY)
    assert outcome.findings[0].cause == cause


@pytest.mark.parametrize(
    "fate", ["status=sent (250 2.0.0 Ok)", "status=deferred (host mx.example.org said: 450 4.2.0 later)"]
)
def test_a_log_of_deliveries_elsewhere_does_not_name_the_server(fate: str) -> None:
    """The first line's relay stood beside the refusal of another server."""
    other = f"Nov  1 10:00:00 mx1 postfix/smtp[1]: A1: to=<a@example.org>, relay=mx.example.org[203.0.113.5]:25, {fate}"
    refusal = (
        "Nov  1 10:00:01 mx1 postfix/smtp[2]: B2: to=<b@example.org>, relay=smtp.office365.com[52.98.1.2]:587, "
        "dsn=4.7.139, status=deferred (SASL authentication failed; server smtp.office365.com[52.98.1.2] said: "
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.)"
    )
    told = explain("\n".join([other] * 3 + [refusal] + [other]))
    target = next(d.attempt.target for d in told.diagnoses if "5.7.139" in str(d.attempt.steps[-1].reply))
    assert (target.host, target.port) == ("smtp.office365.com", 587)


@pytest.mark.parametrize(
    ("pasted", "cause"),
    [
        (
            "Microsoft 365: The refresh token has expired due to inactivity. The token was issued on "
            "2020-11-17T13:30:55.3656422Z and was inactive for 90.00:00:00.",
            "oauth.token_invalid_or_expired",
        ),
        (
            "The provided value for the input parameter 'scope' is not valid. The scope "
            "https://outlook.office.com/ https://outlook.office.com/SMTP.Send offline_access is not valid.",
            "oauth.missing_permission_or_scope",
        ),
        (
            "Application '...' is not configured as a multi-tenant application. Usage of the /common endpoint is not "
            "supported for such applications created after '10/15/2018'.",
            "oauth.client_registration_wrong",
        ),
    ],
)
def test_the_sign_in_service_is_understood_without_its_number(pasted: str, cause: str) -> None:
    assert run.explain(pasted, kind=Kind.OAUTH, as_of=DAY).findings[0].cause == cause


def test_a_sentence_that_begins_with_no_is_no_refusal_of_imap() -> None:
    attempt = only(explain("invalid_request: AADSTS90023: No applicable permissions were found for this user."))
    reply = attempt.steps[-1].reply
    assert reply
    assert reply.protocol is None
    assert reply.text.startswith("AADSTS90023")


GREETED = """
SERVER -> CLIENT: 220 VI1P18901CA0001.outlook.office365.com Microsoft ESMTP MAIL Service ready at Sun, 29 Apr 2018
CLIENT -> SERVER: STARTTLS
SERVER -> CLIENT: 220 2.0.0 SMTP server ready
"""


def test_who_has_greeted_was_reached() -> None:
    """PHPMailer says "could not connect" for a failed STARTTLS as well: the greeting before it tells them apart."""
    words = "SMTP Error: Could not connect to SMTP host."
    assert explain(words).findings[0].cause == "network.port_blocked"
    assert explain(f"{GREETED}{words}").findings[0].cause in ("client.ca_store_missing", "network.tls_interception")


def test_a_name_of_microsofts_own_that_is_not_found_points_to_the_resolver() -> None:
    assert explain("The remote name could not be resolved: 'smtp.office365.com'").findings[0].cause == "network.dns"
    assert explain("The remote name could not be resolved: 'smtp.ofice.test'").findings[0].cause == "client.wrong_host"


def test_what_failed_on_the_way_is_no_refusal() -> None:
    page = render(explain("connect ECONNREFUSED 192.0.2.1:587"), load(), "human")
    assert "SMTP not reached" in page
    assert "The program said:" in page


def test_javamails_sentence_about_login_is_no_login() -> None:
    page = "Error : javax.mail.MessagingException: No login methods supported!;"
    assert explain(page).findings[0].cause == "client.unsupported_mechanism"
    assert "hunter2" not in render(explain("a1 LOGIN methods hunter2\na1 NO LOGIN failed."), load(), "human")


def test_a_program_that_calls_its_own_machine_has_no_server_set() -> None:
    assert explain("Error: connect ECONNREFUSED 127.0.0.1:587").findings[0].cause == "client.wrong_host"
    assert explain("Error: connect ECONNREFUSED 192.0.2.1:587").findings[0].cause == "network.port_blocked"
