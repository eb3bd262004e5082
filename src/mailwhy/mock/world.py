"""What lives while the mock runs: the tenants as they are set now, lock-outs, sign-ins counted, mail. No sockets.

One `World` serves any number of connections. Everything that changes, changes here; the gates stay pure.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from .. import knowledge
from ..model import Kind, Knowledge, Protocol
from .faults import Fault
from .front import FRONTS, Front
from .load import homeless
from .says import Voice
from .settings import BadSettingError, change, state
from .state import Account, Tenant
from .store import Mail, Store
from .tenant import ORDERS, Closed, SignIn, first_closed

NOBODY = Tenant(domain="")
KEPT = 20_000  # connections and sign-ins that are remembered: more than a test makes, in about 12 MB
T = TypeVar("T")
FIRST_LOCK = 60.0  # seconds; "longer each time" is documented, doubling is assumed (facts: microsoft 5)


class Latest(list[T]):
    """A list that forgets its oldest entry for each beyond KEPT: a mock may run for months."""

    def append(self, entry: T) -> None:
        if len(self) >= KEPT:
            del self[0]
        super().append(entry)


@dataclass(frozen=True, slots=True)
class Attempted:
    """One sign-in that was made. Never holds the secret."""

    at: str
    protocol: str
    mechanism: str
    login: str
    kind: str
    session: str
    ok: bool
    gate: str = ""
    cause: str = ""


@dataclass(slots=True)
class Seen:
    """One connection that was made. `heard` are labels (`EHLO`, `AUTH LOGIN`), never arguments that are secret."""

    id: str
    protocol: str
    front: str
    tls: str
    peer: str
    at: str
    login: str = ""
    heard: list[str] = field(default_factory=list)
    over: bool = False


@dataclass(slots=True)
class Lock:
    """Smart lock-out of one user (facts: microsoft 5)."""

    bad: int = 0
    recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=3))
    until: datetime | None = None
    rounds: int = 0


class World:
    """Tenants, their clock, and what has happened.

    as_of    the day on which everything happens; None: today. A tenant's own `org.as_of` stands before it
    orders   protocol -> another order of the gates (see `tenant.allowed`)

    `attempts` and `sessions` hold the last KEPT of each; mail stays until `reset`.
    """

    def __init__(
        self,
        tenants: Iterable[Tenant],
        *,
        as_of: date | None = None,
        orders: Mapping[Protocol, Sequence[str]] | None = None,
        faults: Iterable[Fault] = (),
        knows: Knowledge | None = None,
        voice: Voice | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.knowledge = knows or knowledge.load()
        self.voice = voice or Voice(self.knowledge)
        self.as_of = as_of
        self.orders = {**ORDERS, **(orders or {})}
        self._clock = clock
        self._salt = secrets.token_bytes(16)
        self._start_faults = tuple(faults)
        self._start = {tenant.domain: tenant for tenant in tenants}
        self.reset()

    def reset(self) -> None:
        """Back to the start: settings, counters, mail, what was seen."""
        self.tenants = dict(self._start)
        self.store = Store()
        self.attempts: Latest[Attempted] = Latest()
        self.sessions: Latest[Seen] = Latest()
        self.locks: dict[str, Lock] = {}
        self.open_connections: Counter[str] = Counter()
        self.faults: list[Fault] = list(self._start_faults)
        self.faults_met: Counter[Fault] = Counter()
        self._sent: dict[str, deque[datetime]] = {}

    def keep(self) -> None:
        """Makes the settings of now those that `reset` goes back to."""
        self._start = dict(self.tenants)

    @property
    def fronts(self) -> tuple[Front, ...]:
        """The front ends that these tenants need."""
        return tuple(dict.fromkeys(FRONTS[t.org.service, t.org.cloud] for t in self._start.values()))

    def now(self, tenant: Tenant = NOBODY) -> datetime:
        """The time of day now, on the day on which the tenant lives."""
        now = self._clock()
        day = date.fromisoformat(tenant.org.as_of) if tenant.org.as_of else self.as_of
        return now.replace(year=day.year, month=day.month, day=day.day) if day else now

    def tenant_of(self, login: str) -> Tenant:
        """The tenant that this sign-in name (or address) belongs to, by its domain; `NOBODY` if none does."""
        domain = login.rpartition("@")[2].casefold()
        for tenant in self.tenants.values():
            if domain in (tenant.domain.casefold(), *(name.casefold() for name in tenant.domains)):
                return tenant
        return NOBODY

    def owner(self, address: str) -> tuple[str, Account] | None:
        """The mailbox that an address leads to, in any tenant."""
        return self.tenant_of(address).owner(address)

    def change(self, scope: str, name: str, value: Any) -> None:
        """Sets `org.…` of a tenant (scope: its domain) or `mailbox.…`/`user.…` of an account (scope: its address).

        Scope "" is every tenant. Raises `settings.BadSettingError`.
        """
        domain = scope.rpartition("@")[2]
        wanted = [domain] if scope else list(self.tenants)
        changed = {
            each: change(self.tenants.get(each), scope if "@" in scope else each, name, value) for each in wanted
        }
        for tenant in changed.values():
            if wrong := homeless(tenant.org):
                raise BadSettingError(wrong)
        self.tenants.update(changed)

    def state(self) -> dict[str, Any]:
        """Everything that is set, as JSON values (with the secrets: they are test data)."""
        return {domain: state(tenant) for domain, tenant in self.tenants.items()}

    def judge(
        self, protocol: Protocol, login: str, secret: str, kind: Kind, source: str = "127.0.0.1"
    ) -> tuple[SignIn, Closed | None]:
        """What a sign-in would meet now: the first closed gate. Counts nothing."""
        tenant = self.tenant_of(login)
        found = tenant.find(login)
        it = SignIn(
            tenant=tenant,
            protocol=protocol,
            login=login,
            secret=secret,
            kind=kind,
            now=self.now(tenant),
            calendar=self.knowledge.calendar,
            address=found[0] if found else "",
            account=found[1] if found else None,
            source=source,
            locked=self._locked(login),
        )
        return it, first_closed(it, self.orders[protocol])

    def sign_in(
        self, protocol: Protocol, login: str, secret: str, kind: Kind, mechanism: str, seen: Seen
    ) -> tuple[SignIn, Closed | None]:
        """One sign-in: the first closed gate, counted and written down."""
        it, closed = self.judge(protocol, login, secret, kind, seen.peer)
        self._count(it, closed)
        seen.login = login
        self.attempts.append(
            Attempted(
                at=it.now.isoformat(timespec="milliseconds"),
                protocol=protocol.value,
                mechanism=mechanism,
                login=login,
                kind=kind.value,
                session=seen.id,
                ok=closed is None,
                gate=closed.gate if closed else "",
                cause=closed.cause if closed else "",
            )
        )
        return it, closed

    def _locked(self, login: str) -> bool:
        lock = self.locks.get(login.casefold())
        return bool(lock and lock.until and self._clock() < lock.until)

    def _count(self, it: SignIn, closed: Closed | None) -> None:
        """Smart lock-out counts bad passwords that reach Entra, the same one only once."""
        key = it.login.casefold()
        if closed is None:
            self.locks.pop(key, None)
            return
        if closed.gate != "password":
            return
        lock = self.locks.setdefault(key, Lock())
        mark = hashlib.sha256(self._salt + it.secret.encode()).digest()
        if mark in lock.recent:
            return
        lock.recent.append(mark)
        lock.bad += 1
        if lock.bad >= self._threshold(it.tenant) or lock.rounds:
            lock.until = self._clock() + timedelta(seconds=FIRST_LOCK * 2**lock.rounds)
            lock.rounds += 1

    def _threshold(self, tenant: Tenant) -> int:
        if tenant.org.lockout_threshold is not None:
            return tenant.org.lockout_threshold
        return 3 if tenant.org.cloud in ("gcc-high", "dod") else 10

    def too_many_messages(self, address: str, tenant: Tenant) -> bool:
        """Counts one message of this mailbox; True beyond the limit per minute."""
        sent = self._sent.setdefault(address, deque())
        now = self._clock()
        while sent and now - sent[0] > timedelta(minutes=1):
            sent.popleft()
        if tenant.org.messages_per_minute and len(sent) >= tenant.org.messages_per_minute:
            return True
        sent.append(now)
        return False

    def deliver(self, login: str, sender: str, recipients: Sequence[str], data: bytes) -> Mail:
        """A message that was accepted: into the mailboxes that are ours, and into what was seen."""
        now = self.now(self.tenant_of(login))
        mail = Mail(sender=sender, recipients=tuple(recipients), data=data, at=now, login=login)
        for recipient in recipients:
            if found := self.owner(recipient):
                self.store.folder(found[0], "INBOX").add(data, now)
        if found := self.owner(login):
            self.store.folder(found[0], "Sent Items").add(data, now, frozenset({"\\Seen"}))
        self.store.messages.append(mail)
        self.store.changed()
        return mail
