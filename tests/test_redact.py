"""The redactor: no form of the secret gets through, and what is no secret stays."""

from __future__ import annotations

import base64
import html
import json
import pickle
import quopri
from collections.abc import Callable
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
    "base64 of utf-16": lambda s: base64.b64encode(s.encode("utf-16-le")),
    "hex": lambda s: s.encode().hex().encode(),
    "HEX with colons": lambda s: s.encode().hex(":").upper().encode(),
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


BASE64 = ("base64", "urlsafe", "plain", "xoauth2", "base64 inside 1", "base64 inside 2", "base64 of utf-16")


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


@pytest.mark.parametrize("form", ["raw", "upper", "base64", "plain", "xoauth2", "base64 inside 1", "hex"])
def test_long_tokens(form: str) -> None:
    token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9." + "".join(chr(97 + i * i % 23) + str(i) for i in range(700))
    sent = shown(form, token)
    line = Redactor(token, LOGIN).line(f"535 5.7.3 {sent} end")
    left = line.replace(MASK, "\0")
    assert not any(sent[at : at + 20] in left for at in range(len(sent) - 20))
    assert len(line) < 60


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
