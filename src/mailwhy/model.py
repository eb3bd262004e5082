"""The nouns: frozen, typed, no I/O; imports nothing of ours.

    Target + Credential --probe--> Attempt(Step(Reply | Fault) ...) --diagnose--> Diagnosis(Finding ...)
                                                    ^                                   ^
                                pasted text --explain                      Sign(Meaning -> Cause)

Probes and `explain` write Attempts, one pure function reads them, data files say what they mean.
Everything here can be written as JSON and read back (`plain.py`), and nothing here can hold a secret except
`Secret`, which refuses to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import IntEnum, StrEnum
from typing import Any, NoReturn

from .noun import dataclass

JsonValue = Any  # what json.loads may give; kept loose on purpose, `plain.from_plain` is the check


class Protocol(StrEnum):
    """The three ways into a mailbox that an app password was made for."""

    SMTP = "smtp"
    IMAP = "imap"
    POP = "pop"


class Tls(StrEnum):
    """How a connection is protected."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


class Kind(StrEnum):
    """What kind of secret signs in."""

    PASSWORD = "password"  # noqa: S105 - a kind, not a value
    OAUTH = "oauth"


class Stage(StrEnum):
    """The stages of an attempt, in the order in which they first happen (STARTTLS repeats capabilities)."""

    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    GREETING = "greeting"
    CAPABILITIES = "capabilities"
    AUTH = "auth"
    USE = "use"


class Fault(StrEnum):
    """Why a stage ended without a usable reply. Foreign exceptions are mapped to these in `net.py` only."""

    NO_SUCH_HOST = "no_such_host"  # the name does not exist, or has no address
    DNS_FAILED = "dns_failed"  # the resolver did not answer, or answered with an error
    REFUSED = "refused"  # the connection was refused
    UNREACHABLE = "unreachable"  # no route to the address
    TIMEOUT = "timeout"  # nothing within the limit of the stage
    CLOSED = "closed"  # the server closed the connection
    RESET = "reset"  # the connection was reset
    TLS_UNTRUSTED = "tls_untrusted"  # the certificate could not be verified
    TLS_FAILED = "tls_failed"  # the handshake failed for another reason
    TLS_NOT_SPOKEN = "tls_not_spoken"  # the other side answered the handshake in clear text
    TLS_SPOKEN = "tls_spoken"  # the other side speaks TLS where clear text was expected
    NOT_OFFERED = "not_offered"  # the server does not offer what the stage needs
    INJECTED = "injected"  # clear text arrived after the answer to STARTTLS
    GARBLED = "garbled"  # an answer that is not of this protocol
    TOO_LONG = "too_long"  # an answer beyond the limits
    UNENCODABLE = "unencodable"  # the login or secret cannot be sent in this protocol
    LOCAL = "local"  # this machine refused (no such source address, no permission, no descriptors)
    CANCELLED = "cancelled"  # the user or the caller stopped the run


class Verdict(StrEnum):
    """What one diagnosis, or a whole run, comes to. The order of `OVERALL` decides between several."""

    WORKS = "works"
    NAMED = "named"
    NARROWED = "narrowed"
    RETIRED = "retired"
    OFF_BY_DEFAULT = "off_by_default"
    UNKNOWN = "unknown"
    UNREACHABLE = "unreachable"
    NOT_TRIED = "not_tried"
    NO_REPLY = "no_reply"


OVERALL: tuple[Verdict, ...] = (
    Verdict.NAMED,
    Verdict.NARROWED,
    Verdict.OFF_BY_DEFAULT,
    Verdict.UNKNOWN,
    Verdict.UNREACHABLE,
    Verdict.NOT_TRIED,
    Verdict.WORKS,
    Verdict.RETIRED,
    Verdict.NO_REPLY,
)


class Password(StrEnum):
    """Did the server look at the secret, and what did it say?"""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_LOOKED_AT = "not_looked_at"
    NOT_TOLD = "not_told"


