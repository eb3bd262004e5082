"""The words that the reports for people share: verdicts, the three opening lines, commands with the mailbox filled in.

Pure, and ASCII but for what servers and people wrote. Whatever comes from outside goes through `clean` before it
is shown: a server's text must never act on a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from ..model import (
    Account,
    Action,
    Attempt,
    Basis,
    Cause,
    Diagnosis,
    Fault,
    Finding,
    Kind,
    Knowledge,
    Outcome,
    Password,
    Protocol,
    Reply,
    Ruled,
    Stage,
    Step,
    Target,
    Verdict,
    bracketed,
)
from ..noun import dataclass
from ..pages import at, located, suited
from ..reply import harmless
from . import powershell

SAID = {
    Verdict.WORKS: "works",
    Verdict.NAMED: "refused",
    Verdict.NARROWED: "refused",
    Verdict.RETIRED: "removed by Microsoft",
    Verdict.OFF_BY_DEFAULT: "refused: off by default",
    Verdict.UNKNOWN: "failed, reason not known",
    Verdict.UNREACHABLE: "not reached",
    Verdict.NOT_TRIED: "not tried",
    Verdict.NO_REPLY: "no server reply found",
}
BASIS = {
    Basis.MICROSOFT: "Microsoft documents it",
    Basis.FIELD: "seen in the field, not documented",
    Basis.INFERRED: "inferred, not proven",
}
LOOKED = {
    Password.ACCEPTED: "accepted",  # see `looked`
    Password.REFUSED: "looked at, and refused",
    Password.NOT_LOOKED_AT: "not looked at",
    Password.NOT_TOLD: "the server does not tell whether it looked",
}
TLS_WORDS = {"starttls": "STARTTLS", "implicit": "TLS", "none": "no TLS"}
MOST_PAGES = 3  # causes whose whole page stands in a ticket or a web page; the others are named
NOBODY = Account()


def clean(text: object) -> str:
    """Anything as one harmless line."""
    return harmless(str(text).replace("\r\n", " ").replace("\n", " ").replace("\t", " ")).strip()


def name(protocol: Protocol) -> str:
    """SMTP, IMAP, POP."""
    return protocol.value.upper()


def secret_of(diagnosis: Diagnosis) -> str:
    """What signed in: Password, or Token."""
    return "Token" if diagnosis.attempt.kind is Kind.OAUTH else "Password"


def looked(diagnosis: Diagnosis) -> str:
    """Did the server look at the password?"""
    if diagnosis.verdict is Verdict.RETIRED:
        return "this refusal says nothing about it"
    if diagnosis.password is Password.ACCEPTED and diagnosis.verdict is not Verdict.WORKS:
        return "looked at, and probably right: what refuses comes after it"
    return LOOKED[diagnosis.password]


# how a connection ended of which only the program tells
ENDED = {
    "client-connect-timeout": "not reached",
    "client-connection-refused": "not reached",
    "client-connection-closed": "failed: the connection was closed without an answer",
    "client-connection-reset": "failed: the connection was cut off without an answer",
    "client-dns-temporary": "not reached",
    "client-host-unknown": "not reached",
    "client-operation-timeout": "failed: no answer in time",
    "client-read-timeout": "failed: no answer in time",
}


def said(diagnosis: Diagnosis) -> str:
    """The verdict in words; an answer that no sign knows is a refusal all the same, and Ctrl-C is nobody's refusal."""
    step = decisive(diagnosis)
    if only_program(diagnosis) and diagnosis.verdict in (Verdict.NAMED, Verdict.NARROWED):
        told = "refused" if diagnosis.password is Password.REFUSED else "failed"
        return ENDED.get(diagnosis.sign or "", told)
    if diagnosis.verdict is Verdict.UNKNOWN and step and step.stage is Stage.AUTH and step.reply:
        return "refused, reason not known"
    if step and step.fault is Fault.CANCELLED:
        return "not tested to the end"
    return SAID[diagnosis.verdict]


def place(target: Target) -> str:
    """Host, port and TLS as far as they are known."""
    address = clean(target.host or "")
    if target.port:
        address = f"{bracketed(address)}:{target.port}" if address else f"port {target.port}"
    tls = TLS_WORDS[target.tls.value] if target.tls else ""
    return f"{address} ({tls})" if address and tls else address or tls


