"""The nouns of `discover`, `paths` and name look-ups: where mail goes, and whether it can get there. Pure.

    Lookup ...  --read-->  Place      which cloud and hosts serve a domain, and how sure that is
    Attempt     --read-->  Path       one address and port, tried without credentials
    Lookup ...  --read-->  Naming     one host name, as the system and as DNS answer it

Like `model`, these can be written as JSON with `plain.to_plain`. Nothing here asks, dials or judges.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .model import Attempt, Exit, Notice, Protocol, Target


class Answered(StrEnum):
    """What became of one DNS question."""

    FOUND = "found"
    NO_RECORD = "no_record"  # the name exists, without a record of this type (NOERROR, empty)
    NO_NAME = "no_name"  # NXDOMAIN
    SERVFAIL = "servfail"  # the resolver could not: broken zone, failed DNSSEC, name server down
    REFUSED = "refused"  # the resolver does not want to
    TIMEOUT = "timeout"  # nothing usable within the limit
    STOPPED = "stopped"  # the run was ended before the answer was there
    FAILED = "failed"  # anything else: no resolver configured, an answer that cannot be read

    @property
    def definite(self) -> bool:
        """DNS has answered, if only with a no."""
        return self in (Answered.FOUND, Answered.NO_RECORD, Answered.NO_NAME)


@dataclass(frozen=True, slots=True)
class Lookup:
    """One DNS question and its answer.

    name, type  what was asked, in ASCII, without the final dot
    records     the answer, one record each, as a zone file writes it and harmless to print
    targets     host names in the records (MX, CNAME, SRV: in the order of preference), lower case, no final dot
    detail      why there is no answer, where the resolver said
    """

    name: str
    type: str
    answered: Answered
    records: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    detail: str = ""
    seconds: float = 0.0


class AtMicrosoft(StrEnum):
    """Is a domain's mail at Microsoft 365?"""

    YES = "yes"  # the MX, Autodiscover, or the domain itself says so
    LIKELY = "likely"  # records point there, but another host takes the mail first
    NO = "no"
    UNKNOWN = "unknown"  # DNS did not answer, or a gateway hides what stands behind it


@dataclass(frozen=True, slots=True)
class Server:
    """A mail service that is no cloud of Microsoft's, as providers.toml knows it.

    kind   gateway: filters and hands on; mailboxes: holds them
    mx     suffixes of its MX hosts
    """

    id: str
    title: str
    kind: str
    mx: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A host name suffix that shows Microsoft's clouds, by the record in which it stands.

    record  mx, autodiscover, spf, msoid;  clouds: ids of clouds.toml, several where it does not tell them apart
    """

    record: str
    suffix: str
    clouds: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Place:
    """What DNS says of one domain.

    domain       in ASCII (punycode), lower case;  asked: as the user wrote it
    personal     an Outlook.com domain: no tenant, no administrator
    clouds       ids of the clouds it may be, the likeliest first; one where the records tell them apart
    servers      where its mailboxes sign in, of the first cloud
    direct_send  the MX host that Direct Send would use (port 25), None where no MX is Microsoft's
    providers    titles of the gateways and mail services that its MX names
    because      the reading in words, most telling first
    conflicts    records that contradict each other, or hide what stands behind
    """

    asked: str
    domain: str
    at_microsoft: AtMicrosoft
    personal: bool = False
    clouds: tuple[str, ...] = ()
    servers: tuple[Target, ...] = ()
    direct_send: str | None = None
    providers: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    conflicts: tuple[Notice, ...] = ()
    lookups: tuple[Lookup, ...] = ()

    @property
    def exit(self) -> Exit:
        """0 at Microsoft, 1 not there, 3 could not find out, 130 the run was stopped."""
        if any(lookup.answered is Answered.STOPPED for lookup in self.lookups):
            return Exit.CANCELLED
        if self.at_microsoft in (AtMicrosoft.YES, AtMicrosoft.LIKELY):
            return Exit.OK
        return Exit.REFUSED if self.at_microsoft is AtMicrosoft.NO else Exit.UNKNOWN


STOPPED = "stopped before it was known"


class State(StrEnum):
    """How one path ended."""

    OPEN = "open"  # connected, TLS verified, the right service answers
    CLOSED = "closed"  # the connection was refused
    FILTERED = "filtered"  # no answer to the connection at all
    NO_ROUTE = "no_route"  # this machine has no way to that address
    SILENT = "silent"  # connected, and then nothing was said
    DROPPED = "dropped"  # connected, and cut off before or during the dialogue
    REDIRECTED = "redirected"  # another server answers in its place
    INTERCEPTED = "intercepted"  # TLS is opened on the way
    UNTRUSTED = "untrusted"  # the certificate does not hold, and nobody is known to open TLS
    STRIPPED = "stripped"  # STARTTLS is not offered, or was tampered with
    OLD_TLS = "old_tls"  # only TLS 1.0 or 1.1
    TLS_FAILED = "tls_failed"  # the handshake failed for another reason
    WRONG_SERVICE = "wrong_service"  # what answers does not speak this protocol, or not in this TLS mode
    TURNED_AWAY = "turned_away"  # the server refuses in its greeting or its hello
    NO_NAME = "no_name"  # the host has no address (of this family)
    UNKNOWN = "unknown"  # this machine could not try, or the run was stopped

    @property
    def definite(self) -> bool:
        """Something was found out about the path."""
        return self not in (State.NO_ROUTE, State.NO_NAME, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Path:
    """One address of one host and port, and how trying it ended. `seconds`: the whole try.

    family    "ipv4", "ipv6", or "" where there is no address
    said      the evidence in words: the greeting, the issuer, the fault
    expected  why this state is normal here ("" where it is not)
    """

    target: Target
    address: str
    family: str
    state: State
    said: str = ""
    expected: str = ""
    seconds: float = 0.0
    attempt: Attempt | None = None


@dataclass(frozen=True, slots=True)
class Paths:
    """All paths of a run. `notices`: what was learned about the names on the way; `stopped`: before its end."""

    paths: tuple[Path, ...]
    notices: tuple[Notice, ...] = ()
    stopped: bool = False

    @property
    def exit(self) -> Exit:
        """0 a submission path (any, where none was tried) is open and clean; 1 none is; 3 could not find out; 130."""
        if self.stopped:
            return Exit.CANCELLED
        smtp = [path for path in self.paths if path.target.protocol is Protocol.SMTP]
        states = [path.state for path in smtp or self.paths]
        if State.OPEN in states:
            return Exit.OK
        return Exit.REFUSED if any(state.definite for state in states) else Exit.UNKNOWN


@dataclass(frozen=True, slots=True)
class Naming:
    """One host name: what the system's look-up gave (`system`, or `fault`), and what DNS says (`lookups`)."""

    host: str
    system: tuple[str, ...]
    fault: str
    lookups: tuple[Lookup, ...]
    notices: tuple[Notice, ...]
