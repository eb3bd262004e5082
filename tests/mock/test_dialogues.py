"""The dialogues beside the transcripts: order errors, limits and odd input, each as one client line and its answer."""

from __future__ import annotations

import base64
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from player import Player

from mailwhy.mock import dialogue_smtp
from mailwhy.mock.front import FRONTS
from mailwhy.mock.imap_args import BadArgumentsError, Text, numbers, tokens
from mailwhy.mock.imap_mail import fits
from mailwhy.mock.load import builtin
from mailwhy.mock.servers import dialogue
from mailwhy.mock.session import MAX_HEARD, Session
from mailwhy.mock.world import World
from mailwhy.model import Protocol

GOOD = "works@before-retirement.test"
SECRET = "abcdefghijklmnop"
MAIL = b"Subject: one\r\nFrom: Jo <jo@x.test>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nfirst\r\nsecond\r\n"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def play(protocol: Protocol, tls: str = "TLSv1.3", size: int = 10_000) -> Player:
    world = World(builtin(), as_of=date(2026, 11, 22))
    world.deliver(GOOD, "jo@x.test", [GOOD], MAIL)
    session = Session(world, FRONTS["exchange-online", "worldwide"], protocol, tls=tls)
    player = Player(dialogue(session), session, size)
    player.lines()
    return player


def last(player: Player, *lines: str) -> str:
    """The last line of the answer to the last of these lines."""
    for line in lines:
        player.said = b""
        player.send(line.encode() + b"\r\n")
    said = player.lines()
    return said[-1] if said else ""


SIGN_IN = ("EHLO probe.test", f"AUTH LOGIN {b64(GOOD)}", b64(SECRET))


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (("RCPT TO:<a@b.test>",), "503 5.5.2 Need mail command"),
        (("DATA",), "503 5.5.2 Need rcpt command"),
        (("NOOP",), "250 2.0.0 OK"),
        (("VRFY x",), "252 2.1.5 Cannot VRFY user"),
        (("BLAH",), "500 5.3.3 Unrecognized command"),
        (("RSET",), "250 2.0.0 Resetting"),
        (("STARTTLS",), "503 5.5.2 Need mail command"),
        (("MAIL FROM:<a@b.test>",), "503 5.5.2 Send hello first"),
        (("BDAT x",), "501 5.5.4 Invalid arguments"),
        ((*SIGN_IN, "AUTH LOGIN"), "503 5.5.1 Already authenticated"),
        ((*SIGN_IN, "MAIL nonsense"), "501 5.5.4 Invalid arguments"),
        ((*SIGN_IN, f"MAIL FROM:<{GOOD}> SIZE=10", "RCPT nonsense"), "501 5.5.4 Invalid arguments"),
        (
            (*SIGN_IN, f"MAIL FROM:<{GOOD}>", f"RCPT TO:<{GOOD}>", "BDAT 6\r\nabcd"),
            "250 2.6.0 CHUNK received OK, 6 octets",
        ),
        (("EHLO",), None),
        (("EHLO probe.test", "AUTH LOGIN", "not base64!", "x"), None),
        (("EHLO probe.test", "AUTH XOAUTH2 " + b64("user=x")), None),
    ],
)
def test_smtp(lines: tuple[str, ...], answer: str | None) -> None:
    said = last(play(Protocol.SMTP), *lines)
    if answer is None:
        assert said.startswith(("501 5.5.4 Invalid domain name [", "535 5.7.3 Authentication unsuccessful ["))
    else:
        assert said == answer


def test_smtp_takes_chunks_and_dotted_lines() -> None:
    player = play(Protocol.SMTP)
    envelope = (f"MAIL FROM:<{GOOD}>", f"RCPT TO:<{GOOD}>")
    assert last(player, *SIGN_IN, *envelope, "BDAT 5\r\nabcdeBDAT 5 LAST\r\nfgh").startswith("250 2.0.0 OK <")
    assert last(player, *envelope, "DATA", "..dot\r\nend\r\n.").startswith("250 2.0.0 OK <")
    assert [mail.data for mail in player.session.world.store.messages[1:]] == [b"abcdefgh\r\n", b".dot\r\nend\r\n"]


