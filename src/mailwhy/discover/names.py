"""One host name, as this machine looks it up and as DNS answers it, and why the two differ.

`explain_name` is asked only after a look-up has failed, or by `paths`; never on the way of a sign-in.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Sequence

from ..model import Notice
from ..net import Way, fault_of, look_up
from ..places import Answered, Lookup, Naming
from .ask import Resolver

CANARY = "no-such-name.mailwhy.invalid"  # .invalid never exists (RFC 6761): whoever answers it answers everything


async def explain_name(host: str, resolver: Resolver) -> Naming:
    """Asks the system and the resolver for `host`, and says what follows. Never raises; ends within the time limit."""
    system, fault, canonical = await _system(host, resolver.timeout)
    name = host.rstrip(".").lower()
    lookups = await resolver.ask_all([(name, "A"), (name, "AAAA"), (CANARY, "A")])
    notices = tuple(reading(name, system, fault, lookups, canonical=canonical, search=resolver.search))
    return Naming(host, system, fault, lookups, notices)


async def _system(host: str, limit: float) -> tuple[tuple[str, ...], str, str]:
    """Addresses, fault and canonical name of the look-up that every program on this machine makes."""
    try:
        async with asyncio.timeout(limit):
            infos = await look_up(host, 0, Way())
    except (OSError, UnicodeError) as why:
        return (), str(fault_of(why)), ""
    return tuple(dict.fromkeys(info[4][0] for info in infos)), "", next((info[3] for info in infos if info[3]), "")


def reading(
    host: str,
    system: Sequence[str],
    fault: str,
    lookups: Sequence[Lookup],
    *,
    canonical: str = "",
    search: Sequence[str] = (),
) -> Iterable[Notice]:
    """What the two answers say together. `lookups`: A, AAAA, and A of the name that must not exist."""
    *asked, canary = lookups
    addresses = [record for lookup in asked for record in lookup.records]
    if canary.answered is Answered.FOUND:
        text = f"The resolver answers names that cannot exist ({', '.join(canary.records)}): a captive portal, or an "
        yield Notice("names.answers-everything", text + "operator that catches misspellings. Do not trust its answers.")
    for suffix in search:
        if canonical.rstrip(".").lower() == f"{host}.{suffix}":
            text = f"The system found {canonical}, not {host}: the search domain {suffix} was appended."
            yield Notice("names.search-domain", text)
    if system and addresses:
        yield from _both(host, system, addresses)
    elif system:
        text = f"The system finds {host} ({', '.join(system[:4])}), {_unsaid(asked)}: "
        yield Notice(
            "names.system-only", text + "it is in the hosts file, or comes from another name service than DNS."
        )
    elif addresses:
        text = f"DNS has {host} ({', '.join(addresses[:4])}), yet the system's look-up fails ({_words(fault)}): "
        yield Notice(
            "names.dns-only", text + "look at its name service settings (hosts file, nsswitch.conf, resolver)."
        )
    else:
        yield _neither(host, asked)


def _both(host: str, system: Sequence[str], addresses: Sequence[str]) -> Iterable[Notice]:
    """Different public addresses are ordinary (load is spread by DNS); private ones on one side are not."""
    if set(system) & set(addresses):
        return
    inside, outside = _private(system), _private(addresses)
    if inside != outside:
        where, shown = ("the system", system) if inside else ("the resolver", addresses)
        text = f"For {host}, {where} gives a private address ({', '.join(shown[:4])}), the other side a public one: "
        yield Notice("names.split-horizon", text + "split DNS, a hosts file, or a proxy that answers in its place.")


def _private(addresses: Sequence[str]) -> bool:
    def inner(text: str) -> bool:
        try:
            return not ipaddress.ip_address(text.partition("%")[0]).is_global
        except ValueError:
            return False

    return any(inner(address) for address in addresses)


def _neither(host: str, asked: Sequence[Lookup]) -> Notice:
    states = {lookup.answered for lookup in asked}
    detail = next((lookup.detail for lookup in asked if lookup.detail), "")
    if Answered.NO_NAME in states:
        text = (
            f"The resolver says that {host} does not exist (NXDOMAIN): a misspelling, a name of inside only, or, for a "
        )
        return Notice(
            "names.no-such-name", text + "name that is known to exist, a resolver that filters or is cut off."
        )
    if states == {Answered.NO_RECORD}:
        return Notice("names.no-address", f"{host} exists and has no address (neither A nor AAAA).")
    if Answered.SERVFAIL in states:
        text = (
            f"The resolver could not answer for {host} (SERVFAIL): the zone's name servers or its DNSSEC are broken, "
        )
        return Notice("names.servfail", text + "or the resolver has no way out.")
    if Answered.REFUSED in states:
        return Notice("names.refused", f"The resolver refuses to answer for {host}: it does not serve this machine.")
    if Answered.TIMEOUT in states:
        return Notice(
            "names.timeout", f"The resolver does not answer (asked for {host}): it is down, or port 53 is blocked."
        )
    return Notice("names.failed", f"DNS could not be asked for {host}{': ' + detail if detail else ''}.")


def _unsaid(asked: Sequence[Lookup]) -> str:
    if any(lookup.answered is Answered.NO_NAME for lookup in asked):
        return "DNS says that it does not exist (NXDOMAIN)"
    if all(lookup.answered is Answered.NO_RECORD for lookup in asked):
        return "DNS has no address for it"
    return f"DNS does not tell ({_words(str(asked[0].answered))})"


def _words(name: str) -> str:
    return name.replace("_", " ")
