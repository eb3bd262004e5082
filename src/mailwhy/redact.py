"""Masks the run's own secret in what a server sends, before it becomes evidence. Pure.

A server may echo what it was told: as it stands, in base64 (alone or inside a SASL blob), percent or hex,
in UTF-16, quoted, and broken over lines. `Redactor.lines` masks one answer at a time and keeps reply codes,
so that a secret like `535` cannot spoil the evidence. It never raises and never stores what it masked.
"""

from __future__ import annotations

import base64
import itertools
import json
import operator
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from .reply import decode, harmless

MASK = "***"
CODINGS = ("utf-8", "utf-16-le", "utf-16-be")
LONG = 64  # longer secrets (tokens) are found by any WINDOW characters of theirs, not as a whole
SHORT = 4  # raw secrets below this length are masked as whole words only: "OK" stands in every reply
WINDOW = 16  # base64 text that shares this many characters with a blob of ours is masked, to its end
EDGE = 6  # characters of the secret that give it away at the end of one answer or the start of the next

# What a protocol puts in front of a line; no secret, whatever it equals
HEAD = re.compile(r"(?:[2-5]\d\d[ -]|\* (?:OK|NO|BAD|BYE|PREAUTH)\b|a\d+ (?:OK|NO|BAD)\b|\+OK\b|-ERR\b|\+ )")
BETWEEN = r"(?:[\s:.,;%=_-]|\\x|0x|&#x)*+"  # hex pairs are written in many ways
SEPARATOR = re.compile(BETWEEN.removesuffix("*+") + "++")

# For the quick look (`_clear`)
BLANKS = bytes(code for code in range(128) if chr(code).isspace())
BETWEEN_ANY = rb":.,;%=_-\x0&#"  # with BLANKS every character that BETWEEN can match, in lower case
TAKEN_OUT = BETWEEN_ANY + BLANKS
KEPT = bytes(code not in TAKEN_OUT for code in range(256))
ZEROS = bytes(code == ord("0") for code in range(256))
PIECE = 6  # characters of a window that are looked up, those of BETWEEN_ANY left out ...
PACE = 3  # ... at every third place
ENOUGH = PIECE + PACE - 1  # characters that a window must keep to be found so


