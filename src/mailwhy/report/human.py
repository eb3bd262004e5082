"""The report for people on a terminal or in a log: three plain lines, then the protocols, the causes, the way out.

Plain ASCII but for what others wrote, no decoration that a log would break; colour only adds to what the words
say. Prose is wrapped to the width (at most 100). What is there to be copied, replies and commands, is never
wrapped and begins in the first column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..model import Action, Attempt, Cause, Diagnosis, Finding, Knowledge, Outcome, Stage, Step, Tls, Verdict
from . import Options, signinlog
from . import words as w
from .wrap import wrapped

WIDEST = 100
COLORS = {"bold": "1", "good": "32", "bad": "31", "doubt": "33", "dim": "2"}
TONE = {Verdict.WORKS: "good", Verdict.NAMED: "bad", Verdict.NARROWED: "bad", Verdict.OFF_BY_DEFAULT: "bad"}
MOST_FIXES = 1  # causes whose fix is shown without -v
MOST_CAUSES = 4  # causes that are listed without -v
MOST_LOOKS = 2  # things to look at, for one cause, without -v
TIED = "\u00a0"  # a blank that prose is not wrapped at


class Page:
    """Lines of text at one width, with or without colour."""

    def __init__(self, options: Options) -> None:
        self.width = max(16, min(options.width, WIDEST))
        self.color = options.color
        self.lines: list[str] = []

    def paint(self, text: str, tone: str) -> str:
        """The text in a tone of `COLORS`; as it is when colour is off."""
        return f"\x1b[{COLORS[tone]}m{text}\x1b[0m" if self.color and tone in COLORS else text

    def say(self, text: str, indent: int = 0, hang: int = 0, tone: str = "") -> None:
        """Wrapped prose; `hang`: how much further the following lines stand in."""
        if self.width < 40:
            indent, hang = min(indent, 2), min(hang, 2)
        lines = wrapped(text, self.width, " " * indent, " " * (indent + hang))
        self.lines += [self.paint(line.replace(TIED, " "), tone) for line in lines]

    def exact(self, text: str, indent: int = 0, tone: str = "") -> None:
        """One line that is never wrapped."""
        self.lines.append(" " * indent + self.paint(text, tone))

    def gap(self) -> None:
        """An empty line, never two."""
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def head(self, text: str) -> None:
        """A heading."""
        self.gap()
        self.exact(text, tone="bold")

    def text(self) -> str:
        """All of it, with a final line end."""
        return "\n".join(self.lines).rstrip() + "\n"


def render(outcome: Outcome, knowledge: Knowledge, options: Options) -> str:
    """The report; `verbosity` -1 gives the three opening lines only."""
    page = Page(options)
    _opening(page, outcome, knowledge, options)
    if options.verbosity < 0:
        return page.text()
    live = w.live_findings(outcome)
    order = {finding.cause: number for number, finding in enumerate(live, 1)}
    held: set[str] = set()
    for diagnosis in outcome.diagnoses:
        _protocol(page, diagnosis, order, options, held)
    if outcome.verdict is Verdict.WORKS and options.verbosity < 1:
        _no_more_than_named(page, live, knowledge)
    else:
        _causes(page, outcome, live, knowledge, options)
        _ruled_out(page, outcome, knowledge)
        _what_to_do(page, outcome, live, knowledge, options)
    _sign_in_log(page, outcome)
    _notices(page, outcome)
    if options.verbosity >= 2:
        _everything(page, outcome)
    return page.text()


def _opening(page: Page, outcome: Outcome, knowledge: Knowledge, options: Options) -> None:
    first = w.opening(outcome, knowledge)
    tone = TONE.get(outcome.verdict, "doubt")
    for number, (label, text) in enumerate((("What", first.what), ("Who acts", first.who), ("Tonight", first.tonight))):
        line = f"{label + ':':<10}{w.clean(text)}"
        if options.verbosity < 0:
            page.exact(line, tone="" if number else tone)
        else:
            page.say(line, 0, 10, tone="" if number else tone)


def _protocol(page: Page, diagnosis: Diagnosis, order: dict[str, int], options: Options, held: set[str]) -> None:
    """One protocol. held: the reasons that were told already; a new one is added."""
    attempt = diagnosis.attempt
    page.gap()
    head = f"{w.name(attempt.target.protocol):<6}{w.said(diagnosis)}"
    page.say(
        "   ".join(p for p in (head, w.place(attempt.target), w.lines_words(attempt)) if p), 0, 6, _tone(diagnosis)
    )
    brief = diagnosis.verdict is Verdict.RETIRED and options.verbosity < 1
    if attempt.steps and not attempt.seen and not brief:
        page.say(", ".join(w.stage_words(step).replace(" ", TIED) for step in attempt.steps), 6)
    if attempt.held_back:
        page.say(f"Held back: {'as above' if attempt.held_back in held else w.clean(attempt.held_back)}", 6)
        held.add(attempt.held_back)
    _reply(page, diagnosis)
    if diagnosis.verdict is not Verdict.NOT_TRIED:
        page.say(f"{w.secret_of(diagnosis)}: {w.looked(diagnosis)}.", 6)
    numbers = [order[f.cause] for f in diagnosis.findings if f.cause in order]
    if numbers and diagnosis.verdict is not Verdict.RETIRED:
        page.say(_numbers(numbers, options), 6)
    if options.verbosity >= 1:
        _waterfall(page, attempt)
        _transcript(page, attempt)


def _numbers(numbers: Sequence[int], options: Options) -> str:
    """Which of the listed causes: `Causes: 1-4 below, 11 more with -v.`"""
    listed = [number for number in numbers if options.verbosity >= 1 or number <= MOST_CAUSES]
    rest = len(numbers) - len(listed)
    if not listed:
        return f"Cause{'s' if rest > 1 else ''}: {', '.join(w.ranges(numbers))}, with -v."
    more = f", {rest} more with -v" if rest else ""
    return f"Cause{'s' if len(numbers) > 1 else ''}: {', '.join(w.ranges(listed))} below{more}."


def _tone(diagnosis: Diagnosis) -> str:
    return TONE.get(diagnosis.verdict, "doubt")


def _reply(page: Page, diagnosis: Diagnosis) -> None:
    """The server's words on a line of their own, from the first column on: copying takes nothing else along."""
    step = w.decisive(diagnosis)
    if not step:
        return
    if text := w.verbatim(diagnosis):
        label = "The program said" if w.only_program(diagnosis) else "Reply"
        page.say(f"{label}:" if diagnosis.attempt.seen else f"Reply to {w.clean(step.sent) or step.stage}:", 6)
        page.exact(text)
    elif step.fault:
        detail = w.clean(step.seen.get("detail", ""))
        page.say(f"No reply: {w.FAULTS.get(str(step.fault), step.fault)}{f' ({detail})' if detail else ''}.", 6)


