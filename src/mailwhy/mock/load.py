"""Tenants from TOML: the built-in ones, and files of one's own. Errors name file, key and mend.

domain = "contoso.test"
[org]
smtp_client_authentication_disabled = true
[accounts."works@contoso.test"]
about = "everything is open"
mailbox = { smtp_client_authentication_disabled = false }
user = { mfa = "enforced" }
"""

from __future__ import annotations

import functools
import tomllib
from datetime import date
from pathlib import Path

from ..model import Protocol
from ..plain import NotPlainError, from_plain
from .faults import BadFaultError, fault
from .front import FRONTS
from .state import Account, Org, Tenant

HOME = Path(__file__).parent / "tenants"


class BadTenantError(ValueError):
    """A tenant file that cannot be used; the message names file, key and mend."""


@functools.cache
def builtin() -> tuple[Tenant, ...]:
    """The tenants that come with the package; contoso.test first."""
    paths = sorted(HOME.glob("*.toml"), key=lambda path: (path.stem != "contoso", path.stem))
    return tuple(read(path) for path in paths)


def read(path: Path) -> Tenant:
    """One tenant file. Raises BadTenantError."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as why:
        raise BadTenantError(f"{path.name}: cannot be read ({why.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as why:
        raise BadTenantError(f"{path.name}: is not TOML: {why}") from None
    try:
        tenant: Tenant = from_plain(Tenant, data)
    except NotPlainError as why:
        raise BadTenantError(f"{path.name}: {why}") from None
    if wrong := _problem(tenant):
        raise BadTenantError(f"{path.name}: {wrong}")
    return tenant


def _problem(tenant: Tenant) -> str:
    """What the types do not say, in words that mend it; "" where all is well."""
    org = tenant.org
    if wrong := homeless(org):
        return wrong
    policy = org.default_authentication_policy
    if policy and policy not in org.authentication_policies:
        return f"org.default_authentication_policy: there is no policy {policy!r} in [org.authentication_policies]"
    for address, account in tenant.accounts.items():
        if wrong := _account_problem(tenant, address, account):
            return f'accounts."{address}"{wrong}'
    return ""


def homeless(org: Org) -> str:
    """Why this organization can live nowhere, or at no time; "" where it can."""
    if (org.service, org.cloud) not in FRONTS:
        known = ", ".join(f"{service}/{cloud}" for service, cloud in FRONTS)
        return f"org: there is no front end {org.service}/{org.cloud}; use one of {known}"
    if org.as_of:
        try:
            date.fromisoformat(org.as_of)
        except ValueError:
            return f'org.as_of: {org.as_of!r} is no date; write it as "2026-11-22"'
    return ""


def _account_problem(tenant: Tenant, address: str, account: Account) -> str:
    if address.rpartition("@")[2] not in (tenant.domain, *tenant.domains):
        return f": the address is not of {tenant.domain}; add its domain to `domains`, or mend the address"
    policy = account.user.authentication_policy
    if policy and policy not in tenant.org.authentication_policies:
        return f".user.authentication_policy: there is no policy {policy!r} in [org.authentication_policies]"
    if unknown := set(account.closes) - {each.value for each in Protocol}:
        return f".closes: {min(unknown)!r} is no protocol; use smtp, imap or pop"
    if account.kind not in ("password", "oauth"):
        return f".kind: {account.kind!r} is neither password nor oauth"
    if account.kind == "oauth" and account.secret is None:
        return ".secret: the key is missing; with kind oauth it names a token of [tokens]"
    try:
        for each in account.faults:
            fault(each)
    except BadFaultError as why:
        return f".faults: {str(why).removeprefix('fault: ')}"
    return ""
