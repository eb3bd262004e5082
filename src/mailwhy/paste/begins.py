"""Where something stands in a page that looks like the beginning of a reply: its codes, its tag, a greeting."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..shape import Choice, Shape
from .text import Page

_STATUS = r"(?:2[1235]\d|334|354|4[2-7]\d|5[0-7]\d)"
MAIL_WORDS = (
    r"auth|log[io]n|sign|password|credential|mail|access|denied|sender|recipient|relay|client|command|syntax|server"
    r"|service|tls|ssl|mechanism|parameter|account|blocked|spam|rejected|unavailable|domain|connection|user|must|hello"
)
_CONTEXT = (
    r"(?:^[ \t]*|(?:said|response|responded|reply|replied|answered|returned|returns|error|login|failed|failure|details?"
    r"|message|reason|err|rx|status|code|exception|invalid|sending|from[ ]server|client|trace|body)"
    r"\s*(?:was|with|is)?\s*(?:[:=]|->|=>)\s*|[<>\[({|]\s*|['\"]\s*)"
)
# statuses that need no enhanced code; of these the ones that are believed after any colon
_BARE = tuple(
    map(
        str, (421, *range(430, 433), *range(450, 456), *range(500, 505), 521, 523, 530, 534, 535, 538, *range(550, 557))
    )
)
_FIRM = tuple(map(str, (*range(501, 505), 521, 523, 530, 534, 535, 538, 550, 553, 554)))
# stands wherever one of them is found, and is cheaper to compile
_ALONE = Shape(r"[45]\d\d[ \-](?!\s*[245]\.\d|\d+[ ])")
_COUNTED = r"(?:(?:e-?)?mails|messages|recipients|users|accounts|domains|connections|passwords)\b"
_TAG = r"\*|\.|[A-Za-z]{0,12}\d{1,10}|[a-z]{4}|[A-Z]{1,4}\d*"
# written small: a text of plain letters that holds none of the others is searched in small letters
_CODED = (
    (
        ("2.", "4.", "5."),
        rf"(?<![\w.:/=+@-])(?P<full>{_STATUS}(?:[ \-]|\s)\s*(?P<enhanced>[245]\.[0-7]\.\d{{1,3}})(?![\d.]))",
    ),
    (("4.", "5."), r"(?<![\w./=:@+-])(?P<alone>[45]\.[0-7]\.\d{1,3})(?![\w.%)-])(?=[\s:;,]+[A-Za-z*<(\[])"),
    (
        _ALONE,
        rf"(?:{_CONTEXT})(?P<bare>(?:{'|'.join(_BARE)})[ \-](?!\s*[245]\.\d|\d+[ ]|\w+=)"
        rf"(?=[^\n]{{0,80}}(?:{MAIL_WORDS})))",
    ),
    (
        _ALONE,
        rf"(?<=:)\s{{1,3}}(?P<firm>(?:{'|'.join(_FIRM)})[ \-](?!\s*[245]\.\d|\d+[ ]|{_COUNTED})"
        rf"(?=[^\n]{{0,80}}(?:{MAIL_WORDS})))",
    ),
)
_SPOKEN = (
    (
        ("-ERR", "+OK"),
        r"(?<![\w+-])(?P<pop>(?-i:-ERR|\+OK(?=\s+(?:User\ success|The\ Microsoft|Microsoft\ Exch)))(?![\w]))",
    ),
    ((" NO ", " BAD ", " BYE "), rf"(?:^|['\"\s(\[:|,>])(?P<imap>(?-i:(?:{_TAG})[ ]+(?:NO|BAD|BYE)[ ]+(?=[\[A-Z\w])))"),
    (("220 ", "220-", "* ok "), r"(?P<greeting>220[ -][\w.-]+[ ]+[^\n]{0,60}ESMTP|\*[ ]OK[ ][^\n]{0,10}Microsoft)"),
    (
        (" completed",),
        r"(?:^|['\"\s(\[:|,])"
        r"(?P<imapok>(?-i:[A-Za-z]{0,12}\d{0,10}|\.)[ ]+OK[ ]+(?:LOGIN|AUTHENTICATE)[ ]completed)",
    ),
)
_SMALL = Choice(*_CODED, flags=re.VERBOSE | re.MULTILINE)
_REPLY = Choice(*_CODED, *_SPOKEN, flags=re.VERBOSE | re.MULTILINE | re.IGNORECASE)
_CAPITAL = Choice(*_SPOKEN)

# what stands before a version number or a queue's own status, which look like enhanced codes
_NOT_A_CODE = Shape(
    r"(?:dsn|version|release|kernel|php|python|mysql|v|ver|build|linux|java|node|go|nginx|openssl|postfix|exim|ubuntu"
    r"|debian|wordpress|module|driver|client|sql)[=:/ (\"'-]*$",
    re.IGNORECASE,
)


def starts(page: Page, reach: int) -> list[re.Match[str]]:
    """Where replies begin; a reply behind `Error:` belongs to the one before it, within `reach` characters."""
    text = page.text
    found: list[re.Match[str]] = []
    for match in places(text, page.folded):
        at = begin(match)
        if match.lastgroup == "alone" and _NOT_A_CODE.pattern.search(text, max(0, at - 24), at):
            continue
        nested = text[max(0, at - 12) : at].rstrip().lower().endswith("error:")
        if nested and found and at - begin(found[-1]) < reach:
            continue
        found.append(match)
    return found


def begin(match: re.Match[str]) -> int:
    """The place where the reply itself begins, behind what introduces it."""
    name = match.lastgroup if match.lastgroup != "enhanced" else "full"
    return match.start(name or 0)


def places(text: str, folded: str) -> Iterable[re.Match[str]]:
    """Where something stands that looks like the beginning of a reply."""
    if text.isascii() and not _CAPITAL.fits(text, folded):
        pattern, text = _SMALL.pattern(text, folded), folded
    else:
        pattern = _REPLY.pattern(text, folded)
    return pattern.finditer(text) if pattern else ()