def fill(text: str, account: Account) -> str:
    """Prose with the addresses filled in; `<mailbox>` where none is known."""
    return powershell.fill(text, account, clean)


def command(action: Action, account: Account) -> str:
    """What an action says to run, the addresses filled in and quoted for the place where it runs.

    An address that cannot stand in a command leaves its placeholder, `<mailbox>`, which nothing runs.
    """
    try:
        return powershell.command_of(action, account)
    except ValueError:
        return powershell.command_of(action, NOBODY)


def apart(text: str, finding: Finding, account: Account) -> str:
    """One line of `told_apart_by`: a command of a page, or words, with server and addresses filled in."""
    text = at(text, finding.target, finding.place)
    quoting = powershell.quoted
    if text.startswith("GET https:"):
        quoting = powershell.url_quoted
    elif text.startswith(("mailwhy ", "openssl ", "nslookup ")):
        quoting = powershell.shell_quoted
    try:
        return powershell.fill(text, account, quoting)
    except ValueError:
        return powershell.fill(text, NOBODY)


def cause_of(finding: Finding, knowledge: Knowledge) -> Cause:
    """The page of a finding, as it fits the mailbox's place; an empty one where the handbook has none."""
    cause = knowledge.cause(finding.cause) or Cause(finding.cause, finding.cause, "", "")
    return located(suited(cause, finding.place), finding.target, finding.place)


def only_program(diagnosis: Diagnosis) -> bool:
    """Is all that was pasted a program's own words? Then it is not known that a server refused anything."""
    return bool(diagnosis.attempt.seen and diagnosis.sign and diagnosis.sign.startswith("client-"))


def decisive(diagnosis: Diagnosis) -> Step | None:
    """The step that says why: in a paste what was understood best, else a refused sign-in before its consequences,
    else where it ended."""
    if diagnosis.attempt.seen and diagnosis.step is not None:
        return diagnosis.attempt.steps[diagnosis.step]
    failed = [step for step in diagnosis.attempt.steps if not step.ok]
    return next((s for s in failed if s.stage is Stage.AUTH), failed[0] if failed else None)


def verbatim(diagnosis: Diagnosis) -> str:
    """The decisive reply on one line, harmless to print, or ""."""
    step = decisive(diagnosis)
    return clean(step.reply.line) if step and step.reply else ""


def seconds(value: float) -> str:
    """A duration for people: 12 ms, 5.1 s."""
    return f"{value * 1000:.0f} ms" if value < 0.9995 else f"{value:.1f} s"


def total(attempt: Attempt) -> float:
    """Seconds from the start to the end of the last step."""
    return max((step.at + step.seconds for step in attempt.steps), default=0.0)


def stage_words(step: Step) -> str:
    """One stage in short: `auth LOGIN refused after 5.1 s`, `tls 1.3 40 ms`."""
    seen = step.seen
    detail = {
        Stage.TCP: "",
        Stage.TLS: str(seen.get("version", "")).replace("TLSv", ""),
        Stage.CAPABILITIES: "",
        Stage.AUTH: str(seen.get("mechanism", "")),
        Stage.USE: step.sent if step.sent == "message" else "",  # a real one, sent because it was asked for
    }.get(step.stage, "")
    words = " ".join(part for part in (step.stage.value, clean(detail)) if part)
    if step.ok:
        return f"{words} {seconds(step.seconds)}" if step.seconds else words
    ending = "refused" if step.reply and not step.fault else FAULTS.get(str(step.fault), "failed")
    return f"{words} {ending}" + (f" after {seconds(step.seconds)}" if step.seconds else "")


FAULTS = {
    "no_such_host": "no such host",
    "dns_failed": "the resolver failed",
    "refused": "connection refused",
    "unreachable": "no route",
    "timeout": "no answer in time",
    "closed": "closed by the server",
    "reset": "reset",
    "tls_untrusted": "certificate not trusted",
    "tls_failed": "handshake failed",
    "tls_not_spoken": "the server does not speak TLS here",
    "tls_spoken": "the server speaks TLS here",
    "not_offered": "not offered",
    "injected": "clear text after STARTTLS",
    "garbled": "not an answer of this protocol",
    "too_long": "answer too long",
    "unencodable": "cannot be sent in this protocol",
    "local": "refused by this machine",
    "cancelled": "stopped",
}


