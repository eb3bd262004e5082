"""The rest of the pure parts' branches, so that `make cover` finds none untried: ends, limits, rare states."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from player import Player

from mailwhy import knowledge
from mailwhy.mock.dialogue_smtp import Smtp
from mailwhy.mock.front import FRONTS
from mailwhy.mock.imap_mail import Mailbox
from mailwhy.mock.load import builtin
from mailwhy.mock.says import Voice
from mailwhy.mock.servers import dialogue
from mailwhy.mock.session import Session, facts_for
from mailwhy.mock.state import Account, Tenant, Token
from mailwhy.mock.store import Store
from mailwhy.mock.tenant import SignIn, mailbox_switch, token
from mailwhy.mock.world import KEPT, World
from mailwhy.model import Kind, Protocol

GOOD = "works@before-retirement.test"
SECRET = "abcdefghijklmnop"
MIXED = (
    b'Subject: two parts\r\n folded\r\nFrom: \xc3\x84 <a@x.test>\r\nMessage-ID: <"q"@x>\r\n'
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: image/png\r\n\r\nxx\r\n--b--\r\n"
)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def play(protocol: Protocol, tls: str = "TLSv1.3", front: tuple[str, str] = ("exchange-online", "worldwide")) -> Player:
    world = World(builtin(), as_of=date(2026, 11, 22))
    session = Session(world, FRONTS[front], protocol, tls=tls)
    player = Player(dialogue(session), session, 10_000)
    player.lines()
    return player


def say(player: Player, *lines: str) -> list[str]:
    """The lines of the last answer."""
    for line in lines:
        player.said = b""
        player.send(line.encode() + b"\r\n")
    return player.lines()


def leave(player: Player) -> None:
    player.talk.feed(b"")
    player.drain()


SMTP_IN = ("EHLO probe.test", f"AUTH LOGIN {b64(GOOD)}", b64(SECRET))
ENVELOPE = (f"MAIL FROM:<{GOOD}>", f"RCPT TO:<{GOOD}>")


@pytest.mark.parametrize(
    ("protocol", "lines"),
    [
        (Protocol.SMTP, ()),
        (Protocol.SMTP, ("EHLO probe.test", "AUTH LOGIN")),
        (Protocol.SMTP, ("EHLO probe.test", "AUTH LOGIN", b64(GOOD))),
        (Protocol.SMTP, ("EHLO probe.test", "AUTH XOAUTH2")),
        (Protocol.SMTP, (*SMTP_IN, *ENVELOPE, "DATA", "half")),
        (Protocol.SMTP, (*SMTP_IN, *ENVELOPE, "BDAT 9", "half")),
        (Protocol.IMAP, ()),
        (Protocol.IMAP, ("a LOGIN {4}", "x")),
        (Protocol.IMAP, ("a LOGIN {1}", "x")),
        (Protocol.IMAP, ("a AUTHENTICATE PLAIN",)),
        (Protocol.IMAP, (f"a LOGIN {GOOD} {SECRET}", "b SELECT INBOX", "c IDLE")),
        (Protocol.POP, ()),
        (Protocol.POP, ("AUTH PLAIN",)),
    ],
)  # fmt: skip
def test_the_client_may_leave_anywhere(protocol: Protocol, lines: tuple[str, ...]) -> None:
    player = play(protocol)
    say(player, *lines)
    leave(player)
    assert player.closed
    assert player.session.world.store.messages == []


@pytest.mark.parametrize(
    ("protocol", "line", "last"),
    [
        (Protocol.SMTP, "QUIT", "221 2.0.0 Service closing transmission channel"),
        (Protocol.IMAP, "a LOGOUT", "a OK LOGOUT completed."),
        (Protocol.POP, "QUIT", "+OK Good-bye."),
        (Protocol.POP, f"AUTH XOAUTH2 {b64('x')}", "-ERR Protocol error. Connection is closed. 10"),
    ],
)
def test_the_server_closes(protocol: Protocol, line: str, last: str) -> None:
    player = play(protocol)
    assert say(player, line)[-1] == last
    assert player.closed


@pytest.mark.parametrize("name", ["", ".", "a..b", "a."])
@pytest.mark.parametrize("verb", ["EHLO", "HELO"])
def test_names_that_are_none(verb: str, name: str) -> None:
    assert say(play(Protocol.SMTP), f"{verb} {name}")[-1].startswith("501 5.5.4 Invalid domain name [")


def test_helo_is_enough_to_be_told_what_is_missing() -> None:
    player = play(Protocol.SMTP, tls="")
    assert say(player, "HELO probe.test")[0].endswith(" Hello [127.0.0.1]")
    assert say(player, f"MAIL FROM:<{GOOD}>")[0].startswith("451 5.7.3 STARTTLS is required to send mail [")
    assert say(player, "AUTH PLAIN x")[0].startswith("504 5.7.4 Unrecognized authentication type [")


def test_in_clear_only_tls_is_offered() -> None:
    imap, pop = play(Protocol.IMAP, tls=""), play(Protocol.POP, tls="")
    assert say(imap, "a CAPABILITY")[0].split()[4:6] == ["LOGINDISABLED", "STARTTLS"]
    assert say(imap, "a LOGIN x y") == ["a BAD Command received in Invalid state."]
    assert say(imap, "a AUTHENTICATE PLAIN") == ["a BAD Command received in Invalid state."]
    assert say(imap, "a STARTTLS") == ["a OK Begin TLS negotiation now."]
    assert "AUTH=PLAIN" in say(imap, "a CAPABILITY")[0]
    assert say(pop, "CAPA") == ["+OK", "TOP", "UIDL", "STLS", "."]
    assert say(pop, "USER x") == say(pop, "PASS x") == ["-ERR Command is not valid in this state."]
    assert say(pop, "STLS") == ["+OK Begin TLS negotiation."]
    assert say(pop, "STLS") == ["-ERR Command is not valid in this state."]
    assert say(pop, "AUTH") == ["-ERR Protocol error. 19"]


@pytest.mark.parametrize(
    ("login", "answer"),
    [
        ("restricted@contoso.test", "550 5.1.8 "),
        ("throttled@contoso.test", ""),
        ("unavailable@contoso.test", "4"),
        (
            "send-as@contoso.test",
            "554 5.2.252 SendAsDenied; send-as@contoso.test not allowed to send as other@contoso.test",
        ),
    ],
)
def test_some_refusals_come_after_the_message(login: str, answer: str) -> None:
    player = play(Protocol.SMTP)
    sender = "other@contoso.test" if login.startswith("send-as") else login
    say(player, "EHLO probe.test", f"AUTH LOGIN {b64(login)}", b64(SECRET))
    said = say(player, f"MAIL FROM:<{sender}>", f"RCPT TO:<{GOOD}>", "DATA", ".")[-1]
    assert said[0] in "45"
    assert said.startswith(answer)
    assert player.session.world.store.messages == []
    assert Smtp(play(Protocol.SMTP).session).send_gate("a@b.test") == ("", "")  # nobody signed in: nothing to judge


def test_limits_of_a_mailbox() -> None:
    player = play(Protocol.SMTP)
    world = player.session.world
    world.change("before-retirement.test", "org.messages_per_minute", 1)
    say(player, *SMTP_IN)
    assert say(player, *ENVELOPE, "DATA", ".")[-1].startswith("250 ")
    assert say(player, *ENVELOPE, "DATA", ".")[-1].startswith("421 ")
    world.open_connections[GOOD] += 3
    assert say(player, *ENVELOPE, "DATA", ".")[-1].startswith("432 ")
    assert say(player, "BDAT 0")[-1] == "503 5.5.2 Need rcpt command"
    player.session.end()
    assert world.open_connections[GOOD] == 3


def test_limits_can_be_off() -> None:
    player = play(Protocol.SMTP)
    world = player.session.world
    world.change("before-retirement.test", "org.connections", 0)
    world.change("before-retirement.test", "org.messages_per_minute", 0)
    world.open_connections[GOOD] = 9
    say(player, *SMTP_IN)
    for _ in range(31):
        assert say(player, *ENVELOPE, "DATA", ".")[-1].startswith("250 ")


def test_high_volume_email_stays_inside() -> None:
    player = play(Protocol.SMTP, front=("hve", "worldwide"))
    secret = player.session.world.tenant_of("bulk@hve.test").accounts["bulk@hve.test"].secret or SECRET
    say(player, "EHLO probe.test", f"AUTH LOGIN {b64('bulk@hve.test')}", b64(secret), "MAIL FROM:<bulk@hve.test>")
    assert say(player, "RCPT TO:<you@contoso.test>")[0].startswith("550 5.5.105 External sending is not supported")
    assert say(player, "RCPT TO:<bulk@hve.test>") == ["250 2.1.5 Recipient OK"]


def test_the_limit_counts_the_last_minute_only() -> None:
    now = [datetime(2026, 11, 22, tzinfo=UTC)]
    tenant = Tenant("x.test", accounts={"a@x.test": Account()})
    world = World([tenant], clock=lambda: now[0])
    world.change("x.test", "org.messages_per_minute", 1)
    tenant = world.tenants["x.test"]
    assert not world.too_many_messages("a@x.test", tenant)
    assert world.too_many_messages("a@x.test", tenant)
    now[0] += timedelta(seconds=61)
    assert not world.too_many_messages("a@x.test", tenant)


def test_smart_lockout_locks_longer_each_time_and_a_good_password_ends_it() -> None:
    now = [datetime(2026, 11, 22, tzinfo=UTC)]
    world = World([Tenant("x.test", accounts={"a@x.test": Account()})], clock=lambda: now[0])
    world.change("x.test", "org.lockout_threshold", 2)
    session = Session(world, FRONTS["exchange-online", "worldwide"], Protocol.SMTP, tls="TLSv1.3")

    def cause(secret: str) -> str:
        closed = session.sign_in("a@x.test", secret, Kind.PASSWORD, "LOGIN")
        return closed.cause if closed else ""

    assert [cause(each) for each in ("1", "1", "2", SECRET)] == [*["credentials.wrong"] * 3, "account.locked"]
    now[0] += timedelta(seconds=61)
    assert [cause(each) for each in ("3", "4")] == ["credentials.wrong", "account.locked"]
    now[0] += timedelta(seconds=61)
    assert cause(SECRET) == "account.locked"
    now[0] += timedelta(seconds=61)
    assert [cause(SECRET), cause("5"), cause(SECRET)] == ["", "credentials.wrong", ""]


def test_a_mailbox_that_is_not_connected_complains_once_and_says_goodbye() -> None:
    player = play(Protocol.IMAP)
    say(player, f"a LOGIN imap-off@before-retirement.test {SECRET}")
    assert say(player, "b SELECT INBOX") == ["b BAD User is authenticated but not connected."]
    assert "CLIENTACCESSRULES" in say(player, "c CAPABILITY")[0]
    assert say(player, "d SELECT INBOX") == [
        "d BAD User is authenticated but not connected.", "* BYE Connection closed. 14",
    ]  # fmt: skip
    assert player.closed


def test_a_cause_without_a_text_of_its_own_is_not_connected_either() -> None:
    player = play(Protocol.IMAP)
    player.session.world.change(GOOD, "mailbox.throttled", True)
    assert say(player, f"a LOGIN {GOOD} {SECRET}") == ["a OK LOGIN completed."]
    assert say(player, "b SELECT INBOX")[0].startswith("b BAD ")


@pytest.mark.parametrize("line", ["a AUTHENTICATE", "a AUTHENTICATE (PLAIN)"])
def test_authenticate_wants_the_name_of_a_mechanism(line: str) -> None:
    assert say(play(Protocol.IMAP), line) == ["a BAD Command Argument Error. 12"]


def test_a_gate_that_nobody_has_heard_on_imap_is_not_connected() -> None:
    player = play(Protocol.IMAP)
    player.session.world.change(GOOD, "mailbox.licensed", False)
    player.session.world.voice = Voice(replace(knowledge.load(), signs={}))
    assert say(player, f"a LOGIN {GOOD} {SECRET}", "b SELECT INBOX") == [
        "b BAD User is authenticated but not connected."
    ]


def test_a_chunk_for_nobody_is_read_and_refused() -> None:
    assert say(play(Protocol.SMTP), "BDAT 3 LAST", "x")[-1] == "503 5.5.2 Need rcpt command"


def test_a_token_that_is_not_base64_is_a_bare_refusal() -> None:
    assert say(play(Protocol.SMTP), "EHLO a", "AUTH XOAUTH2 !")[-1].startswith(
        "535 5.7.3 Authentication unsuccessful ["
    )


def test_a_name_without_a_domain_is_known_as_such() -> None:
    front = FRONTS["exchange-online", "worldwide"]
    assert "login.bare" in facts_for(front, Protocol.SMTP, Kind.PASSWORD, "credentials.wrong", "scanner")


def test_the_start_can_be_moved() -> None:
    world = World(builtin()[:1])
    world.change("", "org.security_defaults", True)
    world.keep()
    world.change("", "org.security_defaults", False)
    world.reset()
    assert world.tenants["contoso.test"].org.security_defaults
    assert [front.id for front in world.fronts] == ["exchange-online"]


def test_news_comes_with_noop_and_idle() -> None:
    player = play(Protocol.IMAP)
    world = player.session.world
    say(player, f"a LOGIN {GOOD} {SECRET}", "b SELECT INBOX")
    world.deliver(GOOD, GOOD, [GOOD, "else@where.test"], MIXED)
    assert say(player, "c NOOP") == ["* 1 EXISTS", "* 1 RECENT", "c OK NOOP completed."]
    player.talk.poke()  # nobody waits: kept for later
    assert say(player, "d STATUS INBOX MESSAGES") == ["* STATUS INBOX (MESSAGES 1)", "d OK STATUS completed."]
    assert say(player, "d IDLE") == ["+ IDLE accepted, awaiting DONE command."]
    woken: list[int] = []
    world.store.watchers.add(lambda: woken.append(1))
    world.deliver("", "a@x.test", [GOOD], MIXED)
    assert woken == [1]
    player.talk.poke()
    player.drain()
    assert player.lines() == ["* 2 EXISTS", "* 2 RECENT"]
    assert say(player, "DONE") == ["d OK IDLE completed."]


def test_a_read_only_folder_keeps_what_is_marked() -> None:
    player = play(Protocol.IMAP)
    player.session.world.deliver(GOOD, GOOD, [GOOD], MIXED)
    marked = ("b SELECT INBOX", "c STORE 1 +FLAGS (\\Deleted \\Seen)", "d EXAMINE INBOX")
    assert say(player, f"a LOGIN {GOOD} {SECRET}", *marked, "e EXPUNGE") == ["e OK EXPUNGE completed."]
    assert say(player, "e CLOSE", "f STATUS INBOX (MESSAGES)")[0] == "* STATUS INBOX (MESSAGES 1)"
    assert say(player, "g UID STORE 1 FLAGS x") == ["g BAD Command received in Invalid state."]
    assert say(player, "b SELECT INBOX", "g UID STORE 1 FLAGS x")[0] == "* 1 FETCH (UID 1 FLAGS (x))"
    box = Mailbox(Store(), "a@x.test", datetime.now(UTC))
    box.remove([])
    assert list(box.news()) == []


@pytest.mark.parametrize(
    ("item", "part"),
    [
        ("BODY[]", b"boundary=b"),
        ("BODY[HEADER.FIELDS (SUBJECT)]", b"{31}\r\nSubject: two parts\r\n folded\r\n\r\n"),
        ("BODY[2]", b"BODY[2] {2}\r\nxx"),
        ("BODY[2.MIME]", b"Content-Type: image/png\r\n\r\n"),
        ("BODY[3]", b"BODY[3] {0}\r\n"),
        ("BODY[1]<1>", b"BODY[1]<1> {2}\r\nne"),
        ("ENVELOPE", b'{7}\r\n<"q"@x>'),
        ("BODYSTRUCTURE", b'("IMAGE" "PNG" ("CHARSET" "us-ascii") NIL NIL "7BIT" 2) "MIXED")'),
    ],
)
def test_a_message_of_several_parts(item: str, part: bytes) -> None:
    player = play(Protocol.IMAP)
    player.session.world.deliver(GOOD, GOOD, [GOOD], MIXED)
    say(player, f"a LOGIN {GOOD} {SECRET}", "b SELECT INBOX")
    player.said = b""
    player.send(f"c FETCH 1 {item}\r\n".encode())
    assert part in player.said
    assert player.said.endswith(b"c OK FETCH completed.\r\n")


@pytest.mark.parametrize("query", ["FROM", '"ALL"', "SINCE yesterday", "HEADER Subject", ""])
def test_searches_that_are_none(query: str) -> None:
    player = play(Protocol.IMAP)
    said = say(player, f"a LOGIN {GOOD} {SECRET}", "b SELECT INBOX", f"c SEARCH {query}")
    assert said == (["c BAD Command Argument Error. 12"] if query else ["* SEARCH", "c OK SEARCH completed."])


def test_marked_messages_go_at_the_end_of_a_pop_session() -> None:
    player = play(Protocol.POP)
    player.session.world.deliver(GOOD, GOOD, [GOOD], MIXED + b"no line end")
    say(player, f"USER {GOOD}", f"PASS {SECRET}")
    assert len(say(player, "UIDL")) == 3
    assert say(player, "LIST 7") == ["-ERR The specified message is out of range."]
    assert say(player, "TOP 1 0")[-3:] == ["Content-Type: multipart/mixed; boundary=b", "", "."]
    assert say(player, "RETR 1")[-2:] == ["no line end", "."]
    assert say(player, "DELE 1") == ["+OK"]
    assert say(player, "QUIT") == ["+OK Good-bye."]
    assert player.session.world.store.folder(GOOD, "inbox").messages == []


def test_what_a_token_can_lack() -> None:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    tenant = Tenant(
        "x.test", accounts={"a@x.test": Account()}, tokens={"old": Token("a@x.test", expires="2026-11-21T00:00:00Z")}
    )
    it = SignIn(tenant, Protocol.SMTP, "a@x.test", "old", Kind.OAUTH, at, knowledge.load().calendar)
    assert token(it) == token(replace(it, secret="unknown")) == "oauth.token_invalid_or_expired"
    assert mailbox_switch(it) is None  # nobody there
    assert "off_by_default.smtp" in facts_for(
        FRONTS["exchange-online", "worldwide"],
        Protocol.SMTP,
        Kind.PASSWORD,
        "org.smtp_basic_auth_default_off",
        "a@x.test",
    )


def test_faults_of_a_mailbox_hold_for_whoever_names_it() -> None:
    slow = Account(faults=({"kind": "latency", "seconds": 0.1},))
    world = World([Tenant("x.test", accounts={"a@x.test": slow})])
    session = Session(world, FRONTS["exchange-online", "worldwide"], Protocol.SMTP, tls="TLSv1.3")
    assert (session.mailbox, session.faults) == ("", [])
    session.sign_in("a@x.test", "wrong", Kind.PASSWORD, "LOGIN")
    assert (session.mailbox, [each.kind for each in session.faults]) == ("a@x.test", ["latency"])
    session.named = "gone@x.test"
    assert session.faults == []
    session.end()
    assert session.seen.over


def test_a_dialogue_that_has_ended_takes_nothing_more() -> None:
    player = play(Protocol.POP)
    say(player, "QUIT")
    player.send(b"USER x\r\n")
    assert player.said == b""
    assert player.talk.ended


def test_a_mock_that_runs_for_long_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailwhy.mock.world.KEPT", 3)
    world = World(builtin(), as_of=date(2026, 11, 22))
    made = []
    for _ in range(5):
        session = Session(world, FRONTS["exchange-online", "worldwide"], Protocol.SMTP)
        session.sign_in(GOOD, SECRET, Kind.PASSWORD, "LOGIN")
        made.append(session.id)
    assert [seen.id for seen in world.sessions] == made[2:]
    assert [attempt.session for attempt in world.attempts] == made[2:]
    assert KEPT >= 20_000, "a test, or a list of 10,000 mailboxes, sees all of its own"
    world.reset()
    assert (world.attempts, world.sessions) == ([], [])
