"""The proof: `check` against the mock names the gate that really is closed, or keeps it among the candidates.

The two sides share the signs; what keeps this from being circular is that the gate is closed in the tenant's settings,
and that the texts are held to transcripts and field cases elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from day import DATE, DAY

from mailwhy import knowledge
from mailwhy.checking import check
from mailwhy.mock.load import builtin
from mailwhy.mock.says import Spoken, Voice
from mailwhy.mock.servers import Servers, serve
from mailwhy.mock.settings import change
from mailwhy.mock.state import Account, Tenant, login_of, secret_of
from mailwhy.mock.tenant import GATES, documented
from mailwhy.mock.world import World
from mailwhy.model import Kind, Outcome, Protocol, Secret, Target, Tls, Verdict
from mailwhy.net import Way


def targets(servers: Servers, login: str) -> list[Target]:
    front = servers.front_of(login)
    return [
        Target(Protocol(each.protocol), each.host, each.port, each.tls)
        for each in servers.addresses
        if each.front == front and each.tls is (Tls.STARTTLS if each.protocol is Protocol.SMTP else Tls.IMPLICIT)
    ]


async def checked(servers: Servers, login: str, secret: str, kind: str = "password", as_of: str = DAY) -> Outcome:
    return await check(
        login,
        Secret(secret),
        kind=Kind(kind),
        targets=targets(servers, login),
        way=Way(ca_file=str(servers.ca_file)),
        insist=True,
        as_of=as_of,
    )


def kept_on(tenant: Tenant) -> Tenant:
    """Its administrator has turned Basic authentication back on, as can be done once it is off by default (2027).

    A tenant that lives on a day of its own stays as it is.
    """
    return tenant if tenant.org.as_of else change(tenant, tenant.domain, "org.smtp_basic_auth_kept_on", True)


CASES = [
    pytest.param(tenant, address, id=address)
    for tenant in builtin()
    for address, account in tenant.accounts.items()
    if account.closes and not account.mailbox.throttled and not account.mailbox.unavailable
]


@pytest.mark.parametrize(("tenant", "address"), CASES)
async def test_check_never_rules_out_the_gate_that_is_closed(tenant: Tenant, address: str) -> None:
    account = tenant.accounts[address]
    async with serve(kept_on(tenant), as_of=DATE) as servers:
        outcome = await checked(
            servers, login_of(address, account), secret_of(account), account.kind, tenant.org.as_of or DAY
        )
    for diagnosis in outcome.diagnoses:
        cause = account.closes.get(diagnosis.attempt.target.protocol)
        if cause is None:
            continue
        if cause == "":
            assert diagnosis.verdict is Verdict.WORKS, diagnosis
            continue
        assert cause not in [each.cause for each in diagnosis.ruled_out]
        assert cause in [each.cause for each in diagnosis.findings] or diagnosis.verdict in (
            Verdict.RETIRED,
            Verdict.OFF_BY_DEFAULT,
        ), (cause, diagnosis.verdict, diagnosis.findings)


# gate -> what closes it; the combinations are drawn
SHUT: dict[str, tuple[str, Any]] = {
    "org.smtp_client_authentication_disabled": ("org.smtp_client_authentication_disabled", True),
    "mailbox.smtp_client_authentication_disabled": ("mailbox.smtp_client_authentication_disabled", True),
    "user.locked": ("user.locked", True),
    "user.blocked": ("user.blocked", True),
    "user.app_passwords": ("user.app_passwords", []),
    "user.mfa": ("user.mfa", "disabled"),
    "org.security_defaults": ("org.security_defaults", True),
    "org.conditional_access": ("org.conditional_access", [{"name": "x"}]),
    "mailbox.licensed": ("mailbox.licensed", False),
}


def any_order(dice: random.Random, protocol: Protocol) -> tuple[str, ...]:
    """Any order that keeps the documented edges."""
    left, order = set(GATES), list[str]()
    while left:
        free = [g for g in sorted(left) if not any(e.second == g and e.first in left for e in documented(protocol))]
        order.append(dice.choice(free))
        left.remove(order[-1])
    return tuple(order)


@pytest.mark.parametrize("seed", range(40))
async def test_in_random_combinations_orders_and_texts_the_closed_gate_stays_a_candidate(seed: int) -> None:
    dice = random.Random(seed)
    tenant = kept_on(Tenant("t.test", accounts={"a@t.test": Account()}))
    for name in dice.sample(sorted(SHUT), dice.randint(1, 4)):
        tenant = change(tenant, "a@t.test", *SHUT[name])
    spoken: list[Spoken] = []

    def draw(choices: Sequence[Spoken]) -> Spoken:
        spoken.append(dice.choice(choices))
        return spoken[-1]

    knows = knowledge.load()
    orders = {protocol: any_order(dice, protocol) for protocol in Protocol}
    world = World([tenant], as_of=DATE, orders=orders, voice=Voice(knows, draw))
    async with serve(world=world) as servers:
        outcome = await checked(servers, "a@t.test", "abcdefghijklmnop")
    smtp = next(each for each in outcome.diagnoses if each.attempt.target.protocol is Protocol.SMTP)
    closed = next(each.cause for each in world.attempts if each.protocol == "smtp")
    assert closed
    assert closed not in [each.cause for each in smtp.ruled_out]
    if any(each.meaning and each.meaning.cause == closed for each in spoken):  # else no text is known for it
        assert closed in [each.cause for each in smtp.findings]
