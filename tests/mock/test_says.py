"""From a cause to its text: always a sign's example, never invented, with our own trailer."""

from __future__ import annotations

import pytest

from mailwhy import knowledge
from mailwhy.mock.front import FRONTS
from mailwhy.mock.load import builtin
from mailwhy.mock.says import PLAIN_REFUSAL, Trailer, Voice, for_command, own
from mailwhy.mock.session import facts_for
from mailwhy.model import Kind, Protocol
from mailwhy.reply import parse

TRAILER = Trailer("A.B.PROD.OUTLOOK.COM", "2026-11-22T10:00:00.000Z", "08DE000000000001")
FRONT = FRONTS["exchange-online", "worldwide"]


def say(cause: str, protocol: Protocol, where: str = "auth", kind: Kind = Kind.PASSWORD) -> str:
    known = facts_for(FRONT, protocol, kind, cause, "a@x.test")
    return Voice(knowledge.load()).say(cause, protocol, known, where).text


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("org.smtp_auth_disabled", "disabled for the Tenant"),
        ("mailbox.smtp_auth_disabled", "disabled for the Mailbox"),
        ("org.security_defaults", "security defaults policy"),
        ("account.locked", "account locked"),
        ("credentials.wrong", "user credentials were incorrect"),
        ("credentials.account_password_under_mfa", "did not meet the criteria"),
        ("org.conditional_access", "did not meet the criteria"),
        ("account.federation_unreachable", "federated STS service was unreachable"),
    ],
)
def test_smtp_names_its_causes(cause: str, words: str) -> None:
    assert words in say(cause, Protocol.SMTP)


@pytest.mark.parametrize("protocol", [Protocol.IMAP, Protocol.POP])
@pytest.mark.parametrize("cause", ["service.basic_auth_retired", "credentials.wrong", "org.security_defaults"])
def test_imap_and_pop_say_the_same_for_everything(protocol: Protocol, cause: str) -> None:
    assert own(say(cause, protocol), protocol, TRAILER) == PLAIN_REFUSAL[protocol]


def test_a_cause_that_nobody_speaks_for_gets_the_plain_refusal_and_is_marked() -> None:
    spoken = Voice(knowledge.load()).say("no.such_cause", Protocol.SMTP)
    assert spoken.text == PLAIN_REFUSAL[Protocol.SMTP]
    assert spoken.assumed


@pytest.mark.parametrize("protocol", list(Protocol))
@pytest.mark.parametrize("where", ["auth", "use"])
def test_every_text_that_may_be_drawn_is_an_example_of_its_sign(protocol: Protocol, where: str) -> None:
    if (protocol, where) == (Protocol.POP, "use"):
        where = "auth"
    voice, knows = Voice(knowledge.load()), knowledge.load()
    seen = 0
    for cause in knows.causes:
        for spoken in voice.choices(cause, protocol, FRONT.facts, where):
            assert spoken.sign is not None
            assert spoken.text == spoken.sign.example
            seen += 1
    assert seen


def test_the_trailer_is_ours_and_parses() -> None:
    for text in ("535 5.7.3 Authentication unsuccessful [X.Y.PROD.OUTLOOK.COM 2023-09-12T20:59:57.214Z 08DBB276B7E699C4]",
                 "535 5.7.3 Authentication unsuccessful [server]",
                 "535 5.7.3 Authentication unsuccessful"):  # fmt: skip
        reply = parse(Protocol.SMTP, own(text, Protocol.SMTP, TRAILER))
        assert (reply.server, reply.time, reply.session) == (TRAILER.server, TRAILER.time, TRAILER.session)
    done = own("432 4.3.2 x [Hostname=P212321.PROD.OUTLOOK.COM]", Protocol.SMTP, TRAILER)
    assert done == "432 4.3.2 x [Hostname=A.B.PROD.OUTLOOK.COM]"
    assert own("550 5.7.30 Basic", Protocol.SMTP, TRAILER) == "550 5.7.30 Basic"
    assert own("A1 NO LOGIN failed.", Protocol.IMAP, TRAILER) == "NO LOGIN failed."


def test_the_plain_refusals_name_the_command() -> None:
    assert for_command("NO LOGIN failed.", Protocol.IMAP, "AUTHENTICATE", Kind.PASSWORD) == "NO AUTHENTICATE failed."
    assert for_command("-ERR Logon failure: x", Protocol.POP, "PASS", Kind.OAUTH) == "-ERR Authentication failure: x"
    assert for_command("-ERR Authentication failure: x", Protocol.POP, "PASS", Kind.PASSWORD) == "-ERR Logon failure: x"


def test_personal_accounts_have_texts_of_their_own() -> None:
    front = FRONTS["outlook-com", "consumer"]
    known = facts_for(front, Protocol.SMTP, Kind.PASSWORD, "service.basic_auth_retired", "a@outlook.com")
    spoken = Voice(knowledge.load()).say("service.basic_auth_retired", Protocol.SMTP, known)
    assert "5.7.139" in spoken.text
    assert not spoken.assumed


def test_a_customers_own_server_never_names_exchange_online() -> None:
    known = FRONTS["exchange-server", "worldwide"].facts
    assert Voice(knowledge.load()).say("credentials.wrong", Protocol.SMTP, known).text.startswith("535 5.7.3 ")


def test_every_refusal_of_the_built_in_mailboxes_has_a_text() -> None:
    assert sum(len(account.closes) for each in builtin() for account in each.accounts.values()) > 40
