"""The gates, pure: each alone, in pairs, in random combinations and orders; opening one lets the next speak."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import FEW

from mailwhy import knowledge
from mailwhy.mock import tenant as gates
from mailwhy.mock.load import builtin
from mailwhy.mock.settings import change
from mailwhy.mock.state import Account, Tenant, login_of, secret_of
from mailwhy.mock.tenant import GATES, ORDERS, SignIn, allowed, closed_gates, documented, first_closed
from mailwhy.mock.world import World
from mailwhy.model import Kind, Protocol, Stage

WHO = "a@t.test"
APP, ACCOUNT = "abcdefghijklmnop", "Account-Password-1"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

# gate -> the settings that close it, with the cause that it then has, for an app password over SMTP
CLOSE: dict[str, tuple[dict[str, Any], str]] = {
    "policy": (
        {"org.authentication_policies": {"p": {}}, "org.default_authentication_policy": "p"},
        "org.auth_policy_blocks_basic",
    ),
    "switch": ({"mailbox.smtp_client_authentication_disabled": True}, "mailbox.smtp_auth_disabled"),
    "malicious_ip": ({"org.blocked_addresses": ["127.0.0.0/8"]}, "account.malicious_ip_block"),
    "lockout": ({"user.locked": True}, "account.locked"),
    "password": ({"user.app_passwords": []}, "credentials.wrong"),
    "blocked": ({"user.blocked": True}, "account.sign_in_blocked"),
    "mfa": ({"user.mfa": "disabled"}, "credentials.app_password_not_honoured"),
    "security_defaults": ({"org.security_defaults": True}, "org.security_defaults"),
    "conditional_access": ({"org.conditional_access": [{"name": "x"}]}, "org.conditional_access"),
    "licence": ({"mailbox.licensed": False}, "account.unlicensed_or_no_mailbox"),
    "throttled": ({"mailbox.throttled": True}, "service.throttled"),
    "unavailable": ({"mailbox.unavailable": True}, "service.transient"),
}
OPEN: dict[str, dict[str, Any]] = {
    "policy": {"org.default_authentication_policy": None},
    "switch": {"mailbox.smtp_client_authentication_disabled": False},
    "malicious_ip": {"org.blocked_addresses": []},
    "lockout": {"user.locked": False},
    "password": {"user.app_passwords": [APP]},
    "blocked": {"user.blocked": False},
    "mfa": {"user.mfa": "enforced"},
    "security_defaults": {"org.security_defaults": False},
    "conditional_access": {"org.conditional_access": []},
    "licence": {"mailbox.licensed": True},
    "throttled": {"mailbox.throttled": False},
    "unavailable": {"mailbox.unavailable": False},
}


def tenant(*closed: str) -> Tenant:
    made = Tenant("t.test", accounts={WHO: Account()})
    for gate in closed:
        made = setting(made, CLOSE[gate][0])
    return made


def setting(made: Tenant, values: dict[str, Any]) -> Tenant:
    for name, value in values.items():
        made = change(made, WHO, name, value)
    return made


def sign_in(made: Tenant, protocol: Protocol = Protocol.SMTP, **more: Any) -> SignIn:
    found = made.find(WHO)
    plain = {
        "tenant": made,
        "protocol": protocol,
        "login": WHO,
        "secret": APP,
        "kind": Kind.PASSWORD,
        "now": NOW,
        "calendar": knowledge.load().calendar,
        "address": WHO,
        "account": found[1] if found else None,
    }
    return SignIn(**{**plain, **more})


def test_nothing_closed_is_open() -> None:
    assert gates.smtp(sign_in(tenant())) is None


@pytest.mark.parametrize("gate", CLOSE)
def test_each_gate_alone_says_its_cause(gate: str) -> None:
    it = sign_in(tenant(gate))
    closed = gates.smtp(it)
    assert closed is not None
    assert (closed.gate, closed.cause) == (gate, CLOSE[gate][1])
    assert set(closed_gates(it)) == {gate}


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(CLOSE, 2)))
def test_of_two_the_first_speaks_and_opening_it_lets_the_next_speak(one: str, other: str) -> None:
    made = tenant(one, other)
    first = gates.smtp(sign_in(made))
    assert first is not None
    in_order = sorted((one, other), key=gates.SMTP_ORDER.index)
    expected = [gate for gate in in_order if gate in closed_gates(sign_in(made))]
    assert first.gate == expected[0]
    second = gates.smtp(sign_in(setting(made, OPEN[first.gate])))
    assert second is not None
    assert second.gate == ({one, other} - {first.gate}).pop()


@st.composite
def orders(draw: st.DrawFn, protocol: Protocol) -> tuple[str, ...]:
    """Any order that keeps the documented edges."""
    edges = documented(protocol)
    left, order = set(GATES), list[str]()
    while left:
        free = sorted(g for g in left if not any(e.second == g and e.first in left for e in edges))
        chosen = draw(st.sampled_from(free))
        order.append(chosen)
        left.remove(chosen)
    return tuple(order)


@settings(FEW, max_examples=60)
@given(st.sets(st.sampled_from(sorted(CLOSE))), st.data())
def test_in_every_possible_order_the_first_closed_gate_speaks(closed: set[str], data: st.DataObject) -> None:
    order = data.draw(orders(Protocol.SMTP))
    assert allowed(Protocol.SMTP, order)
    made, seen = tenant(*sorted(closed)), list[str]()
    while found := first_closed(sign_in(made), order):
        shut = closed_gates(sign_in(made))
        assert found.gate == min(shut, key=order.index)
        seen.append(found.gate)
        made = setting(made, OPEN[found.gate])
    # a gate can hide another one, never lose it: an unknown app password is simply a wrong secret
    assert set(seen) >= closed - {"mfa"}
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("protocol", list(Protocol))
def test_our_own_orders_keep_what_is_documented(protocol: Protocol) -> None:
    assert allowed(protocol, ORDERS[protocol])
    assert not allowed(protocol, ORDERS[protocol][1:])
    assert not allowed(protocol, tuple(reversed(ORDERS[protocol])))


def test_every_edge_says_how_it_is_known() -> None:
    for edge in gates.EDGES:
        assert edge.basis in ("documented", "field", "assumed")
        assert {edge.first, edge.second} <= set(GATES)
        assert bool(edge.source) == (edge.basis != "assumed")
        for protocol in edge.protocols:
            order = ORDERS[protocol]
            assert order.index(edge.first) < order.index(edge.second), edge


@pytest.mark.parametrize(
    ("org", "own", "cause"),
    [
        (False, None, None),
        (True, None, "org.smtp_auth_disabled"),
        (True, False, None),
        (True, True, "mailbox.smtp_auth_disabled"),
        (False, True, "mailbox.smtp_auth_disabled"),
    ],
)
def test_the_mailbox_value_stands_before_the_organizations(org: bool, own: bool | None, cause: str | None) -> None:
    made = change(tenant(), WHO, "org.smtp_client_authentication_disabled", org)
    made = change(made, WHO, "mailbox.smtp_client_authentication_disabled", own)
    assert gates.switch(sign_in(made)) == cause


@pytest.mark.parametrize(
    ("values", "secret", "cause"),
    [
        ({}, ACCOUNT, "credentials.account_password_under_mfa"),
        ({"user.mfa": "enabled"}, ACCOUNT, None),
        ({"user.mfa": "disabled"}, ACCOUNT, None),
        ({"user.mfa": "enabled"}, APP, None),
        ({"user.mfa": "disabled", "user.password_expired": True}, ACCOUNT, "account.password_expired"),
        ({"user.mfa": "disabled", "user.must_change_password": True}, ACCOUNT, "account.password_expired"),
        ({"user.password_expired": True}, APP, None),
        ({"user.federation_unreachable": True}, APP, None),
        ({"user.federation_unreachable": True, "user.mfa": "disabled"}, ACCOUNT, "account.federation_unreachable"),
        ({}, "neither", "credentials.wrong"),
    ],
)
def test_the_secret_and_the_mfa_state(values: dict[str, Any], secret: str, cause: str | None) -> None:
    closed = gates.smtp(sign_in(setting(tenant(), values), secret=secret))
    assert (closed and closed.cause) == cause


@pytest.mark.parametrize(
    ("policy", "blocks"),
    [
        ({}, True),
        ({"state": "disabled"}, False),
        ({"state": "enabledForReportingButNotEnforced"}, False),
        ({"client_app_types": ["browser"]}, False),
        ({"client_app_types": ["other"]}, True),
        ({"client_app_types": ["all"], "grant": "mfa"}, True),
        ({"include_users": ["b@t.test"]}, False),
        ({"include_users": [WHO.upper()]}, True),
        ({"exclude_users": [WHO]}, False),
        ({"exclude_locations": ["127.0.0.0/8"]}, False),
        ({"exclude_locations": ["::1/128"]}, True),
        ({"locations": ["10.0.0.0/8"]}, False),
        ({"locations": ["127.0.0.1/32"]}, True),
        ({"locations": ["no network"]}, False),
    ],
)
def test_conditional_access(policy: dict[str, Any], blocks: bool) -> None:
    made = change(tenant(), WHO, "org.conditional_access", [{"name": "x", **policy}])
    assert gates.conditional_access(sign_in(made)) == ("org.conditional_access" if blocks else None)


def test_an_alias_is_not_a_sign_in_name() -> None:
    made = change(tenant(), WHO, "mailbox.aliases", ["info@t.test"])
    assert made.find("info@t.test") is None
    it = sign_in(made, login="info@t.test", account=None)
    assert gates.known(it) == "credentials.username_not_upn"
    assert gates.known(sign_in(made, login="nobody@t.test", account=None)) == "credentials.wrong"


@pytest.mark.parametrize(
    ("protocol", "day", "service", "cause"),
    [
        (Protocol.IMAP, "2026-11-22", "exchange-online", "service.basic_auth_retired"),
        (Protocol.POP, "2026-11-22", "exchange-online", "service.basic_auth_retired"),
        (Protocol.IMAP, "2021-06-01", "exchange-online", None),
        (Protocol.IMAP, "2026-11-22", "exchange-server", None),
        (Protocol.SMTP, "2026-11-22", "exchange-online", None),
        (Protocol.SMTP, "2027-01-15", "exchange-online", "org.smtp_basic_auth_default_off"),
    ],
)
def test_retirement_follows_the_calendar(protocol: Protocol, day: str, service: str, cause: str | None) -> None:
    made = change(tenant(), WHO, "org.service", service)
    it = sign_in(made, protocol, now=datetime.fromisoformat(f"{day}T12:00:00+00:00"))
    assert gates.retired(it) == cause
    assert gates.retired(replace(it, kind=Kind.OAUTH)) is None
    if cause == "org.smtp_basic_auth_default_off":
        kept = change(made, WHO, "org.smtp_basic_auth_kept_on", True)
        assert gates.retired(replace(it, tenant=kept)) is None


def test_imap_shows_gates_of_the_mailbox_after_the_sign_in() -> None:
    made = setting(tenant(), {"mailbox.imap_enabled": False, "mailbox.pop_enabled": False})
    before = datetime(2021, 6, 1, tzinfo=UTC)
    imap = gates.imap(sign_in(made, Protocol.IMAP, now=before))
    pop = gates.pop(sign_in(made, Protocol.POP, now=before))
    assert imap is not None
    assert pop is not None
    assert (imap.cause, imap.stage) == ("mailbox.imap_disabled", Stage.USE)
    assert (pop.cause, pop.stage) == ("mailbox.pop_disabled", Stage.AUTH)


CASES = [
    pytest.param(each, address, protocol, cause, id=f"{address}-{protocol}")
    for each in builtin()
    for address, account in each.accounts.items()
    for protocol, cause in account.closes.items()
]


@pytest.mark.parametrize(("each", "address", "protocol", "cause"), CASES)
def test_every_built_in_mailbox_closes_the_gate_that_it_is_named_after(
    each: Tenant, address: str, protocol: str, cause: str
) -> None:
    account = each.accounts[address]
    world = World([each], as_of=NOW.date())
    _, closed = world.judge(Protocol(protocol), login_of(address, account), secret_of(account), Kind(account.kind))
    assert (closed.cause if closed else "") == cause


def test_every_cause_that_a_tenant_can_have_has_a_mailbox() -> None:
    named = {cause for each in builtin() for account in each.accounts.values() for cause in account.closes.values()}
    reachable = {cause for _, cause in CLOSE.values()} | {
        "org.smtp_auth_disabled", "credentials.account_password_under_mfa", "credentials.username_not_upn",
        "account.password_expired", "account.federation_unreachable", "service.basic_auth_retired",
        "org.smtp_basic_auth_default_off", "mailbox.imap_disabled", "mailbox.pop_disabled",
        "oauth.token_invalid_or_expired", "oauth.missing_permission_or_scope", "oauth.token_user_mismatch",
        "oauth.service_principal_not_registered",
    }  # fmt: skip
    assert reachable <= named


def test_every_cause_of_the_gates_is_a_page_of_the_handbook() -> None:
    named = {cause for each in builtin() for account in each.accounts.values() for cause in account.closes.values()}
    assert named - {""} <= set(knowledge.load().causes)


def opens(cause: str) -> dict[str, Any]:
    page = knowledge.load().causes.get(cause)
    return dict(page.opens) if page else {}


@pytest.mark.parametrize(
    ("each", "address", "protocol", "cause"), [case for case in CASES if opens(str(case.values[3]))]
)
def test_what_the_page_says_opens_the_gate(each: Tenant, address: str, protocol: str, cause: str) -> None:
    account = each.accounts[address]
    world = World([each], as_of=NOW.date())
    for name, value in opens(cause).items():
        world.change(address, name, value)
    _, closed = world.judge(Protocol(protocol), login_of(address, account), secret_of(account), Kind(account.kind))
    assert closed is None or closed.cause != cause
