"""The public API: joins probes, knowledge and diagnosis. No console, no exit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from . import knowledge
from .diagnose import diagnose, outcome
from .explain import read
from .explain.text import decode
from .model import Kind, Outcome, Protocol
from .signs import Signs


def explain(
    text: str | bytes,
    *,
    protocol: Protocol | None = None,
    kind: Kind | None = None,
    facts: Iterable[str] = (),
    as_of: str | None = None,
) -> Outcome:
    """What a pasted reply, log or traceback means. Offline, and never raises, whatever the text is.

    protocol, kind: hints; facts: declared facts that are known otherwise; as_of: ISO date for which the calendar is
    read where the text tells no time (default: today).
    """
    known = knowledge.load()
    signs = Signs(known.signs.values())
    day = as_of or datetime.now(UTC).date().isoformat()
    outside = frozenset(facts)
    found = read(decode(text) if isinstance(text, bytes) else text, signs, protocol=protocol, kind=kind)
    diagnoses = diagnose(found.attempts, found.account, known, day, outside=outside, signs=signs)
    return outcome(
        "explain", found.account, diagnoses, known, day, outside=outside, notices=found.notices
    )
