"""The ticket: three lines for the device owner, the rest for the tenant admin. Markdown that reads well as plain text.

Every time is UTC. Server text stands in code blocks with fences longer than any inside it; elsewhere it is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .. import __version__
from ..model import Action, Cause, Diagnosis, Knowledge, Outcome
from . import Options, signinlog
from . import words as w

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def render(outcome: Outcome, knowledge: Knowledge, options: Options) -> str:
    """One ticket."""
    return "\n".join(_tidy(_ticket(outcome, knowledge, options))) + "\n"


def render_many(outcomes: Iterable[Outcome], knowledge: Knowledge, options: Options) -> str:
    """The tickets of a batch, one after another."""
    return "\n---\n\n".join(render(outcome, knowledge, options) for outcome in outcomes)


def _ticket(outcome: Outcome, knowledge: Knowledge, options: Options) -> Iterator[str]:
    first = w.opening(outcome, knowledge)
    yield f"# {esc(w.summary_of(outcome).rstrip('.'))}"
    yield ""
    yield f"**What:** {esc(first.what)}  "
    yield f"**Who acts:** {esc(first.who)}  "
    yield f"**Tonight:** {esc(first.tonight)}"
    yield ""
    yield "## For the tenant administrator"
    yield ""
    yield from _about(outcome, options)
    for diagnosis in outcome.diagnoses:
        yield from _protocol(diagnosis)
    yield from _causes(outcome, knowledge)
    yield from _log(outcome)
    yield from _notes(outcome)


def _about(outcome: Outcome, options: Options) -> Iterator[str]:
    account = outcome.account
    moment = w.instant(outcome.started)
    rows = (
        ("Account", account.login),
        ("Mailbox", account.mailbox if account.mailbox != account.login else None),
        ("From", account.sender if account.sender != account.login else None),
        ("Source address", signinlog.source_of(outcome)),
        ("Tested", f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None),
        ("Local time", f"UTC{options.utc_offset}" if options.utc_offset else None),
        ("Tool", f"mailwhy {__version__}, calendar of {outcome.as_of}"),
    )
    for label, value in rows:
        if value:
            yield f"- {label}: {esc(w.clean(value))}"
    yield ""


def _protocol(diagnosis: Diagnosis) -> Iterator[str]:
    attempt = diagnosis.attempt
    yield f"### {w.name(attempt.target.protocol)}: {w.said(diagnosis)}"
    yield ""
    if where := "; ".join(part for part in (w.place(attempt.target), w.lines_words(attempt)) if part):
        yield f"- Where: {esc(where)}"
    if attempt.steps and not attempt.seen:
        yield f"- Steps: {esc(', '.join(w.stage_words(step) for step in attempt.steps))}"
    if attempt.held_back:
        yield f"- Held back: {esc(attempt.held_back)}"
    else:
        yield f"- {w.secret_of(diagnosis)}: {w.looked(diagnosis)}"
    step = w.decisive(diagnosis)
    if step and step.reply:
        if parts := w.reply_words(step.reply.spoken):
            yield f"- Reply: {esc(parts)}"
        yield ""
        yield from block(w.verbatim(diagnosis))
    elif step and step.fault:
        yield f"- No reply: {w.FAULTS.get(str(step.fault), step.fault)}"
    yield ""


def _causes(outcome: Outcome, knowledge: Knowledge) -> Iterator[str]:
    live = w.live_findings(outcome)
    told = w.shown(outcome)
    for number, finding in enumerate(live[: w.MOST_PAGES], 1):
        cause = w.cause_of(finding, knowledge)
        yield f"### Cause {number}: {esc(cause.title)}"
        yield ""
        yield f"`{cause.id}`, {w.BASIS[finding.basis]}. Must act: {esc(cause.owner) or 'not known'}."
        yield ""
        yield esc(w.fill(cause.why, outcome.account))
        yield ""
        yield from (f"- Because {esc(text)}" for text in w.evidence(finding, told))
        yield f"- {esc(finding.note)}" if finding.note else ""
        yield from _page(cause, outcome)
    if len(live) > w.MOST_PAGES:
        yield "### Less likely"
        yield ""
        for finding in live[w.MOST_PAGES :]:
            cause = w.cause_of(finding, knowledge)
            yield f"- {esc(cause.title)} (`{cause.id}`, {w.BASIS[finding.basis]})"
        yield ""
    if w.struck(outcome):
        yield "### Ruled out"
        yield ""
        for ruled in w.struck(outcome):
            other = knowledge.cause(ruled.cause)
            yield f"- {esc(w.clean(other.title if other else ruled.cause))}: {esc(w.fact_words(ruled.by, knowledge))}"
        yield ""


def _page(cause: Cause, outcome: Outcome) -> Iterator[str]:
    if role := w.role_words(cause):
        yield f"- Role: {esc(role)}"
    for label, actions in (("Look", cause.check), ("Mend", cause.fix), ("Undo", cause.undo)):
        for action in actions:
            yield from _action(label, action, outcome)
        if label == "Mend" and cause.delay:
            yield f"- Takes effect: {esc(w.clean(cause.delay))}"
    if cause.conflict:
        yield f"- Sources disagree: {esc(w.clean(cause.conflict))}"
    yield ""


def _action(label: str, action: Action, outcome: Outcome) -> Iterator[str]:
    text = w.clean(w.fill(action.text, outcome.account))
    yield "- " + ": ".join(part for part in (label, esc(w.clean(action.where)), esc(text)) if part)
    if action.run:
        yield ""
        yield from ("  " + line for line in block(w.command(action, outcome.account)))
        yield ""
    if action.expect:
        yield f"  Expect: {esc(w.clean(w.fill(action.expect, outcome.account)))}"


def _log(outcome: Outcome) -> Iterator[str]:
    if not signinlog.log_entries(outcome):
        return
    yield "### Where it stands in the sign-in log"
    yield ""
    yield signinlog.WHERE.replace(">", "\\>")
    yield ""
    yield "| User | Time | IP address | Client app |"
    yield "|---|---|---|---|"
    for entry in signinlog.log_entries(outcome):
        yield f"| {esc(entry.user)} | {entry.window} | {esc(entry.source)} | {entry.app} |"
    yield ""


def _notes(outcome: Outcome) -> Iterator[str]:
    yield "### Notes"
    yield ""
    if outcome.command == "check":
        yield "- One sign-in was made per protocol, at most. Do not repeat it often: refusals add up to a lock-out."
    else:
        yield "- Read from a pasted text. Nothing was sent anywhere."
    for notice in outcome.notices:
        yield f"- {esc(w.clean(notice.text))}" + (f" ({esc(w.clean(notice.source))})" if notice.source else "")


def block(text: str) -> Iterator[str]:
    """A code block that the text cannot end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield fence + "text"
    yield from (w.clean(line) for line in text.splitlines() or [""])
    yield fence


def esc(text: str) -> str:
    """Text that Markdown takes as text."""
    return SPECIAL.sub(r"\\\1", w.clean(text))


def _tidy(lines: Iterable[str]) -> Iterator[str]:
    """Never two empty lines, none at the end."""
    empty = False
    for line in lines:
        if not line.strip():
            empty = True
            continue
        if empty:
            yield ""
        empty = False
        yield line
