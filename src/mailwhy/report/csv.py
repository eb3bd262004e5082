"""One row per mailbox and protocol, for a spreadsheet; no cell can become a formula there."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from ..model import Diagnosis, Knowledge, Outcome, Stage
from . import Options
from . import words as w

COLUMNS = (
    "mailbox", "login", "protocol", "host", "port", "tls", "started", "verdict", "password", "cause", "title",
    "owner", "other_causes", "stage", "fault", "status", "enhanced", "reply", "server_time", "session", "seconds",
    "auth_seconds", "command",
)  # fmt: skip
STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render(outcome: Outcome, knowledge: Knowledge, options: Options) -> str:
    """A header and this outcome's rows."""
    return render_many((outcome,), knowledge, options)


def render_many(outcomes: Iterable[Outcome], knowledge: Knowledge, options: Options) -> str:
    """A header and every outcome's rows."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row for outcome in outcomes for row in rows(outcome, knowledge))
    return out.getvalue()


def rows(outcome: Outcome, knowledge: Knowledge) -> Iterator[list[str]]:
    """The rows of one outcome; one without protocols has one row all the same, so that no mailbox is lost."""
    for diagnosis in outcome.diagnoses:
        yield [cell(value) for value in _values(diagnosis, outcome, knowledge)]
    if not outcome.diagnoses:
        known = {"mailbox": outcome.account.mailbox, "login": outcome.account.login, "verdict": outcome.verdict.value}
        yield [cell({**known, "command": outcome.command}.get(column)) for column in COLUMNS]


def _values(diagnosis: Diagnosis, outcome: Outcome, knowledge: Knowledge) -> tuple[object, ...]:
    attempt, account = diagnosis.attempt, diagnosis.account
    step = w.decisive(diagnosis)
    reply = step.reply.spoken if step and step.reply else None
    first = w.cause_of(diagnosis.findings[0], knowledge) if diagnosis.findings else None
    auth = attempt.stage(Stage.AUTH)
    return (
        account.mailbox,
        account.login,
        attempt.target.protocol.value,
        attempt.target.host,
        attempt.target.port,
        attempt.target.tls.value if attempt.target.tls else None,
        attempt.started,
        diagnosis.verdict.value,
        diagnosis.password.value,
        first.id if first else None,
        first.title if first else None,
        first.owner if first else None,
        " ".join(finding.cause for finding in diagnosis.findings[1:]),
        step.stage.value if step else None,
        step.fault.value if step and step.fault else None,
        reply.status if reply else None,
        reply.enhanced if reply else None,
        w.verbatim(diagnosis),
        reply.time if reply else None,
        reply.session if reply else None,
        f"{w.total(attempt):.3f}",
        f"{sum(s.seconds for s in auth):.3f}" if auth else None,
        outcome.command,
    )


def cell(value: object) -> str:
    """Harmless text; what a spreadsheet would take for a formula gets an apostrophe in front."""
    text = w.clean("" if value is None else value)
    return f"'{text}" if text.startswith(STARTS_FORMULA) else text
