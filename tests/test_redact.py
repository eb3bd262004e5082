"""The redactor: no form of the secret gets through, and what is no secret stays."""

from __future__ import annotations

import base64
import html
import json
import pickle
import quopri
import string
from collections.abc import Callable, Sequence
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mailwhy.redact import MASK, Redactor
from mailwhy.reply import decode

LOGIN = "user@contoso.test"
SECRETS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"]), min_size=5, max_size=40).filter(
    lambda text: len(text.strip()) > 4
)
FORMS: dict[str, Callable[[str], bytes]] = {
    "raw": lambda s: s.encode(),
    "upper": lambda s: s.upper().encode(),
    "lower": lambda s: s.lower().encode(),
    "base64": lambda s: base64.b64encode(s.encode()),
    "urlsafe": lambda s: base64.urlsafe_b64encode(s.encode()),
    "plain": lambda s: base64.b64encode(f"\0{LOGIN}\0{s}".encode()),
    "xoauth2": lambda s: base64.b64encode(f"user={LOGIN}\x01auth=Bearer {s}\x01\x01".encode()),
    "base64 inside 1": lambda s: base64.b64encode(b"x" + s.encode() + b"yz"),
    "base64 inside 2": lambda s: base64.b64encode(b"xy" + s.encode() + b"z"),
    "urlsafe inside 1": lambda s: base64.urlsafe_b64encode(b"x" + s.encode() + b"yz"),
    "urlsafe inside 2": lambda s: base64.urlsafe_b64encode(b"xy" + s.encode() + b"z"),
    "base64 of utf-16": lambda s: base64.b64encode(s.encode("utf-16-le")),
    "hex": lambda s: s.encode().hex().encode(),
    "HEX with colons": lambda s: s.encode().hex(":").upper().encode(),
    "hex of utf-16": lambda s: s.encode("utf-16-le").hex().encode(),
    "entities": lambda s: "".join(f"&#x{b:02x};" for b in s.encode()).encode(),
    "percent": lambda s: quote(s, safe="").encode(),
    "plus": lambda s: quote_plus(s).encode(),
    "all percent": lambda s: "".join(f"%{b:02x}" for b in s.encode()).encode(),
    "quoted-printable": lambda s: quopri.encodestring(s.encode(), quotetabs=True).replace(b"=\n", b""),
    "utf-16": lambda s: s.encode("utf-16-le"),
    "utf-16-be": lambda s: s.encode("utf-16-be"),
    "quoted": lambda s: ('"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"').encode(),
    "json": lambda s: json.dumps(s).encode(),
    "json, raw": lambda s: json.dumps(s, ensure_ascii=False).encode(),
    "html": lambda s: html.escape(s).encode(),
    "without blanks": lambda s: "".join(s.split()).encode(),
}


BASE64 = (
    "base64",
    "urlsafe",
    "plain",
    "xoauth2",
    "base64 inside 1",
    "base64 inside 2",
    "base64 of utf-16",
    "urlsafe inside 1",
    "urlsafe inside 2",
)


def shown(form: str, secret: str) -> str:
    """The form as it would stand in a decoded line."""
    text = decode(FORMS[form](secret).replace(b"\n", b"").replace(b"\r", b""))
    return text.rstrip("=") if form in BASE64 else text


@settings(max_examples=25, deadline=None)
@given(
    secret=SECRETS,
    before=st.sampled_from(["", "535 5.7.3 ", "a2 NO bad: ", "x"]),
    after=st.sampled_from(["", " end", "!"]),
)
@example(secret="abcdefghijklmnop", before="", after="")
@example(secret='a"b\\c d', before="x", after="")
@example(secret="pässwörd ✓", before="", after="")
@pytest.mark.parametrize("form", FORMS)
def test_no_form_gets_through(form: str, secret: str, before: str, after: str) -> None:
    assume(not set(FORMS[form](secret).rstrip(b"\n")) & {10, 13})
    sent = shown(form, secret)
    line = Redactor(secret, LOGIN).line(before + sent + after)
    assert MASK in line
    assert sent not in line.replace(MASK, "\0")


@settings(max_examples=40, deadline=None)
@given(secret=SECRETS.filter(lambda s: "".join(s.split()) == s), data=st.data())
@pytest.mark.parametrize("form", ["raw", "base64", "plain", "hex"])
def test_not_even_over_several_lines(form: str, secret: str, data: st.DataObject) -> None:
    text = shown(form, secret)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), min_size=1, max_size=3)))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    lines = Redactor(secret, LOGIN).lines([f"535-{part}" for part in parts])
    assert text not in "".join(line[4:] for line in lines).replace(MASK, "\0")
    assert MASK in "".join(lines)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=5), st.text(max_size=20))
