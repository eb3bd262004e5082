"""The IMAP probe against scripted servers: each test is a transcript."""

from __future__ import annotations

import base64
import json

import pytest
from talks import LOGIN, SECRET, credential, serve, way

from mailwhy.model import Attempt, Credential, Fault, Kind, Protocol, Stage, Step, Tls
from mailwhy.plain import to_plain
from mailwhy.probe import probe


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


NAME = base64.b64encode("FR4P281CA0348.DEUP281.PROD.OUTLOOK.COM".encode("utf-16-le")).decode()
GREETING = f"S: * OK The Microsoft Exchange IMAP4 service is ready. [{NAME}]\n"
EXAMINE = """
    C: a3 EXAMINE INBOX
    S: * 1 EXISTS
    S: * FLAGS (\\Seen)
    S: a3 OK [READ-ONLY] EXAMINE completed.
"""
LOGIN_OK = f'C: a2 LOGIN "{LOGIN}" "{SECRET}"\nS: a2 OK LOGIN completed.\n'


def capability(words: str = "IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR LITERAL+") -> str:
    return f"C: a1 CAPABILITY\nS: * CAPABILITY {words}\nS: a1 OK CAPABILITY completed.\n"


async def run(script: str, tls: Tls = Tls.NONE, who: Credential | None = None, seconds: float = 10) -> Attempt:
    who = who or credential()
    async with serve(script, implicit=tls is Tls.IMPLICIT) as server:
        attempt = await probe(server.target(Protocol.IMAP, tls), who, way(seconds))
    text = json.dumps(to_plain(attempt), ensure_ascii=False)
    assert who.secret.reveal() not in text
    return attempt


def last(attempt: Attempt) -> Step:
    return attempt.steps[-1]


def stages(attempt: Attempt) -> list[str]:
    return [f"{step.stage}{'' if step.ok else '!'}" for step in attempt.steps]


async def test_implicit_tls_login_as_exchange_speaks() -> None:
    attempt = await run(GREETING + capability() + LOGIN_OK + EXAMINE, Tls.IMPLICIT)
    assert stages(attempt) == ["dns", "tcp", "tls", "greeting", "capabilities", "auth", "use"]
    greeting = attempt.steps[3]
    assert greeting.seen["host"] == "FR4P281CA0348.DEUP281.PROD.OUTLOOK.COM"
    assert greeting.seen["software"] == "exchange"
    assert attempt.steps[4].seen["auth"] == ["PLAIN", "XOAUTH2"]
    assert attempt.steps[5].seen["mechanism"] == "LOGIN"


async def test_starttls() -> None:
    script = GREETING + capability("IMAP4rev1 STARTTLS LOGINDISABLED") + "C: a1 STARTTLS\nS: a1 OK begin\n* tls\n"
    attempt = await run(script + capability() + LOGIN_OK + EXAMINE, Tls.STARTTLS)
    assert stages(attempt)[2:] == ["greeting", "capabilities", "tls", "capabilities", "auth", "use"]


async def test_clear_text_after_starttls_is_noticed() -> None:
    script = GREETING + capability("IMAP4rev1 STARTTLS") + "C: a1 STARTTLS\nS: a1 OK begin\nS: * CAPABILITY AUTH=X\n"
    async with serve(script) as server:
        attempt = await probe(server.target(Protocol.IMAP, Tls.STARTTLS), credential(), way())
    assert last(attempt).fault is Fault.INJECTED
    assert last(attempt).seen["unasked"] == ["* CAPABILITY AUTH=X"]


async def test_capabilities_of_the_greeting_spare_a_round_trip() -> None:
    attempt = await run("S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] Dovecot ready.\n" + LOGIN_OK + EXAMINE)
    assert stages(attempt) == ["dns", "tcp", "greeting", "capabilities", "auth", "use"]
    assert attempt.steps[2].seen["software"] == "dovecot"
    assert attempt.steps[3].seen["words"] == ["IMAP4rev1", "AUTH=PLAIN"]


