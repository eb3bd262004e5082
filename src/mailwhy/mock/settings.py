"""Reads and changes a tenant by dotted names: `org.security_defaults`, `mailbox.imap_enabled`, `user.mfa`.

The same names stand in TOML files, in `--set`, in the control interface and in the `opens` of the cause pages.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from ..model import NotPlainError, from_plain, to_plain
from .state import Account, Mailbox, Org, Tenant, User

NOUNS: Mapping[str, type[Any]] = {"org": Org, "mailbox": Mailbox, "user": User}


class BadSettingError(ValueError):
    """A setting that does not exist, or a value that does not fit; the message says how to mend it."""


def names() -> tuple[str, ...]:
    """Every setting's dotted name."""
    return tuple(f"{noun}.{field.name}" for noun, kind in NOUNS.items() for field in dataclasses.fields(kind))


def _one_allowed(tenant: Tenant, scope: str, value: Any) -> Tenant:
    """A policy of its own for one user, as the page advises: never the shared or default one."""
    name = "only-this-user"
    policies = {**to_plain(tenant.org.authentication_policies), name: {"allow_basic_auth_smtp": value}}
    tenant = change(tenant, scope, "org.authentication_policies", policies)
    return change(tenant, scope, "user.authentication_policy", name)


def _excluded(tenant: Tenant, scope: str, value: Any) -> Tenant:
    """Excludes one user from every policy (False), or takes the exclusion back (True)."""
    found = tenant.owner(scope) if "@" in scope else None
    login = (found[1].user.upn or found[0]) if found else "All"
    policies = []
    for policy in to_plain(tenant.org.conditional_access):
        users = [user for user in policy["exclude_users"] if user != login]
        policies.append({**policy, "exclude_users": users if value else [*users, login]})
    return change(tenant, scope, "org.conditional_access", policies)


def _not_default_off(tenant: Tenant, scope: str, value: Any) -> Tenant:
    """The administrator turns Basic for SMTP back on."""
    return change(tenant, scope, "org.smtp_basic_auth_kept_on", not value)


def _licensed(tenant: Tenant, scope: str, value: Any) -> Tenant:
    """The licence brings the mailbox."""
    return change(tenant, scope, "mailbox.licensed", value)


# what an administrator does in one go, by the names that the cause pages use in `opens`
SHORT: Mapping[str, Callable[[Tenant, str, Any], Tenant]] = {
    "policy.allow_basic_auth_smtp": _one_allowed,
    "org.conditional_access_blocks_legacy": _excluded,
    "org.smtp_basic_auth_default_off": _not_default_off,
    "user.licensed": _licensed,
}


def change(tenant: Tenant | None, scope: str, name: str, value: Any) -> Tenant:
    """The tenant with one setting changed. scope: the address for mailbox and user settings, else the domain."""
    if tenant is None:
        raise BadSettingError(f"there is no tenant for {scope!r}; `mailwhy mock --list` shows them")
    if name in SHORT:
        return SHORT[name](tenant, scope, value)
    noun, _, key = name.partition(".")
    if name not in names():
        raise BadSettingError(f"there is no setting {name!r}; known are {', '.join((*names(), *SHORT))}")
    if noun == "org":
        return dataclasses.replace(tenant, org=_with(tenant.org, key, value, name))
    found = tenant.owner(scope) if "@" in scope else None
    if found is None:
        raise BadSettingError(f"{name} belongs to one account: say whose ({name} of somebody@{tenant.domain})")
    address, account = found
    part = account.user if noun == "user" else account.mailbox
    changed: Account = dataclasses.replace(account, **{noun: _with(part, key, value, name)})
    return dataclasses.replace(tenant, accounts={**tenant.accounts, address: changed})


def _with(part: Any, key: str, value: Any, name: str) -> Any:
    try:
        return from_plain(type(part), {**to_plain(part), key: value})
    except NotPlainError as why:
        raise BadSettingError(f"{name}: {str(why).removeprefix(key).lstrip(': ')}") from None


def state(tenant: Tenant) -> dict[str, Any]:
    """All settings of a tenant as JSON values."""
    plain: dict[str, Any] = to_plain(tenant)
    return plain


def parse(assignment: str) -> tuple[str, str, Any]:
    """`org.security_defaults=true` or `user@contoso.test:mailbox.imap_enabled=false` -> scope, name, value.

    The value is TOML (true, 3, "text", ["a"]); null is None; a bare word is text. Raises BadSettingError.
    """
    left, equals, right = assignment.partition("=")
    if not equals:
        raise BadSettingError(f"{assignment!r} is not NAME=VALUE, for instance org.security_defaults=true")
    scope, colon, name = left.strip().rpartition(":")
    return (scope if colon else ""), name.strip(), value_of(right.strip())


def value_of(text: str) -> Any:
    """A value as people type it."""
    if text in ("null", "none", ""):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
