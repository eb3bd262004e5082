"""One answer taken apart: codes, words, the bracketed trailer, the refusal inside a refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwhy.model import Protocol, Reply
from mailwhy.reply import decode, front_end, harmless, parse

TENANT = (
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
    "Visit https://aka.ms/smtp_auth_disabled for more information. "
    "[MN2PR05CA0004.namprd05.prod.outlook.com 2023-09-12T20:59:57.214Z 08DBB276B7E699C4]"
)


def test_the_trailer_is_taken_apart() -> None:
    reply = parse(Protocol.SMTP, TENANT)
    assert (reply.status, reply.enhanced) == ("535", "5.7.139")
    assert reply.text.startswith("Authentication unsuccessful, SmtpClient")
    assert reply.text.endswith("for more information.")
    assert reply.server == "MN2PR05CA0004.namprd05.prod.outlook.com"
    assert (reply.time, reply.session) == ("2023-09-12T20:59:57.214Z", "08DBB276B7E699C4")
    assert reply.line == TENANT


@pytest.mark.parametrize(
    ("line", "server"),
    [
        ("535 5.7.3 Authentication unsuccessful [CH2PR10CA0013.namprd10.prod.outlook.com]", "CH2PR10CA0013.namprd10.prod.outlook.com"),
        ("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=SG2PR01MB3659.apcprd01.prod.exchangelabs.com]", "SG2PR01MB3659.apcprd01.prod.exchangelabs.com"),
        ("535 5.7.3 Authentication unsuccessful [AM0PR02CA0134.eurprd02.prod.outlook.com 2024", "AM0PR02CA0134.eurprd02.prod.outlook.com"),
        ("535 5.7.3 Authentication unsuccessful", None),
        ("250-SY5P282CA0097.outlook.office365.com Hello [192.0.2.10]", None),
    ],
)  # fmt: skip
def test_shapes_of_the_trailer(line: str, server: str | None) -> None:
    assert parse(Protocol.SMTP, line).server == server


def test_a_refusal_inside_a_refusal() -> None:
    reply = parse(Protocol.SMTP, f"530 5.7.57 Client not authenticated to send mail. Error: {TENANT}")
    assert (reply.status, reply.text) == ("530", "Client not authenticated to send mail.")
    assert reply.inner is not None
    assert reply.spoken.enhanced == "5.7.139"
    assert reply.spoken.session == "08DBB276B7E699C4"


def test_many_lines_are_one_reply() -> None:
    reply = parse(Protocol.SMTP, ["535-5.7.139 Authentication unsuccessful,", "535 5.7.139 account locked."])
    assert (reply.status, reply.enhanced, reply.text) == (
        "535",
        "5.7.139",
        "Authentication unsuccessful, account locked.",
    )


@pytest.mark.parametrize(
    ("protocol", "line", "status", "text"),
    [
        (Protocol.IMAP, "a1 NO LOGIN failed.", "NO", "LOGIN failed."),
        (Protocol.IMAP, "* BYE Connection is closed. 13", "BYE", "Connection is closed. 13"),
        (Protocol.POP, "-ERR Logon failure: unknown user name or bad password.", "-ERR", "Logon failure: unknown user name or bad password."),
        (None, "C00000003 BAD User is authenticated but not connected.", "BAD", "User is authenticated but not connected."),
        (None, "-ERR Protocol error. 19", "-ERR", "Protocol error. 19"),
        (None, "5.7.57 Client not authenticated to send mail", "", "Client not authenticated to send mail"),
    ],
)  # fmt: skip
def test_other_protocols(protocol: Protocol | None, line: str, status: str, text: str) -> None:
    reply = parse(protocol, line)
    assert (reply.status, reply.text) == (status, text)


def test_a_greeting_names_its_front_end() -> None:
    greeting = "* OK The Microsoft Exchange IMAP4 service is ready. [RgBSADAAUAAyADgAMQBDAEEAMAAwADQAMQAuAEQARQBVAFAAMgA4ADEALgBQAFIATwBEAC4ATwBVAFQATABPAE8ASwAuAEMATwBNAA==]"
    assert parse(Protocol.IMAP, greeting).server == "FR0P281CA0041.DEUP281.PROD.OUTLOOK.COM"
    assert front_end("AAAAAAAAAAAAAAAA") is None
    smtp = "220 FR3P281CA0057.outlook.office365.com Microsoft ESMTP MAIL Service ready at Mon, 13 Jan 2025 13:42:45 +0000 [08DD32D465DA2413]"
    assert parse(Protocol.SMTP, smtp).session == "08DD32D465DA2413"


def test_what_a_server_sends_cannot_act_on_a_terminal() -> None:
    assert decode(b"535 \x1b[2J\x00\x9b31m\r\n") == "535 \\x1b[2J\\x00\\x9b31m"
    assert harmless("a\u202eb\u200bc\U000e0041") == "a\\u202eb\\u200bc\\U000e0041"
    assert decode("535 déjà\r\n".encode()) == "535 déjà"


@given(st.one_of(st.none(), st.sampled_from(Protocol)), st.lists(st.text(), max_size=5))
def test_whatever_the_lines_are_it_never_raises(protocol: Protocol | None, lines: list[str]) -> None:
    reply = parse(protocol, lines)
    assert isinstance(reply, Reply)
    assert reply.lines == tuple(lines)


@given(st.binary())
def test_any_bytes_become_printable_text(data: bytes) -> None:
    assert all(char.isprintable() or char == "\t" or ord(char) > 0x9F for char in decode(data))
