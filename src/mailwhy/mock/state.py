"""What an administrator, and a user, can set in a tenant: plain frozen data, no behaviour.

    Tenant -- org: Org, accounts: {address: Account}, tokens, clients
    Account -- user: User (the sign-in side, Entra), mailbox: Mailbox (the Exchange side)

Settings have dotted names: `org.security_defaults`, `mailbox.imap_enabled`, `user.mfa`; `settings.py` reads and
changes them by these names. Nothing here knows a server text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Mfa(StrEnum):
    """The per-user MFA state (facts: microsoft 2.7)."""

    DISABLED = "disabled"
    ENABLED = "enabled"
    ENFORCED = "enforced"


class PolicyState(StrEnum):
    """The state of a Conditional Access policy; a report-only one never blocks."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    REPORT_ONLY = "enabledForReportingButNotEnforced"


class Grant(StrEnum):
    """What a Conditional Access policy asks for. Old programs can satisfy neither."""

    BLOCK = "block"
    MFA = "mfa"


@dataclass(frozen=True, slots=True)
class ConditionalAccess:
    """One Conditional Access policy. An empty list of client types means that the condition is not configured: all.

    include_users, exclude_users   sign-in names, or "All"
    locations, exclude_locations   networks ("127.0.0.0/8"); without `locations` every address is meant
    """

    name: str
    state: PolicyState = PolicyState.ENABLED
    client_app_types: tuple[str, ...] = ()
    include_users: tuple[str, ...] = ("All",)
    exclude_users: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    exclude_locations: tuple[str, ...] = ()
    grant: Grant = Grant.BLOCK


@dataclass(frozen=True, slots=True)
class AuthenticationPolicy:
    """An Exchange authentication policy; a new one blocks Basic authentication everywhere (facts: microsoft 2.3)."""

    allow_basic_auth_smtp: bool = False
    allow_basic_auth_imap: bool = False
    allow_basic_auth_pop: bool = False


@dataclass(frozen=True, slots=True)
class Org:
    """What is set for a whole organization.

    as_of    ISO date on which this tenant lives; None: the date of the whole mock
    cloud    worldwide, gcc-high, dod, china, consumer
    service  exchange-online, outlook-com, hve, exchange-server: which front end answers
    smtp_basic_auth_kept_on    the administrator has turned Basic for SMTP back on after the default of December 2026
    messages_per_minute, connections    limits for one mailbox; 0 is no limit
    lockout_threshold          bad sign-ins that lock; None: as documented for the cloud
    """

    security_defaults: bool = False
    smtp_client_authentication_disabled: bool = False
    default_authentication_policy: str | None = None
    authentication_policies: Mapping[str, AuthenticationPolicy] = field(default_factory=dict)
    conditional_access: tuple[ConditionalAccess, ...] = ()
    smtp_basic_auth_kept_on: bool = False
    blocked_addresses: tuple[str, ...] = ()
    lockout_threshold: int | None = None
    messages_per_minute: int = 30
    connections: int = 3
    as_of: str | None = None
    cloud: str = "worldwide"
    service: str = "exchange-online"


@dataclass(frozen=True, slots=True)
class User:
    """The sign-in side of an account. upn None: the address is the sign-in name. Secrets are printed test data."""

    upn: str | None = None
    password: str = "Account-Password-1"  # noqa: S105 - test data, printed on purpose
    app_passwords: tuple[str, ...] = ("abcdefghijklmnop",)
    mfa: Mfa = Mfa.ENFORCED
    must_change_password: bool = False
    password_expired: bool = False
    blocked: bool = False
    locked: bool = False
    authentication_policy: str | None = None
    federation_unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The Exchange side. smtp_client_authentication_disabled None inherits from the organization."""

    smtp_client_authentication_disabled: bool | None = None
    imap_enabled: bool = True
    pop_enabled: bool = True
    licensed: bool = True
    shared: bool = False
    restricted: bool = False
    throttled: bool = False
    unavailable: bool = False
    aliases: tuple[str, ...] = ()
    send_as: tuple[str, ...] = ()
    full_access: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """One account, and what the printed lines sign in with.

    about     one line for people
    closes    protocol -> the cause that a sign-in with `secret` meets there; "" is: works (a test holds us to it)
    login     what the lines sign in as; None: the address
    secret    what the lines sign in with; None: the first app password. kind: password or oauth
    sender    what the lines send from; None: the address
    exists    False: nobody by this name is here (for "no such account")
    faults    faults of `faults.py` that happen to this mailbox only
    """

    about: str = ""
    closes: Mapping[str, str] = field(default_factory=dict)
    login: str | None = None
    secret: str | None = None
    kind: str = "password"
    sender: str | None = None
    exists: bool = True
    user: User = field(default_factory=User)
    mailbox: Mailbox = field(default_factory=Mailbox)
    faults: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """An OAuth access token. user: whose; None: an application's own (`client` then matters)."""

    user: str | None = None
    client: str = "mail-program"
    audience: str = "https://outlook.office365.com"
    scopes: tuple[str, ...] = ("SMTP.Send", "IMAP.AccessAsUser.All", "POP.AccessAsUser.All")
    expires: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client. service_principal: registered in Exchange (New-ServicePrincipal), which app-only use needs."""

    service_principal: bool = False
    mailboxes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tenant:
    """A whole tenant: one login domain (and others that it accepts), its organization, its accounts."""

    domain: str
    about: str = ""
    domains: tuple[str, ...] = ()
    org: Org = field(default_factory=Org)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    tokens: Mapping[str, Token] = field(default_factory=dict)
    clients: Mapping[str, Client] = field(default_factory=dict)

    def find(self, login: str) -> tuple[str, Account] | None:
        """The account with this sign-in name: its address and itself. An alias is not a sign-in name."""
        for address, account in self.accounts.items():
            if account.exists and (account.user.upn or address).casefold() == login.casefold():
                return address, account
        return None

    def owner(self, address: str) -> tuple[str, Account] | None:
        """The account that owns this address: the primary one, an alias, or the sign-in name."""
        wanted = address.casefold()
        for primary, account in self.accounts.items():
            names = (primary, account.user.upn or primary, *account.mailbox.aliases)
            if account.exists and wanted in (name.casefold() for name in names):
                return primary, account
        return None


def secret_of(account: Account) -> str:
    """What the printed lines sign in with."""
    if account.secret is not None:
        return account.secret
    return account.user.app_passwords[0] if account.user.app_passwords else account.user.password


def login_of(address: str, account: Account) -> str:
    """What the printed lines sign in as."""
    return account.login or account.user.upn or address
