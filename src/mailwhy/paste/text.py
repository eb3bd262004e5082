"""Turns whatever was pasted into plain lines: any bytes in, never an exception out.

Programs escape, wrap, prefix and decorate what a server said (JSON, HTML, quoted-printable, markdown, quote and
comment marks, log and grep prefixes, terminal colours). Everything here takes such a layer off again and **never
adds or removes a line end**, so that a place in the clean text still tells the line of the paste. A line end that
was only written (`\\n` in JSON, `<br>`) becomes `SOFT`.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property

from ..noun import dataclass
from ..shape import Shape, fold
from ..signs import squash
from .times import leading_time

SOFT = "\v"  # a line end inside a line of the paste

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def encoding_of(start: bytes) -> tuple[str, int]:
    """The encoding that these first bytes tell, and how many of them are only its mark."""
    for mark, name in _BOMS:
        if start.startswith(mark):
            return name, len(mark)
    head = start[:200]
    if len(head) >= 8 and head[1::2].count(0) > len(head) // 3:
        return "utf-16-le", 0
    if len(head) >= 8 and head[::2].count(0) > len(head) // 3:
        return "utf-16-be", 0
    return "utf-8", 0


def _as_latin_1(problem: UnicodeError) -> tuple[str, int]:
    if not isinstance(problem, UnicodeDecodeError):
        raise problem
    return problem.object[problem.start : problem.end].decode("latin-1"), problem.end


codecs.register_error("latin-1-bytes", _as_latin_1)


def decoded(text: str | bytes | Iterable[bytes]) -> Iterator[str]:
    """The text in pieces, decoded: UTF-16 or UTF-8 as its first bytes tell, Latin-1 for bytes that fit neither."""
    if isinstance(text, str):
        yield text
        return
    pieces = iter((text,) if isinstance(text, bytes) else text)
    start = b""
    for piece in pieces:
        start += piece
        if len(start) >= 200:
            break
    name, skip = encoding_of(start)
    decoder = codecs.getincrementaldecoder(name)("latin-1-bytes" if name == "utf-8" else "replace")
    yield decoder.decode(start[skip:])
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", True)


# -- layers, taken off over the whole text -----------------------------------------------------------------------

_ANSI = Shape(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|\^\[\[[\d;]*m", holds=("\x1b", "^[[")
)
_HIDDEN = Shape("[\x00\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffd\u00ad]")
_BLANKS = dict.fromkeys((0xA0, 0x2007, 0x202F, 0x3000), " ")  # typographic ones, as web pages and chats have them
_WRITTEN_END = Shape(r"\\+r\\+n|\\+[nr](?![a-z]*[\\@])|<br\s*/?>|</(?:p|div|td|tr|li|pre)>", re.IGNORECASE)
_ESCAPED = Shape(r"\\+(?P<code>u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})|\\+(?P<mark>[\"'/_*`\[\]<>])|\\+t(?![a-z])")
_TAG = Shape(
    r"</?(?:p|div|span|b|i|u|em|strong|code|pre|td|tr|th|table|tbody|li|ul|ol|a|font|html|body|kbd|tt)"
    r"(?:\s[^<>\n]{0,200})?/?>|<!\[CDATA\[|\]\]>",
    re.IGNORECASE,
)
_QUOTED_PRINTABLE = Shape(r"(?:=[0-9A-F]{2})+")
_SOFT_WRAP = Shape(r"=(?=\n)")
_MARKDOWN = Shape(
    r"(?<!\*)\*\*(?!\*)|\*\*(?=\*[ ](?:BYE|OK|NO|BAD)\b)|``?`?(?:[a-z]+(?=\n))?|~~", holds=("**", "`", "~~")
)
_DOUBLED = Shape(r"(?<=\w)''(?=\w)", holds=("''",))
_TUPLE = Shape(r"\(\s*(?P<a>\d{3})\s*,\s*b?['\"]|(?<![\d.])(?P<b>\d{3}),\s*b?['\"](?=\d\.|\w)", holds=("'", '"'))
_RUST = Shape(r"\berror \((?P<status>[45]\d\d)\):?[ \t]*", holds=("error (",))

_IN_ADDRESS = Shape(
    r"(?:(?<=%20)|(?<=%3A)|(?<=%22)|(?<=%27)|(?<=%28)|(?<![\w%.]))"
    r"(?:[245]\d\d(?:\+|%20)[245]\.\d\.\d{1,3}|[45]\.\d\.\d{1,3}|(?:NO|BAD)(?:\+|%20)[A-Z]|-ERR)(?:\+|%20)[^\s\"<>&]*"
    r"|(?<=error_description=)[^\s\"<>&+%]+(?:\+|%20)[^\s\"<>&]*",
    0,
    ("+", "%20"),
)


def _written(found: re.Match[str]) -> str:
    if code := found["code"]:
        letter = chr(int(code[1:], 16))
        return letter if letter.isprintable() else " "
    return found["mark"] or " "


def _spelt(found: re.Match[str]) -> str:
    """A reply in the address of an error page, or in a log that writes blanks as plus signs."""
    from urllib.parse import unquote_plus

    return " ".join(unquote_plus(found.group(), errors="replace").split())


def _octets(found: re.Match[str]) -> str:
    text = bytes.fromhex(found.group().replace("=", "")).decode("utf-8", "latin-1-bytes")
    return "".join(letter if letter.isprintable() else " " for letter in text)


def peel(text: str) -> str:
    """The text without escapes, entities, tags, colours and stars; as many line ends as before."""
    text = _ANSI.sub("", text)
    if not text.isascii() or "\0" in text:
        text = _HIDDEN.sub("", text).translate(_BLANKS)
    text = text.replace("\r\n", "\n").replace("\f", " ")
    text = text.replace("\r", SOFT if "\n" in text else "\n")
    for _ in range(3):  # JSON inside JSON inside a log
        if "\\" not in text:
            break
        text = _ESCAPED.sub(_written, _WRITTEN_END.sub(SOFT, text))
    for _ in range(3):  # a page inside a page
        if "&" not in text:
            break
        text = re.sub(r"&(?:#\d{1,6}|#x[0-9a-fA-F]{1,5}|[a-zA-Z]{2,8});", _entity, text)
    if "<" in text:
        text = _TAG.sub("", _WRITTEN_END.sub(SOFT, text))
    if _quoted_printable(text):
        text = _QUOTED_PRINTABLE.sub(_octets, _SOFT_WRAP.sub("", text))
    text = _IN_ADDRESS.sub(_spelt, text)
    text = _DOUBLED.sub("'", _MARKDOWN.sub("", text))
    return _RUST.sub(r"\g<status> ", _TUPLE.sub(lambda found: f" {found['a'] or found['b']} ", text))


def _entity(found: re.Match[str]) -> str:
    import html

    return " ".join(html.unescape(found.group()).splitlines()) or " "


def _quoted_printable(text: str) -> bool:
    """Is it, and no log with `num=20:` or `delay=200`? A blank is written so at a line's end, seldom within it."""
    marks = r"=20$|(?:=20[A-Za-z][^=\n]*){3}|=3D|=E2=80|=C2=A0|quoted-printable|\w=\n\w"
    return "=" in text and bool(re.search(marks, text, re.MULTILINE))


