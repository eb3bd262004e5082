"""The gates: one function per protocol finds the first one that is closed. Pure; knows causes, never a server text.

Each gate answers one question about one sign-in with the id of a cause, or None when it stands open. The order in
which they stand is a list, and every edge of it says how it is known (`EDGES`): documented ones always hold, the
others can be laid differently (`Gates(order=...)`), so that proofs can run under every order that may be true.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..model import Calendar, Kind, Protocol, Stage
from .state import Account, ConditionalAccess, Mfa, PolicyState, Tenant, Token


@dataclass(frozen=True, slots=True)
class SignIn:
    """One sign-in as the gates see it.

    account    the account with this sign-in name, or None; address: the primary address of its mailbox
    locked     smart lock-out holds at this moment
    source     the client's address
    calendar   what Microsoft has removed, and when
    """

    tenant: Tenant
    protocol: Protocol
    login: str
    secret: str
    kind: Kind
    now: datetime
    calendar: Calendar
    address: str = ""
    account: Account | None = None
    source: str = "127.0.0.1"
    locked: bool = False

    @property
    def token(self) -> Token | None:
        """The token that was presented, if this tenant issued it."""
        return self.tenant.tokens.get(self.secret) if self.kind is Kind.OAUTH else None

    @property
    def by_app_password(self) -> bool:
        """Is the secret one of the account's app passwords?"""
        return bool(self.account and self.kind is Kind.PASSWORD and self.secret in self.account.user.app_passwords)


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed gate: its name, the cause behind it, and the stage in which the server lets it show."""

    gate: str
    cause: str
    stage: Stage = Stage.AUTH


Gate = Callable[[SignIn], str | None]


def retired(it: SignIn) -> str | None:
    """Basic authentication that Microsoft has removed, by service, cloud, protocol and date."""
    org = it.tenant.org
    if it.kind is Kind.OAUTH:
        return None
    today = it.now.date().isoformat()
    for event in it.calendar.events:
        fits = event.kind is it.kind and it.protocol in event.protocols and event.date <= today
        if not fits or org.service not in event.services or (event.clouds and org.cloud not in event.clouds):
            continue
        if event.what == "removed":
            return "service.basic_auth_retired"
        if not org.smtp_basic_auth_kept_on:
            return "org.smtp_basic_auth_default_off"
    return None


def policy(it: SignIn) -> str | None:
    """An Exchange authentication policy: the user's own stands before the organization's default."""
    if it.kind is Kind.OAUTH:
        return None
    org = it.tenant.org
    own = it.account.user.authentication_policy if it.account else None
    name = own or org.default_authentication_policy
    found = org.authentication_policies.get(name) if name else None
    if found is None or getattr(found, f"allow_basic_auth_{it.protocol.value}"):
        return None
    return "org.auth_policy_blocks_basic"


def switch(it: SignIn) -> str | None:
    """The protocol's switch. For SMTP the mailbox's own value stands before the organization's."""
    if it.protocol is not Protocol.SMTP:
        return mailbox_switch(it)
    if it.tenant.org.service == "hve":  # not subject to the SMTP AUTH switch (facts: microsoft 1.4)
        return None
    own = it.account.mailbox.smtp_client_authentication_disabled if it.account else None
    if own is None and it.tenant.org.smtp_client_authentication_disabled:
        return "org.smtp_auth_disabled"
    return "mailbox.smtp_auth_disabled" if own else None


def mailbox_switch(it: SignIn) -> str | None:
    """IMAP or POP switched off for the mailbox."""
    if it.account is None:
        return None
    mailbox = it.account.mailbox
    if it.protocol is Protocol.IMAP and not mailbox.imap_enabled:
        return "mailbox.imap_disabled"
    if it.protocol is Protocol.POP and not mailbox.pop_enabled:
        return "mailbox.pop_disabled"
    return None


def malicious_ip(it: SignIn) -> str | None:
    """Entra refuses the client's address, whatever the password."""
    if any(_inside(it.source, network) for network in it.tenant.org.blocked_addresses):
        return "account.malicious_ip_block"
    return None


def known(it: SignIn) -> str | None:
    """Is there such a sign-in name? An alias is not one."""
    if it.account is not None:
        return None
    return "credentials.username_not_upn" if it.tenant.owner(it.login) else "credentials.wrong"


def federation(it: SignIn) -> str | None:
    """A federated password check goes to the customer's server; app passwords do not (facts: microsoft 2.7)."""
    if it.account and it.account.user.federation_unreachable and it.kind is Kind.PASSWORD and not it.by_app_password:
        return "account.federation_unreachable"
    return None