def test_old_tls_is_told_in_each_protocol() -> None:
    for protocol, said in (
        (Protocol.SMTP, "421 4.7.66 TLS 1.0 and 1.1 are not supported."),
        (Protocol.IMAP, "* BYE TLS 1.0 and 1.1 are not supported."),
        (Protocol.POP, "-ERR TLS 1.0 and 1.1 are not supported."),
    ):
        world = World(builtin())
        session = Session(world, FRONTS["exchange-online", "worldwide"], protocol, tls="TLSv1.1")
        player = Player(dialogue(session), session, 10_000)
        player.send(b"EHLO probe.test\r\n")
        assert player.lines()[-1].startswith(said)
        assert player.closed


LOGIN = f"a LOGIN {GOOD} {SECRET}"
OPEN = (LOGIN, "b SELECT INBOX")


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (("x NOOP",), "x OK NOOP completed."),
        (("x BLAH",), "x BAD Command Error. 10"),
        (("x FETCH 1 FLAGS",), "x BAD Command received in Invalid state."),
        (("x STARTTLS",), "x BAD Command received in Invalid state."),
        (('x LOGIN "a',), "x BAD Command Argument Error. 12"),
        (("x AUTHENTICATE KERBEROS",), "x NO AUTHENTICATE failed."),
        (("x AUTHENTICATE PLAIN", "!"), "x NO AUTHENTICATE failed."),
        (("x AUTHENTICATE PLAIN", b64(f"\0{GOOD}\0{SECRET}")), "x OK AUTHENTICATE completed."),
        ((f"x LOGIN {GOOD} {{16}}", SECRET), "x OK LOGIN completed."),
        ((f"x LOGIN {GOOD} {{16+}}\r\n{SECRET}",), "x OK LOGIN completed."),
        ((f'x LOGIN "{GOOD}" "{SECRET}"',), "x OK LOGIN completed."),
        ((LOGIN, "x LOGIN a b"), "x BAD Command Error. 10"),
        ((LOGIN, "x FETCH 1 FLAGS"), "x BAD Command received in Invalid state."),
        ((LOGIN, "x SELECT Nowhere"), "x NO [NONEXISTENT] The folder does not exist."),
        ((LOGIN, 'x LIST "" ""'), "x OK LIST completed."),
        ((LOGIN, 'x LSUB "" "*"'), "x OK LSUB completed."),
        ((LOGIN, "x CREATE Work"), "x OK CREATE completed."),
        ((LOGIN, "x CREATE Notes"), "x NO Mailbox already exists."),
        ((LOGIN, "x DELETE INBOX"), "x NO Folder name is reserved"),
        ((LOGIN, "x DELETE Notes"), "x OK DELETE completed."),
        ((LOGIN, "x SUBSCRIBE Notes"), "x OK completed."),
        ((LOGIN, "x APPEND Notes"), "x BAD Command Argument Error. 12"),
        ((LOGIN, "x APPEND Notes (\\Seen) {1+}\r\nx"), "x OK [APPENDUID 14 1] APPEND completed."),
        ((*OPEN, "x FETCH a FLAGS"), "x BAD Command Argument Error. 12"),
        ((*OPEN, "x FETCH 1 NONSENSE"), "x BAD Command Argument Error. 12"),
        ((*OPEN, "x SEARCH LARGER many"), "x BAD Command Argument Error. 12"),
        ((*OPEN, "x UID COPY 1 Archive"), "x OK [COPYUID 14 1 1] COPY completed."),
        ((*OPEN, "x COPY 9 Archive"), "x OK COPY completed."),
        ((*OPEN, "x UID MOVE 1 Archive"), "x OK [COPYUID 14 1 1] MOVE completed."),
        ((*OPEN, "x STORE 1 FLAGS.SILENT (\\Deleted)", "x UID EXPUNGE 1"), "x OK EXPUNGE completed."),
        ((*OPEN, "x STORE 1 -FLAGS \\Seen", "x CLOSE"), "x OK CLOSE completed."),
        ((*OPEN, "x CHECK", "x UNSELECT"), "x OK UNSELECT completed."),
        ((*OPEN, "x IDLE", "DONE"), "x OK IDLE completed."),
        ((LOGIN, "b EXAMINE INBOX", "x STORE 1 +FLAGS (\\Seen)"), "x NO STORE failed."),
        (("x ID NIL",), "x OK ID completed"),
    ],
)
def test_imap(lines: tuple[str, ...], answer: str) -> None:
    assert last(play(Protocol.IMAP), *lines) == answer


