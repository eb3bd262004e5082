"""`mailwhy discover`: where a domain's mail is, by DNS. Parse, call, print, exit."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..knowledge import load
from ._dns import output_of, place_options, resolver_option, say


@click.command("discover", epilog="Exit: 0 at Microsoft, 1 not there, 2 usage, 3 could not find out, 130 cancelled.")
@click.argument("domain")
@resolver_option
@click.option(
    "--timeout", type=click.FloatRange(0.1, 120), default=5.0, show_default=True, help="Seconds for each question."
)
@place_options
@click.pass_context
def command(ctx: click.Context, /, domain: str, **given: Any) -> None:
    """Say which Microsoft cloud and hosts serve DOMAIN (or an address's domain), or who else. Asks DNS only.

    Reads the MX, Autodiscover, SPF, SRV, MTA-STS and TLSA records, names the gateways before Microsoft and the records
    that contradict each other, and shows the host that Direct Send would use. Nothing is connected to but the resolver.
    """
    import asyncio

    from ..discover import BadDomainError, Resolver, discover
    from ..report.places import place_json, place_text

    knowledge = load()
    try:
        place = asyncio.run(discover(domain, Resolver(given["resolver"], given["timeout"]), knowledge))
    except BadDomainError as why:
        raise click.BadParameter(str(why), param_hint="DOMAIN") from None
    except KeyboardInterrupt:
        ctx.exit(130)
    options = output_of(given["color"]).options(sys.stdout)
    say(place_json(place) if given["format_"] == "json" else place_text(place, knowledge, options))
    ctx.exit(int(place.exit))
