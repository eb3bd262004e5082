"""Attempts + facts + knowledge -> diagnoses. Pure: no I/O, no clock; the day comes in as an argument.

    facts_of(attempt)  what the evidence says, as flat strings     (knowledge/facts.toml declares every name)
    sign               what the most telling failed step says      (signs.py)
    meanings           offered when all `given` hold, struck out by any `unless`; the order is the ranking

Facts with a protocol in front (`smtp.auth.failed`) pool within one account; the others (`service=`, `port=`)
belong to one attempt. Facts from outside (hints, snapshots) hold for every attempt of the account.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from .facts import calendar_facts, facts_of
from .model import (
    OVERALL,
    Account,
    Attempt,
    Diagnosis,
    Exit,
    Fault,
    Finding,
    Judged,
    Knowledge,
    Meaning,
    Notice,
    Outcome,
    Password,
    Protocol,
    Ruled,
    Sign,
    Speaker,
    Stage,
    Step,
    Verdict,
)
from .noun import dataclass
from .pages import place_of, suited
from .signs import Hit, Signs

NETWORK = frozenset({Stage.DNS, Stage.TCP, Stage.TLS, Stage.GREETING, Stage.CAPABILITIES})  # before AUTH
RETIRED, DEFAULT_OFF = (
    "service.basic_auth_retired",
    "org.smtp_basic_auth_default_off",
)  # they have verdicts of their own
_OF_A_PROTOCOL = tuple(f"{protocol}." for protocol in Protocol)
STALE_CALENDAR = 90  # days after which a notice says that the calendar was not checked lately


@dataclass(frozen=True, slots=True)
class Reading:
    """One attempt, read as far as it can be without the others: its facts, its sign, its password."""

    attempt: Attempt
    facts: frozenset[str]
    hit: Hit | None
    step: Step | None
    password: Password


def read(
    attempt: Attempt, account: Account, knowledge: Knowledge, signs: Signs, as_of: str, outside: frozenset[str]
) -> Reading:
    """What one attempt says on its own; `run` asks this between two protocols to decide whether to go on."""
    facts = facts_of(attempt, account, knowledge) | outside
    step, hit = _speaking(attempt, facts, signs)
    if hit:
        facts |= _shown(hit.sign, facts)
    facts |= calendar_facts(attempt, facts, knowledge, as_of)
    password = _password(attempt, step, hit)
    facts |= {f"{attempt.target.protocol}.password.{password}"}
    return Reading(attempt, facts, hit, step, password)


def _speaking(attempt: Attempt, facts: frozenset[str], signs: Signs) -> tuple[Step | None, Hit | None]:
    """The failed step that says most, and its sign. What follows a refused AUTH is only its consequence."""
    failed = [step for step in attempt.steps if not step.ok]
    if any(step.stage is not Stage.USE for step in failed):
        failed = [step for step in failed if step.stage is not Stage.USE]
    best: tuple[Step | None, Hit | None] = (failed[0] if failed else None, None)
    for step in failed:
        hits = signs.of_step(step, attempt.target.protocol)
        hit = next((hit for hit in hits if _may_speak(hit.sign, facts)), None)
        if hit and (best[1] is None or hit.weight > best[1].weight):
            again = best[1] is not None and hit.sign is best[1].sign  # the next line of the same answer
            best = (best[0] if again else step, hit)
    return best


def _may_speak(sign: Sign, facts: frozenset[str]) -> bool:
    return sign.family == "any" or "service=other" not in facts


def _shown(sign: Sign, facts: frozenset[str]) -> frozenset[str]:
    """Facts that the sign proves, but for those that are known otherwise already."""
    known = {fact.partition("=")[0] for fact in facts if "=" in fact}
    return frozenset(f for f in sign.shows if "=" not in f or f.partition("=")[0] not in known)


def _password(attempt: Attempt, step: Step | None, hit: Hit | None) -> Password:
    if attempt.ok(Stage.AUTH):
        return Password.ACCEPTED
    if step and step.stage in NETWORK and not attempt.stage(Stage.AUTH):
        return Password.NOT_LOOKED_AT
    if hit:
        return {
            Judged.ACCEPTED: Password.ACCEPTED,
            Judged.REFUSED: Password.REFUSED,
            Judged.NOT_JUDGED: Password.NOT_LOOKED_AT,
            Judged.UNKNOWN: Password.NOT_TOLD,
        }[hit.sign.credential]
    if not attempt.stage(Stage.AUTH) or (step and step.fault is Fault.NOT_OFFERED):
        return Password.NOT_LOOKED_AT
    return Password.NOT_TOLD


def diagnose(
    attempts: Sequence[Attempt],
    account: Account,
    knowledge: Knowledge,
    as_of: str,
    outside: Iterable[str] = (),
    signs: Signs | None = None,
) -> tuple[Diagnosis, ...]:
    """One diagnosis an attempt. The attempts are one account's (or one pasted session's): their facts pool.

    as_of: ISO date of the day the calendar is read for; outside: facts known otherwise (`--fact`).
    """
    signs = signs or Signs(knowledge.signs)
    given = frozenset(outside)
    readings = [read(attempt, account, knowledge, signs, as_of, given) for attempt in attempts]
    pool = frozenset(fact for reading in readings for fact in reading.facts if fact.startswith(_OF_A_PROTOCOL))
    return tuple(_conclude(replace(r, facts=r.facts | pool), account, knowledge, as_of) for r in readings)


def _conclude(reading: Reading, account: Account, knowledge: Knowledge, as_of: str) -> Diagnosis:
    findings: tuple[Finding, ...] = ()
    ruled: tuple[Ruled, ...] = ()
    if reading.hit and reading.step:
        findings, ruled = _weigh(reading.hit.sign, reading, knowledge)
    return Diagnosis(
        account=account,
        attempt=reading.attempt,
        verdict=_verdict(reading, findings),
        password=_under_retirement(reading, findings),
        findings=findings,
        ruled_out=ruled,
        notices=_notices(reading, knowledge, as_of),
        sign=reading.hit.sign.id if reading.hit else None,
        facts=reading.facts,
        step=next((at for at, step in enumerate(reading.attempt.steps) if step is reading.step), None),
    )


def _weigh(sign: Sign, reading: Reading, knowledge: Knowledge) -> tuple[tuple[Finding, ...], tuple[Ruled, ...]]:
    """The sign's meanings, offered or struck out by the facts; each cause once, in the order of `means`."""
    offered: dict[str, Finding] = {}
    ruled: dict[str, Ruled] = {}
    for meaning in sign.means:
        cause = knowledge.causes.get(meaning.cause)
        # the sign-in service's number is its own verdict: what usually speaks against a cause does not outweigh it
        usual = cause.unless if cause and sign.speaker is not Speaker.ENTRA else ()
        struck = next((f for f in (*meaning.unless, *usual) if f in reading.facts), None)
        if struck:
            ruled.setdefault(meaning.cause, Ruled(meaning.cause, struck))
        elif all(fact in reading.facts for fact in meaning.given):
            offered.setdefault(meaning.cause, _finding(sign, meaning, reading, knowledge))
    findings = tuple(offered.values())
    if len(findings) > 1:
        findings = tuple(replace(f, told_apart_by=_told_apart(f, knowledge)) for f in findings)
    return findings, tuple(r for r in ruled.values() if r.cause not in offered)