class Redactor:
    """Masks one secret. With secret None (no sign-in is made) every line passes unchanged.

    Nearly every answer is free of the secret, and each sign-in has dozens to look through. So `_clear` looks first, in
    microseconds, for something that every finding of `_spans` must hold; what `_spans` needs is made when it is asked.
    """

    __slots__ = ("__blobs", "__edges", "__grams", "__hex", "__keys", "__least", "__pattern", "__pieces", "__raw")

    def __init__(self, secret: str | None, login: str | None = None) -> None:
        word = secret or ""
        long = len(word) > LONG
        raw = {word} if long else {form for form in _raw(word) if form}
        self.__raw = raw | ({"".join(form.split()) for form in raw} - {""})  # see _hide: read without blanks
        self.__blobs = {*_blobs(word, login or ""), *(_long(word) if long else ())} if word else set()
        self.__least = 2 * len(word)  # hex digits that the secret has at the least
        self.__hex = _hex_shapes(word) if SHORT <= len(word) <= LONG else None
        self.__pattern: re.Pattern[str] | None = None
        self.__edges: _Edges | None = None
        self.__grams: frozenset[str] = frozenset()
        self.__keys = _keys(self.__raw, self.__blobs, word)
        self.__pieces = _pieces(self.__blobs)

    def __repr__(self) -> str:
        return "Redactor(***)"

    def __reduce__(self) -> tuple[type[Redactor], tuple[None]]:
        raise TypeError("a redactor knows a secret: it cannot be pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a redactor knows a secret: it cannot be copied out")

    def line(self, text: str) -> str:
        """One line, masked."""
        return self.lines([text])[0]

    def lines(self, texts: Sequence[str]) -> list[str]:
        """The lines of one answer, masked, also where the secret runs over their ends."""
        if not self.__raw:
            return list(texts)
        heads = [found.end() if (found := HEAD.match(text)) else 0 for text in texts]
        bodies = [text[head:] for text, head in zip(texts, heads, strict=True)]
        return list(texts) if self._clear(bodies) else self._masked(texts, heads, bodies)

    def _clear(self, bodies: Sequence[str]) -> bool:
        """Is this answer certainly free of the secret? False where it may not be.

        Whatever `_spans` finds, in the bodies joined or in one of them, with blanks or without, stands there in one
        stretch. What is left of a stretch when some characters are taken out everywhere stands in what is left of all.
        """
        data = "".join(bodies)
        if self.__keys is None or self.__pieces is None or not data.isascii():
            return False
        joined = data.lower().encode().translate(None, BLANKS)
        bare = joined.translate(None, BETWEEN_ANY)
        firm, loose = self.__keys
        pieces, zeros = self.__pieces
        for key in firm:  # not with any(): this is asked of everything that a server says
            if key in joined:
                return False
        for key in loose:
            if key in bare:
                return False
        said = [bare[at : at + PIECE] for at in range(0, len(bare) - PIECE + 1, PACE)]
        return pieces.isdisjoint(said) and joined.count(b"0") < zeros

    def _masked(self, texts: Sequence[str], heads: Sequence[int], bodies: Sequence[str]) -> list[str]:
        """The same lines, looked through for every form of the secret."""
        if self.__pattern is None or self.__edges is None:
            word_forms = self.__raw | self.__blobs if self.__least <= 2 * LONG else ()
            self.__pattern = _pattern(word_forms)  # matches nothing where there are none
            self.__edges = _edges(form for form in self.__raw if EDGE < len(form) <= LONG * 2)
            self.__grams = _grams(self.__blobs)
        hidden = [[False] * len(body) for body in bodies]
        self._hide(bodies, hidden, range(len(bodies)), blanks=False)
        for number in range(len(bodies)):
            self._hide(bodies, hidden, range(number, number + 1), blanks=True)
        return [
            text[:head] + _blotted(body, marks)
            for text, head, body, marks in zip(texts, heads, bodies, hidden, strict=True)
        ]

    def _hide(self, bodies: Sequence[str], hidden: list[list[bool]], which: range, *, blanks: bool) -> None:
        """Marks every character of these bodies, read as one text, that belongs to the secret.

        Without blanks, a secret is found that was broken over lines or written in groups.
        """
        joined = "".join(bodies[number] for number in which)
        spans = list(self._spans(joined if blanks else "".join(joined.split())))
        if not spans:  # nearly always: only then each character's place is worked out
            return
        places = [
            (number, at) for number in which for at, char in enumerate(bodies[number]) if blanks or not char.isspace()
        ]
        for start, end in spans:
            for number, at in places[start:end]:
                hidden[number][at] = True

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        patterns = [self.__pattern] if self.__pattern else []
        if self.__hex and sum(map(text.count, "0123456789abcdefABCDEF")) >= self.__least:
            patterns.append(re.compile(self.__hex, re.IGNORECASE))
        for pattern in patterns:
            start = 0
            while found := pattern.search(text, start):
                yield found.span()
                start = found.start() + 1  # forms overlap: a blob may begin inside another
        folded = _fold(text)
        if self.__grams:
            yield from self._windows(folded, range(len(text)))
            yield from self._windows(folded, _between_taken_out(text))
        sizes, starts, ends = self.__edges or _edges(())
        for size in itertools.takewhile(lambda size: size <= len(folded), sizes):
            if folded[-size:] in starts:
                yield len(text) - size, len(text)
            if folded[:size] in ends:
                yield 0, size

    def _windows(self, folded: str, places: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Where WINDOW characters, read at these places only, are the secret's."""
        text = "".join(map(folded.__getitem__, places))
        for at in range(len(text) - WINDOW + 1):
            if text[at : at + WINDOW] in self.__grams:
                yield places[at], places[at + WINDOW - 1] + 1


_Edges = tuple[Sequence[int], frozenset[str], frozenset[str]]


def _edges(forms: Iterable[str]) -> _Edges:
    """The beginnings and the ends of these forms, folded, and how long they are: looked up, not tried one by one."""
    folded = [_fold(form) for form in forms]
    starts = frozenset(form[:size] for form in folded for size in range(EDGE, len(form)))
    ends = frozenset(form[-size:] for form in folded for size in range(EDGE, len(form)))
    return sorted({len(each) for each in starts}), starts, ends


def _keys(raw: set[str], blobs: set[str], word: str) -> tuple[frozenset[bytes], frozenset[bytes]] | None:
    """For `_clear`: what an answer must hold, without blanks, or (hex) without BETWEEN_ANY as well; None: anything.

    A form, or its beginning at the end of an answer, holds its first EDGE characters; its end at the beginning of one,
    the last EDGE. Of what `_pieces` sees nothing is asked here.
    """
    forms = raw | {blob for blob in blobs if len(blob) < WINDOW}
    if not all(map(str.isascii, forms)):
        return None
    data = [form.lower().encode() for form in forms]
    firm = {each.translate(None, BLANKS) for form in data for each in (form[:EDGE], form[-EDGE:])}
    hexes = (word.encode(coding).hex().encode() for coding in CODINGS) if len(word) <= LONG else ()
    loose = {each.translate(None, BETWEEN_ANY) for each in hexes}
    return None if b"" in firm | loose else (frozenset(firm), frozenset(loose))


def _pieces(blobs: set[str]) -> tuple[frozenset[bytes], int] | None:
    """For `_clear`: what stands at one of PACE places of every window, without blanks and BETWEEN_ANY; None: anything.

    And how many zeros an answer must hold for a window that keeps too little without them (UTF-16 in hex).
    """
    if not all(map(str.isascii, blobs)):
        return None
    data = [blob.lower().encode() for blob in blobs]
    bare = b"\xff".join(data).translate(None, TAKEN_OUT)  # \xff: no answer that is asked about holds it
    pieces = frozenset([bare[at : at + PIECE] for at in range(len(bare) - PIECE + 1)])
    zeros = [
        zero
        for blob in data
        if len(blob) - len(blob.translate(None, TAKEN_OUT)) > WINDOW - ENOUGH  # else every window keeps enough
        for keep, zero in zip(_in_windows(blob.translate(KEPT)), _in_windows(blob.translate(ZEROS)), strict=True)
        if keep < ENOUGH
    ]
    return pieces, min(zeros, default=sys.maxsize)


def _in_windows(flags: bytes) -> list[int]:
    """How many flags are set in each window."""
    before = list(itertools.accumulate(flags, initial=0))
    return list(map(operator.sub, before[WINDOW:], before))


def _between_taken_out(text: str) -> list[int]:
    """The places of a text without what may stand between hex pairs."""
    places: list[int] = []
    start = 0
    for found in SEPARATOR.finditer(text):
        places += range(start, found.start())
        start = found.end()
    return [*places, *range(start, len(text))]


def _fold(text: str) -> str:
    """One case, where that keeps the length (places in the text must stay)."""
    folded = text.lower()
    return folded if len(folded) == len(text) else text


def _blotted(body: str, marks: Sequence[bool]) -> str:
    if not any(marks):
        return body
    parts: list[str] = []
    for at, char in enumerate(body):
        if not marks[at]:
            parts.append(char)
        elif at == 0 or not marks[at - 1]:
            parts.append(MASK)
    return "".join(parts)


def _raw(secret: str) -> Iterator[str]:
    """The secret as text, in the spellings in which a server or a log may repeat it."""
    for plain in {secret, secret.strip(), "".join(secret.split())}:
        for form in {plain, *(unicodedata.normalize(kind, plain) for kind in ("NFC", "NFD"))}:
            # of ASCII, every spelling differs from the first in case alone, and all are compared without case
            for text in (form,) if form.isascii() else {form, form.upper(), form.lower(), form.casefold()}:
                yield harmless(text)
                for coding in CODINGS:
                    data = text.encode(coding, "surrogatepass")
                    yield harmless(data.decode("latin-1"))
                    if not data.isascii() or data.endswith((b"\r", b"\n")):  # else it is the same
                        yield decode(data)
                if text.isascii() and text.isalnum():
                    continue  # nobody spells it otherwise
                yield harmless(text.replace("\\", "\\\\").replace('"', '\\"'))
                yield harmless(text.replace("\\", "\\\\").replace("'", "\\'"))
                yield json.dumps(text)[1:-1]
                yield json.dumps(text, ensure_ascii=False)[1:-1]
                yield text.translate(_HTML)
                yield from (text.encode(coding, "replace").decode(coding) for coding in ("latin-1", "ascii"))
                yield from (_escaped(text, "%"), _escaped(text, "%").replace("%20", "+"), _escaped(text, "="))


# as html.escape, whose import costs a millisecond
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})


