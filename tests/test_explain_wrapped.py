"""Whatever a program did to a reply, the same sign speaks: every example of the handbook in every wrapper."""

from __future__ import annotations

import html
import json
import quopri
import re
import textwrap
from collections.abc import Callable

import pytest
from day import DAY
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mailwhy import run
from mailwhy.knowledge import load
from mailwhy.model import Protocol, Sign, Speaker, Verdict
from mailwhy.paste import Found, read
from mailwhy.paste.context import context_of
from mailwhy.paste.finder import find
from mailwhy.paste.sessions import Hearing
from mailwhy.paste.stream import Filter
from mailwhy.paste.text import peel
from mailwhy.signs import ENOUGH, Signs, squash

KNOWN = load()
SIGNS = Signs(KNOWN.signs)
# a fault's example is nothing that is said; and one that is not a single line cannot stand in every wrapper
SAID = [
    sign
    for sign in KNOWN.signs.values()
    if sign.example and not sign.match.fault and "\n" not in sign.example and "\\" not in sign.example
]
CODED = [sign for sign in SAID if sign.speaker is Speaker.SERVER and sign.protocol is Protocol.SMTP]


def spoken(text: str | bytes, sign: Sign) -> set[str]:
    """The ids of the signs that speak in the text."""
    outcome = run.explain(text, protocol=sign.protocol, as_of=DAY)
    return {diagnosis.sign for diagnosis in outcome.diagnoses if diagnosis.sign}


# signs that are known by a sentence; a single word that is broken is gone
SENTENCES = [
    sign
    for sign in SAID
    if any(len(squash(text)) >= ENOUGH and squash(text) in squash(sign.example) for text in sign.match.text)
]
PLAIN = {sign.id: spoken(sign.example, sign) for sign in SAID}


def prefixed(prefix: str) -> Callable[[str], str]:
    return lambda reply: "\n".join(prefix + line for line in textwrap.wrap(reply, 70, break_on_hyphens=False))


