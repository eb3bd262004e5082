"""`mailwhy paths`: every port and address, without signing in. Parse, call, print, exit."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

import click

from ..knowledge import load
from ..model import Knowledge, Notice, Protocol, Target
from ..places import STOPPED, Paths, State
from ._dns import live, output_of, place_options, resolver_option, say
from ._options import ca_file, family_options, seconds, source
from ._where import detour, server, way_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..discover import Resolver
    from ..net import Way
    from ..places import Lookup, Path


@click.command(
    "paths", epilog="Exit: 0 mail can be sent, 1 something is in the way, 2 usage, 3 could not find out, 130."
)
@click.argument("address", required=False)
@click.option(
    "--cloud", help="Its hosts: worldwide, gcc-high, dod, china, consumer or hve; else by ADDRESS's DNS records."
)
@click.option("--host", "hosts", multiple=True, help="Try this host instead, for all protocols. Several times.")
@click.option("--port", "ports", type=int, multiple=True, help="Try only these of 25, 587, 465, 143, 993, 110, 995.")
@click.option(
    "--server",
    "servers",
    type=server,
    metavar="SERVER",
    multiple=True,
    help="Try smtp=HOST:PORT/starttls and no other.",
)
@click.option(
    "--timeout",
    type=seconds(0.1, 120),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds for each stage, 0.1 to 120.",
)
@family_options
@click.option("--source", "--interface", type=source, metavar="IP", help="Connect from this local address.")
@click.option(
    "--connect-to", type=detour, metavar="DETOUR", multiple=True, help="Dial another address, same name in TLS."
)
@click.option("--ca-file", "--cacert", type=ca_file, metavar="FILE", help="Trust this CA (PEM).")
@resolver_option
@place_options
@click.pass_context
def command(ctx: click.Context, /, address: str | None, **given: Any) -> None:
    """Try every mail port over every address, IPv4 and IPv6 apart, and say what is in the way. Signs in nowhere.

    The hosts are those of the cloud that serves ADDRESS (an address or a domain; asked of DNS), or of worldwide
    Microsoft 365. Tells open, closed, filtered, redirected, intercepted, stripped of STARTTLS and wrong service apart.
    """
    import asyncio

    if given["servers"] and (given["hosts"] or given["ports"] or given["cloud"]):
        raise click.UsageError("--server says all; give it without --host, --port and --cloud")
    from ..report.places import lookup_line, path_line, paths_json, paths_text

    knowledge = load()
    progress = live(given["format_"], given["color"])
    run = Run(
        address,
        given,
        way_of(given),
        knowledge,
        on_path=lambda path: progress.say(path_line(path), ok=path.state is State.OPEN or bool(path.expected)),
        on_lookup=lambda lookup: progress.say(lookup_line(lookup), ok=lookup.answered.definite),
    )
    try:
        paths = asyncio.run(run.go())
    except KeyboardInterrupt:
        paths = run.so_far()

    options = output_of(given["color"]).options(sys.stdout)
    say(paths_json(paths) if given["format_"] == "json" else paths_text(paths, options))
    ctx.exit(int(paths.exit))


class Run:
    """The tries, and beside them what DNS says of the names. `so_far()` may be asked at any time, after Ctrl-C too."""

    def __init__(
        self,
        address: str | None,
        given: dict[str, Any],
        way: Way,
        knowledge: Knowledge,
        on_path: Callable[[Path], None],
        on_lookup: Callable[[Lookup], None],
    ) -> None:
        self.address, self.given, self.way, self.knowledge = address, given, way, knowledge
        self.on_path, self.on_lookup = on_path, on_lookup
        self.targets: tuple[Target, ...] = ()
        self.notices: tuple[Notice, ...] = ()
        self.found: list[Path] = []

    async def go(self) -> Paths:
        """To its end."""
        import asyncio

        from ..discover import Resolver, explain_name
        from ..paths import try_paths

        given, limit = self.given, min(self.given["timeout"], 5.0)
        choosing = Resolver(given["resolver"], limit, self.on_lookup)
        self.targets, self.notices = await _targets(self.address, given, choosing, self.knowledge)
        hosts = dict.fromkeys(target.host or "" for target in self.targets)
        resolver = Resolver(given["resolver"], limit)
        async with asyncio.TaskGroup() as group:
            tries = group.create_task(try_paths(self.targets, self.way, self.knowledge, self._one))
            asked = [host for host in hosts if _is_asked(host, self.targets, given)]
            names = [group.create_task(explain_name(host, resolver)) for host in asked]
        learned = {notice.text: notice for task in names for notice in task.result().notices}
        return dataclasses.replace(tries.result(), notices=(*self.notices, *learned.values()))

    def _one(self, path: Path) -> None:
        self.found.append(path)
        if path.said != STOPPED:
            self.on_path(path)

    def so_far(self) -> Paths:
        """What is known when the run has been stopped."""
        from ..paths import in_order

        return Paths(in_order(self.targets, self.found), self.notices, stopped=True)


def _is_asked(host: str, targets: tuple[Target, ...], given: dict[str, Any]) -> bool:
    """Is this host's name looked up at all? Not where it is an address, localhost, or dialled elsewhere."""
    from ..discover import BadDomainError, ascii_domain

    dialled = dict(given["connect_to"])
    if all((host, target.port) in dialled for target in targets if target.host == host):
        return False
    try:
        ascii_domain(host)
    except BadDomainError:
        return False
    return True


async def _targets(
    address: str | None, given: dict[str, Any], resolver: Resolver, knowledge: Knowledge
) -> tuple[tuple[Target, ...], tuple[Notice, ...]]:
    """What to try, and how it was chosen where that is not plain."""
    from ..paths import PORTS, hosts_of, targets_of

    ports = given["ports"] or PORTS
    if unknown := [port for port in ports if port not in PORTS]:
        hint = "with --server smtp=HOST:PORT/starttls its protocol is known"
        raise click.BadParameter(f"{unknown[0]} is no mail port; {hint}", param_hint="--port")
    if given["servers"]:
        return tuple(given["servers"]), ()
    if given["hosts"]:
        return tuple(
            target for host in given["hosts"] for target in targets_of(dict.fromkeys(Protocol, host), ports)
        ), ()
    cloud, notices = await _cloud(address, given["cloud"], resolver, knowledge)
    if cloud not in knowledge.clouds:
        known = ", ".join(knowledge.clouds)
        raise click.BadParameter(f"{cloud!r}: known clouds are {known}", param_hint="--cloud")
    return targets_of(hosts_of(knowledge.clouds[cloud]), ports), notices


async def _cloud(
    address: str | None, named: str | None, resolver: Resolver, knowledge: Knowledge
) -> tuple[str, tuple[Notice, ...]]:
    from ..discover import BadDomainError, discover

    if named or not address:
        return named or "worldwide", ()
    try:
        place = await discover(address, resolver, knowledge)
    except BadDomainError as why:
        raise click.BadParameter(str(why), param_hint="ADDRESS") from None
    if place.clouds:
        return place.clouds[0], ()
    text = f"DNS does not show {place.domain} at Microsoft 365 ({place.at_microsoft}); the worldwide hosts were tried."
    return "worldwide", (Notice("paths.cloud-assumed", text),)
