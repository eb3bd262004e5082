"""What evidence comes to: a paste, or attempts that somebody else has made. Offline; no console, no exit.

    outcome = explain("535 5.7.139 ...")           a pasted reply, log or traceback
    outcome = judge("relay", attempts, account)    what an app did, as the relay or `rehearse` saw it

The reader of pastes is imported inside `explain`: `check` (checking.py) does not pay for it, nor `explain` for asyncio.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from . import diagnose
from .knowledge import load, matches
from .model import (
    Account,
    Attempt,
    Kind,
    Knowledge,
    Outcome,
    Protocol,
    Step,
    Target,
)
from .record import report_of
from .signs import Signs

NEAR = 0.1  # seconds within which servers on loopback have answered: what works needs no signs
Observer = Callable[[Target, Step], None]


def today() -> str:
    """The day for which the calendar is read where nobody names another: an ISO date, UTC."""
    return datetime.now(UTC).date().isoformat()


@functools.cache
def signs() -> Signs:
    """The signs of the handbook, ready: a list of mailboxes asks for them with every row."""
    return Signs(load().signs, matches())


def explain(
    text: str | bytes | Iterable[bytes],
    *,
    protocol: Protocol | None = None,
    kind: Kind | None = None,
    facts: Iterable[str] = (),
    as_of: str | None = None,
    scrub: bool = False,
) -> Outcome:
    """What a pasted reply, log or traceback means. Offline, and never raises, whatever the text is.

    text: the paste, or a file's bytes in pieces; a JSON report of `check`, and a recording of `relay`, are judged as
    what they saw.
    protocol, kind: hints; facts: declared facts that are known otherwise; as_of: ISO date for which the calendar is
    read where the text tells no time (default: today, UTC); scrub: hide addresses, hosts and names.
    """
    from .paste import Found
    from .paste import read as read_paste

    known, known_signs = load(), signs()
    outside = frozenset(facts)
    if isinstance(text, str | bytes) and (report := report_of(text)):
        account, attempts, told, day = report
        found = Found(attempts, account, ())
        outside |= told
        as_of = as_of or day
    elif isinstance(text, str | bytes) and (recording := _recording(text)):
        found = Found((recording[1],), recording[0], ())
    else:
        found = read_paste(text, known_signs, protocol=protocol, kind=kind, blind=known.blind)
    as_of = as_of or today()
    diagnoses = diagnose.diagnose(found.attempts, found.account, known, as_of, outside=outside, signs=known_signs)
    done = diagnose.outcome("explain", found.account, diagnoses, known, as_of, outside=outside, notices=found.notices)
    if not scrub:
        return done
    from .paste.scrub import scrubbed

    return scrubbed(done)


def _recording(text: str | bytes) -> tuple[Account, Attempt] | None:
    """What the relay saw, from its plain recording; None for any other text."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    if b"# mailwhy relay:" not in data[:100]:
        return None
    from .relay import notes  # with asyncio and ssl: only who explains a recording pays for them

    return notes.read(data.decode("utf-8", "replace"))


def judge(
    command: str,
    attempts: Sequence[Attempt],
    account: Account,
    *,
    as_of: str | None = None,
    facts: Iterable[str] = (),
    knowledge: Knowledge | None = None,
) -> Outcome:
    """What attempts that somebody else has made come to: an app's, as the relay or `rehearse` saw them."""
    known = knowledge or load()
    day = as_of or today()
    outside = frozenset(facts)
    diagnoses = diagnose.diagnose(attempts, account, known, day, outside=outside)
    started = min((a.started for a in attempts if a.started), default=None)
    return diagnose.outcome(command, account, diagnoses, known, day, outside=outside, started=started, finished=now())


def now() -> str:
    """This moment as outcomes write it: ISO, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
