"""Reads and changes a tenant by dotted names: `org.security_defaults`, `mailbox.imap_enabled`, `user.mfa`.

The same names stand in TOML files, in `--set`, in the control interface and in the `opens` of the cause pages.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from typing import Any

from ..plain import NotPlainError, from_plain, to_plain
from .state import Account, Mailbox, Org, Tenant, User

NOUNS: Mapping[str, type[Any]] = {"org": Org, "mailbox": Mailbox, "user": User}


class BadSettingError(ValueError):
    """A setting that does not exist, or a value that does not fit; the message says how to mend it."""


def names() -> tuple[str, ...]:
    """Every setting's dotted name."""
    return tuple(f"{noun}.{field.name}" for noun, kind in NOUNS.items() for field in dataclasses.fields(kind))


def change(tenant: Tenant | None, scope: str, name: str, value: Any) -> Tenant:
    """The tenant with one setting changed. scope: the address for mailbox and user settings, else the domain."""
    if tenant is None:
        raise BadSettingError(f"there is no tenant for {scope!r}; `mailwhy mock --list` shows them")
    noun, _, key = name.partition(".")
    if name not in names():
        raise BadSettingError(f"there is no setting {name!r}; known are {', '.join(names())}")
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
    """A value as people type it. Raises BadSettingError for one nested too deep to be read."""
    if text in ("null", "none", ""):
        return None
    try:
        return _toml_or_json(text)
    except RecursionError:
        raise BadSettingError(f"{text[:20]}...: nested too deep to be read") from None


def _toml_or_json(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