@pytest.mark.parametrize(
    ("query", "hit"),
    [
        ("ALL", True), ("UNSEEN", True), ("SEEN", False), ("NOT SEEN", True), ("OR SEEN UNSEEN", True), ("1:*", True),
        ("UID 1", True), ("UID 7:9", False), ("FROM jo@", True), ("SUBJECT two", False), ("BODY second", True),
        ("TEXT Subject", True), ("HEADER Subject one", True), ("LARGER 10", True), ("SMALLER 10", False),
        ("KEYWORD x", False), ("UNKEYWORD x", True), ("SINCE 1-Jan-2020", True), ("BEFORE 1-Jan-2020", False),
        ("ON 1-Jun-2021", True), ("SENTSINCE 1-Jan-2020", True), ("SENTBEFORE 1-Jan-2020", False),
        ("SENTON 1-Jun-2021", True), ("(UNSEEN FROM jo)", True), ("CHARSET UTF-8 ALL", True), ("NEW", False), ("OLD", True),
    ],
)  # fmt: skip
def test_imap_search(query: str, hit: bool) -> None:
    player = play(Protocol.IMAP)
    last(player, *OPEN, f"x SEARCH {query}")
    player.send(f"x SEARCH {query}\r\n".encode())
    assert player.lines() == ["* SEARCH 1" if hit else "* SEARCH", "x OK SEARCH completed."]


@pytest.mark.parametrize(
    ("items", "part"),
    [
        ("FLAGS", b"* 1 FETCH (FLAGS ())"),
        ("BODY.PEEK[TEXT]<0.5>", b"BODY[TEXT]<0> {5}\r\nfirst)"),
        ("BODY[1]", b"BODY[1] {15}\r\nfirst\r\nsecond\r\n)"),
        ("BODY[HEADER.FIELDS.NOT (FROM)]", b"Subject: one\r\nContent-Type"),
        ("RFC822.HEADER", b"RFC822.HEADER {"),
        ("ENVELOPE", b'(ENVELOPE (NIL "one" (("Jo" NIL "jo" "x.test"))'),
        ("BODYSTRUCTURE", b'("TEXT" "PLAIN" ("charset" "utf-8") NIL NIL "7BIT" 15 2)'),
        ("ALL", b"RFC822.SIZE "),
        ("(UID RFC822.SIZE)", b"(UID 1 RFC822.SIZE %d)" % len(MAIL)),
    ],
)
def test_imap_fetch(items: str, part: bytes) -> None:
    player = play(Protocol.IMAP)
    last(player, *OPEN)
    player.send(f"x FETCH 1 {items}\r\n".encode())
    assert part in player.said
    assert player.said.endswith(b"x OK FETCH completed.\r\n")


POP_IN = (f"USER {GOOD}", f"PASS {SECRET}")


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (("STAT",), "-ERR Command is not valid in this state."),
        (("BLAH",), "-ERR Protocol error. 19"),
        (("PASS x",), "-ERR Command is not valid in this state."),
        (("AUTH KERBEROS",), "-ERR Protocol error. 19"),
        (("AUTH PLAIN " + b64(f"\0{GOOD}\0{SECRET}"),), "+OK User successfully authenticated."),
        (("AUTH PLAIN", "!"), "-ERR Authentication failure: unknown user name or bad password."),
        ((f"USER {'x' * 5000}",), "-ERR Protocol error. Connection is closed. 10"),
        ((*POP_IN, "STAT"), f"+OK 1 {len(MAIL)}"),
        ((*POP_IN, "LIST 1"), f"+OK 1 {len(MAIL)}"),
        ((*POP_IN, "RETR 2"), "-ERR The specified message is out of range."),
        ((*POP_IN, "TOP 1"), "-ERR The specified message is out of range."),
        ((*POP_IN, "DELE 1", "DELE 1"), "-ERR The specified message is out of range."),
        ((*POP_IN, "DELE 1", "RSET", "STAT"), f"+OK 1 {len(MAIL)}"),
        ((*POP_IN, "NOOP"), "+OK"),
        ((*POP_IN, "USER x"), "-ERR Command is not valid in this state."),
    ],
)
def test_pop(lines: tuple[str, ...], answer: str) -> None:
    assert last(play(Protocol.POP), *lines) == answer


