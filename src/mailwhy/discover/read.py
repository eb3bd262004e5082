"""DNS answers -> Place: which cloud serves a domain, how sure that is, what contradicts. Pure but for its data files.

What counts: the MX and Autodiscover show where the mailboxes are, SPF only who may send. A gateway in the MX hides
what stands behind it. A question that was not answered is never taken for a no.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..facts import cloud_of, consumer_cloud
from ..model import Knowledge, Notice
from ..places import Answered, AtMicrosoft, Lookup, Mark, Place, Server
from ..plain import from_plain
from ..targets import of_cloud

HOME = Path(__file__).parent
SERVICES = ("_submission", "_submissions", "_imap", "_imaps", "_pop3", "_pop3s")  # RFC 6186, RFC 8314
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
SPF_HOST = re.compile(r"(?:\?|\+|~|-)?(?:include:|redirect=)(\S+)")


@functools.cache
def marks() -> tuple[Mark, ...]:
    """Host names that show Microsoft's clouds."""
    data = tomllib.loads((HOME / "marks.toml").read_text(encoding="utf-8"))
    return tuple(from_plain(Mark, entry, f"marks[{number}]") for number, entry in enumerate(data["marks"]))


@functools.cache
def servers() -> tuple[Server, ...]:
    """Gateways and mail services that are not Microsoft's."""
    data = tomllib.loads((HOME / "providers.toml").read_text(encoding="utf-8"))
    return tuple(from_plain(Server, {"id": id_, **entry}, id_) for id_, entry in data.items())


def endpoint(domain: str) -> str:
    """The usual name of a work domain's endpoint at Exchange Online: contoso-com.mail.protection.outlook.com.

    Older and newer domains may have another, so only an answer proves something.
    """
    return f"{domain.replace('.', '-')}.mail.protection.outlook.com"


def under(host: str, suffix: str) -> bool:
    """Is this host the suffix itself, or below it?"""
    return host == suffix or host.endswith("." + suffix)


def mark_of(record: str, host: str) -> Mark | None:
    """The mark that a host shows in this record."""
    found = [mark for mark in marks() if mark.record == record and under(host, mark.suffix)]
    return max(found, key=lambda mark: len(mark.suffix), default=None)


def server_of(host: str) -> Server | None:
    """The service, not Microsoft's, that an MX host belongs to."""
    return next((server for server in servers() if any(under(host, suffix) for suffix in server.mx)), None)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The answers, taken apart. `seen`: (record, host, mark) of every host that shows Microsoft."""

    domain: str
    lookups: tuple[Lookup, ...]
    personal: bool

    def lookup(self, name: str, type_: str) -> Lookup:
        """The answer to this question."""
        return next(one for one in self.lookups if (one.name, one.type) == (name, type_))

    @property
    def mx(self) -> Lookup:
        """The domain's MX."""
        return self.lookup(self.domain, "MX")

    @property
    def autodiscover(self) -> Lookup:
        """The CNAME of Autodiscover."""
        return self.lookup(f"autodiscover.{self.domain}", "CNAME")

    @property
    def spf(self) -> tuple[str, ...]:
        """The SPF records, put together from their pieces."""
        texts = ("".join(QUOTED.findall(record)) for record in self.lookup(self.domain, "TXT").records)
        return tuple(text for text in texts if re.match(r"v=spf1(?:\s|$)", text, re.IGNORECASE))

    def hosts(self, record: str) -> tuple[str, ...]:
        """The host names that this record points to."""
        if record == "mx":
            return tuple(host for host in self.mx.targets if host)
        if record == "autodiscover":
            return self.autodiscover.targets
        if record == "msoid":
            return self.lookup(f"msoid.{self.domain}", "CNAME").targets
        return tuple(host.lower().rstrip(".") for spf in self.spf for host in SPF_HOST.findall(spf))

    def marked(self, record: str) -> list[tuple[str, Mark]]:
        """The hosts of this record that show Microsoft."""
        return [(host, mark) for host in self.hosts(record) if (mark := mark_of(record, host))]

    @property
    def others(self) -> list[tuple[str, Server | None]]:
        """The MX hosts that are not Microsoft's, and whose they are."""
        return [(host, server_of(host)) for host in self.hosts("mx") if not mark_of("mx", host)]

    @property
    def endpoint(self) -> str | None:
        """The usual endpoint at Exchange Online, where it exists."""
        name = endpoint(self.domain)
        return name if self.lookup(name, "A").answered is Answered.FOUND else None


