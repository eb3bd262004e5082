"""What counts, and when a further sign-in would be one too many. Pure: time comes in as an argument."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from ..model import Attempt, Cloud, Credential, Diagnosis, Judged, Password, Protocol, Secret, Stage, Verdict
from ..noun import dataclass

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

LIMIT = 2  # an hour; Entra's smart lock-out starts at 10, a tenant may have set it lower
CAREFUL_LIMIT = 1  # US government clouds lock at 3
WINDOW = timedelta(hours=1)
MEMORY = timedelta(days=30)  # how long a secret that was refused as such is not sent again without a word
UNDER_WAY = "under_way"
NOTHING = timedelta()


@dataclass(frozen=True, slots=True)
class SignIn:
    """What is about to be sent, and where.

    host      the server's name; `address` the one that was dialled, where known
    cloud     the id of the Microsoft cloud that the host belongs to, or None: all its hosts know the same account
    careful   the cloud locks early
    """

    login: str
    host: str
    protocol: Protocol
    secret: Secret
    address: str | None = None
    cloud: str | None = None
    careful: bool = False

    @classmethod
    def of(cls, attempt: Attempt, credential: Credential, cloud: Cloud | None) -> SignIn:
        """The sign-in that is next in this attempt. `cloud`: the Microsoft cloud of its host, if any."""
        address = next((step.seen.get("address") for step in attempt.stage(Stage.TCP)), None)
        return cls(
            credential.account.login or "",
            attempt.target.host or "",
            attempt.target.protocol,
            credential.secret,
            address=address,
            cloud=cloud.id if cloud else None,
            careful=bool(cloud and cloud.careful),
        )

    @property
    def service(self) -> str:
        """What the account belongs to: the cloud, or the family of host names."""
        return self.cloud or family(self.host)

    @property
    def exempt(self) -> bool:
        """Nobody is locked out on this machine's own loopback.

        Both must be loopback, the name and what was dialled: a tunnel or a local proxy behind `--connect-to`, or
        behind an entry in the hosts file, is dialled on loopback and leads to the real account.
        """
        return is_loopback(self.host) and is_loopback(self.address or self.host)


class Since(NamedTuple):
    """The clock that nobody can set: which start of the machine this is ("": not told), and the seconds since."""

    start: str = ""
    seconds: float = 0.0


NOT_TOLD = Since()


@dataclass(frozen=True, slots=True)
class Entry:
    """One sign-in. judged: refused, unknown, or under_way (no answer noted yet). time: ISO 8601 in UTC.

    start, uptime   `Since` at that time
    seen            when a clock behind `time` first saw it (ISO, or ""): one of the two was wrong, nobody knows which
    """

    id: str
    time: str
    protocol: Protocol
    judged: str
    secret: str
    sign: str = ""
    reply: str = ""
    start: str = ""
    uptime: float = 0.0
    seen: str = ""

    @property
    def at(self) -> datetime:
        """When. Raises ValueError for what is not a time with its offset."""
        return moment(self.time)


@dataclass(frozen=True, slots=True)
class Book:
    """One account's entries. careful_until: after damage, the time up to which one sign-in is all (ISO, or "")."""

    service: str
    login: str
    entries: tuple[Entry, ...] = ()
    careful_until: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """Why a sign-in was held back, and what is remembered of the last one. `again`: when one may follow, if ever."""

    why: str
    reply: str = ""
    sign: str = ""
    age: timedelta = timedelta()
    again: datetime | None = None

    def __str__(self) -> str:
        when = "" if self.why.endswith(" ago") else f" {age_in_words(self.age)} ago"  # told once
        said = f'{self.why}. The answer{when} was: "{self.reply}"' if self.reply else self.why
        return f"{said} (--force signs in all the same)"


RISK = (
    "Signed in although the ledger would have held it back: every refused sign-in counts towards Microsoft's "
    "lock-out (10 in most clouds, 3 in US government clouds, fewer where a tenant says so), and a lock stops the "
    "real programs of this account too."
)