@dataclass(frozen=True, slots=True)
class Opening:
    """The three lines that every report for people opens with."""

    what: str
    who: str
    tonight: str


def live_findings(outcome: Outcome) -> tuple[Finding, ...]:
    """The causes worth acting on. Of a protocol that Microsoft removed, none; if all are, that one."""
    open_ = {f.cause for d in outcome.diagnoses if d.verdict is not Verdict.RETIRED for f in d.findings}
    shut = {d.findings[0].cause for d in outcome.diagnoses if d.verdict is Verdict.RETIRED and d.findings}
    told = {f.cause for d in outcome.diagnoses for f in d.findings}
    wanted = open_ or shut
    return tuple(f for f in outcome.findings if f.cause in wanted or f.cause not in told)


def struck(outcome: Outcome) -> tuple[Ruled, ...]:
    """The causes that were ruled out. No news: those of another protocol or kind of credential, and of a
    protocol that Microsoft removed."""
    told = {r.cause for d in outcome.diagnoses for r in d.ruled_out}
    live = {r.cause for d in outcome.diagnoses if d.verdict is not Verdict.RETIRED for r in d.ruled_out}
    return tuple(
        ruled
        for ruled in outcome.ruled_out
        if not ruled.by.startswith(("protocol=", "credential=")) and (ruled.cause in live or ruled.cause not in told)
    )


def opening(outcome: Outcome, knowledge: Knowledge) -> Opening:
    """What is the matter, who must act, what can be done tonight. One plain line each."""
    live = live_findings(outcome)
    if live and outcome.verdict not in (Verdict.WORKS, Verdict.RETIRED):
        return _with_cause(outcome, live, knowledge)
    summary = summary_of(outcome)
    retired = "Use another way: OAuth, or SMTP if the program only sends."
    if any(d.verdict is Verdict.RETIRED and d.attempt.target.protocol is Protocol.SMTP for d in outcome.diagnoses):
        retired = "Use a program with modern sign-in (OAuth), or the browser."
    held = "Read below why it was held back, mend that, then run it again."
    if any((step := decisive(d)) and step.fault is Fault.CANCELLED for d in outcome.diagnoses):
        held = "Run it again, and let it come to its end."
    endings = {
        Verdict.WORKS: ("nobody: the sign-in works.", "Nothing has to be done."),
        Verdict.RETIRED: ("you: nobody can switch it on again.", retired),
        Verdict.UNREACHABLE: ("you, or the network admin.", "Try from another network; ask whether the port is open."),
        Verdict.NOT_TRIED: ("you.", held),
        Verdict.NO_REPLY: ("you.", "Paste the lines around the failure; the server's own reply is not in the text."),
    }
    named = ("host=microsoft", "cloud=", "credential=oauth")  # else nothing says that the server is Microsoft's
    ours = any(fact.startswith(named) for d in outcome.diagnoses for fact in d.facts)
    whose, log = ("the mail administrator", "the sign-in") if ours else ("whoever runs the mail server", "its own")
    unknown = (f"{whose}, with the reply below.", f"Look the attempt up in {log} log.")
    who, tonight = endings.get(outcome.verdict, unknown)
    return Opening(summary, who, tonight)


def _with_cause(outcome: Outcome, live: tuple[Finding, ...], knowledge: Knowledge) -> Opening:
    first = cause_of(live[0], knowledge)
    refused = outcome.verdict in (Verdict.NARROWED, Verdict.NAMED) and len(live) > 1
    title = f"The most likely of {len(live)} causes: {first.title}" if refused else first.title
    owners = list(dict.fromkeys(o for f in live[:3] if (o := cause_of(f, knowledge).owner)))
    who = (f"the {owners[0]}" if " " in owners[0] else owners[0]) if owners else "the mail administrator"
    others = ", ".join(owners[1:])
    who += f" (or, if it is another cause: {others})." if others else "."
    tonight = first.tonight or next((a.text for a in first.fix if a.text), "") or f"read: mailwhy causes {first.id}"
    return Opening(f"{summary_of(outcome)} {_sentence(title)}", who, _sentence(fill(tonight, outcome.account)))