def read(asked: str, domain: str, lookups: Sequence[Lookup], knowledge: Knowledge) -> Place:
    """The place, from the answers to the questions of `discover`."""
    evidence = Evidence(domain, tuple(lookups), bool(consumer_cloud(domain, knowledge)))
    at = _at_microsoft(evidence)
    clouds = _clouds(evidence, knowledge) if at in (AtMicrosoft.YES, AtMicrosoft.LIKELY) else ()
    titles = dict.fromkeys(server.title if server else host for host, server in evidence.others)
    return Place(
        asked=asked,
        domain=domain,
        at_microsoft=at,
        personal=evidence.personal or clouds[:1] == ("consumer",),
        clouds=clouds,
        servers=of_cloud(knowledge.clouds[clouds[0]]) if clouds else (),
        direct_send=_direct_send(evidence, clouds),
        providers=tuple(titles),
        because=tuple(_because(evidence)),
        conflicts=tuple(_conflicts(evidence, at, clouds, knowledge)),
        lookups=evidence.lookups,
    )


def _at_microsoft(evidence: Evidence) -> AtMicrosoft:
    if evidence.personal or evidence.marked("mx"):
        return AtMicrosoft.YES
    elsewhere = any(server and server.kind == "mailboxes" for _, server in evidence.others)
    if evidence.marked("autodiscover") or evidence.marked("msoid"):
        return AtMicrosoft.LIKELY if elsewhere else AtMicrosoft.YES
    if (evidence.marked("spf") or evidence.endpoint) and not elsewhere:
        return AtMicrosoft.LIKELY
    if evidence.mx.answered is Answered.NO_NAME:
        return AtMicrosoft.NO
    asked = (evidence.mx, evidence.autodiscover, evidence.lookup(evidence.domain, "TXT"))
    if elsewhere:
        return AtMicrosoft.NO
    if not all(lookup.answered.definite for lookup in asked):
        return AtMicrosoft.UNKNOWN
    hidden = any(server and server.kind == "gateway" for _, server in evidence.others)
    return AtMicrosoft.UNKNOWN if hidden else AtMicrosoft.NO


def _clouds(evidence: Evidence, knowledge: Knowledge) -> tuple[str, ...]:
    """The clouds that fit all marks, or as many as fit together; Autodiscover tells GCC High from DoD."""
    if cloud := consumer_cloud(evidence.domain, knowledge):
        return (cloud,)
    fit: tuple[str, ...] = ()
    for record in ("mx", "autodiscover", "msoid", "spf"):
        for _, mark in evidence.marked(record):
            both = tuple(cloud for cloud in fit if cloud in mark.clouds)
            fit = both or fit or mark.clouds
    return fit or ("worldwide",)  # only the endpoint was found, which stands in the worldwide cloud's zone


def _direct_send(evidence: Evidence, clouds: tuple[str, ...]) -> str | None:
    if not clouds or clouds[0] == "consumer":
        return None
    return next((host for host, _ in evidence.marked("mx")), evidence.endpoint)


def _because(evidence: Evidence) -> Iterable[str]:
    domain = evidence.domain
    if evidence.personal:
        yield f"{domain} is a domain of Outlook.com: personal accounts, no tenant, no administrator"
    words = {
        "mx": "its MX {host} is Exchange Online's",
        "autodiscover": "autodiscover.{domain} points to {host}: its mailboxes are there",
        "msoid": "msoid.{domain} points to {host}, which 21Vianet's customers have",
        "spf": "its SPF lets {host} send: Microsoft 365 sends for it, which does not show where the mailboxes are",
    }
    for record, text in words.items():
        for host, _ in evidence.marked(record):
            yield text.format(host=host, domain=domain)
    if not evidence.marked("mx") and evidence.endpoint:
        yield f"{evidence.endpoint} exists: Exchange Online takes mail for a domain of that name (inferred)"
    for host, server in evidence.others:
        kind = {"gateway": "a gateway", "mailboxes": "a mail service"}.get(server.kind, "") if server else ""
        yield f"its MX {host} is {server.title}, {kind}" if server else f"its MX {host} is nobody's whom we know"
    yield from _absent(evidence)