@pytest.mark.parametrize("protocol", list(Protocol))
@given(st.lists(st.binary(max_size=30), max_size=6))
def test_any_octets_are_survived(protocol: Protocol, pieces: list[bytes]) -> None:
    whole, split = play(protocol), play(protocol, size=1)
    data = b"\r\n".join([*pieces, b""])
    whole.send(data)
    split.send(data)
    assert whole.closed == split.closed
    assert len(whole.said) == len(split.said)


WORDS = {
    Protocol.SMTP: b"EHLO HELO MAIL FROM:<a@b> RCPT TO:<x@y> DATA BDAT 5 LAST AUTH LOGIN XOAUTH2 = * RSET . \xff STARTTLS".split(),
    Protocol.IMAP: (
        b"a LOGIN SELECT INBOX FETCH 1:* (FLAGS BODY[1.2] BODY[\xb2] BODY[TEXT]<0.5> BODY.PEEK[HEADER.FIELDS (X)] ( UID "
        b'SEARCH NOT OR HEADER SUBJECT SINCE 1-Jan-2020 LARGER \xc2\xb2 {3} {3+} {9999999} { } " \\ STORE +FLAGS \\Seen '
        b"COPY MOVE EXPUNGE LIST * % NIL IDLE DONE CREATE DELETE APPEND Notes STATUS AUTHENTICATE PLAIN CHARSET , : -"
    ).split(),
    Protocol.POP: b"USER PASS STAT LIST UIDL RETR TOP DELE RSET 1 2 0 -1 \xb2 AUTH PLAIN XOAUTH2 = CAPA STLS NOOP".split(),
}
SIGNED_IN = {
    Protocol.SMTP: (*SIGN_IN, f"MAIL FROM:<{GOOD}>", f"RCPT TO:<{GOOD}>"),
    Protocol.IMAP: OPEN,
    Protocol.POP: POP_IN,
}


@pytest.mark.parametrize("protocol", list(Protocol))
@given(data=st.data(), mail=st.binary(max_size=200))
def test_any_words_of_the_protocol_are_survived(protocol: Protocol, data: st.DataObject, mail: bytes) -> None:
    player = play(protocol)
    world = player.session.world
    world.deliver(GOOD, GOOD, [GOOD], mail)
    last(player, *SIGNED_IN[protocol][: data.draw(st.integers(0, 5))])
    line = st.lists(st.sampled_from(WORDS[protocol]), max_size=6).map(b" ".join)
    for each in data.draw(st.lists(line, max_size=8)):
        player.send((b"t " if protocol is Protocol.IMAP else b"") + each + b"\r\n")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("x SELECT {", "x BAD Command Argument Error. 12"),  # was an endless loop
        ("x SELECT (INBOX)", "x BAD Command Argument Error. 12"),
        ("x UID (INBOX)", "x BAD Command Argument Error. 12"),
        ("x UID", "x BAD Command Argument Error. 12"),
        ("x FETCH \u00b2 FLAGS", "x BAD Command Argument Error. 12"),
        ("x FETCH 1 BODY[\u00b2]", "x OK FETCH completed."),
        (f"x FETCH 1 BODY[{'9' * 5000}]", "x BAD Command Argument Error. 12"),
        (f"x FETCH 1 BODY[]<{'9' * 5000}>", "x BAD Command Argument Error. 12"),
        (f"x SEARCH LARGER {'9' * 5000}", "x BAD Command Argument Error. 12"),
        (f"x SEARCH {'NOT ' * 5000}ALL", "x BAD Command Argument Error. 12"),
        (f"x SEARCH {'(' * 5000}ALL{')' * 5000}", "x BAD Command Argument Error. 12"),
        (f'x LIST "" "{"*%" * 20_000}x"', "x OK LIST completed."),
    ],
)
def test_what_is_made_to_hurt_an_imap_server(line: str, answer: str) -> None:
    assert last(play(Protocol.IMAP), *OPEN, line) == answer


