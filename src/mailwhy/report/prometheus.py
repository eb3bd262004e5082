"""Prometheus text format, for the textfile collector; names in the manner of blackbox_exporter (`probe_...`).

No user names in labels unless `options.users`: metrics are read by many. Several outcomes without them would
collide, so a batch is numbered by row then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..model import Diagnosis, Knowledge, Outcome, Stage, Verdict
from . import Options
from . import words as w

HELP = {
    "probe_success": "Whether the sign-in over this protocol works (1) or not (0).",
    "probe_duration_seconds": "Seconds from the start of the attempt to its end.",
    "probe_mail_duration_seconds": "Seconds of each stage of the attempt.",
    "probe_ssl_earliest_cert_expiry": "When the first certificate expires, in seconds since 1970.",
    "probe_smtp_status_code": "The three digits of the decisive SMTP reply.",
    "mailwhy_verdict_info": "The verdict of this protocol.",
    "mailwhy_cause_info": "A cause that explains the refusal; rank 1 is the most likely.",
}
Sample = tuple[str, dict[str, str], float]


def render(outcome: Outcome, knowledge: Knowledge, options: Options) -> str:
    """The metrics of one outcome."""
    return _document(samples(outcome, knowledge, options, {}))


def render_many(outcomes: Iterable[Outcome], knowledge: Knowledge, options: Options) -> str:
    """The metrics of a batch; `row` counts from 1."""
    return _document(
        sample
        for number, outcome in enumerate(outcomes, 1)
        for sample in samples(outcome, knowledge, options, {"row": str(number)})
    )


def samples(outcome: Outcome, knowledge: Knowledge, options: Options, labels: dict[str, str]) -> Iterator[Sample]:
    """Every number of one outcome with its labels."""
    if options.users and (mailbox := outcome.account.mailbox or outcome.account.login):
        labels = {**labels, "mailbox": w.clean(mailbox)}
    many: dict[str, int] = {}
    for diagnosis in outcome.diagnoses:
        protocol = diagnosis.attempt.target.protocol.value
        many[protocol] = many.get(protocol, 0) + 1
        own = {**labels, "protocol": protocol}
        if many[protocol] > 1:  # a paste may hold several
            own["attempt"] = str(many[protocol])
        yield from _of(diagnosis, own)


def _of(diagnosis: Diagnosis, labels: dict[str, str]) -> Iterator[Sample]:
    attempt = diagnosis.attempt
    yield "probe_success", labels, float(diagnosis.verdict is Verdict.WORKS)
    if attempt.steps and not attempt.seen:
        yield "probe_duration_seconds", labels, w.total(attempt)
        for stage in Stage:
            if steps := attempt.stage(stage):
                phase = {**labels, "phase": stage.value}
                yield "probe_mail_duration_seconds", phase, sum(step.seconds for step in steps)
    if (expiry := _expiry(diagnosis)) is not None:
        yield "probe_ssl_earliest_cert_expiry", labels, expiry
    step = w.decisive(diagnosis) or (attempt.steps[-1] if attempt.steps else None)
    digits = step.reply.spoken.status if step and step.reply else ""
    if attempt.target.protocol == "smtp" and len(digits) == 3 and digits.isascii() and digits.isdigit():
        yield "probe_smtp_status_code", labels, float(digits)
    yield "mailwhy_verdict_info", {**labels, "verdict": diagnosis.verdict.value}, 1.0
    for rank, finding in enumerate(diagnosis.findings, 1):
        yield "mailwhy_cause_info", {**labels, "cause": finding.cause, "rank": str(rank)}, 1.0


def _expiry(diagnosis: Diagnosis) -> float | None:
    found: list[float] = []
    for step in diagnosis.attempt.stage(Stage.TLS):
        chain = step.seen.get("chain")
        dates = [step.seen.get("not_after")]
        dates += [c.get("not_after") for c in chain if isinstance(c, dict)] if isinstance(chain, list | tuple) else []
        found += [at.timestamp() for d in dates if isinstance(d, str) and (at := w.instant(d))]
    return min(found, default=None)


def _document(found: Iterable[Sample]) -> str:
    """All samples of one metric together, as the format wants it."""
    by_name: dict[str, list[str]] = {}
    for name, labels, value in found:
        by_name.setdefault(name, []).append(f"{name}{_labels(labels)} {value:.6f}".rstrip("0").rstrip("."))
    lines: list[str] = []
    for name, text in HELP.items():
        if name in by_name:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", *by_name[name]]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    escaped = (f'{key}="{_escaped(value)}"' for key, value in labels.items())
    return "{" + ",".join(escaped) + "}"


def _escaped(value: str) -> str:
    return w.clean(value).replace("\\", "\\\\").replace('"', '\\"')
