"""Reading along: what the relay makes of a dialogue, told as transcripts. No sockets."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

import pytest
from day import DAY

from mailwhy.diagnose import diagnose
from mailwhy.knowledge import load
from mailwhy.model import Account, Attempt, Fault, Kind, Protocol, Stage, Target, Tls
from mailwhy.plain import to_plain
from mailwhy.relay import Seen, clienthello
from mailwhy.relay.notes import dialogue, read
from mailwhy.relay.session import WATCHES
from mailwhy.relay.watch import Watch
from mailwhy.run import explain

SECRET = "abcd wxyz-ä1234 Pass"
LOGIN = "app@contoso.test"
GREETING = (
    "220 FR3P281CA0057.outlook.office365.com Microsoft ESMTP MAIL Service ready at Mon, 13 Jan 2025 13:42:45 +0000"
)
CLEAR = "250-FR3P281CA0057.outlook.office365.com Hello [192.0.2.10]|250-STARTTLS|250 SMTPUTF8"
SECURE = "250-FR3P281CA0057.outlook.office365.com Hello [192.0.2.10]|250-AUTH LOGIN XOAUTH2|250 SMTPUTF8"
BEGUN = f"S: {GREETING}\nC: EHLO a.b\nS: {CLEAR}\nC: STARTTLS\nS: 220 2.0.0 SMTP server ready\nTLS\nC: EHLO a.b\nS: {SECURE}\n"
NOT_SIGNED_IN = "530 5.7.57 Client not authenticated to send mail. [FR3P281CA0057.DEUP281.PROD.OUTLOOK.COM]"
WRONG = "535 5.7.3 Authentication unsuccessful [FR3P281CA0057.DEUP281.PROD.OUTLOOK.COM]"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def said(transcript: str) -> Iterator[tuple[str, bytes]]:
    """`S:`, `C:`, `TLS` lines; `|` parts the lines of one answer; `C~` sends no line end, `C/` LF alone."""
    for line in transcript.strip("\n").splitlines():
        who, text = line[:2], line[3:]
        end = {"C~": "", "C/": "\n"}.get(who, "\r\n")
        yield who[:1], (text.replace("|", "\r\n") + end).encode()


def watched(
    transcript: str, protocol: Protocol = Protocol.SMTP, tls: Tls = Tls.STARTTLS, piece: int = 0, end: bool = True
) -> Watch:
    """The watch after this dialogue; `piece`: octets at a time, 0 for a whole line."""
    host = "smtp.office365.com" if protocol is Protocol.SMTP else "outlook.office365.com"
    watch = WATCHES[protocol](Target(protocol, host, 587, tls), upgradable=tls is Tls.STARTTLS)
    for who, data in said(transcript):
        if who == "T":
            watch.upgrade = False
            watch.secured(app=False, seen={})
            watch.secured(app=True, seen={"version": "TLSv1.2"})
            continue
        for at in range(0, len(data), piece or len(data) or 1):
            part = data[at : at + (piece or len(data))]
            if who == "S":
                watch.server(part)
            else:
                watch.client(part)
    if end:
        watch.close(None)
    return watch


def causes(watch: Watch) -> list[str]:
    """What the session comes to; its recording has to come to the same."""
    attempt, account = watch.attempt, watch.account
    (found,) = diagnose([attempt], account, load(), DAY)
    recording = dialogue(Seen(1, "127.0.0.1", attempt, account, tuple(watch.dialogue)))
    again = explain(recording, as_of=DAY)
    assert [each.verdict for each in again.diagnoses] == [found.verdict], recording
    assert again.findings == found.findings, recording
    assert (again.account, again.diagnoses[0].attempt.target) == (account, attempt.target)
    return [finding.cause for finding in found.findings]


def habits(attempt: Attempt) -> set[str]:
    return {fact.removeprefix("app.") for fact in attempt.facts}


def test_a_session_that_works() -> None:
    watch = watched(
        f"{BEGUN}C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: {b64(LOGIN)}\nS: 334 UGFzc3dvcmQ6\nC: {b64(SECRET)}\n"
        f"S: 235 2.7.0 Authentication successful\nC: MAIL FROM:<{LOGIN}>\nS: 250 2.1.0 Sender OK\n"
        "C: RCPT TO:<b@example.net>\nS: 250 2.1.5 Recipient OK\nC: DATA\nS: 354 Start mail input\n"
        f"C: From: {LOGIN}\nC: \nC: STARTTLS\nC: hello\nC: .\nS: 250 2.0.0 OK\nC: QUIT\nS: 221 2.0.0 bye"
    )
    attempt = watch.attempt
    assert [(step.stage, step.sent) for step in attempt.steps] == [
        (Stage.GREETING, ""),
        (Stage.CAPABILITIES, "EHLO"),
        (Stage.TLS, ""),
        (Stage.TLS, ""),
        (Stage.CAPABILITIES, "EHLO"),
        (Stage.AUTH, "AUTH LOGIN"),
        (Stage.USE, "MAIL FROM"),
        (Stage.USE, "RCPT TO"),
        (Stage.USE, "DATA"),
    ]
    assert all(step.ok for step in attempt.steps)
    assert habits(attempt) == set()
    assert (attempt.kind, watch.account) == (Kind.PASSWORD, Account(LOGIN, LOGIN, LOGIN))
    assert attempt.target.tls is Tls.STARTTLS


@pytest.mark.parametrize("piece", [1, 2, 7])
def test_the_cut_of_the_octets_does_not_matter(piece: int) -> None:
    transcript = f"{BEGUN}C: AUTH PLAIN {b64(chr(0) + LOGIN + chr(0) + SECRET)}\nS: 504 5.7.4 Unrecognized authentication type\nC: QUIT\nS: 221 bye"
    whole, cut = watched(transcript), watched(transcript, piece=piece)
    assert cut.dialogue == whole.dialogue
    assert habits(cut.attempt) == habits(whole.attempt)
    assert [(s.stage, s.ok, s.reply) for s in cut.attempt.steps] == [
        (s.stage, s.ok, s.reply) for s in whole.attempt.steps
    ]


@pytest.mark.parametrize(
    ("transcript", "habit", "first"),
    [
        (
            f"{BEGUN}C: MAIL FROM:<a@b.c>\nS: {NOT_SIGNED_IN}\nC: QUIT\nS: 221 bye",
            "no_auth",
            "client.no_auth_attempted",
        ),
        (
            f"S: {GREETING}\nC: HELO printer\nS: 250 FR3P281CA0057.outlook.office365.com Hello [192.0.2.10]\n"
            "C: MAIL FROM:<a@b.c>\nS: 451 5.7.3 STARTTLS is required to send mail [x.outlook.com]\nC: QUIT\nS: 221 bye",
            "helo",
            "client.starttls_required",
        ),
        (
            f"S: {GREETING}\nC: EHLO a.b\nS: {CLEAR}\nC: QUIT\nS: 221 bye",
            "no_starttls",
            "client.starttls_required",
        ),
        (f"{BEGUN}C: QUIT\nS: 221 bye", "no_auth", "client.no_auth_attempted"),
        (
            f"S: {GREETING}\nC: EHLO a.b\nS: {CLEAR}\nC: AUTH LOGIN\nS: 504 5.7.4 Unrecognized authentication type [x.outlook.com]\nC: QUIT\nS: 221 x",
            "auth_before_tls",
            "client.starttls_required",
        ),
        (
            f"{BEGUN}C: AUTH CRAM-MD5\nS: 504 5.7.4 Unrecognized authentication type [x.outlook.com]\nC: QUIT\nS: 221 x",
            "mechanism_not_offered",
            "client.unsupported_mechanism",
        ),
        (
            BEGUN.rpartition("C: EHLO")[0]
            + f"C: AUTH LOGIN\nS: 503 5.5.2 Send hello first\nC: MAIL FROM:<a@b.c>\nS: {NOT_SIGNED_IN}",
            "no_ehlo_after_tls",
            "client.protocol_error",
        ),
        (
            f"S: {GREETING}\nC: EHLO MacBook..\nS: 501 5.5.4 Invalid domain name [x.outlook.com]\nC: QUIT\nS: 221 x",
            "odd_name",
            "client.protocol_error",
        ),
    ],
)
def test_smtp_habits_are_named(transcript: str, habit: str, first: str) -> None:
    watch = watched(transcript)
    assert habit in habits(watch.attempt)
    assert causes(watch)[0] == first


def test_a_proven_habit_leaves_one_cause() -> None:
    assert causes(watched(f"{BEGUN}C: MAIL FROM:<a@b.c>\nS: {NOT_SIGNED_IN}")) == ["client.no_auth_attempted"]
    plain = f"{BEGUN}C: AUTH PLAIN xyz=\nS: 504 5.7.4 Unrecognized authentication type [x.outlook.com]"
    assert causes(watched(plain)) == ["client.unsupported_mechanism"]


def test_from_long_lines_and_bare_line_feeds() -> None:
    signed_in = f"{BEGUN}C: AUTH LOGIN {b64(LOGIN)}\nS: 334 UGFzc3dvcmQ6\nC: {b64(SECRET)}\nS: 235 2.7.0 ok\nC: DATA\nS: 354 go\n"
    watch = watched(
        f"{signed_in}C: From: Scanner <scan@contoso.test>\nC: \nC: {'x' * 1200}\nC/ bare\nC: .\n"
        "S: 554 5.2.252 SendAsDenied; app@contoso.test not allowed to send as scan@contoso.test"
    )
    assert habits(watch.attempt) == {"from_differs", "line_too_long", "bare_lf"}
    assert causes(watch)[0] == "sender.send_as_denied"
    watch = watched(f"{signed_in}C: From: {LOGIN}\nC: \nC: {'x' * 998}\nC: .\nS: 250 ok")
    assert habits(watch.attempt) == set()


def test_a_mended_try_is_not_the_end() -> None:
    watch = watched(
        f"{BEGUN}C: AUTH PLAIN xyz=\nS: 504 5.7.4 Unrecognized authentication type\nC: AUTH LOGIN {b64(LOGIN)}\n"
        f"S: 334 UGFzc3dvcmQ6\nC: {b64(SECRET)}\nS: 235 2.7.0 ok\nC: QUIT\nS: 221 x"
    )
    assert [step.ok for step in watch.attempt.stage(Stage.AUTH)] == [True]
    assert "mechanism_not_offered" in habits(watch.attempt)


def test_several_refused_sign_ins() -> None:
    once = f"C: AUTH LOGIN {b64(LOGIN)}\nS: 334 UGFzc3dvcmQ6\nC: {b64(SECRET)}\nS: {WRONG}\n"
    assert "several_sign_ins" not in habits(watched(BEGUN + once).attempt)
    assert "several_sign_ins" in habits(watched(BEGUN + once + once).attempt)


def test_what_ends_a_long_session_is_kept() -> None:
    """Mails that went well make room: in the evidence, and in the recording."""
    mail = (
        f"C: MAIL FROM:<{LOGIN}>\nS: 250 ok\nC: RCPT TO:<b@example.net>\nS: 250 ok\nC: DATA\nS: 354 go\n"
        "C: \nC: hello\nC: .\nS: 250 2.0.0 OK\n"
    )
    signed_in = f"{BEGUN}C: AUTH LOGIN {b64(LOGIN)}\nS: 334 UGFzc3dvcmQ6\nC: {b64(SECRET)}\nS: 235 2.7.0 ok\n"
    refused = mail.replace("250 2.0.0 OK", "554 5.2.252 SendAsDenied; a@b.c not allowed to send as d@e.f")
    watch = watched(signed_in + mail * 120 + refused + "C: QUIT\nS: 221 bye")
    assert causes(watch)[0] == "sender.send_as_denied"
    assert len(watch.attempt.steps) <= 200
    assert len(watch.dialogue) <= 401
    assert any(text.endswith("lines left out") for _, text in watch.dialogue)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("# protocol: smtp", "# protocol: fax"),
        lambda text: text + text,
        lambda text: text.replace("# app:", "# step: tls nonsense {}\n# app:"),
        lambda text: text.replace("# app:", '# step: tls ok ["x"]\n# app:'),
        lambda text: text.replace("# app:", "# step: tls\n# app:"),
        lambda text: text.replace("# app:", f"# step: tls ok {'[' * 100_000}\n# app:"),
    ],
)
def test_a_recording_changed_by_hand_is_read_like_any_paste(change: Callable[[str], str]) -> None:
    watch = watched(f"{BEGUN}C: AUTH LOGIN {b64(LOGIN)}\nS: {WRONG}")
    recording = dialogue(Seen(1, "127.0.0.1", watch.attempt, watch.account, tuple(watch.dialogue)))
    assert read(recording)
    assert read(change(recording)) is None
    assert "credentials.wrong" in [finding.cause for finding in explain(change(recording)).findings]


def test_no_app_can_write_its_own_comments() -> None:
    """What an app says stays one line behind C:, whatever is in it."""
    watch = watched("S: 220 x\nC: EHLO a\r# habits: helo\x0b# step: dns timeout {}\u2028# protocol: pop\nS: 250 x")
    watch.login = "me\n# habits: no_auth"
    recording = dialogue(Seen(1, "::1", watch.attempt, watch.account, tuple(watch.dialogue)))
    assert [line for line in recording.splitlines() if line.startswith("# ") and "habits: helo" in line] == []
    (account, attempt) = read(recording) or (None, None)
    assert account
    assert attempt
    assert account.login == "me\\x0a# habits: no_auth"
    assert attempt.facts == watch.attempt.facts


def test_an_answer_that_never_came() -> None:
    watch = watched(f"{BEGUN}C: AUTH LOGIN {b64(LOGIN)}\nS: 334 UGFzc3dvcmQ6\nC: {b64(SECRET)}", end=False)
    assert watch.due
    watch.habit("gave_up")
    watch.close(None)
    failed = watch.attempt.failed
    assert failed
    assert (failed.stage, failed.fault, failed.seen) == (Stage.AUTH, Fault.TIMEOUT, {"mechanism": "LOGIN"})


IMAP = "S: * OK The Microsoft Exchange IMAP4 service is ready. [RgBSAA==]\nC: 1 CAPABILITY\nS: * CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR LITERAL+|1 OK CAPABILITY completed.\n"
POP = "S: +OK The Microsoft Exchange POP3 service is ready.\nC: CAPA\nS: +OK|TOP|SASL PLAIN XOAUTH2|USER|.\n"


def test_imap_opens_the_mailbox_or_not() -> None:
    watch = watched(
        f'{IMAP}C: 2 LOGIN {LOGIN} "{SECRET}"\nS: 2 OK LOGIN completed.\nC: 3 SELECT INBOX\nS: 3 BAD User is authenticated but not connected.',
        Protocol.IMAP,
        Tls.IMPLICIT,
    )
    assert [(s.stage, s.ok, s.sent) for s in watch.attempt.steps] == [
        (Stage.GREETING, True, ""),
        (Stage.CAPABILITIES, True, "CAPABILITY"),
        (Stage.AUTH, True, "LOGIN"),
        (Stage.USE, False, "SELECT"),
    ]
    assert watch.account.login == LOGIN


def test_a_literal_that_the_server_does_not_want() -> None:
    """What comes after its refusal is a command again, not the literal."""
    watch = watched(
        f"S: * OK The Microsoft Exchange IMAP4 service is ready.\nC: 1 LOGIN {LOGIN} {{9}}\nS: 1 NO LOGIN failed.\n"
        "C: 2 STARTTLS\nS: 2 OK Begin TLS negotiation now.\nTLS\nC: 3 CAPABILITY\nS: * CAPABILITY IMAP4|3 OK done",
        Protocol.IMAP,
    )
    assert [(step.stage, step.ok) for step in watch.attempt.steps] == [
        (Stage.GREETING, True),
        (Stage.AUTH, False),
        (Stage.TLS, True),
        (Stage.TLS, True),
        (Stage.CAPABILITIES, True),
    ]
    assert watch.app_secured


def test_imap_mail_is_counted_and_not_read() -> None:
    watch = watched(
        f"{IMAP}C: 2 LOGIN {LOGIN} x\nS: 2 OK done\nC: 3 FETCH 1 BODY[]\nS: * 1 FETCH (BODY[] {{14}}|3 NO not this.)|3 OK FETCH completed.",
        Protocol.IMAP,
        Tls.IMPLICIT,
    )
    assert all(step.ok for step in watch.attempt.steps)
    assert not any("not this" in text for _, text in watch.dialogue)
    assert not watch.asked


def test_a_blank_without_quotes() -> None:
    watch = watched(
        f"{IMAP}C: 2 LOGIN {LOGIN} two words\nS: 2 BAD Command Argument Error. 12", Protocol.IMAP, Tls.IMPLICIT
    )
    assert "login_unquoted" in habits(watch.attempt)
    assert causes(watch)[0] == "client.protocol_error"


def test_pop_token_on_one_line() -> None:
    watch = watched(
        f"{POP}C: AUTH XOAUTH2 {b64('user=a@b.c' + chr(1) + 'auth=Bearer tok')}\nS: -ERR Protocol error. Connection is closed. 10",
        Protocol.POP,
        Tls.IMPLICIT,
    )
    assert "token_on_one_line" in habits(watch.attempt)
    assert causes(watch)[0] == "client.protocol_error"


def test_pop_mail_is_not_read() -> None:
    watch = watched(
        f"{POP}C: USER {LOGIN}\nS: +OK\nC: PASS {SECRET}\nS: +OK User successfully logged on.\nC: STAT\nS: +OK 1 10\n"
        "C: RETR 1\nS: +OK|-ERR in a mail|.\nC: QUIT\nS: +OK bye",
        Protocol.POP,
        Tls.IMPLICIT,
    )
    assert all(step.ok for step in watch.attempt.steps)
    assert not any("in a mail" in text for _, text in watch.dialogue)


PLAIN = b64(f"\0{LOGIN}\0{SECRET}")
TOKEN = b64(f"user={LOGIN}\1auth=Bearer {SECRET}\1\1")


@pytest.mark.parametrize(
    ("protocol", "transcript"),
    [
        (Protocol.SMTP, f"{BEGUN}C: AUTH PLAIN {PLAIN}\nS: {WRONG}"),
        (Protocol.SMTP, f"{BEGUN}C: AUTH PLAIN\nS: 334 \nC: {PLAIN}\nS: {WRONG}"),
        (Protocol.SMTP, f"{BEGUN}C: auth  plain  {PLAIN}\nS: {WRONG}"),
        (Protocol.SMTP, f"{BEGUN}C: AUTH LOGIN\nC: {b64(LOGIN)}\nC: {b64(SECRET)}\nS: 504 no|500 no|500 no"),
        (
            Protocol.SMTP,
            f"{BEGUN}C: AUTH LOGIN\nS: 504 5.7.4 no\nC: {b64(LOGIN)}\nS: 500 no\nC: {b64(SECRET)}\nS: 500 no",
        ),
        (Protocol.SMTP, f"{BEGUN}C: AUTH LOGIN\nS: 504 5.7.4 no\nC: {SECRET}\nS: 500 5.3.3 no: {SECRET}"),
        (Protocol.SMTP, f"{BEGUN}C: AUTH LOGIN {LOGIN} {SECRET}\nS: {WRONG}"),
        (Protocol.SMTP, f"{BEGUN}C: AUTH XOAUTH2 {TOKEN}\nS: 535 5.7.3 no, {SECRET}"),
        (
            Protocol.SMTP,
            f"{BEGUN}C: AUTH LOGIN {b64(LOGIN)}\nS: 334 UGFzc3dvcmQ6\nC: {b64(SECRET)}\nS: 535 5.7.3 no {b64(SECRET)}",
        ),
        (Protocol.SMTP, f"{BEGUN}C: {SECRET}\nS: 500 no"),
        (Protocol.IMAP, f'{IMAP}C: 2 LOGIN {LOGIN} "{SECRET}"\nS: 2 NO LOGIN failed. {SECRET}'),
        (
            Protocol.IMAP,
            f'{IMAP}C: 2 login "{LOGIN}" {{{len(SECRET.encode())}}}\nS: + go\nC: {SECRET}\nS: 2 NO LOGIN failed.',
        ),
        (
            Protocol.IMAP,
            f"{IMAP}C: 2 LOGIN {{{len(LOGIN)}+}}\nC: {LOGIN} {{{len(SECRET.encode())}+}}\nC: {SECRET}\nS: 2 NO LOGIN failed.",
        ),
        (Protocol.IMAP, f"{IMAP}C: 2 AUTHENTICATE PLAIN {PLAIN}\nS: 2 NO AUTHENTICATE failed."),
        (Protocol.IMAP, f"{IMAP}C: 2 AUTHENTICATE PLAIN\nS: + \nC: {PLAIN}\nS: 2 NO AUTHENTICATE failed."),
        (Protocol.IMAP, f"{IMAP}C: 2 LOGIN\nS: 2 BAD no\nC: {LOGIN} {SECRET}\nS: * BAD no"),
        (Protocol.IMAP, f"{IMAP}C: {SECRET}\nS: * BAD no"),
        (Protocol.POP, f"{POP}C: USER {LOGIN}\nS: +OK\nC: PASS {SECRET}\nS: -ERR no {SECRET}"),
        (Protocol.POP, f"{POP}C: AUTH PLAIN {PLAIN}\nS: -ERR no"),
        (Protocol.POP, f"{POP}C: AUTH XOAUTH2\nS: + \nC: {TOKEN}\nS: -ERR no"),
        (Protocol.POP, f"{POP}C: {SECRET}\nS: -ERR no"),
    ],
)
@pytest.mark.parametrize("piece", [0, 3])
def test_a_secret_is_kept_nowhere(protocol: Protocol, transcript: str, piece: int) -> None:
    tls = Tls.STARTTLS if protocol is Protocol.SMTP else Tls.IMPLICIT
    watch = watched(transcript, protocol, tls, piece)
    kept = json.dumps([watch.dialogue, to_plain(watch.attempt), to_plain(watch.account)], ensure_ascii=False)
    for form in (
        SECRET,
        SECRET.encode().decode("latin-1"),
        b64(SECRET).rstrip("="),
        PLAIN.rstrip("="),
        TOKEN.rstrip("="),
    ):
        assert form not in kept


@pytest.mark.parametrize("protocol", list(Protocol))
def test_any_octets_are_survived(protocol: Protocol) -> None:
    noise = bytes(range(256)) * 40 + b"\r\n334 \r\n{99999999999}\r\n+\r\n* \r\n\r\n.\r\nAUTH\r\nBDAT\r\nA LOGIN {5\r\n"
    watch = WATCHES[protocol](Target(protocol, "x.test", 1, Tls.NONE), upgradable=False)
    for _ in range(30):
        watch.client(noise)
        watch.server(noise)
    watch.close(None)
    json.dumps(to_plain(watch.attempt))
    assert len(watch.dialogue) <= 400


def test_clear_text_behind_the_answer_to_starttls() -> None:
    watch = watched(f"S: {GREETING}\nC: EHLO a.b\nS: {CLEAR}\nC: STARTTLS\nS: 220 ready|250 injected\nTLS", end=False)
    assert any(step.seen.get("injected") for step in watch.attempt.stage(Stage.TLS))
    assert not any(step.seen.get("injected") for step in watched(BEGUN, end=False).attempt.steps)


def test_an_endless_line_costs_no_memory() -> None:
    watch = WATCHES[Protocol.SMTP](Target(Protocol.SMTP, "x.test", 1, Tls.NONE), upgradable=False)
    for _ in range(1000):
        watch.client(b"x" * 65536)
    watch.client(b"\r\n")
    assert "app.line_too_long" in watch.habits
    assert all(len(text) <= 1000 for _, text in watch.dialogue)


# --- ClientHello

TLS_1_1 = bytes.fromhex("160301002d010000290302" + "00" * 32 + "00" + "0002002f" + "0100")


def test_what_an_app_offers() -> None:
    hello = clienthello.read(TLS_1_1)
    assert hello
    assert (hello.newest, hello.old, hello.name) == ("TLSv1.1", True, "")


def test_a_modern_offer_with_a_name() -> None:
    import ssl

    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="smtp.office365.com")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    data = outgoing.read()
    hello = clienthello.read(data)
    assert hello == clienthello.ClientHello("TLSv1.3", "smtp.office365.com")
    for size in range(len(data)):
        clienthello.read(data[:size])  # never raises
    assert not clienthello.looks_like_tls(b"EHLO x\r\n")
