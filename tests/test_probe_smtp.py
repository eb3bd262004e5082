"""The SMTP probe against scripted servers: each test is a transcript."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from talks import HOST, LOGIN, SECRET, credential, serve, way

from mailwhy.model import Account, Attempt, Credential, Fault, Kind, Protocol, Secret, Stage, Step, Tls
from mailwhy.net import Recorder
from mailwhy.plain import to_plain
from mailwhy.probe import probe


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PLAIN = b64(f"\0{LOGIN}\0{SECRET}")
GREETING = "S: 220 AM5PR0601CA0034.outlook.office365.com Microsoft ESMTP MAIL Service ready [08DE2A6028D26C22]"
EHLO_CLEAR = """
    C: EHLO [127.0.0.1]
    S: 250-AM5PR0601CA0034.outlook.office365.com Hello [192.0.2.10]
    S: 250-SIZE 157286400
    S: 250-PIPELINING
    S: 250 STARTTLS
"""


def ehlo(auth: str, *, pipelining: bool = True) -> str:
    more = "S: 250-PIPELINING" if pipelining else ""
    return f"""
    C: EHLO [127.0.0.1]
    S: 250-AM5PR0601CA0034.outlook.office365.com Hello [192.0.2.10]
    {more}
    S: 250 AUTH {auth}
    """


LOGIN_ACCEPTED = f"""
    C: AUTH LOGIN {b64(LOGIN)}
    S: 334 UGFzc3dvcmQ6
    C: {b64(SECRET)}
    S: 235 2.7.0 Authentication successful
"""
MAIL = f"""
    C: MAIL FROM:<{LOGIN}>
    C: RSET
    S: 250 2.1.0 Sender OK
    S: 250 2.0.0 Resetting
    * gone
