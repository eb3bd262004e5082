"""Where to sign in, from what the options say: servers, cloud, detours. Shared by the commands that connect."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..facts import cloud_of as cloud_at
from ..facts import consumer_cloud
from ..model import Account, Knowledge, Protocol, Target
from ..targets import BadServerError, of_cloud, parse_server

if TYPE_CHECKING:
    from ..way import Way


def server(text: str) -> Target:
    """`smtp=HOST:PORT/starttls` as a Target."""
    try:
        return parse_server(text)
    except BadServerError as why:
        raise click.BadParameter(str(why)) from None


def detour(text: str) -> tuple[tuple[str, int], tuple[str, int]]:
    """curl's `HOST:PORT:ADDRESS:PORT`, IPv6 in brackets."""
    host = r"(\[[^\]]+\]|[^:\[\]]+)"
    found = re.fullmatch(rf"{host}:(\d+):{host}:(\d+)", text)
    if not found:
        raise click.BadParameter(f"{text!r}: write it as HOST:PORT:ADDRESS:PORT (IPv6 in brackets)")
    return (found[1].strip("[]"), int(found[2])), (found[3].strip("[]"), int(found[4]))


def cloud_of(named: str | None, account: Account, knowledge: Knowledge) -> str:
    """The cloud of `--cloud`, else the one that the login's domain decides, else worldwide. Raises BadParameter."""
    if named and named not in knowledge.clouds:
        raise click.BadParameter(f"{named!r}: known clouds are {', '.join(knowledge.clouds)}", param_hint="--cloud")
    return named or consumer_cloud(account.login or "", knowledge) or "worldwide"


def targets_of(
    servers: tuple[Target, ...], only: tuple[Protocol, ...] | None, cloud: str, knowledge: Knowledge
) -> tuple[Target, ...]:
    """The named servers and no others, or the cloud's; in the order of the protocols. Raises BadParameter."""
    wanted = only or tuple(Protocol)
    named = {target.protocol: target for target in servers}
    if len(named) < len(servers):
        raise click.BadParameter("name one server a protocol", param_hint="--server")
    found = tuple(named[p] for p in wanted if p in named) if servers else of_cloud(knowledge.clouds[cloud], wanted)
    if not found:
        where = "the servers of --server" if servers else f"the cloud {cloud}"
        raise click.BadParameter(f"{where} and --only {','.join(wanted)} have nothing in common", param_hint="--only")
    return found


def refuse_bare_login(login: str, targets: tuple[Target, ...], knowledge: Knowledge) -> None:
    """A name without @domain is no sign-in name at Microsoft's own servers: that is said instead of tried.

    Servers of other makers, and Exchange Server, may well take one. Raises BadParameter. Sources: those of the page
    credentials.username_not_upn.
    """
    if "@" not in login and (host := next((t.host for t in targets if cloud_at(t.host or "", knowledge)), None)):
        raise click.BadParameter(
            f"{login!r} has no @domain, and {host} signs in by the full sign-in name (the UPN, user@contoso.com); "
            "nothing was sent. `mailwhy causes credentials.username_not_upn` says how to find it; a server of your "
            "own that takes bare names is named with --server."
        )


# The strongest first: a switch that was typed overrules its opposite from a variable or the file
SOURCES = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)


def family_of(given: Mapping[str, Any]) -> str | None:
    """`ipv4`, `ipv6` or None (both), from --ipv4 and --ipv6. Raises UsageError where both are given in one place."""
    chosen = [name for name in ("ipv4", "ipv6") if given.get(name)]
    if len(chosen) < 2:
        return chosen[0] if chosen else None
    ctx = click.get_current_context()
    ranks = [SOURCES.index(ctx.get_parameter_source(name) or SOURCES[0]) for name in chosen]
    if len(set(ranks)) < 2:
        raise click.UsageError("--ipv4 and --ipv6 exclude each other: give one of them, or neither to try both.", ctx)
    return chosen[ranks.index(min(ranks))]


def way_of(given: Mapping[str, Any]) -> Way:
    """How to get there: --connect-to, --ipv4, --ipv6, --source, --ca-file, --ehlo, --timeout. Raises UsageError."""
    import socket

    from ..way import Timeouts, Way

    families = {None: 0, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
    changes: dict[str, Any] = {
        "connect_to": dict(given["connect_to"]),
        "family": families[family_of(given)],
        "source": given.get("source"),
        "ca_file": given["ca_file"],
    }
    if given.get("ehlo"):
        changes["ehlo"] = given["ehlo"]
    if given["timeout"]:
        changes["timeouts"] = Timeouts.all(given["timeout"])
    return Way(**changes)


def under_way(targets: Iterable[Target], way: Way) -> Way:
    """The way, with the connections to all targets begun; where it names a local address, as it was."""
    from ..ahead import set_out

    places = ((target.host or "", target.port or 0) for target in targets)
    begun = way.source is None and set_out((way.connect_to.get(place, place) for place in places), way.family)
    return dataclasses.replace(way, ahead=begun) if begun else way