def _waterfall(page: Page, attempt: Attempt) -> None:
    whole = w.total(attempt)
    if attempt.seen or not whole:
        return
    bar = max(8, page.width - 34)
    for step in attempt.steps:
        start = min(bar - 1, int(step.at / whole * bar))
        length = max(1, min(bar - start, round(step.seconds / whole * bar)))
        line = " " * start + ("#" if step.ok else "x") * length
        page.exact(f"      {step.stage:<13}|{line:<{bar}}| {w.seconds(step.seconds):>8}", tone="" if step.ok else "bad")


def _transcript(page: Page, attempt: Attempt) -> None:
    for line in transcript(attempt):
        page.exact(line, 6, "dim")


def transcript(attempt: Attempt) -> Iterator[str]:
    """The dialogue in swaks's arrows: `->` sent, `<-` received, `~>` `<~` inside TLS, `**` what went wrong."""
    inside = attempt.target.tls is Tls.IMPLICIT and not attempt.seen
    for step in attempt.steps:
        yield from _spoken(step, inside)
        if step.stage is Stage.TLS and step.ok:
            inside = True
            about = (step.seen.get("version"), step.seen.get("cipher"), step.seen.get("subject"))
            yield "== TLS " + w.clean(" ".join(str(part) for part in about if part))


