"""Pasted text -> attempts: finds what servers and programs said in any text. Pure: no files, no clock, no console.

    text       any bytes -> plain lines, without wrappers         redact   secrets out, before anything is kept
    finder     clean page -> what was said                        context  who answered, who signed in, with what
    sessions   what was said -> attempts, each thing once         blind    programs that hide the reply
    stream     more than `WHOLE`: windows around what looks like a reply

The signs come in as an argument; what the attempts mean is `diagnose`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..model import Account, Attempt, Kind, Notice, Protocol
from ..signs import Signs
from .context import context_of
from .finder import find
from .redact import Scrubber, redact
from .sessions import Hearing
from .text import Page, line_of, page_of_lines, peel

WHOLE = 1 << 20  # up to so many characters the whole text is read at once


@dataclass(frozen=True, slots=True)
class Found:
    """What a paste holds: the attempts (most telling first), whose they are, and what to know beside them."""

    attempts: tuple[Attempt, ...]
    account: Account = Account()
    notices: tuple[Notice, ...] = ()


def read(
    text: str,
    signs: Signs,
    *,
    protocol: Protocol | None = None,
    kind: Kind | None = None,
    scrub: Callable[[str], str] | None = None,
) -> Found:
    """The attempts in this text. `scrub` (see `Scrubber`) hides addresses and hosts; secrets are always masked."""
    hearing = Hearing(protocol, kind)
    listen(hearing, enumerate(text.split("\n"), 1) if False else None, text, signs, scrub)
    return concluded(hearing)


def listen(
    hearing: Hearing, _: object, text: str, signs: Signs, scrub: Callable[[str], str] | None, first: int = 1
) -> None:
    """Adds one piece of text, beginning at line `first`, to the hearing."""
    page = page_of_lines(enumerate(peel(text).split("\n"), first))
    page = _redacted(page, scrub)
    hearing.add(page, find(page, signs, hearing.hint), context_of(page))


def _redacted(page: Page, scrub: Callable[[str], str] | None) -> Page:
    from dataclasses import replace

    text, _ = redact(page.text)
    if scrub:
        text = scrub(text)
    return Page(tuple(replace(line, text=words) for line, words in zip(page.lines, text.split("\n"), strict=True)))


def concluded(hearing: Hearing) -> Found:
    """What all pieces together come to."""
    return Found(hearing.attempts(), Account(login=hearing.context.login))