def test_what_is_made_to_hurt_an_smtp_server() -> None:
    player = play(Protocol.SMTP)
    assert last(player, *SIGN_IN, f"MAIL FROM:<{GOOD}>", f"BDAT {'9' * 5000}") == "501 5.5.4 Invalid arguments"
    assert (
        last(player, f"MAIL FROM:<{GOOD}> SIZE=157286401")
        == "552 5.3.4 Message size exceeds fixed maximum message size"
    )


def test_a_message_that_is_too_long_is_read_but_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue_smtp, "MAX_SIZE", 1000)
    player = play(Protocol.SMTP)
    envelope = (f"MAIL FROM:<{GOOD}>", f"RCPT TO:<{GOOD}>")
    assert last(player, *SIGN_IN, *envelope, "DATA", *["x" * 600] * 3, ".").startswith("552 5.3.4 ")
    assert last(player, *envelope, "BDAT 1998 LAST\r\n" + "y" * 1996).startswith("552 5.3.4 ")
    assert last(player, *envelope, "DATA", "z\r\n.").startswith("250 2.0.0 OK <")
    assert [mail.data for mail in player.session.world.store.messages[1:]] == [b"z\r\n"]


def test_a_line_that_is_too_long_loses_no_octet() -> None:
    player = play(Protocol.SMTP)
    last(player, *SIGN_IN, f"MAIL FROM:<{GOOD}>", f"RCPT TO:<{GOOD}>", "DATA", "a" * 100_000 + "\r\n.")
    assert player.session.world.store.messages[-1].data.count(b"a") == 100_000


@pytest.mark.parametrize("size", [65_537, 99_999_999])
def test_a_literal_that_is_too_long_for_a_name_is_not_waited_for(size: int) -> None:
    assert last(play(Protocol.IMAP), f"x LOGIN {{{size}}}") == "x BAD Command Argument Error. 12"


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_secret_that_is_sent_out_of_step_is_not_written_down(protocol: Protocol) -> None:
    player = play(protocol)
    for line in (SECRET, f"x {SECRET}", f"AUTH {SECRET}", b64(SECRET)):
        player.send(line.encode() + b"\r\n")
    seen = repr(player.session.seen).casefold()
    assert SECRET not in seen
    assert b64(SECRET).casefold() not in seen
    for _ in range(2000):
        player.send(b"NOOP\r\n")
    assert len(player.session.seen.heard) == MAX_HEARD


@pytest.mark.parametrize(
    ("name", "pattern", "hit"),
    [
        ("INBOX", "*", True), ("a/b", "%", False), ("a/b", "%/%", True), ("a/b", "a*b", True), ("a/b", "a%b", False),
        ("ab", "a%b", True), ("ab", "a", False), ("a", "ab", False), ("", "*", True), ("a/b/c", "*/%", True), ("a/b/", "%/%", False),
    ],
)  # fmt: skip
def test_folder_patterns(name: str, pattern: str, hit: bool) -> None:
    assert fits(name, pattern) is hit


@pytest.mark.parametrize("text", ['"a', "(a", "a)", '"a\\', "{", "a {x"])
def test_broken_arguments(text: str) -> None:
    with pytest.raises(BadArgumentsError):
        tokens([text.encode()])


def test_arguments() -> None:
    assert tokens([b'a "b \\" c" (d (e)) {3}', Text(b"xyz"), b" BODY[HEADER.FIELDS (FROM)]"]) == [
        b"a", Text(b'b " c'), [b"d", [b"e"]], Text(b"xyz"), b"BODY[HEADER.FIELDS (FROM)]",
    ]  # fmt: skip
    assert numbers("1,3:*,5:2", 9) == [(1, 1), (3, 9), (2, 5)]
