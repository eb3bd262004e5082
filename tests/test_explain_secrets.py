"""No secret of a paste in any output, whatever the program printed around it."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable

import pytest
from day import DAY

from mailwhy import run
from mailwhy.knowledge import load
from mailwhy.paste.scrub import redact
from mailwhy.plain import to_plain
from mailwhy.report import FORMATS, Options, render

CANARY = "kanarienvogel7"
CODED = base64.b64encode(CANARY.encode()).decode()
SASL = base64.b64encode(f"\0user@example.com\0{CANARY}".encode()).decode()
XOAUTH2 = base64.b64encode(f"user=user@example.com\1auth=Bearer {CANARY}\1\1".encode()).decode()
REFUSED = "535 5.7.3 Authentication unsuccessful"

PLACES = {
    "prompt": f"334 UGFzc3dvcmQ6\n{CODED}\n{REFUSED}",
    "prompt and speakers": f"S: 334 UGFzc3dvcmQ6\nC: {CODED}\nS: {REFUSED}",
    "prompt in PHPMailer": f"SERVER -> CLIENT: 334 UGFzc3dvcmQ6\nCLIENT -> SERVER: {CODED}\nSERVER -> CLIENT: {REFUSED}",
    "prompt in a log": (
        f"[2022-11-16 11:57:21] DEBUG [lHr1v5x3A] S: 334 UGFzc3dvcmQ6\n"
        f"[2022-11-16 11:57:21] DEBUG [lHr1v5x3A] C: {CODED}\n[2022-11-16 11:57:26] DEBUG [lHr1v5x3A] S: {REFUSED}"
    ),
    "bare prompt": f"C: AUTH PLAIN\nS: 334 \nC: {SASL}\nS: {REFUSED}",
    "auth plain": f"AUTH PLAIN {SASL}\n{REFUSED}",
    "auth login": f"AUTH LOGIN {base64.b64encode(b'user@example.com').decode()}\n334 UGFzc3dvcmQ6\n{CODED}\n{REFUSED}",
    "xoauth2": f"AUTH XOAUTH2 {XOAUTH2}\n{REFUSED}",
    "imap authenticate": f"a1 AUTHENTICATE XOAUTH2 {XOAUTH2}\na1 NO AUTHENTICATE failed.",
    "imap login": f'a1 LOGIN "user@example.com" "{CANARY}"\na1 NO LOGIN failed.',
    "imap login, blanks": f'a1 LOGIN "user@example.com" "{CANARY} with more"\na1 NO LOGIN failed.',
    "imap login, bare": f"a1 LOGIN user@example.com {CANARY}\na1 NO LOGIN failed.",
    "pop": f"USER user@example.com\n+OK\nPASS {CANARY}\n-ERR Logon failure: unknown user name or bad password.",
    "address": f"connecting to smtp://user%40example.com:{CANARY}@smtp.office365.com:587\n{REFUSED}",
    "bearer": f"Authorization: Bearer {CANARY}{CANARY}\n{REFUSED}",
    "json": json.dumps({"user": "user@example.com", "password": CANARY, "error": REFUSED}),
    "settings": f"smtp_user=user@example.com smtp_password={CANARY} error='{REFUSED}'",
    "yaml": f"smtp:\n  password: {CANARY}\n{REFUSED}",
    "php trace": f"{REFUSED} #3 /x/Auth/LoginAuthenticator.php(177): "
    f"Swift_Auth->authenticate(Object(Swift_SmtpTransport), 'office@example....', '{CANARY}')",
    "php trace, coded": f"{REFUSED} #1 /x/Esmtp.php(305): Swift->executeCommand('{CODED}\\r\\n', Array, Array, false, NULL)",
    "curl": f"curl smtp://smtp.office365.com:587 -u user@example.com:{CANARY}\n< {REFUSED}",
    "swaks": f"swaks -s smtp.office365.com -au user@example.com -ap {CANARY}\n<** {REFUSED}",
    "sql": f"EXEC sysmail_add_account_sp @username = 'u', @password = N'{CANARY}'\n{REFUSED}",
    "echoed": f"password={CANARY}\n535 5.7.3 Authentication unsuccessful for {CANARY}",
}

WRAPPERS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "json": lambda text: json.dumps({"message": text}),
    "json in json": lambda text: json.dumps({"outer": json.dumps({"message": text})}),
    "html": lambda text: f"<pre>{html.escape(text)}</pre>",
    "quoted": lambda text: "\n".join(f"> {line}" for line in text.split("\n")),
    "fence": lambda text: f"```\n{text}\n```",
    "indented": lambda text: "\n".join(f"    {line}" for line in text.split("\n")),
    "coloured": lambda text: "\n".join(f"\x1b[32m{line}\x1b[0m" for line in text.split("\n")),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_in_no_report(place: str, wrapper: str) -> None:
    text = WRAPPERS[wrapper](PLACES[place])
    outcome = run.explain(text, as_of=DAY)
    shown = json.dumps(to_plain(outcome)) + "".join(
        render(outcome, load(), name, Options(verbosity=2)) for name in FORMATS if name in ("human", "json")
    )
    assert outcome.diagnoses, "the reply beside the secret is still found"
    for secret in (CANARY, CODED, SASL, XOAUTH2):
        assert secret not in shown


@pytest.mark.parametrize("place", PLACES)
def test_the_clean_text_itself_is_redacted(place: str) -> None:
    text, secrets = redact(PLACES[place])
    assert secrets
    for secret in (CANARY, CODED, SASL, XOAUTH2):
        assert secret not in text
    assert text.count("\n") == PLACES[place].count("\n")


@pytest.mark.parametrize(
    "harmless",
    [
        "Password command failed: 535 5.7.3 Authentication unsuccessful",
        "Password not accepted from server: 535 5.7.3 Authentication unsuccessful",
        "a1 NO LOGIN failed.",
        "a1 NO LOGIN failed. Account",
        "blocked. Login to your",
        "DEBUG SMTP: AUTH LOGIN failed",
        "250-AUTH LOGIN XOAUTH2",
        "-ERR Logon failure: unknown user name or bad password.",
        "AADSTS50126: Error validating credentials due to invalid username or password.",
        "AADSTS50055: The password is expired.",
    ],
)
def test_what_is_no_secret_stays(harmless: str) -> None:
    assert redact(harmless)[0] == harmless


def test_scrubbing_hides_who_and_where_and_keeps_what() -> None:
    text = (
        "server mail.contoso.com[203.0.113.7] user=anna@contoso.com said: 550 5.7.60 SMTP; Client does not have "
        "permissions to send as this sender\n"
        "554 5.2.252 SendAsDenied; anna@contoso.com not allowed to send as boss@contoso.com; "
        "[AM5PR0601CA0034.eurprd06.prod.outlook.com 2026-04-22T06:16:46.908Z 08DE9DE5EAB0D6AC]"
    )
    outcome = run.explain(text, as_of=DAY, scrub=True)
    shown = json.dumps(to_plain(outcome))
    for private in ("contoso", "anna", "boss", "203.0.113.7", "AM5PR0601CA0034"):
        assert private not in shown
    assert "eurprd06.prod.outlook.com" in shown
    assert "user1@example.com not allowed to send as user2@example.com" in shown or (
        "user2@example.com not allowed to send as user1@example.com" in shown
    )
    assert [f.cause for f in outcome.findings] == [f.cause for f in run.explain(text, as_of=DAY).findings]