def lockout(it: SignIn) -> str | None:
    """Smart lock-out refuses before it looks at the password."""
    return "account.locked" if it.locked or (it.account is not None and it.account.user.locked) else None


def blocked(it: SignIn) -> str | None:
    """Sign-in blocked (account disabled)."""
    return "account.sign_in_blocked" if it.account and it.account.user.blocked else None


def password(it: SignIn) -> str | None:
    """Is the secret right?"""
    if it.kind is Kind.OAUTH or it.account is None:
        return None
    user = it.account.user
    return None if it.secret == user.password or it.by_app_password else "credentials.wrong"


def expired(it: SignIn) -> str | None:
    """The account password has expired or must be changed; app passwords go on working."""
    if it.account is None or it.kind is Kind.OAUTH or it.by_app_password:
        return None
    user = it.account.user
    return "account.password_expired" if user.password_expired or user.must_change_password else None


def mfa(it: SignIn) -> str | None:
    """Per-user MFA: enforced, it wants an app password; disabled, app passwords are not honoured."""
    if it.account is None or it.kind is Kind.OAUTH:
        return None
    state = it.account.user.mfa
    if it.by_app_password:
        return "credentials.app_password_not_honoured" if state is Mfa.DISABLED else None
    if state is Mfa.ENFORCED and it.secret == it.account.user.password:
        return "credentials.account_password_under_mfa"
    return None


def security_defaults(it: SignIn) -> str | None:
    """Security Defaults block every older protocol, for everybody."""
    on = it.tenant.org.security_defaults and it.kind is Kind.PASSWORD
    return "org.security_defaults" if on else None


def conditional_access(it: SignIn) -> str | None:
    """Any policy that applies and grants only under a condition blocks an old program."""
    if it.kind is Kind.OAUTH:  # judged when the token was issued
        return None
    hit = any(_applies(each, it) for each in it.tenant.org.conditional_access)
    return "org.conditional_access" if hit else None


def token(it: SignIn) -> str | None:
    """Is the token ours, valid now, and meant for this protocol?"""
    if it.kind is not Kind.OAUTH:
        return None
    found = it.token
    if found is None:
        return "oauth.token_invalid_or_expired"
    if found.expires and datetime.fromisoformat(found.expires).astimezone(UTC) <= it.now:
        return "oauth.token_invalid_or_expired"
    word = {"smtp": "SMTP.Send", "imap": "IMAP.Access", "pop": "POP.Access"}[it.protocol.value]
    meant = found.audience.rstrip("/") in ("https://outlook.office365.com", "https://outlook.office.com")
    if not meant or not any(scope.rpartition("/")[2].startswith(word) for scope in found.scopes):
        return "oauth.missing_permission_or_scope"
    return None


def token_user(it: SignIn) -> str | None:
    """Does the token open this mailbox: its own user, a delegate, or an application with permission?"""
    found = it.token
    if found is None or it.account is None:
        return None
    if found.user is None:
        client = it.tenant.clients.get(found.client)
        if client is None or not client.service_principal:
            return "oauth.service_principal_not_registered"
        mine = it.address in client.mailboxes
        return None if mine else "oauth.missing_permission_or_scope"
    names = {(it.account.user.upn or it.address).casefold(), *(n.casefold() for n in it.account.mailbox.full_access)}
    return None if found.user.casefold() in names else "oauth.token_user_mismatch"


def licence(it: SignIn) -> str | None:
    """Is there a licensed mailbox behind the account?"""
    return "account.unlicensed_or_no_mailbox" if it.account and not it.account.mailbox.licensed else None


def throttled(it: SignIn) -> str | None:
    """The service asks this mailbox to come back later."""
    return "service.throttled" if it.account and it.account.mailbox.throttled else None


def unavailable(it: SignIn) -> str | None:
    """The service cannot open this mailbox just now."""
    return "service.transient" if it.account and it.account.mailbox.unavailable else None


ENTRA: Mapping[str, Gate] = {
    "malicious_ip": malicious_ip,
    "known": known,
    "lockout": lockout,
    "federation": federation,
    "password": password,
    "blocked": blocked,
    "expired": expired,
    "mfa": mfa,
    "security_defaults": security_defaults,
    "conditional_access": conditional_access,
    "token": token,
    "token_user": token_user,
}
SERVICE: Mapping[str, Gate] = {"throttled": throttled, "unavailable": unavailable}
GATES: Mapping[str, Gate] = {
    "retired": retired,
    "policy": policy,
    "switch": switch,
    **ENTRA,
    "licence": licence,
    **SERVICE,
}

