"""Tenants from TOML: files of one's own work, wrong ones name file, key and mend; settings by dotted names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailwhy.mock.load import BadTenantError, builtin, read
from mailwhy.mock.settings import BadSettingError, change, names, parse, value_of
from mailwhy.mock.state import Account, Tenant, login_of, secret_of
from mailwhy.mock.world import World
from mailwhy.model import Kind, Protocol

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize("path", sorted((FIXTURES / "invalid").glob("*.toml")), ids=lambda path: path.stem)
def test_a_wrong_file_is_named_with_its_key_and_mend(path: Path) -> None:
    says = path.read_text().splitlines()[0].removeprefix("# says: ")
    with pytest.raises(BadTenantError) as why:
        read(path)
    assert str(why.value).startswith(f"{path.name}: ")
    assert says in str(why.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(BadTenantError, match=r"nowhere\.toml: cannot be read"):
        read(Path("nowhere.toml"))


@pytest.mark.parametrize("path", sorted((FIXTURES / "tenants").glob("*.toml")), ids=lambda path: path.stem)
def test_further_tenants_close_what_they_say(path: Path) -> None:
    tenant = read(path)
    world = World([tenant])
    for address, account in tenant.accounts.items():
        for protocol, cause in account.closes.items():
            _, closed = world.judge(
                Protocol(protocol), login_of(address, account), secret_of(account), Kind(account.kind)
            )
            assert (closed.cause if closed else "") == cause


def test_contoso_comes_first_and_domains_differ() -> None:
    domains = [each.domain for each in builtin()]
    assert domains[0] == "contoso.test"
    assert len(set(domains)) == len(domains)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("3", 3),
        ("null", None),
        ("", None),
        ("enforced", "enforced"),
        ('["a"]', ["a"]),
        ('"x"', "x"),
        ('{"a": 1}', {"a": 1}),
    ],
)
def test_values_as_people_type_them(text: str, value: Any) -> None:
    assert value_of(text) == value


def test_assignments() -> None:
    assert parse("org.security_defaults=true") == ("", "org.security_defaults", True)
    assert parse("a@x.test:mailbox.imap_enabled = false") == ("a@x.test", "mailbox.imap_enabled", False)
    with pytest.raises(BadSettingError, match="is not NAME=VALUE"):
        parse("org.security_defaults")


@pytest.mark.parametrize(
    ("scope", "name", "value", "words"),
    [
        ("", "org.colour", 1, "there is no setting 'org.colour'; known are org.security_defaults"),
        ("x.test", "org.security_defaults", "yes", "security_defaults: expected bool, got 'yes'"),
        ("x.test", "mailbox.imap_enabled", False, "belongs to one account"),
        ("nobody@x.test", "user.mfa", "disabled", "belongs to one account"),
        ("y.test", "org.security_defaults", True, "there is no tenant for 'y.test'"),
        ("x.test", "org.as_of", "soon", "org.as_of: 'soon' is no date"),
        ("", "org.cloud", "mars", "there is no front end exchange-online/mars"),
    ],
)
def test_wrong_settings(scope: str, name: str, value: Any, words: str) -> None:
    world = World([Tenant("x.test", accounts={"a@x.test": Account()})])
    with pytest.raises(BadSettingError) as why:
        world.change(scope, name, value)
    assert words in str(why.value)


def test_settings_change_and_reset() -> None:
    world = World([Tenant("x.test", accounts={"a@x.test": Account()})])
    world.change("", "org.security_defaults", True)
    world.change("a@x.test", "user.mfa", "disabled")
    assert world.state()["x.test"]["org"]["security_defaults"] is True
    assert world.state()["x.test"]["accounts"]["a@x.test"]["user"]["mfa"] == "disabled"
    world.reset()
    assert world.state()["x.test"]["org"]["security_defaults"] is False


def test_every_setting_can_be_set_to_what_it_is() -> None:
    tenant = Tenant("x.test", accounts={"a@x.test": Account()})
    plain = World([tenant]).state()["x.test"]
    parts = {
        "org": plain["org"],
        "user": plain["accounts"]["a@x.test"]["user"],
        "mailbox": plain["accounts"]["a@x.test"]["mailbox"],
    }
    for name in names():
        noun, _, key = name.partition(".")
        assert change(tenant, "a@x.test", name, parts[noun][key]) == tenant
