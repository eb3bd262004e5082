"""The POP probe against scripted servers: each test is a transcript."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from talks import LOGIN, SECRET, credential, serve, way

from mailwhy.model import Attempt, Credential, Fault, Kind, Protocol, Stage, Step, Tls
from mailwhy.plain import to_plain
from mailwhy.probe import probe


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


NAME = base64.b64encode("SI2PR01CA0042.apcprd01.prod.exchangelabs.com".encode("utf-16-le")).decode()
GREETING = f"S: +OK The Microsoft Exchange POP3 service is ready. [{NAME}]\n"
SIGNED_IN = f"C: USER {LOGIN}\nS: +OK\nC: PASS {SECRET}\nS: +OK User successfully logged on.\n"
STAT = "C: STAT\nS: +OK 7 1800662\n"


def capa(*words: str) -> str:
    return (
        "C: CAPA\nS: +OK\n"
        + "".join(f"S: {word}\n" for word in words or ("TOP", "SASL PLAIN XOAUTH2", "USER"))
        + "S: .\n"
    )


async def run(script: str, tls: Tls = Tls.NONE, who: Credential | None = None) -> Attempt:
    who = who or credential()
    async with serve(script, implicit=tls is Tls.IMPLICIT) as server:
        attempt = await probe(server.target(Protocol.POP, tls), who, way())
    assert who.secret.reveal() not in json.dumps(to_plain(attempt), ensure_ascii=False)
    return attempt


def last(attempt: Attempt) -> Step:
    return attempt.steps[-1]


def stages(attempt: Attempt) -> list[str]:
    return [f"{step.stage}{'' if step.ok else '!'}" for step in attempt.steps]


async def test_implicit_tls_as_exchange_speaks() -> None:
    attempt = await run(GREETING + capa() + SIGNED_IN + STAT, Tls.IMPLICIT)
    assert stages(attempt) == ["dns", "tcp", "tls", "greeting", "capabilities", "auth", "use"]
    assert attempt.steps[3].seen["host"] == "SI2PR01CA0042.apcprd01.prod.exchangelabs.com"
    assert attempt.steps[4].seen["words"] == ["TOP", "SASL PLAIN XOAUTH2", "USER"]
    assert attempt.steps[4].seen["auth"] == ["PLAIN", "XOAUTH2"]


async def test_stls() -> None:
    script = GREETING + capa("STLS") + "C: STLS\nS: +OK begin\n* tls\n" + capa() + SIGNED_IN + STAT
    attempt = await run(script, Tls.STARTTLS)
    assert stages(attempt)[2:] == ["greeting", "capabilities", "tls", "capabilities", "auth", "use"]


async def test_clear_text_after_stls_is_noticed() -> None:
    script = GREETING + capa("STLS") + "C: STLS\nS: +OK begin\nS: +OK\n"
    assert last(await run(script, Tls.STARTTLS)).fault is Fault.INJECTED


async def test_no_stls_never_goes_on_in_clear() -> None:
    async with serve(GREETING + capa("USER")) as server:
        attempt = await probe(server.target(Protocol.POP, Tls.STARTTLS), credential(), way())
    assert (last(attempt).stage, last(attempt).fault) == (Stage.TLS, Fault.NOT_OFFERED)
    assert server.said == b"CAPA\r\nQUIT\r\n"


async def test_capa_refused_means_user_and_pass() -> None:
    attempt = await run(GREETING + "C: CAPA\nS: -ERR what?\n" + SIGNED_IN + STAT)
    assert attempt.failed is None
    assert attempt.steps[3].seen["words"] == []


@pytest.mark.parametrize("secret", ['say "hi" \\', " two  spaces ", "pässwörd ✓", "16lettersinarow!"])
async def test_awkward_passwords_arrive_byte_for_byte(secret: str) -> None:
    async with serve(GREETING + capa() + "C: USER ...\nS: +OK\nC: PASS ...\nS: +OK in\n" + STAT) as server:
        attempt = await probe(server.target(Protocol.POP), credential(secret), way())
    assert attempt.ok(Stage.AUTH)
    assert f"PASS {secret}\r\n".encode() in server.got


async def test_a_refusal_is_kept_word_for_word() -> None:
    refusal = "-ERR Logon failure: unknown user name or bad password."
    step = last(await run(f"{GREETING}{capa()}C: USER {LOGIN}\nS: +OK\nC: PASS {SECRET}\nS: {refusal}\n"))
    assert (step.stage, step.ok, step.fault) == (Stage.AUTH, False, None)
    assert step.reply
    assert step.reply.line == refusal


async def test_a_user_refused_spares_the_password() -> None:
    async with serve(f"{GREETING}{capa()}C: USER {LOGIN}\nS: -ERR [AUTH] no such user\n") as server:
        attempt = await probe(server.target(Protocol.POP), credential(), way())
    assert stages(attempt)[-1] == "auth!"
    assert b"PASS" not in server.said


@pytest.mark.parametrize("plus", ["+", "+ "])
async def test_xoauth2_goes_in_two_lines(plus: str) -> None:
    who = credential("token.of.someone", kind=Kind.OAUTH)
    blob = b64(f"user={LOGIN}\x01auth=Bearer token.of.someone\x01\x01")
    script = (
        f"{GREETING}{capa()}C: AUTH XOAUTH2\nR: b'{plus}\\r\\n'\nC: {blob}\nS: +OK User successfully authenticated.\n"
    )
    assert (await run(script + STAT, who=who)).failed is None


async def test_xoauth2_challenge_is_answered_and_kept() -> None:
    who = credential("token.of.someone", kind=Kind.OAUTH)
    challenge = b64('{"status":"401"}')
    script = (
        f"{GREETING}{capa()}C: AUTH XOAUTH2\nS: + \nC: ...\nS: + {challenge}\nC: \nS: -ERR Authentication failure\n"
    )
    step = last(await run(script, who=who))
    assert step.seen["challenge"] == '{"status":"401"}'
    assert step.reply
    assert step.reply.text == "Authentication failure"


@pytest.mark.parametrize(
    ("kind", "words"), [(Kind.OAUTH, ("USER", "SASL PLAIN")), (Kind.PASSWORD, ("SASL XOAUTH2", "TOP"))]
)
async def test_what_is_not_offered_is_not_sent(kind: Kind, words: tuple[str, ...]) -> None:
    step = last(await run(GREETING + capa(*words), who=credential(kind=kind)))
    assert (step.stage, step.fault) == (Stage.AUTH, Fault.NOT_OFFERED)


async def test_auth_plain_where_user_is_not_listed() -> None:
    blob = b64(f"\0{LOGIN}\0{SECRET}")
    script = f"{GREETING}{capa('SASL PLAIN')}C: AUTH PLAIN\nS: +\nC: {blob}\nS: +OK in\n"
    assert (await run(script + STAT)).failed is None


async def test_closed_after_the_password() -> None:
    script = f"{GREETING}{capa()}C: USER {LOGIN}\nS: +OK\nC: PASS {SECRET}\nS: -ERR Protocol error. Connection is closed. 10\n* close"
    step = last(await run(script))
    assert step.reply
    assert step.reply.text == "Protocol error. Connection is closed. 10"


@pytest.mark.parametrize("hello", ["* OK IMAP", "220 mail ESMTP", "SSH-2.0-OpenSSH_9"])
async def test_other_greetings_are_garbled(hello: str) -> None:
    step = last(await run(f"S: {hello}\n"))
    assert (step.stage, step.fault) == (Stage.GREETING, Fault.GARBLED)


async def test_refused_at_the_greeting() -> None:
    step = last(await run("S: -ERR [SYS/TEMP] busy\n* close"))
    assert (step.stage, step.ok, step.fault) == (Stage.GREETING, False, None)


async def test_the_name_is_told_while_the_permission_is_awaited_and_the_password_is_not() -> None:
    async with serve(GREETING + capa() + SIGNED_IN + STAT) as server:

        async def gate(_: Attempt) -> None:
            async with asyncio.timeout(20):
                while server.got[-1:] != [f"USER {LOGIN}\r\n".encode()]:
                    await asyncio.sleep(0.001)

        attempt = await probe(server.target(Protocol.POP), credential(), way(), may_sign_in=gate)
    assert attempt.failed is None


@pytest.mark.parametrize("answer", ["", "S: +OK\n", "S: -ERR no such user\n"])
async def test_held_back_the_name_is_all_that_was_told(answer: str) -> None:
    async def gate(_: Attempt) -> str:
        return "because"

    async with serve(f"{GREETING}{capa()}C: USER {LOGIN}\n{answer}* gone") as server:
        attempt = await probe(server.target(Protocol.POP), credential(), way(), may_sign_in=gate)
    assert attempt.held_back == "because"
    assert stages(attempt) == ["dns", "tcp", "greeting", "capabilities"]
    assert server.said == f"CAPA\r\nUSER {LOGIN}\r\nQUIT\r\n".encode()


async def test_a_server_that_goes_while_the_permission_is_awaited() -> None:
    async with serve(f"{GREETING}{capa()}C: USER {LOGIN}\nS: +OK\nS: -ERR idle for too long\n* close") as server:

        async def gate(_: Attempt) -> None:
            await server.done.wait()

        attempt = await probe(server.target(Protocol.POP), credential(), way(), may_sign_in=gate)
    step = last(attempt)
    assert (step.stage, step.fault) == (Stage.AUTH, Fault.CLOSED)
    assert step.seen["unasked"] == ["-ERR idle for too long"]
    assert b"PASS" not in server.said
