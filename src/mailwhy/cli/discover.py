"""`mailwhy discover`: where a domain's mail is, by DNS. Parse, call, print, exit."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from ..knowledge import load
from ._dns import live, output_of, place_options, resolver_option, say
from ._options import seconds

if TYPE_CHECKING:
    from ..places import Lookup


@click.command("discover", epilog="Exit: 0 at Microsoft, 1 not there, 2 usage, 3 could not find out, 130 cancelled.")
@click.argument("domain")
@resolver_option
@click.option(
    "--timeout",
    type=seconds(0.1, 120),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds for each question, 0.1 to 120.",
)
@place_options
@click.pass_context
def command(ctx: click.Context, /, domain: str, **given: Any) -> None:
    """Say which Microsoft cloud and hosts serve DOMAIN (or an address's domain), or who else. Asks DNS only.

    Reads the MX, Autodiscover, SPF, SRV, MTA-STS and TLSA records, names the gateways before Microsoft and the records
    that contradict each other, and shows the host that Direct Send would use. Nothing is connected to but the resolver.
    """
    import asyncio

    from ..discover import BadDomainError, Resolver, discover, so_far
    from ..report.places import lookup_line, place_json, place_text

    knowledge = load()
    progress, answers = live(given["format_"], given["color"]), []

    def answered(lookup: Lookup) -> None:
        answers.append(lookup)
        progress.say(lookup_line(lookup), ok=lookup.answered.definite)

    try:
        place = asyncio.run(discover(domain, Resolver(given["resolver"], given["timeout"], answered), knowledge))
    except BadDomainError as why:
        raise click.BadParameter(str(why), param_hint="DOMAIN") from None
    except KeyboardInterrupt:
        place = so_far(domain, answers, knowledge)
    options = output_of(given["color"]).options(sys.stdout)
    say(place_json(place) if given["format_"] == "json" else place_text(place, knowledge, options))
    ctx.exit(int(place.exit))
