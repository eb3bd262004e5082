"""Finds what was said in a clean page: server replies by their shape, known words by the signs.

A reply begins at its codes and ends at its trailer, at the next reply, or where the wrapper goes on. Words of the
handbook that stand outside every reply (a client's own words, replies that lost their codes) are found squashed.
What is found but not known stays: a reply that no sign knows is shown as it is.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ..model import Protocol, Reply, Sign, Speaker
from ..noun import dataclass
from ..reply import TRAILER, parse
from ..shape import Choice, Shape
from ..signs import Signs, word_pattern
from .begins import MAIL_WORDS, begin, starts
from .context import mail_lines
from .mending import BRACKET, MOST_LINES, joined, mend
from .text import Page

LONGEST = 1200  # characters of one reply; SendAsDenied with its diagnostics takes about 900


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that was said in the page. `start` and `end` are places in the page's text."""

    reply: Reply
    start: int
    end: int
    ok: bool = False
    sign: Sign | None = None

    @property
    def client(self) -> bool:
        """A program's own words, not a server's."""
        return self.sign is not None and self.sign.speaker is Speaker.CLIENT


# -- replies by their shape ---------------------------------------------------------------------------------------


# where the wrapper goes on behind the reply
_LINE_END, _QUOTES = ("\n", "\v"), ("'", '"')
_END = Choice(
    (("\n",), r"\n[ \t]*(?=\n)"),  # a blank line
    (("\v",), r"\v[ \t]*\v"),
    (("(in reply to", "HResult:", "%!(EXTRA", "(require:"), r"\s\(in[ ]reply[ ]to|\bHResult:|%!\(EXTRA|\(require:"),
    (("at ", "stack trace"), r"\s+at[ ][\w.$/]+[(.]|\bStack[ ]trace:?"),
    (("nested exception", "(Net::SMTP"), r";[ ]*\s*nested[ ]exception|\(Net::SMTP"),
    ((".php", "mail will not be"), r"\s/[\w./-]+\.php|Mail[ ]will[ ]not[ ]be"),
    (
        _LINE_END,
        r"[\n\v]\s*(?:at\s|Caused[ ]by|Traceback|File[ ]\"|--->|---|\w+(?:\.\w+)+(?:Exception|Error)\b|\#\d+[ ])"
        r"|[\n\v]\s*(?:DEBUG|QUIT|RSET|EHLO|AUTH|MAIL[ ]FROM|\*[ ]BYE)\b",
    ),
    (_LINE_END, r"[\n\v][ \t]*[A-Za-z][\w .-]{0,24}:\s"),  # the next field of a record, the next speaker
    (_QUOTES, r"[\"']\s*(?:[,;)}\]]|\.?[\"']|$|\s\w+=|in[ ]/|\s*[\n\v])|[\"'](?:\s+[A-Z][a-z]+\s|\.\s)"),
    (("    ",), r"(?<=\S)[ ]{4,}(?=\S)"),
    flags=re.VERBOSE | re.MULTILINE,
)
_FIELD_OF_REPLY = Shape(r"[\n\v][ \t]*(?:Error|Visit|Contact|Server|Actual)\b[^:\n]{0,12}:\s", re.IGNORECASE)


def find(page: Page, signs: Signs, hint: Protocol | None = None) -> list[Said]:
    """Everything said in the page, in order: replies (also good ones) and known words outside them."""
    hits = Spans(_text_hits(page, signs))
    wrapper = _END.pattern(page.text, page.folded)
    replies = [_known(said, signs, hint) for said in _replies(page, signs, hits, wrapper)]
    taken = Spans((said.start, said.end) for said in replies)
    words = list(_words(page, signs, taken, hits, wrapper, hint))
    refused = [page.index(reply.start) for reply in replies if not reply.ok]
    words = [said for said in words if not _wrapper(said, refused, page)]
    if hint:  # short words of another protocol are a coincidence ("AUTH LOGIN failed" in an SMTP log)
        words = [said for said in words if said.reply.status or not _foreign(said, hint)]
    else:
        words = _about_mail(words, page)
    found = [said for said in (*replies, *words) if said.sign or _stands_alone(said)]
    return sorted(found, key=lambda said: said.start)