class Judged(StrEnum):
    """What a sign says of the credential."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_JUDGED = "not_judged"
    UNKNOWN = "unknown"


class Speaker(StrEnum):
    """Who says a sign."""

    SERVER = "server"
    CLIENT = "client"
    ENTRA = "entra"


class Basis(StrEnum):
    """How a meaning is known."""

    MICROSOFT = "microsoft"
    FIELD = "field"
    INFERRED = "inferred"


class Place(StrEnum):
    """Where a mailbox lives: decides which parts of a cause's page fit."""

    TENANT = "tenant"
    PERSONAL = "personal"
    ELSEWHERE = "elsewhere"
    UNKNOWN = "unknown"


class Exit(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNKNOWN = 3
    CANCELLED = 130


class Secret:
    """A value that never shows itself: not a `str`, refuses JSON and pickle, compares in no telling way.

    `.reveal()` is the one way to the value, so that every use can be found with one search.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The value itself. Callers must not store, format or log it."""
        return self.__value

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret cannot be copied out")


@dataclass(frozen=True, slots=True)
class Target:
    """Where: protocol, host, port, TLS mode. A pasted log may leave host, port and tls unknown."""

    protocol: Protocol
    host: str | None = None
    port: int | None = None
    tls: Tls | None = None


def bracketed(host: str) -> str:
    """A host as it stands before `:port`: an IPv6 address in brackets (RFC 3986, 3.2.2), all others as they are."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


@dataclass(frozen=True, slots=True)
class Account:
    """Whose sign-in: the name that signs in, the mailbox that is meant, the address that sends."""

    login: str | None = None
    mailbox: str | None = None
    sender: str | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """Who signs in, and with what. `secret` is the only field of the model that must not be shown."""

    account: Account
    kind: Kind
    secret: Secret


@dataclass(frozen=True, slots=True)
class Reply:
    """One server answer, in any protocol, taken apart by `reply.parse`.

    status    `535`, `NO`, `BAD`, `BYE`, `OK`, `-ERR`, `+OK`; "" where it was lost on the way
    enhanced  `5.7.139`, or ""
    text      the words, without codes and without the bracketed trailer, white space made single
    lines     as received or pasted, decoded, harmless to print
    server, time, session   the trailer `[server time session]`, or the bracket of a greeting
    inner     the AUTH refusal inside `530 5.7.57 ... Error: 535 ...`
    """

    protocol: Protocol | None = None
    status: str = ""
    enhanced: str = ""
    text: str = ""
    lines: tuple[str, ...] = ()
    server: str | None = None
    time: str | None = None
    session: str | None = None
    inner: Reply | None = None

    @property
    def spoken(self) -> Reply:
        """The reply that carries the reason: the innermost one."""
        return self.inner.spoken if self.inner else self

    @property
    def line(self) -> str:
        """The answer on one copyable line, verbatim but for line ends."""
        if self.lines:
            return " ".join(line.strip() for line in self.lines if line.strip())
        return " ".join(part for part in (self.status, self.enhanced, self.text) if part)


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of an attempt.

    sent      a label that we choose ("AUTH LOGIN"), never what was sent
    reply     the server's answer, or None
    fault     why there is none (or why the answer could not be used), or None
    seen      raw observations, JSON values only; the keys are listed in CONTRIBUTING.md ("Observations")
    seconds   how long the stage took; `at` is when it began, in seconds from the attempt's start
    """

    stage: Stage
    ok: bool
    sent: str = ""
    reply: Reply | None = None
    fault: Fault | None = None
    seen: Mapping[str, JsonValue] = field(default_factory=dict)
    seconds: float = 0.0
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Where in a pasted text an attempt was found. Lines count from 1; times are ISO 8601 as far as known."""

    lines: tuple[int, ...] = ()
    first: str | None = None
    last: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything seen while trying one target once: the evidence. Secret-free.

    kind       what kind of credential was used, None where a paste does not tell
    started    when, ISO 8601 in UTC (for a paste: the time in the reply's own trailer, or the log's), or None
    held_back  why no sign-in was made although the way was open, or None
    facts      facts that are known from outside the dialogue (shape of the secret, hints of the user)
    seen       where it stood in a paste; None for a real check
    """

    target: Target
    steps: tuple[Step, ...] = ()
    kind: Kind | None = None
    started: str | None = None
    held_back: str | None = None
    facts: frozenset[str] = frozenset()
    seen: Seen | None = None

    def stage(self, stage: Stage) -> tuple[Step, ...]:
        """All steps of one stage, in order."""
        return tuple(step for step in self.steps if step.stage is stage)

    def ok(self, stage: Stage) -> bool:
        """A stage is ok only when it happened and all its steps are ok."""
        steps = self.stage(stage)
        return bool(steps) and all(step.ok for step in steps)

    @property
    def failed(self) -> Step | None:
        """The first step that is not ok: where it ended."""
        return next((step for step in self.steps if not step.ok), None)


@dataclass(frozen=True, slots=True)
class Match:
    """How a sign is recognised. At least one of text, word, fault, or status/enhanced is given.

    text      spellings, any of them; compared without white space, case, quotes and punctuation at the ends.
              16 or more such characters suffice alone, shorter ones need the codes as well
    word      whole words or codes that suffice alone however short ("AADSTS50126", "LOGINDISABLED")
    status    "535", or several; enhanced "5.7.139", or several; "5.7.606-649" is a range
    fault     a fault of ours, with `stage` where it matters
    also      further texts that must all be present as well (in the same reply)
    """

    text: tuple[str, ...] = ()
    word: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    enhanced: tuple[str, ...] = ()
    fault: tuple[Fault, ...] = ()
    stage: tuple[Stage, ...] = ()
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Meaning:
    """One thing a sign may mean. Offered when all `given` hold; struck out when any `unless` holds."""

    cause: str
    basis: Basis
    given: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    spoken: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that is said, or fails to be said, and what it may mean (`means` is ranked).

    family      "microsoft": said by Microsoft's servers, does not speak where the service is known to be
                another; "any": said by any server or program
    shows       facts that the sign itself proves ("service=exchange-online", "credential=password")
    transient   the server asks to come back later: neither accepted nor refused
    """

    id: str
    match: Match
    means: tuple[Meaning, ...]
    sources: tuple[str, ...]
    example: str = ""
    not_this: tuple[str, ...] = ()
    protocol: Protocol | None = None
    speaker: Speaker = Speaker.SERVER
    credential: Judged = Judged.UNKNOWN
    family: str = "microsoft"
    shows: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do or to look at.

    text     what to do, in words
    run      a command to paste; `{mailbox}`, `{login}`, `{sender}` stand for the addresses, `{host}`, `{port}` and
             `{starttls}` for the server (pages.located)
    where    "Exchange Online PowerShell", "Microsoft 365 admin center", "Entra admin center", "the device", ...
    expect   what it should print or show
    """

    text: str = ""
    run: str = ""
    where: str = ""
    expect: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """One page of the handbook. The id names the problem, never the fix.

    owner      who must act: "you", "device owner", "tenant admin", "network admin", "Microsoft", "nobody"
    tonight    what can be done at once, one line
    unless     facts that exclude this cause, whatever sign names it
    transient  waiting may mend it: a run that ends here could not find out
    opens      the tenant settings that mend it, as `mock.tenant` knows them (machine-readable)
    elsewhere  texts of this page (why, tonight, ...) for servers that are not Microsoft's
    """

    id: str
    title: str
    owner: str
    why: str
    links: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    tonight: str = ""
    check: tuple[Action, ...] = ()
    fix: tuple[Action, ...] = ()
    undo: tuple[Action, ...] = ()
    delay: str = ""
    role: str = ""
    baseline: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    transient: bool = False
    opens: Mapping[str, JsonValue] = field(default_factory=dict)
    conflict: str = ""
    elsewhere: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the calendar: from `date` on, `what` holds for these services, clouds, protocols, kind.

    what: "removed" (nothing in the tenant changes it) or "off_by_default" (an administrator can turn it on)
    """

    id: str
    what: str
    date: str
    services: tuple[str, ...]
    clouds: tuple[str, ...]
    protocols: tuple[Protocol, ...]
    kind: Kind
    source: str
    text: str = ""
    basis: Basis = Basis.MICROSOFT


@dataclass(frozen=True, slots=True)
class Calendar:
    """The events, and the day they were last checked against their sources (ISO date)."""

    checked: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Cloud:
    """One Microsoft cloud: its hosts, portals and how to recognise it.

    hosts     protocol -> "host:port/tls"
    domains   login domains that decide it (consumer only); suffixes of server names that show it
    """

    id: str
    title: str
    service: str
    hosts: Mapping[str, str]
    domains: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    powershell: str = ""
    portal: str = ""
    careful: bool = False
    sources: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A notice that is given with every diagnosis in which all `given` facts hold and no `unless` one does."""

    id: str
    text: str
    given: tuple[str, ...]
    unless: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Blind:
    """A program that hides what the server said: its empty words, and the way to the real line. No words: the rest."""

    id: str
    program: str
    how: str
    words: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that the data files say, each by its id. A fact's value is its one line of meaning."""

    signs: Mapping[str, Sign]
    causes: Mapping[str, Cause]
    facts: Mapping[str, str]
    calendar: Calendar
    clouds: Mapping[str, Cloud]
    notices: Mapping[str, Rule]
    blind: Mapping[str, Blind] = field(default_factory=dict)

    def cause(self, name: str) -> Cause | None:
        """A cause by its id or an alias."""
        found = self.causes.get(name)
        return found or next((c for c in self.causes.values() if name in c.aliases), None)


@dataclass(frozen=True, slots=True)
class Finding:
    """One candidate cause in one diagnosis.

    sign, basis    which sign names it, and how that meaning is known
    because        the evidence in words, most telling first
    told_apart_by  what would tell it from the other candidates
    place          where the mailbox lives, as far as is known
    target         the server whose answer it explains
    """

    cause: str
    sign: str
    basis: Basis
    because: tuple[str, ...] = ()
    told_apart_by: tuple[str, ...] = ()
    note: str = ""
    place: Place = Place.UNKNOWN
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Ruled:
    """A cause that a sign names and a fact strikes out."""

    cause: str
    by: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth knowing that is not a cause. `id` is stable; `source` an address or ""."""

    id: str
    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What reporters get for one attempt.

    sign: the id of the sign that spoke, or None; step: the place in `attempt.steps` where it spoke.
    """

    account: Account
    attempt: Attempt
    verdict: Verdict
    password: Password
    findings: tuple[Finding, ...] = ()
    ruled_out: tuple[Ruled, ...] = ()
    notices: tuple[Notice, ...] = ()
    sign: str | None = None
    facts: frozenset[str] = frozenset()
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A whole run: what `mailwhy check`, `explain` or one row of `batch` comes to.

    as_of is the day the calendar was read for (ISO date); started and finished are ISO 8601 in UTC.
    verdict, findings, ruled_out are the overall ones (design: "Verdicts and exit codes").
    """

    command: str
    as_of: str
    account: Account
    diagnoses: tuple[Diagnosis, ...]
    verdict: Verdict
    exit: Exit
    findings: tuple[Finding, ...] = ()
    ruled_out: tuple[Ruled, ...] = ()
    notices: tuple[Notice, ...] = ()
    facts: frozenset[str] = frozenset()
    started: str | None = None
    finished: str | None = None
