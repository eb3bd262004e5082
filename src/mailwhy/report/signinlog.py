"""Where an attempt stands in the Entra sign-in log: what an administrator filters on. Times are UTC."""

from __future__ import annotations

from datetime import timedelta

from ..model import Attempt, Diagnosis, Outcome, Protocol, Stage, Verdict
from ..noun import dataclass
from . import words as w

CLIENT_APP = {Protocol.SMTP: "Authenticated SMTP", Protocol.IMAP: "IMAP4", Protocol.POP: "POP3"}
WHERE = "Entra admin center > Monitoring & health > Sign-in logs (both user tabs; rows can take 2 hours)"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Where one attempt stands in the Entra sign-in log: times are UTC."""

    user: str
    window: str
    source: str
    app: str


def log_entries(outcome: Outcome) -> tuple[LogEntry, ...]:
    """Where to look in the sign-in log: for each sign-in that Exchange Online refused, and did not stop before."""
    return tuple(dict.fromkeys(e for d in outcome.diagnoses if (e := _log_entry(d))))


def _log_entry(diagnosis: Diagnosis) -> LogEntry | None:
    attempt = diagnosis.attempt
    if "service=exchange-online" not in diagnosis.facts or not attempt.stage(Stage.AUTH):
        return None
    if diagnosis.verdict in (Verdict.RETIRED, Verdict.WORKS):
        return None
    source = _source(attempt)
    user = w.clean(diagnosis.account.login or diagnosis.account.mailbox or "")
    return LogEntry(user, _window(attempt), source, CLIENT_APP[attempt.target.protocol])


def source_of(outcome: Outcome) -> str:
    """Our own address as a server saw it, or ""."""
    return next((found for d in outcome.diagnoses if (found := _source(d.attempt))), "")


def _source(attempt: Attempt) -> str:
    return next((w.clean(s.seen["source"]) for s in attempt.steps if s.seen.get("source")), "")


def _window(attempt: Attempt) -> str:
    began = w.instant(attempt.started)
    if not began:
        return ""
    ended = w.instant(attempt.seen.last if attempt.seen else None) or began + timedelta(seconds=w.total(attempt))
    margin = timedelta(minutes=5)
    return f"{began - margin:%Y-%m-%d %H:%M} to {ended + margin:%H:%M} UTC"