def summary_of(outcome: Outcome) -> str:
    """`SMTP refused; IMAP and POP removed by Microsoft.`"""
    groups: dict[str, list[str]] = {}
    for diagnosis in outcome.diagnoses:
        names = groups.setdefault(said(diagnosis), [])
        if (protocol := name(diagnosis.attempt.target.protocol)) not in names:
            names.append(protocol)
    if not groups:
        return "There is no server reply in the text."
    works = SAID[Verdict.WORKS]
    return "; ".join(f"{_and(n)} {'work' if s == works and len(n) > 1 else s}" for s, n in groups.items()) + "."


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(text: str) -> str:
    text = clean(text)
    return text if text.endswith((".", "!", "?", ")")) else f"{text}."


def explained(finding: Finding, outcome: Outcome) -> tuple[Protocol, ...]:
    """The protocols whose refusal this cause would explain."""
    found = (d.attempt.target.protocol for d in outcome.diagnoses if any(f.cause == finding.cause for f in d.findings))
    return tuple(dict.fromkeys(found))


def shown(outcome: Outcome) -> frozenset[str]:
    """What stands at the protocols already, as `evidence` would say it: replies, and faults."""
    steps = [step for d in outcome.diagnoses if (step := decisive(d))]
    faults = (f"{step.stage}: {str(step.fault).replace('_', ' ')}" for step in steps if step.fault)
    return frozenset((*(clean(step.reply.line) for step in steps if step.reply), *faults))


def evidence(finding: Finding, told: Iterable[str]) -> Iterator[str]:
    """The facts that speak for a finding, without those that are `shown` above."""
    known = tuple(text for text in told if text)
    for text in map(clean, finding.because):
        words = text.partition(" said: ")[2] or text
        if text and not any(words[:60] in reply or reply in words for reply in known):
            yield text


def fact_words(fact: str, knowledge: Knowledge) -> str:
    """A fact in words, where the handbook has them."""
    return clean(knowledge.facts.get(fact) or fact)


def role_words(cause: Cause) -> str:
    """The role that may do it, "" where none is needed."""
    role = clean(cause.role).rstrip(".")
    return "" if role.startswith("None: whoever") else role


def instant(text: str | None) -> datetime | None:
    """An ISO time in UTC, None where it cannot be read (or stands at the edge of the calendar)."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    if found is None or not 1990 <= found.year <= 2200:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def lines_words(attempt: Attempt) -> str:
    """Where in a paste: `lines 3, 7 (2 times, first ..., last ...)`, "" for a real check."""
    seen = attempt.seen
    if not seen:
        return ""
    words = ", ".join(ranges(seen.lines))
    words = f"line{'s' if len(seen.lines) != 1 else ''} {words}" if words else "in the text"
    more = [f"{seen.count} times"] if seen.count > 1 else []
    more += [f"first {_day(seen.first)}"] if seen.first else []
    more += [f"last {_day(seen.last)}"] if seen.last and seen.last != seen.first else []
    return f"{words} ({', '.join(more)})" if more else words


def _day(time: str) -> str:
    """A time of a paste: `Dec 28 12:41:01` where the log tells no year (`--12-28T12:41:01`)."""
    at = instant(f"2000{time[1:]}") if time.startswith("--") else None
    return f"{at:%b %d %H:%M:%S}" if at else clean(time)


def ranges(numbers: Iterable[int]) -> Iterator[str]:
    """3, 4, 5, 9 as `3-5`, `9`; at most six of them."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    yield from (str(a) if a == b else f"{a}-{b}" for a, b in runs[:6])
    if len(runs) > 6:
        yield f"and {len(runs) - 6} more"


def reply_words(reply: Reply) -> str:
    """Server, time and session, taken out of the reply's trailer."""
    parts = (("server", reply.server), ("time", reply.time), ("session", reply.session))
    return ", ".join(f"{key} {clean(value)}" for key, value in parts if value)