WRAPPERS: dict[str, Callable[[str], str | bytes]] = {
    "CRLF": lambda reply: f"first line\r\n{reply}\r\nlast line\r\n",
    "utf-16": lambda reply: reply.encode("utf-16"),
    "utf-8 mark": lambda reply: reply.encode("utf-8-sig"),
    "ansi": lambda reply: f"\x1b[31m{reply}\x1b[0m",
    "nul": lambda reply: reply.encode() + b"\0\0",
    "json": lambda reply: json.dumps({"level": "error", "error": reply, "n": 1}),
    "json in json": lambda reply: json.dumps({"outer": json.dumps({"error": reply})}),
    "html": lambda reply: f"<p><code>{html.escape(reply)}</code></p>",
    "quoted-printable": lambda reply: (
        b"Content-Transfer-Encoding: quoted-printable\n\n" + quopri.encodestring(reply.encode())
    ),
    "markdown": lambda reply: f"**{reply}**",
    "backticks": lambda reply: f"`{reply}`",
    "fence": lambda reply: f"```\n{reply}\n```",
    "quoted mail": lambda reply: f"> {reply}",
    "comment": lambda reply: f"# {reply}",
    "grep": lambda reply: f"/var/log/mail.log:123:{reply}",
    "sql": lambda reply: "INSERT INTO log VALUES (1, '" + reply.replace("'", "''") + "', NULL);",
    "log line": lambda reply: f"2026-03-04 05:06:07,890 ERROR [worker-1] {reply}",
    "transcript": lambda reply: f"C: (something)\nS: {reply}\nC: QUIT",
    "wrapped quote": prefixed("> "),
    "wrapped": prefixed(""),
    "indented": prefixed("    "),
    "repeated": lambda reply: f"{reply}\n{reply}\n\n{reply}",
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapper_changes_nothing(wrapper: str) -> None:
    lost = {}
    for sign in SAID:
        heard = spoken(WRAPPERS[wrapper](sign.example), sign)
        if not PLAIN[sign.id] <= heard:
            lost[sign.id] = heard
    assert not lost


def test_every_example_says_its_own_sign() -> None:
    silent = {sign.id: PLAIN[sign.id] for sign in SAID if sign.id not in PLAIN[sign.id]}
    assert not silent


def test_python_tuples() -> None:
    for sign in CODED:
        status, _, rest = sign.example.partition(" ")
        if status.isdigit() and "'" not in rest:
            assert sign.id in spoken(f"smtplib.SMTPAuthenticationError: ({status}, b'{rest}')", sign), sign.id


def test_lost_digits() -> None:
    for sign in CODED:
        status, _, rest = sign.example.partition(" ")
        words = squash(max(sign.match.text, key=len, default=""))
        if status.isdigit() and len(words) >= ENOUGH and words in squash(rest):
            text = f"The server response was: {rest}"
            assert sign.id in spoken(text, sign), sign.id


@settings(max_examples=60, deadline=None)
@given(
    sign=st.sampled_from(SENTENCES),
    at=st.integers(min_value=1, max_value=400),
    before=st.sampled_from(["", "Error\n\n", "2026-01-01 mail job started\nconnecting\n"]),
)
def test_a_break_in_the_middle_of_a_word(sign: Sign, at: int, before: str) -> None:
    cut = 20 + at % max(1, len(sign.example) - 20)  # the codes stay together, as programs leave them
    # a new speaker, a sentence or a quotation that ends there: then the next line is a new thing
    assume(sign.example[cut : cut + 2] not in ("S:", "C:") and sign.example[:cut].rstrip()[-1] not in ".'")
    assume(sign.id in PLAIN[sign.id])
    assert PLAIN[sign.id] <= spoken(f"{before}{sign.example[:cut]}\n{sign.example[cut:]}\n", sign)


# what chance (and hypothesis, which knows the constants of our code) may write and is a reply indeed
LIKE_A_REPLY = re.compile(r"-ERR|\b(?:NO|BAD|BYE)\b|\b[245]\.\d|AADSTS|\b[45]\d\d\b")


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_random_text_holds_nothing(text: str) -> None:
    assume(not LIKE_A_REPLY.search(text))
    assert run.explain(text, as_of=DAY).verdict is Verdict.NO_REPLY


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_never_raise(data: bytes) -> None:
    outcome = run.explain(data, as_of=DAY)
    assert not outcome.findings or LIKE_A_REPLY.search(data.decode("latin-1").replace("\0", ""))


@settings(max_examples=25, deadline=None)
@given(
    chosen=st.lists(st.sampled_from(SAID), min_size=1, max_size=3),
    gaps=st.lists(st.integers(min_value=0, max_value=120), min_size=4, max_size=4),
    size=st.integers(min_value=1, max_value=5000),
)
def test_streaming_tells_what_the_whole_tells(chosen: list[Sign], gaps: list[int], size: int) -> None:
    parts = []
    for sign, gap in zip(chosen, gaps, strict=False):
        parts += [f"line {n} of a long and quiet log" for n in range(gap)] + [sign.example]
    data = "\n".join([*parts, *("the end" for _ in range(gaps[-1]))]).encode()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    # the hint: what a client's own words belong to is told by the rest of the text, which a window does not show
    whole = read(data, SIGNS, protocol=Protocol.SMTP)
    streamed = read(iter(pieces), SIGNS, protocol=Protocol.SMTP, whole=0)
    assert streamed.attempts == whole.attempts


def test_no_sign_is_overlooked_in_a_long_log() -> None:
    may_hold = Filter(SIGNS)
    assert [sign.id for sign in SAID if not may_hold(f"quiet\n{sign.example}\nquiet")] == []


@pytest.mark.parametrize(
    "line", ["verify error:num=20:unable to get local issuer certificate", "delay=2011, error=535 no"]
)
def test_numbers_of_a_log_are_no_quoted_printable(line: str) -> None:
    assert peel(f"{line}\n{line}") == f"{line}\n{line}"


LOGGED = (
    "smtp[17]: SASL authentication failed; server smtp.office365.com[40.99.150.50] said: 535 5.7.3 Authentication "
    "unsuccessful [LO2P265CA0001.GBRP265.PROD.OUTLOOK.COM]",
    "smtp[18]: connect to smtp.office365.com[40.99.150.50]:587: Connection timed out",
    "a1 NO LOGIN failed.",
    "-ERR Logon failure: unknown user name or bad password.",
    "password=hunter2hunter2 user=app@contoso.com",
    "qmgr[811]: from=<app@example.com>, size=1432, nrcpt=1 (queue active)",
    "",
)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(LOGGED), min_size=1, max_size=9),
    st.integers(80, 400),
    st.sampled_from(["Sep 28 13:03:%02d relay ", "2026-09-28T13:03:%02dZ ", ""]),
)
def test_a_window_that_was_read_before_means_the_same(repeated: list[str], length: int, stamp: str) -> None:
    lines = (
        (stamp % (number % 60) if stamp else "") + repeated[number % len(repeated)] + "\n" for number in range(length)
    )
    text = "".join(lines).encode()

    def heard(signs: Signs) -> Found:
        return read(iter([text]), signs, whole=0)

    remembered = heard(SIGNS)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mailwhy.signs.REMEMBERED", 0)
        patched.setattr(Hearing, "_meaning", lambda self, page, signs: (find(page, signs), context_of(page)))
        assert heard(Signs(KNOWN.signs)) == remembered