SMTP_ORDER = tuple(GATES)
_LATE = ("licence", "switch", *SERVICE)
POP_ORDER = IMAP_ORDER = (*(name for name in GATES if name not in _LATE), *_LATE)
ORDERS: Mapping[Protocol, tuple[str, ...]] = {
    Protocol.SMTP: SMTP_ORDER,
    Protocol.IMAP: IMAP_ORDER,
    Protocol.POP: POP_ORDER,
}


@dataclass(frozen=True, slots=True)
class Edge:
    """`first` stands before `second`; basis: documented (facts: microsoft section 2), field (reports), assumed."""

    first: str
    second: str
    basis: str
    source: str
    protocols: tuple[Protocol, ...] = tuple(Protocol)


_ENTRA_DOC = "learn.microsoft.com: disable-basic-authentication-in-exchange-online (policy stops it before Entra)"
EDGES: tuple[Edge, ...] = (
    *(Edge("policy", name, "documented", _ENTRA_DOC) for name in ENTRA),
    *(
        Edge(name, "conditional_access", "documented", "entra: policy-block-legacy-authentication (after first factor)")
        for name in ("known", "lockout", "federation", "password")
    ),
    Edge("lockout", "password", "documented", "entra: howto-password-smart-lockout"),
    Edge("known", "password", "documented", "a password is checked against an account"),
    Edge("known", "token_user", "documented", "a token is compared with an account"),
    Edge("token", "token_user", "documented", "a token that is not valid has no user"),
    Edge(
        "switch", "known", "field", "facts: smtp section 1 (Tenant sentence with unknown passwords)", (Protocol.SMTP,)
    ),
    Edge("switch", "password", "field", "facts: smtp section 1", (Protocol.SMTP,)),
    Edge("password", "switch", "field", "facts: imap-pop 1.4", (Protocol.IMAP,)),
    Edge("password", "expired", "assumed", ""),
    Edge("password", "mfa", "assumed", ""),
    Edge("password", "security_defaults", "assumed", ""),
    Edge("retired", "policy", "assumed", ""),
    Edge("policy", "switch", "assumed", "", (Protocol.SMTP,)),
)


def documented(protocol: Protocol) -> tuple[Edge, ...]:
    """The edges that every order must keep."""
    return tuple(edge for edge in EDGES if edge.basis == "documented" and protocol in edge.protocols)


def allowed(protocol: Protocol, order: Sequence[str]) -> bool:
    """May this be the true order? It names every gate once and keeps the documented edges."""
    if sorted(order) != sorted(GATES):
        return False
    place = {name: number for number, name in enumerate(order)}
    return all(place[edge.first] < place[edge.second] for edge in documented(protocol))


def closed_gates(it: SignIn) -> dict[str, str]:
    """Every gate that would refuse this sign-in by itself, with its cause: name -> cause."""
    return {name: cause for name, gate in GATES.items() if (cause := gate(it))}


def first_closed(it: SignIn, order: Sequence[str] | None = None) -> Closed | None:
    """The first closed gate in the order of the sign-in's protocol, or None: everything is open."""
    for name in order or ORDERS[it.protocol]:
        if cause := GATES[name](it):
            return Closed(name, cause, _shows(it, name))
    return None


def smtp(it: SignIn) -> Closed | None:
    """The first closed gate on the way into SMTP AUTH."""
    return first_closed(it, SMTP_ORDER)


def imap(it: SignIn) -> Closed | None:
    """The first closed gate on the way into IMAP. Gates of the mailbox show only after the sign-in."""
    return first_closed(it, IMAP_ORDER)


def pop(it: SignIn) -> Closed | None:
    """The first closed gate on the way into POP."""
    return first_closed(it, POP_ORDER)


# IMAP answers OK and then "User is authenticated but not connected." (facts: imap-pop 1.4)
_AFTER_LOGIN: Mapping[Protocol, frozenset[str]] = {
    Protocol.IMAP: frozenset({"switch", "licence", "token_user", *SERVICE}),
    Protocol.SMTP: frozenset({*SERVICE}),
    Protocol.POP: frozenset(),
}


def _shows(it: SignIn, gate: str) -> Stage:
    return Stage.USE if gate in _AFTER_LOGIN[it.protocol] else Stage.AUTH


def _applies(each: ConditionalAccess, it: SignIn) -> bool:
    if each.state is not PolicyState.ENABLED:
        return False
    if each.client_app_types and not {"all", "other"} & set(each.client_app_types):
        return False
    if not _among(each.include_users, it) or _among(each.exclude_users, it):
        return False
    if each.locations and not any(_inside(it.source, network) for network in each.locations):
        return False
    return not any(_inside(it.source, network) for network in each.exclude_locations)


def _among(users: Iterable[str], it: SignIn) -> bool:
    names = {it.login.casefold(), it.address.casefold()}
    return any(user == "All" or user.casefold() in names for user in users)


def _inside(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
