"""One self-contained page: no network, no script, light and dark, printable; several outcomes get charts and a table.

Every text goes through `esc`. The content security policy allows the one style sheet by its hash and nothing
else, so that even markup that slipped through could load and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from .. import __version__
from ..model import Action, Attempt, Cause, Diagnosis, Finding, Knowledge, Outcome, Verdict
from . import Options, signinlog
from . import words as w

TONE = {
    Verdict.WORKS: "good",
    Verdict.NAMED: "bad",
    Verdict.NARROWED: "bad",
    Verdict.OFF_BY_DEFAULT: "bad",
    Verdict.RETIRED: "quiet",
    Verdict.NOT_TRIED: "quiet",
}
SHEET = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
MOST_OPEN = 12  # outcomes that are shown unfolded; more would bury the table
HASH = base64.b64encode(hashlib.sha256(SHEET.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{HASH}'; base-uri 'none'; form-action 'none'"


def render(outcome: Outcome, knowledge: Knowledge, options: Options) -> str:
    """One outcome as one page."""
    first = w.opening(outcome, knowledge)
    body = [
        "<header>",
        f"<h1>{esc(_title(outcome))}</h1>",
        f'<p class="lead {TONE.get(outcome.verdict, "doubt")}">{esc(first.what)}</p>',
        f"<p><strong>Who acts:</strong> {esc(first.who)}</p>",
        f"<p><strong>Tonight:</strong> {esc(first.tonight)}</p>",
        f"<p class=small>{esc(_about((outcome,), options))}</p>",
        "</header>",
        "<main>",
        *_body(outcome, knowledge, "h2"),
        "</main>",
    ]
    return _page(_title(outcome), body)


def render_many(outcomes: Iterable[Outcome], knowledge: Knowledge, options: Options) -> str:
    """A batch as one page: charts of verdicts and causes, a table, then each mailbox."""
    found = tuple(outcomes)
    works = sum(outcome.verdict is Verdict.WORKS for outcome in found)
    heading = f"{len(found)} mailbox{'es' if len(found) != 1 else ''} tested, {works} of them can sign in"
    body = [
        "<header>",
        f"<h1>{heading}</h1>",
        f"<p class=small>{esc(_about(found, options))}</p>",
        "</header>",
        "<main>",
        *_charts(found, knowledge),
        *_table(found, knowledge),
    ]
    for number, outcome in enumerate(found, 1):
        unfolded = " open" if len(found) <= MOST_OPEN else ""
        body += [
            f'<details id="m{number}"{unfolded}>',
            f"<summary><h2>{esc(_title(outcome))}</h2></summary>",
            f"<p>{esc(w.opening(outcome, knowledge).what)}</p>",
            *_body(outcome, knowledge, "h3"),
            "</details>",
        ]
    return _page(heading, [*body, "</main>"])


def _page(title: str, body: Iterable[str]) -> str:
    head = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{esc(title)} - mailwhy</title>",
        f"<style>{SHEET}</style>",
        "</head>",
        "<body>",
    ]
    return "\n".join([*head, *body, "</body>", "</html>"]) + "\n"


def _title(outcome: Outcome) -> str:
    if outcome.command == "explain":
        return "What the pasted text means"
    return outcome.account.mailbox or outcome.account.login or "A mailbox without a name"


def _about(outcomes: Sequence[Outcome], options: Options) -> str:
    moments = sorted(at for outcome in outcomes if (at := w.instant(outcome.started)))
    when = f"{moments[0]:%Y-%m-%dT%H:%M:%SZ}, " if moments else ""
    local = f" (local time UTC{options.utc_offset})" if options.utc_offset else ""
    days = f", calendar of {outcomes[0].as_of}" if outcomes else ""
    return f"{when}all times UTC{local}. mailwhy {__version__}{days}."


def _body(outcome: Outcome, knowledge: Knowledge, level: str) -> Iterator[str]:
    yield f"<section><{level}>What was seen</{level}>"
    for diagnosis in outcome.diagnoses:
        yield from _protocol(diagnosis)
    yield "</section>"
    yield from _causes(outcome, knowledge, level)
    yield from _ruled_out(outcome, knowledge, level)
    yield from _log(outcome, level)
    timed = [d.attempt for d in outcome.diagnoses if d.attempt.steps and not d.attempt.seen]
    if timed:
        yield f"<section><{level}>How long each stage took</{level}>"
        for attempt in timed:
            yield from _waterfall(attempt)
        yield "</section>"
    if outcome.notices:
        yield f"<section><{level}>Good to know</{level}><ul>"
        yield from (f"<li>{esc(notice.text)} {_link(notice.source)}</li>" for notice in outcome.notices)
        yield "</ul></section>"


def _causes(outcome: Outcome, knowledge: Knowledge, level: str) -> Iterator[str]:
    live = w.live_findings(outcome)
    if not live:
        return
    told = w.shown(outcome)
    yield f"<section><{level}>Why, and what to do</{level}><ol class=causes>"
    for number, finding in enumerate(live, 1):
        cause = w.cause_of(finding, knowledge)
        protocols = ", ".join(w.name(p) for p in w.explained(finding, outcome))
        known = f"{w.BASIS[finding.basis]}. Explains {protocols}." if protocols else w.BASIS[finding.basis]
        yield f"<li><p class=cause>{esc(cause.title)}</p>"
        yield f"<p class=small>{esc(known)} <code>{esc(cause.id)}</code></p>"
        yield from (f"<p>Because {esc(fact)}</p>" for fact in w.evidence(finding, told))
        yield f"<p>{esc(finding.note)}</p>" if finding.note else ""
        if number <= w.MOST_PAGES:
            yield from _handbook(cause, outcome)
        elif cause.check and finding.told_apart_by:
            yield "<p><strong>To tell</strong></p><ul>"
            yield from _action(cause.check[0], outcome)
            yield "</ul>"
        yield "</li>"
    yield "</ol></section>"


def _protocol(diagnosis: Diagnosis) -> Iterator[str]:
    attempt = diagnosis.attempt
    yield "<article>"
    badge = f'<span class="badge {TONE.get(diagnosis.verdict, "doubt")}">{esc(w.said(diagnosis))}</span>'
    where = "; ".join(part for part in (w.place(attempt.target), w.lines_words(attempt)) if part)
    yield f"<p><strong>{w.name(attempt.target.protocol)}</strong> {badge} {esc(where)}</p>"
    if attempt.held_back:
        yield f"<p>Held back: {esc(attempt.held_back)}</p>"
    step = w.decisive(diagnosis)
    if step and step.reply:
        yield f"<pre>{esc(w.verbatim(diagnosis))}</pre>"
        if parts := w.reply_words(step.reply.spoken):
            yield f"<p class=small>{esc(parts)}</p>"
    elif step and step.fault:
        yield f"<p>No reply: {esc(w.FAULTS.get(str(step.fault), str(step.fault)))}.</p>"
    if diagnosis.verdict is not Verdict.NOT_TRIED:
        yield f"<p>{w.secret_of(diagnosis)}: {w.looked(diagnosis)}.</p>"
    yield "</article>"


def _waterfall(attempt: Attempt) -> Iterator[str]:
    whole = w.total(attempt) or 1.0
    title = " ".join((w.name(attempt.target.protocol), w.place(attempt.target)))
    yield f'<table class=stages><caption>{esc(title)}</caption><thead><tr><th scope="col">Stage</th>'
    yield '<th scope="col">Result</th><th scope="col">Time</th>'
    yield '<th scope="col">From start to end</th></tr></thead><tbody>'
    for step in attempt.steps:
        start, length = step.at / whole * 100, max(step.seconds / whole * 100, 0.4)
        tone = "good" if step.ok else "bad"
        words = "ok" if step.ok else w.FAULTS.get(str(step.fault), "refused") if step.fault else "refused"
        bar = f'<rect class="{tone}" x="{min(start, 99.6):.2f}%" width="{length:.2f}%" height="100%"/>'
        yield f'<tr><th scope="row">{step.stage}</th><td>{esc(words)}</td><td class=n>{w.seconds(step.seconds)}</td>'
        yield f'<td class=bar><svg width="100%" height="12" aria-hidden="true">{bar}</svg></td></tr>'
    yield "</tbody></table>"


def _handbook(cause: Cause, outcome: Outcome) -> Iterator[str]:
    if cause.why:
        yield f"<p>{esc(w.fill(cause.why, outcome.account))}</p>"
    about = (("Must act", cause.owner), ("Role", w.role_words(cause)), ("Takes effect", cause.delay))
    if rows := [f"<dt>{label}</dt><dd>{esc(value)}</dd>" for label, value in about if value]:
        yield f"<dl>{''.join(rows)}</dl>"
    for label, actions in (("Look", cause.check), ("Mend", cause.fix), ("Undo", cause.undo)):
        if actions:
            yield f"<p><strong>{label}</strong></p><ul>"
            for action in actions:
                yield from _action(action, outcome)
            yield "</ul>"
    if cause.conflict:
        yield f"<p>Sources disagree: {esc(cause.conflict)}</p>"
    if cause.links:
        yield f"<p class=small>{' '.join(_link(link) for link in cause.links)}</p>"


def _action(action: Action, outcome: Outcome) -> Iterator[str]:
    text = w.fill(action.text, outcome.account)
    yield f"<li>{esc(': '.join(part for part in (action.where, text) if part))}"
    if action.run:
        yield f"<pre>{esc(w.command(action, outcome.account))}</pre>"
    if action.expect:
        yield f"<span>Expect: {esc(w.fill(action.expect, outcome.account))}</span>"
    yield "</li>"


def _ruled_out(outcome: Outcome, knowledge: Knowledge, level: str) -> Iterator[str]:
    if not w.struck(outcome):
        return
    yield f"<section><{level}>Ruled out</{level}><ul>"
    for ruled in w.struck(outcome):
        cause = knowledge.cause(ruled.cause)
        yield f"<li>{esc(cause.title if cause else ruled.cause)}: {esc(w.fact_words(ruled.by, knowledge))}</li>"
    yield "</ul></section>"


def _log(outcome: Outcome, level: str) -> Iterator[str]:
    entries = signinlog.log_entries(outcome)
    if not entries:
        return
    yield f"<section><{level}>Where it stands in the sign-in log</{level}><p>{esc(signinlog.WHERE)}</p>"
    yield '<div class=wide tabindex="0"><table><thead><tr>'
    yield from (f'<th scope="col">{head}</th>' for head in ("User", "Time", "IP address", "Client app"))
    yield "</tr></thead><tbody>"
    for entry in entries:
        cells = (entry.user, entry.window, entry.source or "not known", entry.app)
        yield "<tr>" + "".join(f"<td>{esc(cell)}</td>" for cell in cells) + "</tr>"
    yield "</tbody></table></div></section>"


def _charts(outcomes: Sequence[Outcome], knowledge: Knowledge) -> Iterator[str]:
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    bars = [(w.SAID[v], count, TONE.get(v, "doubt")) for v, count in verdicts.most_common()]
    yield from _chart("Verdicts", _joined(bars))
    first = Counter(finding.cause for outcome in outcomes if (finding := _first(outcome)))
    named = [(cause.title if (cause := knowledge.cause(i)) else i, n, "bad") for i, n in first.most_common(15)]
    if named:
        yield from _chart("Most likely causes", named)


def _joined(bars: Iterable[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """Verdicts that read the same in one bar."""
    found: dict[str, tuple[int, str]] = {}
    for label, count, tone in bars:
        found[label] = (found.get(label, (0, tone))[0] + count, tone)
    return [(label, count, tone) for label, (count, tone) in found.items()]


def _chart(title: str, bars: Sequence[tuple[str, int, str]]) -> Iterator[str]:
    most = max((count for _, count, _ in bars), default=1)
    yield f'<section><h2>{title}</h2><table class=chart><thead><tr><th scope="col">{title}</th>'
    yield '<th scope="col">Mailboxes</th><th scope="col">Share</th></tr></thead><tbody>'
    for label, count, tone in bars:
        bar = f'<rect class="{tone}" width="{count / most * 100:.2f}%" height="100%"/>'
        yield f'<tr><th scope="row">{esc(label)}</th><td class=n>{count}</td>'
        yield f'<td class=bar><svg width="100%" height="14" aria-hidden="true">{bar}</svg></td></tr>'
    yield "</tbody></table></section>"


def _first(outcome: Outcome) -> Finding | None:
    """The most likely cause; None where the mailbox can be used."""
    return next(iter(w.live_findings(outcome)), None) if outcome.verdict is not Verdict.WORKS else None


def _table(outcomes: Sequence[Outcome], knowledge: Knowledge) -> Iterator[str]:
    yield '<section><h2>Mailboxes</h2><div class=wide tabindex="0"><table class=boxes><thead><tr>'
    yield from (f'<th scope="col">{head}</th>' for head in ("Mailbox", "Result", "Most likely cause", "Must act"))
    yield "</tr></thead><tbody>"
    for number, outcome in enumerate(outcomes, 1):
        finding = _first(outcome)
        cause = w.cause_of(finding, knowledge) if finding else None
        yield f'<tr><th scope="row"><a href="#m{number}">{esc(_title(outcome))}</a></th><td>'
        for d in outcome.diagnoses:
            words = f"{w.name(d.attempt.target.protocol)} {w.said(d)}"
            yield f'<span class="badge {TONE.get(d.verdict, "doubt")}">{esc(words)}</span>'
        yield f"</td><td>{esc(cause.title if cause else '')}</td><td>{esc(cause.owner if cause else '')}</td></tr>"
    yield "</tbody></table></div></section>"


def _link(address: str) -> str:
    """A link where it is one of the web, else its text."""
    if not address.startswith("https://"):
        return esc(address)
    return f'<a href="{esc(address)}" rel="noopener noreferrer">{esc(address.removeprefix("https://"))}</a>'


def esc(text: str) -> str:
    """Text that HTML takes as text, in elements and in quoted attributes."""
    return escape(w.clean(text), quote=True)