class Spans:
    """Places in a text, from and to, in order: thousands of them are searched by halves."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self.all = sorted(spans)
        self._starts = [start for start, _ in self.all]
        self._longest = max((end - start for start, end in self.all), default=0)

    def across(self, place: int) -> Iterator[tuple[int, int]]:
        """Those that begin before this place and end behind it."""
        first = bisect_left(self._starts, place - self._longest)
        for start, end in self.all[first : bisect_left(self._starts, place)]:
            if end > place:
                yield start, end

    def around(self, start: int, end: int) -> tuple[int, int]:
        """For spans that do not overlap: where the last one before `start` ends, and the first one behind `end` begins.

        0, and beyond every text, where there is none.
        """
        left = bisect_right(self._starts, start)
        ends = [stop for _, stop in self.all[max(0, left - 2) : left] if stop <= start]
        right = bisect_left(self._starts, end)
        return max(ends, default=0), self._starts[right] if right < len(self.all) else sys.maxsize

    def hold(self, start: int, end: int) -> bool:
        """For spans that do not overlap: is this place inside one of them, but for one character behind it?"""
        last = bisect_right(self._starts, start)
        return bool(last) and end <= self.all[last - 1][1] + 1


def _wrapper(said: Said, refused: Sequence[int], page: Page) -> bool:
    """A server's words without codes, beside a reply with codes: the program's own telling of that reply.

    refused: on which of the page's lines replies begin that are not ok, in order.
    """
    if said.client or said.reply.status or said.reply.enhanced or not said.sign:
        return False
    if not (said.sign.match.status or said.sign.match.enhanced):
        return False  # a detail that servers add without a code (`OAuthLog`)
    return _near(refused, page.index(said.start), 2)


def _near(lines: Sequence[int], index: int, reach: int) -> bool:
    """Is one of these lines (in order) so near?"""
    at = bisect_left(lines, index - reach)
    return at < len(lines) and lines[at] <= index + reach


def _foreign(said: Said, hint: Protocol) -> bool:
    sign = said.sign
    return bool(sign and sign.protocol not in (None, hint))


SHORT = 40  # lines; so few were chosen by a person, who knows what they are about
NEARBY = 25  # lines around a program's words in which a long log must speak of mail


def _about_mail(words: list[Said], page: Page) -> list[Said]:
    """Without the refused and broken connections of other programs: a long log tells of many that are not mail's."""
    short = page.lines[0].number == 1 and len(page.lines) <= SHORT
    if short or not any(said.client for said in words):
        return words
    mail = mail_lines(page)
    return [said for said in words if not said.client or _near(mail, page.index(said.start), NEARBY)]


_UNKNOWN = Shape(rf"AADSTS\d|{MAIL_WORDS}", re.IGNORECASE)


def _stands_alone(said: Said) -> bool:
    """A reply that no sign knows is believed where its shape leaves no doubt, or its words are those of mail."""
    reply = said.reply
    return bool(reply.status) or said.ok or (len(reply.text) >= 12 and bool(_UNKNOWN.pattern.search(reply.text)))


def _known(said: Said, signs: Signs, hint: Protocol | None) -> Said:
    """With the sign that it says, if any; an inner reply speaks before its wrapper."""
    if said.ok:  # a greeting may tell that a stranger answered
        hit = next(signs.of_reply(said.reply, said.reply.protocol), None)
        return replace(said, ok=False, sign=hit.sign) if hit and hit.weight.text else said
    for each in dict.fromkeys((said.reply.spoken, said.reply)):
        if hit := next(signs.of_reply(each, each.protocol or hint), None):
            return replace(said, sign=hit.sign)
    return said