def test_never_raises_and_keeps_the_number_of_lines(lines: list[str], secret: str) -> None:
    assert len(Redactor(secret, LOGIN).lines(lines)) == len(lines)


@pytest.mark.parametrize(
    "form", ["raw", "upper", "base64", "plain", "xoauth2", "base64 inside 1", "hex", "hex of utf-16", "entities"]
)
def test_long_tokens(form: str) -> None:
    token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9." + "".join(chr(97 + i * i % 23) + str(i) for i in range(700))
    sent = shown(form, token)
    line = Redactor(token, LOGIN).line(f"535 5.7.3 {sent} end")
    left = line.replace(MASK, "\0")
    assert not any(sent[at : at + 20] in left for at in range(len(sent) - 20))
    assert len(line) < 70


def test_halves_at_the_ends_of_answers_are_masked() -> None:
    redactor = Redactor("correcthorsebattery", LOGIN)
    assert redactor.lines(["535 you said correcthors"]) == ["535 you said ***"]
    assert redactor.lines(["ebattery is what you said"]) == ["*** is what you said"]


@pytest.mark.parametrize("secret", ["535", "OK", "a", "5.7.3", "NO"])
def test_reply_codes_survive_odd_secrets(secret: str) -> None:
    redactor = Redactor(secret, LOGIN)
    assert redactor.line("535 5.7.139 unsuccessful").startswith("535 ")
    assert redactor.line("a2 NO LOGIN failed.") == "a2 NO LOGIN failed."
    assert redactor.line("+OK ready") == "+OK ready"


def test_what_is_no_secret_stays() -> None:
    text = (
        "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [AM5PR06.x.y 08DD32D465DA2413]"
    )
    assert Redactor("abcdefghijklmnop", LOGIN).line(text) == text
    assert Redactor(None).line("abcdefghijklmnop") == "abcdefghijklmnop"
    assert Redactor("").line("anything") == "anything"


def test_shows_nothing_itself() -> None:
    redactor = Redactor("abcdefghijklmnop", LOGIN)
    assert "abcd" not in repr(redactor)
    with pytest.raises(TypeError):
        pickle.dumps(redactor)


class Thorough(Redactor):
    """Looks through every answer, without the quick look before."""

    def _clear(self, bodies: Sequence[str]) -> bool:
        return False


ODD_SECRETS = st.one_of(
    st.text("abxX0&#%=-_. \\", min_size=1, max_size=24),  # of what may stand between hex pairs
    st.text(st.characters(max_codepoint=126, min_codepoint=32), min_size=1, max_size=40),
    st.text(string.ascii_lowercase, min_size=12, max_size=20),
    st.text(string.ascii_letters + "0.-_", min_size=65, max_size=90),  # long as a token
    st.text(min_size=1, max_size=12),
)
BETWEEN_CHARACTERS = st.sampled_from(["", "", "", " ", ":", "\\x", "0x", "&#x", "= ", "\t", "-", "."])
AROUND = st.one_of(st.just(""), st.text(string.ascii_letters + " 0x:=", max_size=12))


@st.composite
def traces(draw: st.DrawFn, secret: str) -> str:
    """A part of some form of the secret, with something between its characters or pairs, and something around it."""
    form = shown(draw(st.sampled_from(sorted(FORMS))), secret)
    size = draw(st.integers(1, len(form) + 1))
    part = draw(st.sampled_from([form, form, form[:size], form[-size:], form[size // 2 :][:size]]))
    step = draw(st.sampled_from([1, 2, 3, 16]))
    parts = draw(BETWEEN_CHARACTERS).join(part[at : at + step] for at in range(0, len(part), step))
    return draw(AROUND) + parts + draw(AROUND)


@settings(max_examples=600, deadline=None)
@given(data=st.data(), secret=ODD_SECRETS)
def test_the_quick_look_passes_nothing_that_the_thorough_one_masks(data: st.DataObject, secret: str) -> None:
    text = "".join(data.draw(st.lists(traces(secret), min_size=1, max_size=2)))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=2)))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    heads = st.sampled_from(["", "535-", "235 ", "* OK ", "a2 NO ", "+ "])
    lines = [data.draw(heads) + part for part in parts]
    assert Redactor(secret, LOGIN).lines(lines) == Thorough(secret, LOGIN).lines(lines)


def test_the_quick_look_is_enough_for_usual_answers() -> None:
    lines = [
        "250-SMTP.example.com Hello [192.0.2.7]",
        "* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN AUTH=XOAUTH2] ready.",
        "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [AM5PR06.x.y 08DD32D465DA2413]",
    ]
    for secret in ("abcdefghijklmnop", "Tr0ub4dor & 3 more", "Pa55-w0rd_x0", "eyJ0" * 300):
        redactor = Redactor(secret, LOGIN)
        assert all(redactor._clear([line]) for line in lines)
        assert not redactor._clear([f"x {secret} y"])
