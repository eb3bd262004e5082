"""Pasted text -> attempts: finds what servers and programs said in any text. Pure: no files, no clock, no console.

    text       any bytes -> plain lines, without wrappers         scrub    secrets out, before anything is kept
    begins, finder   clean page -> what was said                  context  who answered, who signed in, with what
    sessions   what was said -> attempts, each thing once         blind    programs that hide the reply
    stream     more than `WHOLE`: only the windows in which something may have been said

The signs come in as an argument; what the attempts mean is `diagnose`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from ..model import Account, Attempt, Blind, Kind, Notice, Protocol
from ..noun import dataclass
from ..signs import Signs
from .sessions import Hearing
from .text import decoded, page_of

WHOLE = 1 << 20  # up to so many characters the whole text is read at once


@dataclass(frozen=True, slots=True)
class Found:
    """What a paste holds: the attempts (most telling first), whose they are, and what to know beside them."""

    attempts: tuple[Attempt, ...]
    account: Account
    notices: tuple[Notice, ...]


def read(
    text: str | bytes | Iterable[bytes],
    signs: Signs,
    *,
    protocol: Protocol | None = None,
    kind: Kind | None = None,
    blind: Mapping[str, Blind] | None = None,
    whole: int = WHOLE,
) -> Found:
    """The attempts in this text, or in these pieces of a file; memory stays flat however many they are.

    protocol, kind: hints, for what the text leaves open; blind: the programs that hide a reply.
    whole: characters up to which everything is read, not only what the prefilter lets through.
    """
    hearing = Hearing(protocol, kind)
    start, rest = _start(decoded(text), whole)
    if rest is None:
        hearing.listen(page_of(start), signs)
    else:
        from .stream import windows

        for first, window, owned in windows(chain((start,), rest), signs):
            hearing.listen(page_of(window, first), signs, owned)
    attempts = hearing.attempts()
    account = Account(login=hearing.context.login)
    if attempts or rest is not None:
        return Found(attempts, account, ())
    from .blind import notices_for

    return Found(attempts, account, notices_for(start, blind or {}))


def _start(pieces: Iterator[str], whole: int) -> tuple[str, Iterator[str] | None]:
    """The whole text and None, or its first part and an iterator over the rest."""
    start: list[str] = []
    length = 0
    for piece in pieces:
        start.append(piece)
        length += len(piece)
        if length > whole:
            return "".join(start), pieces
    return "".join(start), None