@pytest.mark.parametrize(
    ("secret", "quoted"),
    [
        ('say "hi"', '"say \\"hi\\""'),
        ("back\\slash\\", '"back\\\\slash\\\\"'),
        (" two  spaces ", '" two  spaces "'),
        ("16lettersinarow!", '"16lettersinarow!"'),
        ("{5+}", '"{5+}"'),
    ],
)
async def test_awkward_passwords_are_quoted(secret: str, quoted: str) -> None:
    script = f'{GREETING}{capability()}C: a2 LOGIN "{LOGIN}" {quoted}\nS: a2 OK done\n{EXAMINE}'
    assert (await run(script, who=credential(secret))).ok(Stage.AUTH)


@pytest.mark.parametrize("offer", ["LITERAL+", "LITERAL-"])
async def test_non_ascii_goes_as_a_literal_at_once(offer: str) -> None:
    script = f'{GREETING}{capability(offer)}C: a2 LOGIN "{LOGIN}" {{8+}}\nC: pässwö\nS: a2 OK done\n{EXAMINE}'
    assert (await run(script, who=credential("pässwö"))).ok(Stage.AUTH)


async def test_non_ascii_goes_as_a_literal_when_asked_for() -> None:
    script = f"""{GREETING}{capability("IMAP4rev1")}
        C: a2 LOGIN {{5}}
        S: + go ahead
        C: üser {{8}}
        S: + go ahead
        C: pässwö
        S: a2 OK done
        {EXAMINE}"""
    assert (await run(script, who=credential("pässwö", login="üser"))).ok(Stage.AUTH)


async def test_a_literal_refused_ends_the_sign_in() -> None:
    script = f'{GREETING}{capability("IMAP4rev1")}C: a2 LOGIN "{LOGIN}" {{8}}\nS: a2 BAD Command Argument Error. 11\n'
    async with serve(script) as server:
        attempt = await probe(server.target(Protocol.IMAP), credential("pässwö"), way())
    assert last(attempt).reply
    assert last(attempt).reply == attempt.steps[-1].reply
    assert stages(attempt)[-1] == "auth!"
    assert b"p\xc3\xa4" not in server.said


@pytest.mark.parametrize(
    "refusal",
    ["NO LOGIN failed.", "NO Basic authentication is disabled.", "BAD Command Argument Error. 12", "no lower case"],
)
async def test_a_refusal_is_kept_word_for_word(refusal: str) -> None:
    step = last(await run(f'{GREETING}{capability()}C: a2 LOGIN "{LOGIN}" "{SECRET}"\nS: a2 {refusal}\n'))
    assert (step.stage, step.ok, step.fault) == (Stage.AUTH, False, None)
    assert step.reply
    assert step.reply.line == f"a2 {refusal}"


async def test_authenticated_but_not_connected_and_the_bye_behind_it() -> None:
    use = "C: a3 EXAMINE INBOX\nS: a3 BAD User is authenticated but not connected.\nS: * BYE Connection closed. 14\n* close"
    attempt = await run(GREETING + capability() + LOGIN_OK + use)
    assert stages(attempt)[-2:] == ["auth", "use!"]
    assert last(attempt).seen["unasked"] == ["* BYE Connection closed. 14"]


async def test_bye_instead_of_an_answer() -> None:
    bye = f'C: a2 LOGIN "{LOGIN}" "{SECRET}"\nS: * BYE Connection is closed. 13\n* close'
    step = last(await run(GREETING + capability() + bye))
    assert (step.stage, step.fault) == (Stage.AUTH, Fault.CLOSED)
    assert step.reply
    assert (step.reply.status, step.reply.text) == ("BYE", "Connection is closed. 13")


async def test_bye_at_the_greeting() -> None:
    step = last(await run("S: * BYE Temporarily unavailable\n* close"))
    assert (step.stage, step.ok, step.fault) == (Stage.GREETING, False, None)