def _finding(sign: Sign, meaning: Meaning, reading: Reading, knowledge: Knowledge) -> Finding:
    facts = tuple(knowledge.facts.get(fact, fact) for fact in meaning.given)
    because = (_evidence(sign, reading), *facts)
    place, target = place_of(reading.facts), reading.attempt.target
    return Finding(meaning.cause, sign.id, meaning.basis, because, (), meaning.note, place, target)


def _evidence(sign: Sign, reading: Reading) -> str:
    step = reading.step
    if step and step.reply:
        said = step.reply.spoken
        who = {
            Speaker.SERVER: "the server said",
            Speaker.CLIENT: "the program said",
            Speaker.ENTRA: "the sign-in service said",
        }
        words = " ".join(part for part in (said.status, said.enhanced, said.text) if part)
        return f"{who[sign.speaker]}: {words}"
    return f"{step.stage}: {str(step.fault).replace('_', ' ')}" if step else ""


def _told_apart(finding: Finding, knowledge: Knowledge) -> tuple[str, ...]:
    """What would tell this cause from the others: the checks of its own page, as far as they fit the place."""
    cause = knowledge.causes.get(finding.cause)
    checks = suited(cause, finding.place).check[:2] if cause else ()
    return tuple(" -> ".join(part for part in (check.run or check.text, check.expect) if part) for check in checks)


def _under_retirement(reading: Reading, findings: Sequence[Finding]) -> Password:
    """A refusal of what Microsoft has removed, or has most likely removed, says nothing about the password."""
    removed = f"retired.{reading.attempt.target.protocol}" in reading.facts or _first_is(RETIRED, findings)
    if reading.password is Password.REFUSED and removed:
        return Password.NOT_TOLD
    return reading.password


def _first_is(cause: str, findings: Sequence[Finding]) -> bool:
    return bool(findings) and findings[0].cause == cause


def _verdict(reading: Reading, findings: Sequence[Finding]) -> Verdict:
    attempt, step = reading.attempt, reading.step
    if step is None:
        if attempt.held_back:
            return Verdict.NOT_TRIED
        return Verdict.WORKS if attempt.ok(Stage.AUTH) else Verdict.UNKNOWN
    if step.fault is Fault.CANCELLED:
        return Verdict.NOT_TRIED
    if step.reply is None and step.fault is not Fault.NOT_OFFERED and step.stage in NETWORK:
        return Verdict.UNREACHABLE
    if not findings:
        return Verdict.UNKNOWN
    if _first_is(RETIRED, findings) and f"retired.{attempt.target.protocol}" in reading.facts:
        return Verdict.RETIRED
    if _first_is(DEFAULT_OFF, findings) and f"off_by_default.{attempt.target.protocol}" in reading.facts:
        return Verdict.OFF_BY_DEFAULT
    return Verdict.NAMED if len(findings) == 1 else Verdict.NARROWED