def _spoken(step: Step, inside: bool) -> Iterator[str]:
    sent, received = ("~>", "<~") if inside else ("->", "<-")
    if step.stage in (Stage.DNS, Stage.TCP):
        about = step.seen.get("addresses") or step.seen.get("address") or ""
        found = about if isinstance(about, list | tuple) else [about]
        yield f"== {step.stage} {', '.join(w.clean(part) for part in found)}".rstrip()
    if step.sent and step.stage is not Stage.DNS:
        yield f"{sent} {w.clean(step.sent)}"
    for line in step.reply.lines or (step.reply.line,) if step.reply else ():
        yield f"{received} {w.clean(line)}"
    unasked = step.seen.get("unasked")
    for line in unasked if isinstance(unasked, list | tuple) else ():
        yield f"{received} {w.clean(line)} (not asked for)"
    if step.fault:
        yield f"** {step.stage}: {w.FAULTS.get(str(step.fault), step.fault)}"


def _no_more_than_named(page: Page, live: Sequence[Finding], knowledge: Knowledge) -> None:
    """What works comes first: of what Microsoft removed elsewhere, only where to read about it."""
    page.gap()
    for finding in live:
        cause = w.cause_of(finding, knowledge)
        page.say(f"{w.clean(cause.title)}: mailwhy causes {w.clean(cause.id)}, or -v.", 6, 2)


def _causes(page: Page, outcome: Outcome, live: Sequence[Finding], knowledge: Knowledge, options: Options) -> None:
    if not live:
        return
    page.head("Why" if len(live) == 1 else "Why: the most likely first")
    told = w.shown(outcome)
    several = len({d.attempt.target.protocol for d in outcome.diagnoses}) > 1
    most = len(live) if options.verbosity >= 1 else MOST_CAUSES
    for number, finding in enumerate(live[:most], 1):
        cause = w.cause_of(finding, knowledge)
        protocols = ", ".join(w.name(p) for p in w.explained(finding, outcome)) if several else ""
        title = f"{number:>2}. {w.clean(cause.title)}" + (f" ({protocols})" if protocols else "")
        page.say(title, 0, 4, "bold" if number == 1 else "")
        page.say(f"{w.BASIS[finding.basis]}; mailwhy causes {w.clean(cause.id)}", 4, 0, "dim")
        for text in w.evidence(finding, told):
            page.say(f"because {text}", 4, 2)
        if note := w.clean(finding.note):
            page.say(note, 4)
        if cause.why and (number == 1 or options.verbosity >= 1):
            page.say(w.clean(w.fill(cause.why, outcome.account)), 4)
        if number > MOST_FIXES and options.verbosity < 1 and finding.told_apart_by:
            for action in cause.check[:1]:
                _action(page, "To tell", action, outcome, 4)
    if len(live) > most:
        rest = len(live) - most
        more = f"{rest} more causes are possible" if rest > 1 else "1 more cause is possible"
        page.say(f"{more}, and less likely: -v shows all.", 1, 2)


def _ruled_out(page: Page, outcome: Outcome, knowledge: Knowledge) -> None:
    found = w.struck(outcome)
    if not found:
        return
    page.head("Ruled out")
    titles: dict[str, list[str]] = {}  # each reason once: one fact may rule out ten causes
    for ruled in found:
        cause = knowledge.cause(ruled.cause)
        titles.setdefault(ruled.by, []).append(w.clean(cause.title if cause else ruled.cause))
    for by, ruled_by_it in titles.items():
        why = w.fact_words(by, knowledge)
        if len(ruled_by_it) == 1:
            page.say(f"- {ruled_by_it[0]}: {why}", 1, 2)
            continue
        page.say(f"Because {why}:", 1)
        for title in ruled_by_it:
            page.say(f"- {title}", 3, 2)


