"""What one attempt's evidence says, as flat strings. Pure; the same for `check` and for `explain`.

`knowledge/facts.toml` declares every name, CONTRIBUTING.md tells where each comes from. Steps keep only raw
observations; nothing is judged here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .model import Account, Attempt, Knowledge, Stage

COUNTRY = r"com|[a-z]{2}|com?\.[a-z]{2}"
FRONT_END = r"\.[a-z]{3}(?:prd|p)\d{2,3}(?:\.(?P<rest>[a-z.]{0,15}))?$"


def facts_of(attempt: Attempt, account: Account, knowledge: Knowledge) -> frozenset[str]:
    """What one attempt's observations say, as facts; the same for `check` and for `explain`."""
    return frozenset(
        {
            *attempt.facts,
            *_target_facts(attempt, knowledge),
            *_stage_facts(attempt),
            *_capability_facts(attempt),
            *_tls_facts(attempt),
            *_account_facts(account, knowledge),
            *_service_facts(attempt, account, knowledge),
        }
    )


def _target_facts(attempt: Attempt, knowledge: Knowledge) -> Iterable[str]:
    target = attempt.target
    yield f"protocol={target.protocol}"
    if target.host and cloud_of(target.host, knowledge):
        yield "host=microsoft"
    if target.port:
        yield f"port={target.port}"
    if target.tls:
        yield f"tls={target.tls}"
    if attempt.kind:
        yield f"credential={attempt.kind}"


def _stage_facts(attempt: Attempt) -> Iterable[str]:
    protocol = attempt.target.protocol
    for stage in Stage:
        if steps := attempt.stage(stage):
            yield f"{protocol}.{stage}.{'ok' if all(s.ok for s in steps) else 'failed'}"
    for step in attempt.steps:
        if step.fault:
            yield f"{protocol}.fault.{step.fault}"
        if address := step.seen.get("source"):
            yield f"source.family={'ipv6' if ':' in str(address) else 'ipv4'}"
        if step.stage is Stage.AUTH and (mechanism := step.seen.get("mechanism")):
            yield f"{protocol}.mechanism={str(mechanism).lower()}"
        if step.seen.get("injected"):
            yield f"{protocol}.injected"
    if attempt.held_back:
        yield f"{protocol}.not_tried"


def _capability_facts(attempt: Attempt) -> Iterable[str]:
    protocol = attempt.target.protocol
    for step in attempt.stage(Stage.CAPABILITIES):
        inside = step is attempt.stage(Stage.CAPABILITIES)[-1]
        for mechanism in step.seen.get("auth", ()) if inside else ():
            yield f"{protocol}.capabilities.auth.{str(mechanism).lower()}"
        for word in step.seen.get("words", ()) if inside else ():
            if str(word).upper() in ("STARTTLS", "STLS", "LOGINDISABLED"):
                yield f"{protocol}.capabilities.{str(word).lower()}"


def _tls_facts(attempt: Attempt) -> Iterable[str]:
    protocol = attempt.target.protocol
    for step in attempt.stage(Stage.TLS):
        if step.seen.get("version") in ("TLSv1", "TLSv1.1", "SSLv3"):
            yield f"{protocol}.tls.old"
        for problem in step.seen.get("problems", ()):
            yield f"{protocol}.tls.{problem}"


def _account_facts(account: Account, knowledge: Knowledge) -> Iterable[str]:
    login, mailbox, sender = account.login, account.mailbox, account.sender
    if login:
        if "@" not in login:
            yield "login.bare"
        elif consumer_cloud(login, knowledge):
            yield "account.consumer"
    if login and mailbox and login.casefold() != mailbox.casefold():
        yield "login.not_mailbox"
    if login and sender and login.casefold() != sender.casefold():
        yield "sender.not_login"


def domain_of(address: str) -> str:
    """The part after the last @, lower case."""
    return address.rpartition("@")[2].casefold()