def _long(secret: str) -> Iterator[str]:
    """What stretches of a long secret look like; the forms are fewer, because tokens are plain ASCII."""
    yield from (secret, harmless(secret), json.dumps(secret)[1:-1], secret.translate(_HTML))
    yield from (_escaped(secret, "%"), _escaped(secret, "="))
    for coding in CODINGS:
        data = secret.encode(coding, "surrogatepass")
        yield from (data.hex(), decode(data), harmless(data.decode("latin-1")))


def _escaped(text: str, sign: str) -> str:
    """Percent encoding (%) or quoted-printable (=): plain letters and digits stay."""
    kept = b"-._~" if sign == "%" else bytes(byte for byte in range(33, 127) if byte not in b"=")
    return "".join(chr(b) if (chr(b).isalnum() and b < 128) or b in kept else f"{sign}{b:02X}" for b in _bytes(text))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _blobs(secret: str, login: str) -> Iterator[str]:
    """Base64 of the secret, alone, in our own SASL messages, and inside anything longer (three alignments)."""
    user, word = _bytes(login), _bytes(secret)
    whole = [word, b"\0" + user + b"\0" + word, user + b"\0" + user + b"\0" + word]
    whole += [b"user=" + user + b"\x01auth=Bearer " + word + b"\x01\x01", _bytes(f"{login}:{secret}")]
    whole += [secret.encode(coding, "surrogatepass") for coding in ("utf-16-le", "utf-16-be", "utf-16")]
    whole += [secret.encode("latin-1", "replace")] if not secret.isascii() else []
    for data in whole:
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(data).decode().rstrip("=")
    for data in (word, *(secret.encode(coding, "surrogatepass") for coding in ("utf-16-le", "utf-16-be"))):
        for skip in range(3):
            inner = base64.b64encode(b"\0" * skip + data).decode().rstrip("=")
            first = (0, 2, 3)[skip]  # characters that also depend on what stands before
            last = len(inner) - (1 if (skip + len(data)) % 3 else 0)  # ... and after
            if last - first >= SHORT:
                yield inner[first:last]
                yield inner[first:last].replace("+", "-").replace("/", "_")  # the URL's alphabet


def _grams(forms: Iterable[str]) -> frozenset[str]:
    folded = [_fold(form) for form in forms]
    return frozenset(form[at : at + WINDOW] for form in folded for at in range(len(form) - WINDOW + 1))


def _pattern(forms: Iterable[str]) -> re.Pattern[str]:
    shapes: list[str] = []
    for form in sorted(forms, key=len, reverse=True):
        shape = re.escape(form)
        shapes.append(shape if len(form) >= SHORT else rf"(?<!\w){shape}(?!\w)")
    return re.compile("|".join(shapes) or r"(?!)", re.IGNORECASE)


def _hex_shapes(secret: str) -> str:
    """The secret in hex, whatever stands between the pairs. Compiled only where a line has digits enough."""
    codes = (secret.encode(coding, "surrogatepass").hex(" ").split() for coding in CODINGS)
    return "|".join(BETWEEN.join(pairs) for pairs in codes)