def _replies(page: Page, signs: Signs, hits: Spans, wrapper: re.Pattern[str] | None) -> Iterator[Said]:
    text = page.text
    found = starts(page, LONGEST // 2)
    for number, match in enumerate(found):
        start = begin(match)
        limit = begin(found[number + 1]) if number + 1 < len(found) else len(text)
        limit = min(limit, start + LONGEST)
        end = _end(page, wrapper, start, start, limit)
        if across := [stop for _, stop in hits.across(end) if stop <= limit]:
            end = _end(page, wrapper, start, max(across), limit)  # known words go on behind a line end
        yield said_in(text, start, end, signs)


def _end(page: Page, wrapper: re.Pattern[str] | None, start: int, least: int, limit: int) -> int:
    """Where the reply that starts here ends: behind its trailer, else before the wrapper goes on, after `least`."""
    text = page.text
    ends = [limit]
    at = max(least, start + 3)
    while wrapper and (found := wrapper.search(text, at, limit)):
        if _FIELD_OF_REPLY.pattern.match(text, found.start()):
            at = found.end()
            continue
        ends.append(found.start())
        break
    end = min(*ends, max(least, _end_of_lines(page, start if least == start else least - 1, min(ends))))
    for found in BRACKET.pattern.finditer(text, start, min(limit, end + 160)) if "[" in text else ():
        if found.start() <= end + 2 and TRAILER.match(joined(found.group())):
            return found.end()
    return end


_GOES_ON = Shape(r"\s*(?:[,;.:]\s?\w|Visit|Contact|Error:|\[|https?:|To request|Please|For more|\d\.\d+\.\d+\s)")
NARROWEST = 20  # characters: what is shorter was not wrapped for want of room


def _end_of_lines(page: Page, start: int, limit: int) -> int:
    """The end of the last line that still belongs to the reply: wrapped lines do, the next speaker or record not."""
    first, widest = page.index(start), 0
    sentence = page.text[start].isdigit()  # IMAP and POP answers are short
    for index in range(first + 1, min(len(page.lines), first + MOST_LINES)):
        at = page.start(index)
        if at > limit:
            break
        line, before, so_far = page.lines[index], page.lines[index - 1], page.text[start:at].rstrip()
        widest = max(widest, len(before.text))
        complete = len(so_far.split()) > 3  # prefixes may also stand on every line of a wrapped reply
        if line.speaker and line.speaker != page.lines[first].speaker:
            return at - 1
        if complete and (line.speaker or line.prefixed):
            return at - 1
        open_ended = so_far[-1:] in ",;" or so_far.count("[") > so_far.count("]")
        if _GOES_ON.match(line.text) or not complete or open_ended:
            continue
        if so_far[-1:] in ".!])" or not (sentence and _no_room(before.text, line.text, widest)):
            return at - 1
    behind = first + MOST_LINES
    return min(limit, page.start(behind) - 1) if behind < len(page.lines) else limit


def _no_room(line: str, following: str, widest: int) -> bool:
    """Would the next line's first word not have fitted on this one?"""
    word = following.split(maxsplit=1)[:1]
    return bool(word) and len(line) >= NARROWEST and len(line) + 1 + len(word[0]) > widest


def said_in(text: str, start: int, end: int, signs: Signs) -> Said:
    """The reply in this part of the page's text."""
    line = mend(text[start:end], signs)
    protocol, words, ok = _shape(line)
    reply = replace(parse(protocol, words), lines=(line,))
    return Said(reply, start, end, ok)


_POP = Shape(r"^(?:-ERR|\+OK)\b", holds=("-ERR", "+OK"))
_TAGGED = Shape(
    r"^(?P<tag>\S{1,20}\s+)?(?P<status>NO|BAD|BYE|OK)\s+(?P<rest>.*)$", re.DOTALL, ("NO", "BAD", "BYE", "OK")
)
_LONG_TAG = Shape(r"^(?P<tag>\S+\s+)(?P<status>OK)\s(?P<rest>.*)", holds=("OK",))
_BYTES = Shape(r"^\[?b?['\"]")


def _shape(line: str) -> tuple[Protocol | None, str, bool]:
    """The protocol that the line's shape tells, the line as `reply.parse` wants it, and whether it is good news."""
    if _POP.match(line):
        return Protocol.POP, line, line.startswith("+")
    if (found := _TAGGED.match(line)) or (found := _LONG_TAG.match(line)):
        rest = _BYTES.sub("", found["rest"])
        return Protocol.IMAP, f"{found['tag'] or '* '}{found['status']} {rest}", found["status"] == "OK"
    if re.match(r"^(?:[2-5]\d\d[ -]|[2-5]\.\d)", line):
        return Protocol.SMTP, line, line[0] in "23"
    return None, line, False


# -- known words outside replies ----------------------------------------------------------------------------------

_LEFT = Shape(r"(?:[\n\v\"'(\[{|<>]|:\s|=\s?|\*\*|;\s|,\s(?=\w+\s*$)|->|=>|\.\s)")
_BEFORE = Shape(
    r"(?:(?P<smtp>(?<!\d)[45]\d\d[ -]\s*(?:[45]\.\d{1,3}\.\d{1,3}[:;]?\s*)?|(?<![\d.])[45]\.\d{1,3}\.\d{1,3}[:;]?\s*)"
    r"|(?P<words>(?:(?:\*|\.|[A-Za-z]{0,12}\d{1,10}|[a-z]{4}|[A-Z]{1,4}\d*)\s+)?(?:NO|BAD|BYE)\s+(?:\[?b?['\"])?)"
    r"|(?P<received>\"?(?P<status>NO|BAD)\"?\s+received\.?\s*Data:\s*\[?b?['\"])"
    r"|(?P<pop>-ERR\s+))$"
)
_NUMBER = re.compile(
    r"(?:sign-?in error(?: code)?|error\s?code|errorcode|failure (?:code|reason)|status code|^)[\"'\s:=#]{0,6}"
    r"(?P<code>\d{5,7})\b",
    re.IGNORECASE | re.MULTILINE,
)
_ENTRA = Shape(r"\bAADSTS\d{4,8}\b")
_REASON = Shape(r"[\"',\s\[\]]*(?:failure\s?reason|error_description)[\"'\s:=>\[\]]*", re.IGNORECASE)
_OAUTH = Shape(r"[a-z]+_(?:grant|client|scope|required)")  # what OAuth itself calls an error
_NEAR = 1500  # characters within which a number of the sign-in service belongs to such an error


def _words(
    page: Page,
    signs: Signs,
    taken: Spans,
    hits: Spans,
    wrapper: re.Pattern[str] | None,
    hint: Protocol | None,
) -> Iterator[Said]:
    """Known words that stand outside the replies; hits on one line (or one wrapped piece) are one thing said."""
    spans = sorted(span for span in (*hits.all, *_word_hits(page, signs)) if not taken.hold(*span))
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and (
            start < merged[-1][1]
            or page.index(start) == page.index(merged[-1][1] - 1)
            or page.text[merged[-1][1] : start].strip(" ,") == "\n"  # a sentence goes on
            or _REASON.pattern.fullmatch(page.text, merged[-1][1], start)  # the sentence of a number, or of an error
        ):
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    for start, end in merged:
        yield from _worded(page, signs, start, end, taken, wrapper, hint)


def _text_hits(page: Page, signs: Signs) -> Iterator[tuple[int, int]]:
    squashed = page.squashed
    for text, _ in signs.texts:
        at = squashed.text.find(text)
        while at >= 0:
            span = squashed.original(at), squashed.original(at + len(text) - 1) + 1
            if not _identifier(page.text, *span):
                yield span
            at = squashed.text.find(text, at + len(text))


def _identifier(text: str, start: int, end: int) -> bool:
    """Is this part of a name in a program (`AuthenticationFailedException`), and nothing that was said?"""
    if len(text[start:end].split(None, 1)) > 1:
        return False
    return text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()


def _word_hits(page: Page, signs: Signs) -> Iterator[tuple[int, int]]:
    folded = page.text.casefold()
    for word in signs.words_in(folded):
        for found in word_pattern(word).finditer(page.text):
            if not page.text.endswith("AUTH ", 0, found.start()) and not _refined(page.text, found):
                yield found.span()
    for found in _NUMBER.finditer(page.text):
        yield found.span("code")
    for found in _ENTRA.pattern.finditer(page.text):
        yield found.span()


def _refined(text: str, found: re.Match[str]) -> bool:
    """Is this an error of OAuth whose number, which says more, stands near?"""
    if not _OAUTH.pattern.fullmatch(found[0]):
        return False
    return bool(_ENTRA.pattern.search(text, max(0, found.start() - _NEAR), found.end() + _NEAR))


def _worded(
    page: Page,
    signs: Signs,
    start: int,
    end: int,
    taken: Spans,
    wrapper: re.Pattern[str] | None,
    hint: Protocol | None,
) -> Iterator[Said]:
    text = page.text
    behind, ahead = taken.around(start, end)
    left = max(page.start(page.index(start)), behind)
    before = max([left, *(found.end() for found in _LEFT.pattern.finditer(text, left, start))])
    if found := _BEFORE.pattern.search(text, left, before):
        before = found.start()
    index = page.index(end - 1)
    line_end = page.start(index) + len(page.lines[index].text)
    right = min(line_end, ahead, end + LONGEST)
    if wrapper and (stop := wrapper.search(text, end, right)):
        right = stop.start()
    said = _with_status(said_in(text, before, right, signs), text[before:right])
    known = _known(said, signs, hint)
    if not known.sign:
        known = _known(said, signs, None)
    if known.sign:
        yield known
    elif code := _NUMBER.search(text, max(0, start - 40), end):
        reply = Reply(None, "", "", f"AADSTS{code['code']}", (f"AADSTS{code['code']}",))
        if (known := _known(Said(reply, start, end), signs, None)).sign:
            yield known
    elif _ENTRA.pattern.search(text, start, end):
        yield said  # a number of the sign-in service that no sign knows is shown as it is


def _with_status(said: Said, piece: str) -> Said:
    """Python's imaplib and imap_tools tell the status apart from the words."""
    if found := re.match(r"\"?(NO|BAD)\"?\s+received\.?\s*Data:\s*\[?b?['\"](?P<words>.*)$", piece, re.DOTALL):
        words = " ".join(found["words"].split())
        reply = replace(parse(Protocol.IMAP, f"* {found[1]} {words}"), lines=(f"{found[1]} {words}",))
        return replace(said, reply=reply, ok=False)
    return said