@pytest.mark.parametrize("hello", ["* PREAUTH welcome", "220 mail ESMTP", "+OK POP3", "HTTP/1.1 400 Bad Request"])
async def test_other_greetings_are_garbled(hello: str) -> None:
    step = last(await run(f"S: {hello}\n"))
    assert (step.stage, step.fault) == (Stage.GREETING, Fault.GARBLED)


async def test_logindisabled_is_respected() -> None:
    async with serve(GREETING + capability("IMAP4rev1 LOGINDISABLED STARTTLS")) as server:
        attempt = await probe(server.target(Protocol.IMAP), credential(), way())
    assert (last(attempt).stage, last(attempt).fault) == (Stage.AUTH, Fault.NOT_OFFERED)
    assert server.said.endswith(b"a1 CAPABILITY\r\na4 LOGOUT\r\n")


async def test_authenticate_plain_where_login_is_disabled() -> None:
    words = "IMAP4rev1 LOGINDISABLED AUTH=PLAIN"
    blob = b64(f"\0{LOGIN}\0{SECRET}")
    script = f"{GREETING}{capability(words)}C: a2 AUTHENTICATE PLAIN\nS: + \nC: {blob}\nS: a2 OK in\n{EXAMINE}"
    attempt = await run(script)
    assert attempt.ok(Stage.AUTH)
    assert attempt.stage(Stage.AUTH)[0].seen["mechanism"] == "PLAIN"


@pytest.mark.parametrize("ir", [True, False])
async def test_xoauth2_challenge_is_answered_and_kept(ir: bool) -> None:
    who = credential("token.of.someone", kind=Kind.OAUTH)
    blob = b64(f"user={LOGIN}\x01auth=Bearer token.of.someone\x01\x01")
    words = f"AUTH=XOAUTH2 {'SASL-IR' if ir else ''}"
    ask = f"C: a2 AUTHENTICATE XOAUTH2 {blob}" if ir else f"C: a2 AUTHENTICATE XOAUTH2\nS: +\nC: {blob}"
    challenge = b64('{"status":"401"}')
    script = f"{GREETING}{capability(words)}{ask}\nS: + {challenge}\nC: \nS: a2 NO AUTHENTICATE failed.\n"
    step = last(await run(script, who=who))
    assert step.seen["challenge"] == '{"status":"401"}'
    assert step.reply
    assert step.reply.text == "AUTHENTICATE failed."


async def test_untagged_data_belongs_to_the_answer_or_to_nobody() -> None:
    script = f"{GREETING}S: * OK still here\n{capability()}{LOGIN_OK}{EXAMINE}"
    attempt = await run(script)
    assert attempt.failed is None
    assert attempt.stage(Stage.CAPABILITIES)[0].seen["unasked"] == ["* OK still here"]


@pytest.mark.parametrize("answer", ["b7 OK LOGIN completed.", "complete nonsense", "+ OK", "235 2.7.0 ok"])
async def test_an_answer_to_something_else_is_garbled(answer: str) -> None:
    step = last(await run(f'{GREETING}{capability()}C: a2 LOGIN "{LOGIN}" "{SECRET}"\nS: {answer}\n'))
    assert (step.stage, step.fault) == (Stage.AUTH, Fault.GARBLED)


async def test_a_literal_in_an_answer_is_data() -> None:
    use = "C: a3 EXAMINE INBOX\nS: * LIST () NIL {5}\nS: hello\nS: a3 OK done\n"
    assert last(await run(GREETING + capability() + LOGIN_OK + use)).ok


async def test_a_literal_of_4_gb_ends_at_once() -> None:
    use = "C: a3 EXAMINE INBOX\nS: * LIST () NIL {4294967296}\n"
    assert last(await run(GREETING + capability() + LOGIN_OK + use)).fault is Fault.TOO_LONG