def _notices(reading: Reading, knowledge: Knowledge, as_of: str) -> tuple[Notice, ...]:
    found = [
        Notice(rule.id, rule.text, rule.source)
        for rule in knowledge.notices.values()
        if all(fact in reading.facts for fact in rule.given) and not any(f in reading.facts for f in rule.unless)
    ]
    if stale := stale_calendar(knowledge, as_of):
        found.append(stale)
    return tuple(found)


def stale_calendar(knowledge: Knowledge, as_of: str) -> Notice | None:
    """A notice when the calendar was last checked more than 90 days before `as_of`."""
    age = (date.fromisoformat(as_of) - date.fromisoformat(knowledge.calendar.checked)).days
    if age <= STALE_CALENDAR:
        return None
    text = f"The calendar of Microsoft's changes was last checked on {knowledge.calendar.checked}, {age} days ago."
    return Notice("calendar-stale", text)


def outcome(
    command: str,
    account: Account,
    diagnoses: Sequence[Diagnosis],
    knowledge: Knowledge,
    as_of: str,
    *,
    insisted: Iterable[Protocol] = (),
    outside: Iterable[str] = (),
    started: str | None = None,
    finished: str | None = None,
    notices: Iterable[Notice] = (),
) -> Outcome:
    """The whole run: overall verdict, findings and exit code. `insisted`: protocols the user asked for by name."""
    verdict = next((v for v in OVERALL if any(d.verdict is v for d in diagnoses)), Verdict.NO_REPLY)
    findings = overall_findings(diagnoses)
    offered = {finding.cause for finding in findings}
    ruled = {r.cause: r for d in diagnoses for r in d.ruled_out if r.cause not in offered}
    asked = frozenset(insisted)
    return Outcome(
        command=command,
        as_of=as_of,
        account=account,
        diagnoses=tuple(diagnoses),
        verdict=verdict,
        exit=_exit(command, diagnoses, findings, knowledge, asked),
        findings=findings,
        ruled_out=tuple(ruled.values()),
        notices=tuple({n.id: n for n in (*notices, *(n for d in diagnoses for n in d.notices))}.values()),
        facts=frozenset(outside),
        started=started,
        finished=finished,
    )


def overall_findings(diagnoses: Sequence[Diagnosis]) -> tuple[Finding, ...]:
    """Causes that explain most refused protocols first, SMTP leading, then the order of `means`; retired ones last.

    What Microsoft removed is explained by that alone, unless nothing else was seen: the further candidates of a
    retired protocol stay in its own diagnosis.
    """
    all_retired = all(d.verdict is Verdict.RETIRED for d in diagnoses)
    groups: dict[str, list[tuple[Diagnosis, int, Finding]]] = {}
    for diagnosis in diagnoses:
        alone = diagnosis.verdict is Verdict.RETIRED and not all_retired
        for rank, finding in enumerate(diagnosis.findings[:1] if alone else diagnosis.findings):
            groups.setdefault(finding.cause, []).append((diagnosis, rank, finding))

    def order(entry: tuple[str, list[tuple[Diagnosis, int, Finding]]]) -> tuple[bool, int, bool, int]:
        _, group = entry
        live = [g for g in group if g[0].verdict is not Verdict.RETIRED]
        smtp = any(d.attempt.target.protocol is Protocol.SMTP for d, _, _ in live)
        explained = len({d.attempt.target.protocol for d, _, _ in live})
        return not live, -explained, not smtp, min(rank for _, rank, _ in live or group)

    ranked = sorted(groups.items(), key=order)
    return tuple(min(group, key=lambda g: g[1])[2] for _, group in ranked)


def _exit(
    command: str,
    diagnoses: Sequence[Diagnosis],
    findings: Sequence[Finding],
    knowledge: Knowledge,
    asked: frozenset[Protocol],
) -> Exit:
    if command == "explain":
        return Exit.OK if findings else Exit.UNKNOWN
    classes = [_class(d, knowledge, asked, all(o.verdict is Verdict.RETIRED for o in diagnoses)) for d in diagnoses]
    if any(c is Exit.REFUSED for c in classes):
        return Exit.REFUSED
    return Exit.OK if any(c is Exit.OK for c in classes) else Exit.UNKNOWN


def _class(diagnosis: Diagnosis, knowledge: Knowledge, asked: frozenset[Protocol], all_retired: bool) -> Exit | None:
    verdict = diagnosis.verdict
    if verdict is Verdict.WORKS:
        return Exit.OK
    if verdict is Verdict.RETIRED:
        return Exit.REFUSED if all_retired or diagnosis.attempt.target.protocol in asked else None
    if verdict in (Verdict.NAMED, Verdict.NARROWED, Verdict.OFF_BY_DEFAULT):
        cause = knowledge.causes.get(diagnosis.findings[0].cause) if diagnosis.findings else None
        return Exit.UNKNOWN if cause and cause.transient else Exit.REFUSED
    return Exit.UNKNOWN