def _what_to_do(page: Page, outcome: Outcome, live: Sequence[Finding], knowledge: Knowledge, options: Options) -> None:
    """The pages of the first causes (-v: of all). What is told once is not told again."""
    wanted = [w.cause_of(finding, knowledge) for finding in live]
    wanted = [cause for cause in wanted if cause.fix or cause.check or cause.undo]
    if not wanted:
        return
    page.head("What to do")
    shown = wanted if options.verbosity >= 1 else wanted[:MOST_FIXES]
    told: set[Action] = set()
    for cause in shown:
        if len(wanted) > 1:
            page.say(f"If it is this: {w.clean(cause.title)}", 1, 2, "bold")
        _page_of(page, cause, outcome, told, options)
        if cause.conflict and (cause is shown[0] or options.verbosity >= 1):
            page.say(f"Sources disagree: {w.clean(cause.conflict)}", 2, 2)
    if len(shown) < len(wanted):
        page.say("If it is another cause: -v, or mailwhy causes with its name.", 1, 2)


def _page_of(page: Page, cause: Cause, outcome: Outcome, told: set[Action], options: Options) -> None:
    if role := w.role_words(cause):
        page.say(f"As: {role}", 2, 2)
    looks = cause.check if options.verbosity >= 1 else cause.check[:MOST_LOOKS]
    for label, actions in (("Look", looks), ("Mend", cause.fix), ("Undo", cause.undo)):
        for action in actions:
            once = Action(run=action.run, where=action.where) if action.run else action
            if once in told:
                again = f"{label}: as above" + (f". Expect: {w.clean(action.expect)}" if action.expect else "")
                if not page.lines[-1].endswith(again):
                    page.say(again, 2, 2)
                continue
            told.add(once)
            _action(page, label, action, outcome, 2)
        if label == "Mend" and cause.delay:
            page.say(f"Takes effect: {w.clean(cause.delay)}", 2, 2)


def _action(page: Page, label: str, action: Action, outcome: Outcome, indent: int) -> None:
    """What to do in words, then the command alone on its line."""
    text = w.clean(w.fill(action.text, outcome.account))
    page.say(": ".join(part for part in (label, w.clean(action.where), text) if part), indent, 2)
    for line in w.command(action, outcome.account).splitlines():
        page.exact(w.clean(line))
    if action.expect:
        page.say(f"Expect: {w.clean(w.fill(action.expect, outcome.account))}", indent + 4, 2)


def _sign_in_log(page: Page, outcome: Outcome) -> None:
    entries = signinlog.log_entries(outcome)
    if not entries:
        return
    page.head("Where it stands in the sign-in log")
    page.say(signinlog.WHERE, 2)
    for entry in entries:
        parts = (
            f"user {entry.user}" if entry.user else "",
            entry.window,
            f"IP address {entry.source}" if entry.source else "",
            f'client app "{entry.app}"',
        )
        page.say("- " + ", ".join(part for part in parts if part), 2, 2)


def _notices(page: Page, outcome: Outcome) -> None:
    if not outcome.notices:
        return
    page.head("Good to know")
    for notice in outcome.notices:
        source = f" ({w.clean(notice.source)})" if notice.source else ""
        page.say(f"- {w.clean(notice.text)}{source}", 1, 2)


def _everything(page: Page, outcome: Outcome) -> None:
    import json

    page.head("Everything seen")
    for diagnosis in outcome.diagnoses:
        attempt = diagnosis.attempt
        page.exact(f"{w.name(attempt.target.protocol)} sign {w.clean(diagnosis.sign or 'none')}", 1)
        for step in attempt.steps:
            page.exact(f"{step.stage} at {step.at:.3f} s for {step.seconds:.3f} s", 3)
            for key, value in sorted(step.seen.items()):
                page.exact(f"{key}: {w.clean(json.dumps(value, ensure_ascii=True, default=str))}", 5)
        page.say("facts: " + _facts(diagnosis.facts), 3, 2)


def _facts(facts: Iterable[str]) -> str:
    return ", ".join(w.clean(fact) for fact in sorted(facts))