# -- prefixes, taken off line by line ----------------------------------------------------------------------------

# each with words of which one stands in the line, or with the characters that its first word begins with
_GREP = Shape(r"^\s*(?:[A-Za-z]:)?[\w./\\-]*[\w-]\.(?:log|txt|gz|out|err|\d{1,3})[\w.-]*:(?:\d+[:-])?\s*", holds=(":",))
_QUOTE = Shape(r"^\s*(?:(?:>(?!>>)\s?)+(?!b?')|\|\s+|#+\s+|//+\s+|--\s+(?=\w)|REM\s+|[•·→]\s*|[*-]\s+(?=\d{3}[ -]))")
_LEVEL = Shape(
    r"^\s*[-\[(|]*\s*(?:DEBUG|INFO|WARN(?:ING)?|ERROR?|ERRO|FATAL|TRACE|NOTICE|CRITICAL|VERBOSE)\s*[\])|]?\s*[:|-]?\s+(?=\S)",
    holds=("DEBUG", "INFO", "WARN", "ERR", "FATAL", "TRACE", "NOTICE", "CRITICAL", "VERBOSE"),
)
_SYSLOG = Shape(r"^\s*(?:[\w.-]+ )?[\w./-]+\[\d+\]:\s+", holds=("]:",))
_CONTAINER = Shape(  # docker compose logs; Kubernetes
    r"^\s*(?:[\w.-]{1,40} {1,20}\| ?|std(?:out|err) [FP] )(?=\S)", holds=("|", "std")
)
_THREAD = Shape(r"^\s*\[(?![\d.:a-fA-F]+\])[\w .:@#-]{1,40}\]\s+(?=\S)")
_FIRST = {_QUOTE: ">|#/-R•·→*", _THREAD: "["}
_SPEAKER = Shape(
    r"""^\s*(?:
      (?P<server> S: | SERVER(?:[ ]->[ ]CLIENT)?: | <<<|<<(?!\w)|<--|<-(?!\w)|<\*\*|<~\*? | Rx\b:?|RECV:?
                | [\w:=()]{0,40}<<< | \w+:[ ](?:POP3|IMAP|SMTP)< | <(?=[ ]b?') )
    | (?P<client> C: | CLIENT(?:[ ]->[ ]SERVER)?: | >>>|-->|->(?!\w)|~> | Tx\b:?|SEND:?
                | [\w:=()]{0,40}>>> | \w+:[ ](?:POP3|IMAP|SMTP)> | >(?=[ ]b?') )
    )\s*(?:b?['"](?=\S))?""",
    re.VERBOSE,
    ("<", ">", "S:", "C:", "SERVER", "CLIENT", "Rx", "Tx", "RECV", "SEND"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the paste without its prefixes.

    speaker   "client", "server" or "" where nobody says
    prefixed  a log's prefix stood in front: a record begins here
    """

    number: int
    text: str
    time: str | None = None
    speaker: str = ""
    prefixed: bool = False


def line_of(number: int, text: str) -> Line:
    """Takes the prefixes off one peeled line; what they told is kept (time, speaker)."""
    time, speaker, prefixed = None, "", False
    for _ in range(8):
        before = text
        if found := _SPEAKER.match(text):
            speaker = "server" if found["server"] else "client"
            text = text[found.end() :]
            continue
        if told := leading_time(text):
            time, text, prefixed = time or told[0], text[told[1] :], True
            continue
        begins = text.lstrip()[:1]
        for shape in (_GREP, _QUOTE, _LEVEL, _SYSLOG, _THREAD, _CONTAINER):
            if begins in _FIRST.get(shape, begins) and (found := shape.match(text)):
                text, prefixed = text[found.end() :], prefixed or shape is not _QUOTE
                break
        if text == before:
            break
    return Line(number, text, time, speaker, prefixed)


class Page:
    """Lines that stand together, clean, as one text; places in it lead back to the lines."""

    def __init__(self, lines: tuple[Line, ...]) -> None:
        self.lines = lines

    @cached_property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    @cached_property
    def folded(self) -> str:
        """The text in small letters."""
        return fold(self.text)

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [], 0
        for line in self.lines:
            starts.append(at)
            at += len(line.text) + 1
        return starts

    @cached_property
    def squashed(self) -> Squashed:
        return Squashed(self.text)

    def index(self, at: int) -> int:
        """Which of `lines` holds this place of `text`."""
        return max(0, bisect_right(self._starts, at) - 1)

    def line(self, at: int) -> Line:
        return self.lines[self.index(at)]

    def start(self, index: int) -> int:
        """Where in `text` this line begins."""
        return self._starts[index]

    def time(self, at: int, reach: int = 30) -> str | None:
        """The time on the line of this place, else the nearest one shortly before it."""
        index = self.index(at)
        back = range(index, max(-1, index - reach), -1)
        return next((self.lines[i].time for i in back if self.lines[i].time), None)


def page_of(text: str, first: int = 1) -> Page:
    """The paste (or a window of it that begins at line `first`) as a page."""
    return Page(tuple(line_of(number, line) for number, line in enumerate(peel(text).split("\n"), first)))


class Squashed:
    """The text as signs are compared, and the way back from each place in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.text = squash(text)

    @cached_property
    def _words(self) -> tuple[list[int], list[int]]:
        """Where each word begins, here and in the unsquashed text."""
        plain, length = self._text.isascii(), 0
        here: list[int] = []
        there: list[int] = []
        for word in re.finditer(r"\S+", self._text):
            here.append(length)
            there.append(word.start())
            length += word.end() - word.start() if plain else len(squash(word.group()))
        return here, there

    def original(self, index: int) -> int:
        """The place in the unsquashed text; exact but for the rare letter whose folded form is longer."""
        here, there = self._words
        if not here:
            return 0
        word = max(0, bisect_right(here, index) - 1)
        return min(len(self._text), there[word] + index - here[word])