def consumer_cloud(address: str, knowledge: Knowledge) -> str | None:
    """The id of the cloud that this address decides, None where the domain decides nothing."""
    domain = domain_of(address)
    for cloud in knowledge.clouds.values():
        if domain in cloud.domains or any(
            pattern.endswith(".*")
            and domain.startswith(pattern[:-1])
            and re.fullmatch(COUNTRY, domain[len(pattern) - 1 :])
            for pattern in cloud.domains
        ):
            return cloud.id
    return None


def _service_facts(attempt: Attempt, account: Account, knowledge: Knowledge) -> Iterable[str]:
    if any(fact.startswith("service=") for fact in attempt.facts):
        return
    names = [str(step.seen["host"]) for step in attempt.steps if step.seen.get("host")]
    for step in attempt.steps:
        reply = step.reply
        while reply:
            names += [reply.server] if reply.server else []
            reply = reply.inner
    if cloud := next((c for name in names if (c := cloud_of(name, knowledge))), None):
        yield from _cloud_facts(cloud, account, knowledge)
        return
    software = next((str(s.seen["software"]) for s in attempt.steps if s.seen.get("software")), "")
    dialled = cloud_of(attempt.target.host, knowledge) if attempt.target.host else None
    if software == "exchange":
        if names or (attempt.stage(Stage.TCP) and attempt.target.host and not dialled):
            # it names another host; or we dialled another one ourselves, and Exchange Online always names itself
            yield "service=exchange-server"
        elif (
            dialled
        ):  # an Exchange that keeps its name to itself (pastes cut it out), where Microsoft's host was dialled
            yield from _cloud_facts(dialled, account, knowledge)
    elif software:
        yield "service=other"
    elif dialled and not any(step.reply for step in attempt.stage(Stage.GREETING)):
        # nothing was said yet: the host that was dialled is all there is to go by
        yield from _cloud_facts(dialled, account, knowledge)


def _cloud_facts(cloud: str, account: Account, knowledge: Knowledge) -> Iterable[str]:
    consumer = account.login and consumer_cloud(account.login, knowledge)
    entry = knowledge.clouds[consumer or cloud]
    yield f"service={entry.service}"
    yield f"cloud={entry.id}"


def cloud_of(host: str, knowledge: Knowledge) -> str | None:
    """The cloud that a host name belongs to, by its suffix; the longest suffix decides."""
    name = host.casefold().rstrip(".")
    found = [
        (len(suffix), cloud.id)
        for cloud in knowledge.clouds.values()
        for suffix in cloud.suffixes
        if name.endswith(suffix) and f".{name}".endswith(f".{suffix}")
    ]
    if not found and (cut := re.search(FRONT_END, name)) and "prod.outlook.com".startswith(cut["rest"] or ""):
        # `DB8PR04CA0012.eurprd04.prod.outl`: pastes are cut anywhere
        found = [(1, cloud.id) for cloud in knowledge.clouds.values() if "prod.outlook.com" in cloud.suffixes]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def calendar_facts(attempt: Attempt, facts: frozenset[str], knowledge: Knowledge, as_of: str) -> frozenset[str]:
    """`retired.*` and `off_by_default.*`, where service, cloud, protocol and kind of credential fit the calendar.

    A reply that carries its own time is judged at that time.
    """
    day = attempt.started[:10] if attempt.started and attempt.seen else as_of
    found: dict[str, str] = {}
    for event in sorted(knowledge.calendar.events, key=lambda event: event.date):
        if (
            event.date <= day
            and attempt.target.protocol in event.protocols
            and f"credential={event.kind}" in facts
            and any(f"service={service}" in facts for service in event.services)
            and any(f"cloud={cloud}" in facts for cloud in event.clouds)
        ):
            found["calendar"] = "retired" if event.what == "removed" else "off_by_default"
    return frozenset(f"{what}.{attempt.target.protocol}" for what in found.values())