def _absent(evidence: Evidence) -> Iterable[str]:
    """What is not there, and what could not be asked: two different things."""
    mx, domain = evidence.mx, evidence.domain
    if mx.answered is Answered.NO_NAME:
        yield f"{domain} does not exist (NXDOMAIN): look for a misspelling"
    elif mx.answered is Answered.NO_RECORD:
        yield f"{domain} has no MX record"
    elif mx.answered is Answered.FOUND and not any(mx.targets):
        yield f"{domain} says that it takes no mail (null MX, RFC 7505)"
    unanswered = [one for one in evidence.lookups if not one.answered.definite]
    for lookup in unanswered[:3]:
        detail = f" ({lookup.detail})" if lookup.answered is Answered.FAILED and lookup.detail else ""
        yield f"{lookup.type} of {lookup.name} could not be asked: {lookup.answered}{detail}"
    if more := len(unanswered[3:]):
        yield f"{more} more question{'s were' if more > 1 else ' was'} not answered"


def _conflicts(evidence: Evidence, at: AtMicrosoft, clouds: tuple[str, ...], knowledge: Knowledge) -> Iterable[Notice]:
    others = evidence.others
    here = at in (AtMicrosoft.YES, AtMicrosoft.LIKELY)
    owners = dict.fromkeys(server.title if server else host for host, server in others)
    if others and evidence.marked("mx"):
        names = ", ".join(("Microsoft", *owners))
        yield Notice(
            "discover.mx-several", f"Its MX records name several services ({names}); each gets some of the mail."
        )
    elif others and here and not evidence.personal:
        yield Notice("discover.mx-elsewhere", _before_microsoft(evidence, tuple(owners)))
    elif any(server and server.kind == "gateway" for _, server in others):
        text = f"{', '.join(owners)} takes the mail first; DNS does not show what stands behind."
        yield Notice("discover.gateway-hides", text)
    if evidence.marked("mx") and evidence.autodiscover.targets and not evidence.marked("autodiscover"):
        where = ", ".join(evidence.autodiscover.targets)
        text = f"The MX is Microsoft's, yet Autodiscover points to {where}: a hybrid, a leftover, or another service."
        yield Notice("discover.autodiscover-elsewhere", text)
    yield from _spf_conflicts(evidence)
    if len(clouds) > 1:
        titles = " or ".join(knowledge.clouds[cloud].title for cloud in clouds)
        yield Notice("discover.cloud-open", f"The records do not tell {titles} apart; a CNAME of autodiscover would.")
    told = {mark.clouds for record in ("mx", "autodiscover", "msoid", "spf") for _, mark in evidence.marked(record)}
    if len(told) > 1 and not set.intersection(*(set(each) for each in told)):
        yield Notice("discover.clouds-contradict", "The records point to different Microsoft clouds.")
    if here:
        yield from _srv_conflicts(evidence, knowledge)


def _before_microsoft(evidence: Evidence, owners: Sequence[str]) -> str:
    gateway = all(server and server.kind == "gateway" for _, server in evidence.others)
    why = "a gateway that hands the mail on to Microsoft" if gateway else "a server of its own, a gateway, or a hybrid"
    return (
        f"Other records point to Microsoft, yet the MX is {', '.join(owners)}: {why}. Signing in is not concerned; "
        "Direct Send to this MX ends there, not at Exchange Online."
    )


def _spf_conflicts(evidence: Evidence) -> Iterable[Notice]:
    if len(evidence.spf) > 1:
        text = "It has several SPF records; receivers must treat that as an error (RFC 7208, 4.5)."
        yield Notice("discover.spf-several", text, "https://www.rfc-editor.org/rfc/rfc7208#section-4.5")
    answered = evidence.lookup(evidence.domain, "TXT").answered.definite
    if evidence.marked("mx") and not evidence.personal and answered and not evidence.marked("spf"):
        text = (
            "The MX is Microsoft's, yet SPF does not name Microsoft: what it sends through Microsoft 365 may fail SPF."
        )
        yield Notice("discover.spf-without-microsoft", text)


def _srv_conflicts(evidence: Evidence, knowledge: Knowledge) -> Iterable[Notice]:
    for service in SERVICES:
        lookup = evidence.lookup(f"{service}._tcp.{evidence.domain}", "SRV")
        elsewhere = [host for host in lookup.targets if host and not cloud_of(host, knowledge)]
        if elsewhere:
            text = (
                f"Programs that follow SRV records use {', '.join(elsewhere)} for {service[1:]}, not Microsoft's host."
            )
            yield Notice(f"discover.srv-{service[1:]}", text)