def family(host: str) -> str:
    """The part of a host name that its sister hosts share: the last two labels; an address stands for itself.

    Too wide for names such as example.co.uk, which errs on the careful side: the login has to be the same as well.
    """
    if address := _address(host):
        return str(address)
    return ".".join(_name(host).split(".")[-2:])


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's loopback."""
    if not (address := _address(host)):
        name = _name(host)
        return name == "localhost" or name.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _name(host: str) -> str:
    return host.strip("[]").rstrip(".").casefold()


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that the host is, None for a name."""
    name = _name(host).partition("%")[0]
    if ":" not in name and not name[-1:].isdigit():
        return None
    from ipaddress import ip_address  # only for addresses: names need no such import

    with contextlib.suppress(ValueError):
        return ip_address(name)
    return None


def judged(diagnosis: Diagnosis) -> Judged:
    """What a finished attempt means to the ledger: proven retirement says nothing of the secret."""
    if diagnosis.verdict is Verdict.RETIRED:
        return Judged.NOT_JUDGED
    return {
        Password.ACCEPTED: Judged.ACCEPTED,
        Password.REFUSED: Judged.REFUSED,
        Password.NOT_LOOKED_AT: Judged.NOT_JUDGED,
        Password.NOT_TOLD: Judged.UNKNOWN,
    }[diagnosis.password]


# --- the rule, pure ----------------------------------------------------------------------------------------


def age_of(entry: Entry, now: datetime, since: Since = NOT_TOLD) -> timedelta:
    """How long ago it was, at the least: clocks are set forward and back, and the one that says least is believed."""
    told = [now - entry.at]
    if told[0] < NOTHING:  # in the future: one of the two clocks is wrong
        told = [max(NOTHING, now - moment(entry.seen)) if entry.seen else NOTHING]
    if entry.start and entry.start == since.start and since.seconds >= entry.uptime:
        told.append(timedelta(seconds=since.seconds - entry.uptime))
    return min(told)


def aged(book: Book, now: datetime, since: Since = NOT_TOLD) -> Book:
    """The book without what is too old. What lies in the future is kept until this clock has gone on for its time."""
    kept = []
    for entry in book.entries:
        first = min(now, moment(entry.seen)) if entry.seen else now
        marked = replace(entry, seen=iso(first)) if entry.at > now else entry
        if age_of(marked, now, since) < (MEMORY if entry.judged == Judged.REFUSED.value else WINDOW):
            kept.append(marked)
    until = book.careful_until if book.careful_until and now < moment(book.careful_until) else ""
    return replace(book, entries=tuple(kept), careful_until=until)


def weigh(
    book: Book,
    fingerprint: str,
    limit: int,
    now: datetime,
    own: frozenset[str] = frozenset(),
    since: Since = NOT_TOLD,
) -> Held | None:
    """Whether one more sign-in would be one too many. `own`: entries of this run, which insists on its secret."""

    def age(entry: Entry) -> timedelta:
        return age_of(entry, now, since)

    recent = [e for e in book.entries if age(e) < WINDOW]
    same = [e for e in book.entries if e.secret == fingerprint and e.judged == Judged.REFUSED.value and e.id not in own]
    if same:
        last = same[-1]
        why = f"this very secret was refused over {last.protocol.upper()} {age_in_words(age(last))} ago"
        return Held(why, last.reply, last.sign, age(last))
    if len(recent) < limit:
        return None
    last = recent[-1]
    again = now + WINDOW - sorted(map(age, recent))[limit - 1]
    if all(e.judged == UNDER_WAY for e in recent):
        what = "are under way, or ended without an answer" if len(recent) > 1 else "is under way, or had no answer"
        why = f"{len(recent)} sign-in{'s' * (len(recent) > 1)} of {book.login} {what}"
    else:
        times = "once" if len(recent) == 1 else f"{len(recent)} times"
        why = f"the sign-in of {book.login} failed {times} within the last hour, and {limit} an hour is the limit"
    return Held(f"{why}; the next one may follow at {again:%H:%M} UTC", last.reply, last.sign, age(last), again)


def age_in_words(age: timedelta) -> str:
    """`40 s`, `12 min`, `3 h`, `2 days`."""
    seconds = max(0, int(age.total_seconds()))
    if seconds < 90:
        return f"{seconds} s"
    if seconds < 90 * 60:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 48 * 3600 else f"{seconds // 86400} days"


def moment(text: str) -> datetime:
    """The way back. Raises ValueError for what is not a time with its offset."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time without its offset")
    return found


def iso(when: datetime) -> str:
    """ISO 8601 in UTC."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def fingerprint(key: bytes, sign_in: SignIn) -> str:
    """A short keyed mark of the secret, another one for every account: it tells equal from unequal, nothing more."""
    value = "\n".join((sign_in.service, sign_in.login.strip().casefold(), sign_in.secret.reveal()))
    return hmac.new(key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:8]
