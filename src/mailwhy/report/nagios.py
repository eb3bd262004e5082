"""The monitoring plug-in's line: `MAILWHY OK - SMTP works | time=0.812s ...`. Exit states of its own, 0 to 3.

The text before the bar stays under 80 characters; perfdata follows the plug-in guidelines.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Attempt, Exit, Knowledge, Outcome, Stage, Verdict
from . import Options
from . import words as w

STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
LONGEST = 79
RED = frozenset({Verdict.NAMED, Verdict.NARROWED, Verdict.OFF_BY_DEFAULT})


def status(outcome: Outcome, options: Options | None = None) -> int:
    """0 OK, 1 WARNING (a limit is near), 2 CRITICAL (refused, or a limit passed), 3 UNKNOWN."""
    options = options or Options()
    base = {Exit.OK: 0, Exit.REFUSED: 2}.get(outcome.exit, 3)
    if outcome.command == "explain" and any(d.verdict in RED for d in outcome.diagnoses):
        base = 2
    return base if base else max((level for level, _ in _limits(outcome, options)), default=0)


def render(outcome: Outcome, knowledge: Knowledge, options: Options) -> str:
    """One line."""
    state = status(outcome, options)
    text = f"MAILWHY {STATES[state]} - {w.summary_of(outcome).rstrip('.')}"
    live = w.live_findings(outcome)
    if live and state >= 2:
        text += f": {w.cause_of(live[0], knowledge).title}"
    near = [words for level, words in _limits(outcome, options) if level]
    if near and state in (1, 2):
        text += f" ({near[0]})"
    text = w.clean(text).replace("|", "/")
    text = text if len(text) <= LONGEST else text[: LONGEST - 3].rstrip() + "..."
    data = " ".join(perfdata(outcome, options))
    return f"{text} | {data}\n" if data else f"{text}\n"


def perfdata(outcome: Outcome, options: Options) -> Iterator[str]:
    """`time`, and per stage; with several protocols, each with its protocol in front."""
    for diagnosis in outcome.diagnoses:
        attempt = diagnosis.attempt
        front = f"{attempt.target.protocol}_" if len(outcome.diagnoses) > 1 else ""
        if not attempt.steps or attempt.seen:
            continue
        limits = f"{_number(options.warn_seconds)};{_number(options.crit_seconds)}"
        yield f"{front}time={w.total(attempt):.3f}s;{limits};0"
        for label, stage in (("dns", Stage.DNS), ("connect", Stage.TCP), ("tls", Stage.TLS), ("auth", Stage.AUTH)):
            if steps := attempt.stage(stage):
                yield f"{front}{label}={sum(step.seconds for step in steps):.3f}s;;;0"
        days = cert_days(attempt, outcome)
        if days is not None:
            yield f"{front}cert_days={days};{options.warn_days}:;{options.crit_days}:"


def cert_days(attempt: Attempt, outcome: Outcome) -> int | None:
    """Whole days that the server's certificate was still valid for when the run began."""
    now = w.instant(attempt.started) or w.instant(outcome.started) or w.instant(outcome.as_of)
    ends = [end for step in attempt.stage(Stage.TLS) if (end := w.instant(_text(step.seen.get("not_after"))))]
    return (min(ends) - now).days if ends and now else None


def _limits(outcome: Outcome, options: Options) -> Iterator[tuple[int, str]]:
    """The worst limit of each attempt: (0, 1 or 2; in words)."""
    for diagnosis in outcome.diagnoses:
        name = w.name(diagnosis.attempt.target.protocol)
        days = cert_days(diagnosis.attempt, outcome)
        if days is not None and days < options.warn_days:
            yield (2 if days < options.crit_days else 1), f"{name} certificate: {days} days left"
        time = w.total(diagnosis.attempt)
        if options.crit_seconds is not None and time > options.crit_seconds:
            yield 2, f"{name} took {time:.1f} s"
        elif options.warn_seconds is not None and time > options.warn_seconds:
            yield 1, f"{name} took {time:.1f} s"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