"""
STARTTLS = "C: STARTTLS\n S: 220 2.0.0 SMTP server ready\n * tls\n"


def stages(attempt: Attempt) -> list[str]:
    return [f"{step.stage}{'' if step.ok else '!'}" for step in attempt.steps]


def last(attempt: Attempt) -> Step:
    return attempt.steps[-1]


async def run(script: str, tls: Tls = Tls.NONE, who: Credential | None = None, seconds: float = 10) -> Attempt:
    """Plays the script to one probe. The secret must not be in the evidence, whatever the script is."""
    who = who or credential()
    async with serve(script, implicit=tls is Tls.IMPLICIT) as server:
        attempt = await probe(server.target(Protocol.SMTP, tls), who, way(seconds))
    text = json.dumps(to_plain(attempt), ensure_ascii=False)
    assert who.secret.reveal() not in text
    assert b64(who.secret.reveal()) not in text
    return attempt


async def test_starttls_login_as_exchange_speaks() -> None:
    attempt = await run(GREETING + EHLO_CLEAR + STARTTLS + ehlo("LOGIN XOAUTH2") + LOGIN_ACCEPTED + MAIL, Tls.STARTTLS)
    assert stages(attempt) == ["dns", "tcp", "greeting", "capabilities", "tls", "capabilities", "auth", "use"]
    greeting, inside = attempt.steps[2], attempt.steps[5]
    assert greeting.seen["software"] == "exchange"
    assert greeting.seen["host"] == "AM5PR0601CA0034.outlook.office365.com"
    assert greeting.reply
    assert greeting.reply.session == "08DE2A6028D26C22"
    assert inside.seen["auth"] == ["LOGIN", "XOAUTH2"]
    assert inside.seen["source"] == "192.0.2.10"
    assert attempt.steps[6].sent == "AUTH LOGIN"
    tls = attempt.steps[4].seen
    assert tls["version"] == "TLSv1.3"
    assert tls["names"] == [HOST, "127.0.0.1"]
    assert tls["chain"]
    assert "problems" not in tls
    assert attempt.kind is Kind.PASSWORD
    assert all(step.seconds > 0 for step in attempt.steps)


@pytest.mark.parametrize("tls", [Tls.IMPLICIT, Tls.NONE])
async def test_plain_in_one_round_trip(tls: Tls) -> None:
    attempt = await run(f"{GREETING}{ehlo('PLAIN LOGIN')}C: AUTH PLAIN {PLAIN}\nS: 235 2.7.0 ok\n{MAIL}", tls)
    assert last(attempt).ok
    assert attempt.ok(Stage.AUTH)


async def test_quits_without_waiting() -> None:
    async with serve(GREETING + ehlo("LOGIN") + LOGIN_ACCEPTED + MAIL) as server:
        await probe(server.target(Protocol.SMTP), credential(), way())
    assert server.got[-1] == b"QUIT\r\n"


async def test_without_pipelining_rset_follows_the_answer() -> None:
    script = f"{GREETING}{ehlo('LOGIN', pipelining=False)}{LOGIN_ACCEPTED}C: MAIL FROM:<{LOGIN}>\nS: 250 ok\nC: RSET\n"
    assert last(await run(script)).ok


@pytest.mark.parametrize(
    "refusal",
    [
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit "
        "https://aka.ms/smtp_auth_disabled for more information. [AM5PR0601CA0034.eurprd06.prod.outlook.com "
        "2025-01-13T13:42:51.691Z 08DD32D465DA2413]",
        "535 5.7.3 Authentication unsuccessful [AM5PR0601CA0034.eurprd06.prod.outlook.com]",
        "454 4.7.0 Temporary authentication failure",
        "432 4.3.2 Concurrent connections limit exceeded",
        "504 5.7.4 Unrecognized authentication type",
    ],
)
async def test_a_refusal_is_kept_word_for_word(refusal: str) -> None:
    script = (
        f"{GREETING}{ehlo('LOGIN')}C: AUTH LOGIN {b64(LOGIN)}\nS: 334 UGFzc3dvcmQ6\nC: {b64(SECRET)}\nS: {refusal}\n"
    )
    step = last(await run(script))
    assert (step.stage, step.ok, step.fault) == (Stage.AUTH, False, None)
    assert step.reply
    assert step.reply.lines == (refusal,)


async def test_a_refusal_that_closes_and_goes_on_talking() -> None:
    script = f"{GREETING}{ehlo('PLAIN')}C: AUTH PLAIN {PLAIN}\nS: 535 5.7.3 no\nS: 421 4.7.0 too many\n* close"
    step = last(await run(script))
    assert step.reply
    assert step.reply.status == "535"
    assert step.seen["unasked"] == ["421 4.7.0 too many"]


async def test_mail_from_shows_the_session_is_not_signed_in() -> None:
    mail = f"C: MAIL FROM:<{LOGIN}>\nC: RSET\nS: 530 5.7.57 Client not authenticated to send mail.\nS: 250 ok\n"
    attempt = await run(GREETING + ehlo("LOGIN") + LOGIN_ACCEPTED + mail)
    assert stages(attempt)[-2:] == ["auth", "use!"]


async def test_user_name_asked_again_does_not_get_the_password() -> None:
    again = f"C: AUTH LOGIN {b64(LOGIN)}\nS: 334 VXNlcm5hbWU6\nC: {b64(LOGIN)}\nS: 334 UGFzc3dvcmQ6\nC: {b64(SECRET)}\nS: 235 ok\n"
    assert (await run(GREETING + ehlo("LOGIN") + again + MAIL)).ok(Stage.AUTH)


@pytest.mark.parametrize("prompt", [b64("Favourite colour:"), "", "not base64!", b64("\0\0"), "VXNlcm5hbWU6"])
async def test_other_prompts_never_get_the_password(prompt: str) -> None:
    rounds = f"S: 334 {prompt}\nC: {b64(LOGIN)}\n" * 3 if prompt == "VXNlcm5hbWU6" else ""
    script = f"{GREETING}{ehlo('LOGIN')}C: AUTH LOGIN {b64(LOGIN)}\n{rounds}S: 334 {prompt}\nC: *\nS: 501 cancelled\n"
    step = last(await run(script))
    assert (step.stage, step.fault) == (Stage.AUTH, Fault.GARBLED)


async def test_xoauth2_challenge_is_answered_and_kept() -> None:
    who = credential("token.of.someone", kind=Kind.OAUTH)
    blob = b64(f"user={LOGIN}\x01auth=Bearer token.of.someone\x01\x01")
    challenge = b64('{"status":"401","schemes":"bearer"}')
    script = f"{GREETING}{ehlo('LOGIN XOAUTH2')}C: AUTH XOAUTH2 {blob}\nS: 334 {challenge}\nC: \nS: 535 5.7.3 no\n"
    step = last(await run(script, who=who))
    assert step.seen["challenge"] == '{"status":"401","schemes":"bearer"}'
    assert step.reply
    assert step.reply.status == "535"


@pytest.mark.parametrize(("kind", "auth"), [(Kind.PASSWORD, "XOAUTH2"), (Kind.OAUTH, "PLAIN LOGIN")])
async def test_what_is_not_offered_is_not_sent(kind: Kind, auth: str) -> None:
    step = last(await run(GREETING + ehlo(auth) + "* gone", who=credential(kind=kind)))
    assert (step.stage, step.fault) == (Stage.AUTH, Fault.NOT_OFFERED)


async def test_no_starttls_never_goes_on_in_clear() -> None:
    async with serve(GREETING + ehlo("LOGIN") + "* gone") as server:
        attempt = await probe(server.target(Protocol.SMTP, Tls.STARTTLS), credential(), way())
    assert (last(attempt).stage, last(attempt).fault) == (Stage.TLS, Fault.NOT_OFFERED)
    assert server.said == b"EHLO [127.0.0.1]\r\nQUIT\r\n"


async def test_starttls_refused() -> None:
    step = last(await run(GREETING + EHLO_CLEAR + "C: STARTTLS\nS: 454 4.7.0 TLS not available\n", Tls.STARTTLS))
    assert (step.stage, step.ok, step.fault) == (Stage.TLS, False, None)
    assert step.reply
    assert step.reply.status == "454"


async def test_clear_text_after_starttls_is_noticed() -> None:
    script = GREETING + EHLO_CLEAR + "C: STARTTLS\nS: 220 go ahead\nS: 250 AUTH PLAIN\n* gone"
    async with serve(script) as server:
        attempt = await probe(server.target(Protocol.SMTP, Tls.STARTTLS), credential(), way())
    step = last(attempt)
    assert (step.stage, step.fault) == (Stage.TLS, Fault.INJECTED)
    assert step.seen["injected"] is True
    assert step.seen["unasked"] == ["250 AUTH PLAIN"]
    assert server.said.endswith(b"STARTTLS\r\n")


@pytest.mark.parametrize("said", ["501 5.5.4 Invalid domain name", "421 4.3.2 Service not active"])
async def test_ehlo_refused(said: str) -> None:
    step = last(await run(f"{GREETING}\nC: EHLO [127.0.0.1]\nS: {said}\n* close"))
    assert (step.stage, step.ok) == (Stage.CAPABILITIES, False)
    assert step.reply
    assert step.reply.line == said


async def test_421_at_the_greeting() -> None:
    step = last(await run("S: 421 4.7.66 TLS 1.0 and 1.1 are not supported.\n* close"))
    assert (step.stage, step.ok, step.fault) == (Stage.GREETING, False, None)
    assert step.reply
    assert step.reply.enhanced == "4.7.66"


async def test_421_unasked_keeps_the_password_at_home() -> None:
    waiting = asyncio.Event()
    script = GREETING + ehlo("LOGIN") + "S: 421 4.4.2 Connection dropped due to timeout\n* close"

    async def gate(_: Attempt) -> str | None:
        waiting.set()
        return None

    async with serve(script) as server:
        attempt = await probe(server.target(Protocol.SMTP), credential(), way(), may_sign_in=gate)
    step = last(attempt)
    assert waiting.is_set()
    assert (step.stage, step.fault) == (Stage.AUTH, Fault.CLOSED)
    assert step.seen["unasked"] == ["421 4.4.2 Connection dropped due to timeout"]
    assert step.reply
    assert step.reply.status == "421"
    assert b"AUTH" not in server.said


async def test_an_answer_before_the_question_is_not_an_answer() -> None:
    script = f"{GREETING}{ehlo('PLAIN')}S: 235 2.7.0 too early\nC: AUTH PLAIN {PLAIN}\nS: 535 5.7.3 no\n"
    step = last(await run(script))
    assert step.reply
    assert step.reply.status == "535"
    assert step.seen["unasked"] == ["235 2.7.0 too early"]


async def test_held_back_for_a_reason() -> None:
    seen: list[Attempt] = []

    async def gate(so_far: Attempt) -> str | None:
        seen.append(so_far)
        return "because"

    async with serve(GREETING + ehlo("LOGIN") + "* gone") as server:
        attempt = await probe(server.target(Protocol.SMTP), credential(), way(), may_sign_in=gate)
    assert attempt.held_back == "because"
    assert stages(attempt) == stages(seen[0]) == ["dns", "tcp", "greeting", "capabilities"]
    assert server.said == b"EHLO [127.0.0.1]\r\nQUIT\r\n"


async def test_no_credential_stops_after_the_capabilities() -> None:
    async with serve(GREETING + ehlo("LOGIN") + "* gone") as server:
        attempt = await probe(server.target(Protocol.SMTP), None, way())
    assert stages(attempt) == ["dns", "tcp", "greeting", "capabilities"]
    assert attempt.failed is None
    assert attempt.kind is None


@pytest.mark.parametrize("bad", ["tab\there", "nul\0", "line\r\nEHLO", "\x7f", "\ud800"])
@pytest.mark.parametrize("where", ["secret", "login"])
async def test_what_cannot_be_sent_is_not_sent(bad: str, where: str) -> None:
    who = credential(secret=bad) if where == "secret" else credential(login=bad)
    async with serve(GREETING + ehlo("PLAIN") + "* gone") as server:
        attempt = await probe(server.target(Protocol.SMTP), who, way())
    assert (last(attempt).stage, last(attempt).fault) == (Stage.AUTH, Fault.UNENCODABLE)
    assert b"AUTH" not in server.said


@pytest.mark.parametrize("sender", ["a\r\nRCPT TO:<x@y>", "a b@c", "<@>"])
async def test_a_sender_cannot_smuggle_a_command(sender: str) -> None:
    who = Credential(Account(LOGIN, LOGIN, sender + "@contoso.test"), Kind.PASSWORD, Secret(SECRET))
    step = last(await run(GREETING + ehlo("LOGIN") + LOGIN_ACCEPTED + "* gone", who=who))
    assert (step.stage, step.fault) == (Stage.USE, Fault.UNENCODABLE)


@pytest.mark.parametrize("secret", ["a\"b\\c'd", " spaces  in ", "pässwörd ✓", "16lettersinarow!"])
async def test_awkward_passwords_arrive_byte_for_byte(secret: str) -> None:
    script = f"{GREETING}{ehlo('PLAIN')}C: AUTH PLAIN {b64(chr(0) + LOGIN + chr(0) + secret)}\nS: 235 ok\n{MAIL}"
    assert (await run(script, who=credential(secret))).ok(Stage.AUTH)


async def test_cancellation_leaves_what_is_known() -> None:
    async with serve(f"{GREETING}{ehlo('PLAIN')}C: AUTH PLAIN {PLAIN}\n* gone") as server:
        reached = asyncio.Event()

        async def gate(_: Attempt) -> str | None:
            reached.set()
            return None

        target = server.target(Protocol.SMTP)
        recorder = Recorder(target, Kind.PASSWORD)
        task = asyncio.create_task(probe(target, credential(), way(), may_sign_in=gate, recorder=recorder))
        await reached.wait()
        while len(server.got) < 2:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    step = last(recorder.attempt)
    assert (step.stage, step.fault) == (Stage.AUTH, Fault.CANCELLED)
    assert step.sent == "AUTH PLAIN"
